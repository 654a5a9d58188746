"""Which code each refusal, each fault and each broken encryption of a submission server gets."""

import base64
import smtplib
import time

import pytest

from infra.simulators.faults import FAULTS
from infra.simulators.scripted_smtp import REPLIES, ScriptedSmtp
from infra.simulators.wire import ScriptedServer
from shared.domain.errors import ConfigurationError, ErrorCode, MailroomError, RetryLaterError
from shared.providers.imap import errors
from shared.providers.imap.adapter import ImapProvider
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy

REFUSALS = {
    "greeting_busy": ErrorCode.RATE_LIMITED,
    "greeting_refused": ErrorCode.CONTACT_ADMIN,
    "auth_failed": ErrorCode.LOGIN_REJECTED,
    "auth_app_password": ErrorCode.APP_PASSWORD_REQUIRED,
    "auth_web_login": ErrorCode.BROWSER_LOGIN_REQUIRED,
    "auth_disabled_tenant": ErrorCode.SMTP_DISABLED,
    "auth_disabled_mailbox": ErrorCode.SMTP_DISABLED,
    "auth_needs_starttls": ErrorCode.ENCRYPTION_REQUIRED,
    "auth_required": ErrorCode.ENCRYPTION_REQUIRED,
    "auth_temporary": ErrorCode.PROVIDER_UNAVAILABLE,
    "auth_rate_limited": ErrorCode.RATE_LIMITED,
    "auth_too_many_sessions": ErrorCode.TOO_MANY_CONNECTIONS,
    "ehlo_busy": ErrorCode.RATE_LIMITED,
}
FAULT_CODES = {
    "drop": {ErrorCode.CONNECTION_DROPPED},
    "half_line": {ErrorCode.CONNECTION_DROPPED},
    "reset": {ErrorCode.CONNECTION_DROPPED},
    "silence": {ErrorCode.CONNECTION_TIMED_OUT},
    "drip": {ErrorCode.CONNECTION_TIMED_OUT},
    "chatter": {ErrorCode.CONNECTION_TIMED_OUT},
}
"""The others talk at once, and nothing like SMTP."""


def test_every_refusal_on_the_way_to_a_login_has_an_expected_code():
    before_mail = {
        name for name, (place, _) in REPLIES.items() if place in {"GREETING", "EHLO", "AUTH"}
    }
    assert set(REFUSALS) == before_mail


@pytest.mark.parametrize("scenario", sorted(REFUSALS))
def test_refusal_gets_its_code(scenario, certificates, impatient, login_to):
    with ScriptedSmtp(scenario, certificates=certificates) as server:
        assert impatient.test_smtp(login_to(server)).code is REFUSALS[scenario]


@pytest.mark.parametrize(
    ("reply", "text", "code"),
    [
        (535, "5.7.8 Authentication failed.", ErrorCode.LOGIN_REJECTED),
        (535, "Incorrect authentication data", ErrorCode.LOGIN_REJECTED),
        (454, "4.7.0 Temporary authentication failure", ErrorCode.PROVIDER_UNAVAILABLE),
        (454, "4.7.0 Too many login attempts, please try again later.", ErrorCode.RATE_LIMITED),
        (421, "4.7.0 Too many concurrent connections", ErrorCode.TOO_MANY_CONNECTIONS),
        (421, "Service not available", ErrorCode.PROVIDER_UNAVAILABLE),
        (451, "4.7.1 Try again later", ErrorCode.RATE_LIMITED),
        (452, "4.2.2 Mailbox full", ErrorCode.MAILBOX_FULL),
        (552, "5.2.2 Mailbox full", ErrorCode.MAILBOX_FULL),
        (538, "5.7.11 Encryption required", ErrorCode.ENCRYPTION_REQUIRED),
        (550, "5.4.5 Daily user sending limit exceeded", ErrorCode.RATE_LIMITED),
        (550, "5.7.60 SMTP; Client does not have permissions", ErrorCode.SENDER_NOT_ALLOWED),
        (554, "5.7.1 policy", ErrorCode.CONTACT_ADMIN),
        (499, "what", ErrorCode.PROVIDER_UNAVAILABLE),
        (534, "mechanism too weak", ErrorCode.LOGIN_REJECTED),
        (502, "command not implemented", ErrorCode.PROTOCOL_VIOLATION),
        (-1, "* OK IMAP4rev1", ErrorCode.PROTOCOL_VIOLATION),
    ],
)
def test_reply_gets_its_code(reply, text, code):
    assert errors.from_smtp_reply(reply, text).code is code


