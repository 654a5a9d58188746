from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import (
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, RunId
from shared.domain.mailbox import MailboxStatus
from shared.domain.run import RunReason
from shared.operations.request_sync import request_sync
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.parser import PlainParser
from tests.fakes.provider import FakeFolder, FakeSession
from tests.unit.operations.machine import ADA, TENANT, Death, Machine, busy_server, mail

NOW = FixedClock().now()


@pytest.fixture
def machine() -> Machine:
    return Machine(busy_server(NOW))


@pytest.fixture
def mailbox(machine):
    mailbox = machine.connect(days=30)
    machine.drain()
    machine.tick()
    return mailbox


def poll(machine, mailbox, reason=RunReason.SCHEDULE):
    report = machine.sync(SyncRequest(TENANT, mailbox.id, reason))
    machine.drain()
    return report


def asking(machine):
    return {"mailboxes": machine.mailboxes, "queues": machine.queues, "clock": machine.clock}


def test_a_message_delivered_after_connecting_arrives(machine, mailbox):
    uid = machine.server.deliver("INBOX", mail(100, machine.clock.now()), machine.clock.now())
    report = poll(machine, mailbox)
    assert report.kind == "done"
    assert report.run.counts.stored == 1
    assert f"f-inbox.1.{uid}" in machine.live_copies(mailbox.id)


def test_all_of_the_window_and_not_a_message_more_is_stored(machine, mailbox):
    since = NOW - timedelta(days=30)
    wanted = machine.server.ids("INBOX", since=since) | machine.server.ids("Sent", since=since)
    assert set(machine.live_copies(mailbox.id)) == wanted
    assert wanted


def test_a_poll_that_finds_nothing_takes_no_lease_and_writes_once(machine, mailbox):
    before = machine.killer.count
    report = poll(machine, mailbox)
    assert report.kind == "idle"
    assert machine.killer.seen[before:] == ["InMemoryMailboxStore.finish_idle"]


def test_flags_set_at_the_provider_arrive(machine, mailbox):
    name = next(n for n, copy in machine.live_copies(mailbox.id).items() if not copy.flags.seen)
    folder, _, uid = name.rsplit(".", 2)
    machine.server.mark_seen("INBOX" if folder == "f-inbox" else "Sent", int(uid))
    poll(machine, mailbox)
    assert machine.live_copies(mailbox.id)[name].flags.seen


def test_a_deletion_leaves_the_message_and_marks_the_copy(machine, mailbox):
    name = next(n for n in machine.live_copies(mailbox.id) if n.startswith("f-inbox"))
    message_id = machine.live_copies(mailbox.id)[name].message_id
    machine.server.delete("INBOX", int(name.rsplit(".", 1)[1]))
    report = poll(machine, mailbox)
    assert report.run.counts.removed == 1
    assert name not in machine.live_copies(mailbox.id)
    assert (TENANT, message_id) in machine.world.messages


def test_a_move_is_not_a_deletion(machine, mailbox):
    name = next(n for n in machine.live_copies(mailbox.id) if n.startswith("f-inbox"))
    before = machine.live_copies(mailbox.id)[name].message_id
    uid = machine.server.move("INBOX", int(name.rsplit(".", 1)[1]), "Sent")
    poll(machine, mailbox)
    assert machine.live_copies(mailbox.id)[f"f-sent.1.{uid}"].message_id == before


def test_a_renumbered_folder_is_compared_without_doubling(machine, mailbox):
    messages = set(machine.world.messages)
    machine.server.renumber("INBOX")
    poll(machine, mailbox)
    since = NOW - timedelta(days=30)
    wanted = machine.server.ids("INBOX", since=since) | machine.server.ids("Sent", since=since)
    assert set(machine.live_copies(mailbox.id)) == wanted
    assert set(machine.world.messages) == messages


def test_a_folder_made_later_is_synced_with_its_history(machine, mailbox):
    machine.server.folders["Projects"] = type(machine.server.folders["INBOX"])("Projects")
    name = next(n for n in machine.live_copies(mailbox.id) if n.startswith("f-inbox"))
    uid = machine.server.move("INBOX", int(name.rsplit(".", 1)[1]), "Projects")
    poll(machine, mailbox)
    assert f"f-projects.1.{uid}" in machine.live_copies(mailbox.id)


def test_a_folder_deleted_at_the_provider_takes_no_message_with_it(machine, mailbox):
    messages = set(machine.world.messages)
    del machine.server.folders["Sent"]
    poll(machine, mailbox)
    assert not [n for n in machine.live_copies(mailbox.id) if n.startswith("f-sent")]
    assert set(machine.world.messages) == messages


def test_a_renamed_or_moved_folder_keeps_each_message_once(machine, mailbox):
    messages = set(machine.world.messages)
    before = machine.live_copies(mailbox.id)
    folder = machine.server.folders.pop("Sent")
    folder.name = "Archive/Sent"
    machine.server.folders[folder.name] = folder
    machine.server.create_folder("Sent")
    poll(machine, mailbox)
    renamed = {name.replace("f-sent", "f-archive/sent"): one for name, one in before.items()}
    after = machine.live_copies(mailbox.id)
    assert renamed.keys() == after.keys() != before.keys()
    assert {name: one.message_id for name, one in after.items()} == {
        name: one.message_id for name, one in renamed.items()
    }
    assert set(machine.world.messages) == messages


def test_a_folder_that_is_only_a_name_any_more_has_lost_its_messages(machine, mailbox, monkeypatch):
    """A parent that is deleted while it has children stays listed, and cannot be selected."""
    before = machine.live_copies(mailbox.id)
    in_sent = {name for name in before if name.startswith("f-sent")}
    with monkeypatch.context() as while_deleted:
        only_a_name = property(
            lambda fake: Folder(
                FolderId(f"f-{fake.name.lower()}"), fake.name, fake.role, fake.name != "Sent"
            )
        )
        while_deleted.setattr(FakeFolder, "folder", only_a_name)
        report = poll(machine, mailbox)
        assert (report.run.counts.removed, report.code) == (len(in_sent), None)
        assert set(machine.live_copies(mailbox.id)) == set(before) - in_sent
        assert poll(machine, mailbox).kind == "idle"
    poll(machine, mailbox)
    assert set(machine.live_copies(mailbox.id)) == set(before)
    assert in_sent


def test_trash_is_not_synced(machine, mailbox):
    machine.server.deliver("Trash", mail(901, machine.clock.now()), machine.clock.now())
    assert poll(machine, mailbox).kind == "idle"


def test_more_than_one_run_takes_in_goes_on_at_once(machine, mailbox, monkeypatch):
    monkeypatch.setattr("shared.operations.sync_mailbox.PAGE_SIZE", 3)
    monkeypatch.setattr("shared.operations.sync_mailbox.MESSAGES_PER_RUN", 6)
    for number in range(20):
        machine.server.deliver(
            "INBOX", mail(200 + number, machine.clock.now()), machine.clock.now()
        )
    report = poll(machine, mailbox)
    assert report.run.counts.listed == 6
    assert machine.server.ids("INBOX", since=NOW) <= set(machine.live_copies(mailbox.id))


def test_an_unreadable_message_is_ledgered_and_stops_nothing(machine, mailbox):
    at = machine.clock.now()
    bad = machine.server.deliver("INBOX", mail(300, at, extra="X-Test: unreadable\r\n"), at)
    good = machine.server.deliver("INBOX", mail(301, at), at)
    report = poll(machine, mailbox)
    assert report.run.counts.unreadable == 1
    assert report.run.counts.balances
    assert report.run.ledger["unreadable:message_malformed"] == (f"f-inbox.1.{bad}",)
    assert f"f-inbox.1.{good}" in machine.live_copies(mailbox.id)


def test_a_definitive_refusal_parks_the_mailbox_once(machine, mailbox):
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    assert poll(machine, mailbox).code is ErrorCode.LOGIN_REJECTED
    stored = machine.world.mailboxes[(TENANT, mailbox.id)]
    assert stored.status is MailboxStatus.RECONNECT_REQUIRED
    assert stored.inbound_error.code is ErrorCode.LOGIN_REJECTED
    logins = machine.server.logins
    machine.tick(10)
    assert machine.server.logins == logins


def test_trouble_that_time_mends_keeps_the_mailbox_active_and_is_cleared(machine, mailbox):
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    poll(machine, mailbox)
    stored = machine.world.mailboxes[(TENANT, mailbox.id)]
    assert stored.status is MailboxStatus.ACTIVE
    assert stored.inbound_error.count == 1
    assert stored.inbound_error.next_retry_at > machine.clock.now()
    machine.server.failure = None
    machine.tick(10)
    assert machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error is None


def test_a_doubtful_refusal_parks_only_after_five_in_a_row(machine, mailbox):
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, definitive=False)
    for expected in [MailboxStatus.ACTIVE] * 4 + [MailboxStatus.RECONNECT_REQUIRED]:
        poll(machine, mailbox)
        assert machine.world.mailboxes[(TENANT, mailbox.id)].status is expected
        machine.clock.advance(minutes=70)


