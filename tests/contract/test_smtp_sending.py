"""What each reply of a submission server makes of a mail, and what is written to it at all."""

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from infra.simulators.faults import FAULTS
from infra.simulators.scripted_smtp import FEATURES, REPLIES, ScriptedSmtp
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    OutcomeUnknownError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)
from shared.domain.ids import SendId
from shared.ports.sending import Outgoing
from shared.providers.imap import smtp_errors, submission
from shared.providers.imap.adapter import Patience
from shared.providers.imap.sending import ImapSender
from shared.providers.imap.smtp_errors import SENDING, Place
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy

A, B, C = "ann@customer.example", "bob@customer.example", "cyd@customer.example"
MAIL = Outgoing(
    send_id=SendId("one"),
    internet_message_id="<one@mailroom.example>",
    sender="alice@mail.example",
    recipients=(A,),
    content=b"Subject: hi\r\nMessage-ID: <one@mailroom.example>\r\n\r\n.\r\n..\r\nhello\r\n",
    blind_copy=b"",
)
TO_THREE = replace(MAIL, recipients=(A, B, C))
RETRY, REFUSED, CONFIGURE = RetryLaterError, SendRefusedError, ConfigurationError


@pytest.fixture
def send_to(network, grant_for):
    """Send by a server, as the worker does."""

    @contextmanager
    def session(server, security="tls", **patience):
        sender = ImapSender(network, patience=Patience(**patience))
        with sender.open(grant_for(server, security)) as opened:
            yield opened

    def send(server, mail=MAIL, **more):
        with session(server, **more) as opened:
            return opened.send(mail, opened.prepare(mail, None))

    send.session = session
    return send


# ---- the table ----

