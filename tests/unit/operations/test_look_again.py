"""What sync is told of a message while a backfill's chunk fetches it, before it is stored."""

from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import TENANT, Death, Killer, Machine, mail

NOW = FixedClock().now()
MAILS = 6


@pytest.fixture
def machine():
    server = FakeMailServer.with_folders("INBOX", "Deals")
    for number in range(MAILS):
        at = NOW - timedelta(days=1, minutes=number)
        server.deliver("INBOX", mail(number, at), at)
    made = Machine(server, Killer())
    made.box = made.connect(days=30)
    made.queues.take_syncs()
    made.plan(made.queues.take_plans()[0])
    made.queues.take_syncs()
    return made


def sync(machine):
    machine.sync(SyncRequest(TENANT, machine.box.id, RunReason.SCHEDULE))
    return machine.reports[-1]


def while_it_fetches(monkeypatch, machine, act):
    """Have the owner act, and sync hear of it, when the first message was fetched and none is stored."""
    fetch = FakeSession.fetch

    def acting(session, folder, ids):
        messages = fetch(session, folder, ids)
        yield next(messages)
        monkeypatch.setattr(FakeSession, "fetch", fetch)
        act(machine.server)
        machine.clock.advance(minutes=1)
        assert sync(machine).kind == "done"
        yield from messages

    monkeypatch.setattr(FakeSession, "fetch", acting)


def import_it(machine):
    (request,) = machine.queues.take_chunks()
    machine.run_chunk(request)
    (backfill,) = machine.world.backfills[TENANT, machine.box.id].values()
    return backfill


def here(machine):
    """Subjects we show in the mailbox, with whether they are read."""
    world = machine.world
    return {
        world.messages[TENANT, copy.message_id].subject: copy.flags.seen
        for copy in machine.live_copies(machine.box.id).values()
    }


def there(machine):
    found = {}
    for folder in machine.server.folders.values():
        for one in folder.mails.values():
            subject = one.raw.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
            found[subject] = one.flags.seen
    return found


FIRST = 1
OWNER = {
    "deletes it": lambda server: server.delete("INBOX", FIRST),
    "marks it": lambda server: server.mark_seen("INBOX", FIRST),
    "moves it": lambda server: server.move("INBOX", FIRST, "Deals"),
    "deletes all": lambda server: [server.delete("INBOX", uid) for uid in range(1, MAILS + 1)],
}


@pytest.mark.parametrize("what", OWNER)
def test_what_the_owner_does_meanwhile_is_not_undone_by_the_import(machine, monkeypatch, what):
    while_it_fetches(monkeypatch, machine, OWNER[what])
    backfill = import_it(machine)
    assert backfill.state is BackfillState.DONE
    assert backfill.counts.settled == backfill.planned == MAILS
    assert here(machine) == there(machine)
    machine.clock.advance(minutes=5)
    assert sync(machine).kind == "idle"
    assert here(machine) == there(machine)


def test_a_chunk_that_died_after_storing_looks_from_where_it_first_began(machine, monkeypatch):
    while_it_fetches(monkeypatch, machine, OWNER["deletes it"])
    finish = type(machine.backfills.inner).finish_chunk

    def die(*_given, **_named):
        raise Death

    monkeypatch.setattr(type(machine.backfills.inner), "finish_chunk", die)
    monkeypatch.setattr("shared.operations.look_again.SecondLook.take", lambda *_g, **_n: None)
    (request,) = machine.queues.take_chunks()
    with pytest.raises(Death):
        machine.run_chunk(request)
    monkeypatch.undo()
    assert type(machine.backfills.inner).finish_chunk is finish
    assert here(machine) != there(machine)
    machine.clock.advance(minutes=10)
    machine.run_chunk(request)
    assert here(machine) == there(machine)


def test_nothing_is_asked_where_sync_was_told_nothing(machine, monkeypatch):
    asked = []
    changes = FakeSession.changes
    monkeypatch.setattr(
        FakeSession, "changes", lambda *g, **n: (asked.append(g), changes(*g, **n))[1]
    )
    assert import_it(machine).state is BackfillState.DONE
    assert asked == []
