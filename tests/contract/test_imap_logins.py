"""Which code each refusal, each fault and each broken encryption of an IMAP server gets."""

import time

import pytest
from imapclient import exceptions as imap_exceptions

from infra.simulators.faults import FAULTS
from infra.simulators.scripted_imap import BYE_AT_LOGIN, GREETINGS, LOGIN_ANSWERS, ScriptedImap
from infra.simulators.wire import ScriptedServer
from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.folders import FolderRole
from shared.providers.imap import errors
from shared.providers.imap.adapter import ImapProvider, Patience
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy

REFUSALS = {
    "gmail_invalid": ErrorCode.LOGIN_REJECTED,
    "gmail_alert_invalid": ErrorCode.LOGIN_REJECTED,
    "gmail_app_password": ErrorCode.APP_PASSWORD_REQUIRED,
    "gmail_web_login": ErrorCode.BROWSER_LOGIN_REQUIRED,
    "gmail_too_many": ErrorCode.TOO_MANY_CONNECTIONS,
    "zoho_imap_off": ErrorCode.IMAP_DISABLED,
    "microsoft_login_failed": ErrorCode.LOGIN_REJECTED,
    "microsoft_authenticate_failed": ErrorCode.LOGIN_REJECTED,
    "qq_app_code": ErrorCode.APP_PASSWORD_REQUIRED,
    "qq_app_code_wrong": ErrorCode.APP_PASSWORD_REQUIRED,
    "dovecot_failed": ErrorCode.LOGIN_REJECTED,
    "cyrus_failed": ErrorCode.LOGIN_REJECTED,
    "cyrus_needs_tls": ErrorCode.ENCRYPTION_REQUIRED,
    "authorization_failed": ErrorCode.LOGIN_REJECTED,
    "expired": ErrorCode.LOGIN_REJECTED,
    "privacy_required": ErrorCode.ENCRYPTION_REQUIRED,
    "contact_admin": ErrorCode.CONTACT_ADMIN,
    "no_permission": ErrorCode.CONTACT_ADMIN,
    "unavailable": ErrorCode.PROVIDER_UNAVAILABLE,
    "in_use": ErrorCode.PROVIDER_UNAVAILABLE,
    "server_bug": ErrorCode.PROVIDER_UNAVAILABLE,
    "limit": ErrorCode.TOO_MANY_CONNECTIONS,
    "over_quota": ErrorCode.MAILBOX_FULL,
    "unknown_refusal": ErrorCode.LOGIN_REJECTED,
    "bad": ErrorCode.PROTOCOL_VIOLATION,
    "bye": ErrorCode.PROVIDER_UNAVAILABLE,
    "bye_unavailable": ErrorCode.PROVIDER_UNAVAILABLE,
    "bye_too_many": ErrorCode.TOO_MANY_CONNECTIONS,
    "preauth": ErrorCode.PROTOCOL_VIOLATION,
    "bye_at_login": ErrorCode.PROVIDER_UNAVAILABLE,
    "bye_bandwidth": ErrorCode.RATE_LIMITED,
}
DEFINITIVE = {
    "gmail_invalid",
    "gmail_app_password",
    "gmail_web_login",
    "qq_app_code",
    "qq_app_code_wrong",
    "dovecot_failed",
    "authorization_failed",
    "expired",
}
"""Refusals that may park a mailbox at once; every other doubt is tried again."""

TIMES_OUT = {"silence", "drip", "chatter"}
FAULT_CODES = {
    "drop": {ErrorCode.CONNECTION_DROPPED},
    "reset": {ErrorCode.CONNECTION_DROPPED},
    "silence": {ErrorCode.CONNECTION_TIMED_OUT},
    "drip": {ErrorCode.CONNECTION_TIMED_OUT},
    "chatter": {ErrorCode.CONNECTION_TIMED_OUT},
    "flood": {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.CONNECTION_TIMED_OUT},
    "long_line": {ErrorCode.PROTOCOL_VIOLATION},
    "huge_literal": {ErrorCode.PROTOCOL_VIOLATION},
    "half_literal": {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.CONNECTION_DROPPED},
    "half_line": {ErrorCode.CONNECTION_DROPPED},
    "parentheses": {ErrorCode.CONNECTION_TIMED_OUT, ErrorCode.PROTOCOL_VIOLATION},
    "garbage": {ErrorCode.PROTOCOL_VIOLATION},
    "http": {ErrorCode.PROTOCOL_VIOLATION},
}


def failure_of(provider, grant) -> MailroomError:
    with pytest.raises(MailroomError) as caught, provider.open(grant):
        pass
    return caught.value


