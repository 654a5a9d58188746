"""What sync does with positions the provider does not know any more, be it once or for ever."""

from collections import Counter
from dataclasses import replace

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.explanations import explain
from shared.domain.ids import FolderId
from shared.domain.mailbox import Provider
from tests.fakes.clock import FixedClock
from tests.fakes.lasting_provider import LastingMailServer
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.machine import TENANT, Machine, busy_server, mail

NOW = FixedClock().now()


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


@pytest.fixture
def mailbox(machine):
    mailbox = machine.connect(days=60)
    machine.drain()
    machine.server.fetched.clear()
    return mailbox


def trouble(machine, mailbox):
    return machine.mailboxes.get(TENANT, mailbox.id).mailbox.inbound_error


def is_whole(machine, mailbox):
    wanted = machine.server.ids("INBOX") | machine.server.ids("Sent")
    return set(machine.live_copies(mailbox.id)) == wanted


def renumber_for(machine, hours):
    """Poll a server that numbers its inbox anew before each; return how often each was fetched."""
    machine.server.fetched.clear()
    for _ in range(hours * 12):
        machine.server.renumber("INBOX")
        machine.tick(5)
    folders = Counter(name.split(".")[0] for name in machine.server.fetched)
    return folders["f-inbox"] / len(machine.server.ids("INBOX"))


def test_after_one_reset_nothing_is_missing_nothing_is_new_and_nobody_is_told(machine, mailbox):
    before = set(machine.world.messages)
    machine.server.renumber("INBOX")
    machine.tick(5)
    assert is_whole(machine, mailbox)
    assert set(machine.world.messages) == before
    assert trouble(machine, mailbox) is None


def test_a_reset_loop_is_capped_and_told(machine, mailbox):
    assert renumber_for(machine, 5) == 3
    told = trouble(machine, mailbox)
    assert told.code is ErrorCode.UIDVALIDITY_CHANGED
    assert told.acts == "provider"
    assert "anew" in explain(told.code).message


def test_a_reset_loop_holds_up_no_other_folder(machine, mailbox):
    renumber_for(machine, 1)
    machine.server.deliver("Sent", mail(700, NOW), machine.clock.now())
    renumber_for(machine, 1)
    assert machine.server.ids("Sent") <= set(machine.live_copies(mailbox.id))


def test_a_reset_loop_is_looked_at_every_six_hours_and_forgotten_after_a_good_day(machine, mailbox):
    assert renumber_for(machine, 5) == 3
    assert renumber_for(machine, 12) == 2
    machine.tick(8 * 60)
    assert is_whole(machine, mailbox)
    assert trouble(machine, mailbox) is None
    machine.tick(24 * 60)
    assert renumber_for(machine, 5) == 3
    states = {one.folder.id: one for one in machine.mailboxes.folders(TENANT, mailbox.id)}
    assert states[FolderId("f-inbox")].resets == 3


@pytest.mark.parametrize("provider", [Provider.GMAIL, Provider.OUTLOOK])
def test_a_provider_that_forgets_every_place_is_compared_with_less_often_and_told_of(provider):
    machine = Machine(FakeMailServer.with_folders("INBOX"))
    mailbox = machine.connect(days=0)
    place = (TENANT, mailbox.id)
    machine.world.mailboxes[place] = replace(machine.world.mailboxes[place], provider=provider)
    server = machine.server = LastingMailServer(labels=provider is Provider.GMAIL)
    machine.drain()
    for number in range(12):
        now = machine.clock.now()
        server.deliver(FolderId("INBOX"), mail(number, now), now)
        server.forget_history()
        machine.tick(5)
    assert len(machine.live_copies(mailbox.id)) == 3
    assert trouble(machine, mailbox).code is ErrorCode.CURSOR_EXPIRED
    machine.tick(6 * 60)
    assert set(machine.live_copies(mailbox.id)) == set(server.mails)
    assert trouble(machine, mailbox) is None
