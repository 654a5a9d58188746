"""What people do with mail here is done at the provider, once all is quiet, whatever came between."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.change import ChangeFate
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.ids import MessageId, UserId
from shared.domain.lease import Fence
from shared.domain.mailbox import LatestError, MailboxStatus
from shared.domain.visibility import Viewer
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.changing_machine import ChangingMachine
from tests.unit.operations.machine import TENANT, Death, Killer, mail

NOW = FixedClock().now()
SUBJECTS = ["Message 1", "Message 2", "Message 3"]
A_DAY = timedelta(days=1)


def connected(killer: Killer | None = None, *, folders=("INBOX", "Deals", "Trash"), **settings):
    server = FakeMailServer.with_folders(*folders)
    for number in (1, 2, 3):
        server.deliver("INBOX", mail(number, NOW - A_DAY), NOW - A_DAY)
    machine = ChangingMachine(server)
    machine.connect(days=30, **settings)
    machine.drain()
    if killer is not None:
        for port in vars(machine).values():
            if hasattr(port, "killer"):
                port.killer = killer
        machine.killer = killer
    return machine


@pytest.fixture
def machine():
    return connected()


def shown(machine, subject):
    copy = machine.copy(subject)
    folders = {
        one.folder.id: one.folder.name
        for one in machine.world.folders[TENANT, machine.box.id].values()
    }
    (folder,) = copy.folder_ids
    return folders[folder], copy.flags.seen, copy.flags.flagged


# ---- here to there ----


def test_marks_and_moves_show_at_once_and_reach_the_provider(machine):
    fetched = list(machine.server.fetched)
    asked = machine.ask("Message 1", seen=True, flagged=True, folder="Deals")
    (view,) = asked[0].copies
    assert (view.seen, view.flagged, view.folder_id) == (True, True, machine.folder_id("Deals"))
    assert view.pending is not None
    assert shown(machine, "Message 1") == ("Deals", True, True)
    assert machine.there("INBOX")["Message 1"] == (False, False)
    machine.drain()
    assert machine.there("Deals") == {"Message 1": (True, True)}
    assert "Message 1" not in machine.there("INBOX")
    assert machine.copy("Message 1").pending is None
    machine.tick(20)
    # It went on under its new id: nothing was fetched again, and nothing is doubled.
    assert shown(machine, "Message 1") == ("Deals", True, True)
    assert machine.server.fetched == fetched
    assert machine.world.changes == {}


def test_trash_takes_it_out_of_the_mailbox_and_not_out_of_the_crm(machine):
    machine.ask("Message 1", trashed=True)
    assert shown(machine, "Message 1")[0] == "Trash"
    machine.drain()
    assert "Message 1" in machine.there("Trash")
    machine.tick(20)
    assert machine.copies("Message 1") == []
    assert machine.message_id("Message 1")
    assert len(machine.world.index[TENANT, "kim@customer.example"]) == 3


def test_many_go_in_one_session(machine):
    logins = machine.server.logins
    machine.ask(*SUBJECTS, seen=True)
    machine.work()
    assert machine.server.logins == logins + 1
    assert len(machine.asked) == 1
    assert all(seen for seen, _ in machine.there("INBOX").values())


def test_quick_wishes_become_one_and_the_last_one_wins(machine):
    machine.ask("Message 1", seen=True)
    machine.ask("Message 1", flagged=True, folder="Deals")
    machine.ask("Message 1", seen=False)
    machine.drain()
    assert [len(one) for one in machine.asked] == [1]
    assert machine.there("Deals") == {"Message 1": (False, True)}


def test_a_wish_while_its_forerunner_is_made_is_made_too(machine):
    machine.meanwhile.append(lambda: machine.ask("Message 1", seen=False))
    machine.ask("Message 1", seen=True)
    machine.work()
    assert machine.there("INBOX")["Message 1"] == (False, False)
    assert machine.copy("Message 1").pending is None
    assert machine.world.changes == {}


@pytest.mark.parametrize(
    ("more", "folder", "flags"),
    [
        ({"seen": True}, "Deals", (True, False)),
        ({"folder": "INBOX"}, "INBOX", (False, False)),
        ({"folder": "Other", "flagged": True}, "Other", (False, True)),
        ({"trashed": True}, "Trash", (False, False)),
    ],
)
@pytest.mark.parametrize("first", [{"folder": "Deals"}, {"trashed": True}])
def test_a_wish_while_it_is_moved_is_made_under_its_new_id(first, more, folder, flags):
    machine = connected(folders=("INBOX", "Deals", "Trash", "Other"))
    machine.meanwhile.append(lambda: machine.ask("Message 1", **more))
    machine.ask("Message 1", **first)
    machine.drain()
    if first == {"trashed": True} and "folder" not in more:
        folder = "Trash"
    assert machine.there(folder)["Message 1"] == flags
    machine.tick(20)
    assert sum("Message 1" in machine.there(name) for name in machine.server.folders) == 1
    # What is in the trash is not synced.
    live = [] if folder == "Trash" else [(folder, *flags)]
    assert [shown(machine, "Message 1") for _ in machine.copies("Message 1")] == live
    assert machine.world.changes == {}
    assert machine.box.outbound_error is None


# ---- beside sync ----


def run_sync(machine):
    machine.clock.advance(minutes=5)
    machine.tick(5)


def test_what_is_pending_is_not_written_over_by_sync(machine):
    machine.ask("Message 1", seen=True, folder="Deals")
    machine.queues.take_changes()
    machine.server.set_flags("INBOX", 1, machine.server.folders["INBOX"].mails[1].flags)
    machine.server.deliver("INBOX", mail(9, NOW), NOW)
    machine.tick(10)
    assert shown(machine, "Message 1") == ("Deals", True, False)
    assert len(machine.live_copies(machine.box.id)) == 4


def test_read_here_and_unread_there_at_once_ends_alike_on_both_sides(machine):
    machine.server.mark_seen("INBOX", 1)
    machine.tick(10)
    assert shown(machine, "Message 1")[1]
    machine.ask("Message 1", seen=False)
    # Somebody flags it there before it is made, and reads it right after.
    from shared.domain.message import Flags

    machine.server.set_flags("INBOX", 1, Flags(seen=True, flagged=True))
    machine.meanwhile.append(lambda: machine.server.set_flags("INBOX", 1, Flags(seen=True)))
    machine.sweep()
    mine, theirs = shown(machine, "Message 1"), machine.there("INBOX")["Message 1"]
    assert mine[1:] == theirs == (True, False)


def test_moved_here_and_deleted_there_is_gone(machine):
    machine.ask("Message 1", folder="Deals")
    machine.server.delete("INBOX", 1)
    machine.sweep()
    assert machine.copies("Message 1") == []
    assert machine.world.changes == {}
    assert "Message 1" not in machine.there("Deals")
    assert machine.box.outbound_error is None


def test_moved_here_and_moved_there_is_where_it_is_there(machine):
    machine.ask("Message 1", folder="Deals")
    machine.server.create_folder("Other")
    machine.server.move("INBOX", 1, "Other")
    machine.sweep()
    assert shown(machine, "Message 1")[0] == "Other"
    assert len(machine.copies("Message 1")) == 1


def test_a_renumbered_folder_makes_a_wish_void_and_loses_nothing(machine):
    machine.ask("Message 1", seen=True)
    machine.server.renumber("INBOX")
    machine.sweep()
    assert len(machine.copies("Message 1")) == 1
    assert machine.copy("Message 1").pending is None
    assert shown(machine, "Message 1")[1] == machine.there("INBOX")["Message 1"][0]


def test_a_move_of_which_no_new_id_is_told_is_found_by_sync(machine):
    machine.server.tells_moved = False
    machine.ask("Message 1", folder="Deals", seen=True)
    machine.drain()
    assert shown(machine, "Message 1") == ("Deals", True, False)
    assert len(machine.copies("Message 1")) == 1


# ---- trouble ----


def test_a_refused_change_is_taken_back_and_told_and_holds_up_no_other(machine):
    deals = machine.folder_id("Deals")
    machine.ask("Message 1", folder="Deals", seen=True)
    machine.ask("Message 2", seen=True)
    machine.server.delete_folder("Deals")
    machine.drain()
    assert shown(machine, "Message 1")[0] == "INBOX"
    assert machine.there("INBOX")["Message 2"][0]
    error = machine.box.outbound_error
    assert (error.code, error.count) == (ErrorCode.FOLDER_NOT_FOUND, 1)
    assert machine.box.inbound_error is None
    # What was done of it is told by sync.
    machine.tick(20)
    assert shown(machine, "Message 1")[1] == machine.there("INBOX")["Message 1"][0]
    machine.ask("Message 3", seen=True)
    machine.drain()
    assert machine.box.outbound_error is None
    assert deals


def test_a_folder_nobody_may_change_refuses(machine):
    machine.server.read_only = {"INBOX"}
    machine.ask("Message 1", flagged=True)
    machine.drain()
    assert not shown(machine, "Message 1")[2]
    assert machine.box.outbound_error.code is ErrorCode.CHANGE_REFUSED


@pytest.mark.parametrize("after", [False, True])
def test_what_is_given_up_is_told_wherever_its_worker_dies(after):
    def refused(killer):
        machine = connected(killer)
        machine.server.read_only = {"INBOX"}
        try:
            machine.ask("Message 1", flagged=True)
        except Death:
            machine.ask("Message 1", flagged=True)
        machine.drain()
        machine.sweep(12)
        return machine

    counting = Killer()
    refused(counting)
    for at in range(counting.count):
        killer = Killer(at, after=after)
        machine = refused(killer)
        assert not shown(machine, "Message 1")[2]
        assert machine.box.outbound_error.code is ErrorCode.CHANGE_REFUSED, killer.seen[at]


def test_trouble_with_sending_is_neither_replaced_nor_cleared_by_changes(machine):
    trouble = LatestError(ErrorCode.LOGIN_REJECTED, NOW, NOW, 1)
    box = machine.box
    fence = Fence(TENANT, box.id, box.generation)
    machine.mailboxes.note_outbound(fence, trouble)
    machine.server.read_only = {"INBOX"}
    machine.ask("Message 1", flagged=True)
    machine.drain()
    assert machine.box.outbound_error == trouble
    machine.server.read_only = set()
    machine.ask("Message 2", flagged=True)
    machine.drain()
    assert machine.there("INBOX")["Message 2"] == (False, True)
    assert machine.box.outbound_error == trouble


def test_one_that_has_to_wait_holds_up_no_other_and_is_made_later(machine):
    machine.server.folders["INBOX"].opens = False
    machine.server.deliver("Deals", mail(7, NOW), NOW)
    machine.tick(10)
    machine.ask("Message 1", "Message 7", seen=True)
    (report,) = machine.work()
    assert report.counts == {ChangeFate.DONE: 1, ChangeFate.LATER: 1}
    assert machine.there("Deals")["Message 7"] == (True, False)
    assert machine.copy("Message 1").pending is not None
    machine.server.folders["INBOX"].opens = True
    machine.sweep()
    assert machine.there("INBOX")["Message 1"][0]
    assert machine.copy("Message 1").pending is None


def test_a_provider_that_is_away_is_asked_again_later_and_later(machine):
    machine.ask("Message 1", seen=True)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    (report,) = machine.work()
    assert report.code is ErrorCode.PROVIDER_UNAVAILABLE
    waits = []
    for _ in range(4):
        head = machine.world.changes[TENANT, machine.box.id]
        waits.append(head.not_before - machine.clock.at)
        assert machine.apply_again() is None
        machine.clock.at = head.not_before
        machine.apply_again()
    assert waits == sorted(waits)
    assert waits[0] >= timedelta(seconds=30)
    assert machine.box.outbound_error is None
    machine.server.failure = None
    machine.sweep(60)
    assert machine.there("INBOX")["Message 1"][0]


def test_retry_after_is_obeyed(machine):
    machine.ask("Message 1", seen=True)
    machine.server.failure = RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=1_200)
    machine.work()
    machine.server.failure = None
    machine.clock.advance(1_199)
    machine.apply_again()
    assert not machine.there("INBOX")["Message 1"][0]
    machine.clock.advance(10)
    machine.apply_again()
    assert machine.there("INBOX")["Message 1"][0]


@pytest.mark.parametrize("after_a_day", [False, True])
def test_what_cannot_be_made_for_a_day_is_given_up_and_told(machine, after_a_day):
    machine.ask("Message 1", seen=True)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    machine.work()
    machine.clock.advance(days=1, seconds=0 if after_a_day else -2_000)
    machine.apply_again()
    pending = machine.copy("Message 1").pending
    if after_a_day:
        assert pending is None
        assert not shown(machine, "Message 1")[1]
        assert machine.box.outbound_error.code is ErrorCode.CHANGE_NOT_MADE_IN_TIME
    else:
        assert pending is not None
        assert machine.box.outbound_error is None


def test_what_is_known_before_a_session_breaks_is_not_asked_for_again(machine):
    machine.ask(*SUBJECTS, folder="Deals")
    machine.breaks_at = {1: RetryLaterError(ErrorCode.CONNECTION_DROPPED)}
    machine.work()
    assert [bool(machine.copy(one).pending) for one in SUBJECTS] == [False, True, True]
    machine.sweep()
    assert set(machine.there("Deals")) == set(SUBJECTS)
    assert [len(machine.copies(one)) for one in SUBJECTS] == [1, 1, 1]
    assert sum(len(one) for one in machine.asked) == 5


def test_a_worker_without_time_leaves_the_rest_to_the_next(machine, monkeypatch):
    from shared.operations import apply_changes as module

    monkeypatch.setattr(module, "BATCH", 1)
    machine.ask(*SUBJECTS, seen=True)
    machine.seconds_left = 14.0
    machine.work()
    assert len(machine.asked) == 1
    machine.seconds_left = 100.0
    machine.drain()
    assert all(seen for seen, _ in machine.there("INBOX").values())


def test_what_is_wished_for_after_a_day_in_vain_has_a_day_of_its_own(machine):
    machine.ask("Message 1", seen=True)
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    machine.work()
    machine.clock.advance(days=1, seconds=-30)
    machine.ask("Message 1", flagged=True)
    machine.clock.advance(seconds=3_600)
    machine.apply_again()
    assert machine.copy("Message 1").pending is not None
    assert machine.box.outbound_error is None


# ---- the life of a mailbox ----


def test_while_a_mailbox_has_to_be_reconnected_they_wait_and_are_made_then(machine):
    machine.ask("Message 1", seen=True)
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    machine.queues.take_changes()
    machine.tick(10)
    assert machine.box.status is MailboxStatus.RECONNECT_REQUIRED
    machine.apply_again()
    machine.server.failure = None
    machine.reconnect(machine.box.id)
    machine.sweep(90)
    assert machine.there("INBOX")["Message 1"][0]


def test_what_was_wished_for_before_a_disconnect_is_void(machine):
    machine.ask("Message 1", seen=True, folder="Deals")
    machine.queues.take_changes()
    machine.disconnect(machine.box.id)
    machine.clock.advance(minutes=2)
    machine.apply_again()
    assert machine.copy("Message 1").pending is None
    assert shown(machine, "Message 1") == ("INBOX", False, False)
    assert machine.asked == []
    assert machine.world.changes == {}


def test_it_stays_void_where_the_mailbox_is_connected_again_first(machine):
    machine.ask("Message 1", seen=True)
    machine.queues.take_changes()
    machine.disconnect(machine.box.id)
    machine.reconnect(machine.box.id)
    machine.drain()
    machine.ask("Message 2", seen=True)
    machine.clock.advance(minutes=2)
    machine.work()
    assert [one.provider_message_id for some in machine.asked for one in some] == [
        machine.copy("Message 2").provider_message_id
    ]
    assert not shown(machine, "Message 1")[1]
    assert machine.there("INBOX")["Message 1"] == (False, False)


def test_of_what_is_left_when_the_mailbox_is_disconnected_nothing_is_made(machine, monkeypatch):
    from shared.operations import apply_changes as module

    monkeypatch.setattr(module, "BATCH", 1)
    machine.ask(*SUBJECTS, seen=True, folder="Deals")
    machine.meanwhile.append(lambda: machine.disconnect(machine.box.id))
    machine.drain()
    assert machine.there("Deals") == {"Message 1": (True, False)}
    # What was made before is noted, the rest taken back.
    assert [shown(machine, one)[:2] for one in SUBJECTS] == [
        ("Deals", True),
        ("INBOX", False),
        ("INBOX", False),
    ]
    assert machine.world.changes == {}


def test_what_is_moved_to_a_folder_taken_out_of_the_sync_meanwhile_does_not_stay(machine):
    def take_out():
        chosen = (machine.folder_id("INBOX"),)
        machine.mailboxes.save_settings(replace(machine.box, active_folders=chosen))
        run_sync(machine)

    machine.ask("Message 1", folder="Deals")
    machine.meanwhile.append(take_out)
    machine.drain()
    machine.tick(10)
    assert machine.copies("Message 1") == []


def test_one_that_cannot_be_had_back_from_the_trash_is_not_shown_there(machine):
    def have_it_back():
        machine.ask("Message 1", folder="INBOX")
        machine.server.read_only = {"Trash"}

    machine.ask("Message 1", trashed=True)
    machine.meanwhile.append(have_it_back)
    machine.drain()
    assert "Message 1" in machine.there("Trash")
    assert machine.box.outbound_error.code is ErrorCode.CHANGE_REFUSED
    assert machine.copies("Message 1") == []


# ---- asking ----


def refused(machine, *subjects, **asked):
    with pytest.raises((RequestError, ConflictError)) as caught:
        machine.ask(*subjects, **asked)
    assert machine.queues.take_changes() == []
    return caught.value.code


def test_only_those_who_may_send_from_it_change_mail(machine):
    admin = Viewer(TENANT, UserId("root"), is_admin=True)
    stranger = Viewer(TENANT, UserId("bob"))
    assert refused(machine, "Message 1", viewer=admin, seen=True) is ErrorCode.OWNER_REQUIRED
    assert refused(machine, "Message 1", viewer=stranger, seen=True) is ErrorCode.MAILBOX_NOT_FOUND


def test_a_folder_that_is_not_listed_or_no_place_is_refused(machine):
    assert refused(machine, "Message 1", folder_id="f-none") is ErrorCode.FOLDER_NOT_FOUND


def test_without_a_folder_for_trash_nothing_is_trashed():
    machine = connected(folders=("INBOX", "Deals"))
    assert refused(machine, "Message 1", trashed=True) is ErrorCode.NO_TRASH_FOLDER


def test_what_the_mailbox_does_not_hold_is_not_found_and_stops_no_other(machine):
    machine.server.delete("INBOX", 2)
    machine.tick(10)
    changed = machine.ask("Message 2", "Message 1", seen=True)
    assert [bool(one.copies) for one in changed] == [False, True]
    with pytest.raises(RequestError) as caught:
        changed[0].require_found()
    assert caught.value.code is ErrorCode.MESSAGE_NOT_FOUND
    machine.message_id = lambda _subject: MessageId("no such message")
    assert machine.ask("x", seen=True)[0].copies == ()


def test_a_mailbox_that_is_not_active_is_not_changed(machine):
    machine.disconnect(machine.box.id)
    assert refused(machine, "Message 1", seen=True) is ErrorCode.WRONG_STATE


def test_a_queue_that_is_away_loses_nothing(machine):
    machine.queues.failure = RetryLaterError(ErrorCode.STORE_THROTTLED)
    machine.ask("Message 1", seen=True)
    machine.queues.failure = None
    machine.sweep(3)
    assert machine.there("INBOX")["Message 1"][0]


# ---- killed anywhere ----


def undisturbed():
    killer = Killer()
    machine = connected(killer)
    flow(machine)
    return fingerprint(machine), killer.count


def flow(machine):
    def insisting(*subjects, **asked):
        try:
            machine.ask(*subjects, **asked)
        except Death:
            # No answer came: the person presses the button again.
            machine.ask(*subjects, **asked)

    insisting("Message 1", seen=True, folder="Deals")
    insisting("Message 2", flagged=True)
    machine.drain()
    insisting("Message 3", trashed=True)
    insisting("Message 2", flagged=False, seen=True)
    machine.drain()
    machine.sweep(12)


def fingerprint(machine):
    return {
        "here": sorted(
            (subject, shown(machine, subject)) for subject in SUBJECTS if machine.copies(subject)
        ),
        "there": {name: sorted(machine.there(name).items()) for name in machine.server.folders},
        "pending": [one for one in machine.live_copies(machine.box.id).values() if one.pending],
        "changes": machine.world.changes,
        "error": machine.box.outbound_error,
        "messages": len(machine.world.messages),
    }


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_all_ends_as_if_it_had_not_been(after):
    expected, effects = undisturbed()
    assert expected["here"] == [
        ("Message 1", ("Deals", True, False)),
        ("Message 2", ("INBOX", True, False)),
    ]
    assert effects > 20
    for at in range(effects):
        killer = Killer(at, after=after)
        machine = connected(killer)
        flow(machine)
        assert fingerprint(machine) == expected, (at, killer.seen[at])
