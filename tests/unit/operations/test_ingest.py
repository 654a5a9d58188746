"""What becomes of fetched messages on their way into the store."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from shared.domain.contents import MOST_LOOKED_AT, Picture
from shared.domain.errors import ErrorCode, RequestError, RetryLaterError
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import ProviderMessageId, RunId, TenantId, UserId
from shared.domain.lease import Fence
from shared.domain.ledger import Counts, Ledger
from shared.domain.mailbox import Direction, renamed
from shared.domain.message import FetchedMessage, FetchedPart, Flags, MissingMessage, RemotePart
from shared.domain.policy import TenantPolicy
from shared.domain.visibility import Access, Viewer
from shared.mime.parse import MimeParser
from shared.mime.sanitise import Sanitised
from shared.operations.gate import Gate
from shared.operations.ingest import BATCH_BYTES, Ingest
from shared.operations.note_dead_letters import DeadLetters
from shared.operations.read_mail import read_message
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.mail import INBOX, START, add_contact, add_mailbox
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryContactStore,
    InMemoryMessageStore,
    World,
)

ACME = TenantId("acme")
ANN, BOB = Viewer(ACME, UserId("ann")), Viewer(ACME, UserId("bob"))
FOLDER = Folder(INBOX, "Inbox", FolderRole.INBOX)
HEAD = b"""From: Cleo <cleo@client.example>
To: ann@ours.example
Date: Sat, 21 Nov 2026 10:00:00 +0100
Message-ID: <offer@client.example>
Subject: Offer
"""
PDF = b"""Content-Type: multipart/mixed; boundary=b

--b
Content-Type: application/pdf; name=offer.pdf
Content-Transfer-Encoding: base64