def test_retry_after_is_honoured_even_when_a_person_asks(machine, mailbox):
    machine.server.failure = RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=1800)
    poll(machine, mailbox)
    machine.server.failure = None
    logins = machine.server.logins
    assert poll(machine, mailbox).kind == "dropped"
    assert poll(machine, mailbox, RunReason.REQUESTED).kind == "dropped"
    assert machine.server.logins == logins
    machine.clock.advance(minutes=31)
    assert poll(machine, mailbox).kind == "idle"


def test_one_folder_that_does_not_open_leaves_the_others_in_sync(machine, mailbox):
    for _ in range(3):
        at = machine.clock.now()
        machine.server.folders["Sent"].opens = False
        machine.server.deliver("Sent", mail(401, at), at)
        uid = machine.server.deliver("INBOX", mail(400, at), at)
        report = poll(machine, mailbox)
        assert report.code is ErrorCode.FOLDER_UNAVAILABLE
        assert f"f-inbox.1.{uid}" in machine.live_copies(mailbox.id)
        told = machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error
        assert (told.code, told.next_retry_at) == (ErrorCode.FOLDER_UNAVAILABLE, None)
        state = machine.world.run_states[(TENANT, mailbox.id)]
        assert (state.not_before, state.failures, state.last_synced_at) == (None, 0, at)
        machine.clock.advance(minutes=5)
    machine.server.folders["Sent"].opens = True
    assert poll(machine, mailbox).code is None
    assert machine.server.ids("Sent", since=NOW) <= set(machine.live_copies(mailbox.id))
    assert machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error is None