@pytest.mark.parametrize("place", ["accept", "greeting", "ehlo", "auth"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_fault_ends_in_time_and_is_never_a_wrong_password(
    fault, place, certificates, impatient, login_to
):
    with ScriptedSmtp(fault, at=place, certificates=certificates) as server:
        started = time.monotonic()
        verdict = impatient.test_smtp(login_to(server))
        took = time.monotonic() - started
    expected = FAULT_CODES.get(fault, {ErrorCode.PROTOCOL_VIOLATION})
    if place == "accept":
        # A reset may come before the system says that it is connected.
        early = {ErrorCode.TLS_FAILED, ErrorCode.CONNECTION_DROPPED, ErrorCode.CONNECTION_FAILED}
        expected = expected | early
    assert verdict.code in expected
    assert took < 3


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("self_signed", ErrorCode.TLS_UNTRUSTED),
        ("wrong_name", ErrorCode.TLS_WRONG_NAME),
        ("expired", ErrorCode.TLS_EXPIRED),
    ],
)
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_bad_certificate_stops_before_the_password(shown, code, security, certificates, login_to):
    impatient = ImapProvider(Network(loopback_policy(certificates.authority)))
    with ScriptedSmtp(
        certificates=certificates,
        certificate=getattr(certificates, shown),
        security=security,
        host="127.0.0.2",
    ) as server:
        verdict = impatient.test_smtp(login_to(server, security))
        assert b"AUTH" not in server.received
    assert verdict.code is code


@pytest.mark.parametrize(
    ("scenario", "codes"),
    [
        ("starttls_stripped", {ErrorCode.TLS_NOT_OFFERED}),
        ("starttls_refused", {ErrorCode.TLS_FAILED}),
        ("starttls_temporary", {ErrorCode.TLS_FAILED}),
        ("starttls_injected", {ErrorCode.PROTOCOL_VIOLATION}),
        ("starttls_no_handshake", {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.TLS_FAILED}),
    ],
)
def test_broken_starttls_never_falls_back_to_clear_text(
    scenario, codes, certificates, impatient, login_to
):
    with ScriptedSmtp(
        scenario, certificates=certificates, security="starttls", host="127.0.0.2"
    ) as server:
        verdict = impatient.test_smtp(login_to(server, "starttls"))
        assert b"AUTH" not in server.received
    assert verdict.code in codes


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_a_good_login_sends_nothing_and_leaves(security, certificates, impatient, login_to):
    with ScriptedSmtp(certificates=certificates, security=security) as server:
        assert impatient.test_smtp(login_to(server, security)).ok
        assert server.commands[-1].upper() == b"QUIT"
        assert not server.messages


def test_a_password_of_any_letters_arrives(certificates, impatient, login_to):
    with ScriptedSmtp(certificates=certificates) as server:
        assert impatient.test_smtp(login_to(server, password="pässwörd ✓")).ok
        (line,) = [one for one in server.commands if one.startswith(b"AUTH")]
    decoded = base64.b64decode(line.split()[2]).decode()
    assert decoded == "\0alice@mail.example\0pässwörd ✓"


def test_login_is_used_where_plain_is_not_offered(certificates, impatient, login_to, monkeypatch):
    with ScriptedSmtp(certificates=certificates) as server:
        monkeypatch.setattr(
            server, "_features", lambda _wire: b"250-scripted.example\r\n250 AUTH LOGIN\r\n"
        )
        assert impatient.test_smtp(login_to(server)).ok
        assert b"AUTH LOGIN" in server.commands


