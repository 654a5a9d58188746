"""How mail leaves by Graph: what each refusal means, what is seen after a doubt, large files, ids."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default

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
from shared.domain.ids import ProviderMessageId, TenantId
from shared.domain.message import FetchedMessage, Flags, StoredAttachment
from shared.mime.parse import MimeParser
from shared.ports.provider import OAuthGrant
from shared.ports.sending import Accepted, Sighting
from shared.providers.outlook.drafts import WHOLE_BYTES
from shared.providers.outlook.sending import LEAVES_WITHIN
from tests.contract.outlook_send_world import at_graph
from tests.contract.outlook_world import CLIENT, OTHER, OWNER, PERSONAL, sign_in_as
from tests.contract.provider_worlds import NOW
from tests.contract.renewed_tokens import RenewedTokens

CREATES, SENDS = r"^POST /v1\.0/me/messages$", r"/send$"
MIB = 1 << 20


@pytest.fixture
def world(request):
    with at_graph(request) as made:
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


def file(world, mail, accepted):
    with world.session() as session:
        return session.file(mail, accepted)


def arm(world, fault, **more):
    world.simulator.faults.arm(fault, **more)


def asked(world):
    return [entry.route for entry in world.simulator.log.entries()]


# ---- what it costs ----


def test_a_mail_costs_a_look_its_draft_its_sending_and_its_copy(world):
    mail = world.mail()
    world.simulator.log.clear()
    draft = prepared(world, mail)
    message = file(world, mail, send(world, mail, draft))
    assert message.provider_message_id == draft
    assert asked(world) == [
        "messages.list",
        "messages.create",
        "messages.send",
        "messages.get",
        "folders.get",
    ]


# ---- refusals ----

REFUSALS = [
    (413, "ErrorMessageSizeExceeded", SendRefusedError, "mail_too_large"),
    (403, "ErrorMessageSubmissionBlocked", ReconnectRequiredError, "browser_login_required"),
    (429, "ErrorExceededMessageLimit", RetryLaterError, "sending_limit_reached"),
    (507, "ErrorQuotaExceeded", RetryLaterError, "mailbox_full"),
]


@pytest.mark.parametrize(("status", "code", "kind", "means"), REFUSALS)
def test_a_refusal_is_told_by_its_code_and_nobody_has_got_it(world, status, code, kind, means):
    mail = world.mail()
    for route in (CREATES, SENDS):
        draft = prepared(world, mail) if route == SENDS else None
        arm(world, "graph_error", status=status, code=code, route=route, retry_after=1800)
        with pytest.raises(kind) as caught:
            send(world, mail, draft) if draft else prepared(world, mail)
        assert caught.value.code == means
        if kind is RetryLaterError:
            assert caught.value.retry_after_seconds == 1800
    assert world.simulator.delivered == ()
    assert look(world, mail, draft) == (Sighting.UNSEEN, None)
    send(world, mail, draft)
    assert len(world.received(OTHER)) == 1


def test_a_sender_that_is_not_the_mailboxs_own_is_refused(world):
    mail = world.mail()
    foreign = mail.content.replace(OWNER.encode(), b"boss@contoso.example")
    mail = replace(mail, content=foreign, blind_copy=foreign)
    with pytest.raises(ConfigurationError) as caught:
        send(world, mail, prepared(world, mail))
    assert caught.value.code is ErrorCode.SENDER_NOT_ALLOWED
    assert world.simulator.delivered == ()


@pytest.mark.parametrize("odd", ["html", "empty_body", "not_an_object"])
def test_what_is_no_draft_is_tried_again_and_leaves_one_at_most(world, odd):
    mail = world.mail()
    arm(world, odd, route=CREATES)
    with pytest.raises(RetryLaterError):
        prepared(world, mail)
    prepared(world, mail)
    assert world.drafts() == 1


def test_a_short_wish_is_granted_before_anything_was_done(world):
    mail = world.mail()
    for route in (CREATES, SENDS):
        arm(world, "throttled", route=route, retry_after=5)
    send(world, mail, prepared(world, mail))
    assert (world.drafts(), len(world.received(OTHER))) == (0, 1)


def test_a_token_that_ended_is_renewed_and_the_mail_leaves_once(world):
    mail = world.mail()
    draft = prepared(world, mail)
    arm(world, "unauthorized", route=SENDS)
    send(world, mail, draft)
    assert len(world.received(OTHER)) == 1
    arm(world, "unauthorized", route=SENDS, times=2)
    other = world.mail()
    with pytest.raises(ReconnectRequiredError):
        send(world, other, prepared(world, other))
    assert len(world.received(OTHER)) == 1


# ---- doubts ----


def in_doubt(world, mail, ago):
    now = datetime.fromtimestamp(world.simulator.clock.epoch(), UTC)
    return replace(mail, handed_over_at=now - ago)


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("cut_before_work", {}),
        ("gateway_timeout", {}),
        ("status", {"status": 408}),
        ("html", {"status": 502}),
    ],
)
def test_after_a_doubt_the_same_draft_is_sent_once_its_time_is_up(world, fault, more):
    mail = world.mail()
    draft = prepared(world, mail)
    arm(world, fault, route=SENDS, **more)
    with pytest.raises(OutcomeUnknownError):
        send(world, mail, draft)
    for ago in (timedelta(), LEAVES_WITHIN - timedelta(seconds=30)):
        assert look(world, in_doubt(world, mail, ago), draft) == (Sighting.UNSEEN, None)
    assert look(world, mail, draft) == (Sighting.UNSEEN, None)
    late = in_doubt(world, mail, LEAVES_WITHIN + timedelta(seconds=5))
    for known in (draft, None):
        assert look(world, late, known) == (Sighting.NOT_SENT, None)
    with world.session() as session:
        assert session.prepare(mail, draft) == draft
        session.send(mail, draft)
    assert len(world.received(OTHER)) == 1
    assert look(world, late, draft)[0] is Sighting.SENT


def test_a_connection_that_never_was_leaves_no_doubt(world, monkeypatch):
    mail = world.mail()
    draft = prepared(world, mail)

    def refused(*_arguments):
        raise RetryLaterError(ErrorCode.CONNECTION_FAILED)

    monkeypatch.setattr(world.world.http, "connect", refused)
    with pytest.raises(RetryLaterError) as caught:
        send(world, mail, draft)
    assert caught.value.code is ErrorCode.CONNECTION_FAILED


def test_what_was_accepted_and_has_not_left_is_unseen_until_it_has(world):
    mail = world.mail()
    draft = prepared(world, mail)
    arm(world, "sends_late", seconds=600)
    accepted = send(world, mail, draft)
    before = world.simulator.clock.offset_seconds
    assert file(world, mail, accepted) is None
    assert world.simulator.clock.offset_seconds - before < 10
    assert look(world, in_doubt(world, mail, timedelta()), draft) == (Sighting.UNSEEN, None)
    world.simulator.clock.advance(600)
    assert look(world, mail, draft)[0] is Sighting.SENT
    assert file(world, mail, accepted).provider_message_id == draft


def test_what_leaves_within_seconds_is_filed_at_once(world):
    mail = world.mail()
    arm(world, "sends_late", seconds=3)
    accepted = send(world, mail, prepared(world, mail))
    assert file(world, mail, accepted) is not None


def test_what_waits_in_the_outbox_is_never_taken_for_unsent(world):
    mail = world.mail()
    draft = prepared(world, mail)
    world.mailbox.move(draft, "outbox")
    assert look(world, in_doubt(world, mail, timedelta(days=1)), draft)[0] is Sighting.UNSEEN


class Worker:
    """Brings a mail on as workers do, one after another; each remembers what was written down."""

    def __init__(self, world, mail) -> None:
        self.world, self.mail = world, mail
        self.draft = self.handed_over_at = self.accepted = None

    def work(self) -> bool:
        """Make one try; return whether the mail is sent and filed."""
        try:
            with self.world.session() as session:
                return self._go_on(session)
        except (RetryLaterError, OutcomeUnknownError):
            return False

    def _go_on(self, session) -> bool:
        if self.accepted is None and self.handed_over_at is not None:
            self.world.simulator.clock.advance(600)
            mail = replace(self.mail, handed_over_at=self.handed_over_at)
            sighting, self.accepted = session.look_up(mail, self.draft)
            if sighting is Sighting.UNSEEN:
                return False
        if self.accepted is None:
            self.draft = session.prepare(self.mail, self.draft)
            self.handed_over_at = datetime.fromtimestamp(self.world.simulator.clock.epoch(), UTC)
            try:
                self.accepted = session.send(self.mail, self.draft)
            except RetryLaterError:
                self.handed_over_at = None
                raise
        return session.file(self.mail, self.accepted) is not None


@pytest.mark.parametrize("size", [0, 3 * MIB])
def test_cut_off_at_any_request_before_or_after_it_was_done_a_mail_leaves_once(world, size):
    model = large(world, size) if size else world.mail()
    routes = whole_way(world, model)
    # From the draft on all are alike.
    requests = routes.index("messages.send") if size else len(routes)
    cuts = [(name, at) for name in ("cut_before_work", "cut_after_work") for at in range(requests)]
    for number, (fault, at) in enumerate(cuts):
        arm(world, fault, after=at, route=r"^(GET|POST|PUT|DELETE) /(v1\.0|api)/")
        whole_way(world, named(model, f"<cut-{number}@mailroom.example>"))
        assert len(world.received(OTHER)) == number + 2, (fault, at)
        assert world.drafts() == 0
    assert not any(one.times for one in world.simulator.faults.armed())


def named(mail, name):
    old, new = mail.internet_message_id.encode(), name.encode()
    return replace(
        mail,
        internet_message_id=name,
        content=mail.content.replace(old, new),
        blind_copy=mail.blind_copy.replace(old, new),
    )


def whole_way(world, mail) -> list[str]:
    world.simulator.log.clear()
    worker = Worker(world, mail)
    assert any(worker.work() for _ in range(4))
    return asked(world)


# ---- what the mailbox's owner does meanwhile ----


def test_a_draft_that_vanished_is_made_again_and_what_vanished_in_doubt_is_unseen(world):
    mail = world.mail()
    draft = prepared(world, mail)
    arm(world, "delete_on_send")
    with pytest.raises(RetryLaterError):
        send(world, mail, draft)
    assert look(world, in_doubt(world, mail, timedelta(days=1)), draft) == (Sighting.UNSEEN, None)
    with world.session() as session:
        session.send(mail, session.prepare(mail, draft))
    assert len(world.received(OTHER)) == 1


def test_a_draft_its_owner_has_sent_is_sent(world):
    mail = world.mail()
    draft = prepared(world, mail)
    send(world, mail, draft)
    with world.session() as session:
        accepted = session.send(mail, session.prepare(mail, draft))
        session.discard(draft)
    assert accepted.provider_message_id == draft
    assert len(world.received(OTHER)) == 1
    assert file(world, mail, accepted) is not None


def test_what_its_owner_moved_is_sent_and_left_to_sync(world):
    mail = world.mail()
    accepted = send(world, mail, prepared(world, mail))
    world.mailbox.move(accepted.provider_message_id, "archive")
    assert look(world, mail, accepted.provider_message_id)[0] is Sighting.SENT
    assert file(world, mail, accepted) is None


def test_a_mail_to_oneself_is_filed_as_the_one_that_was_sent(world):
    mail = world.mail(to=[OWNER])
    accepted = send(world, mail, prepared(world, mail))
    sighting, seen = look(world, mail, None)
    assert (sighting, seen.provider_message_id) == (Sighting.SENT, accepted.provider_message_id)
    assert file(world, mail, Accepted()).provider_message_id == accepted.provider_message_id


# ---- ids ----


def identity(raw):
    whole = FetchedMessage(ProviderMessageId("any"), NOW, len(raw), Flags(), raw=raw)
    parsed = MimeParser().parse(whole)
    kept = [
        StoredAttachment(one.filename, one.content_type, one.size, digest=str(hash(one.content)))
        for one in parsed.attachments
    ]
    return thread_and_message_id(TenantId("acme"), parsed, kept)


def as_sync_reads_it(world, address):
    signed_in = sign_in_as(world.simulator, world.world.sign_in, address)
    tokens = RenewedTokens(world.world.sign_in, CLIENT, signed_in.tokens, world.simulator.clock)
    other = type(world)(world.world)
    other.grant = OAuthGrant(tokens)
    with world.provider.open(other.grant) as session:
        seen = session.look({}, lambda _: False, now=NOW)
        (inbox,) = [one for one in seen.folders if one.role == "inbox"]
    (message,) = other.listed(inbox.id).values()
    return message


@pytest.mark.parametrize("replaced", [False, True])
def test_the_stored_copy_is_the_message_that_recipients_have(world, replaced):
    mail = world.mail(to=[OTHER, "dan@customer.example"], bcc=[PERSONAL])
    if replaced:
        arm(world, "own_message_id")
    accepted = send(world, mail, prepared(world, mail))
    sighting, seen = look(world, mail, accepted.provider_message_id)
    assert sighting is Sighting.SENT
    assert (seen.internet_message_id is not None) == replaced
    ours = identity(file(world, mail, accepted).raw)
    assert ours == identity(world.received("dan@customer.example")[0])
    assert ours == identity(as_sync_reads_it(world, OTHER).raw)


def test_an_answer_is_in_the_conversation_of_what_it_answers(world):
    question = world.mailbox.deliver(
        b"From: kim@customer.example\r\nTo: ada@contoso.example\r\nSubject: Price?\r\n"
        b"Message-ID: <question@customer.example>\r\n\r\nHow much?\r\n"
    )
    mail = world.mail(subject="Re: Price?")
    message = file(world, mail, send(world, mail, prepared(world, mail)))
    with world.provider.open(world.grant) as session:
        seen = session.look({}, lambda _: False, now=NOW)
        (inbox,) = [one for one in seen.folders if one.role == "inbox"]
    assert message.provider_thread_id == world.listed(inbox.id)[question].provider_thread_id


# ---- large mail ----


def large(world, *sizes, text="Guten Tag\n", html="", picture=0):
    mail = world.mail(attached=None)
    message = EmailMessage(policy=SMTP)
    for name, value in message_from_bytes(mail.content, policy=default).items():
        if name in ("From", "To", "Subject", "Message-ID", "Date", "In-Reply-To", "References"):
            message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
        html_part = message.get_payload()[1]
        html_part.add_related(b"p" * picture, "image", "png", cid="<logo@x>", filename="logo.png")
    for number, size in enumerate(sizes):
        message.add_attachment(
            bytes([number]) * size, "application", "pdf", filename=f"Plan ü{number}.pdf"
        )
    content = message.as_bytes()
    return replace(mail, content=content, blind_copy=f"Bcc: {PERSONAL}\r\n".encode() + content)


def test_a_large_mail_is_put_together_and_arrives_whole(world):
    sizes = (9 * MIB, 2 * MIB, 3 * MIB)
    mail = large(world, *sizes, html='<img src="cid:logo@x">', picture=MIB)
    world.simulator.log.clear()
    draft = prepared(world, mail)
    routes = asked(world)
    assert routes.count("attachments.session") == 2
    assert routes.count("attachments.upload") == 3 + 1
    assert routes.count("attachments.create") == 2
    send(world, mail, draft)
    arrived = message_from_bytes(world.received(OTHER)[0], policy=default)
    assert arrived["Message-ID"] == mail.internet_message_id
    assert arrived["References"] == "<first@customer.example> <question@customer.example>"
    assert arrived["Bcc"] is None
    files = {one.get_filename(): one for one in arrived.walk() if one.get_filename()}
    assert files.pop("logo.png")["Content-ID"] == "<logo@x>"
    assert {name: len(one.get_content()) for name, one in files.items()} == {
        f"Plan ü{number}.pdf": size for number, size in enumerate(sizes)
    }
    assert "cid:logo@x" in arrived.get_body(("html",)).get_content()
    assert arrived.get_body(("plain",)).get_content().strip() == "Guten Tag"
    assert len(world.received(PERSONAL)) == 1


@pytest.mark.parametrize("route", [r"/createUploadSession$", r"^PUT /api/", r"/attachments$"])
def test_what_was_left_half_put_together_is_put_together_anew(world, route):
    mail = large(world, 4 * MIB, MIB)
    arm(world, "cut_after_work", route=route)
    with pytest.raises(RetryLaterError):
        prepared(world, mail)
    draft = prepared(world, mail)
    assert world.drafts() == 1
    assert look(world, in_doubt(world, mail, timedelta(hours=1)), draft)[0] is Sighting.NOT_SENT
    send(world, mail, draft)
    (raw,) = world.received(OTHER)
    assert len(list(message_from_bytes(raw, policy=default).iter_attachments())) == 2


def test_no_token_goes_to_where_a_file_is_put(world):
    # The simulator refuses one; so does whoever else it would be told to.
    mail = large(world, 4 * MIB)
    prepared(world, mail)
    assert [e.status for e in world.simulator.log.entries() if e.route == "attachments.upload"] == [
        200,
        201,
    ]


def test_a_mail_over_what_can_be_sent_is_refused(world):
    text = large(world, text="long line\n" * (WHOLE_BYTES // 8))
    with pytest.raises(SendRefusedError) as caught:
        prepared(world, text)
    assert caught.value.code is ErrorCode.MAIL_TOO_LARGE
    world.simulator.limits.message_bytes = MIB
    mail = large(world, 3 * MIB)
    draft = prepared(world, mail)
    with pytest.raises(SendRefusedError) as caught:
        send(world, mail, draft)
    assert caught.value.code is ErrorCode.MAIL_TOO_LARGE
    with world.session() as session:
        session.discard(draft)
    assert world.drafts() == 0


# ---- from which addresses ----


def test_an_alias_is_sent_from(world):
    world.simulator.add_user(OWNER, aliases=["Sales@contoso.example", "info@contoso.example"])
    mail = world.mail()
    alias = mail.content.replace(OWNER.encode(), b"sales@contoso.example")
    mail = replace(mail, content=alias, blind_copy=alias)
    send(world, mail, prepared(world, mail))
    assert b"From: sales@contoso.example" in world.received(OTHER)[0]
