"""How mail leaves by Gmail: what it costs, what each refusal means, and what is seen after a doubt."""

from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import format_datetime

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    OutcomeUnknownError,
    ReconnectRequiredError,
    RetryLaterError,
    SendRefusedError,
)
from shared.domain.identity import thread_and_message_id
from shared.domain.ids import TenantId
from shared.domain.message import FetchedMessage
from shared.mime.parse import MimeParser
from shared.ports.sending import Accepted, Outgoing, Sighting
from shared.providers.gmail.drafts import MOST_BYTES
from tests.contract.gmail_send_world import SENDS, GmailSendWorld, replacing
from tests.contract.provider_worlds import NOW

CREATES = r"^POST /upload/gmail/v1/users/me/drafts$"
GETS = r"^GET /gmail/v1/users/me/messages/[0-9a-f]+$"
ALIASES = [
    {"sendAsEmail": "sales@crm.example", "displayName": "Sales", "verificationStatus": "accepted"},
    {"sendAsEmail": "new@crm.example", "verificationStatus": "pending"},
]


@pytest.fixture
def world(request):
    with replacing(request) as made:
        yield made


def prepared(world, mail) -> str:
    with world.session() as session:
        return session.prepare(mail, None)


def send(world, mail, draft) -> Accepted:
    with world.session() as session:
        return session.send(mail, draft)


def look(world, mail, draft):
    with world.session() as session:
        return session.look_up(mail, draft)


def arm(world, fault, **more):
    world.simulator.faults.arm(fault, **more)


# ---- what it costs, and what is told ----


@pytest.mark.parametrize(("answers", "cost"), [(False, 156), (True, 161)])
def test_what_a_mail_costs_from_its_draft_to_its_copy(world, answers, cost):
    mail = world.mail()
    if not answers:
        content = mail.content.replace(b"In-Reply-To", b"X-In-Reply-To")
        mail = replace(mail, content=content)
    with world.session() as session:
        accepted = session.send(mail, session.prepare(mail, None))
        assert session.file(mail, accepted) is not None
        assert session.units == cost
    # Gmail counts the parts of a batch, and not the batch.
    assert sum(one.cost for one in world.simulator.log.entries()) == cost


def test_the_message_id_of_gmails_is_told_and_ours_is_not_told_again(world):
    for keeps in (False, True):
        world.simulator.limits.keeps_message_ids = keeps
        mail = world.mail()
        accepted = send(world, mail, prepared(world, mail))
        assert (accepted.internet_message_id is None) is keeps
        name = accepted.internet_message_id or mail.internet_message_id
        assert f"Message-ID: {name}\r\n".encode() in world.mailbox.raw(accepted.provider_message_id)


def test_what_was_sent_is_accepted_whatever_else_is_not_told(world):
    mail = world.mail()
    draft = prepared(world, mail)
    arm(world, "backend_error", route=GETS)
    accepted = send(world, mail, draft)
    assert accepted.internet_message_id is None
    assert world.sent() == [accepted.provider_message_id]


def test_our_copy_is_the_message_that_others_of_the_tenant_have(world):
    mail = world.mail(to=world.recipients[:1], bcc=world.recipients[1:2])
    accepted = send(world, mail, prepared(world, mail))
    with world.session() as session:
        message = session.file(mail, accepted)
    identities = set()
    for raw in (message.raw, *(world.received(one)[0] for one in mail.recipients)):
        parsed = MimeParser().parse(replace(message, raw=raw))
        identities.add(thread_and_message_id(TenantId("T"), parsed, ()))
    assert len(identities) == 1


