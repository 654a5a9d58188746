"""One message that a provider fails on holds up its mailbox for half an hour at most, and loses nothing else."""

from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.failure import GIVEN_UP_AFTER
from shared.domain.mailbox import MailboxStatus
from shared.domain.message import MissingMessage
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import TENANT, Machine, mail

NOW = FixedClock().now()
POISONED = (b"Subject: Message 2\r\n", b"Subject: Message 5\r\n")


@pytest.fixture
def machine(monkeypatch):
    made = Machine(FakeMailServer.with_folders("INBOX"))
    fetch = FakeSession.fetch

    def failing(session, folder, ids):
        """As an adapter does: named where others came, raised where nothing did."""
        found = list(fetch(session, folder, ids))
        poisoned = [one for one in found if any(mark in one.raw for mark in POISONED)]
        if poisoned and len(found) == len(poisoned):
            raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
        for one in found:
            name = one.provider_message_id
            yield MissingMessage(name, "failing") if one in poisoned else one

    monkeypatch.setattr(FakeSession, "fetch", failing)
    return made


def deliver(machine, *numbers, at=NOW):
    for number in numbers:
        machine.server.deliver("INBOX", mail(number, at), at)


def subjects(machine, box):
    messages = machine.world.messages
    copies = machine.live_copies(box.id).values()
    return sorted(messages[TENANT, copy.message_id].subject[-1] for copy in copies)


def sync(machine, box):
    machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    return machine.reports[-1]


def error_of(machine, box):
    return machine.world.mailboxes[TENANT, box.id].inbound_error


def test_the_others_are_stored_at_once_and_it_is_given_up_within_the_hour(machine):
    box = machine.connect(days=0)
    machine.drain()
    deliver(machine, 1, 2, 3, 5)
    assert sync(machine, box).code is ErrorCode.MESSAGE_UNAVAILABLE
    assert subjects(machine, box) == ["1", "3"]
    deliver(machine, 4)
    machine.tick(40)
    assert subjects(machine, box) == ["1", "3", "4"]
    assert error_of(machine, box) is None
    ledgers = [run.ledger for run in machine.world.runs[TENANT, box.id].values()]
    (given_up,) = [one for one in ledgers if "unreadable:not_handed_over" in one]
    assert len(given_up["unreadable:not_handed_over"]) == 2


def test_it_is_stored_when_the_provider_recovers_before_that(machine, monkeypatch):
    box = machine.connect(days=0)
    machine.drain()
    deliver(machine, 1, 2, 3)
    sync(machine, box)
    machine.tick(10)
    monkeypatch.undo()
    machine.tick(10)
    assert subjects(machine, box) == ["1", "2", "3"]


def test_an_outage_is_no_message_that_fails(machine):
    box = machine.connect(days=0)
    machine.drain()
    deliver(machine, 1, 3)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    machine.tick(600)
    assert error_of(machine, box).code is ErrorCode.PROVIDER_UNAVAILABLE
    machine.server.failure = None
    machine.tick(70)
    assert subjects(machine, box) == ["1", "3"]


def test_a_backfill_gives_it_up_too_and_ends(machine):
    deliver(machine, 1, 2, 3, at=NOW - timedelta(days=2))
    box = machine.connect(days=30)
    machine.drain()
    machine.tick(120)
    assert subjects(machine, box) == ["1", "3"]
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    assert backfill.state is BackfillState.DONE
    assert (backfill.counts.already_stored, backfill.counts.unreadable) == (2, 1)
    assert machine.world.mailboxes[TENANT, box.id].status is MailboxStatus.ACTIVE


def test_a_backfill_gives_it_up_though_its_chunk_waits_for_a_turn_before_each_try(
    machine, monkeypatch
):
    slots = machine.slots.inner
    take, refused_at = slots.take_slot, [NOW - timedelta(days=1)]

    def refused_first(*given, now, **named):
        if now - refused_at[-1] < timedelta(minutes=3):
            return take(*given, now=now, **named)
        refused_at.append(now)
        return None

    monkeypatch.setattr(slots, "take_slot", refused_first)
    deliver(machine, 1, 2, 3, at=NOW - timedelta(days=2))
    box = machine.connect(days=30)
    machine.drain()
    machine.tick(120)
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    assert backfill.state is BackfillState.DONE
    assert (backfill.counts.already_stored, backfill.counts.unreadable) == (2, 1)
    # As often as without the waits, and not before.
    codes = [report.code for report in machine.reports]
    assert codes.count(ErrorCode.WAITING_FOR_TURN) == GIVEN_UP_AFTER + 1
    assert codes.count(ErrorCode.MESSAGE_UNAVAILABLE) == GIVEN_UP_AFTER