@pytest.mark.parametrize(
    ("features", "code"),
    [
        (b"250-scripted.example\r\n250 AUTH XOAUTH2\r\n", ErrorCode.OAUTH_REQUIRED),
        (b"250 scripted.example\r\n", ErrorCode.SMTP_DISABLED),
    ],
)
def test_a_server_without_a_password_mechanism_is_told_apart(
    features, code, certificates, login_to, monkeypatch
):
    provider = ImapProvider(Network(loopback_policy(certificates.authority)))
    with ScriptedSmtp(certificates=certificates) as server:
        monkeypatch.setattr(server, "_features", lambda _wire: features)
        assert provider.test_smtp(login_to(server)).code is code


def test_no_auth_in_clear_text_asks_for_encryption(impatient, login_to, monkeypatch):
    with ScriptedSmtp(security="none") as server:
        monkeypatch.setattr(
            server, "_features", lambda _wire: b"250-scripted.example\r\n250 STARTTLS\r\n"
        )
        code = impatient.test_smtp(login_to(server, "none")).code
    assert code is ErrorCode.ENCRYPTION_REQUIRED


def test_plain_text_is_refused_unless_the_operator_permits_it(certificates, login_to):
    strict = Network(loopback_policy(certificates.authority, allow_plaintext=False))
    with ScriptedSmtp(security="none") as server:
        verdict = ImapProvider(strict).test_smtp(login_to(server, "none"))
        assert not server.recordings
    assert verdict.code is ErrorCode.ENCRYPTION_REQUIRED


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\r\nMAIL FROM:<x>"])
@pytest.mark.parametrize("field", ["username", "password"])
def test_a_control_character_in_a_login_sends_nothing(
    field, control, certificates, impatient, login_to
):
    values = {"username": "alice", "password": "secret", field: f"al{control}ice"}
    with ScriptedSmtp(certificates=certificates) as server:
        verdict = impatient.test_smtp(login_to(server, **values))
        assert not server.commands
    assert verdict.code is ErrorCode.INVALID_REQUEST


def test_a_long_greeting_is_no_mail_server(certificates, impatient, login_to):
    def greet(wire):
        wire.start_tls(certificates.good.server_context())
        wire.send(b"220 " + b"x" * 100_000 + b"\r\n")
        wire.hold()

    with ScriptedServer(greet) as server:
        assert impatient.test_smtp(login_to(server)).code is ErrorCode.PROTOCOL_VIOLATION


def test_every_exception_of_smtplib_is_mapped():
    exported = [
        value
        for value in vars(smtplib).values()
        if isinstance(value, type) and issubclass(value, smtplib.SMTPException)
    ]
    assert len(exported) >= 10
    arguments: dict[type, tuple] = {
        smtplib.SMTPResponseException: (421, b"busy"),
        smtplib.SMTPSenderRefused: (550, b"no", "a@b"),
        smtplib.SMTPRecipientsRefused: ({},),
        smtplib.SMTPDataError: (554, b"no"),
        smtplib.SMTPConnectError: (421, b"busy"),
        smtplib.SMTPHeloError: (501, b"what"),
        smtplib.SMTPAuthenticationError: (535, b"no"),
    }
    for kind in exported:
        error = errors.from_library(kind(*arguments.get(kind, ("x",))))
        assert isinstance(error, MailroomError)


def test_what_is_no_library_exception_is_a_bug():
    with pytest.raises(TypeError):
        errors.from_library(KeyError("x"))


def test_a_server_that_hangs_up_is_not_a_wrong_password():
    error = errors.from_library(smtplib.SMTPServerDisconnected("please run connect() first"))
    assert isinstance(error, RetryLaterError)
    assert isinstance(errors.from_library(smtplib.SMTPNotSupportedError("x")), ConfigurationError)