def test_a_folder_that_does_not_open_holds_up_no_second_run(machine, mailbox, monkeypatch):
    monkeypatch.setattr("shared.operations.sync_mailbox.PAGE_SIZE", 3)
    monkeypatch.setattr("shared.operations.sync_mailbox.MESSAGES_PER_RUN", 6)
    at = machine.clock.now()
    machine.server.folders["Sent"].opens = False
    machine.server.deliver("Sent", mail(401, at), at)
    for number in range(10):
        machine.server.deliver("INBOX", mail(200 + number, at), at)
    poll(machine, mailbox)
    assert machine.server.ids("INBOX", since=NOW) <= set(machine.live_copies(mailbox.id))


def test_a_folder_the_provider_is_silent_about_is_told_of_until_it_speaks(
    machine, mailbox, monkeypatch
):
    look = FakeSession.look

    def silent(self, *args, **named):
        return replace(look(self, *args, **named), unavailable=frozenset({FolderId("f-sent")}))

    with monkeypatch.context() as while_silent:
        while_silent.setattr(FakeSession, "look", silent)
        for _ in range(2):
            assert poll(machine, mailbox).code is ErrorCode.FOLDER_UNAVAILABLE
    assert machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error.count == 2
    assert poll(machine, mailbox).kind == "idle"
    assert machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error is None


