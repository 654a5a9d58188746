"""What is given up is not lost: people have it read again, whenever they like and whoever dies then."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.dead_letter import LetterKind
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import FolderId, LetterId, UserId
from shared.domain.mailbox import MailboxKind, Provider, Readers
from shared.domain.run import RunReason
from shared.domain.visibility import Viewer
from shared.operations.bring_in import bring_in
from shared.operations.record_dead_letter import record_dead_letter
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.lasting_provider import LastingMailServer, LastingMailSession
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.parser import PlainParser
from tests.fakes.provider import FakeMailServer
from tests.fakes.sends import InMemorySendStore
from tests.unit.operations.machine import ADA, TENANT, Death, Machine, mail

NOW = FixedClock().now()
INBOX, TRASH = FolderId("INBOX"), FolderId("TRASH")
UNREADABLE = "X-Test: unreadable\r\n"


def with_letters(*numbers, die_at=None, after=False, days=0):
    """Return a machine whose mailbox met these messages and could read none of them.

    Side effects are counted from the connected mailbox on.
    """
    machine = Machine(FakeMailServer.with_folders("INBOX", "Sent", "Trash"))
    box = machine.connect(days=days)
    machine.drain()
    killer = machine.killer
    killer.count, killer.at, killer.after = 0, die_at, after
    killer.seen.clear()
    for number in numbers:
        folder = "Sent" if number % 2 else "INBOX"
        machine.server.deliver(folder, mail(number, NOW, extra=UNREADABLE), NOW)
    machine.tick()
    return machine, box


def replays(machine, box):
    found = machine.world.backfills.get((TENANT, box.id), {}).values()
    return [one for one in found if one.kind is BackfillKind.REPLAY]


def subjects(machine, box):
    copies = machine.live_copies(box.id).values()
    return sorted(machine.world.messages[TENANT, copy.message_id].subject for copy in copies)


def refused(error, act, *given, **named):
    with pytest.raises(error) as caught:
        act(*given, **named)
    return caught.value.code


# ---- messages ----


def test_one_that_has_become_readable_is_stored_and_its_letter_goes_with_what_was_kept():
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    assert (letter.code, letter.attempts) == (ErrorCode.MESSAGE_MALFORMED, 1)
    assert machine.letters.read_raw(letter) == mail(2, NOW, extra=UNREADABLE)
    machine.parser.mended = True
    asked = machine.replay(box.id, letter.id)
    assert asked.queued == (letter.id,)
    assert subjects(machine, box) == []
    machine.drain()
    assert subjects(machine, box) == ["Message 2"]
    assert machine.letters_of(box.id) == []
    assert machine.world.raw_messages == {}
    (replay,) = replays(machine, box)
    assert (replay.id, replay.state, replay.percent) == (
        asked.backfill_id,
        BackfillState.DONE,
        100,
    )
    (run,) = [
        run for run in machine.world.runs[TENANT, box.id].values() if run.reason is RunReason.REPLAY
    ]
    assert run.counts.balances
    assert (run.counts.stored, run.backfill_id) == (1, replay.id)


def test_one_still_unreadable_stays_as_it_was_first_seen_and_can_be_replayed_again():
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    for attempts in (2, 3):
        machine.clock.advance(minutes=1)
        machine.replay(box.id, letter.id)
        machine.drain()
        (again,) = machine.letters_of(box.id)
        assert again.attempts == attempts
        assert again.first_seen_at == letter.first_seen_at < again.last_seen_at
        assert (again.raw_size, again.raw_missing) == (letter.raw_size, None)
    assert {replay.state for replay in replays(machine, box)} == {BackfillState.DONE}
    assert len(replays(machine, box)) == 2
    machine.parser.mended = True
    machine.replay(box.id, letter.id)
    machine.drain()
    assert subjects(machine, box) == ["Message 2"]


def test_replaying_twice_reads_once():
    machine, box = with_letters(2, 4)
    machine.parser.mended = True
    first = machine.replay(box.id)
    again = machine.replay(box.id)
    one = machine.replay(box.id, first.queued[0])
    assert again.backfill_id == one.backfill_id == first.backfill_id
    assert sorted(again.queued) == sorted(first.queued)
    assert len(replays(machine, box)) == 1
    machine.server.fetched.clear()
    machine.drain()
    assert len(machine.server.fetched) == 2
    assert subjects(machine, box) == ["Message 2", "Message 4"]
    gone = refused(RequestError, machine.replay, box.id, first.queued[0])
    assert gone is ErrorCode.DEAD_LETTER_NOT_FOUND
    assert machine.replay(box.id).queued == ()
    assert len(replays(machine, box)) == 1


def test_two_who_ask_at_once_are_answered_with_one_replay(monkeypatch):
    machine, box = with_letters(2, 4)
    machine.parser.mended = True
    first = []

    def another_first(*given, **named):
        monkeypatch.undo()
        first.append(machine.replay(box.id))
        machine.clock.advance(seconds=1)
        return bring_in(*given, **named)

    monkeypatch.setattr("shared.operations.replay_dead_letters.bring_in", another_first)
    assert [machine.replay(box.id)] == first
    (replay,) = replays(machine, box)
    assert {letter.replay_id for letter in machine.letters_of(box.id)} == {replay.id}
    machine.drain()
    assert subjects(machine, box) == ["Message 2", "Message 4"]


@pytest.mark.parametrize("mended", [False, True], ids=["unreadable", "readable"])
def test_a_replay_that_ended_before_its_letters_named_it_is_not_answered_for_another(
    monkeypatch, mended
):
    machine, box = with_letters(2, 4)

    def dies(*_given, **_named):
        raise Death

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(InMemoryDeadLetterStore, "note_replay", dies)
        with pytest.raises(Death):
            machine.replay(box.id)
    machine.drain()
    (ended,) = replays(machine, box)
    assert [letter.attempts for letter in machine.letters_of(box.id)] == [2, 2]
    machine.parser.mended = mended
    asked = machine.replay(box.id)
    assert len(asked.queued) == 2
    assert asked.backfill_id not in {ended.id, None}
    machine.drain()
    assert [letter.attempts for letter in machine.letters_of(box.id)] == ([] if mended else [3, 3])
    assert {replay.state for replay in replays(machine, box)} == {BackfillState.DONE}


def test_delivered_twice_and_in_reverse_it_ends_the_same(monkeypatch):
    monkeypatch.setattr("shared.operations.bring_in.CHUNK_SIZE", 1)
    monkeypatch.setattr(
        "shared.operations.release_chunks.release_up_to", lambda backfill, _limit: backfill.chunks
    )
    ends = []
    for reverse in (False, True):
        machine, box = with_letters(2, 4, 5)
        machine.parser.mended = True
        machine.replay(box.id)
        requests = machine.queues.take_chunks()
        assert len(requests) == 3
        for request in [*reversed(requests), *reversed(requests)] if reverse else requests:
            machine.run_chunk(request)
        machine.drain()
        assert machine.letters_of(box.id) == []
        ends.append(machine.fingerprint())
    assert ends[0] == ends[1]


def test_letters_of_a_disconnected_mailbox_stay_until_it_is_connected_again():
    machine, box = with_letters(2, 4)
    machine.parser.mended = True
    letters = machine.letters_of(box.id)
    machine.replay(box.id)
    machine.disconnect(box.id)
    machine.drain()
    assert refused(ConflictError, machine.replay, box.id) is ErrorCode.WRONG_STATE
    assert refused(ConflictError, machine.replay, box.id, letters[0].id) is ErrorCode.WRONG_STATE
    assert [letter.id for letter in machine.letters_of(box.id)] == [one.id for one in letters]
    assert subjects(machine, box) == []
    machine.reconnect(box.id)
    machine.drain()
    machine.tick()
    machine.replay(box.id)
    machine.drain()
    assert machine.letters_of(box.id) == []
    assert subjects(machine, box) == ["Message 2", "Message 4"]


def test_a_replay_that_a_disconnect_and_a_reconnect_overtake_removes_no_letter_unread(monkeypatch):
    machine, box = with_letters(2)
    machine.parser.mended = True
    machine.replay(box.id)
    (request,) = machine.queues.take_chunks()
    machine.disconnect(box.id)
    machine.reconnect(box.id)
    machine.run_chunk(request)
    assert machine.reports[-1].kind == "dropped"
    assert len(machine.letters_of(box.id)) == 1


def test_a_replay_asked_for_just_as_the_mailbox_is_disconnected_is_refused(monkeypatch):
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    find = InMemoryDeadLetterStore.get_letter

    def disconnect_first(*given):
        machine.disconnect(box.id)
        return find(*given)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(InMemoryDeadLetterStore, "get_letter", disconnect_first)
        refusal = refused(ConflictError, machine.replay, box.id, letter.id)
    assert refusal is ErrorCode.STALE_WRITE
    assert replays(machine, box) == []
    machine.reconnect(box.id)
    assert machine.replay(box.id, letter.id).queued == (letter.id,)


def test_what_the_provider_no_longer_has_is_read_from_what_was_kept():
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    machine.server.delete("INBOX", 1)
    machine.parser.mended = True
    machine.replay(box.id, letter.id)
    machine.drain()
    assert machine.letters_of(box.id) == []
    (copy,) = machine.world.copies[TENANT, box.id].values()
    assert copy.removed_at is not None
    assert machine.world.messages[TENANT, copy.message_id].subject == "Message 2"


def in_lasting(provider):
    """Return a machine of a provider whose ids survive a move, with a message it cannot read."""
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    box = machine.connect(days=0)
    place = (TENANT, box.id)
    machine.world.mailboxes[place] = replace(machine.world.mailboxes[place], provider=provider)
    server = machine.server = LastingMailServer(labels=provider is Provider.GMAIL)
    machine.drain()
    machine.clock.advance(minutes=1)
    now = machine.clock.now()
    name = server.deliver(INBOX, mail(2, now, extra=UNREADABLE), now)
    machine.tick()
    machine.parser.mended = True
    return machine, box, name


@pytest.mark.parametrize("provider", [Provider.GMAIL, Provider.OUTLOOK])
def test_what_its_owner_put_in_the_trash_is_read_and_stored_as_removed(provider):
    machine, box, name = in_lasting(provider)
    machine.server.move(name, TRASH)
    machine.replay(box.id)
    machine.drain()
    assert machine.letters_of(box.id) == []
    assert machine.live_copies(box.id) == {}
    copy = machine.world.copies[TENANT, box.id][name]
    assert copy.removed_at is not None
    assert machine.world.messages[TENANT, copy.message_id].subject == "Message 2"
    (run,) = [
        run for run in machine.world.runs[TENANT, box.id].values() if run.reason is RunReason.REPLAY
    ]
    assert dict(run.ledger) == {"stored": (name,)}
    # Whoever takes it out of the trash has it back.
    machine.server.move(name, INBOX)
    machine.tick()
    assert subjects(machine, box) == ["Message 2"]


@pytest.mark.parametrize("provider", [Provider.GMAIL, Provider.OUTLOOK])
def test_what_is_taken_out_of_the_trash_while_it_is_read_again_is_there(provider, monkeypatch):
    machine, box, name = in_lasting(provider)
    machine.server.move(name, TRASH)
    machine.tick()
    machine.replay(box.id)
    fetch = LastingMailSession.fetch

    def taken_out(session, folder, ids):
        found = list(fetch(session, folder, ids))
        monkeypatch.setattr(LastingMailSession, "fetch", fetch)
        machine.server.move(name, INBOX)
        machine.clock.advance(minutes=1)
        machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
        return iter(found)

    monkeypatch.setattr(LastingMailSession, "fetch", taken_out)
    machine.drain()
    machine.tick()
    assert subjects(machine, box) == ["Message 2"]
    assert machine.letters_of(box.id) == []


def test_what_lies_before_the_history_that_is_kept_stays_at_the_provider_in_the_trash_too():
    machine, box, name = in_lasting(Provider.GMAIL)
    place = (TENANT, box.id)
    machine.world.mailboxes[place] = replace(
        machine.world.mailboxes[place], history_from=machine.clock.now()
    )
    machine.server.move(name, TRASH)
    machine.replay(box.id)
    machine.drain()
    assert machine.letters_of(box.id) == []
    assert machine.world.copies.get(place, {}) == {}


def test_what_is_gone_and_was_not_kept_says_so_and_is_replayed_only_when_named():
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    machine.world.letters[TENANT, box.id][letter.id] = replace(
        letter, raw_size=None, raw_missing=ErrorCode.CONNECTION_TIMED_OUT
    )
    machine.server.delete("INBOX", 1)
    machine.replay(box.id)
    machine.drain()
    (gone,) = machine.letters_of(box.id)
    assert gone.code is ErrorCode.MESSAGE_GONE
    assert machine.replay(box.id).queued == ()
    assert machine.replay(box.id, gone.id).queued == (gone.id,)


def page_by_page(machine, box, *, work):
    """Replay all as who follows `next` until its end; return what each request queued."""
    pages, asked = [], machine.replay(box.id)
    pages.append(set(asked.queued))
    while asked.next is not None:
        if work:
            machine.drain()
        asked = machine.replay(box.id, after=asked.next)
        pages.append(set(asked.queued))
        assert len(pages) < 10, "whoever follows `next` comes to no end"
    machine.drain()
    return pages


@pytest.mark.parametrize("work", [False, True], ids=["at-once", "after-each"])
@pytest.mark.parametrize("mended", [False, True], ids=["unreadable", "readable"])
def test_very_many_are_replayed_page_by_page_whatever_becomes_of_them(monkeypatch, mended, work):
    monkeypatch.setattr("shared.operations.replay_dead_letters.MOST_AT_ONCE", 2)
    machine, box = with_letters(2, 4, 5)
    machine.parser.mended = mended
    letters = [letter.id for letter in machine.letters_of(box.id)]
    assert page_by_page(machine, box, work=work) == [set(letters[:2]), set(letters[2:])]
    assert [letter.attempts for letter in machine.letters_of(box.id)] == ([] if mended else [2] * 3)


def test_letters_there_is_no_room_for_are_on_the_next_page(monkeypatch):
    monkeypatch.setattr("shared.operations.bring_in.MOST_CHUNKS", 1)
    machine, box = with_letters(2)
    for number, folder in ((5, "Sent"), (4, "INBOX"), (7, "Sent")):
        machine.server.deliver(folder, mail(number, NOW, extra=UNREADABLE), NOW)
        machine.tick()
    one, two, three, four = (letter.id for letter in machine.letters_of(box.id))
    machine.parser.mended = True
    # The third is at work by the time it is met again.
    assert page_by_page(machine, box, work=False) == [{one, three}, {two, three, four}]
    assert machine.letters_of(box.id) == []
    assert len(subjects(machine, box)) == 4


def test_a_replay_runs_beside_an_import_and_is_no_import():
    machine, box = with_letters(2, days=7)
    machine.parser.mended = True
    ports = {
        "mailboxes": machine.mailboxes,
        "backfills": machine.backfills,
        "queues": machine.guarded_queues,
        "clock": machine.clock,
    }
    opened = start_backfill(ADA, box.id, 30, **ports)
    asked = machine.replay(box.id)
    change_backfill(ADA, box.id, opened.id, BackfillAction.CANCEL, **ports)
    start_backfill(ADA, box.id, 30, **ports)
    machine.drain()
    states = machine.world.backfills[TENANT, box.id]
    assert states[asked.backfill_id].state is BackfillState.DONE
    assert subjects(machine, box) == ["Message 2"]


def test_a_replay_whose_chunk_was_given_up_leaves_its_letters_to_another():
    machine, box = with_letters(2)
    machine.parser.mended = True
    machine.replay(box.id)
    bury(machine, machine.queues.take_chunks()[0])
    kinds = [letter.kind for letter in machine.letters_of(box.id)]
    assert sorted(kinds) == [LetterKind.CHUNK, LetterKind.MESSAGE]
    machine.replay(box.id)
    machine.drain()
    assert subjects(machine, box) == ["Message 2"]
    assert machine.letters_of(box.id) == []


# ---- what kills its reader ----


class DyingParser(PlainParser):
    """Ends its process over a message with `X-Test: unreadable`, until it is mended."""

    def parse(self, message):
        if b"X-Test: unreadable" in message.raw and not self.mended:
            raise Death("parser")
        return super().parse(message)


def until_quiet(machine, consume, request):
    """Deliver a request until its consumer survives; return how many died of it."""
    for died in range(5):
        try:
            consume(request)
        except Death:
            machine.clock.advance(minutes=20)
        else:
            return died
    raise AssertionError("a message ends its worker for ever")


def test_one_that_killed_its_reader_has_its_raw_message_and_is_set_aside_again_and_again():
    machine, box = with_letters()
    machine.parser = DyingParser()
    for number in (1, 2, 3):
        extra = UNREADABLE if number == 2 else ""
        machine.server.deliver("INBOX", mail(number, NOW, extra=extra), NOW)
    until_quiet(machine, machine.sync, SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    assert subjects(machine, box) == ["Message 1", "Message 3"]
    (letter,) = machine.letters_of(box.id)
    assert letter.code is ErrorCode.KILLED_ITS_READER
    assert machine.letters.read_raw(letter) == mail(2, NOW, extra=UNREADABLE)

    machine.replay(box.id, letter.id)
    (request,) = machine.queues.take_chunks()
    assert until_quiet(machine, machine.run_chunk, request) > 0
    (again,) = machine.letters_of(box.id)
    assert (again.code, again.attempts) == (ErrorCode.KILLED_ITS_READER, 2)

    machine.parser.mended = True
    machine.replay(box.id, letter.id)
    machine.drain()
    assert subjects(machine, box) == ["Message 1", "Message 2", "Message 3"]
    assert machine.letters_of(box.id) == []


def test_one_that_kills_its_reader_is_read_after_all_else_of_its_replay():
    machine, box = with_letters(2, 4)
    deadly, harmless = machine.letters_of(box.id)
    machine.world.letters[TENANT, box.id][deadly.id] = replace(
        deadly, code=ErrorCode.KILLED_ITS_READER
    )

    class Dying(PlainParser):
        mended = True

        def parse(self, message):
            if message.provider_message_id == deadly.provider_message_id:
                raise Death("parser")
            return super().parse(message)

    machine.parser = Dying()
    machine.replay(box.id)
    (request,) = machine.queues.take_chunks()
    with pytest.raises(Death):
        machine.run_chunk(request)
    assert list(machine.live_copies(box.id)) == [harmless.provider_message_id]


# ---- work ----


def bury(machine, request):
    record_dead_letter(
        request,
        sent_at=machine.clock.now(),
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        letters=machine.letters,
        sends=InMemorySendStore(machine.world),
        clock=machine.clock,
    )


def test_a_poll_that_was_given_up_is_asked_for_again_and_its_letter_goes():
    machine, box = with_letters()
    bury(machine, SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    (letter,) = machine.letters_of(box.id)
    assert (letter.kind, letter.code) == (LetterKind.SYNC, ErrorCode.WORK_GIVEN_UP)
    machine.queues.take_syncs()
    machine.server.deliver("INBOX", mail(1, NOW), NOW)
    assert machine.replay(box.id, letter.id).queued == (letter.id,)
    assert machine.letters_of(box.id) == []
    # At once, though a mailbox whose poll was lost rests for an hour.
    machine.drain()
    assert subjects(machine, box) == ["Message 1"]
    assert machine.world.mailboxes[TENANT, box.id].inbound_error is None


@pytest.mark.parametrize("of_what", ["plan", "chunk"])
def test_a_backfill_that_was_given_up_is_gone_on_with(of_what):
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    machine.server.deliver("INBOX", mail(1, NOW), NOW - timedelta(days=1))
    box = machine.connect(days=7)
    if of_what == "plan":
        (request,) = machine.queues.take_plans()
    else:
        machine.plan(machine.queues.take_plans()[0])
        (request,) = machine.queues.take_chunks()
    bury(machine, request)
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    assert backfill.state is BackfillState.FAILED
    (letter,) = machine.letters_of(box.id)
    assert (letter.backfill_id, letter.chunk) == (
        backfill.id,
        0 if of_what == "chunk" else None,
    )
    machine.replay(box.id)
    assert machine.letters_of(box.id) == []
    machine.drain()
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    assert backfill.state is BackfillState.DONE
    assert subjects(machine, box) == ["Message 1"]


def test_work_of_a_backfill_that_goes_on_already_is_only_queued_again():
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    machine.server.deliver("INBOX", mail(1, NOW), NOW - timedelta(days=1))
    box = machine.connect(days=7)
    (plan,) = machine.queues.take_plans()
    bury(machine, plan)
    resume(machine, box)
    machine.queues.take_plans()
    machine.replay(box.id)
    assert machine.queues.plans == [plan]
    machine.plan(machine.queues.take_plans()[0])
    (chunk,) = machine.queues.take_chunks()
    bury(machine, chunk)
    resume(machine, box)
    machine.queues.take_chunks()
    machine.replay(box.id)
    assert machine.queues.chunks == [chunk]
    assert machine.letters_of(box.id) == []


def resume(machine, box):
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    change_backfill(
        ADA,
        box.id,
        backfill.id,
        BackfillAction.RESUME,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.guarded_queues,
        clock=machine.clock,
    )


def test_a_failed_import_waits_while_another_is_open():
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    box = machine.connect(days=7)
    bury(machine, machine.queues.take_plans()[0])
    ports = {
        "mailboxes": machine.mailboxes,
        "backfills": machine.backfills,
        "queues": machine.guarded_queues,
        "clock": machine.clock,
    }
    machine.clock.advance(minutes=1)
    other = start_backfill(ADA, box.id, 30, **ports)
    (letter,) = machine.letters_of(box.id)
    assert refused(ConflictError, machine.replay, box.id, letter.id) is ErrorCode.WRONG_STATE
    everything = machine.replay(box.id)
    assert (everything.queued, everything.blocked, everything.next) == ((), (letter.id,), None)
    change_backfill(ADA, box.id, other.id, BackfillAction.CANCEL, **ports)
    assert machine.replay(box.id, letter.id).queued == (letter.id,)
    assert machine.letters_of(box.id) == []


def test_of_a_cancelled_import_nothing_is_left_to_do_but_to_remove_the_letter():
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    box = machine.connect(days=7)
    bury(machine, machine.queues.take_plans()[0])
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    change_backfill(
        ADA,
        box.id,
        backfill.id,
        BackfillAction.CANCEL,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.guarded_queues,
        clock=machine.clock,
    )
    machine.replay(box.id)
    assert machine.letters_of(box.id) == []
    assert machine.queues.plans == []


# ---- who may ----


def test_whoever_may_change_the_mailbox_replays_and_nobody_else():
    machine, box = with_letters(2)
    (letter,) = machine.letters_of(box.id)
    bob = Viewer(TENANT, UserId("bob"))
    admin = Viewer(TENANT, UserId("root"), is_admin=True)
    for named in ({}, {"letter_id": letter.id}):
        assert (
            refused(RequestError, machine.replay, box.id, viewer=bob, **named)
            is ErrorCode.MAILBOX_NOT_FOUND
        )
    machine.world.mailboxes[TENANT, box.id] = replace(
        machine.world.mailboxes[TENANT, box.id],
        kind=MailboxKind.SHARED,
        granted_to=Readers((bob.user_id,)),
    )
    assert refused(RequestError, machine.replay, box.id, viewer=bob) is ErrorCode.ADMIN_REQUIRED
    assert machine.replay(box.id, viewer=admin).queued == (letter.id,)
    unknown = refused(RequestError, machine.replay, box.id, LetterId("l0"), viewer=admin)
    assert unknown is ErrorCode.DEAD_LETTER_NOT_FOUND


# ---- whoever dies ----


def everything_left(machine, box):
    """What people can see, without how often a dead worker's successor tried again."""
    letters = sorted(
        (letter.provider_message_id, letter.code, letter.raw_size)
        for letter in machine.letters_of(box.id)
    )
    raws = sorted(machine.world.raw_messages.values())
    return machine.fingerprint() | {"letters": letters, "raws": raws}


