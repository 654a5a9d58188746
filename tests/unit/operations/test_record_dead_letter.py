"""Work that no retry could finish leaves a letter, once, and none where there is nothing to mend."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.dead_letter import LetterKind
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import SendId
from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from shared.domain.sending import SendStatus
from shared.operations.record_dead_letter import record_dead_letter
from shared.ports.queues import (
    ChangesRequest,
    ChunkRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
)
from tests.fakes.clock import FixedClock
from tests.fakes.sends import InMemorySendStore, ref_of
from tests.unit.operations.machine import TENANT, Machine, busy_server
from tests.unit.operations.sending_machine import KIM, SendingMachine

NOW = FixedClock().now()


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


def bury(machine, request, *, sent_at=None):
    record_dead_letter(
        request,
        sent_at=sent_at or machine.clock.now(),
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        letters=machine.letters,
        sends=getattr(machine, "sends", None) or InMemorySendStore(machine.world),
        clock=machine.clock,
    )


def poll(box):
    return SyncRequest(TENANT, box.id, RunReason.SCHEDULE)


def backfill_of(machine, box):
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    return backfill


def test_a_poll_that_is_lost_again_is_the_same_letter(machine):
    box = machine.connect(days=0)
    for _ in range(2):
        bury(machine, poll(box))
        machine.clock.advance(minutes=5)
    (letter,) = machine.letters_of(box.id)
    assert (letter.kind, letter.code, letter.attempts) == (
        LetterKind.SYNC,
        ErrorCode.WORK_GIVEN_UP,
        2,
    )
    assert letter.last_seen_at - letter.first_seen_at == timedelta(minutes=5)
    # The letter names the run that people see among the mailbox's own.
    assert letter.run_id in machine.world.runs[TENANT, box.id]
    assert machine.world.mailboxes[TENANT, box.id].inbound_error.code is ErrorCode.INTERNAL


def test_a_plan_and_a_chunk_have_letters_of_their_own(machine):
    box = machine.connect(days=40)
    backfill = backfill_of(machine, box)
    bury(machine, PlanRequest(TENANT, box.id, backfill.id))
    for number in (0, 1, 1):
        bury(machine, ChunkRequest(TENANT, box.id, backfill.id, number))
    found = [(one.kind, one.backfill_id, one.chunk) for one in machine.letters_of(box.id)]
    assert sorted(found, key=repr) == [
        (LetterKind.CHUNK, backfill.id, 0),
        (LetterKind.CHUNK, backfill.id, 1),
        (LetterKind.PLAN, backfill.id, None),
    ]
    assert backfill_of(machine, box).state is BackfillState.FAILED


def test_nothing_is_noted_of_what_was_made_good_or_is_over(machine):
    box = machine.connect(days=40)
    machine.drain()
    backfill = backfill_of(machine, box)
    assert backfill.state is BackfillState.DONE
    bury(machine, poll(box), sent_at=machine.clock.now() - timedelta(hours=1))
    bury(machine, ChunkRequest(TENANT, box.id, backfill.id, 0))
    machine.disconnect(box.id)
    bury(machine, poll(box))
    assert machine.letters_of(box.id) == []


def test_a_disconnect_in_the_middle_leaves_no_letter(machine, monkeypatch):
    box = machine.connect(days=40)
    backfill = backfill_of(machine, box)
    get = machine.backfills.inner.get_backfill

    def overtaken(*named):
        found = get(*named)
        monkeypatch.undo()
        machine.disconnect(box.id)
        return found

    monkeypatch.setattr(machine.backfills.inner, "get_backfill", overtaken)
    bury(machine, PlanRequest(TENANT, box.id, backfill.id))
    assert machine.letters_of(box.id) == []


# ---- mail to be sent ----


@pytest.fixture
def sender():
    return SendingMachine(Provider.GMAIL)


def ask(sender):
    """Have a mail asked for that nobody takes; return it, and its request."""
    send = sender.ask()
    (request,) = sender.queues.take_sends()
    return send, request


def test_a_mail_that_no_worker_can_take_says_so_and_leaves_once_that_is_mended(sender):
    send, request = ask(sender)
    sender.clock.advance(minutes=60)
    bury(sender, request)
    stands = sender.stands(send)
    assert (stands.status, stands.code) == (SendStatus.QUEUED, ErrorCode.WORK_GIVEN_UP)
    assert stands.next_try_at == sender.clock.now() + timedelta(hours=1)
    trouble = sender.mailbox().outbound_error
    assert (trouble.code, trouble.next_retry_at) == (ErrorCode.INTERNAL, stands.next_try_at)
    sender.rest()
    assert sender.stands(send).status is SendStatus.SENT
    assert {one: len(mails) for one, mails in sender.post.arrived.items()} == {KIM: 1}
    assert sender.mailbox().outbound_error is None


def test_what_no_worker_can_take_for_a_day_ends(sender):
    send, request = ask(sender)
    sender.clock.advance(minutes=60)
    bury(sender, request)
    while (at := sender.stands(send).comes_up_at) is not None:
        sender.clock.at = at + timedelta(hours=1)
        bury(sender, request)
    stands = sender.stands(send)
    assert (stands.status, stands.code) == (SendStatus.FAILED, ErrorCode.WORK_GIVEN_UP)
    assert stands.waiting == ()


def test_a_draft_nobody_could_discard_is_left_where_it_is(sender):
    sender.post.failures["send"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = sender.ask()
    sender.drain()
    sender.sends.cancel(ref_of(send), now=sender.clock.now())
    sender.clock.advance(minutes=60)
    bury(sender, SendRequest(TENANT, sender.box.id, send.id))
    stands = sender.stands(send)
    assert (stands.status, stands.draft, stands.comes_up_at) == (SendStatus.CANCELLED, None, None)


def test_an_old_dead_letter_changes_nothing_of_a_mail_that_workers_see_to(sender):
    send, request = ask(sender)
    sender.post.failures["prepare"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    sender.deliver(request)
    unchanged(sender, send, request)
    sender.clock.at = sender.stands(send).comes_up_at + timedelta(seconds=1)
    unchanged(sender, send, request)
    sender.post.failures["prepare"] = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        sender.deliver(request)
    unchanged(sender, send, request)
    sender.clock.advance(minutes=6)
    unchanged(sender, send, request)
    sender.post.failures.clear()
    sender.rest()
    assert sender.stands(send).status is SendStatus.SENT
    sender.clock.advance(minutes=600)
    unchanged(sender, send, request)
    unchanged(sender, send, replace(request, send_id=SendId("another")))


def unchanged(sender, send, request):
    before = sender.stands(send), sender.mailbox()
    bury(sender, request)
    assert (sender.stands(send), sender.mailbox()) == before


def test_a_dead_letter_of_an_earlier_life_leaves_a_reconnected_mailbox_without_an_error():
    sender = SendingMachine()
    send, request = ask(sender)
    sender.clock.advance(minutes=60)
    take = sender.send_store.take

    def reconnected(*given, **named):
        sender.reconnect(sender.box.id)
        return take(*given, **named)

    sender.send_store.take = reconnected
    bury(sender, request)
    assert sender.stands(send).code is ErrorCode.WORK_GIVEN_UP
    assert sender.mailbox().outbound_error is None


def test_changes_that_are_lost_are_asked_for_again_and_leave_no_letter(machine):
    box = machine.connect(days=0)
    bury(machine, ChangesRequest(TENANT, box.id))
    assert machine.letters_of(box.id) == []
