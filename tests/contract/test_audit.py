"""A copy lost behind our back is found and brought in again, by the real adapters at every provider."""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW, in_memory, on_imap

PROVIDERS = {
    "the fake": Provider.IMAP,
    "imap": Provider.IMAP,
    "outlook": Provider.OUTLOOK,
    "gmail": Provider.GMAIL,
}
SIMULATED = {"gmail", "outlook"}
MAILS = 40
DAYS = 60


@dataclass
class Noted:
    """A provider that notes what its sessions are asked for, and lets somebody act before."""

    provider: object
    asked: list
    act: dict
    round_trips: int = 0

    @contextmanager
    def open(self, grant, *, seconds=None):
        with self.provider.open(grant, seconds=seconds) as session:
            yield _Session(session, self)
            self.round_trips = getattr(session, "round_trips", 0)


class _Session:
    def __init__(self, session, owner) -> None:
        self._session = session
        self._owner = owner

    def __getattr__(self, name):
        method = getattr(self._session, name)

        def asked(*given, **named):
            self._owner.asked.append(name)
            if act := self._owner.act.pop(name, None):
                act()
            return method(*given, **named)

        return asked


class Imported(Operated):
    """A mailbox that was imported."""

    def __init__(self, there, provider: Provider) -> None:
        for number in range(MAILS):
            at = NOW - timedelta(days=number, minutes=number + 5)
            there.theirs.deliver(number, folder="INBOX", received_at=at)
        super().__init__(there, provider, days=DAYS)
        self.machine.server = self.noted = Noted(there.provider, [], {})
        self.machine.drain()
        assert len(self.live) == MAILS

    @property
    def repairs(self):
        runs = self.machine.world.runs[self.place].values()
        return [run for run in runs if run.reason is RunReason.REPAIR]


@pytest.fixture(params=PROVIDERS)
def imported(request, certificates):
    if request.param == "the fake":
        there = in_memory()
    elif request.param == "imap":
        there = on_imap(request.getfixturevalue("mail_user"))
    else:
        there = request.getfixturevalue(request.param)
    imported = Imported(there, PROVIDERS[request.param])
    imported.kind = request.param
    return imported


def test_a_message_removed_behind_our_back_is_found_and_brought_in_again(imported):
    before = dict(imported.copies)
    newest = max(before, key=lambda name: before[name].received_at)
    del imported.copies[newest]
    found = imported.audit()
    assert (found.missing, found.extra) == (1, 0)
    assert imported.live.keys() == before.keys()
    assert imported.copies[newest].message_id == before[newest].message_id
    (repair,) = imported.repairs
    assert (repair.counts.listed, repair.counts.stored) == (1, 1)
    assert imported.audit().missing == 0


def test_within_a_month_all_that_was_removed_is_there_again_and_nothing_else_is_read(imported):
    before = dict(imported.copies)
    for name in sorted(before)[::7]:
        del imported.copies[name]
    lost = len(before) - len(imported.copies)
    found = imported.walk()
    assert imported.live.keys() == before.keys()
    assert sum(one.missing for one in found) == lost
    assert sum(run.counts.listed for run in imported.repairs) == lost
    assert {one.extra for one in found} == {0}
    assert found[-1].whole_mailbox_checked_at or any(one.whole_mailbox_checked_at for one in found)
    backfills = imported.machine.world.backfills[imported.place].values()
    assert {one.state for one in backfills} == {BackfillState.DONE}


def test_a_complete_mailbox_is_complete_at_each_of_its_windows(imported):
    found = imported.walk()
    assert {(one.missing, one.extra, one.under_way, one.folders_left_out) for one in found} == {
        (0, 0, 0, 0)
    }
    assert sum(one.listed for one in found) >= MAILS
    assert imported.repairs == []
    assert len(imported.live) == MAILS


@pytest.mark.parametrize("moment", ["look", "list_window", "changes"])
def test_what_arrives_and_goes_while_the_audit_looks_is_no_difference(imported, moment):
    theirs = imported.there.theirs
    theirs.deliver(500, folder="INBOX", received_at=NOW - timedelta(minutes=1))
    imported.poll()
    newest = max(imported.copies, key=lambda name: imported.copies[name].received_at)
    # Changes are only asked for where there seems to be a difference.
    missing = moment == "changes"
    if missing:
        del imported.copies[newest]

    def somebody_acts():
        theirs.deliver(900, 901, folder="INBOX", received_at=NOW)
        theirs.delete(0, 1)

    imported.noted.act = {moment: somebody_acts}
    found = imported.audit()
    assert imported.noted.act == {}
    assert (found.missing, found.extra, found.folders_left_out) == (missing, 0, 0)
    assert len(imported.repairs) == missing
    imported.poll()
    assert len(imported.live) == MAILS + 1
    assert newest in imported.live
    assert imported.audit().missing == 0


def test_what_lies_outside_of_the_chosen_folders_and_days_is_not_missing(imported):
    old = NOW - timedelta(days=DAYS + 30)
    imported.there.theirs.create_folder("Deals")
    imported.there.theirs.deliver(700, folder="INBOX", received_at=old)
    imported.there.theirs.deliver(701, folder="Deals", received_at=NOW)
    imported.poll()
    boxes = imported.machine.world.mailboxes
    inbox = imported.there.folder("INBOX").id
    boxes[imported.place] = replace(boxes[imported.place], active_folders=(inbox,))
    imported.poll()
    found = imported.walk()
    assert sum(one.missing for one in found) == 0
    assert imported.repairs == []


def test_a_quiet_day_s_audit_asks_the_provider_for_little(imported):
    """Log in and look, then list two windows of each folder: infra/decisions/0014."""
    imported.audit()
    imported.machine.clock.advance(days=1)
    imported.noted.asked.clear()
    if imported.kind in SIMULATED:
        imported.there.simulator.log.clear()
    found = imported.audit()
    assert (found.missing, len(found.windows)) == (0, 2)
    folders = imported.noted.asked.count("list_window") // 2
    assert imported.noted.asked.count("look") == 1
    assert not {"changes", "fetch", "baseline"} & set(imported.noted.asked)
    match imported.kind:
        case "gmail":
            routes = [one.route for one in imported.there.simulator.log.entries()]
            assert routes == ["labels.list", "messages.list", "messages.list"]
        case "outlook":
            sent = [one for one in imported.there.simulator.log.entries() if not one.batch]
            assert len(sent) == 1 + 2 * folders
        case "imap":
            assert imported.noted.round_trips == 4 + 2 * folders
