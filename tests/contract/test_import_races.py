"""What an owner does while their history is imported beside sync, by the real adapters at the simulators."""

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW

MAILS = 30


@dataclass
class Interrupted:
    """A provider whose next fetch is interrupted: somebody acts when its first message is there."""

    provider: object
    act: object

    @contextmanager
    def open(self, grant, *, seconds=None):
        with self.provider.open(grant, seconds=seconds) as session:
            yield _Session(session, self)


class _Session:
    def __init__(self, session, owner) -> None:
        self._session = session
        self._owner = owner

    def __getattr__(self, name):
        return getattr(self._session, name)

    def fetch(self, folder, ids):
        for one in self._session.fetch(folder, ids):
            act, self._owner.act = self._owner.act, None
            if act is not None:
                act(one.provider_message_id)
            yield one


@pytest.fixture(params=["gmail", "outlook"])
def there(request):
    """A mailbox with some history at each provider."""
    world = request.getfixturevalue(request.param)
    for number in range(MAILS):
        at = NOW - timedelta(days=1, minutes=number)
        world.theirs.deliver(number, folder="INBOX", received_at=at)
    world.name = Provider(request.param)
    return world


ACTS = {
    "deletes": lambda mailbox, name: mailbox.delete(name),
    "trashes": lambda mailbox, name: mailbox.trash(name),
    "reads": lambda mailbox, name: mailbox.set_flags(name, seen=True, flagged=True),
}


@pytest.mark.parametrize("what", ACTS)
def test_what_the_owner_does_to_a_message_under_way_is_what_we_end_with(there, what):
    operated = Operated(there, there.name, days=30)
    machine, place = operated.machine, operated.place
    touched = []

    def act(name):
        touched.append(name)
        ACTS[what](there.theirs.mailbox, name)
        machine.clock.advance(minutes=1)
        machine.server = there.provider
        assert machine.sync(SyncRequest(*place, RunReason.SCHEDULE)).kind == "done"

    machine.plan(machine.queues.take_plans()[0])
    machine.queues.take_syncs()
    machine.server = Interrupted(there.provider, act)
    (request,) = machine.queues.take_chunks()
    machine.run_chunk(request)
    for _ in range(3):
        machine.clock.advance(minutes=5)
        machine.sync(SyncRequest(*place, RunReason.SCHEDULE))
    assert machine.reports[-1].kind == "idle"
    ours = operated.live
    (victim,) = touched
    if what == "reads":
        assert (ours[victim].flags.seen, ours[victim].flags.flagged) == (True, True)
        assert len(ours) == MAILS
    else:
        assert victim not in ours
        assert len(ours) == MAILS - 1
