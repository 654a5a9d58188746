"""Import and sync of an Outlook mailbox by the operations themselves, against the simulator's own store."""

import random
import re
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode
from shared.domain.mailbox import Provider
from shared.providers.http import Requests
from shared.providers.outlook import baseline, delta
from shared.providers.outlook.session import MOST_EMPTY
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW

ACTIVE = ["INBOX", "Sent", "Archive", "Deals"]


class Imported(Operated):
    """A mailbox that is connected and imported."""

    def __init__(self, outlook, *, days=30) -> None:
        super().__init__(outlook, Provider.OUTLOOK, days=days)
        self.machine.drain()

    def theirs(self, *, since=None):
        """The same, as the simulator has it: of the folders we follow, from a date on."""
        names = self.there.folders()
        active = [{"Sent": "Sent Items"}.get(one, one) for one in ACTIVE]
        followed = {names[one].id for one in active if one in names}
        return {
            one.id: set(one.folders)
            for one in self.there.theirs.mailbox.messages()
            if set(one.folders) <= followed and (since is None or one.received_at >= since)
        }


@pytest.fixture
def filled(outlook):
    outlook.theirs.create_folder("Deals")
    for number in range(60):
        folder = [*ACTIVE, "Junk Email"][number % 5]
        received_at = NOW - timedelta(days=number, minutes=number)
        outlook.theirs.deliver(number, folder=folder, received_at=received_at)
    return outlook


def test_many_empty_pages_are_got_through_in_several_runs_and_nothing_is_lost(filled):
    imported = Imported(filled)
    filled.theirs.deliver(100)
    armed = filled.simulator.faults.arm("delta_empty_page", times=12 * MOST_EMPTY)
    codes, asked = [], []
    while imported.held != imported.theirs(since=NOW - timedelta(days=30)):
        before = armed.struck
        report = imported.poll()
        asked.append(armed.struck - before)
        codes.append(report.error.code if report.error else None)
        assert len(codes) < 30
    assert ErrorCode.FOLDER_UNAVAILABLE in codes
    # Each folder may bring so many: none of them holds up the others.
    assert max(asked) <= (MOST_EMPTY + 1) * len(ACTIVE)


def test_a_mailbox_is_imported_from_its_date_floor_on_each_message_once(filled):
    imported = Imported(filled)
    assert imported.held == imported.theirs(since=NOW - timedelta(days=30))
    assert len(imported.held) == 24
    messages = {one.message_id for one in imported.machine.world.copies[imported.place].values()}
    assert len(messages) == 24
    filled.simulator.log.clear()
    assert imported.poll().kind == "idle"
    fetched = filled.simulator.log.entries(route="messages.mime")
    assert fetched == []


@pytest.mark.parametrize("seed", range(3))
def test_what_the_owner_does_is_followed_to_the_same_end_through_faults(filled, seed):
    rng = random.Random(seed)
    imported = Imported(filled, days=90)
    places = [*ACTIVE, "Junk Email", "deleteditems"]
    number = 100
    for _ in range(10):
        for _ in range(rng.randint(1, 5)):
            theirs = filled.theirs._places
            match rng.choice(["deliver", "move", "move", "flag", "delete"]):
                case "deliver":
                    number += 1
                    filled.theirs.deliver(number, folder=rng.choice(places))
                case "move":
                    filled.theirs.move(rng.choice(list(theirs)), rng.choice(places))
                case "flag":
                    filled.theirs.flag(rng.choice(list(theirs)))
                case "delete":
                    filled.theirs.delete(rng.choice(list(theirs)))
        fault = rng.choice(
            [
                None,
                None,
                "delta_gone",
                "unavailable",
                "batch_partial",
                "unauthorized",
                "cut_body",
                "delta_repeats",
                "delete_on_get",
            ]
        )
        if fault:
            route = {"delta_gone": r"/messages/delta$", "cut_body": r"batch$"}.get(fault, "")
            filled.simulator.faults.arm(fault, route=route, after=rng.randint(0, 3))
        imported.poll()
        filled.simulator.faults.clear()
        if rng.random() < 0.3:
            imported.machine.clock.advance(minutes=90)
    imported.machine.clock.advance(minutes=120)
    for _ in range(3):
        imported.poll()
    assert imported.held == imported.theirs(), f"seed {seed}"
    flags = {name: one.flags for name, one in imported.machine.world.copies[imported.place].items()}
    for one in filled.theirs.mailbox.messages():
        if one.id in imported.held:
            assert flags[one.id].seen is one.seen
    assert imported.poll().kind == "idle"


def test_a_folder_that_is_deleted_leaves_its_messages_removed(filled):
    imported = Imported(filled, days=90)
    filled.theirs.delete_folder("Deals")
    # Folders are listed once in a quarter of an hour.
    for _ in range(4):
        imported.poll()
    assert imported.held == imported.theirs()
    assert len(imported.held) == 36


def test_a_folder_that_no_session_walks_over_is_imported_and_followed(outlook, monkeypatch):
    # Sixty messages in pages of one, five seconds each: longer than a plan or a run may last.
    for module in (baseline, delta):
        monkeypatch.setattr(module, "LARGEST_PAGE", 1)
    left = Requests.seconds_left.fget
    monkeypatch.setattr(Requests, "seconds_left", property(lambda one: left(one) - 5 * one.sent))
    for number in range(60):
        outlook.theirs.deliver(number, received_at=NOW - timedelta(days=number, minutes=1))
    imported = Imported(outlook)
    outlook.theirs.deliver(100)
    for _ in range(12):
        imported.machine.tick(10)
    assert imported.held == imported.theirs(since=NOW - timedelta(days=30))
    assert len(imported.held) == 31
    (backfill,) = imported.machine.world.backfills[imported.place].values()
    assert backfill.state is BackfillState.DONE
    cursors = [one.cursor for one in imported.machine.world.folders[imported.place].values()]
    with outlook.session() as session:
        assert all(session.is_settled(Cursor.decode(one)) for one in cursors if one)
    outlook.theirs.deliver(101)
    imported.poll()
    assert len(imported.held) == 32


def test_one_message_that_fails_for_ever_holds_up_no_other(outlook):
    outlook.theirs.deliver(1)
    imported = Imported(outlook)
    outlook.theirs.deliver(2, 3, 4)
    failing = outlook.theirs._places[3][1]
    outlook.simulator.faults.arm("server_error", route=re.escape(failing), times=None)
    imported.poll()
    assert imported.held.keys() == imported.theirs().keys() - {failing}
    for _ in range(12):
        imported.poll()
    outlook.theirs.deliver(5)
    imported.poll()
    assert imported.held.keys() == imported.theirs().keys() - {failing}
    imported.machine.clock.advance(minutes=120)
    imported.poll()
    assert imported.machine.world.mailboxes[imported.place].inbound_error is None