%s
--b--
"""


@dataclass
class Session:
    """Hands over what it was given, by id."""

    mails: dict[str, bytes | FetchedMessage | MissingMessage]
    parts: dict[str, bytes] = field(default_factory=dict)

    def fetch(self, folder, ids) -> Iterator[FetchedMessage | MissingMessage]:
        for name in ids:
            found = self.mails.get(name)
            if isinstance(found, bytes):
                yield FetchedMessage(name, START, len(found), Flags(), raw=found)
            elif found is not None:
                yield found

    def read_part(self, folder, name, section, encoding) -> Iterator[bytes]:
        yield self.parts[name]


def taking_in(world: World, box, session: Session, **changes) -> Ingest:
    generation = world.run_states[box.tenant_id, box.id].generation
    parts: dict[str, Any] = {
        "mailbox": box,
        "fence": Fence(box.tenant_id, box.id, generation),
        "session": session,
        "parser": MimeParser(),
        "messages": InMemoryMessageStore(world),
        "attachments": InMemoryAttachmentStore(world),
        "contacts": InMemoryContactStore(world),
        "ledger": Ledger(),
        "remaining_seconds": lambda: 100.0,
        "folders": {FOLDER.id: FOLDER},
        "since": None,
    }
    parts["gate"] = Gate(box.tenant_id, parts["messages"], InMemoryPolicyStore(world))
    parts["dead_letters"] = DeadLetters(
        fence=parts["fence"],
        run_id=RunId("R1"),
        session=session,
        letters=InMemoryDeadLetterStore(world),
        now=lambda: START,
        remaining_seconds=lambda: 100.0,
        kept_out=lambda: parts["messages"].kept_out(box.tenant_id),
    )
    return Ingest(**{**parts, **changes})


def received(world: World, box, mail, **parts: bytes):
    """Take one mail into a mailbox; return the message it became there."""
    name = ProviderMessageId("1")
    assert taking_in(world, box, Session({name: mail}, dict(parts))).take_in(FOLDER, [name])
    copy = world.copies[box.tenant_id, box.id][name]
    return world.messages[box.tenant_id, copy.message_id]


def opened(world: World, viewer, message):
    return read_message(
        viewer,
        message.id,
        messages=InMemoryMessageStore(world),
        reader=InMemoryMailReader(world),
        attachments=InMemoryAttachmentStore(world),
        sanitise=lambda html, *, inline: Sanitised(html, 0),
    )


BEGINNING = b"Dear Ann, as agreed. " * 20
PRIVATE = {
    "its text": (b"\n" + BEGINNING + b"The price is 70,000.", b"\n" + BEGINNING + b"?"),
    "its html": (
        b"Content-Type: text/html\n\n<p>Please show pictures</p><img src=https://x.example/70>",
        b"Content-Type: text/html\n\n<p>Please show pictures</p>",
    ),
    "what is attached": (PDF % b"NzAsMDAw", PDF % b"ODAsMDAw"),
}


@pytest.mark.parametrize(("private", "guessed"), PRIVATE.values(), ids=PRIVATE)
def test_headers_and_a_beginning_do_not_let_anybody_in_to_the_rest(private, guessed):
    """Whoever sees only metadata can append a mail made of it to a mailbox of their own."""
    world = World()
    add_contact(world, "c", "cleo@client.example")
    real = received(world, add_mailbox(world, "A"), HEAD + private)
    forged = received(world, add_mailbox(world, "B", owner="bob"), HEAD + guessed)
    assert forged.id != real.id
    assert forged.thread_id == real.thread_id
    assert opened(world, BOB, real).view.access is Access.METADATA
    assert opened(world, ANN, real).view.access is Access.FULL


def test_the_same_mail_received_by_two_users_is_one_message():
    world = World()
    mail = HEAD + PDF % b"NzAsMDAw"
    mine = received(world, add_mailbox(world, "A"), mail)
    theirs = received(
        world, add_mailbox(world, "B", owner="bob"), b"Delivered-To: bob@ours.example\n" + mail
    )
    assert theirs.id == mine.id
    assert opened(world, BOB, mine).view.access is Access.FULL


def test_a_mail_is_the_same_with_its_attachment_fetched_apart():
    world = World()
    whole = received(world, add_mailbox(world, "A"), HEAD + PDF % b"NzAsMDAw")
    apart = FetchedMessage(
        ProviderMessageId("1"),
        START,
        99_999,
        Flags(),
        header=HEAD + PDF.partition(b"\n\n")[0] + b"\n\n",
        remote=(RemotePart("1", "application/pdf", "base64", 8, "offer.pdf"),),
    )
    other = received(world, add_mailbox(world, "B", owner="bob"), apart, **{"1": b"70,000"})
    assert other.id == whole.id


@pytest.mark.parametrize("sender", ["old@ours.example", "ann@ours.example"])
def test_who_had_the_address_before_is_still_the_mailbox_itself(sender):
    world = World()
    box = renamed(add_mailbox(world, "A", address="old@ours.example"), "ann@ours.example")
    mail = f"From: {sender}\nTo: cleo@client.example\n\nHello".encode()
    assert received(world, box, mail).direction is Direction.OUTBOUND
    assert {address for _, address in world.index} == {"cleo@client.example"}


LOGO = b"\x89PNG\r\n\x1a\n" + b"x" * 100_000


def test_a_content_is_looked_at_however_it_was_fetched_and_whatever_it_claims_to_be():
    world = World()
    remote = (RemotePart("2", "text/html", "base64", 9, "logo.htm"),)
    apart = FetchedMessage(
        ProviderMessageId("1"), START, 9, Flags(), header=HEAD + b"\n", remote=remote
    )
    streamed = received(world, add_mailbox(world, "A"), apart, **{"1": LOGO})
    assert [one.seen for one in streamed.attachments] == [Picture("image/png")]
    pdf = received(world, add_mailbox(world, "B"), HEAD + PDF % b64encode(LOGO[:99]))
    assert [one.seen for one in pdf.attachments] == [Picture("image/png")]


def test_of_very_many_contents_the_first_are_looked_at():
    world = World()
    part = b"\n--b\nContent-Type: image/png\nContent-Disposition: attachment\n\nGIF89a"
    mail = HEAD + b"Content-Type: multipart/mixed; boundary=b\n" + part * 60 + b"\n--b--\n"
    seen = [one.seen for one in received(world, add_mailbox(world, "A"), mail).attachments]
    assert seen == [Picture("image/gif")] * MOST_LOOKED_AT + [None] * (60 - MOST_LOOKED_AT)


@pytest.mark.parametrize(
    "date", ["Sat, 21 Nov 1970 10:00:00 +0100", "Sat, 21 Nov 9999 10:00:00 +0100", "soon"]
)
def test_a_date_that_cannot_be_true_is_the_time_of_receipt(date):
    world = World()
    mail = HEAD.replace(b"Sat, 21 Nov 2026 10:00:00 +0100", date.encode()) + b"\nx"
    message = received(world, add_mailbox(world, "A"), mail)
    assert message.sent_at == message.received_at == START


# ---- how much is held ----


@dataclass
class Weighing(InMemoryMessageStore):
    """Notes how many characters of bodies each save brings."""

    saved: list[int] = field(default_factory=list)

    def save(self, fence, new):
        self.saved.append(sum(len(one.body.text) + len(one.body.html or "") for one in new))
        return super().save(fence, new)


def test_messages_fetched_in_parts_are_stored_before_their_bodies_pile_up():
    world = World()
    kinds = ("text/plain", "text/html")
    names = [ProviderMessageId(str(number)) for number in range(12)]
    mails = {
        name: FetchedMessage(
            name,
            START,
            9_999_999,
            Flags(),
            header=HEAD + b"X: %s\n\n" % name.encode(),
            parts=tuple(
                FetchedPart(str(n), kind, "utf-8", "7bit", b"x" * 600_000)
                for n, kind in enumerate(kinds, start=1)
            ),
        )
        for name in names
    }
    messages = Weighing(world)
    ingest = taking_in(world, add_mailbox(world, "A"), Session(mails), messages=messages)
    assert ingest.take_in(FOLDER, names)
    assert sum(messages.saved) == 12 * 1_200_000
    assert max(messages.saved) < BATCH_BYTES + 2_000_000


# ---- what cannot be read ----


def test_what_is_there_and_cannot_be_read_is_not_recorded_as_gone():
    world = World()
    names = [ProviderMessageId(text) for text in ("1", "2", "3", "4")]
    one, two, three, four = names
    session = Session(
        {
            one: MissingMessage(one, "gone"),
            two: MissingMessage(two, "unreadable"),
            three: b" ",
            four: HEAD + b"\nx",
        }
    )
    ingest = taking_in(world, add_mailbox(world, "A"), session)
    assert ingest.take_in(FOLDER, names)
    assert ingest.ledger.entries() == {
        "gone": (one,),
        "unreadable:not_handed_over": (two,),
        "unreadable:message_malformed": (three,),
        "stored": (four,),
    }


# ---- what is not accounted for ----


def test_ids_a_provider_says_nothing_of_fail_the_run():
    world = World()
    names = [ProviderMessageId(text) for text in ("1", "2")]
    ingest = taking_in(world, add_mailbox(world, "A"), Session({"1": HEAD + b"\nx"}))
    with pytest.raises(RetryLaterError) as caught:
        ingest.take_in(FOLDER, names)
    assert caught.value.code is ErrorCode.INTERNAL
    assert ingest.ledger.entries() == {"stored": ("1",)}
    assert ingest.ledger.counts().balances


def test_ids_not_reached_in_time_are_left_to_the_next_run():
    world = World()
    names = [ProviderMessageId(text) for text in ("1", "2")]
    session = Session({name: HEAD + b"\n" + name.encode() for name in names})
    box = add_mailbox(world, "A")
    hurried = taking_in(world, box, session, remaining_seconds=lambda: 1.0)
    assert not hurried.take_in(FOLDER, names)
    assert hurried.ledger.counts() == Counts(listed=1, stored=1)


def test_what_is_stored_of_one_mailbox_is_shown_to_its_owner_whichever_copy_came_first():
    """Ann's doctor is kept out; Bob got a blind copy of what she wrote to him, as she sees."""
    world = World()
    ann = add_mailbox(world, "A", address="ann@ours.example")
    bob = add_mailbox(world, "B", owner="bob", address="bob@ours.example")
    policies = InMemoryPolicyStore(world)
    policy = TenantPolicy(blocklist=("dr@clinic.example",))
    policies.put_policy(ACME, policy, expected_version=None)
    head = b"From: ann@ours.example\nTo: dr@clinic.example\nMessage-ID: <1@ours.example>\n"
    of_ann = received(world, ann, head + b"Bcc: bob@ours.example\n\nSee below")
    of_bob = received(world, bob, head + b"\nSee below")
    assert (of_ann.id, of_ann.direction) == (of_bob.id, Direction.OUTBOUND)
    for viewer in (ANN, BOB):
        assert opened(world, viewer, of_bob).view.message.id == of_bob.id
    # Judged as his own run would: he got it, and it is from nobody that is kept out.
    policies.put_policy(ACME, replace(policy, blocklist=("*.example",)), expected_version=None)
    with pytest.raises(RequestError):
        opened(world, BOB, of_bob)
