"""Which mailboxes are asked to sync in a given minute, and how much of it one invocation does.

Of those due in a minute, each once a day, some are to be audited too: their syncs are sent first.

One invocation takes a bounded number of mailboxes. What a slot holds beyond, and the slots it has
not come to, it hands on before it sends: a million mailboxes make a tree of invocations, and a few
thousand never make a second one. What could not be read or sent, refused or too late, is handed on
as well, as long as something was sent: so every hand-over leaves less to do, and they come to an
end.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.errors import RetryLaterError
from shared.domain.run import RunReason
from shared.domain.schedule import SlotRange, is_audit_minute, slots_at
from shared.ports.queues import AuditRequest, SyncRequest, TickRelay, WorkQueues
from shared.ports.stores import MailboxStore

MOST_MAILBOXES = 5_000
"""What one invocation reads: about a page of the index, and five seconds of sending."""
PIECE = 500
"""Sent together, and handed on together when it was not."""
MARGIN_SECONDS = 15.0
"""What a piece may take when the queue is slow, and what handing on takes."""


def schedule_sync(
    *,
    at: datetime,
    mailboxes: MailboxStore,
    queues: WorkQueues,
    relay: TickRelay,
    remaining_seconds: Callable[[], float],
    ranges: Sequence[SlotRange] | None = None,
    most: int = MOST_MAILBOXES,
) -> int:
    """Queue a run for every mailbox due in the minute of `at`, or in `ranges`; return how many.

    Ticks may come twice, late or never: a run too many finds nothing, one too few is made up by the
    next; an audit that is lost costs its mailbox a day. Raises `RetryLaterError` for what could be
    neither queued nor handed on; doing all of it again is harmless.
    """
    mine = list(ranges) if ranges is not None else [SlotRange(slot) for slot in slots_at(at)]
    share = _Share(at, most)
    share.take(mine, mailboxes)
    for others in share.for_others:
        try:
            relay.hand_on(at, others)
        except RetryLaterError as error:
            share.lost = error
    queued = share.send(queues, remaining_seconds)
    if share.left and queued:
        relay.hand_on(at, share.left)
    elif share.refusal is not None:
        share.lost = share.refusal
    if share.lost is not None:
        raise share.lost
    return queued


@dataclass(slots=True)
class _Share:
    """What one invocation does of a tick."""

    at: datetime
    most: int
    pieces: list[tuple[SlotRange, list[SyncRequest], list[AuditRequest]]] = field(
        default_factory=list
    )
    for_others: list[list[SlotRange]] = field(default_factory=list)
    """An invocation for each."""
    left: list[SlotRange] = field(default_factory=list)
    """What was this invocation's and is not done."""
    refusal: RetryLaterError | None = None
    lost: RetryLaterError | None = None
    read: int = 0

    def take(self, ranges: Sequence[SlotRange], mailboxes: MailboxStore) -> None:
        """Read as much as one invocation may; the rest is for others."""
        for number, whole in enumerate(ranges):
            try:
                rest = self._take_one(whole, mailboxes)
            except RetryLaterError as error:
                # One slot that cannot be read holds up no other.
                self.left.append(whole)
                self.refusal = error
                continue
            if rest is not None:
                further = [[rest], list(ranges[number + 1 :])]
                self.for_others = [others for others in further if others]
                return

    def _take_one(self, whole: SlotRange, mailboxes: MailboxStore) -> SlotRange | None:
        start, requests, audits = whole.start, list[SyncRequest](), list[AuditRequest]()
        for due in mailboxes.due(whole.slot, start=whole.start, end=whole.end):
            is_full = self.read == self.most
            if is_full or len(requests) == PIECE:
                self._add(SlotRange(whole.slot, start, due.mailbox_id), requests, audits)
                start, requests, audits = due.mailbox_id, [], []
            if is_full:
                return SlotRange(whole.slot, start, whole.end)
            self.read += 1
            if due.not_before is None or due.not_before <= self.at:
                requests.append(SyncRequest(due.tenant_id, due.mailbox_id, RunReason.SCHEDULE))
            # Also of one that rests: a quiet mailbox may rest in this very minute every day.
            if is_audit_minute(due.mailbox_id, self.at):
                audits.append(AuditRequest(due.tenant_id, due.mailbox_id, self.at))
        self._add(SlotRange(whole.slot, start, whole.end), requests, audits)
        return None

    def _add(
        self, where: SlotRange, requests: list[SyncRequest], audits: list[AuditRequest]
    ) -> None:
        if requests or audits:
            self.pieces.append((where, requests, audits))

    def send(self, queues: WorkQueues, remaining_seconds: Callable[[], float]) -> int:
        """Send piece by piece while there is time; what is refused holds up no other piece."""
        queued = 0
        for number, (where, requests, audits) in enumerate(self.pieces):
            if number and remaining_seconds() < MARGIN_SECONDS:
                self.left.append(where)
                continue
            try:
                if requests:
                    queues.send_syncs(requests)
            except RetryLaterError as error:
                self.left.append(where)
                self.refusal = error
                continue
            queued += len(requests)
            try:
                if audits:
                    queues.send_audits(audits)
            except RetryLaterError as error:
                # Not handed on: its syncs would be sent with every hand-over.
                self.lost = error
        return queued