def replay_all(*, mended, gone, **death):
    machine, box = with_letters(2, 4, 5, **death)
    if gone:
        machine.server.delete("INBOX", 1)
    machine.parser.mended = mended
    try:
        machine.replay(box.id)
    except Death:
        machine.replay(box.id)
    machine.drain()
    machine.tick(14)
    return machine, box


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("gone", [False, True], ids=["there", "gone"])
@pytest.mark.parametrize("mended", [False, True], ids=["unreadable", "readable"])
def test_dying_at_any_side_effect_loses_and_doubles_nothing(mended, gone, after, monkeypatch):
    monkeypatch.setattr("shared.operations.bring_in.CHUNK_SIZE", 2)
    machine, box = replay_all(mended=mended, gone=gone)
    expected = everything_left(machine, box)
    assert len(expected["letters"]) == (0 if mended else 3)
    assert len(expected["raws"]) == (0 if mended else 3)
    assert len(expected["copies"]) == (3 if mended else 0)
    differences = []
    for at in range(machine.killer.count):
        killed, its_box = replay_all(die_at=at, after=after, mended=mended, gone=gone)
        if everything_left(killed, its_box) != expected:
            differences.append((at, killed.killer.seen[at]))
        assert all(run.counts.balances for run in killed.world.runs[TENANT, its_box.id].values())
    assert machine.killer.count > 30
    assert differences == []