@pytest.mark.parametrize(
    ("name", "is_asked_for"),
    [("question@customer.example", True), ("other@customer.example", True),
     ("question@customer.example OR in:inbox", False), ("{question@customer.example", False)],
)  # fmt: skip
def test_an_answer_asks_for_the_thread_of_the_message_it_names(world, name, is_asked_for):
    question = world.mailbox.deliver(
        b"From: bob@gmail.example\r\nSubject: Plans\r\n"
        b"Message-ID: <question@customer.example>\r\n\r\nx"
    )
    mail = world.mail(subject="Re: Plans")
    content = mail.content.replace(b"<question@customer.example>", f"<{name}>".encode(), 1)
    content = content.replace(b"References: ", b"X-References: ", 1)
    accepted = send(
        world, mail, prepared(world, replace(mail, content=content, blind_copy=content))
    )
    asked = [
        one for one in world.simulator.log.entries() if one.path.endswith("/users/me/messages")
    ]
    assert len(asked) == is_asked_for
    if is_asked_for:
        assert (accepted.provider_thread_id == question) is name.startswith("question")


def test_a_reply_is_in_its_thread_and_begins_one_where_that_is_gone(world):
    question = world.mailbox.deliver(
        b"From: bob@gmail.example\r\nSubject: Plans\r\n"
        b"Message-ID: <question@customer.example>\r\n\r\nx"
    )
    mail = replace(world.mail(subject="Re: Plans"), provider_thread_id=question)
    accepted = send(world, mail, prepared(world, mail))
    assert accepted.provider_thread_id == question
    lost = replace(world.mail(subject="Re: Others"), provider_thread_id="1234567890abcdef")
    accepted = send(world, lost, prepared(world, lost))
    assert accepted.provider_thread_id not in {question, "1234567890abcdef"}
    assert len(world.received(world.recipients[0])) == 2


def test_what_is_larger_than_gmail_takes_is_refused_before_it_is_sent(world):
    mail = replace(world.mail(), blind_copy=bytes(MOST_BYTES + 1))
    with pytest.raises(SendRefusedError) as refused:
        prepared(world, mail)
    assert refused.value.code is ErrorCode.MAIL_TOO_LARGE
    assert world.simulator.log.entries(route="drafts.create") == []


# ---- whose name it has ----


@pytest.mark.parametrize(
    ("sender", "may"),
    [("Sales@CRM.example", True), ("new@crm.example", False), ("eve@crm.example", False)],
)
def test_an_alias_is_sent_from_and_what_is_none_is_refused_while_nobody_has_got_it(
    world, sender, may
):
    world.simulator.add_user(world.address, send_as=ALIASES)
    mail = world.mail()
    old, new = f"From: {world.address}".encode(), f"From: {sender}".encode()
    mail = replace(mail, sender=sender, blind_copy=mail.blind_copy.replace(old, new))
    if may:
        send(world, mail, prepared(world, mail))
        assert new in world.received(world.recipients[0])[0]
        return
    with pytest.raises(ConfigurationError) as refused:
        prepared(world, mail)
    assert refused.value.code is ErrorCode.SENDER_NOT_ALLOWED
    assert world.drafts() == 0


# ---- refusals ----

