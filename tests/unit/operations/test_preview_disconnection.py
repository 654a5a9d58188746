"""What disconnecting a mailbox would do to its mails, and to whom."""

from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.ids import TenantId, UserId
from shared.domain.sending import Recipient, RecipientStatus, SendKind, SendStatus, left_behind
from shared.domain.visibility import Viewer
from shared.operations import disconnect_mailbox as operation
from shared.operations.disconnect_mailbox import preview_disconnection
from tests.fakes.clock import FixedClock
from tests.fakes.mail import add_mailbox
from tests.fakes.sends import InMemorySendStore
from tests.fakes.stores import InMemoryBackfillStore, InMemoryMailboxStore, World
from tests.fakes.values import a_send

ANN = Viewer(TenantId("acme"), UserId("ann"))
NOW = FixedClock().now()
DAY = timedelta(days=1)


class Box:
    def __init__(self) -> None:
        self.world = World()
        self.mailbox = add_mailbox(self.world, "BOX", owner="ann")
        self.number = 0

    def has(self, status, *, user="ann", ago=timedelta(), **changes):
        """Put a mail asked for so long ago, in order of asking."""
        self.number += 1
        send = a_send(
            f"{self.number:04}", mailbox_id=self.mailbox.id, tenant_id=self.mailbox.tenant_id,
            generation=self.mailbox.generation, user_id=UserId(user), status=status,
            created_at=NOW - ago, due_at=NOW - ago, **changes,
        )  # fmt: skip
        self.world.sends.setdefault((send.tenant_id, send.mailbox_id), {})[send.id] = send
        return send

    def preview(self):
        return preview_disconnection(
            ANN,
            self.mailbox.id,
            mailboxes=InMemoryMailboxStore(self.world),
            backfills=InMemoryBackfillStore(self.world),
            sends=InMemorySendStore(self.world),
            clock=FixedClock(),
        )


@pytest.fixture
def box():
    return Box()


def test_a_mailbox_nobody_sent_from(box):
    found = box.preview()
    assert (found.queued_sends, found.sent_lately_by, found.more_sends) == (0, (), False)


@pytest.mark.parametrize(
    ("status", "changes", "counts"),
    [
        (SendStatus.QUEUED, {}, 1),
        (SendStatus.QUEUED, {"next_try_at": NOW + DAY, "code": ErrorCode.RATE_LIMITED}, 1),
        (SendStatus.SENDING, {"attempt_ends_at": NOW + DAY}, 1),
        (SendStatus.UNKNOWN, {"next_try_at": NOW + DAY}, 1),
        (SendStatus.UNKNOWN, {}, 0),
        (SendStatus.SENT, {}, 0),
        (SendStatus.FAILED, {}, 0),
        (SendStatus.CANCELLED, {"draft": "d", "next_try_at": NOW}, 0),
    ],
)
def test_mails_count_that_somebody_still_has_to_see_to(box, status, changes, counts):
    box.has(status, **changes)
    assert box.preview().queued_sends == counts


def test_what_a_disconnect_left_behind_waits_for_nobody(box):
    gone = (Recipient("ada@example.org", RecipientStatus.UNKNOWN),)
    send = box.has(SendStatus.SENDING, attempt_ends_at=NOW, handed_over_at=NOW, recipients=gone)
    box.world.sends[send.tenant_id, send.mailbox_id][send.id] = left_behind(send, now=NOW)
    assert box.preview().queued_sends == 0


def test_who_sent_in_thirty_days_is_named_once_who_did_so_last_first(box):
    box.has(SendStatus.SENT, user="old", ago=31 * DAY)
    box.has(SendStatus.SENT, user="bob", ago=30 * DAY)
    box.has(SendStatus.SENT, user="cyd", ago=3 * DAY)
    # Asked for long ago, for a time that is only just over.
    box.has(SendStatus.SENT, user="dan", ago=60 * DAY, accepted_at=NOW - DAY)
    box.has(SendStatus.SENT, user="cyd", ago=2 * DAY)
    assert box.preview().sent_lately_by == ("dan", "cyd", "bob")


@pytest.mark.parametrize("status", sorted(set(SendStatus) - {SendStatus.SENT}))
def test_who_sent_nothing_is_not_named(box, status):
    box.has(status)
    box.has(SendStatus.SENT, kind=SendKind.TEST)
    assert box.preview().sent_lately_by == ()


def test_it_says_where_it_has_not_looked_at_all_mails(box, monkeypatch):
    monkeypatch.setattr(operation, "MOST_LOOKED_AT", 3)
    box.has(SendStatus.SENT, user="bob")
    for _ in range(2):
        box.has(SendStatus.QUEUED)
    found = box.preview()
    assert (found.queued_sends, found.sent_lately_by, found.more_sends) == (2, ("bob",), False)
    box.has(SendStatus.QUEUED)
    found = box.preview()
    assert (found.queued_sends, found.sent_lately_by, found.more_sends) == (3, (), True)
