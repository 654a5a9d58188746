"""What becomes of a folder's history when it is left out for a while, and chosen again."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import ErrorCode
from shared.domain.ids import FolderId
from shared.operations.mailbox_settings import SettingsChange, change_settings
from shared.operations.start_backfill import start_backfill
from tests.fakes.clock import FixedClock
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.provider import FakeSession
from tests.unit.operations.machine import ADA, TENANT, Machine, busy_server, mail

NOW = FixedClock().now()
SENT = (FolderId("f-sent"),)


@pytest.fixture
def machine():
    return Machine(busy_server(NOW))


def choose(machine, mailbox, chosen):
    change_settings(
        ADA,
        mailbox.id,
        SettingsChange(active_folders=chosen),
        mailboxes=machine.mailboxes,
        openings=InMemoryOpeningStore(machine.world),
        queues=machine.queues,
        clock=machine.clock,
    )


def begin_import(machine, mailbox, days):
    ports = {"mailboxes": machine.mailboxes, "backfills": machine.backfills}
    start_backfill(ADA, mailbox.id, days, queues=machine.queues, clock=machine.clock, **ports)
    return import_of(machine, mailbox)


def import_of(machine, mailbox):
    return machine.backfills.list_backfills(TENANT, mailbox.id)[0]


def is_whole(machine, mailbox):
    floor = machine.mailboxes.get(TENANT, mailbox.id).mailbox.history_from
    wanted = {
        name
        for folder in machine.server.folders
        if folder != "Trash"
        for name in machine.server.ids(folder, since=floor)
    }
    assert len(wanted) > 2
    return wanted == set(machine.live_copies(mailbox.id))


def test_a_folder_chosen_again_reaches_as_far_back_as_an_import_that_ran_without_it(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    choose(machine, mailbox, SENT)
    machine.drain()
    begin_import(machine, mailbox, 60)
    machine.drain()
    assert import_of(machine, mailbox).state is BackfillState.DONE
    choose(machine, mailbox, None)
    machine.drain()
    assert is_whole(machine, mailbox)


def test_history_that_was_planned_while_no_folder_was_chosen_comes_with_the_folders(machine):
    mailbox = machine.connect(days=30)
    choose(machine, mailbox, ())
    machine.plan(machine.queues.take_plans()[0])
    assert import_of(machine, mailbox).state is BackfillState.DONE
    choose(machine, mailbox, None)
    machine.drain()
    assert is_whole(machine, mailbox)


def test_a_plan_waits_until_sync_has_let_go_of_what_nobody_chooses_any_more(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    choose(machine, mailbox, SENT)
    begin_import(machine, mailbox, 60)
    machine.plan(machine.queues.take_plans()[0])
    waiting = import_of(machine, mailbox)
    assert (waiting.state, waiting.code) == (BackfillState.PLANNING, ErrorCode.TAKING_STOCK)
    choose(machine, mailbox, None)
    machine.drain()
    machine.tick(3)
    assert import_of(machine, mailbox).state is BackfillState.DONE
    assert is_whole(machine, mailbox)


@pytest.mark.parametrize("sync_is_faster", [False, True])
def test_a_plan_during_which_others_were_chosen_is_made_again(machine, monkeypatch, sync_is_faster):
    mailbox = machine.connect(days=30)
    choose(machine, mailbox, ())
    look = FakeSession.look

    def meanwhile(*args, **given):
        monkeypatch.setattr(FakeSession, "look", look)
        choose(machine, mailbox, None)
        if sync_is_faster:
            machine.sync(machine.queues.take_syncs()[-1])
        return look(*args, **given)

    monkeypatch.setattr(FakeSession, "look", meanwhile)
    machine.plan(machine.queues.take_plans()[0])
    assert import_of(machine, mailbox).state is BackfillState.PLANNING
    machine.drain()
    machine.tick(3)
    assert import_of(machine, mailbox).state is BackfillState.DONE
    assert is_whole(machine, mailbox)


def test_a_folder_made_since_is_brought_in_whole_whatever_a_shorter_import_asks_for(machine):
    mailbox = machine.connect(days=30)
    machine.drain()
    machine.server.create_folder("Deals")
    at = NOW - timedelta(days=20)
    machine.server.deliver("Deals", mail(800, at), at)
    begin_import(machine, mailbox, 7)
    machine.plan(machine.queues.take_plans()[0])
    machine.drain()
    machine.tick(6)
    assert is_whole(machine, mailbox)


@pytest.mark.parametrize("moment", ["look", "changes"])
@pytest.mark.parametrize("is_renumbered", [False, True])
def test_an_import_begun_amid_a_run_that_compares_a_folder_leaves_out_none_of_it(
    machine, monkeypatch, moment, is_renumbered
):
    mailbox = machine.connect(days=0)
    machine.drain()
    if is_renumbered:
        machine.server.renumber("INBOX")
    else:
        choose(machine, mailbox, SENT)
        machine.drain()
        choose(machine, mailbox, None)
    machine.clock.advance(minutes=1)
    asked = getattr(FakeSession, moment)

    def meanwhile(session, *args, **given):
        answer = asked(session, *args, **given)
        if moment == "look" or args[0].id == "f-inbox":
            monkeypatch.setattr(FakeSession, moment, asked)
            begin_import(machine, mailbox, 60)
            machine.plan(machine.queues.take_plans()[0])
        return answer

    monkeypatch.setattr(FakeSession, moment, meanwhile)
    machine.drain()
    machine.tick(12)
    assert import_of(machine, mailbox).state is BackfillState.DONE
    assert is_whole(machine, mailbox)


def test_an_old_message_that_is_moved_here_as_an_import_begins_is_not_left_out(
    machine, monkeypatch
):
    mailbox = machine.connect(days=0)
    machine.drain()
    machine.clock.advance(minutes=1)
    at = NOW - timedelta(days=20)
    machine.server.deliver("INBOX", mail(801, at), at)
    changes = FakeSession.changes

    def meanwhile(session, *args, **given):
        monkeypatch.setattr(FakeSession, "changes", changes)
        begin_import(machine, mailbox, 60)
        machine.plan(machine.queues.take_plans()[0])
        return changes(session, *args, **given)

    monkeypatch.setattr(FakeSession, "changes", meanwhile)
    machine.tick(12)
    assert import_of(machine, mailbox).state is BackfillState.DONE
    assert is_whole(machine, mailbox)


def test_the_first_import_waits_for_no_run(machine, monkeypatch):
    mailbox = machine.connect(days=30)
    baseline = FakeSession.baseline

    def meanwhile(*args, **given):
        monkeypatch.setattr(FakeSession, "baseline", baseline)
        machine.plan(machine.queues.take_plans()[0])
        return baseline(*args, **given)

    monkeypatch.setattr(FakeSession, "baseline", meanwhile)
    machine.sync(machine.queues.take_syncs()[0])
    assert import_of(machine, mailbox).state is BackfillState.RUNNING


def test_a_folder_that_is_deleted_while_nobody_follows_it_takes_its_copies_along(machine):
    mailbox = machine.connect(days=60)
    machine.drain()
    choose(machine, mailbox, (FolderId("f-inbox"),))
    machine.drain()
    assert machine.server.ids("Sent") & set(machine.live_copies(mailbox.id))
    machine.server.delete_folder("Sent")
    machine.tick(6)
    assert {name.split(".")[0] for name in machine.live_copies(mailbox.id)} == {"f-inbox"}


def test_a_folder_nobody_follows_is_let_go_of_although_nobody_waits_for_the_run(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    stands = machine.mailboxes.get(TENANT, mailbox.id).mailbox
    machine.mailboxes.save_settings(replace(stands, active_folders=SENT))
    machine.tick(6)
    states = machine.mailboxes.folders(TENANT, mailbox.id)
    assert [state.folder.id for state in states if state.cursor] == list(SENT)
