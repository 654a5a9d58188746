"""A worker over real ways out, ended at each step at the provider and each write of the send.

Over IMAP and SMTP servers and the simulators, which count what arrives. The stores are in memory:
that theirs keep their word is their contract's, and each of their writes is interrupted in
`test_send_killpoints`.
"""

from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import count
from types import SimpleNamespace

import pytest

from shared.domain.mailbox import FolderState, Provider
from shared.domain.sending import SendStatus
from tests.contract.provider_worlds import NOW
from tests.faults.summary import RECEIVED_TWICE, SENDS_TRIED
from tests.unit.operations.machine import TENANT
from tests.unit.operations.sending_machine import AT_THE_PROVIDER, SendingMachine

WORLDS = {
    "imap": ("imap_send_world.on_servers", Provider.IMAP),
    "gmail": ("gmail_send_world.replacing", Provider.GMAIL),
    "gmail, if it kept Message-IDs": ("gmail_send_world.keeping", Provider.GMAIL),
    "Graph": ("outlook_send_world.at_graph", Provider.OUTLOOK),
}
_numbers = count(1)


@pytest.fixture(params=WORLDS)
def way_out(request):
    place, provider = WORLDS[request.param]
    module, maker = place.split(".")
    with getattr(import_module(f"tests.contract.{module}"), maker)(request) as world:
        with world.provider.open(world.grant) as session:
            folders = session.look({}, lambda _: False, now=NOW).folders
        yield world, provider, folders


class RealWayOut:
    """A provider's sender whose steps pass the machine's killer."""

    def __init__(self, machine, sender) -> None:
        self.machine, self.sender = machine, sender

    @contextmanager
    def open(self, grant, *, seconds=None):
        with self.sender.open(grant, seconds=seconds) as session:
            yield RealSession(self.machine, session)


class RealSession:
    def __init__(self, machine, session) -> None:
        self.machine, self.session = machine, session

    def __getattr__(self, step):
        do = getattr(self.session, step)

        def guarded(*given):
            self.machine.before_step(step)
            done = do(*given)
            self.machine.after_step(step)
            return done

        return guarded


def run(way_out, at: int, how: str):
    """Send one mail, the process ending at one side effect; return how that went."""
    world, provider, folders = way_out
    machine = SendingMachine()
    machine.seconds_left = 300.0
    box = replace(machine.mailbox(), provider=provider, address=world.address)
    machine.box = machine.world.mailboxes[TENANT, box.id] = box
    machine.world.folders[TENANT, box.id] = {one.id: FolderState(one) for one in folders}
    machine.grants = SimpleNamespace(of=lambda _mailbox: world.grant)
    machine.sync = lambda _request: None
    machine.post = RealWayOut(machine, world.sender)
    machine.arm(at, how)
    number = next(_numbers)
    first, second, _ = world.recipients
    send = machine.ask([first], blind=[second], number=number)
    machine.rest()
    arrived = [
        sum(f"Subject: Offer {number}\r\n".encode() in raw for raw in world.received(one))
        for one in (first, second)
    ]
    return machine, machine.stands(send), arrived


def test_over_a_real_way_out_nobody_gets_a_mail_twice_wherever_its_worker_ends(
    way_out, record_property
):
    machine, send, arrived = run(way_out, -1, "before")
    assert (send.status, arrived) == (SendStatus.SENT, [1, 1])
    steps = [
        number
        for number, name in enumerate(machine.killer.seen)
        if name in AT_THE_PROVIDER or name.startswith("InMemorySendStore")
    ]
    assert len(steps) >= 7
    tried = twice = 0
    for how in ("before", "after"):
        for at in steps:
            machine, send, arrived = run(way_out, at, how)
            where = f"{how} {machine.killer.seen[at]}: {send.status}, {arrived}"
            tried += 1
            twice += max(arrived) > 1
            assert send.comes_up_at is None, where
            if send.status is SendStatus.SENT:
                assert arrived == [1, 1], where
                assert send.message_id, where
            else:
                assert send.status is SendStatus.UNKNOWN, where
                assert way_out[1] is Provider.IMAP, f"this provider can tell: {where}"
    record_property(SENDS_TRIED, tried)
    record_property(RECEIVED_TWICE, twice)
    assert twice == 0
