"""What a preview promises: the numbers of the import that follows, from few requests, and no trace."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import (
    ConfigurationError,
    ConflictError,
    ErrorCode,
    PreviewFailedError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.ids import TenantId, UserId
from shared.domain.mailbox import MailboxStatus, Provider
from shared.domain.visibility import Viewer
from shared.operations.preview_backfill import SESSION_SECONDS, preview_backfill
from shared.operations.start_backfill import start_backfill
from shared.ports.provider import Tally
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import ADA, TENANT, Machine, mail

NOW = FixedClock().now()
AGES = [1, 3, 6, 10, 25, 40, 80, 200, 300, 400]


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 2)
    server = FakeMailServer.with_folders("INBOX", "Sent", "Trash")
    for number, days in enumerate(AGES):
        at = NOW - timedelta(days=days)
        server.deliver("INBOX" if number % 3 else "Sent", mail(number, at), at)
    server.deliver("Trash", mail(99, NOW), NOW)
    return Machine(server)


def preview(machine, viewer=ADA, *, units=6_000):
    (box,) = machine.world.mailboxes.values()
    return preview_backfill(
        viewer,
        box.id,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        grants=machine.grants,
        provider_of=lambda _provider: machine.server,
        clock=machine.clock,
        gmail_units_per_minute=units,
    )


def imported(machine, days):
    (box,) = machine.world.mailboxes.values()
    machine.clock.advance(1)
    backfill = start_backfill(
        ADA,
        box.id,
        days,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )
    machine.drain()
    return machine.world.backfills[TENANT, box.id][backfill.id]


def change(machine, **changes):
    (place,) = machine.world.mailboxes
    machine.world.mailboxes[place] = replace(machine.world.mailboxes[place], **changes)


def test_a_preview_says_what_the_active_folders_hold(machine):
    machine.connect(days=0)
    machine.drain()
    windows = preview(machine)
    assert [(one.days, one.messages, one.missing) for one in windows] == [
        (7, 3, 3),
        (30, 5, 5),
        (90, 7, 7),
        (365, 9, 9),
    ]
    assert not any(one.more for one in windows)


@pytest.mark.parametrize("days", [7, 30, 90, 365])
def test_the_import_that_follows_is_the_one_that_was_announced(machine, days):
    machine.connect(days=0)
    machine.drain()
    told = {one.days: one for one in preview(machine)}[days]
    backfill = imported(machine, days)
    assert (backfill.planned, backfill.counts.stored) == (told.messages, told.missing)


def test_what_an_earlier_import_brought_is_not_missing(machine):
    machine.connect(days=30)
    machine.drain()
    assert [one.missing for one in preview(machine)] == [0, 0, 2, 4]
    backfill = imported(machine, 90)
    assert (backfill.planned, backfill.counts.stored) == (7, 2)
    assert [one.missing for one in preview(machine)] == [0, 0, 0, 2]


def test_what_came_since_the_mailbox_was_connected_is_not_missing(machine):
    machine.connect(days=0)
    machine.drain()
    machine.clock.advance(days=2)
    now = machine.clock.now()
    machine.server.deliver("INBOX", mail(50, now), now)
    machine.tick(10)
    first = preview(machine)[0]
    assert (first.days, first.messages, first.missing) == (7, 3, 2)


@pytest.mark.parametrize("state", [BackfillState.CANCELLED, BackfillState.FAILED])
def test_an_import_that_did_not_end_well_brought_nothing_one_could_count_on(machine, state):
    box = machine.connect(days=365)
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    machine.backfills.set_backfill_state(backfill, state, now=NOW)
    machine.drain()
    assert [one.missing for one in preview(machine)] == [3, 5, 7, 9]


@pytest.mark.parametrize("kind", [BackfillKind.REPLAY, BackfillKind.REPAIR])
def test_messages_read_again_or_brought_in_one_by_one_are_no_import(machine, kind):
    box = machine.connect(days=0)
    machine.drain()
    one = imported(machine, 7)
    machine.world.backfills[TENANT, box.id] = {
        one.id: replace(one, kind=kind, since=NOW - timedelta(days=365), seconds_a_message=60.0)
    }
    windows = preview(machine)
    assert [window.missing for window in windows] == [3, 5, 7, 9]
    assert windows[3].seconds == 1


def test_a_preview_leaves_no_trace_and_fetches_nothing(machine):
    machine.connect(days=30)
    machine.drain()
    before, fetched = machine.killer.count, machine.server.fetched[:]
    logins = machine.server.logins
    preview(machine)
    assert (machine.killer.count, machine.server.fetched) == (before, fetched)
    assert machine.server.logins == logins + 1
    assert machine.server.seconds[-1] == SESSION_SECONDS < 29


def test_how_long_it_takes_is_what_the_latest_import_took(machine):
    box = machine.connect(days=30)
    machine.drain()
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    machine.world.backfills[TENANT, box.id][backfill.id] = replace(backfill, seconds_a_message=2.5)
    assert [one.seconds for one in preview(machine)] == [0, 0, 5, 10]


@pytest.mark.parametrize(
    ("provider", "quota", "seconds"),
    [
        # 0.8 of 6,000 units a minute is 240 messages.
        (Provider.GMAIL, [60, 100, 140, 180], [1, 2, 2, 3]),
        (Provider.OUTLOOK, [3, 5, 7, 9], [1, 1, 1, 1]),
        (Provider.IMAP, [None] * 4, [1, 1, 1, 1]),
    ],
)
def test_what_it_costs_is_told_in_what_the_provider_counts(machine, provider, quota, seconds):
    machine.connect(days=0)
    machine.drain()
    change(machine, provider=provider)
    windows = preview(machine)
    assert [one.quota for one in windows] == quota
    assert [one.seconds for one in windows] == seconds


def test_a_short_import_that_was_faster_than_the_quota_promises_nothing(machine):
    box = machine.connect(days=30)
    machine.drain()
    (backfill,) = machine.world.backfills[TENANT, box.id].values()
    machine.world.backfills[TENANT, box.id][backfill.id] = replace(backfill, seconds_a_message=0.01)
    change(machine, provider=Provider.GMAIL)
    assert preview(machine, units=25)[3].seconds == 4 * 60


def test_a_number_that_was_not_counted_to_its_end_says_so(machine, monkeypatch):
    machine.connect(days=30)
    machine.drain()
    tallies = FakeSession.tallies

    def cut_short(session, folders, instants):
        told = tallies(session, folders, instants)
        return {name: [Tally(min(1, one.messages), more=one.messages > 1) for one in of_folder]
                for name, of_folder in told.items()}  # fmt: skip

    monkeypatch.setattr(FakeSession, "tallies", cut_short)
    assert {one.more for one in preview(machine)} == {True}


def test_where_what_is_held_was_not_counted_to_its_end_nobody_says_what_is_missing(
    machine, monkeypatch
):
    machine.connect(days=30)
    machine.drain()
    change(machine, provider=Provider.GMAIL)
    tallies = FakeSession.tallies

    def cut_short(session, folders, instants):
        (one,) = (folder for folder in folders if folder.name == "INBOX")
        told = tallies(session, [one], instants)[one.id]
        most = 2
        return {one.id: [Tally(min(most, it.messages), more=it.messages > most) for it in told]}

    monkeypatch.setattr(FakeSession, "tallies", cut_short)
    windows = preview(machine)
    assert [one.messages for one in windows] == [2] * 4
    assert [one.more for one in windows] == [False, True, True, True]
    # The first two are within what was imported: of these nothing is missing.
    assert [(one.missing, one.seconds, one.quota) for one in windows] == [
        (0, 0, 0),
        (0, 0, 0),
        (None, None, None),
        (None, None, None),
    ]


def test_a_folder_that_cannot_be_opened_counts_nothing_and_none_at_all_is_an_error(machine):
    machine.connect(days=0)
    machine.drain()
    machine.server.folders["Sent"].opens = False
    assert [one.messages for one in preview(machine)] == [2, 3, 4, 6]
    machine.server.folders["INBOX"].opens = False
    with pytest.raises(PreviewFailedError) as caught:
        preview(machine)
    assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (RetryLaterError(ErrorCode.RATE_LIMITED), PreviewFailedError),
        (StoreThrottledError(), StoreThrottledError),
        (ReconnectRequiredError(ErrorCode.LOGIN_REJECTED), ReconnectRequiredError),
        (ConfigurationError(ErrorCode.IMAP_DISABLED), ConfigurationError),
    ],
)
def test_what_the_provider_refuses_is_told_and_changes_nothing(machine, failure, kind):
    machine.connect(days=0)
    machine.drain()
    before = machine.fingerprint()
    machine.server.failure = failure
    with pytest.raises(kind) as caught:
        preview(machine)
    assert caught.value.code is failure.code
    assert machine.fingerprint() == before


def test_where_no_folder_is_active_there_is_nothing_to_import(machine):
    machine.connect(days=0)
    machine.drain()
    change(machine, active_folders=())
    assert [one.messages for one in preview(machine)] == [0] * 4


@pytest.mark.parametrize(
    ("viewer", "code"),
    [
        (Viewer(TenantId("other"), UserId("ada")), ErrorCode.MAILBOX_NOT_FOUND),
        (Viewer(TENANT, UserId("bob")), ErrorCode.MAILBOX_NOT_FOUND),
    ],
)
def test_only_who_may_import_is_told(machine, viewer, code):
    machine.connect(days=0)
    with pytest.raises(RequestError) as caught:
        preview(machine, viewer)
    assert caught.value.code is code
    assert machine.server.logins == 0


@pytest.mark.parametrize(
    "status", [one for one in MailboxStatus if one is not MailboxStatus.ACTIVE]
)
def test_a_mailbox_that_imports_nothing_has_no_preview(machine, status):
    machine.connect(days=0)
    change(machine, status=status)
    with pytest.raises(ConflictError) as caught:
        preview(machine)
    assert caught.value.code is ErrorCode.WRONG_STATE