def test_every_scripted_refusal_has_an_expected_code():
    assert set(REFUSALS) == {*LOGIN_ANSWERS, *GREETINGS, *BYE_AT_LOGIN}
    assert set(FAULT_CODES) == set(FAULTS)


@pytest.mark.parametrize("scenario", sorted(REFUSALS))
def test_refusal_gets_its_code_and_only_certainty_parks(
    scenario, certificates, impatient, grant_for
):
    with ScriptedImap(scenario, certificates=certificates) as server:
        failure = failure_of(impatient, grant_for(server))
    assert failure.code is REFUSALS[scenario]
    parks = isinstance(failure, ReconnectRequiredError) and failure.definitive
    assert parks == (scenario in DEFINITIVE)


@pytest.mark.parametrize("scenario", sorted({*LOGIN_ANSWERS, *BYE_AT_LOGIN} - {"bad"}))
def test_a_refusal_of_sasl_plain_reads_the_same(scenario, certificates, impatient, grant_for):
    with ScriptedImap(scenario, certificates=certificates) as server:
        failure = failure_of(impatient, grant_for(server, password="pässwörd"))
        assert b"LOGIN" not in b" ".join(server.commands)
    assert failure.code is REFUSALS[scenario]


@pytest.mark.parametrize("place", ["accept", "greeting", "capability", "login", "list"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_fault_ends_in_time_and_is_never_a_wrong_password(
    fault, place, certificates, impatient, login_to
):
    with ScriptedImap(fault, at=place, certificates=certificates) as server:
        started = time.monotonic()
        verdict = impatient.test_imap(login_to(server))
        took = time.monotonic() - started
    expected = set(FAULT_CODES[fault])
    if place == "accept":
        # Before TLS it is the handshake that meets the fault, or the connection itself.
        early = {ErrorCode.TLS_FAILED, ErrorCode.CONNECTION_DROPPED, ErrorCode.CONNECTION_FAILED}
        expected |= early
    if place == "list" and fault in {"flood", "huge_literal", "half_literal", "long_line"}:
        expected |= {ErrorCode.CONNECTION_TIMED_OUT, ErrorCode.CONNECTION_DROPPED}
    assert verdict.code in expected
    assert took < 3


def test_the_patience_of_a_deployment_is_within_fifteen_seconds():
    assert Patience().login <= 15


def test_a_host_that_accepts_nothing_times_out(impatient, certificates, login_to):
    network = Network(
        loopback_policy(certificates.authority), dial=lambda *_: (_ for _ in ()).throw(TimeoutError)
    )
    with ScriptedImap(certificates=certificates) as server:
        verdict = ImapProvider(network).test_imap(login_to(server))
    assert verdict.code is ErrorCode.CONNECTION_TIMED_OUT


def test_nobody_listens(impatient, certificates, login_to):
    with ScriptedImap(certificates=certificates) as server:
        login = login_to(server)
    assert impatient.test_imap(login).code is ErrorCode.CONNECTION_FAILED


# ---- encryption ----


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
    with ScriptedImap(
        certificates=certificates,
        certificate=getattr(certificates, shown),
        security=security,
        host="127.0.0.2",
    ) as server:
        verdict = impatient.test_imap(login_to(server, security))
        assert b"correct horse" not in server.received
        assert b"LOGIN " not in server.received_in_clear
    assert verdict.code is code


@pytest.mark.parametrize("shown", ["self_signed", "wrong_name", "expired"])
def test_an_untrusted_certificate_needs_the_mailbox_and_the_operator(shown, certificates, login_to):
    permissive = Network(loopback_policy(None, allow_untrusted_certificates=True))
    strict = Network(loopback_policy(None))
    with ScriptedImap(
        certificates=certificates, certificate=getattr(certificates, shown)
    ) as server:
        wanted = login_to(server, untrusted=True)
        assert ImapProvider(permissive).test_imap(wanted).ok
        assert not ImapProvider(permissive).test_imap(login_to(server)).ok
        assert not ImapProvider(strict).test_imap(wanted).ok


@pytest.mark.parametrize(
    ("scenario", "codes"),
    [
        ("starttls_stripped", {ErrorCode.TLS_NOT_OFFERED}),
        ("starttls_refused", {ErrorCode.TLS_FAILED}),
        ("starttls_injected", {ErrorCode.PROTOCOL_VIOLATION}),
        # Whether the clear text is read before or inside the handshake is a matter of timing.
        ("starttls_no_handshake", {ErrorCode.PROTOCOL_VIOLATION, ErrorCode.TLS_FAILED}),
    ],
)
def test_broken_starttls_never_falls_back_to_clear_text(
    scenario, codes, certificates, impatient, login_to
):
    with ScriptedImap(
        scenario, certificates=certificates, security="starttls", host="127.0.0.2"
    ) as server:
        verdict = impatient.test_imap(login_to(server, "starttls"))
        assert b"correct horse" not in server.received
        assert not {b"LOGIN", b"AUTHENTICATE"} & set(server.received_in_clear.split())
    assert verdict.code in codes


def test_starttls_asks_for_the_capabilities_again(certificates, impatient, login_to):
    with ScriptedImap(certificates=certificates, security="starttls") as server:
        assert impatient.test_imap(login_to(server, "starttls")).ok
        inside = bytes(server.recordings[0].secure)
    assert b"CAPABILITY" in inside
    assert b"LOGIN" in inside


def test_tls_to_a_server_without_tls_fails_in_time(impatient, login_to):
    def greet(wire):
        wire.send(b"* OK in clear\r\n")
        wire.hold()

    with ScriptedServer(greet) as server:
        code = impatient.test_imap(login_to(server, "tls")).code
    assert code is ErrorCode.TLS_FAILED


def test_plain_text_is_refused_unless_the_operator_permits_it(certificates, login_to):
    strict = Network(loopback_policy(certificates.authority, allow_plaintext=False))
    with ScriptedImap(security="none") as server:
        verdict = ImapProvider(strict).test_imap(login_to(server, "none"))
        assert not server.recordings
        assert verdict.code is ErrorCode.ENCRYPTION_REQUIRED
        permitted = Network(loopback_policy(certificates.authority))
        assert ImapProvider(permitted).test_imap(login_to(server, "none")).ok


def test_a_server_that_disables_login_in_clear_text_gets_no_password(
    login_to, impatient, monkeypatch
):
    with ScriptedImap(security="none", capabilities="IMAP4rev1 LOGINDISABLED") as server:
        monkeypatch.setattr(
            server, "_capabilities_now", lambda _wire: "IMAP4rev1 LOGINDISABLED STARTTLS"
        )
        verdict = impatient.test_imap(login_to(server, "none"))
        assert b"correct horse" not in server.received
    assert verdict.code is ErrorCode.ENCRYPTION_REQUIRED


def test_a_server_without_any_password_mechanism_wants_oauth(
    certificates, login_to, impatient, monkeypatch
):
    with ScriptedImap(certificates=certificates) as server:
        monkeypatch.setattr(
            server, "_capabilities_now", lambda _wire: "IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2"
        )
        verdict = impatient.test_imap(login_to(server))
    assert verdict.code is ErrorCode.OAUTH_REQUIRED


# ---- what goes over the wire ----


def test_the_verdict_names_the_folders(certificates, impatient, login_to):
    with ScriptedImap(certificates=certificates) as server:
        verdict = impatient.test_imap(login_to(server))
    assert [(one.name, one.role) for one in verdict.folders] == [
        ("INBOX", FolderRole.INBOX),
        ("Sent", FolderRole.SENT),
        ("Junk", FolderRole.SPAM),
    ]


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\r\nX1 DELETE INBOX"])
@pytest.mark.parametrize("field", ["username", "password"])
def test_a_control_character_in_a_login_sends_nothing(
    field, control, certificates, impatient, grant_for
):
    values = {"username": "alice", "password": "secret", field: f"al{control}ice"}
    with ScriptedImap(certificates=certificates) as server:
        failure = failure_of(impatient, grant_for(server, **values))
        assert all(line.split()[1] == b"CAPABILITY" for line in server.commands)
    assert isinstance(failure, RequestError)


@pytest.mark.parametrize("text", ['quo"te', "back\\slash", "two words", "(list)", "{3}", "%*"])
def test_special_characters_stay_inside_their_argument(text, certificates, impatient, grant_for):
    with ScriptedImap(certificates=certificates) as server:
        with impatient.open(grant_for(server, username=text, password=text)):
            pass
        (line,) = [one for one in server.commands if b" LOGIN " in one]
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').encode()
    assert line.endswith(b' LOGIN "%b" "%b"' % (escaped, escaped))


def test_every_exception_of_imapclient_is_mapped():
    exported = [
        value
        for value in vars(imap_exceptions).values()
        if isinstance(value, type) and issubclass(value, Exception)
    ]
    assert len(exported) >= 8
    named = [kind for kind, _becomes in errors.LIBRARY]
    for kind in exported:
        assert kind in named
        assert isinstance(errors.from_library(kind("x")), MailroomError)


def test_a_dropped_socket_in_imapclient_is_not_a_login_error():
    error = errors.from_library(imap_exceptions.IMAPClientAbortError("socket error: EOF"))
    assert isinstance(error, RetryLaterError)
