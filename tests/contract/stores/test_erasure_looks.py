"""A person's erasure looks through a tenant of any size, some seconds at a time, and ends."""

from dataclasses import replace

import pytest

from shared.aws.stored_objects import StoredObjects
from shared.aws.table import Table
from shared.domain.erasure import Erased, ErasureState, KeepsOut
from shared.domain.ids import Address, MailboxId
from shared.domain.lease import Fence
from shared.operations.erase_mail import MARGIN_SECONDS, ErasePorts, erase_mail
from shared.ports.queues import EraseRequest
from tests.fakes.clock import FixedClock
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.values import (
    NOW,
    TENANT,
    a_contact,
    a_letter,
    a_new_copy,
    a_person,
    connected,
    later,
)

EVE = Address("eve@example.org")
PERSON = a_person(EVE, keeps_out=KeepsOut.ALL_MAIL)
IN_LOOK = 3


@pytest.fixture
def small(monkeypatch):
    """A look is three mailboxes, or three raw messages."""
    for name in ("MAILBOXES_IN_LOOK", "OBJECTS_IN_LOOK"):
        monkeypatch.setattr(f"shared.aws.mail_eraser.{name}", IN_LOOK)


@pytest.fixture
def boxes(aws):
    """Eight mailboxes."""
    ids = [MailboxId(f"01B{number}") for number in range(8)]
    return [connected(aws.mailboxes, id=one, address=f"{one}@acme.example") for one in ids]


def looks(stores, erasure=PERSON):
    """Yield the pages of an erasure, each after the one before was deleted."""
    for _ in range(99):
        page = stores.eraser.next_page(erasure)
        if page is None:
            return
        yield page
        erasure = replace(erasure, counted_to=page.position, looked_to=page.looked_to)
        stores.eraser.erase(erasure, page, now=NOW)
    raise AssertionError("no end")


def keep_raw(stores, record, number, raw=b"From: somebody"):
    box = record.mailbox
    letter = a_letter(f"{number}", mailbox_id=box.id, generation=box.generation)
    fence = Fence(TENANT, box.id, box.generation)
    stores.letters.note(fence, letter)
    size = stores.letters.keep_raw(TENANT, box.id, letter.id, iter([raw]), limit=9_000_000)
    stores.letters.note_raw(fence, letter.id, size=size, missing=None)
    return stores.letters.get_letter(TENANT, box.id, letter.id)


def noting(monkeypatch, of, name, what):
    """Return what is asked for of `of.name` from now on."""
    asked: list = []
    real = getattr(of, name)

    def noted(self, *args, **kwargs):
        if what(*args, **kwargs):
            asked.append(args)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(of, name, noted)
    return asked


@pytest.mark.usefixtures("small")
def test_raw_messages_are_read_a_few_at_a_time_and_hardly_any_twice(aws, boxes, monkeypatch):
    hers = {5, 6, 13}
    letters = [
        keep_raw(aws, boxes[0], number, b"To: eve@example.org" if number in hers else b"To: bob")
        for number in range(17)
    ]
    in_order = sorted(range(17), key=lambda number: letters[number].id)
    read = noting(monkeypatch, StoredObjects, "mentions", lambda *_: True)
    before, sums = 0, Erased()
    for page in looks(aws):
        assert len(read) - before <= IN_LOOK
        before, sums = len(read), sums + page.erased
    assert (sums.raw_messages, sums.dead_letters) == (3, 3)
    kept = [n for n in in_order if aws.letters.read_raw(letters[n]) is not None]
    assert kept == [n for n in in_order if n not in hers]
    assert len(read) <= 17 + IN_LOOK * len(hers)


def test_large_raw_messages_are_a_look_each(aws, boxes, monkeypatch):
    monkeypatch.setattr("shared.aws.mail_eraser.BYTES_IN_LOOK", 100)
    for number in range(3):
        keep_raw(aws, boxes[number], number, b"x" * 90)
    keep_raw(aws, boxes[3], 3, b"x" * 900)
    read = noting(monkeypatch, StoredObjects, "mentions", lambda *_: True)
    lengths = []
    for _ in looks(aws):
        lengths.append(len(read))
    assert lengths == [1, 2, 3]
    assert len(read) == 4


@pytest.mark.usefixtures("small")
def test_notes_are_read_a_few_mailboxes_at_a_time(aws, boxes, monkeypatch):
    """The one of a worker that died in the last mailbox is found."""
    box = boxes[-1].mailbox
    new = a_new_copy("1", mailbox_id=box.id)

    def dying(*_args, **_kwargs):
        raise DiedError

    with monkeypatch.context() as patched:
        patched.setattr("shared.aws.message_contents.MessageContents._write_index", dying)
        with pytest.raises(DiedError):
            aws.messages.save(Fence(TENANT, box.id, box.generation), [new])
    writers = {one.address for one in new.message.participants}
    person = a_person(*writers, keeps_out=KeepsOut.ALL_MAIL, settles_at=later(10**9))
    notes = noting(
        monkeypatch, Table, "query", lambda *_, prefix="", **__: prefix.startswith("writing")
    )
    before, sums = 0, Erased()
    for page in looks(aws, person):
        assert len(notes) - before <= IN_LOOK
        before, sums = len(notes), sums + page.erased
    assert sums.messages == 1
    assert aws.get_messages(TENANT, [new.message.id]) == {}
    asked = [pk.rpartition("#")[2] for (pk,) in notes]
    assert set(asked) == {one.mailbox.id for one in boxes}
    assert len(asked) <= len(boxes) + IN_LOOK


class DiedError(Exception):
    """Here a worker's time is over."""


@pytest.mark.usefixtures("small")
def test_a_look_goes_on_where_the_invocation_before_it_ended(aws, boxes):
    """Each has time for one page; before, each began anew and none came to the end."""
    letters = [keep_raw(aws, boxes[number % 8], number) for number in range(10)]
    letters.append(keep_raw(aws, boxes[7], 10, b"Cc: <eve@example.org>"))
    erasure = replace(PERSON, settles_at=NOW)
    aws.erasures.begin_person(erasure, KeepsOut.ALL_MAIL, require=lambda: None)
    queues, invocations = RecordingWorkQueues(), 0
    kind = "continued"
    while kind == "continued":
        invocations += 1
        assert invocations < 20, "no end"
        seconds = iter([60.0, 60.0])
        report = erase_mail(
            EraseRequest(TENANT, erasure.id),
            ports=ErasePorts(
                erasures=aws.erasures,
                eraser=aws.eraser,
                secrets=InMemorySecretStore(),
                queues=queues,
                clock=FixedClock(NOW),
                remaining_seconds=lambda seconds=seconds: next(seconds, MARGIN_SECONDS),
            ),
        )
        kind = report.kind
    assert kind == "done"
    assert invocations > 4
    receipt = aws.erasures.get_erasure(TENANT, erasure.id)
    assert (receipt.state, receipt.looked_to) == (ErasureState.DONE, "")
    assert (receipt.erased.raw_messages, receipt.erased.dead_letters) == (1, 1)
    assert aws.letters.read_raw(letters[-1]) is None


def test_what_is_quickly_looked_at_is_looked_at_to_the_last(aws, boxes):
    """People may write a contact while it runs."""
    late = replace(PERSON, looked_to="4|letters/zzz")
    assert aws.eraser.next_page(late) is None
    aws.contacts.put_contact(a_contact("late", EVE), expected_version=None)
    page = aws.eraser.next_page(late)
    assert (page.erased.contacts, page.looked_to) == (1, late.looked_to)
