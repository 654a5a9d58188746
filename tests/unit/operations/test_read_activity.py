"""What an administrator learns of all mailboxes at once, and what is said to be unknown."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import Backfill, BackfillKind, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind, message_letter_id
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import (
    BackfillId,
    MailboxId,
    ProviderMessageId,
    RunId,
    TenantId,
    UserId,
    new_ulid,
)
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.mailbox import MailboxStatus
from shared.domain.run import Run, RunReason
from shared.domain.visibility import Viewer
from shared.operations import read_activity as operation
from shared.operations.read_dead_letters import LetterPorts
from tests.fakes.activity import InMemoryActivityStore
from tests.fakes.clock import FixedClock
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.mail import add_mailbox, message_of, store
from tests.fakes.stores import (
    InMemoryBackfillStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

ADMIN = Viewer(TenantId("acme"), UserId("root"), is_admin=True)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ports(world):
    return LetterPorts(
        mailboxes=InMemoryMailboxStore(world),
        backfills=InMemoryBackfillStore(world),
        messages=InMemoryMessageStore(world),
        letters=InMemoryDeadLetterStore(world),
        clock=FixedClock(),
    )


@pytest.fixture
def half_past(ports):
    """The clock stands at half past an hour."""
    ports.clock.at = ports.clock.at.replace(minute=30, second=0, microsecond=0)
    return ports.clock.at


def read(ports, viewer=ADMIN, *, hours=3, after=None, limit=20):
    store = InMemoryActivityStore(ports.mailboxes.world)
    return operation.read_activity(
        viewer, hours=hours, after=after, limit=limit, activity=store, ports=ports
    )


def ran(world, box, ended_at, stored=0, *, took=timedelta(), reason=RunReason.SCHEDULE, code=None):
    """Put a run that ended then."""
    began = ended_at - took
    run = Run(
        tenant_id=box.tenant_id, mailbox_id=box.id, id=RunId(new_ulid(began)), reason=reason,
        started_at=began, ended_at=ended_at, counts=Counts(listed=stored, stored=stored), code=code,
    )  # fmt: skip
    world.runs.setdefault((box.tenant_id, box.id), {})[run.id] = run


def minutes(number):
    return timedelta(minutes=number)


def test_it_is_for_administrators(world, ports):
    add_mailbox(world, "A", owner="ann")
    with pytest.raises(RequestError) as refused:
        read(ports, Viewer(TenantId("acme"), UserId("ann")))
    assert refused.value.code is ErrorCode.ADMIN_REQUIRED


def test_mail_is_counted_in_the_hour_in_which_its_run_ended(world, ports, half_past):
    box = add_mailbox(world, "A")
    # The first hour of three begins two and a half hours ago.
    ran(world, box, half_past, 1)
    ran(world, box, half_past - minutes(30), 2)
    ran(world, box, half_past - minutes(30) - timedelta(microseconds=1), 4, took=minutes(9))
    ran(world, box, half_past - minutes(150), 8, took=minutes(15))
    ran(world, box, half_past - minutes(151), 99)
    found = read(ports)
    assert (found.since, found.until) == (half_past - minutes(150), half_past)
    assert [one.synced for one in found.items] == [(8, 4, 3)]
    assert read(ports, hours=1).items[0].synced == (3,)
    assert read(ports, hours=48).items[0].synced == (*[0] * 44, 99, 8, 4, 3)


@pytest.mark.parametrize("reason", RunReason)
def test_an_imports_burst_is_told_apart_from_new_mail(world, ports, half_past, reason):
    box = add_mailbox(world, "A")
    ran(world, box, half_past, 5, reason=reason)
    (found,) = read(ports, hours=1).items
    is_older = reason in {"backfill", "replay", "repair", "contact_history"}
    assert (found.synced, found.imported) == (((0,), (5,)) if is_older else ((5,), (0,)))


def test_failed_runs_are_counted_by_code_the_most_frequent_first(world, ports, half_past):
    box = add_mailbox(world, "A")
    ran(world, box, half_past, code=ErrorCode.LOGIN_REJECTED)
    for number in (1, 2):
        ran(world, box, half_past - minutes(number), 3, code=ErrorCode.RATE_LIMITED)
    ran(world, box, half_past - minutes(60), code=ErrorCode.INTERNAL)
    (found,) = read(ports, hours=1).items
    assert [*found.runs_failed.items()] == [("rate_limited", 2), ("login_rejected", 1)]
    # What a run stored before it failed is there.
    assert found.synced == (6,)


def test_of_more_runs_than_are_read_the_hours_of_the_rest_are_unknown(
    world, ports, half_past, monkeypatch
):
    monkeypatch.setattr(operation, "MOST_RUNS", 3)
    box, quiet = add_mailbox(world, "A"), add_mailbox(world, "B")
    for hours in range(6):
        ran(world, box, half_past - timedelta(hours=hours), 1, code=ErrorCode.RATE_LIMITED)
    busy, idle = read(ports, hours=5).items
    # The first that is not read has its id from before the third, and so ended within an hour of
    # that one's beginning: at half past an hour, of which the rest is then unknown as well.
    assert busy.synced == (None, None, None, None, 1)
    assert busy.imported == (None, None, None, None, 0)
    assert busy.runs_failed == {"rate_limited": 1}
    assert idle.synced == (0,) * 5
    assert quiet.id == idle.mailbox_id
    assert read(ports, hours=1).items[0].synced == (1,)


def test_as_many_runs_as_are_read_leave_nothing_unknown(world, ports, half_past, monkeypatch):
    monkeypatch.setattr(operation, "MOST_RUNS", 3)
    box = add_mailbox(world, "A")
    for number in range(3):
        ran(world, box, half_past - timedelta(hours=number), 1)
    assert read(ports, hours=4).items[0].synced == (0, 1, 1, 1)


def test_where_all_that_was_read_is_of_this_hour_no_hour_is_known(
    world, ports, half_past, monkeypatch
):
    monkeypatch.setattr(operation, "MOST_RUNS", 2)
    box = add_mailbox(world, "A")
    for number in range(3):
        ran(world, box, half_past - minutes(number), 1)
    (found,) = read(ports, hours=2).items
    assert (found.synced, found.imported, found.runs_failed) == ((None, None), (None, None), {})


def test_mailboxes_come_by_the_page_those_disconnected_too(world, ports):
    for number in range(5):
        status = MailboxStatus.DISCONNECTED if number == 1 else MailboxStatus.ACTIVE
        add_mailbox(world, f"MB{number}", owner=f"user{number}", status=status)
    add_mailbox(world, "MB9", tenant="other")
    pages, after = [], None
    while len(pages) < 9:
        page = read(ports, after=after, limit=2)
        pages.append([one.mailbox_id for one in page.items])
        after = page.next
        if after is None:
            break
    assert pages == [["MB0", "MB1"], ["MB2", "MB3"], ["MB4"]]
    assert read(ports, after=MailboxId("MB3"), limit=1).next is None


# ---- dead letters ----


def noted(ports, box, number, **changes):
    name = ProviderMessageId(f"INBOX.1.{number}")
    at = ports.clock.at + minutes(number)
    letter = DeadLetter(
        tenant_id=box.tenant_id, mailbox_id=box.id, id=message_letter_id(name),
        kind=LetterKind.MESSAGE, code=ErrorCode.MESSAGE_MALFORMED, generation=box.generation,
        first_seen_at=at, last_seen_at=at, provider_message_id=name,
    )  # fmt: skip
    return ports.letters.note(
        Fence(box.tenant_id, box.id, box.generation), replace(letter, **changes)
    )


def letters(ports):
    (found,) = read(ports).items
    return found.letters.open, found.letters.replaying, found.letters.more


def test_dead_letters_count_that_are_not_settled(world, ports):
    box = add_mailbox(world, "A")
    assert letters(ports) == (0, 0, False)
    noted(ports, box, 1)
    noted(ports, box, 2)
    assert letters(ports) == (2, 0, False)
    replay = Backfill(
        box.tenant_id, box.id, BackfillId("RP"), 0, ports.clock.at, BackfillState.RUNNING,
        ports.clock.at, box.generation, kind=BackfillKind.REPLAY,
    )  # fmt: skip
    ports.backfills.world.backfills[box.tenant_id, box.id] = {replay.id: replay}
    ports.letters.note_replay([noted(ports, box, 2)], at=ports.clock.at, replay_id=replay.id)
    assert letters(ports) == (1, 1, False)
    store(world, box, message_of("a mail"))
    (stored,) = world.copies[box.tenant_id, box.id]
    noted(ports, box, 3, provider_message_id=stored)
    assert letters(ports) == (1, 1, False)


def test_of_many_dead_letters_those_looked_at_are_the_least_there_are(world, ports, monkeypatch):
    monkeypatch.setattr(operation, "MOST_LETTERS", 3)
    box = add_mailbox(world, "A")
    for number in range(3):
        noted(ports, box, number)
    assert letters(ports) == (3, 0, False)
    noted(ports, box, 3)
    assert letters(ports) == (3, 0, True)