def test_an_outage_is_not_counted_as_tries_for_one_message(machine, monkeypatch):
    deliver(machine, 1, 2, 3, at=NOW - timedelta(days=2))
    box = machine.connect(days=30)
    (request,) = machine.queues.take_plans()
    machine.plan(request)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    machine.tick(600)
    (chunk,) = machine.world.chunks[TENANT, box.id, request.backfill_id].values()
    assert chunk.attempts > GIVEN_UP_AFTER
    machine.server.failure = None
    for _ in range(65):
        machine.tick(1)
        if ErrorCode.MESSAGE_UNAVAILABLE in {report.code for report in machine.reports}:
            break
    machine.tick(12)
    assert subjects(machine, box) == ["1", "3"]
    monkeypatch.undo()
    machine.tick(12)
    assert subjects(machine, box) == ["1", "2", "3"]


def test_many_that_fail_alike_are_the_providers_trouble(machine, monkeypatch):
    monkeypatch.setattr("tests.unit.operations.test_failing_messages.POISONED", (b"Subject",))
    box = machine.connect(days=0)
    machine.drain()
    deliver(machine, *range(10, 15))
    machine.tick(120)
    assert error_of(machine, box).code is ErrorCode.PROVIDER_UNAVAILABLE
    assert subjects(machine, box) == []


def test_what_came_before_a_failure_is_not_fetched_again(machine, monkeypatch):
    box = machine.connect(days=0)
    machine.drain()
    monkeypatch.undo()
    fetch = FakeSession.fetch

    def cut(session, folder, ids):
        yield from list(fetch(session, folder, ids))[:2]
        raise RetryLaterError(ErrorCode.CONNECTION_DROPPED)

    monkeypatch.setattr(FakeSession, "fetch", cut)
    deliver(machine, 1, 3, 4, 6, 7, 8)
    assert sync(machine, box).code is ErrorCode.CONNECTION_DROPPED
    assert subjects(machine, box) == ["1", "3"]
    monkeypatch.undo()
    machine.server.fetched.clear()
    machine.tick(10)
    assert subjects(machine, box) == ["1", "3", "4", "6", "7", "8"]
    assert len(machine.server.fetched) == 4


def test_an_attachment_the_provider_fails_on_holds_up_no_other_message(machine, monkeypatch):
    box = machine.connect(days=0)
    machine.drain()
    keep = type(machine.attachments.inner).put

    def failing_file(*_given, **_named):
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)

    monkeypatch.setattr(type(machine.attachments.inner), "put", failing_file)
    with_file = mail(1, NOW, extra="X-Attachment: offer\r\n")
    machine.server.deliver("INBOX", with_file, NOW)
    deliver(machine, 3)
    assert sync(machine, box).code is ErrorCode.MESSAGE_UNAVAILABLE
    assert subjects(machine, box) == ["3"]
    monkeypatch.setattr(type(machine.attachments.inner), "put", keep)
    machine.tick(10)
    assert subjects(machine, box) == ["1", "3"]


# ---- our own stores fail ----


@pytest.mark.parametrize("port", ["attachments", "messages"])
@pytest.mark.parametrize("in_an_import", [False, True])
def test_hours_without_our_own_store_give_up_no_message(machine, monkeypatch, port, in_an_import):
    box = machine.connect(days=30 if in_an_import else 0)
    if not in_an_import:
        machine.drain()
    machine.server.deliver("INBOX", mail(1, NOW, extra="X-Attachment: a\r\n"), NOW)
    machine.server.deliver("INBOX", mail(3, NOW, extra="X-Attachment: b\r\n"), NOW)
    if in_an_import:
        machine.plan(*machine.queues.take_plans())
        chunks = machine.queues.take_chunks()

    def consume():
        return machine.run_chunk(*chunks) if in_an_import else sync(machine, box)

    def throttled(*_given, **_named):
        raise StoreThrottledError

    with monkeypatch.context() as trouble:
        store = getattr(machine, port).inner
        trouble.setattr(store, "put" if port == "attachments" else "save", throttled)
        for _ in range(6):
            with pytest.raises(StoreThrottledError):
                consume()
            machine.clock.advance(minutes=15)
    consume()
    assert subjects(machine, box) == ["1", "3"]
    for run in machine.world.runs[TENANT, box.id].values():
        assert not run.counts.unreadable