def test_our_own_store_s_trouble_is_not_the_mailbox_s(machine, mailbox, monkeypatch):
    machine.server.deliver("INBOX", mail(1, NOW), NOW)

    def throttled(*args, **kwargs):
        raise StoreThrottledError

    monkeypatch.setattr(machine.messages.inner, "save", throttled)
    machine.clock.advance(minutes=5)
    with pytest.raises(StoreThrottledError):
        machine.sync(SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    assert machine.world.mailboxes[(TENANT, mailbox.id)].inbound_error is None


def test_sync_now_pressed_twice_is_one_run_and_is_answered(machine, mailbox):
    first = request_sync(ADA, mailbox.id, **asking(machine))
    machine.clock.advance(1)
    assert request_sync(ADA, mailbox.id, **asking(machine)) == first
    machine.drain()
    run = machine.world.runs[(TENANT, mailbox.id)][first]
    assert run.reason is RunReason.REQUESTED
    assert run.code is None


def test_a_request_delivered_again_leaves_the_record_of_its_run_as_it_is(machine, mailbox):
    machine.server.deliver("INBOX", mail(700, machine.clock.now()), machine.clock.now())
    run_id = request_sync(ADA, mailbox.id, **asking(machine))
    (request,) = machine.queues.take_syncs()
    machine.sync(request)
    first = machine.world.runs[(TENANT, mailbox.id)][run_id]
    assert first.counts.stored == 1
    machine.clock.advance(minutes=1)
    assert machine.sync(request).kind == "idle"
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    assert machine.sync(request).kind == "failed"
    assert machine.world.runs[(TENANT, mailbox.id)][run_id] == first


@pytest.mark.parametrize("failure", [None, RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)])
def test_of_two_runs_for_one_request_the_second_to_end_is_recorded_beside_it(
    machine, mailbox, failure, monkeypatch
):
    machine.server.deliver("INBOX", mail(700, machine.clock.now()), machine.clock.now())
    run_id = request_sync(ADA, mailbox.id, **asking(machine))
    (request,) = machine.queues.take_syncs()
    look, other = FakeSession.look, []

    def slowly(self, *args, **named):
        seen = look(self, *args, **named)
        if not other:
            other.append(None)
            machine.sync(request)
            if failure is not None:
                raise failure
        return seen

    monkeypatch.setattr(FakeSession, "look", slowly)
    report = machine.sync(request)
    runs = machine.world.runs[(TENANT, mailbox.id)]
    assert (runs[run_id].code, runs[run_id].counts.stored) == (None, 1)
    assert report.run.id in runs
    assert report.run.id != run_id


@pytest.mark.parametrize("somebody_waits", [False, True])
def test_a_message_that_kills_its_reader_is_given_up_and_the_rest_arrives(
    machine, mailbox, monkeypatch, somebody_waits
):
    at = machine.clock.now()
    if somebody_waits:
        machine.mailboxes.request_run(TENANT, mailbox.id, RunId("01WAITED"))
    poison = machine.server.deliver("INBOX", mail(500, at, extra="X-Test: poison\r\n"), at)
    good = machine.server.deliver("INBOX", mail(501, at), at)
    parse = PlainParser.parse

    def deadly(self, message):
        if b"poison" in message.raw:
            raise Death("parse")
        return parse(self, message)

    monkeypatch.setattr(PlainParser, "parse", deadly)
    deaths = 0
    for _ in range(8):
        try:
            poll(machine, mailbox)
        except Death:
            deaths += 1
        machine.clock.advance(minutes=5)
    assert deaths == 3
    assert f"f-inbox.1.{good}" in machine.live_copies(mailbox.id)
    runs = machine.world.runs[(TENANT, mailbox.id)].values()
    assert any(
        run.ledger.get("unreadable:killed_its_reader") == (f"f-inbox.1.{poison}",) for run in runs
    )


def test_more_killers_than_a_few_are_given_up_one_after_the_other(machine, mailbox, monkeypatch):
    at = machine.clock.now()
    for number in range(500, 508):
        machine.server.deliver("INBOX", mail(number, at), at)
    good = machine.server.deliver("INBOX", mail(600, at), at)
    parse = PlainParser.parse

    def deadly(self, message):
        if b"Subject: Message 50" in message.raw:
            raise Death("parse")
        return parse(self, message)

    monkeypatch.setattr(PlainParser, "parse", deadly)
    for _ in range(20):
        with suppress(Death):
            poll(machine, mailbox)
        machine.clock.advance(minutes=5)
    assert f"f-inbox.1.{good}" in machine.live_copies(mailbox.id)


