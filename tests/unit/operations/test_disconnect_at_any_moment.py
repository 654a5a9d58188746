"""Disconnecting amid an import or a run: from then on nobody is asked for mail and nothing is written."""

import itertools

import pytest

from shared.domain.backfill import OPEN
from shared.domain.mailbox import MailboxStatus
from tests.fakes.clock import FixedClock
from tests.unit.operations.machine import TENANT, Killer, Machine, busy_server, mail

NOW = FixedClock().now()


class Interrupter(Killer):
    """Has something done before side effect number `at`, as by another worker."""

    act = None

    def guard(self, name, effect):
        def guarded(*args, **kwargs):
            self.count += 1
            if self.count - 1 == self.at:
                self.at = None
                self.act()
            return effect(*args, **kwargs)

        return guarded


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 3)


def importing(machine):
    machine.drain()
    machine.tick(8)


def syncing(machine):
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, extra="X-Attachment: a,b\r\n"), at)
    machine.server.move("INBOX", 2, "Sent")
    machine.server.delete("INBOX", 3)
    machine.server.mark_seen("INBOX", 1)
    machine.server.renumber("Sent")
    machine.tick(8)


@pytest.mark.parametrize("before", [[], [importing]], ids=["importing", "syncing"])
def test_after_a_disconnect_at_any_moment_nothing_is_fetched_or_written(before):
    for at in itertools.count():
        machine = Machine(busy_server(NOW), Interrupter())
        box = machine.connect(days=40)
        for act in before:
            act(machine)
        after = []

        def disconnect(machine=machine, box=box, after=after):
            machine.disconnect(box.id)
            machine.server.deliver("INBOX", mail(200, NOW), NOW)
            after.append((machine.server.logins, machine.fingerprint()))

        machine.killer.act, machine.killer.at = disconnect, machine.killer.count + at
        (syncing if before else importing)(machine)
        if not after:
            break
        machine.tick(8)
        (box,) = machine.world.mailboxes.values()
        assert box.status is MailboxStatus.DISCONNECTED
        assert machine.secret_store.get(TENANT, box.id) is None
        ((logins, fingerprint),) = after
        assert machine.server.logins == logins, at
        # An import that was open is closed by whoever finds it.
        assert {**machine.fingerprint(), "backfills": []} == {**fingerprint, "backfills": []}, at
        for backfill in machine.world.backfills[TENANT, box.id].values():
            assert backfill.state not in OPEN, at
    assert at > 8