TABLE = [
    ("MAIL", "432 4.3.2 STOREDRV; concurrent connections", RETRY, "too_many_connections"),
    ("MAIL", "421 4.7.0 Too many connections", RETRY, "too_many_connections"),
    ("MAIL", "550 5.4.5 Daily user sending limit exceeded", RETRY, "sending_limit_reached"),
    ("RCPT", "550 5.4.5 Daily SMTP relay limit exceeded", RETRY, "sending_limit_reached"),
    ("DOT", "550 5.4.5 Daily user sending limit exceeded", RETRY, "sending_limit_reached"),
    ("RCPT", "550 5.1.90 You have reached the limit", RETRY, "sending_limit_reached"),
    ("DOT", "554 SubmissionQuotaExceededException", RETRY, "sending_limit_reached"),
    ("RCPT", "450 Mail send limit exceeded", RETRY, "rate_limited"),
    ("MAIL", "550 5.7.60 SMTP; Client does not have permissions", CONFIGURE, "sender_not_allowed"),
    ("DOT", "554 5.2.252 SendAsDenied; not allowed", CONFIGURE, "sender_not_allowed"),
    ("RCPT", "553 5.7.1 Sender address rejected: not owned", CONFIGURE, "sender_not_allowed"),
    ("MAIL", "501 5.1.7 Bad sender address syntax", CONFIGURE, "sender_not_allowed"),
    ("MAIL", "553 sorry, not yours", CONFIGURE, "sender_not_allowed"),
    ("MAIL", "552 5.3.4 Message size exceeds fixed limit", REFUSED, "mail_too_large"),
    ("DOT", "552 5.3.4 Message too big for system", REFUSED, "mail_too_large"),
    ("DOT", "552 5.2.3 Message exceeds maximum", REFUSED, "mail_too_large"),
    ("DOT", "552 Too much", REFUSED, "mail_too_large"),
    ("RCPT", "553 5.6.7 SMTPUTF8 is needed", REFUSED, "address_not_supported"),
    ("MAIL", "452 4.2.2 Over quota", RETRY, "mailbox_full"),
    ("MAIL", "552 5.2.2 Over quota", RETRY, "mailbox_full"),
    ("RCPT", "452 4.2.2 Mailbox full", RETRY, "recipient_full"),
    ("RCPT", "552 5.2.2 Mailbox full", REFUSED, "recipient_full"),
    ("DOT", "552 5.2.2 Mailbox full", REFUSED, "recipient_full"),
    ("RCPT", "552 No room", REFUSED, "recipient_full"),
    ("RCPT", "452 4.5.3 Too many recipients", RETRY, "rate_limited"),
    ("RCPT", "552 5.5.3 Too many recipients", RETRY, "rate_limited"),
    ("MAIL", "421 4.7.28 Unusual rate of mail", RETRY, "rate_limited"),
    ("RCPT", "450 4.7.1 Greylisted", RETRY, "rate_limited"),
    ("DOT", "451 4.7.1 Try again later", RETRY, "rate_limited"),
    ("RCPT", "450 4.2.1 Try again later", RETRY, "provider_unavailable"),
    ("MAIL", "452 4.3.1 Insufficient system storage", RETRY, "provider_unavailable"),
    ("DATA", "451 4.3.0 Temporary system problem", RETRY, "provider_unavailable"),
    ("DOT", "451 Local error", RETRY, "provider_unavailable"),
    ("DOT", "421 Going down", RETRY, "provider_unavailable"),
    ("RCPT", "550 5.1.1 No such user", REFUSED, "recipient_rejected"),
    ("RCPT", "550 #5.1.0 Address rejected", REFUSED, "recipient_rejected"),
    ("RCPT", "550 5.2.1 Disabled", REFUSED, "recipient_rejected"),
    ("RCPT", "550 5.4.1 Recipient address rejected: Access denied", REFUSED, "recipient_rejected"),
    ("RCPT", "550 no such user here", REFUSED, "recipient_rejected"),
    ("RCPT", "501 bad address", REFUSED, "recipient_rejected"),
    ("DOT", "550 5.1.1 No such user", REFUSED, "recipient_rejected"),
    ("DOT", "554 5.7.1 Message rejected as spam", REFUSED, "mail_refused"),
    ("RCPT", "554 5.7.1 Policy", REFUSED, "mail_refused"),
    ("MAIL", "554 5.7.1 Your address is on a list", REFUSED, "mail_refused"),
    ("RCPT", "550 5.7.1 Policy", REFUSED, "mail_refused"),
    ("DOT", "550 5.7.1 This message is likely unsolicited", REFUSED, "mail_refused"),
    ("DOT", "554 5.2.0 Outbound spam", REFUSED, "mail_refused"),
    ("DOT", "554 Transaction failed", REFUSED, "mail_refused"),
    ("DATA", "503 5.5.1 No valid recipients", REFUSED, "mail_refused"),
    ("MAIL", "555 5.5.4 Unsupported option", REFUSED, "mail_refused"),
    ("MAIL", "535 5.7.8 Authentication failed", ReconnectRequiredError, "login_rejected"),
    ("MAIL", "534 5.7.9 Application-specific password", ReconnectRequiredError, "app_password_required"),
    ("MAIL", "535 5.7.139 SmtpClientAuthentication is disabled", CONFIGURE, "smtp_disabled"),
    ("MAIL", "530 5.7.0 Must issue a STARTTLS command first", CONFIGURE, "encryption_required"),
    ("MAIL", "454 4.7.0 Temporary authentication failure", RETRY, "provider_unavailable"),
    ("DATA", "250 2.0.0 What?", RETRY, "protocol_violation"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "reply", "kind", "code"), TABLE)
def test_a_refusal_means_what_the_table_says(place, reply, kind, code):
    number, _, text = reply.partition(" ")
    error = smtp_errors.from_reply(Place(place), int(number), text)
    assert type(error) is kind
    assert error.code == code


def test_every_row_of_the_table_is_met():
    """By some reply above it is the first that applies."""
    met = set()
    for place, reply, _kind, _code in TABLE:
        number, _, text = reply.partition(" ")
        match = smtp_errors._ENHANCED.match(text)
        enhanced = match[1] if match else ""
        rows = (row for row in SENDING if row.applies(Place(place), int(number), enhanced, text))
        met.add(next(rows, None))
    assert set(SENDING) <= met


