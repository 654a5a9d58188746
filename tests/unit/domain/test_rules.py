"""Folders, permissions, visibility, status, ledger, cursor, latest error, ids."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.folders import Folder, FolderRole, is_active
from shared.domain.ids import FolderId, MailboxId, OpeningId, TenantId, UserId, new_ulid
from shared.domain.ledger import Counts, Fate, Ledger
from shared.domain.mailbox import (
    EVERYONE,
    Alias,
    LatestError,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    Readers,
    Visibility,
    may_become,
    own_addresses,
)
from shared.domain.opening import Opening
from shared.domain.permissions import (
    may_change,
    may_see,
    may_send,
    require_change,
    require_sending,
    require_sight,
)
from shared.domain.visibility import Viewer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PERSONAL = Mailbox(
    TenantId("acme"),
    MailboxId("m"),
    Provider.IMAP,
    "a@x.example",
    MailboxStatus.ACTIVE,
    MailboxKind.PERSONAL,
    Purpose.PERSONAL,
    UserId("ada"),
    NOW,
)
SHARED = replace(
    PERSONAL,
    id=MailboxId("s"),
    kind=MailboxKind.SHARED,
    visibility=Visibility.FULL,
    granted_to=Readers((UserId("bob"),)),
)
CYD = Viewer(TenantId("acme"), UserId("cyd"))
ADA = Viewer(TenantId("acme"), UserId("ada"))
BOB = Viewer(TenantId("acme"), UserId("bob"))
ADMIN = Viewer(TenantId("acme"), UserId("root"), is_admin=True)
STRANGER = Viewer(TenantId("other"), UserId("ada"), is_admin=True)


@pytest.mark.parametrize(
    ("role", "active"),
    [
        (role, role in {FolderRole.INBOX, FolderRole.SENT, FolderRole.ARCHIVE, FolderRole.OTHER})
        for role in FolderRole
    ],
)
def test_trash_spam_drafts_and_views_are_off_until_chosen(role, active):
    folder = Folder(FolderId("f"), "F", role)
    assert is_active(folder, None) is active
    assert is_active(folder, (FolderId("f"),))
    assert not is_active(folder, ())
    assert not is_active(replace(folder, selectable=False), (FolderId("f"),))


@pytest.mark.parametrize(
    ("viewer", "mailbox", "sees", "changes", "sends"),
    [
        (ADA, PERSONAL, True, True, True),
        (BOB, PERSONAL, False, False, False),
        (ADMIN, PERSONAL, True, True, False),
        (STRANGER, PERSONAL, False, False, False),
        (ADA, SHARED, True, False, True),
        (BOB, SHARED, True, False, True),
        (CYD, SHARED, False, False, False),
        (CYD, replace(SHARED, granted_to=EVERYONE), True, False, True),
        (ADMIN, SHARED, True, True, False),
        (STRANGER, SHARED, False, False, False),
        (replace(STRANGER, user_id=BOB.user_id), replace(SHARED, granted_to=EVERYONE), False, False, False),
    ],
)  # fmt: skip
def test_who_may_see_and_change_settings_and_send(viewer, mailbox, sees, changes, sends):
    assert may_see(viewer, mailbox) is sees
    assert may_change(viewer, mailbox) is changes
    assert may_send(viewer, mailbox) is sends


def test_an_administrator_who_opened_a_mailbox_sends_nothing_from_it():
    opening = Opening(OpeningId("o"), ADMIN.user_id, "Ticket 4711", NOW, NOW + timedelta(hours=1))
    opened = replace(PERSONAL, openings=(opening,))
    with pytest.raises(RequestError) as refused:
        require_sending(replace(ADMIN, asks_at=NOW), opened)
    assert refused.value.code is ErrorCode.OWNER_REQUIRED


def test_an_alias_is_an_own_address_once_it_was_verified():
    aliases = (Alias("Info@Acme.example", "Acme", NOW), Alias("ceo@rival.example"))
    own = own_addresses(replace(PERSONAL, aliases=aliases))
    assert own - own_addresses(PERSONAL) == {"info@acme.example"}


def test_what_one_may_not_know_of_is_not_found():
    for ask in (require_change, require_sight, require_sending):
        for mailbox in (None, PERSONAL):
            with pytest.raises(RequestError) as refused:
                ask(STRANGER, mailbox)
            assert refused.value.code is ErrorCode.MAILBOX_NOT_FOUND
    with pytest.raises(RequestError) as refused:
        require_change(BOB, SHARED)
    assert refused.value.code is ErrorCode.ADMIN_REQUIRED


def test_status_changes_only_along_its_life():
    assert may_become(MailboxStatus.ACTIVE, MailboxStatus.RECONNECT_REQUIRED)
    assert not may_become(MailboxStatus.DISCONNECTED, MailboxStatus.RECONNECT_REQUIRED)
    assert not may_become(MailboxStatus.ACTIVE, MailboxStatus.CONNECTING)


def test_a_ledger_balances_when_every_listed_id_has_a_fate():
    ledger = Ledger()
    ledger.add(["a", "b", "c", "d"])
    ledger.settle("a", Fate.STORED)
    ledger.settle("b", Fate.SKIPPED, "blocked")
    ledger.settle("b", Fate.STORED)
    assert not ledger.counts().balances
    assert ledger.unsettled == ("c", "d")
    ledger.settle("c", Fate.GONE)
    ledger.forget("d")
    counts = ledger.counts()
    assert counts.balances
    assert (counts.listed, counts.stored, counts.skipped, counts.gone) == (3, 1, {"blocked": 1}, 1)
    assert ledger.entries() == {"stored": ("a",), "skipped:blocked": ("b",), "gone": ("c",)}


def test_an_id_that_was_never_listed_has_no_fate():
    with pytest.raises(KeyError):
        Ledger().settle("x", Fate.STORED)


def test_counts_add_up():
    total = Counts(listed=2, stored=1, skipped={"a": 1}) + Counts(
        listed=2, unreadable=1, skipped={"a": 1}
    )
    assert total == Counts(listed=4, stored=1, unreadable=1, skipped={"a": 2})
    assert total.balances


def test_a_cursor_survives_being_stored():
    cursor = Cursor("imap", 1, '{"a": "b:c"}')
    assert Cursor.decode(cursor.encode()) == cursor
    with pytest.raises(ValueError, match=r"not enough|invalid"):
        Cursor.decode("nonsense")


def test_the_same_error_again_is_counted_and_another_starts_anew():
    first = LatestError(ErrorCode.LOGIN_REJECTED, NOW, NOW, 1)
    later = NOW + timedelta(hours=1)
    again = first.again(ErrorCode.LOGIN_REJECTED, now=later, run_id=None, next_retry_at=None)
    assert (again.first_seen_at, again.last_seen_at, again.count) == (NOW, later, 2)
    other = first.again(ErrorCode.RATE_LIMITED, now=later, run_id=None, next_retry_at=None)
    assert (other.first_seen_at, other.count) == (later, 1)


def test_ulids_are_ordered_by_time_and_differ():
    early, late = new_ulid(NOW), new_ulid(NOW + timedelta(milliseconds=1))
    assert early < late
    assert len(early) == 26
    assert len({new_ulid(NOW) for _ in range(1000)}) == 1000
