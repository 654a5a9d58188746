"""What each viewer is shown of a message, and where it comes from."""

import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.schemas.mail import WholeMessage
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import (
    Address,
    ContactId,
    MailboxId,
    MessageId,
    TenantId,
    ThreadId,
    UserId,
)
from shared.domain.mailbox import EVERYONE, MailboxKind, Readers, Visibility, renamed
from shared.domain.message import Participant, ParticipantRole, StoredAttachment
from shared.domain.visibility import Access, Viewer
from shared.mime.caps import MAX_BODY_BYTES
from shared.mime.sanitise import Sanitised, sanitise
from shared.operations.quoted_text import split_quoted, split_signature
from shared.operations.read_mail import link_attachment, read_message, read_thread, read_timeline
from shared.operations.search_mail import MOST_MAILBOXES, Search, search_mail
from shared.operations.show_messages import redact
from tests.fakes.clock import FixedClock
from tests.fakes.mail import add_contact, add_mailbox, message_of, store
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

ANN = Viewer(TenantId("acme"), UserId("ann"))
BOB = Viewer(TenantId("acme"), UserId("bob"))
ADMIN = Viewer(TenantId("acme"), UserId("root"), is_admin=True)
CYD = Viewer(TenantId("acme"), UserId("cyd"))
STRANGER = Viewer(TenantId("other"), UserId("ann"))
SHARED = MailboxKind.SHARED
PART = StoredAttachment("a.pdf", "application/pdf", 3, digest="d")


@pytest.fixture
def world():
    return World()


def ports(world) -> Any:
    return {
        "messages": InMemoryMessageStore(world),
        "reader": InMemoryMailReader(world),
    }


def thread_page(world, viewer, thread_id, *, after=None, limit=100):
    return read_thread(viewer, thread_id, after=after, limit=limit, **ports(world))


def safe(html, *, inline):
    return Sanitised(f"safe:{html}", 2)


def opened_by(world, viewer, message_id, sanitise=safe):
    attachments = InMemoryAttachmentStore(world)
    return read_message(
        viewer, message_id, sanitise=sanitise, attachments=attachments, **ports(world)
    )


@pytest.mark.parametrize("access", [Access.METADATA, Access.SUBJECT, Access.FULL])
def test_redaction_leaves_what_the_level_names_and_no_more(access):
    message = message_of("a", bcc=("secret@x.example",), attachments=(PART,))
    secret = Address("secret@x.example")
    left = redact(message, access)
    assert (left.subject != "") == (access >= Access.SUBJECT)
    full = access is Access.FULL
    assert bool(left.snippet) == full
    assert bool(left.attachments) == full
    assert bool(left.headers) == full
    assert secret not in {one.address for one in left.participants}
    assert secret in {one.address for one in redact(message, access, {secret}).participants}
    assert left.id == message.id


@pytest.mark.parametrize("visibility", list(Visibility))
@pytest.mark.parametrize("viewer", [ANN, BOB, ADMIN], ids=["owner", "other", "admin"])
def test_a_personal_mailboxs_mail_with_a_contact_is_shown_at_its_level(world, viewer, visibility):
    box = add_mailbox(world, "A", visibility=visibility)
    add_contact(world, "c", "cleo@client.example")
    message = store(world, box, message_of("a", attachments=(PART,)), text="words")
    opened = opened_by(world, viewer, message.id)
    expected = Access.FULL if viewer is ANN else Access[visibility.name]
    assert opened.view.access is expected
    assert (opened.text == "words") == (expected is Access.FULL)
    assert (opened.html == "safe:<p>Hello</p>") == (expected is Access.FULL)
    assert opened.view.has_attachments
    page = read_timeline(viewer, ContactId("c"), before=None, limit=10, **ports(world))
    assert [view.access for view in page.items] == [expected]