@pytest.mark.parametrize(
    ("reply", "numbers"),
    [("550 5.1.1 <ann@customer.example> unknown", "550 5.1.1"), ("550 no ann@x.example", "550")],
)
def test_of_a_refusal_the_numbers_are_kept_and_no_address(reply, numbers):
    number, _, text = reply.partition(" ")
    error = smtp_errors.from_reply(Place.RCPT, int(number), text)
    assert isinstance(error, SendRefusedError)
    assert error.reply == numbers
    assert "@" not in str(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('5.1.1 <"john smith"@customer.example> unknown', "RCPT: 550 5.1.1 <…> unknown"),
        (
            "5.1.1 " + "x" * 275 + " john.smith@customer.example",
            "RCPT: 550 5.1.1 " + "x" * 275 + " …",
        ),
        ("5.1.1 x\njohn@customer.example\nx", "RCPT: 550 5.1.1 x·…·x"),
        ("5.1.1 User John.Smith unknown", "RCPT: 550 5.1.1 User … unknown"),
        ('5.1.1 "unknown" is x@y.example', 'RCPT: 550 5.1.1 "unknown" is …'),
    ],
    ids=["quoted", "where it is cut", "a line of its own", "without its domain", "beside quotes"],
)
def test_of_an_address_nothing_is_left_in_the_log(text, shown):
    error = smtp_errors.from_reply(Place.RCPT, 550, text, about="john.smith@customer.example")
    assert error.cause == shown


# ---- over the wire ----

SCENARIOS = {
    "sender_refused": (CONFIGURE, "sender_not_allowed"),
    "daily_limit": (RETRY, "sending_limit_reached"),
    "unknown_recipient": (REFUSED, "recipient_rejected"),
    "recipient_full": (RETRY, "recipient_full"),
    "recipient_temporary": (RETRY, "provider_unavailable"),
    "too_big": (REFUSED, "mail_too_large"),
    "mailbox_full": (REFUSED, "recipient_full"),
    "policy": (REFUSED, "mail_refused"),
    "data_temporary": (RETRY, "provider_unavailable"),
    "auth_failed": (ReconnectRequiredError, "login_rejected"),
    "auth_app_password": (ReconnectRequiredError, "app_password_required"),
    "auth_disabled_mailbox": (CONFIGURE, "smtp_disabled"),
    "auth_too_many_sessions": (RETRY, "too_many_connections"),
}


def test_every_refusal_of_a_mail_has_an_expected_end():
    before_mail = {"GREETING", "EHLO", "AUTH"}
    of_mail = {name for name, (place, _) in REPLIES.items() if place not in before_mail}
    assert of_mail <= set(SCENARIOS)


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_after_a_refusal_nobody_has_got_it(scenario, certificates, send_to):
    kind, code = SCENARIOS[scenario]
    with ScriptedSmtp(scenario, certificates=certificates) as server, pytest.raises(kind) as caught:
        send_to(server)
    assert type(caught.value) is kind
    assert caught.value.code == code
    assert not server.taken


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
def test_it_arrives_as_it_was_composed(security, certificates, send_to):
    with ScriptedSmtp(certificates=certificates, security=security) as server:
        accepted = send_to(server, security=security)
    assert not accepted.refused
    assert server.got(A) == [MAIL.content]
    (taken,) = server.taken
    assert (taken.sender, taken.recipients) == (MAIL.sender, (A,))
    assert f"MAIL FROM:<{MAIL.sender}> SIZE={len(MAIL.content)}".encode() in server.commands


def test_what_ends_without_a_line_end_is_given_one(certificates, send_to):
    with ScriptedSmtp(certificates=certificates) as server:
        send_to(server, replace(MAIL, content=b"Subject: hi\r\n\r\nhello"))
    assert server.got(A) == [b"Subject: hi\r\n\r\nhello\r\n"]


def test_some_refused_are_named_each_with_its_reason_and_the_others_get_it(certificates, send_to):
    answers = {B: "550 5.1.1 No such user", C: "450 4.7.1 Greylisted, come back"}
    with ScriptedSmtp(certificates=certificates, recipients=answers) as server:
        accepted = send_to(server, TO_THREE)
    assert {one: (type(why), why.code) for one, why in accepted.refused.items()} == {
        B: (SendRefusedError, ErrorCode.RECIPIENT_REJECTED),
        C: (RetryLaterError, ErrorCode.RATE_LIMITED),
    }
    assert [len(server.got(one)) for one in (A, B, C)] == [1, 0, 0]


