"""Which changes are told to the outside, as which events, and what these say.

An event follows from what an item was before and is after one write, and from nothing else: told
again, it is the same. It holds ids, codes, instants, counts; never an address, a subject or a name.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.domain.backfill import OPEN, Backfill
from shared.domain.explanations import explain
from shared.domain.identity import thread_of
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Direction, LatestError, MailboxStatus
from shared.domain.message import Copy, News
from shared.domain.sending import ENDED, Send, SendStatus

SCHEMA = 1
"""Raised when what an event says is no longer what its readers were promised."""


class EventType(StrEnum):
    """Every event there is, by the name under which rules match it."""

    MAILBOX_CONNECTED = "mailbox.connected"
    MAILBOX_DISCONNECTED = "mailbox.disconnected"
    MAILBOX_FAILING = "mailbox.failing"
    MAILBOX_RECOVERED = "mailbox.recovered"
    MAILBOX_RECONNECT_REQUIRED = "mailbox.reconnect_required"
    MESSAGE_RECEIVED = "message.received"
    MESSAGE_SENT = "message.sent"
    MESSAGE_CHANGED = "message.changed"
    BACKFILL_FINISHED = "backfill.finished"
    SEND_ENDED = "send.ended"


@dataclass(frozen=True, slots=True)
class Health:
    """What of a mailbox is told: whether it is connected, and its troubles."""

    status: MailboxStatus
    generation: int
    inbound_error: LatestError | None = None
    outbound_error: LatestError | None = None


State = Health | Copy | Backfill | Send


@dataclass(frozen=True, slots=True)
class Change:
    """What one write made of one thing."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    before: State | None
    after: State
    version: str
    """A whole number, as text; of two changes of one thing the later one has the larger."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """What is told of a change."""

    type: EventType
    at: datetime
    detail: Mapping[str, Any]


def events_of(change: Change) -> list[Event]:
    """Return what is told of a change: nothing of most."""
    match change:
        case Change(before=Health() | None as before, after=Health() as after):
            told = _of_mailbox(before, after)
        case Change(before=Copy() | None as before, after=Copy() as after):
            told = _of_copy(before, after)
        case Change(before=Backfill() | None as before, after=Backfill() as after):
            told = _of_backfill(before, after)
        case Change(before=Send() | None as before, after=Send() as after):
            told = _of_send(before, after)
        case _:
            raise ValueError("a thing does not become another")
    return [_event(change, event_type, facts) for event_type, facts in told]


Told = Iterator[tuple[EventType, dict[str, Any]]]


def _event(change: Change, event_type: EventType, facts: dict[str, Any]) -> Event:
    thing = next((facts[name] for name in _THINGS if name in facts), "")
    parts = (change.tenant_id, change.mailbox_id, event_type, thing, change.version)
    key = hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=16)
    detail = {
        "schema": SCHEMA,
        "key": key.hexdigest(),
        "version": change.version,
        "at": change.at.isoformat(),
        "tenant_id": change.tenant_id,
        "mailbox_id": change.mailbox_id,
        **facts,
    }
    return Event(event_type, change.at, detail)


_THINGS = ("provider_message_id", "backfill_id", "send_id", "direction")
"""What an event is about, if that is not its mailbox as a whole."""


def _of_mailbox(before: Health | None, after: Health) -> Told:
    if before is None or (before.status, before.generation) != (after.status, after.generation):
        yield from _of_life(before, after)
        return
    troubles = (
        (Direction.INBOUND, before.inbound_error, after.inbound_error),
        (Direction.OUTBOUND, before.outbound_error, after.outbound_error),
    )
    for direction, earlier, later in troubles:
        if later is not None and (earlier is None or earlier.code is not later.code):
            facts = {"direction": direction, **_trouble(later)}
            yield EventType.MAILBOX_FAILING, facts | {"next_retry_at": _time(later.next_retry_at)}
        if later is None and earlier is not None:
            yield EventType.MAILBOX_RECOVERED, {"direction": direction, **_trouble(earlier)}


def _of_life(before: Health | None, after: Health) -> Told:
    lives = {"generation": after.generation}
    match after.status:
        case MailboxStatus.ACTIVE:
            again = before is not None and before.status is not MailboxStatus.CONNECTING
            yield EventType.MAILBOX_CONNECTED, lives | {"reconnected": again}
        case MailboxStatus.DISCONNECTED:
            yield EventType.MAILBOX_DISCONNECTED, lives
        case MailboxStatus.RECONNECT_REQUIRED if after.inbound_error is not None:
            yield EventType.MAILBOX_RECONNECT_REQUIRED, lives | _trouble(after.inbound_error)


def _trouble(error: LatestError) -> dict[str, Any]:
    return {
        "code": error.code,
        "acts": explain(error.code).acts,
        "first_seen_at": error.first_seen_at.isoformat(),
    }


def _of_copy(before: Copy | None, after: Copy) -> Told:
    if after.flags.draft:
        # What its writer has yet to finish is nobody's news.
        return
    facts = {
        "message_id": after.message_id,
        "thread_id": thread_of(after.message_id),
        "provider_message_id": after.provider_message_id,
        "direction": after.direction,
        "received_at": after.received_at.isoformat(),
    }
    is_new = before is None or before.flags.draft
    if is_new and after.news is News.NEW and after.removed_at is None:
        is_ours = after.direction is Direction.OUTBOUND
        yield EventType.MESSAGE_SENT if is_ours else EventType.MESSAGE_RECEIVED, facts
    elif changes := _changes(before, after):
        yield (
            EventType.MESSAGE_CHANGED,
            {
                **facts,
                "changes": changes,
                "seen": after.flags.seen,
                "flagged": after.flags.flagged,
                "answered": after.flags.answered,
                "folder_ids": sorted(after.folder_ids),
                "removed": after.removed_at is not None,
            },
        )


def _changes(before: Copy | None, after: Copy) -> list[str]:
    """Return what of a copy is told as changed, by name."""
    if before is None:
        return ["added"] if after.news is News.AGAIN and after.removed_at is None else []
    if after.removed_at is not None:
        is_told = before.removed_at is None and after.news is not News.SILENT
        return ["removed"] if is_told else []
    was, now = before.flags, after.flags
    differs = {
        # What went without a word comes back without one.
        "restored": before.removed_at is not None and before.news is not News.SILENT,
        "seen": was.seen != now.seen,
        "flagged": was.flagged != now.flagged,
        "answered": was.answered != now.answered,
        "folders": before.folder_ids != after.folder_ids,
    }
    return [name for name, is_so in differs.items() if is_so]


def _of_backfill(before: Backfill | None, after: Backfill) -> Told:
    if after.state in OPEN or (before is not None and before.state is after.state):
        return
    counts = after.counts
    yield (
        EventType.BACKFILL_FINISHED,
        {
            "backfill_id": after.id,
            "kind": after.kind,
            "outcome": after.state,
            "code": after.code,
            "counts": {
                "listed": counts.listed,
                "stored": counts.stored,
                "already_stored": counts.already_stored,
                "skipped": sum(counts.skipped.values()),
                "unreadable": counts.unreadable,
                "gone": counts.gone,
                "failed": counts.failed,
            },
        },
    )


def _of_send(before: Send | None, after: Send) -> Told:
    if after.status not in ENDED | {SendStatus.UNKNOWN}:
        return
    if before is not None and before.status is after.status:
        return
    fates = Counter(one.status for one in after.recipients)
    yield (
        EventType.SEND_ENDED,
        {
            "send_id": after.id,
            "kind": after.kind,
            "outcome": after.status,
            "code": after.code,
            "recipients": {str(fate): fates[fate] for fate in sorted(fates)},
        },
    )


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