@pytest.mark.parametrize("visibility", list(Visibility))
def test_a_blind_copy_shows_its_contact_to_nobody_who_may_not_see_it(world, visibility):
    box = add_mailbox(world, "A", visibility=visibility)
    add_contact(world, "c", "cleo@client.example")
    add_contact(world, "secret", "secret@x.example")
    both = store(world, box, message_of("a", bcc=("secret@x.example",)))
    alone = store(
        world, box, message_of("b", sender="ann@ours.example", to=(), bcc=("secret@x.example",))
    )

    def on_timeline(viewer, contact):
        page = read_timeline(viewer, ContactId(contact), before=None, limit=10, **ports(world))
        return {view.message.id for view in page.items}

    def contacts_shown(viewer):
        return opened_by(world, viewer, both.id).view.contacts

    is_full = visibility is Visibility.FULL
    assert on_timeline(ANN, "secret") == {both.id, alone.id}
    assert on_timeline(BOB, "secret") == ({both.id, alone.id} if is_full else set())
    assert on_timeline(BOB, "c") == {both.id}
    assert contacts_shown(ANN) == ("c", "secret")
    assert contacts_shown(BOB) == (("c", "secret") if is_full else ("c",))
    add_contact(world, "twin", "secret@x.example")
    ambiguous = {"secret@x.example": ["secret", "twin"]}
    assert opened_by(world, ANN, both.id).view.ambiguous == ambiguous
    assert opened_by(world, BOB, both.id).view.ambiguous == (ambiguous if is_full else {})
    if not is_full:
        with pytest.raises(RequestError):
            opened_by(world, BOB, alone.id)


@pytest.mark.parametrize("senders_first", [True, False])
def test_blind_recipients_are_told_to_those_who_read_the_copy_that_names_them(world, senders_first):
    """Whose copy came first decides what the content says, and nothing about who learns it."""
    sent = add_mailbox(world, "A", address="ann@ours.example", visibility=Visibility.SUBJECT)
    got = add_mailbox(world, "B", owner="bob", visibility=Visibility.FULL)
    hidden = "secret@x.example"
    add_contact(world, "secret", hidden)
    mail = message_of("a", sender="ann@ours.example", to=("b@ours.example",))
    named = (*mail.participants, Participant(ParticipantRole.BCC, Address(hidden)))
    stored = [(sent, replace(mail, participants=named)), (got, mail)]
    for box, copy in stored if senders_first else reversed(stored):
        store(world, box, copy)

    def told(viewer):
        shown = opened_by(world, viewer, mail.id).view
        page = read_timeline(viewer, ContactId("secret"), before=None, limit=10, **ports(world))
        is_told = Address(hidden) in {one.address for one in shown.message.participants}
        assert is_told == bool(shown.contacts) == bool(page.items)
        return is_told

    assert told(ANN)
    assert not told(BOB)
    world.mailboxes[sent.tenant_id, sent.id] = replace(sent, visibility=Visibility.FULL)
    assert told(BOB)


def test_a_blind_copy_who_is_to_be_answered_is_on_no_timeline_of_others(world):
    box = add_mailbox(world, "A")
    add_contact(world, "secret", "secret@x.example")
    message = message_of("a", bcc=("secret@x.example",))
    answer_to = Participant(ParticipantRole.REPLY_TO, Address("secret@x.example"))
    store(world, box, replace(message, participants=(*message.participants, answer_to)))
    page = read_timeline(BOB, ContactId("secret"), before=None, limit=10, **ports(world))
    assert page.items == ()


def test_the_most_open_mailbox_that_holds_it_decides(world):
    personal = add_mailbox(world, "A", owner="bob")
    granted = Readers((ANN.user_id,))
    team = add_mailbox(
        world, "T", owner="bob", kind=SHARED, visibility=Visibility.FULL, granted_to=granted
    )
    message = message_of("a")
    store(world, personal, message)
    with pytest.raises(RequestError):
        opened_by(world, ANN, message.id)
    store(world, team, message)
    assert opened_by(world, ANN, message.id).text == "Hello"


