"""A copy that went away behind our back is found and brought in again; what is not missing is not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import ConflictError, ErrorCode, RetryLaterError
from shared.domain.lease import Fence
from shared.domain.mailbox import MailboxStatus
from shared.domain.run import RunReason
from shared.domain.schedule import is_audit_minute, slot_of
from shared.operations import compare_windows
from shared.operations.schedule_sync import schedule_sync
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.ports.queues import AuditRequest, SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeSession, name_of
from tests.fakes.queues import RecordingTickRelay
from tests.unit.operations.machine import ADA, TENANT, Death, Machine, busy_server, mail

NOW = FixedClock().now()


class Audited:
    """A mailbox that is imported, and its daily audit."""

    def __init__(self, *, days: int = 60, **settings) -> None:
        self.machine = Machine(busy_server(NOW))
        self.box = self.machine.connect(days=days, **settings)
        self.place = (TENANT, self.box.id)
        self.machine.drain()

    def request(self) -> AuditRequest:
        return AuditRequest(*self.place, self.machine.clock.now())

    def audit(self):
        return self.machine.audit(self.request())

    def days(self, count: int, *, work: bool = True) -> list:
        """Audit for some days, and work off what that asks for."""
        for _ in range(count):
            self.machine.clock.advance(days=1)
            self.poll()
            self.audit()
            if work:
                self.machine.drain()
        return [report.audit for report in self.machine.audit_reports[-count:]]

    def poll(self) -> None:
        self.machine.queues.send_syncs([SyncRequest(*self.place, RunReason.SCHEDULE)])
        self.machine.drain()

    @property
    def words(self):
        """The ports of what a person does to backfills."""
        machine = self.machine
        return {
            "mailboxes": machine.mailboxes,
            "backfills": machine.backfills,
            "queues": machine.queues,
            "clock": machine.clock,
        }

    @property
    def copies(self):
        return self.machine.world.copies[self.place]

    @property
    def live(self):
        return set(self.machine.live_copies(self.box.id))

    @property
    def theirs(self):
        server = self.machine.server
        return server.ids("INBOX") | server.ids("Sent")

    @property
    def repairs(self):
        backfills = self.machine.world.backfills[self.place].values()
        return [one for one in backfills if one.kind is BackfillKind.REPAIR]

    @property
    def completeness(self):
        return self.machine.audits.completeness(TENANT, [self.box.id])[self.box.id]

    def lose(self, name) -> None:
        """Have a copy vanish as nobody should be able to make it."""
        del self.copies[name]

    def newest(self):
        return max(self.copies, key=lambda name: self.copies[name].received_at)

    def deliver(self, number: int, *, name: str = "INBOX"):
        at = self.machine.clock.now()
        uid = self.machine.server.deliver(name, mail(number, at), at)
        return name_of(self.machine.server.folders[name], uid)


@pytest.fixture
def audited():
    return Audited()


def listing_later_ones_too(monkeypatch):
    """Have windows name what lies after their position, as Gmail's and Outlook's do."""
    list_window = FakeSession.list_window

    def upto_now(session, folder, *, upto, **given):
        return list_window(session, folder, upto=session.baseline(folder, now=NOW), **given)

    monkeypatch.setattr(FakeSession, "list_window", upto_now)


def test_a_complete_mailbox_is_found_complete_and_nothing_is_written_for_it(audited):
    before = dict(audited.copies)
    found = audited.days(30)
    assert all((one.missing, one.extra, one.ledgered) == (0, 0, 0) for one in found)
    assert all(one.listed == one.stored for one in found)
    assert found[-1].whole_mailbox_checked_at is not None
    assert sum(one.listed for one in found) >= len(audited.theirs) == len(audited.live)
    assert audited.repairs == []
    assert audited.copies == before


def test_a_lost_copy_is_found_and_brought_in_by_a_repair(audited):
    lost = audited.newest()
    audited.lose(lost)
    (found,) = audited.days(1)
    assert (found.missing, found.listed - found.stored) == (1, 1)
    assert audited.live == audited.theirs
    (repair,) = audited.repairs
    assert (repair.state, repair.counts.stored, repair.id) == (
        BackfillState.DONE,
        1,
        found.repair_id,
    )
    (run,) = [
        run
        for run in audited.machine.world.runs[audited.place].values()
        if run.reason is RunReason.REPAIR
    ]
    assert run.ledger == {"stored": (lost,)}
    assert (audited.completeness.repaired, audited.completeness.repair) == (1, repair)
    (found,) = audited.days(1)
    assert (found.missing, found.repair_id) == (0, None)


def test_the_repair_fetches_what_is_missing_and_nothing_else(audited):
    lost = audited.newest()
    audited.lose(lost)
    audited.machine.server.fetched.clear()
    audited.days(1)
    assert audited.machine.server.fetched == [lost]


def test_a_repair_has_a_pace_from_its_first_chunk_on(audited):
    audited.lose(audited.newest())
    audited.days(1, work=False)
    audited.machine.clock.advance(seconds=30)
    audited.machine.drain()
    (repair,) = audited.repairs
    assert repair.seconds_a_message == 30.0


def test_whatever_was_lost_is_found_within_a_month(audited):
    for name in sorted(audited.copies):
        audited.lose(name)
    audited.days(30)
    assert audited.live == audited.theirs
    assert sum(repair.counts.stored for repair in audited.repairs) == len(audited.theirs)


def test_a_copy_wrongly_held_for_removed_lives_again(audited):
    name = audited.newest()
    audited.copies[name] = replace(audited.copies[name], removed_at=NOW)
    audited.days(1)
    assert audited.live == audited.theirs


def test_what_arrives_meanwhile_is_syncs(audited, monkeypatch):
    listing_later_ones_too(monkeypatch)
    audited.deliver(500)
    found = audited.audit().audit
    assert (found.missing, found.under_way) == (0, 1)
    assert audited.repairs == []
    audited.poll()
    assert audited.live == audited.theirs


def test_what_sync_stored_while_the_audit_listed_is_not_missing(audited, monkeypatch):
    listing_later_ones_too(monkeypatch)
    changes = FakeSession.changes

    def sync_first(session, *given, **named):
        monkeypatch.setattr(FakeSession, "changes", changes)
        audited.poll()
        return changes(session, *given, **named)

    audited.deliver(500)
    monkeypatch.setattr(FakeSession, "changes", sync_first)
    found = audited.audit().audit
    assert (found.missing, found.extra) == (0, 0)
    assert audited.live == audited.theirs


def test_an_import_that_stays_open_neither_blocks_a_repair_nor_is_blocked():
    audited = Audited(days=0)
    first = audited.deliver(500)
    audited.poll()
    wanted = start_backfill(ADA, audited.box.id, 60, **audited.words)
    audited.machine.plan(audited.machine.queues.take_plans()[0])
    change_backfill(ADA, audited.box.id, wanted.id, BackfillAction.PAUSE, **audited.words)
    audited.lose(first)
    audited.days(1)
    assert audited.live == {first}
    assert [repair.state for repair in audited.repairs] == [BackfillState.DONE]
    change_backfill(ADA, audited.box.id, wanted.id, BackfillAction.RESUME, **audited.words)
    audited.machine.drain()
    assert audited.live == audited.theirs


def test_an_open_repair_does_not_keep_a_person_from_importing(audited):
    audited.lose(audited.newest())
    audited.days(1, work=False)
    (repair,) = audited.repairs
    with pytest.raises(ConflictError) as caught:
        change_backfill(ADA, audited.box.id, repair.id, BackfillAction.PAUSE, **audited.words)
    assert caught.value.code is ErrorCode.WRONG_STATE
    start_backfill(ADA, audited.box.id, 90, **audited.words)
    audited.machine.drain()
    states = {one.state for one in audited.machine.world.backfills[audited.place].values()}
    assert states == {BackfillState.DONE}


def test_history_whose_import_was_cancelled_is_not_brought_in():
    audited = Audited(days=0)
    wanted = start_backfill(ADA, audited.box.id, 60, **audited.words)
    change_backfill(ADA, audited.box.id, wanted.id, BackfillAction.CANCEL, **audited.words)
    audited.machine.drain()
    audited.days(40)
    assert audited.live == set()
    assert audited.repairs == []


def test_what_a_ledger_says_is_not_missing(audited):
    name = audited.deliver(500)
    audited.machine.server.unreadable.add(name)
    audited.poll()
    found = audited.days(2)
    assert [(one.missing, one.ledgered) for one in found] == [(0, 1)] * 2
    assert audited.repairs == []


def test_what_a_repair_skips_is_not_missed_again(audited, monkeypatch):
    list_window = FakeSession.list_window

    def undated_ones_too(session, folder, *, since, before=None, upto):
        return list_window(session, folder, since=NOW - timedelta(days=999), upto=upto)

    at = NOW - timedelta(days=100)
    audited.machine.server.deliver("INBOX", mail(500, at), at)
    audited.poll()
    monkeypatch.setattr(FakeSession, "list_window", undated_ones_too)
    found = audited.days(3)
    assert [(one.missing, one.ledgered) for one in found] == [(1, 0), (0, 1), (0, 1)]
    assert len(audited.repairs) == 1


def test_a_request_delivered_twice_is_one_audit(audited):
    audited.lose(audited.newest())
    request = audited.request()
    kinds = [audited.machine.audit(request).kind for _ in range(2)]
    audited.machine.drain()
    assert kinds == ["done", "dropped"]
    assert [repair.counts.stored for repair in audited.repairs] == [1]


def test_two_deliveries_at_once_are_one_repair(audited, monkeypatch):
    names = sorted(audited.copies, key=lambda name: audited.copies[name].received_at)[-2:]
    audited.lose(names[0])
    request, look = audited.request(), FakeSession.look

    def other_first(session, *given, **named):
        monkeypatch.setattr(FakeSession, "look", look)
        audited.machine.audit(request)
        audited.lose(names[1])
        return look(session, *given, **named)

    monkeypatch.setattr(FakeSession, "look", other_first)
    audited.machine.audit(request)
    assert len(audited.repairs) == 1
    audited.days(30)
    assert audited.live == audited.theirs


def test_while_a_repair_is_at_work_the_next_audit_is_put_off(audited):
    first, second = audited.newest(), audited.deliver(500)
    audited.poll()
    audited.lose(first)
    audited.machine.clock.advance(days=1)
    audited.audit()
    lost = audited.machine.queues.take_chunks()
    audited.lose(second)
    audit = audited.machine.world.audits[audited.place]
    audited.machine.clock.advance(days=1)
    assert audited.audit().kind == "put_off"
    assert audited.machine.world.audits[audited.place] == audit
    for request in lost:
        audited.machine.run_chunk(request)
    audited.days(1)
    assert audited.live == audited.theirs


def test_while_an_import_is_at_work_the_audit_is_put_off(audited):
    started = start_backfill(ADA, audited.box.id, 90, **audited.words)
    assert audited.audit().kind == "put_off"
    change_backfill(ADA, audited.box.id, started.id, BackfillAction.PAUSE, **audited.words)
    assert audited.audit().kind == "done"


def test_a_provider_that_fails_has_the_audit_put_off(audited):
    audited.lose(audited.newest())
    audited.machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    report = audited.audit()
    assert (report.kind, report.error.code) == ("put_off", ErrorCode.PROVIDER_UNAVAILABLE)
    assert audited.place not in audited.machine.world.audits
    audited.machine.server.failure = None
    audited.machine.server.password = "another"
    assert audited.audit().error.code is ErrorCode.LOGIN_REJECTED
    box = audited.machine.world.mailboxes[audited.place]
    assert (box.status, box.inbound_error) == (MailboxStatus.ACTIVE, None)


def test_a_mailbox_in_trouble_is_left_to_sync(audited):
    audited.machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    audited.poll()
    logins = audited.machine.server.logins
    report = audited.audit()
    assert (report.kind, report.error) == ("put_off", None)
    assert audited.machine.server.logins == logins


def test_a_folder_that_cannot_be_opened_is_left_out_and_said(audited):
    audited.machine.server.folders["Sent"].opens = False
    found = audited.days(30)
    assert {one.folders_left_out for one in found} == {1}
    assert {one.extra for one in found} == {0}
    assert found[-1].whole_mailbox_checked_at is None
    audited.machine.server.folders["Sent"].opens = True
    assert audited.days(60)[-1].whole_mailbox_checked_at is not None


def forget(audited, name) -> None:
    """Have the provider lose a message, and tell nobody."""
    folder_id, _, uid = name.split(".")
    (folder,) = [
        one for one in audited.machine.server.folders.values() if one.folder.id == folder_id
    ]
    del folder.mails[int(uid)]


def test_a_deletion_nobody_was_told_of_is_made_up_for(audited):
    name = audited.newest()
    forget(audited, name)
    found = audited.audit().audit
    assert (found.extra, found.mended, found.missing) == (1, 1, 0)
    assert audited.live == audited.theirs
    assert audited.copies[name].removed_at is not None
    assert audited.days(1)[0].extra == 0


def test_a_copy_the_provider_does_hand_over_stays(audited, monkeypatch):
    name, list_window = audited.newest(), FakeSession.list_window

    def forgetful(session, *given, **named):
        return tuple(one for one in list_window(session, *given, **named) if one != name)

    monkeypatch.setattr(FakeSession, "list_window", forgetful)
    found = audited.audit().audit
    assert (found.extra, found.mended) == (1, 0)
    assert name in audited.live


def test_copies_that_cannot_be_mended_do_not_keep_the_others_from_it(audited, monkeypatch):
    monkeypatch.setattr(compare_windows, "MOST_ASKED_FOR", 2)
    list_window = FakeSession.list_window
    there = {audited.deliver(number) for number in range(500, 510)}
    audited.poll()
    # Last of them by name; what is there stays in the way of nobody.
    last = max(there)
    forget(audited, last)

    def forgetful(session, *given, **named):
        return tuple(one for one in list_window(session, *given, **named) if one not in there)

    monkeypatch.setattr(FakeSession, "list_window", forgetful)
    for _ in range(60):
        audited.machine.clock.advance(minutes=1)
        audited.audit()
    assert audited.copies[last].removed_at is not None
    assert audited.live == audited.theirs


def test_a_deletion_sync_is_about_to_hear_of_is_no_difference(audited):
    name = audited.newest()
    folder_id, _, uid = name.split(".")
    where = "INBOX" if folder_id == "f-inbox" else "Sent"
    audited.machine.server.delete(where, int(uid))
    assert audited.audit().audit.extra == 0
    assert name in audited.live


def test_nothing_is_taken_away_while_sync_is_at_work(audited):
    name = audited.newest()
    forget(audited, name)
    audited.machine.mailboxes.take_lease(
        *audited.place, generation=2, owner="sync", now=NOW, seconds=180
    )
    found = audited.audit().audit
    assert (found.extra, found.mended) == (1, 0)
    assert name in audited.live


def test_a_mailbox_that_is_disconnected_meanwhile_is_not_written_to(audited, monkeypatch):
    audited.lose(audited.newest())
    list_window = FakeSession.list_window

    def disconnect_first(session, *given, **named):
        monkeypatch.setattr(FakeSession, "list_window", list_window)
        audited.machine.disconnect(audited.box.id)
        return list_window(session, *given, **named)

    monkeypatch.setattr(FakeSession, "list_window", disconnect_first)
    request = audited.request()
    assert audited.machine.audit(request).kind == "dropped"
    assert audited.place not in audited.machine.world.audits
    before = dict(audited.copies)
    audited.machine.drain()
    audited.machine.tick(8)
    assert audited.copies == before
    assert audited.machine.audit(request).kind == "dropped"
    assert {repair.state for repair in audited.repairs} <= {BackfillState.CANCELLED}


def test_a_repair_whose_audit_never_came_back_is_carried_out_all_the_same(audited):
    audited.lose(audited.newest())
    audited.machine.killer.at = audited.machine.killer.count
    audited.machine.killer.after = True
    with pytest.raises(Death):
        audited.audit()
    assert audited.machine.killer.seen[-1] == "InMemoryBackfillStore.create_running"
    assert audited.place not in audited.machine.world.audits
    audited.machine.tick(8)
    assert audited.live == audited.theirs
    assert [repair.state for repair in audited.repairs] == [BackfillState.DONE]


# ---- windows too large ----


def slow_listings(audited, monkeypatch, *, seconds):
    """Have each listing take some of the time of its session, which lasts 240 seconds."""
    list_window, began = FakeSession.list_window, {}

    def slowly(session, *given, **named):
        since = began.setdefault(id(session), (session, audited.machine.clock.now()))[1]
        audited.machine.clock.advance(seconds(named))
        if audited.machine.clock.now() - since > timedelta(seconds=240):
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        return list_window(session, *given, **named)

    monkeypatch.setattr(FakeSession, "list_window", slowly)


def test_a_window_that_took_too_long_is_listed_in_parts_the_next_day(audited, monkeypatch):
    def by_span(window):
        days = ((window["before"] or audited.machine.clock.now()) - window["since"]).days
        return 30 + 90 * days

    for name in sorted(audited.copies):
        audited.lose(name)
    slow_listings(audited, monkeypatch, seconds=by_span)
    report = audited.audit()
    assert (report.kind, report.error.code) == ("put_off", ErrorCode.CONNECTION_TIMED_OUT)
    assert audited.machine.world.audits[audited.place].walk.parts == 2
    for _ in range(70):
        audited.machine.clock.advance(days=1)
        audited.audit()
        audited.machine.drain()
    kinds = [report.kind for report in audited.machine.audit_reports]
    assert kinds.count("put_off") < 6
    assert audited.live == audited.theirs
    # There never is time for all of the newest window, and it is not said that there was.
    assert audited.completeness.audit.whole_mailbox_checked_at is None


def test_a_provider_that_fails_at_once_has_nothing_cut(audited):
    audited.machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
    assert audited.audit().kind == "put_off"
    assert audited.place not in audited.machine.world.audits


def test_what_time_allows_is_kept_and_the_rest_is_the_next_days(audited, monkeypatch):
    (before,) = audited.days(1)
    arrived = []
    for number in range(500, 505):
        audited.machine.clock.advance(days=2)
        arrived.append(audited.deliver(number))
        audited.poll()
    monkeypatch.setattr("shared.domain.audit.MOST_IN_PART", 2)
    slow_listings(audited, monkeypatch, seconds=lambda _window: 70)
    audited.lose(arrived[0])
    audited.lose(arrived[-1])
    found = audited.audit().audit
    (seen,) = found.windows
    assert seen.since > before.checked_at
    assert (found.missing, found.walk.reached) == (1, before.walk.reached)
    monkeypatch.undo()
    audited.machine.drain()
    assert audited.live == audited.theirs - {arrived[0]}
    audited.days(60)
    assert audited.live == audited.theirs
    assert audited.completeness.audit.whole_mailbox_checked_at is not None


def test_a_mailbox_just_connected_has_nothing_to_be_audited():
    audited = Audited(days=0)
    assert audited.audit().kind == "dropped"
    assert audited.audit().audit is None


def test_a_stale_generation_saves_no_figures(audited):
    audited.days(1)
    audit = audited.machine.world.audits[audited.place]
    with pytest.raises(ConflictError):
        audited.machine.audits.save_audit(Fence(*audited.place, 1), audit)


# ---- when ----


@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_every_mailbox_is_audited_once_a_day_also_one_that_rests(minutes):
    audited = Audited()
    machine, states = audited.machine, audited.machine.world.run_states
    slot = slot_of(audited.box.id, minutes)
    states[audited.place] = replace(
        states[audited.place], due_slot=slot, not_before=NOW + timedelta(days=9)
    )
    asked = []
    for minute in range(2 * 24 * 60):
        at = NOW + timedelta(minutes=minute)
        sent = schedule_sync(
            at=at,
            mailboxes=machine.mailboxes,
            queues=machine.queues,
            relay=RecordingTickRelay(),
            remaining_seconds=lambda: 50.0,
        )
        found = machine.queues.take_audits()
        assert (sent, len(found)) == (0, int(is_audit_minute(audited.box.id, at)))
        asked += found
    assert [one.asked_at - asked[0].asked_at for one in asked] == [timedelta(), timedelta(days=1)]
    assert {(one.tenant_id, one.mailbox_id) for one in asked} == {audited.place}