REFUSALS = [
    ("sending_429", RetryLaterError, ErrorCode.SENDING_LIMIT_REACHED),
    ("concurrent_429", RetryLaterError, ErrorCode.TOO_MANY_CONNECTIONS),
    ("user_rate_limit_403", RetryLaterError, ErrorCode.RATE_LIMITED),
    ("daily_limit_403", RetryLaterError, ErrorCode.DAILY_LIMIT_REACHED),
    ("invalid_recipient_400", SendRefusedError, ErrorCode.RECIPIENT_REJECTED),
    ("too_large_413", SendRefusedError, ErrorCode.MAIL_TOO_LARGE),
    ("delegation_denied_403", ConfigurationError, ErrorCode.SENDER_NOT_ALLOWED),
    ("insufficient_scope_403", ReconnectRequiredError, ErrorCode.SCOPE_MISSING),
    ("domain_policy_403", ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    ("mail_not_enabled_400", ConfigurationError, ErrorCode.PROVIDER_API_DISABLED),
]


@pytest.mark.parametrize(("fault", "kind", "code"), REFUSALS, ids=[one[0] for one in REFUSALS])
def test_a_refusal_has_its_own_meaning_and_nobody_has_got_it(world, fault, kind, code):
    mail = world.mail()
    arm(world, fault, route=CREATES)
    with pytest.raises(kind) as refused:
        prepared(world, mail)
    assert refused.value.code is code
    assert world.drafts() == 0
    draft = prepared(world, mail)
    arm(world, fault, route=SENDS)
    with pytest.raises(kind) as refused:
        send(world, mail, draft)
    assert refused.value.code is code
    assert world.received(world.recipients[0]) == []
    assert look(world, mail, draft) == (Sighting.NOT_SENT, None)
    send(world, mail, draft)
    assert len(world.received(world.recipients[0])) == 1


@pytest.mark.parametrize("said", ["Message too large", "Something else"])
def test_a_refused_mail_says_what_is_wrong_as_far_as_that_is_told(world, said):
    draft = prepared(world, mail := world.mail())
    body = f'{{"error": {{"message": "{said}", "errors": [{{"reason": "invalidArgument"}}]}}}}'
    arm(world, "status", route=SENDS, status=400, body=body)
    with pytest.raises(SendRefusedError) as refused:
        send(world, mail, draft)
    expected = ErrorCode.MAIL_TOO_LARGE if "large" in said else ErrorCode.MAIL_REFUSED
    assert refused.value.code is expected


def test_a_limit_of_sending_says_how_long_it_lasts(world):
    draft = prepared(world, mail := world.mail())
    arm(world, "sending_429", seconds=7_200)
    with pytest.raises(RetryLaterError) as refused:
        send(world, mail, draft)
    assert refused.value.retry_after_seconds == pytest.approx(7_200, abs=5)


def test_a_token_that_ended_is_renewed_and_it_is_sent_once(world):
    draft = prepared(world, mail := world.mail())
    arm(world, "invalid_credentials_401", route=SENDS)
    send(world, mail, draft)
    assert len(world.received(world.recipients[0])) == 1


# ---- doubts ----


@pytest.mark.parametrize(
    "fault",
    [
        ("backend_error", {"status": 500}),
        ("backend_error", {"status": 503}),
        ("cut_before_work", {}),
        ("html", {}),
    ],
    ids=lambda one: f"{one[0]} {one[1]}",
)
def test_a_failure_leaves_a_doubt_that_the_draft_settles(world, fault):
    draft = prepared(world, mail := world.mail())
    arm(world, fault[0], route=SENDS, **fault[1])
    with pytest.raises(OutcomeUnknownError):
        send(world, mail, draft)
    assert look(world, mail, draft) == (Sighting.NOT_SENT, None)
    assert send(world, mail, draft).provider_message_id in world.sent()
    assert len(world.received(world.recipients[0])) == 1


def test_a_failure_before_anything_left_is_no_doubt(world):
    draft = prepared(world, mail := world.mail())
    world.simulator.service.stop()
    with pytest.raises(RetryLaterError):
        send(world, mail, draft)


def test_after_a_lost_answer_it_is_found_in_its_thread_with_what_gmail_calls_it(world):
    draft = prepared(world, mail := world.mail())
    world.lose_next_answer()
    with pytest.raises(OutcomeUnknownError):
        send(world, mail, draft)
    (name,) = world.sent()
    sighting, seen = look(world, mail, draft)
    assert sighting is Sighting.SENT
    assert seen.provider_message_id == name
    assert f"Message-ID: {seen.internet_message_id}\r\n".encode() in world.mailbox.raw(name)
    with world.session() as session:
        assert session.file(mail, seen).provider_thread_id == seen.provider_thread_id
    with pytest.raises(OutcomeUnknownError):
        send(world, mail, draft)
    assert len(world.received(world.recipients[0])) == 1


def test_a_draft_sent_by_hand_was_sent(world):
    draft = prepared(world, mail := world.mail())
    by_hand = world.mailbox.send_draft(draft.split(" ")[1])
    with world.session() as session:
        # A worker that knows nothing of it prepares nothing new.
        assert session.prepare(mail, draft) == draft
        with pytest.raises(OutcomeUnknownError):
            session.send(mail, draft)
    assert look(world, mail, draft)[1].provider_message_id == by_hand
    assert len(world.received(world.recipients[0])) == 1


def test_of_a_draft_deleted_by_hand_nothing_is_told(world):
    draft = prepared(world, mail := world.mail())
    world.mailbox.delete(draft.split(" ")[1])
    with pytest.raises(OutcomeUnknownError):
        send(world, mail, draft)
    assert look(world, mail, draft) == (Sighting.UNSEEN, None)
    with world.session() as session:
        assert session.file(mail, Accepted()) is None


@dataclass
class Worker:
    """Brings a mail as far as it gets, from what the one before it wrote down."""

    world: GmailSendWorld
    mail: Outgoing
    draft: str | None = None
    in_doubt: bool = False
    accepted: Accepted | None = None
    filed: FetchedMessage | None = None

    def work(self) -> None:
        with suppress(RetryLaterError, OutcomeUnknownError), self.world.session() as session:
            if self.in_doubt and self.accepted is None:
                sighting, self.accepted = session.look_up(self.mail, self.draft)
                self.in_doubt = sighting is not Sighting.NOT_SENT
            if not self.in_doubt:
                self.draft = session.prepare(self.mail, self.draft)
                self.in_doubt = True
                self.accepted = session.send(self.mail, self.draft)
            if self.accepted is not None:
                self.filed = session.file(self.mail, self.accepted)


STEPS = {
    "who may send": r"^GET .*/settings/sendAs$",
    "what was left": r"^GET .*/drafts$",
    "the draft": CREATES,
    "sending": SENDS,
    "its Message-ID": GETS,
    "its copy": r"^POST /batch",
}


@pytest.mark.parametrize("cut", ["cut_before_work", "cut_after_work"])
@pytest.mark.parametrize("route", STEPS.values(), ids=STEPS)
def test_wherever_the_connection_breaks_it_is_sent_once_and_leaves_no_draft(world, route, cut):
    worker = Worker(world, world.mail())
    arm(world, cut, route=route, times=3)
    for _ in range(3):
        worker.work()
    world.simulator.faults.clear()
    worker.work()
    (name,) = world.sent()
    assert worker.filed.provider_message_id == worker.accepted.provider_message_id == name
    assert len(world.received(world.recipients[0])) == 1
    assert world.drafts() == 0


def letter(world, number, to, *, date=None) -> bytes:
    return (
        f"From: {world.address}\r\nTo: {to}\r\nSubject: Plans\r\n"
        f"Date: {format_datetime(date or NOW)}\r\n"
        f"Message-ID: <by-hand-{number}@gmail.example>\r\n"
        "In-Reply-To: <question@customer.example>\r\n\r\nx\r\n"
    ).encode()


def test_other_mail_of_the_thread_is_not_taken_for_it(world):
    deliver, bob, eve = world.mailbox.deliver, *world.recipients[:2]
    question = deliver(
        b"Subject: Plans\r\nMessage-ID: <question@customer.example>\r\n\r\nx",
    )
    deliver(letter(world, 1, bob), folders=["SENT"])
    mail = replace(world.mail(to=[bob], subject="Plans"), provider_thread_id=question)
    draft = prepared(world, mail)
    deliver(letter(world, 2, eve), folders=["SENT"])
    deliver(letter(world, 3, f"{bob}.org, x{bob}"), folders=["SENT"])
    deliver(letter(world, 4, bob), folders=["INBOX"])
    world.mailbox.delete(draft.split(" ")[1])
    assert look(world, mail, draft) == (Sighting.UNSEEN, None)
    # What cannot be told from it is: somebody wrote to the same people meanwhile. Its date is ours.
    deliver(letter(world, 5, bob, date=NOW.replace(year=2020)), folders=["SENT"])
    other = deliver(letter(world, 6, f"Bob <{bob.upper()}>"), folders=["SENT"])
    assert look(world, mail, draft)[1].provider_message_id == other
    assert look(world, replace(mail, recipients=()), draft) == (Sighting.UNSEEN, None)


def test_a_draft_that_cannot_be_named_is_not_made_up(world):
    arm(world, "not_an_object", route=CREATES)
    with pytest.raises(RetryLaterError):
        prepared(world, world.mail())
    for written in ("", "r1", "r1 2 3 4"):
        with pytest.raises(ValueError, match="unpack"):
            send(world, world.mail(), written)