def test_a_redelivered_request_takes_no_lease_from_the_run_that_works_on_it(machine, mailbox):
    run_id = request_sync(ADA, mailbox.id, **asking(machine))
    (request,) = machine.queues.take_syncs()
    machine.server.deliver("INBOX", mail(700, machine.clock.now()), machine.clock.now())
    save, again = machine.messages.inner.save, []

    def meanwhile(*args):
        if not again:
            again.append(machine.sync(request))
        return save(*args)

    machine.messages.inner.save = meanwhile
    assert machine.sync(request).kind == "done"
    assert [report.kind for report in again] == ["dropped"]
    assert machine.world.runs[(TENANT, mailbox.id)][run_id].counts.stored == 1


def test_a_session_is_over_before_the_function_is(machine, mailbox):
    machine.seconds_left = 50.0
    poll(machine, mailbox)
    assert 30 < machine.server.seconds[-1] < 50


def test_a_message_that_takes_longer_than_a_function_lives_is_given_up_in_the_end(
    machine, mailbox, monkeypatch
):
    at = machine.clock.now()
    endless = machine.server.deliver("INBOX", mail(500, at), at)
    good = machine.server.deliver("INBOX", mail(501, at), at)
    fetch = FakeSession.fetch

    def slow(self, folder, ids):
        for fetched in fetch(self, folder, ids):
            if fetched.provider_message_id == f"f-inbox.1.{endless}":
                machine.seconds_left = 5.0
                raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
            yield fetched

    monkeypatch.setattr(FakeSession, "fetch", slow)
    for _ in range(3):
        with pytest.raises(RetryLaterError):
            poll(machine, mailbox)
        machine.seconds_left = 100.0
        machine.clock.advance(minutes=5)
    report = poll(machine, mailbox)
    assert report.run.ledger["unreadable:killed_its_reader"] == (f"f-inbox.1.{endless}",)
    assert f"f-inbox.1.{good}" in machine.live_copies(mailbox.id)


def test_a_server_that_times_out_while_there_is_time_is_the_mailbox_s_latest_error(
    machine, mailbox, monkeypatch
):
    machine.server.deliver("INBOX", mail(500, NOW), NOW)

    def slow(self, folder, ids):
        raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)

    monkeypatch.setattr(FakeSession, "fetch", slow)
    assert poll(machine, mailbox).code is ErrorCode.CONNECTION_TIMED_OUT


def test_a_run_that_runs_out_of_time_keeps_what_it_has_and_goes_on(machine, mailbox):
    for number in range(5):
        machine.server.deliver(
            "INBOX", mail(600 + number, machine.clock.now()), machine.clock.now()
        )
    machine.seconds_left = 40.0
    left = iter([40.0, 10.0, 10.0])
    real = machine.sync

    def slow(request):
        machine.seconds_left = next(left, 100.0)
        return real(request)

    machine.sync = slow
    machine.queues.send_syncs([SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE)])
    machine.drain()
    machine.tick()
    assert machine.server.ids("INBOX", since=NOW) <= set(machine.live_copies(mailbox.id))
    for run in machine.world.runs[(TENANT, mailbox.id)].values():
        assert run.counts.balances


def test_a_quiet_mailbox_is_polled_less_often_until_there_is_news(machine):
    mailbox = machine.connect(days=0)
    machine.drain()

    def logins(minutes):
        before = machine.server.logins
        machine.tick(minutes)
        return machine.server.logins - before

    assert logins(60) == 12
    machine.tick(13 * 60)
    assert logins(60) == 4
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(700, at), at)
    machine.tick(15)
    assert len(machine.live_copies(mailbox.id)) == 1
    assert logins(60) == 12