def test_a_thread_shows_each_message_at_its_own_level(world):
    mine = add_mailbox(world, "A")
    bobs = add_mailbox(world, "B", owner="bob")
    add_contact(world, "c", "cleo@client.example")
    first = store(world, mine, message_of("1", thread="t", minutes=1))
    store(world, bobs, message_of("2", thread="t", minutes=2))
    store(world, bobs, message_of("3", thread="t", minutes=3, sender="x@else.example", to=()))
    page = thread_page(world, ANN, first.thread_id)
    assert [view.access for view in page.items] == [Access.FULL, Access.METADATA]
    for viewer, thread_id in ((ANN, ThreadId("t" + "a" * 24)), (STRANGER, first.thread_id)):
        with pytest.raises(RequestError) as caught:
            thread_page(world, viewer, thread_id)
        assert caught.value.code is ErrorCode.THREAD_NOT_FOUND


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_the_pages_of_a_long_thread_lose_nothing_and_show_nothing_twice(world, limit):
    mine, bobs = add_mailbox(world, "A"), add_mailbox(world, "B", owner="bob")
    mails = [message_of(str(n), thread="t", minutes=n // 3) for n in range(130)]
    for n, mail in enumerate(mails):
        # Without a contact among its participants, Bob's is his alone.
        store(world, mine if n % 5 or n < 20 else bobs, mail)
    visible = {mail.id for n, mail in enumerate(mails) if n % 5 or n < 20}
    seen, after = [], None
    while True:
        page = thread_page(world, ANN, mails[0].thread_id, after=after, limit=limit)
        assert len(page.items) <= limit
        seen += page.items
        after = page.next
        if after is None:
            break
    assert len(seen) == len(visible) == len({view.message.id for view in seen})
    assert {view.message.id for view in seen} == visible
    assert [view.message.received_at for view in seen] == sorted(
        view.message.received_at for view in seen
    )


def test_a_message_without_html_or_body(world):
    box = add_mailbox(world, "A")
    message = store(world, box, message_of("a"), html=None)
    opened = opened_by(world, ANN, message.id)
    assert (opened.html, opened.blocked_images, opened.quoted_text) == (None, 0, None)
    world.bodies.clear()
    assert opened_by(world, ANN, message.id).text is None


@pytest.mark.parametrize("letter", ['"', "\\", "\x01", "\n", "&", ">", "x", "\U0001f600"])
def test_the_largest_body_makes_an_answer_that_can_be_sent(world, letter):
    box = add_mailbox(world, "A")
    body = letter * (MAX_BODY_BYTES // len(letter.encode()))
    message = store(world, box, message_of("a"), text=body, html=body)
    opened = opened_by(world, ANN, message.id, sanitise)
    answer = WholeMessage.opened(opened, ANN.tenant_id).model_dump_json()
    assert len(json.dumps({"body": answer}, ensure_ascii=False).encode()) < 5_000_000
    assert body.startswith(opened.text)
    whole = opened.text == body and opened.html is not None
    assert opened.cut == (not whole or letter == "&")


@pytest.mark.parametrize("name", ["x", "m" + "a" * 48, "t" + "a" * 24, "m#" + "a" * 47])
def test_an_id_of_no_message_is_unknown(world, name):
    with pytest.raises(RequestError) as caught:
        opened_by(world, ANN, MessageId(name))
    assert caught.value.code is ErrorCode.MESSAGE_NOT_FOUND


def test_an_attachment_needs_full_access_and_content(world):
    box = add_mailbox(
        world,
        "T",
        owner="bob",
        kind=SHARED,
        visibility=Visibility.SUBJECT,
        granted_to=EVERYONE,
    )
    missing = replace(PART, digest=None, missing="message_too_large")
    message = store(world, box, message_of("a", attachments=(PART, missing)))
    rest: Any = {
        "reader": InMemoryMailReader(world),
        "attachments": InMemoryAttachmentStore(world),
        "clock": FixedClock(),
    }

    def code_of(number):
        with pytest.raises(RequestError) as caught:
            link_attachment(ANN, message.id, number, **rest)
        return caught.value.code

    assert code_of(0) is ErrorCode.ATTACHMENT_NOT_FOUND
    world.mailboxes["acme", "T"] = replace(box, visibility=Visibility.FULL)
    assert code_of(1) is ErrorCode.ATTACHMENT_NOT_FOUND
    link = link_attachment(ANN, message.id, 0, **rest)
    assert (link.expires_at - FixedClock().now()).total_seconds() == 300


def test_images_a_message_brings_along_are_links(world):
    box = add_mailbox(world, "A")
    logo = StoredAttachment("l.png", "image/png", 3, inline=True, content_id="logo@x", digest="d")
    lost = StoredAttachment("m.png", "image/png", 3, content_id="lost@x", missing="too_large")
    html = '<img src="cid:logo@x"><img src="cid:lost@x"><img src="cid:other"><img src="https://x.example">'
    message = store(world, box, message_of("a", attachments=(PART, logo, lost)), html=html)
    opened = opened_by(world, ANN, message.id, sanitise)
    link = InMemoryAttachmentStore(world).link(
        box.tenant_id,
        "d",
        holder=next(iter(world.messages[box.tenant_id, message.id].copies)),
        filename="l.png",
        content_type="application/octet-stream",
        seconds=300,
    )
    assert f'<img src="{link.replace("&", "&amp;")}">' in opened.html
    assert '<img src="cid:lost@x"><img src="cid:other"><img>' in opened.html
    assert "img-src https://objects.invalid;" in opened.content_security_policy
    assert opened.blocked_images == 1


# ---- a shared mailbox ----


def test_a_shared_mailbox_is_read_by_those_it_is_granted_to_from_one_request_to_the_next(world):
    granted = Readers((BOB.user_id,))
    box = add_mailbox(world, "T", kind=SHARED, visibility=Visibility.SUBJECT, granted_to=granted)
    add_contact(world, "c", "cleo@client.example")
    mail = store(world, box, message_of("a"))

    def seen():
        found = {}
        for viewer in (ANN, BOB, CYD, ADMIN, STRANGER):
            with suppress(RequestError):
                found[viewer] = opened_by(world, viewer, mail.id).view.access
            if viewer.tenant_id == box.tenant_id:
                timeline = read_timeline(
                    viewer, ContactId("c"), before=None, limit=9, **ports(world)
                )
                for page in (timeline, search(world, viewer)):
                    shown = [view.access for view in page.items]
                    assert shown == [found[viewer]] if viewer in found else shown == []
        return found

    assert seen() == {ANN: Access.FULL, BOB: Access.SUBJECT}
    world.mailboxes[box.tenant_id, box.id] = replace(box, granted_to=EVERYONE)
    assert seen() == {
        ANN: Access.FULL,
        BOB: Access.SUBJECT,
        CYD: Access.SUBJECT,
        ADMIN: Access.SUBJECT,
    }
    world.mailboxes[box.tenant_id, box.id] = replace(box, granted_to=Readers())
    assert seen() == {ANN: Access.FULL}


# ---- hints ----


@dataclass
class LessTold(InMemoryMessageStore):
    """An index whose entries say less of their messages than there is."""

    told: Callable[[], bool] = bool

    def by_address(self, *args, **asked):
        return [
            replace(page, entries=[self._less(entry) for entry in page.entries])
            for page in super().by_address(*args, **asked)
        ]

    def _less(self, entry):
        return replace(
            entry,
            copies=frozenset(one for one in entry.copies if self.told()),
            addresses=frozenset(one for one in entry.addresses if self.told()),
        )


@given(seed=st.integers(0, 2**32), limit=st.integers(1, 30), share=st.floats(0, 1))
def test_what_entries_leave_out_changes_nothing_that_is_shown(seed, limit, share):
    """Nor is a page ever empty where there is something to see."""
    world, rng = World(), random.Random(seed)
    boxes = [add_mailbox(world, f"B{number}", owner="bob") for number in range(15)]
    add_contact(world, "c", "cleo@client.example", "cleo@home.example")
    for number in range(20):
        message = message_of(
            f"{number}",
            minutes=rng.randrange(9),
            sender=rng.choice(("cleo@client.example", "cleo@home.example")),
            cc=tuple(f"cc{one}@x.example" for one in range(rng.choice((0, 3, 90)))),
        )
        for box in rng.sample(boxes, rng.choice((1, 1, 2, 15))):
            store(world, box, message)

    def walk(messages, reader, limit):
        views, before = [], None
        while True:
            page = read_timeline(
                ANN, ContactId("c"), before=before, limit=limit, messages=messages, reader=reader
            )
            views += page.items
            if page.next is None:
                return views
            assert page.items
            before = page.next

    whole = walk(InMemoryMessageStore(world), InMemoryMailReader(world), 100)
    less = LessTold(world, lambda: rng.random() < share)
    assert walk(less, InMemoryMailReader(world), limit) == whole
    assert len({view.message.id for view in whole}) == len(whole) == 20


# ---- search ----


def search(world, viewer=ANN, **what):
    mailboxes = InMemoryMailboxStore(world)
    return search_mail(
        viewer, Search(**what), before=None, limit=50, mailboxes=mailboxes, **ports(world)
    )


def test_a_search_by_our_own_address_reads_the_mailboxes(world):
    ann = add_mailbox(world, "A", address="ann@ours.example")
    bob = add_mailbox(world, "B", owner="bob", address="bob@ours.example")
    mail = message_of("a", sender="ann@ours.example", to=("bob@ours.example",))
    store(world, ann, mail)
    store(world, bob, mail)
    assert [view.message.id for view in search(world, sender="ann@ours.example").items] == [mail.id]
    assert [view.message.id for view in search(world, recipient="bob@ours.example").items] == [
        mail.id
    ]
    assert search(world, sender="bob@ours.example").items == ()


def test_a_search_by_an_address_that_was_ours_reads_the_mailboxes_too(world):
    """What came while it was a mailbox's own is in no index under it."""
    box = renamed(add_mailbox(world, "A", address="old@ours.example"), "ann@ours.example")
    world.mailboxes[box.tenant_id, box.id] = box
    mail = message_of("a", sender="old@ours.example", to=("ann@ours.example",))
    store(world, box, mail)
    world.index.clear()
    assert [view.message.id for view in search(world, sender="old@ours.example").items] == [mail.id]


def test_a_search_without_a_mailbox_to_open_finds_nothing(world):
    add_mailbox(world, "B", owner="bob")
    assert search(world).items == ()
    assert search(world, ADMIN, mailbox_id=MailboxId("B")).items == ()
    with pytest.raises(RequestError) as caught:
        search(world, mailbox_id=MailboxId("B"))
    assert caught.value.code is ErrorCode.MAILBOX_NOT_FOUND


def test_with_very_many_mailboxes_one_must_be_named(world):
    for number in range(MOST_MAILBOXES + 1):
        add_mailbox(world, f"S{number}", kind=SHARED, granted_to=EVERYONE)
    with pytest.raises(RequestError) as caught:
        search(world)
    assert caught.value.fields[0][0] == "mailbox_id"
    assert search(world, mailbox_id=MailboxId("S1")).items == ()
    assert search(world, sender="cleo@client.example").items == ()


# ---- quoted text ----


@given(
    st.lists(st.sampled_from(["> a", ">", "hello", "", "Ann wrote:", "-- ", "On x,"]), max_size=9)
)
def test_no_letter_is_lost_by_splitting(lines):
    text = "\n".join(lines)
    own, quoted = split_quoted(text)
    assert own + quoted == text
    assert own.strip() or not quoted


@given(st.lists(st.sampled_from(["-- ", "--", "Ann", "", "Sent from my phone", "\r"]), max_size=20))
def test_no_letter_is_lost_by_taking_the_signature_off(lines):
    text = "\n".join(lines)
    own, signature = split_signature(text)
    assert own + signature == text
    assert own.strip() or not signature


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("Yes\n-- \nAnn\nBoss\n\n", "-- \nAnn\nBoss\n\n"),
        ("Yes\r\n--\r\nAnn", "--\r\nAnn"),
        ("Yes\n-- \nno\n-- \nAnn", "-- \nAnn"),
        ("Ja\n\nVon meinem iPhone gesendet\n", "Von meinem iPhone gesendet\n"),
        ("Yes\n\nSent from my phone\n-- \nAnn", "-- \nAnn"),
        ("-- \nAnn", ""),
        ("Sent from my phone", ""),
        ("Yes\n-- \n" + "a line\n" * 15, ""),
        ("Yes\n--- \nAnn", ""),
        ("Yes\n\nSent from my Galaxy S24.\n", "Sent from my Galaxy S24.\n"),
        ("Yes\nGet Outlook for iOS<https://aka.ms/o0>", "Get Outlook for iOS<https://aka.ms/o0>"),
        ("", ""),
    ],
)
def test_what_was_written_and_what_is_signature(text, signature):
    assert split_signature(text)[1] == signature


@pytest.mark.parametrize(
    "text",
    [
        "See below.\n-- \nAnn\n\nOn Tue, Bob wrote:\n> Shall we sign?\nNo, never.\n> Friday?\nYes.",
        "See below.\n-- \nAnn\n> Shall we sign?\nNo, never.",
        "See below.\n-- \nAnn\n\nBob wrote:\nShall we sign?\nNo, never.",
        "See below.\n-- \nAnn\n\nFrom: Bob\nShall we sign?\nNo, never.",
        "A: we go.\n--\nOption B: we cancel.\n\nPlease answer.",
        "A: we go.\n--\nOption B: we cancel.",
        "A: we go.\n--\n" + "B\n" * 6,
        "Yes\nSent from my garden: the flowers are ready, call me",
        "Yes\nSent from my phone. Call me",
        "Yes\nGesendet von der Bank, bitte prüfen",
    ],
)
def test_no_answer_is_taken_for_a_signature(text):
    assert split_signature(text) == (text, "")


DEAR_TEXTS = [
    "> a\n", ">\n", "\n", " ", "-", "--", "-- \n", "On ", "On wrote:\n", "On a wrote: ", "wrote:", "From: a\n",
    "Von: a\nGesendet: a\n", "_", "_" * 30 + "\n", "From: ", "\t\n", "Von meinem ", "*", "- original message -\n",
]  # fmt: skip


@pytest.mark.parametrize("piece", DEAR_TEXTS)
def test_splitting_takes_time_in_proportion_to_the_text(piece):
    text = ("Yes\n" + piece * (1024 * 1024))[: 1024 * 1024]
    began = time.process_time()
    own, quoted = split_quoted(text)
    split_signature(own)
    assert time.process_time() - began < 1
    assert own + quoted == text


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes\n\nOn Tue, Ann <a@x.example> wrote:\n> Shall we?\n", "Yes\n\n"),
        ("Ja\nAm 3. März schrieb Ann:\n> Sollen wir?\n>\n> Gruss", "Ja\n"),
        ("Oui\n\nLe mar. 3 mars 2026, Ann\n<a@x.example> a écrit :\n\n> On y va ?", "Oui\n\n"),
        ("Yes\n-----Original Message-----\nFrom: Ann\n\nHello", "Yes\n"),
        ("> you asked\nanswer\n> and this\nanother", None),
        ("> only a quote", None),
        ("no quote at all", None),
        (
            "Yes\n\nFrom: Ann <a@x.example>\nSent: Tuesday\nTo: Bob\nSubject: We\n\nShall we?\n",
            "Yes\n\n",
        ),
        (
            "Ja\n________________________________\nVon: Ann\nGesendet: Dienstag\nAn: Bob\nCc: A;\n B\nBetreff: Wir\nalt",
            "Ja\n",
        ),
        ("Oui\n*De :* Ann\n*Envoyé :* mardi\n*À :* Bob\n*Objet :* x\nvieux", "Oui\n"),
        ("From: here to there\nwe go\nSubject: travelling", None),
        ("Look\nFrom: me\nTo: you\nSubject: no date, no quote", None),
        ("From: Berlin\nTo: Paris\nDate: 3 March\nSubject: the trip\n\nPlease book both.", None),
        ("Hi\nFrom: Berlin\nTo: Paris\nDate: 3 March\nSubject: the trip\nPlease book both.", None),
        ("Yes\nFrom: Ann <a@x.example>\nDate: 3 March\nTo: Bob\nSubject: We\nold", "Yes\n"),
        ("Ja\n____________\nVan: Ann\nDatum: 3 maart\nAan: Bob\nOnderwerp: Wij\noud", "Ja\n"),
        ("Yes\n> Shall we?\n", "Yes\n"),
    ],
)
def test_what_was_written_and_what_was_quoted(text, own):
    assert split_quoted(text)[0] == (text if own is None else own)
