"""The contract of `MailboxStore`."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import MailboxId, RunId, UserId
from shared.domain.lease import Fence
from shared.domain.loops import NOT_YET
from shared.domain.mailbox import (
    EVERYONE,
    NOBODY,
    Alias,
    MailboxStatus,
    Provider,
    Readers,
    RunState,
)
from shared.ports.stores import DueMailbox, SyncOutcome
from tests.fakes.values import (
    BOX,
    INBOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    SENT,
    SLOT,
    TENANT,
    a_folder,
    a_mailbox,
    a_run,
    an_error,
    connected,
    identity_of,
    later,
    lease_of,
    stands,
)


def refusal(call, *arguments, **named) -> ErrorCode:
    with pytest.raises(ConflictError) as caught:
        call(*arguments, **named)
    return caught.value.code


def outcome(**changes) -> SyncOutcome:
    plain = SyncOutcome(cursors={INBOX: a_folder()}, now=later(5), run=a_run(), due_slot=SLOT)
    return replace(plain, **changes)


# ---- life ----


def test_a_mailbox_of_a_sign_in_is_read_back_with_the_account_it_belongs_to(stores):
    mailbox = a_mailbox(
        provider=Provider.OUTLOOK,
        subject="tid.oid",
        former_addresses=("info@acme.example",),
        imap=None,
        smtp=None,
    )
    stores.mailboxes.create(mailbox, RunState(), identity_of(mailbox))
    assert stores.mailboxes.get(TENANT, BOX).mailbox == mailbox


def test_what_is_created_is_read_back_whole(stores):
    mailbox = a_mailbox(inbound_error=an_error(), outbound_error=an_error(count=7))
    worked = NOT_YET.again(NOW)
    state = RunState(
        due_slot=SLOT, not_before=later(60), strikes={"x": 1}, failures=3, worked=worked
    )
    stores.mailboxes.create(mailbox, state, "imap:a")
    record = stores.mailboxes.get(TENANT, BOX)
    assert (record.mailbox, record.run_state) == (mailbox, state)


def test_its_aliases_are_read_back(stores):
    record = connected(stores.mailboxes)
    aliases = (Alias("info@acme.example", "Acme", NOW), Alias("ceo@acme.example"))
    stores.mailboxes.save_settings(replace(record.mailbox, aliases=aliases))
    assert stores.mailboxes.get(TENANT, BOX).mailbox.aliases == aliases


@pytest.mark.parametrize("granted_to", [NOBODY, EVERYONE, Readers((UserId("everyone"),))])
def test_whom_it_is_granted_to_is_read_back(stores, granted_to):
    record = connected(stores.mailboxes, granted_to=NOBODY)
    stores.mailboxes.save_settings(replace(record.mailbox, granted_to=granted_to))
    assert stores.mailboxes.get(TENANT, BOX).mailbox.granted_to == granted_to


def test_an_identity_is_connected_once_in_a_tenant(stores):
    connected(stores.mailboxes)
    other = a_mailbox(id=OTHER_BOX)
    code = refusal(stores.mailboxes.create, other, RunState(), identity_of(other))
    assert code is ErrorCode.ALREADY_CONNECTED
    assert stores.mailboxes.get(TENANT, OTHER_BOX) is None
    elsewhere = replace(other, tenant_id=OTHER_TENANT)
    stores.mailboxes.create(elsewhere, RunState(), identity_of(other))


def test_creating_again_changes_nothing(stores):
    before = connected(stores.mailboxes)
    stores.mailboxes.create(a_mailbox(), RunState(), identity_of(a_mailbox()))
    assert stands(stores.mailboxes, before.mailbox) == before


def test_what_is_not_there_is_none(stores):
    assert stores.mailboxes.get(TENANT, BOX) is None
    assert stores.mailboxes.list_mailboxes(TENANT) == []
    assert stores.mailboxes.find(TENANT, "imap:a") is None
    assert stores.mailboxes.primary(TENANT, UserId("u1")) is None


def test_mailboxes_are_listed_in_order_of_id_and_of_their_tenant(stores):
    for mailbox_id in (OTHER_BOX, BOX):
        connected(stores.mailboxes, id=mailbox_id, address=f"{mailbox_id}@acme.example")
    connected(stores.mailboxes, tenant_id=OTHER_TENANT)
    stores.mailboxes.set_primary(TENANT, UserId("u1"), BOX)
    listed = stores.mailboxes.list_mailboxes(TENANT)
    assert [record.mailbox.id for record in listed] == [BOX, OTHER_BOX]
    assert listed[0] == stores.mailboxes.get(TENANT, BOX)


def test_an_identity_finds_its_mailbox_until_it_is_freed(stores):
    record = connected(stores.mailboxes)
    identity = identity_of(record.mailbox)
    assert stores.mailboxes.find(TENANT, identity) == BOX
    assert stores.mailboxes.find(OTHER_TENANT, identity) is None
    stores.mailboxes.disconnect(TENANT, BOX, identity)
    assert stores.mailboxes.find(TENANT, identity) is None


def test_settings_are_saved_where_the_version_still_stands(stores):
    record = connected(stores.mailboxes)
    changed = replace(record.mailbox, display_name="New", active_folders=None)
    saved = stores.mailboxes.save_settings(changed)
    assert saved == replace(changed, version=record.mailbox.version + 1)
    assert stands(stores.mailboxes, changed).mailbox == saved
    late = replace(record.mailbox, display_name="Late")
    assert refusal(stores.mailboxes.save_settings, late) is ErrorCode.VERSION_CONFLICT
    assert stands(stores.mailboxes, changed).mailbox == saved


def test_saving_settings_touches_neither_status_nor_errors_nor_run_state(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.fail_without_lease(
        record, outcome(status=MailboxStatus.RECONNECT_REQUIRED, inbound_error=an_error())
    )
    before = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.save_settings(replace(record.mailbox, status=MailboxStatus.DISCONNECTED))
    after = stands(stores.mailboxes, record.mailbox)
    assert after.run_state == before.run_state
    assert after.mailbox == replace(before.mailbox, version=before.mailbox.version + 1)


def test_disconnecting_raises_generation_and_fence_and_frees_what_was_held(stores):
    record = connected(stores.mailboxes)
    lease_of(stores.mailboxes, record)
    stores.mailboxes.request_run(TENANT, BOX, RunId("01R"))
    before = stands(stores.mailboxes, record.mailbox).run_state
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    after = stands(stores.mailboxes, record.mailbox)
    assert after.mailbox.status is MailboxStatus.DISCONNECTED
    assert after.mailbox.generation == record.mailbox.generation + 1
    state = after.run_state
    assert (state.generation, state.fence) == (before.generation + 1, before.fence + 1)
    assert state.lease_owner is state.lease_expires_at is state.due_slot is None
    assert state.requested_run_id is None
    assert list(stores.mailboxes.due(SLOT)) == []


def test_disconnecting_leaves_no_trouble_on_record(stores):
    mailbox = a_mailbox(inbound_error=an_error(), outbound_error=an_error(count=7))
    stores.mailboxes.create(mailbox, RunState(), identity_of(mailbox))
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(mailbox))
    after = stands(stores.mailboxes, mailbox).mailbox
    assert (after.inbound_error, after.outbound_error) == (None, None)


def test_disconnecting_again_changes_nothing_and_takes_nothing_from_others(stores):
    record = connected(stores.mailboxes)
    identity = identity_of(record.mailbox)
    stores.mailboxes.disconnect(TENANT, BOX, identity)
    before = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.create(a_mailbox(id=OTHER_BOX), RunState(), identity)
    stores.mailboxes.disconnect(TENANT, BOX, identity)
    assert stands(stores.mailboxes, record.mailbox) == before
    assert stores.mailboxes.find(TENANT, identity) == OTHER_BOX
    stores.mailboxes.disconnect(TENANT, MailboxId("01NONE"), identity)
    assert stores.mailboxes.find(TENANT, identity) == OTHER_BOX


def test_reconnecting_starts_the_next_generation_without_errors_and_on_schedule(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(
        lease.fence,
        outcome(
            status=MailboxStatus.RECONNECT_REQUIRED,
            inbound_error=an_error(),
            failures=4,
            not_before=later(600),
            due_slot=None,
        ),
    )
    parked = stands(stores.mailboxes, record.mailbox)
    changed = replace(parked.mailbox, recovery_note="new password")
    stores.mailboxes.reconnect(changed, identity_of(changed), "every-5#4#0")
    after = stands(stores.mailboxes, record.mailbox)
    assert after.mailbox == replace(
        changed,
        status=MailboxStatus.ACTIVE,
        generation=changed.generation + 1,
        version=changed.version + 1,
        inbound_error=None,
    )
    state = after.run_state
    assert (state.fence, state.failures) == (parked.run_state.fence + 1, 0)
    assert state.not_before is state.lease_owner is None
    assert [due.mailbox_id for due in stores.mailboxes.due("every-5#4#0")] == [BOX]


def test_reconnecting_from_another_generation_is_stale(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    before = stands(stores.mailboxes, record.mailbox)
    arguments = (record.mailbox, identity_of(record.mailbox), SLOT)
    assert refusal(stores.mailboxes.reconnect, *arguments) is ErrorCode.STALE_WRITE
    assert stands(stores.mailboxes, record.mailbox) == before
    nowhere = replace(record.mailbox, id=OTHER_BOX)
    assert refusal(stores.mailboxes.reconnect, nowhere, "i", SLOT) is ErrorCode.STALE_WRITE


def test_reconnecting_an_identity_that_another_mailbox_took_is_refused(stores):
    record = connected(stores.mailboxes)
    identity = identity_of(record.mailbox)
    stores.mailboxes.disconnect(TENANT, BOX, identity)
    stores.mailboxes.create(a_mailbox(id=OTHER_BOX), RunState(), identity)
    before = stands(stores.mailboxes, record.mailbox)
    code = refusal(stores.mailboxes.reconnect, before.mailbox, identity, SLOT)
    assert code is ErrorCode.ALREADY_CONNECTED
    assert stands(stores.mailboxes, record.mailbox) == before


def test_reconnecting_under_another_identity_frees_the_one_before(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.reconnect(record.mailbox, "imap:new", SLOT)
    assert stores.mailboxes.find(TENANT, "imap:new") == BOX
    assert stores.mailboxes.find(TENANT, identity_of(record.mailbox)) is None


# ---- schedule and lease ----


def test_a_slot_gives_what_is_needed_to_queue_a_run(stores):
    record = connected(stores.mailboxes)
    connected(stores.mailboxes, tenant_id=OTHER_TENANT, id=OTHER_BOX)
    stores.mailboxes.fail_without_lease(record, outcome(run=None, not_before=later(60)))
    assert set(stores.mailboxes.due(SLOT)) == {
        DueMailbox(TENANT, BOX, later(60)),
        DueMailbox(OTHER_TENANT, OTHER_BOX, None),
    }
    assert list(stores.mailboxes.due("every-5#0#0")) == []


def test_a_slot_is_read_in_order_of_id_from_one_mailbox_on_and_before_another(stores):
    names = [MailboxId(f"01JNA000000000000000000{number:03}") for number in (5, 1, 4, 2, 3)]
    for number, name in enumerate(names):
        tenant = (TENANT, OTHER_TENANT)[number % 2]
        connected(stores.mailboxes, tenant_id=tenant, id=name, address=f"{name}@acme.example")
    one, two, three, four, five = sorted(names)

    def due(**bounds):
        return [due.mailbox_id for due in stores.mailboxes.due(SLOT, **bounds)]

    assert due() == [one, two, three, four, five]
    assert due(start=two) == [two, three, four, five]
    assert due(end=four) == [one, two, three]
    assert due(start=two, end=four) == [two, three]
    assert due(start=MailboxId(f"{two}0"), end=three) == []


def test_a_requested_run_is_the_one_already_waiting(stores):
    record = connected(stores.mailboxes)
    assert stores.mailboxes.request_run(TENANT, BOX, RunId("01A")) == "01A"
    assert stores.mailboxes.request_run(TENANT, BOX, RunId("01B")) == "01A"
    assert stands(stores.mailboxes, record.mailbox).run_state.requested_run_id == "01A"
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome(run=a_run("01A")))
    assert stands(stores.mailboxes, record.mailbox).run_state.requested_run_id is None
    nowhere = refusal(stores.mailboxes.request_run, TENANT, OTHER_BOX, RunId("01C"))
    assert nowhere is ErrorCode.STALE_WRITE


def test_a_run_takes_its_own_request_and_leaves_one_made_meanwhile(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.request_run(TENANT, BOX, RunId("01A"))
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome(run=a_run("01OTHER")))
    assert stands(stores.mailboxes, record.mailbox).run_state.requested_run_id == "01A"
    stores.mailboxes.finish_run(lease.fence, outcome(run=a_run("01A")))
    assert stands(stores.mailboxes, record.mailbox).run_state.requested_run_id is None


def test_a_lease_raises_the_fence_and_keeps_others_out_until_its_time_is_over(stores):
    record = connected(stores.mailboxes)
    first = lease_of(stores.mailboxes, record, "one")
    assert first.fence == Fence(TENANT, BOX, record.mailbox.generation, record.run_state.fence + 1)
    assert (first.owner, first.expires_at) == ("one", later(180))
    assert not first.previous_run_died
    assert refusal(lease_of, stores.mailboxes, record, "two", later(179)) is ErrorCode.LEASE_HELD
    second = lease_of(stores.mailboxes, record, "two", later(180))
    assert second.previous_run_died
    assert second.fence.fence == first.fence.fence + 1


def test_the_same_owner_may_ask_again(stores):
    record = connected(stores.mailboxes)
    first = lease_of(stores.mailboxes, record, "one")
    again = lease_of(stores.mailboxes, record, "one")
    assert again.fence.fence == first.fence.fence + 1
    assert not again.previous_run_died


def test_a_lease_given_back_is_free_and_its_run_did_not_die(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record, "one")
    stores.mailboxes.finish_run(lease.fence, outcome())
    assert not lease_of(stores.mailboxes, record, "two").previous_run_died


def test_a_lease_for_another_generation_is_stale(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    assert refusal(lease_of, stores.mailboxes, record) is ErrorCode.STALE_WRITE


def test_a_suspect_is_noted_before_it_is_read_and_known_after_a_death(stores):
    record = connected(stores.mailboxes)
    mailboxes = stores.mailboxes
    first = lease_of(mailboxes, record, "one")
    assert mailboxes.mark_suspect(first, "killer") == 0
    second = lease_of(mailboxes, record, "two", later(200))
    assert second.suspect == "killer"
    assert mailboxes.mark_suspect(second, "harmless") == 0
    assert mailboxes.mark_suspect(second, "killer") == 1
    third = lease_of(mailboxes, record, "three", later(400))
    assert mailboxes.mark_suspect(third, "killer") == 2


def test_what_survived_its_reading_is_no_suspect_any_more(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record, "one")
    for name in ("a", "b", "c"):
        assert stores.mailboxes.mark_suspect(lease, name) == 0
    assert stores.mailboxes.mark_suspect(lease, None) == 0
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.suspect, state.strikes) == (None, {})


def test_one_given_up_stays_given_up_when_the_run_dies_later(stores):
    record = connected(stores.mailboxes)
    mailboxes = stores.mailboxes
    for attempt, owner in enumerate(("one", "two")):
        lease = lease_of(mailboxes, record, owner, later(200 * attempt))
        assert mailboxes.mark_suspect(lease, "killer") == attempt
    third = lease_of(mailboxes, record, "three", later(400))
    assert mailboxes.mark_suspect(third, "killer") == 2
    mailboxes.mark_suspect(third, "next")
    fourth = lease_of(mailboxes, record, "four", later(600))
    assert mailboxes.mark_suspect(fourth, "killer") == 2


def test_no_killer_pushes_out_another_and_a_run_that_ends_well_strikes_off_all(stores):
    record = connected(stores.mailboxes)
    mailboxes = stores.mailboxes
    for attempt in range(9):
        lease = lease_of(mailboxes, record, f"w{attempt}", later(200 * attempt))
        mailboxes.mark_suspect(lease, f"m{attempt}")
    assert len(stands(mailboxes, record.mailbox).run_state.strikes) == 9
    mailboxes.finish_run(lease.fence, outcome())
    assert stands(mailboxes, record.mailbox).run_state.strikes == {}


def test_marking_with_a_passed_fence_is_stale(stores):
    record = connected(stores.mailboxes)
    old = lease_of(stores.mailboxes, record, "one")
    lease_of(stores.mailboxes, record, "two", later(200))
    assert refusal(stores.mailboxes.mark_suspect, old, "x") is ErrorCode.STALE_WRITE
    assert stands(stores.mailboxes, record.mailbox).run_state.suspect is None


# ---- ends of runs ----


def test_an_idle_poll_notes_its_time_and_clears_what_a_success_clears(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.fail_without_lease(
        record, outcome(inbound_error=an_error(), failures=2, not_before=later(60))
    )
    record = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.finish_idle(record, now=later(90))
    after = stands(stores.mailboxes, record.mailbox)
    assert after.mailbox == replace(record.mailbox, inbound_error=None)
    assert after.run_state == replace(
        record.run_state,
        last_synced_at=later(90),
        failures=0,
        not_before=None,
        worked=NOT_YET.again(later(90)),
    )


def test_what_was_worked_in_an_hour_is_counted_with_the_end_of_each_run(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.finish_idle(record, now=later(1))
    record = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.finish_idle(record, now=later(2))
    twice = NOT_YET.again(NOW).again(NOW)
    assert stands(stores.mailboxes, record.mailbox).run_state.worked == twice
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome(worked=twice.again(later(5))))
    after = stands(stores.mailboxes, record.mailbox)
    assert after.run_state.worked == twice.again(NOW)
    stores.mailboxes.fail_without_lease(after, outcome(run=None, failures=1))
    assert stands(stores.mailboxes, record.mailbox).run_state.worked == twice.again(NOW)
    stores.mailboxes.finish_idle(after, now=later(3600))
    assert stands(stores.mailboxes, record.mailbox).run_state.worked.times == 1


def test_an_idle_poll_may_send_a_quiet_mailbox_to_rest(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome(has_news=True, failures=0))
    news = stands(stores.mailboxes, record.mailbox).run_state.last_news_at
    assert news == outcome().now
    stores.mailboxes.finish_idle(record, now=later(90), not_before=later(300))
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.not_before, state.last_news_at) == (later(300), news)
    assert [due.not_before for due in stores.mailboxes.due(SLOT)] == [later(300)]


def test_an_idle_poll_of_another_generation_changes_nothing(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    before = stands(stores.mailboxes, record.mailbox)
    assert refusal(stores.mailboxes.finish_idle, record, now=NOW) is ErrorCode.STALE_WRITE
    assert stands(stores.mailboxes, record.mailbox) == before


def test_a_run_that_ends_after_another_stopped_the_mailbox_leaves_the_reason(stores):
    """Of two at once one met a dead grant; the other had a token that lasted."""
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    reason = an_error()
    stopped = outcome(inbound_error=reason, failures=1, status=MailboxStatus.RECONNECT_REQUIRED)
    stores.mailboxes.fail_without_lease(record, replace(stopped, due_slot=None))
    before = stands(stores.mailboxes, record.mailbox)
    later_ends = [
        lambda: stores.mailboxes.finish_idle(record, now=later(90)),
        lambda: stores.mailboxes.finish_run(lease.fence, outcome(failures=0)),
        lambda: stores.mailboxes.fail_without_lease(record, outcome(failures=1)),
    ]
    for end in later_ends:
        with pytest.raises(ConflictError, match="stale_write"):
            end()
    after = stands(stores.mailboxes, record.mailbox)
    assert after == before
    assert after.mailbox.inbound_error == reason
    assert after.run_state.due_slot is None


def test_an_idle_poll_leaves_a_lease_alone(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_idle(record, now=NOW)
    assert stands(stores.mailboxes, record.mailbox).run_state.lease_owner == lease.owner


def test_a_run_ends_with_cursors_record_and_lease_in_one_write(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    gone = replace(
        a_folder(SENT, None),
        scope="0af3",
        gone_at=later(4),
        resets=2,
        reset_at=later(3),
        news_from=later(2),
    )
    stores.mailboxes.finish_run(
        lease.fence, outcome(cursors={INBOX: a_folder(), SENT: gone}, failures=0)
    )
    assert stores.mailboxes.folders(TENANT, BOX) == [a_folder(), gone]
    assert stores.runs.get_run(TENANT, BOX, a_run().id) == a_run()
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.lease_owner, state.last_synced_at, state.due_slot) == (None, later(5), SLOT)


def test_a_failed_run_keeps_its_time_and_says_what_happened(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.finish_idle(record, now=NOW)
    lease = lease_of(stores.mailboxes, record)
    failed = outcome(
        status=MailboxStatus.RECONNECT_REQUIRED,
        inbound_error=an_error(),
        failures=1,
        not_before=later(99),
        due_slot=None,
    )
    stores.mailboxes.finish_run(lease.fence, failed)
    after = stands(stores.mailboxes, record.mailbox)
    assert after.mailbox.status is MailboxStatus.RECONNECT_REQUIRED
    assert after.mailbox.inbound_error == an_error()
    state = after.run_state
    assert (state.failures, state.not_before, state.due_slot) == (1, later(99), None)
    assert state.last_synced_at == NOW
    assert list(stores.mailboxes.due(SLOT)) == []


def test_a_run_that_ended_well_but_for_a_folder_tells_of_it_and_notes_its_time(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.mark_suspect(lease, "survivor")
    stores.mailboxes.finish_run(lease.fence, outcome(inbound_error=an_error(), failures=0))
    after = stands(stores.mailboxes, record.mailbox)
    assert after.mailbox.inbound_error == an_error()
    assert (after.run_state.last_synced_at, after.run_state.strikes) == (later(5), {})


def test_ending_a_run_again_changes_nothing(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome())
    before = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.finish_run(lease.fence, outcome())
    assert stands(stores.mailboxes, record.mailbox) == before
    assert len(stores.runs.list_runs(TENANT, BOX, limit=9, before=None)) == 1


@pytest.mark.parametrize("folders", [1, 230])
def test_a_stale_run_writes_nothing_at_all(stores, folders):
    record = connected(stores.mailboxes)
    old = lease_of(stores.mailboxes, record, "one")
    lease_of(stores.mailboxes, record, "two", later(200))
    before = stands(stores.mailboxes, record.mailbox)
    cursors = {f"f{n:03}": a_folder(f"f{n:03}") for n in range(folders)}
    stale = outcome(cursors=cursors, status=MailboxStatus.DISCONNECTED)
    assert refusal(stores.mailboxes.finish_run, old.fence, stale) is ErrorCode.STALE_WRITE
    assert stands(stores.mailboxes, record.mailbox) == before
    assert stores.mailboxes.folders(TENANT, BOX) == []
    assert stores.runs.list_runs(TENANT, BOX, limit=9, before=None) == []


def test_more_folders_than_a_transaction_holds_are_all_written(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    cursors = {f"f{n:03}": a_folder(f"f{n:03}") for n in range(230)}
    stores.mailboxes.finish_run(lease.fence, outcome(cursors=cursors))
    assert stores.mailboxes.folders(TENANT, BOX) == list(cursors.values())


def test_a_failure_without_a_lease_touches_no_lease_and_moves_no_cursor(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.fail_without_lease(
        record, outcome(cursors={}, inbound_error=an_error(), failures=1)
    )
    after = stands(stores.mailboxes, record.mailbox)
    assert after.run_state.lease_owner == lease.owner
    assert (after.mailbox.inbound_error, after.run_state.failures) == (an_error(), 1)
    assert stores.mailboxes.folders(TENANT, BOX) == []
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    code = refusal(stores.mailboxes.fail_without_lease, record, outcome())
    assert code is ErrorCode.STALE_WRITE


# ---- folders and primary ----


def test_trouble_with_what_goes_out_is_noted_and_cleared_by_itself(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome(inbound_error=an_error(count=3), failures=3))
    before = stands(stores.mailboxes, record.mailbox)
    generation = Fence(TENANT, BOX, record.mailbox.generation)
    for error in (an_error(count=7, run_id=None), None):
        stores.mailboxes.note_outbound(generation, error)
        after = stands(stores.mailboxes, record.mailbox)
        assert after == replace(before, mailbox=replace(before.mailbox, outbound_error=error))


def test_trouble_with_what_comes_in_leaves_what_goes_out_alone(stores):
    record = connected(stores.mailboxes)
    stores.mailboxes.note_outbound(Fence(TENANT, BOX, record.mailbox.generation), an_error(count=7))
    stores.mailboxes.finish_idle(record, now=later(5))
    stores.mailboxes.fail_without_lease(record, outcome(inbound_error=an_error(), failures=1))
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.finish_run(lease.fence, outcome())
    after = stands(stores.mailboxes, record.mailbox).mailbox
    assert (after.inbound_error, after.outbound_error) == (None, an_error(count=7))


def test_trouble_of_an_earlier_generation_is_not_noted(stores):
    record = connected(stores.mailboxes)
    earlier = Fence(TENANT, BOX, record.mailbox.generation - 1)
    assert refusal(stores.mailboxes.note_outbound, earlier, an_error()) is ErrorCode.STALE_WRITE
    assert stands(stores.mailboxes, record.mailbox) == record


def test_a_folder_gets_its_first_cursor_once(stores):
    record = connected(stores.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    add = stores.mailboxes.add_folders
    for cursor, kept in [(None, None), ("imap:1:1", "imap:1:1"), ("imap:1:2", "imap:1:1")]:
        assert add(fence, [a_folder(cursor=cursor)]) == [a_folder(cursor=kept)]
    assert stores.mailboxes.folders(TENANT, BOX) == [a_folder(cursor="imap:1:1")]
    both = [a_folder(cursor="imap:1:3"), a_folder("f2", cursor="imap:1:3")]
    assert add(fence, both) == [a_folder(cursor="imap:1:1"), both[1]]
    assert add(fence, []) == []


def test_a_folders_position_is_let_go_of_where_it_is_still_that_one(stores):
    record = connected(stores.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    stores.mailboxes.add_folders(fence, [a_folder(cursor="imap:1:1"), a_folder("f2")])
    let_go = stores.mailboxes.give_up_cursor
    let_go(fence, a_folder(cursor="imap:1:2"))
    let_go(fence, a_folder("f3", cursor="imap:1:1"))
    assert stores.mailboxes.folders(TENANT, BOX) == [a_folder(cursor="imap:1:1"), a_folder("f2")]
    for _ in range(2):
        let_go(fence, a_folder(cursor="imap:1:1"))
        assert stores.mailboxes.folders(TENANT, BOX) == [a_folder(cursor=None), a_folder("f2")]
    earlier = Fence(TENANT, BOX, record.mailbox.generation - 1)
    assert refusal(let_go, earlier, a_folder(cursor="imap:1:1")) is ErrorCode.STALE_WRITE


def test_a_folder_of_another_generation_is_stale(stores):
    record = connected(stores.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation - 1)
    assert refusal(stores.mailboxes.add_folders, fence, [a_folder()]) is ErrorCode.STALE_WRITE
    assert stores.mailboxes.folders(TENANT, BOX) == []


def test_a_user_has_one_primary(stores):
    for mailbox_id in (BOX, OTHER_BOX):
        stores.mailboxes.set_primary(TENANT, UserId("u1"), mailbox_id)
    assert stores.mailboxes.primary(TENANT, UserId("u1")) == OTHER_BOX
    assert stores.mailboxes.primary(TENANT, UserId("u2")) is None
    assert stores.mailboxes.primary(OTHER_TENANT, UserId("u1")) is None


def test_it_is_known_whose_primary_a_mailbox_is(stores):
    for user in ("u#1", "u0", "u2"):
        stores.mailboxes.set_primary(TENANT, UserId(user), OTHER_BOX if user == "u2" else BOX)
    stores.mailboxes.set_primary(OTHER_TENANT, UserId("u3"), BOX)
    assert sorted(stores.mailboxes.primary_of(TENANT, BOX)) == ["u#1", "u0"]
    assert stores.mailboxes.primary_of(OTHER_TENANT, OTHER_BOX) == []


# ---- runs ----


def test_runs_are_listed_newest_first_without_their_ledgers(stores):
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    for run_id in ("01A", "01C", "01B"):
        run = a_run(run_id, code=ErrorCode.RATE_LIMITED)
        stores.mailboxes.finish_run(lease.fence, outcome(run=run))

    def listed(**asked):
        return [run.id for run in stores.runs.list_runs(TENANT, BOX, **asked)]

    assert listed(limit=2, before=None) == ["01C", "01B"]
    assert listed(limit=2, before=RunId("01B")) == ["01A"]
    assert listed(limit=9, before=RunId("01A")) == []
    first = stores.runs.list_runs(TENANT, BOX, limit=1, before=None)[0]
    assert first == a_run("01C", code=ErrorCode.RATE_LIMITED, ledger={})
    assert stores.runs.get_run(TENANT, BOX, RunId("01Z")) is None
    assert stores.runs.get_run(OTHER_TENANT, BOX, RunId("01A")) is None