def test_what_was_completed_before_our_time_was_up_stands(machine, monkeypatch):
    monkeypatch.setattr("shared.operations.sync_mailbox.PAGE_SIZE", 2)
    box = machine.connect(days=0)
    machine.drain()
    for number in range(6):
        machine.server.deliver("INBOX", mail(number, machine.clock.now()), machine.clock.now())
    fetch, pages = FakeSession.fetch, []

    def slow(session, folder, ids):
        pages.append(ids)
        if len(pages) == 2:
            machine.seconds_left = 5.0
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        yield from fetch(session, folder, ids)

    monkeypatch.setattr(FakeSession, "fetch", slow)
    report = machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    assert (report.kind, report.run.counts.stored, report.run.counts.balances) == ("done", 2, True)
    assert [one.reason for one in machine.queues.syncs] == [RunReason.CONTINUED]
    machine.seconds_left = 100.0
    machine.drain()
    assert len(machine.live_copies(box.id)) == 6


def test_a_doubt_after_an_outage_parks_nobody(machine):
    box = machine.connect(days=0)
    machine.drain()
    machine.server.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    machine.tick(400)
    machine.server.failure = ReconnectRequiredError(ErrorCode.GRANT_REVOKED, definitive=False)
    machine.tick(70)
    assert machine.world.mailboxes[TENANT, box.id].status is MailboxStatus.ACTIVE
    machine.tick(400)
    assert machine.world.mailboxes[TENANT, box.id].status is MailboxStatus.RECONNECT_REQUIRED


def test_a_provider_that_forgets_every_place_is_asked_to_compare_once_a_run(machine, monkeypatch):
    box = machine.connect(days=0)
    machine.drain()
    changes, asked = FakeSession.changes, []

    def forgetful(session, folder, cursor, known, **given):
        asked.append(cursor)
        if cursor is not None:
            raise CursorExpiredError(ErrorCode.CURSOR_EXPIRED)
        return replace(changes(session, folder, cursor, known, **given), more=True)

    monkeypatch.setattr(FakeSession, "changes", forgetful)
    machine.server.deliver("INBOX", mail(1, machine.clock.now()), machine.clock.now())
    report = machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    assert (report.kind, report.code) == ("done", ErrorCode.CURSOR_EXPIRED)
    assert len(asked) == 3
    assert len(machine.live_copies(box.id)) == 1
    monkeypatch.undo()
    machine.tick(10)
    assert machine.world.mailboxes[TENANT, box.id].inbound_error is None


# ---- requests that pile up ----


def test_a_request_that_a_later_poll_has_answered_costs_no_login(machine, mailbox):
    asked_at = machine.clock.now()
    machine.clock.advance(minutes=1)
    assert poll(machine, mailbox).kind == "idle"
    logins = machine.server.logins
    request = SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE)
    assert machine.sync(request, asked_at=asked_at).kind == "dropped"
    assert machine.server.logins == logins
    assert machine.sync(request, asked_at=machine.clock.now()).kind == "idle"


def test_a_person_s_wish_and_the_rest_of_a_run_are_no_repetition(machine, mailbox):
    asked_at = machine.clock.now()
    machine.clock.advance(minutes=1)
    poll(machine, mailbox)
    for reason in (RunReason.REQUESTED, RunReason.CONTINUED):
        request = SyncRequest(TENANT, mailbox.id, reason)
        assert machine.sync(request, asked_at=asked_at).kind == "idle"


def test_a_run_that_failed_answers_nothing(machine, mailbox):
    asked_at = machine.clock.now()
    machine.clock.advance(minutes=1)
    machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    assert poll(machine, mailbox).kind == "failed"
    machine.server.failure = None
    machine.clock.advance(minutes=2)
    request = SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE)
    assert machine.sync(request, asked_at=asked_at).kind == "idle"


def test_no_poll_logs_in_beside_a_run_longer_than_the_cycle(machine, mailbox):
    lease = machine.mailboxes.take_lease(
        TENANT,
        mailbox.id,
        generation=mailbox.generation,
        owner="a long run",
        now=machine.clock.now(),
        seconds=180,
    )
    logins = machine.server.logins
    machine.clock.advance(seconds=179)
    assert poll(machine, mailbox).kind == "dropped"
    assert machine.server.logins == logins
    # One that died is followed by the next poll after its lease.
    machine.clock.at = lease.expires_at
    assert poll(machine, mailbox).kind == "idle"