def test_all_refused_for_good_ends_before_any_content(certificates, send_to):
    answers = {A: "550 5.1.1 No such user", B: "552 5.2.2 Full", C: "550 5.1.1 No such user"}
    with (
        ScriptedSmtp(certificates=certificates, recipients=answers) as server,
        pytest.raises(SendRefusedError) as caught,
    ):
        send_to(server, TO_THREE)
    assert b"DATA" not in server.commands
    assert caught.value.code is ErrorCode.RECIPIENT_REJECTED
    assert caught.value.reply == "550 5.1.1"
    assert {one: why.code for one, why in caught.value.refused.items()} == {
        A: ErrorCode.RECIPIENT_REJECTED,
        B: ErrorCode.RECIPIENT_FULL,
        C: ErrorCode.RECIPIENT_REJECTED,
    }


def test_all_refused_some_for_now_is_told_of_each_before_any_content(certificates, send_to):
    answers = {A: "550 5.1.1 No such user", B: "450 4.7.1 Later", C: "450 4.2.1 Later"}
    with (
        ScriptedSmtp(certificates=certificates, recipients=answers) as server,
        send_to.session(server) as session,
        pytest.raises(RetryLaterError) as caught,
    ):
        session.prepare(TO_THREE, None)
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert {one: (type(why), why.code) for one, why in caught.value.refused.items()} == {
        A: (SendRefusedError, ErrorCode.RECIPIENT_REJECTED),
        B: (RetryLaterError, ErrorCode.RATE_LIMITED),
        C: (RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    }


LATER_REFUSALS = {
    "for good, at DATA": ({"DATA": "554 5.7.1 Spam"}, REFUSED, "mail_refused"),
    "for good, at its end": ({"DOT": "554 5.7.1 Spam"}, REFUSED, "mail_refused"),
    "for now, at DATA": ({"DATA": "451 4.3.0 Later"}, RETRY, "provider_unavailable"),
    "for now, at its end": ({"DOT": "451 4.3.0 Later"}, RETRY, "provider_unavailable"),
    "hanging up": ({"RCPT": "421 4.3.2 Shutting down"}, RETRY, "provider_unavailable"),
}


@pytest.mark.parametrize("when", LATER_REFUSALS)
def test_a_refusal_of_all_leaves_who_was_refused_before_its_own_reason(when, certificates, send_to):
    replies, kind, code = LATER_REFUSALS[when]
    answers = {A: "550 5.1.1 No such user"}
    with (
        ScriptedSmtp(certificates=certificates, recipients=answers, replies=replies) as server,
        pytest.raises(kind) as caught,
    ):
        send_to(server, TO_THREE)
    assert caught.value.code == code
    assert {one: (why.code, why.reply) for one, why in caught.value.refused.items()} == {
        A: (ErrorCode.RECIPIENT_REJECTED, "550 5.1.1")
    }
    assert not server.taken


def test_one_session_can_ask_twice(certificates, send_to):
    with ScriptedSmtp(certificates=certificates) as server, send_to.session(server) as session:
        session.prepare(TO_THREE, None)
        session.prepare(MAIL, None)
        session.send(MAIL, None)
    assert [len(server.got(one)) for one in (A, B, C)] == [1, 0, 0]


def test_what_was_prepared_and_not_sent_is_dropped(certificates, send_to):
    with ScriptedSmtp(certificates=certificates) as server, send_to.session(server) as session:
        session.prepare(MAIL, None)
    assert not server.messages


# ---- faults ----


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_fault_in_place_of_the_last_answer_leaves_the_outcome_unknown(
    fault, certificates, send_to, monkeypatch
):
    monkeypatch.setattr(submission, "VERDICT_SECONDS", 0.4)
    answers = {B: "550 5.1.1 No such user"}
    with (
        ScriptedSmtp(fault, at="dot", certificates=certificates, recipients=answers) as server,
        pytest.raises(OutcomeUnknownError) as caught,
    ):
        send_to(server, TO_THREE)
    assert len(server.got(A)) == 1
    # Who was refused before is not in doubt.
    assert {one: why.code for one, why in caught.value.refused.items()} == {
        B: ErrorCode.RECIPIENT_REJECTED
    }


@pytest.mark.parametrize("place", ["greeting", "auth", "mail", "rcpt", "data"])
@pytest.mark.parametrize("fault", ["drop", "half_line", "reset", "silence", "flood", "garbage"])
def test_a_fault_before_the_content_is_tried_again(
    fault, place, certificates, send_to, monkeypatch
):
    monkeypatch.setattr(submission, "STEP_SECONDS", 0.4)
    with (
        ScriptedSmtp(fault, at=place, certificates=certificates) as server,
        pytest.raises(RetryLaterError),
    ):
        send_to(server, login=0.5)
    assert not server.messages


def test_a_line_cut_amid_the_content_has_sent_nothing(certificates, send_to, monkeypatch):
    def cut(wire, _envelope):
        wire.send(b"354 Go ahead\r\n")
        wire.read_line()
        wire.reset()

    with ScriptedSmtp(certificates=certificates) as server:
        monkeypatch.setattr(server, "_data", cut)
        large = replace(MAIL, content=MAIL.content + b"x" * 70 + b"\r\n" * 2_000_000)
        with pytest.raises(RetryLaterError):
            send_to(server, large)
    assert not server.messages


def test_time_is_up_for_the_whole_session(certificates, network, grant_for):
    sender = ImapSender(network)
    with (
        ScriptedSmtp("silence", at="mail", certificates=certificates) as server,
        sender.open(grant_for(server), seconds=0.6) as session,
        pytest.raises(RetryLaterError) as caught,
    ):
        session.prepare(MAIL, None)
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


@pytest.fixture
def clock():
    """Our time, which a test may let pass."""

    class Clock:
        passed = 0.0

        def __call__(self):
            return time.monotonic() + self.passed

    return Clock()


@pytest.fixture
def for_230_seconds(certificates, grant_for, clock):
    @contextmanager
    def session(server):
        network = Network(loopback_policy(certificates.authority), monotonic=clock)
        with ImapSender(network).open(grant_for(server), seconds=230) as opened:
            yield opened

    return session


def test_who_cannot_be_asked_for_in_time_waits_and_the_others_get_it(
    certificates, for_230_seconds, clock, monkeypatch
):
    with ScriptedSmtp(certificates=certificates) as server:
        answer = server._address

        def slowly(wire, name, *more):
            clock.passed += 55 if name == "RCPT" else 0
            answer(wire, name, *more)

        monkeypatch.setattr(server, "_address", slowly)
        with for_230_seconds(server) as session:
            session.prepare(TO_THREE, None)
            accepted = session.send(TO_THREE, None)
    codes = {one: why.code for one, why in accepted.refused.items()}
    assert codes == dict.fromkeys((B, C), ErrorCode.CONNECTION_TIMED_OUT)
    assert [len(server.got(one)) for one in (A, B, C)] == [1, 0, 0]


@pytest.mark.parametrize("is_begun", [False, True])
def test_without_the_time_to_hear_what_became_of_a_mail_nobody_gets_it(
    is_begun, certificates, for_230_seconds, clock, monkeypatch
):
    def slowly(content):
        clock.passed += 115
        return stuffed(content)

    stuffed = submission.stuffed
    with ScriptedSmtp(certificates=certificates) as server:
        with for_230_seconds(server) as session, pytest.raises(RetryLaterError) as caught:
            session.prepare(MAIL, None)
            if is_begun:
                monkeypatch.setattr(submission, "stuffed", slowly)
            else:
                clock.passed += 115
            session.send(MAIL, None)
        assert (b"DATA" in server.commands) == is_begun
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    assert not server.messages


# ---- what is never written ----


@pytest.mark.parametrize(
    "bad",
    ["a\r\nRCPT TO:<x@y.example>@b.example", "a>b@c.example", "a b@c.d", "a", "\udcff@b.example"],
)
@pytest.mark.parametrize("field", ["sender", "recipients"])
def test_no_address_ends_its_command(field, bad, certificates, send_to):
    mail = replace(MAIL, **{field: (bad,) if field == "recipients" else bad})
    with ScriptedSmtp(certificates=certificates) as server:
        with pytest.raises(RequestError):
            send_to(server, mail)
        assert not [one for one in server.commands if one.startswith((b"MAIL", b"RCPT"))]


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\r", b"\r\n.\n", b"\0"])
def test_nothing_in_a_mail_can_be_taken_for_its_end(end, certificates, send_to):
    smuggled = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nSubject: two\r\n\r\n"
    mail = replace(MAIL, content=MAIL.content + end + smuggled)
    with ScriptedSmtp(certificates=certificates) as server:
        with pytest.raises(RequestError):
            send_to(server, mail)
        assert not server.messages


def test_a_dot_alone_is_a_line_of_the_mail(certificates, send_to):
    mail = replace(MAIL, content=MAIL.content + b"\r\n.\r\nDATA\r\n.\r\n")
    with ScriptedSmtp(certificates=certificates) as server:
        send_to(server, mail)
    assert server.got(A) == [mail.content]


# ---- what a server can carry ----


@pytest.mark.parametrize(("told", "is_sent"), [("20", False), ("0", True), ("", True), ("x", True)])
def test_a_mail_larger_than_is_taken_is_not_begun(told, is_sent, certificates, send_to):
    with ScriptedSmtp(certificates=certificates, features=[f"SIZE {told}".strip()]) as server:
        if is_sent:
            send_to(server)
            return
        with pytest.raises(SendRefusedError) as caught:
            send_to(server)
        assert caught.value.code is ErrorCode.MAIL_TOO_LARGE
        assert not [one for one in server.commands if one.startswith(b"MAIL")]


def test_without_a_size_told_none_is_said(certificates, send_to):
    with ScriptedSmtp(certificates=certificates, features=[]) as server:
        send_to(server)
        assert f"MAIL FROM:<{MAIL.sender}>".encode() in server.commands


def test_letters_beyond_ascii_go_where_they_are_taken(certificates, send_to):
    mail = replace(
        MAIL, recipients=("jörg@bücher.example", A), content="Subject: ü\r\n\r\nü\r\n".encode()
    )
    with ScriptedSmtp(certificates=certificates, features=[*FEATURES, "SMTPUTF8"]) as server:
        send_to(server, mail)
        assert b"BODY=8BITMIME SMTPUTF8" in server.received
    assert server.got("jörg@xn--bcher-kva.example") == [mail.content]


def test_who_cannot_be_written_to_there_is_named_and_the_others_get_it(certificates, send_to):
    mail = replace(MAIL, recipients=("jörg@customer.example", A, "bob@bücher.example"))
    with ScriptedSmtp(certificates=certificates) as server:
        accepted = send_to(server, mail)
    assert {one: why.code for one, why in accepted.refused.items()} == {
        "jörg@customer.example": ErrorCode.ADDRESS_NOT_SUPPORTED
    }
    assert server.taken[0].recipients == (A, "bob@xn--bcher-kva.example")


@pytest.mark.parametrize(
    ("content", "features", "code"),
    [
        ("Subject: ü\r\n\r\nhello\r\n", FEATURES, ErrorCode.ADDRESS_NOT_SUPPORTED),
        ("Subject: hi\r\n\r\nü\r\n", ["SMTPUTF8"], ErrorCode.MAIL_REFUSED),
    ],
)
def test_a_mail_a_server_cannot_carry_is_refused(content, features, code, certificates, send_to):
    with (
        ScriptedSmtp(certificates=certificates, features=features) as server,
        pytest.raises(SendRefusedError) as caught,
    ):
        send_to(server, replace(MAIL, content=content.encode()))
    assert caught.value.code is code
    assert not server.messages


def test_a_grant_that_is_no_login_opens_nothing(network):
    with pytest.raises(TypeError), ImapSender(network).open(object()):
        pass


def test_sending_needs_preparing(certificates, send_to):
    with (
        ScriptedSmtp(certificates=certificates) as server,
        send_to.session(server) as session,
        pytest.raises(ValueError, match="prepared"),
    ):
        session.send(MAIL, None)
