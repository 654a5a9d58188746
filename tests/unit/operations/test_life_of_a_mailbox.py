"""Connect, reconnect, disconnect, backfills in a person's hands, the sweeper, dead letters."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.ids import BackfillId, FolderId, RunId, UserId
from shared.domain.mail_server import Security
from shared.domain.mailbox import MailboxKind, MailboxStatus
from shared.domain.run import RunReason
from shared.domain.visibility import Viewer
from shared.operations.connect_mailbox import (
    ConnectionTestFailedError,
    ConnectPolicy,
    check_logins,
    test_servers,
)
from shared.operations.disconnect_mailbox import preview_disconnection
from shared.operations.read_mailboxes import get_mailbox
from shared.operations.record_dead_letter import record_dead_letter
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.ports.queues import ChunkRequest, SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.sends import InMemorySendStore
from tests.fakes.stores import InMemoryRunStore
from tests.unit.operations.machine import ADA, TENANT, Death, Machine, busy_server, login, mail

NOW = FixedClock().now()
BOB = Viewer(TENANT, UserId("bob"))


@pytest.fixture
def machine() -> Machine:
    return Machine(busy_server(NOW))


def stored(machine, mailbox):
    return machine.world.mailboxes[(TENANT, mailbox.id)]


def ports(machine, *names):
    every = {
        "mailboxes": machine.mailboxes,
        "backfills": machine.backfills,
        "letters": machine.letters,
        "audits": machine.audits,
        "queues": machine.guarded_queues,
        "clock": machine.clock,
    }
    return {name: every[name] for name in names or every.keys() - {"letters", "audits"}}


def bury(machine, request, *, sent_at=None):
    record_dead_letter(
        request,
        sent_at=sent_at or machine.clock.now(),
        sends=InMemorySendStore(machine.world),
        **ports(machine, "mailboxes", "backfills", "letters", "clock"),
    )


# connect


@pytest.mark.parametrize("side", ["imap", "smtp"])
def test_nothing_is_stored_when_the_test_fails(machine, side):
    setattr(machine.tester, side, ErrorCode.LOGIN_REJECTED)
    with pytest.raises(ConnectionTestFailedError) as failed:
        machine.connect()
    assert getattr(failed.value.test, side).code is ErrorCode.LOGIN_REJECTED
    assert machine.killer.count == 0


def test_the_same_address_is_connected_once(machine):
    machine.connect()
    with pytest.raises(ConflictError) as refused:
        machine.connect()
    assert refused.value.code is ErrorCode.ALREADY_CONNECTED


def test_only_an_admin_connects_a_shared_mailbox(machine):
    with pytest.raises(RequestError) as refused:
        machine.connect(kind=MailboxKind.SHARED)
    assert refused.value.code is ErrorCode.ADMIN_REQUIRED


def test_only_an_admin_connects_for_somebody_else(machine):
    with pytest.raises(RequestError) as refused:
        machine.connect(owner_user_id=UserId("bob"))
    assert refused.value.code is ErrorCode.ADMIN_REQUIRED


@pytest.mark.parametrize("days", [-1, 366])
def test_a_backfill_is_at_most_a_year(machine, days):
    with pytest.raises(RequestError) as refused:
        machine.connect(days=days)
    assert [field for field, _ in refused.value.fields] == ["backfill_days"]


@pytest.mark.parametrize("folder_id", ["f-nowhere", "f-trash"])
def test_folders_that_are_not_there_or_are_trash_cannot_be_chosen(machine, folder_id):
    with pytest.raises(RequestError) as refused:
        machine.connect(active_folders=(FolderId(folder_id),))
    assert refused.value.fields[0][0] == "active_folders"


def test_from_now_on_brings_in_what_arrives_after_connecting_and_nothing_older(machine):
    mailbox = machine.connect(days=0)
    at = NOW + timedelta(seconds=2)
    uid = machine.server.deliver("INBOX", mail(700, at), at)
    machine.drain()
    assert set(machine.live_copies(mailbox.id)) == {f"f-inbox.1.{uid}"}


def test_a_server_whose_clock_is_behind_loses_nothing_of_what_arrives_from_now_on(machine):
    mailbox = machine.connect(days=0)
    late = NOW - timedelta(minutes=5)
    first = machine.server.deliver("INBOX", mail(700, late), late)
    machine.drain()
    second = machine.server.deliver("INBOX", mail(701, late), late)
    machine.tick(6)
    assert set(machine.live_copies(mailbox.id)) == {f"f-inbox.1.{first}", f"f-inbox.1.{second}"}


def test_old_mail_moved_into_a_folder_stays_there_and_is_counted(machine):
    mailbox = machine.connect(days=30)
    machine.drain()
    before = set(machine.live_copies(mailbox.id))
    at = NOW - timedelta(days=31)
    machine.server.deliver("INBOX", mail(700, at), at)
    machine.tick(6)
    assert set(machine.live_copies(mailbox.id)) == before
    runs = InMemoryRunStore(machine.world).list_runs(TENANT, mailbox.id, limit=10, before=None)
    assert [run.counts.skipped for run in runs if run.counts.skipped] == [{"before_history": 1}]


def test_what_the_operator_does_not_permit_is_named(machine):
    plain = replace(login().server, security=Security.NONE)
    with pytest.raises(RequestError) as refused:
        check_logins(
            replace(login(), server=plain),
            replace(login(), allow_untrusted_certificate=True),
            ConnectPolicy(),
        )
    assert {field for field, _ in refused.value.fields} == {
        "imap.security",
        "smtp.allow_untrusted_certificate",
    }


def test_two_different_accounts_are_warned_of(machine):
    other = replace(login(), server=replace(login().server, username="bob"))
    codes = [
        warning.code for warning in test_servers(login(), other, tester=machine.tester).warnings
    ]
    assert codes == ["accounts_differ"]


@pytest.mark.parametrize("days", [0, 10])
def test_a_retry_of_the_connecting_leaves_nothing_of_the_first_attempt_s_import(machine, days):
    machine.killer.at = 3
    with pytest.raises(Death):
        machine.connect(days=30)
    mailbox = machine.connect(days=days)
    machine.drain()
    machine.tick(12)
    since = NOW - timedelta(days=days)
    wanted = machine.server.ids("INBOX", since=since) | machine.server.ids("Sent", since=since)
    assert set(machine.live_copies(mailbox.id)) == wanted
    states = [one.state for one in machine.world.backfills[(TENANT, mailbox.id)].values()]
    assert states.count(BackfillState.CANCELLED) == 1


# reconnect and disconnect


def test_reconnecting_keeps_id_history_and_cursor_and_starts_no_backfill(machine):
    mailbox = machine.connect()
    machine.drain()
    machine.tick()
    before = machine.fingerprint()
    machine.server.fetched.clear()
    after = machine.reconnect(mailbox.id)
    machine.drain()
    assert after.id == mailbox.id
    assert after.status is MailboxStatus.ACTIVE
    assert after.generation > mailbox.generation
    assert machine.fingerprint() == before
    assert machine.server.fetched == []


def test_another_account_is_refused_on_reconnect(machine, monkeypatch):
    mailbox = machine.connect()
    monkeypatch.setattr("tests.unit.operations.machine.OWN_ADDRESS", "eve@evil.example")
    with pytest.raises(RequestError) as refused:
        machine.reconnect(mailbox.id)
    assert refused.value.code is ErrorCode.WRONG_MAILBOX


def test_a_failed_test_on_reconnect_changes_nothing(machine):
    mailbox = machine.connect()
    machine.tester.imap = ErrorCode.LOGIN_REJECTED
    effects = machine.killer.count
    with pytest.raises(ConnectionTestFailedError):
        machine.reconnect(mailbox.id)
    assert machine.killer.count == effects


def meanwhile(machine, monkeypatch, act):
    """Have `act` come between the reading of a mailbox and the storing of its secret."""
    put = machine.secret_store.put

    def act_and_put(*given):
        monkeypatch.setattr(machine.secret_store, "put", put)
        act()
        put(*given)

    monkeypatch.setattr(machine.secret_store, "put", act_and_put)


def test_a_password_whose_host_was_not_saved_goes_to_no_other(machine, monkeypatch):
    mailbox = machine.connect()
    settings = stored(machine, mailbox)
    monkeypatch.setattr("tests.unit.operations.machine.login", partial(login, "new.acme.example"))
    meanwhile(machine, monkeypatch, lambda: machine.mailboxes.save_settings(settings))
    with pytest.raises(ConflictError):
        machine.reconnect(mailbox.id)
    grant = machine.grants.of(stored(machine, mailbox))
    assert grant.imap == login("new.acme.example", "another-false-password")
    assert stored(machine, mailbox).imap == login().server


def test_a_reconnect_that_meets_a_disconnect_leaves_no_password(machine, monkeypatch):
    mailbox = machine.connect()
    meanwhile(machine, monkeypatch, lambda: machine.disconnect(mailbox.id))
    with pytest.raises(ConflictError):
        machine.reconnect(mailbox.id)
    assert machine.secret_store.secrets == {}


def test_a_reconnect_of_an_address_that_is_another_mailbox_s_leaves_no_password(machine):
    first = machine.connect()
    machine.disconnect(first.id)
    machine.clock.advance(1)
    second = machine.connect()
    with pytest.raises(ConflictError):
        machine.reconnect(first.id)
    assert set(machine.secret_store.secrets) == {(TENANT, second.id)}


def test_a_connecting_that_meets_a_disconnect_leaves_no_password(machine, monkeypatch):
    def disconnect():
        (box,) = machine.world.mailboxes.values()
        machine.disconnect(box.id)

    meanwhile(machine, monkeypatch, disconnect)
    with pytest.raises(ConflictError):
        machine.connect()
    assert machine.secret_store.secrets == {}


def test_a_reconnect_that_only_came_second_takes_no_password_away(machine, monkeypatch):
    mailbox = machine.connect()
    meanwhile(machine, monkeypatch, lambda: machine.reconnect(mailbox.id))
    with pytest.raises(ConflictError):
        machine.reconnect(mailbox.id)
    assert set(machine.secret_store.secrets) == {(TENANT, mailbox.id)}


def test_a_worker_from_before_the_disconnect_changes_nothing(machine):
    mailbox = machine.connect()
    machine.drain()
    lease = machine.mailboxes.take_lease(
        TENANT,
        mailbox.id,
        generation=stored(machine, mailbox).generation,
        owner="old",
        now=machine.clock.now(),
        seconds=180,
    )
    machine.disconnect(mailbox.id)
    before = machine.fingerprint()
    with pytest.raises(ConflictError):
        machine.messages.remove_copies(
            lease.fence, FolderId("f-inbox"), list(machine.live_copies(mailbox.id)), now=NOW
        )
    assert machine.fingerprint() == before
    assert before["copies"]


def test_a_disconnected_mailbox_is_left_alone(machine):
    mailbox = machine.connect()
    machine.drain()
    machine.disconnect(mailbox.id)
    logins = machine.server.logins
    machine.tick(12)
    assert machine.server.logins == logins
    assert stored(machine, mailbox).status is MailboxStatus.DISCONNECTED


def test_a_disconnected_address_can_be_connected_anew(machine):
    first = machine.connect()
    machine.drain()
    messages = set(machine.world.messages)
    machine.disconnect(first.id)
    machine.clock.advance(1)
    second = machine.connect()
    machine.drain()
    assert second.id != first.id
    assert set(machine.world.messages) == messages


def previewed(machine, viewer, mailbox_id):
    sends = InMemorySendStore(machine.world)
    named = ports(machine, "mailboxes", "backfills", "clock")
    return preview_disconnection(viewer, mailbox_id, sends=sends, **named)


def test_the_preview_tells_what_disconnecting_touches(machine):
    mailbox = machine.connect()
    machine.mailboxes.set_primary(TENANT, ADA.user_id, mailbox.id)
    preview = previewed(machine, ADA, mailbox.id)
    assert preview.primary_of == (ADA.user_id,)
    assert preview.open_backfills == 1
    with pytest.raises(RequestError):
        previewed(machine, BOB, mailbox.id)


def test_no_disconnected_mailbox_is_anybody_s_primary_until_it_comes_back(machine):
    def is_primary():
        view = get_mailbox(ADA, mailbox.id, **ports(machine, "mailboxes", "audits", "clock"))
        preview = previewed(machine, ADA, mailbox.id)
        assert view.is_primary is bool(preview.primary_of)
        return view.is_primary

    mailbox = machine.connect()
    machine.mailboxes.set_primary(TENANT, ADA.user_id, mailbox.id)
    assert is_primary()
    machine.disconnect(mailbox.id)
    assert not is_primary()
    machine.reconnect(mailbox.id)
    assert is_primary()


# backfills


def backfill_of(machine, mailbox):
    return next(iter(machine.world.backfills[(TENANT, mailbox.id)].values()))


def act(machine, mailbox, action):
    return change_backfill(
        ADA, mailbox.id, backfill_of(machine, mailbox).id, action, **ports(machine)
    )


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 2)


def test_at_most_two_chunks_are_in_flight(machine, small_chunks):
    machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    assert len(machine.queues.chunks) == 2


def test_a_paused_backfill_releases_nothing_and_resumes_where_it_was(machine, small_chunks):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    assert act(machine, mailbox, BackfillAction.PAUSE).state is BackfillState.PAUSED
    assert act(machine, mailbox, BackfillAction.PAUSE).state is BackfillState.PAUSED
    machine.drain()
    machine.tick(12)
    assert backfill_of(machine, mailbox).done == 0
    act(machine, mailbox, BackfillAction.RESUME)
    machine.drain()
    ended = backfill_of(machine, mailbox)
    assert ended.state is BackfillState.DONE
    assert ended.counts.settled == ended.planned > 4


def test_a_cancelled_backfill_stays_cancelled(machine, small_chunks):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    act(machine, mailbox, BackfillAction.CANCEL)
    machine.tick(12)
    assert backfill_of(machine, mailbox).state is BackfillState.CANCELLED
    with pytest.raises(ConflictError):
        act(machine, mailbox, BackfillAction.RESUME)


def test_a_larger_window_fetches_only_what_is_missing(machine):
    mailbox = machine.connect(days=10)
    machine.drain()
    had = set(machine.live_copies(mailbox.id))
    machine.server.fetched.clear()
    start_backfill(ADA, mailbox.id, 60, **ports(machine))
    machine.drain()
    since = NOW - timedelta(days=60)
    wanted = machine.server.ids("INBOX", since=since) | machine.server.ids("Sent", since=since)
    assert set(machine.live_copies(mailbox.id)) == wanted
    assert not set(machine.server.fetched) & had
    assert stored(machine, mailbox).history_from == since


def test_one_backfill_at_a_time(machine):
    mailbox = machine.connect(days=10)
    floor = stored(machine, mailbox).history_from
    with pytest.raises(ConflictError):
        start_backfill(ADA, mailbox.id, 60, **ports(machine))
    assert stored(machine, mailbox).history_from == floor


def test_the_floor_sinks_before_the_backfill_is_there_whoever_else_saves_settings(
    machine, monkeypatch
):
    mailbox = machine.connect(days=10)
    machine.drain()
    save, create = machine.mailboxes.inner.save_settings, machine.backfills.inner.create_backfill
    floors = []

    def after_another(changed):
        monkeypatch.setattr(machine.mailboxes.inner, "save_settings", save)
        save(replace(stored(machine, mailbox), display_name="Saved meanwhile"))
        return save(changed)

    def noting(backfill):
        floors.append(stored(machine, mailbox).history_from)
        create(backfill)

    monkeypatch.setattr(machine.mailboxes.inner, "save_settings", after_another)
    monkeypatch.setattr(machine.backfills.inner, "create_backfill", noting)
    backfill = start_backfill(ADA, mailbox.id, 60, **ports(machine))
    assert floors == [backfill.since]
    assert stored(machine, mailbox).display_name == "Saved meanwhile"
    assert len(machine.queues.plans) == 1


def test_a_stranger_s_backfill_is_not_found(machine):
    mailbox = machine.connect(days=10)
    for viewer, backfill_id in (
        (BOB, backfill_of(machine, mailbox).id),
        (ADA, BackfillId("nothing")),
    ):
        with pytest.raises(RequestError):
            change_backfill(viewer, mailbox.id, backfill_id, BackfillAction.PAUSE, **ports(machine))


def test_a_backfill_waits_for_a_provider_that_asks_for_it(machine):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    machine.server.failure = RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=600)
    machine.run_chunk(machine.queues.take_chunks()[0])
    assert backfill_of(machine, mailbox).waiting_until >= NOW + timedelta(minutes=10)
    (delay,) = machine.queues.delays
    assert 600 <= delay <= 900
    machine.server.failure = None
    machine.tick(20)
    ended = backfill_of(machine, mailbox)
    assert ended.state is BackfillState.DONE
    assert ended.waiting_until is None


def test_a_backfill_of_a_parked_mailbox_goes_on_after_the_reconnect(machine, small_chunks):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    machine.drain()
    machine.tick(10)
    assert stored(machine, mailbox).status is MailboxStatus.RECONNECT_REQUIRED
    machine.server.failure = None
    machine.reconnect(mailbox.id)
    machine.tick(10)
    assert backfill_of(machine, mailbox).state is BackfillState.DONE


def cancelled(machine, mailbox):
    act(machine, mailbox, BackfillAction.CANCEL)


def given_up(machine, mailbox):
    (request,) = machine.queues.take_plans()
    bury(machine, request)


def disconnected_and_reconnected(machine, mailbox):
    machine.disconnect(mailbox.id)
    machine.reconnect(mailbox.id)


def still_to_come(machine, mailbox):
    machine.queues.take_plans()


@pytest.mark.parametrize(
    "ending", [cancelled, given_up, disconnected_and_reconnected, still_to_come]
)
def test_new_mail_arrives_also_where_no_plan_ever_ran(machine, ending):
    mailbox = machine.connect(days=30)
    ending(machine, mailbox)
    machine.queues.take_plans()
    for request in machine.queues.take_syncs():
        machine.sync(request)
    at = machine.clock.now()
    uid = machine.server.deliver("INBOX", mail(700, at), at)
    machine.clock.advance(minutes=5)
    machine.sync(SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    assert set(machine.live_copies(mailbox.id)) == {f"f-inbox.1.{uid}"}


def test_a_folder_that_does_not_open_when_the_line_is_drawn_is_told_of(machine):
    mailbox = machine.connect(days=30)
    machine.queues.take_plans()
    machine.server.folders["Sent"].opens = False
    (request,) = machine.queues.take_syncs()
    assert machine.sync(request).code is ErrorCode.FOLDER_UNAVAILABLE
    assert set(machine.world.folders[(TENANT, mailbox.id)]) == {"f-inbox", "f-trash"}


# what got lost, and what never finished


def test_a_lost_plan_and_lost_chunks_are_sent_again(machine, small_chunks):
    mailbox = machine.connect(days=60)
    machine.queues.take_plans()
    machine.queues.take_syncs()
    machine.tick(8)
    assert backfill_of(machine, mailbox).state is BackfillState.DONE


def test_a_dead_sync_becomes_a_latest_error_and_is_tried_again(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    bury(machine, SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    assert stored(machine, mailbox).inbound_error.code is ErrorCode.INTERNAL
    assert stored(machine, mailbox).status is MailboxStatus.ACTIVE
    machine.clock.advance(minutes=61)
    machine.tick(6)
    assert stored(machine, mailbox).inbound_error is None


def test_a_dead_letter_from_before_the_last_sync_changes_nothing(machine):
    mailbox = machine.connect(days=0)
    sent_at = machine.clock.now()
    machine.clock.advance(minutes=5)
    machine.drain()
    before = machine.fingerprint()
    bury(machine, SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE), sent_at=sent_at)
    assert machine.fingerprint() == before
    assert machine.world.run_states[(TENANT, mailbox.id)].not_before is None


def test_a_dead_letter_leaves_a_parked_mailbox_its_reason(machine):
    mailbox = machine.connect(days=0)
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    machine.drain()
    bury(machine, SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    parked = stored(machine, mailbox)
    assert parked.status is MailboxStatus.RECONNECT_REQUIRED
    assert parked.inbound_error.code is ErrorCode.LOGIN_REJECTED


def test_a_dead_letter_answers_whom_its_run_was_for_and_nobody_twice(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    run_id = machine.mailboxes.request_run(TENANT, mailbox.id, RunId("01WAITED"))
    letter = SyncRequest(TENANT, mailbox.id, RunReason.REQUESTED, run_id)
    bury(machine, letter)
    runs = machine.world.runs[(TENANT, mailbox.id)]
    first = runs[run_id]
    assert first.code is ErrorCode.INTERNAL
    assert machine.world.run_states[(TENANT, mailbox.id)].requested_run_id is None
    machine.clock.advance(minutes=1)
    bury(machine, letter)
    assert runs[run_id] == first


def test_a_dead_chunk_fails_its_backfill_which_can_be_resumed(machine, small_chunks):
    mailbox = machine.connect(days=60)
    machine.plan(machine.queues.take_plans()[0])
    backfill = backfill_of(machine, mailbox)
    request = ChunkRequest(TENANT, mailbox.id, backfill.id, 0)
    bury(machine, request)
    failed = backfill_of(machine, mailbox)
    assert (failed.state, failed.code) == (BackfillState.FAILED, ErrorCode.INTERNAL)
    act(machine, mailbox, BackfillAction.RESUME)
    machine.drain()
    assert backfill_of(machine, mailbox).state is BackfillState.DONE


def test_a_dead_letter_of_a_disconnected_mailbox_changes_nothing(machine):
    mailbox = machine.connect(days=0)
    machine.drain()
    machine.disconnect(mailbox.id)
    before = machine.fingerprint()
    bury(machine, SyncRequest(TENANT, mailbox.id, RunReason.SCHEDULE))
    assert machine.fingerprint() == before
