"""What a preview promises: the numbers of the import that follows, from few requests, and no trace."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import (
    ConfigurationError,
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    PreviewFailedError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.ids import TenantId, UserId
from shared.domain.mailbox import MailboxStatus, Provider, StoredMail
from shared.domain.policy import TenantPolicy
from shared.domain.visibility import Viewer
from shared.mime.parse import MimeParser
from shared.operations.preview_backfill import SESSION_SECONDS, preview_backfill
from shared.operations.start_backfill import start_backfill
from shared.ports.provider import Tally
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.fakes.values import a_contact
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
        contacts=machine.contacts,
        policies=machine.policies,
        grants=machine.grants,
        provider_of=lambda _provider: machine.server,
        parser=MimeParser(),
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


def test_a_preview_leaves_no_trace_and_fetches_nothing_but_headers(machine):
    machine.connect(days=30)
    machine.drain()
    before, fetched = machine.killer.count, machine.server.fetched[:]
    logins = machine.server.logins
    preview(machine)
    assert (machine.killer.count, machine.server.fetched) == (before, fetched)
    assert len(machine.server.judged) == len(set(machine.server.judged)) == 9
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


# ---- how many match contacts ----


def matches(machine, **rest):
    return [(one.matching, one.looked_at) for one in preview(machine, **rest)]


@pytest.fixture
def quiet(machine):
    """Kim's mail of several ages, of which nothing is stored; Kim is nobody's contact."""
    machine.connect(days=0)
    machine.drain()
    return machine


def know(machine, *addresses):
    contact = a_contact("crm-1", *addresses, tenant_id=TENANT)
    machine.contacts.put_contact(contact, expected_version=None)


def from_eve(machine, *ages, extra="", sender="eve@customer.example", folder="INBOX"):
    for number, days in enumerate(ages, 500):
        at = NOW - timedelta(days=days)
        raw = mail(number, at, sender=sender, extra=extra)
        machine.server.deliver(folder, raw, at)
    # Later than the position sync has reached nothing is listed.
    machine.clock.advance(minutes=5)
    machine.tick(6)


def test_without_contacts_nothing_matches_and_that_is_known(quiet):
    assert matches(quiet) == [(0, 3), (0, 5), (0, 7), (0, 9)]


def test_few_messages_are_all_judged_by_who_takes_part(quiet):
    from_eve(quiet, 2, 20, 20, 100)
    know(quiet, "eve@customer.example")
    assert matches(quiet) == [(1, 4), (3, 8), (3, 10), (4, 13)]


def test_a_header_costs_what_a_message_costs_and_a_match_costs_both(quiet):
    from_eve(quiet, 2, 20, 20.5, 250)
    change(quiet, provider=Provider.GMAIL, store=StoredMail.CONTACTS_ONLY)
    know(quiet, "eve@customer.example")
    windows = preview(quiet)
    assert [(one.missing, one.matching) for one in windows] == [(4, 1), (8, 3), (10, 3), (13, 4)]
    assert [one.quota for one in windows] == [100, 220, 260, 340]
    assert [one.seconds for one in preview(quiet, units=1_500)] == [5, 11, 13, 17]


def test_what_the_policy_keeps_out_matches_nobody(quiet):
    from_eve(quiet, 2)
    know(quiet, "eve@customer.example", "kim@customer.example")
    assert matches(quiet)[3] == (10, 10)
    policy = TenantPolicy(blocklist=("eve@customer.example",))
    quiet.policies.put_policy(TENANT, policy, expected_version=None)
    assert matches(quiet)[3] == (9, 10)


def test_the_mailboxes_own_address_matches_nobody(quiet):
    know(quiet, "ada@acme.example")
    assert matches(quiet)[3] == (0, 9)


def test_of_many_messages_a_few_are_looked_at_and_stand_for_all(quiet):
    """A third of a thousand is Eve's, in the third stretch alone."""
    at = [NOW - timedelta(days=31 + number * 58 / 999) for number in range(999)]
    for number, when in enumerate(at):
        sender = "eve@customer.example" if number % 3 else "kim@customer.example"
        quiet.server.deliver("INBOX", mail(1_000 + number, when, sender=sender), when)
    for folder in quiet.world.folders.values():
        folder.clear()
    know(quiet, "eve@customer.example")
    quiet.server.judged.clear()
    week, month, quarter, year = preview(quiet)
    assert [(one.matching, one.looked_at) for one in (week, month)] == [(0, 3), (0, 5)]
    assert quarter.looked_at < 200 < quarter.messages == 1_006
    assert 590 <= quarter.matching <= 740
    assert (year.matching, year.looked_at) == (quarter.matching, quarter.looked_at + 2)
    assert len(quiet.server.judged) <= 200
    assert preview(quiet)[2] == quarter


def test_a_provider_that_counts_units_is_asked_for_a_part_of_a_minute_alone(quiet):
    know(quiet, "kim@customer.example")
    change(quiet, provider=Provider.GMAIL)
    # A fifth of 500 units is five messages.
    assert matches(quiet, units=500)[3] == (9, 5)


def test_messages_that_are_gone_or_cannot_be_read_say_nothing(quiet):
    from_eve(quiet, 2)
    know(quiet, "eve@customer.example", "kim@customer.example")
    quiet.server.unreadable |= quiet.server.ids("Sent")
    week, *_, year = matches(quiet)
    assert week == (4, 3)
    assert year == (10, 8)


@pytest.mark.parametrize("name", ["list_window", "fetch_headers"])
@pytest.mark.parametrize(
    "error",
    [
        RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT),
        RetryLaterError(ErrorCode.RATE_LIMITED),
        CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED),
    ],
)
def test_a_provider_that_cannot_be_asked_takes_nothing_else_away(quiet, monkeypatch, name, error):
    def fails(*_args, **_rest):
        raise error

    before = preview(quiet)
    monkeypatch.setattr(FakeSession, name, fails)
    told = preview(quiet)
    assert [(one.matching, one.looked_at) for one in told] == [(None, 0)] * 4
    assert [one.missing for one in told] == [one.missing for one in before]


def test_addresses_of_all_messages_are_looked_up_together(quiet, monkeypatch):
    asked = []
    ask = type(quiet.contacts.inner).contacts_by_address
    monkeypatch.setattr(
        type(quiet.contacts.inner),
        "contacts_by_address",
        lambda *args, **rest: asked.append(args) or ask(*args, **rest),
    )
    preview(quiet)
    assert len(asked) == 1
