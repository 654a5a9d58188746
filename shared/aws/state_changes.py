"""What each event in a mailbox's life sets and drops in its state item."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.expressions.update import Action

from shared.aws.instants import seconds
from shared.aws.mailbox_items import error_document, watch_document
from shared.aws.tables import StateItem, escape
from shared.domain.ids import MailboxId
from shared.domain.loops import Worked
from shared.domain.mailbox import LatestError, MailboxStatus, Watch
from shared.ports.stores import SyncOutcome

MOST_STRIKES = 250
"""Messages with a strike against them that a mailbox or chunk remembers; bounds the item.

As many as a careful run or a chunk may meet: one forgotten kills again, and were each to push out
another, the mailbox would never get past them.
"""

_LEASE: list[Attribute[Any]] = [
    StateItem.lease_owner,
    StateItem.lease_expires_at,
    StateItem.suspect,
    StateItem.suspect_fence,
]
_NEXT_LIFE: list[Action] = [
    StateItem.generation.set(StateItem.generation + 1),
    StateItem.fence.set(StateItem.fence + 1),
    *(attribute.remove() for attribute in _LEASE),
    StateItem.strikes.remove(),
    StateItem.not_before.remove(),
    StateItem.of_note.set(value=True),
]


def disconnected() -> list[Action]:
    """Every worker is locked out, nothing is scheduled or waited for, and no trouble is left."""
    return [
        *_NEXT_LIFE,
        StateItem.status.set(MailboxStatus.DISCONNECTED),
        StateItem.first_generation.set(StateItem.generation + 1),
        StateItem.inbound_error.remove(),
        StateItem.outbound_error.remove(),
        StateItem.due_slot.remove(),
        StateItem.due_key.remove(),
        StateItem.waited_for.remove(),
    ]


def reconnected(mailbox_id: MailboxId, due_slot: str) -> list[Action]:
    """Every worker of the life before is locked out; scheduled, with no failure on record."""
    return [
        *_NEXT_LIFE,
        StateItem.status.set(MailboxStatus.ACTIVE),
        StateItem.failures.set(0),
        StateItem.inbound_error.remove(),
        StateItem.outbound_error.remove(),
        StateItem.history_again.set(True),
        # Its watch was another sign-in's: what nothing is heard of is made anew.
        StateItem.watch_at.remove(),
        StateItem.heard_at.remove(),
        *_scheduled(mailbox_id, due_slot),
    ]


def leased(owner: str, now: datetime, seconds: int) -> list[Action]:
    """One more in the fence, held until its time is over."""
    return [
        StateItem.fence.set(StateItem.fence + 1),
        StateItem.lease_owner.set(owner),
        StateItem.lease_expires_at.set(now + timedelta(seconds=seconds)),
    ]


def suspected(fence: int | None, suspect: str | None, strikes: dict[str, int]) -> list[Action]:
    """Who is being read, under which lease."""
    return [
        set_or_remove(StateItem.suspect, suspect),
        set_or_remove(StateItem.suspect_fence, fence),
        set_or_remove(StateItem.strikes, strikes or None),
    ]


def found_nothing(
    now: datetime,
    not_before: datetime | None,
    contacts_to: datetime | None,
    worked: Worked,
    *,
    due_slot: str | None,
    told: bool,
) -> list[Action]:
    """The time, a rest, and no trouble any more; another slot, where it is another."""
    return [
        *_worked(worked),
        *_looked_after(contacts_to),
        *([StateItem.due_slot.set(due_slot)] if due_slot else []),
        *(_told(now) if told else []),
        StateItem.last_synced_at.set(now),
        StateItem.failures.set(0),
        set_or_remove(StateItem.not_before, not_before),
        StateItem.inbound_error.remove(),
        StateItem.of_note.remove(),
    ]


def ended(mailbox_id: MailboxId, outcome: SyncOutcome) -> list[Action]:
    """The lease is given back; a run that ended well strikes off what it survived."""
    actions = [*failed(mailbox_id, outcome), *(attribute.remove() for attribute in _LEASE)]
    actions += _looked_after(outcome.contacts_to)
    if outcome.history is not None:
        actions.append(StateItem.history_id.set(outcome.history.id))
    if not outcome.failures:
        actions += [StateItem.last_synced_at.set(outcome.now), StateItem.strikes.remove()]
    return actions


def failed(mailbox_id: MailboxId, outcome: SyncOutcome) -> list[Action]:
    """What every outcome writes; of whoever held the lease nothing is touched."""
    actions = [
        StateItem.failures.set(outcome.failures),
        set_or_remove(StateItem.not_before, outcome.not_before),
        set_or_remove(StateItem.inbound_error, error_document(outcome.inbound_error)),
        StateItem.of_note.remove(),
        *_scheduled(mailbox_id, outcome.due_slot),
    ]
    if outcome.worked is not None:
        actions += _worked(outcome.worked)
    if outcome.has_news:
        actions.append(StateItem.last_news_at.set(outcome.now))
    if outcome.told is not None:
        actions += _told(outcome.now) if outcome.told else _silent(outcome.now)
    if outcome.status is not None:
        actions.append(StateItem.status.set(outcome.status))
    if outcome.run is not None:
        # Takes out this run's id and no other: one asked for meanwhile still waits.
        actions.append(StateItem.waited_for.delete({outcome.run.id}))
    return actions


def watch_claimed(again_at: datetime) -> list[Action]:
    """Whoever writes this may ask the provider; who dies of it leaves it to a later run."""
    return [StateItem.watch_at.set(seconds(again_at))]


def watched(watch: Watch, renew_at: datetime, *, is_new: bool) -> list[Action]:
    """The watch that stands; of a new one nothing was heard yet."""
    return [
        StateItem.watch.set(watch_document(watch)),
        StateItem.watch_at.set(seconds(renew_at)),
        *([StateItem.heard_at.remove()] if is_new else []),
    ]


def unwatched() -> list[Action]:
    """Nothing is told any more."""
    return [
        StateItem.watch.remove(),
        StateItem.watch_at.remove(),
        StateItem.heard_at.remove(),
    ]


def watch_ended(now: datetime) -> list[Action]:
    """It is to be renewed at once."""
    return [StateItem.watch_at.set(seconds(now))]


def outbound(error: LatestError | None) -> list[Action]:
    """The trouble with what goes out, or none: a poll goes by it and must not look like it."""
    return [
        set_or_remove(StateItem.outbound_error, error_document(error)),
        StateItem.of_note.set(value=True),
    ]


def set_or_remove(attribute: Attribute[Any], value: object) -> Action:
    """Return the action after which the attribute is `value`, or absent for None."""
    return attribute.remove() if value is None else attribute.set(value)


def strike(
    strikes: Mapping[str, int], *, survivor: str | None, suspect: str | None
) -> tuple[int, dict[str, int]]:
    """Take back the strike of a message that survived its reading and note the next one's.

    Return how often `suspect` was noted before, and the strikes to keep. Taken back by one and not
    struck off, so that a message given up in this run stays given up in the next.
    """
    kept = dict(strikes)
    if survivor is not None and survivor != suspect and survivor in kept:
        kept[survivor] -= 1
        if not kept[survivor]:
            del kept[survivor]
    if suspect is None:
        return 0, kept
    before = kept.pop(suspect, 0)
    kept[suspect] = before + 1
    return before, dict(list(kept.items())[-MOST_STRIKES:])


def _worked(worked: Worked) -> list[Action]:
    return [StateItem.work_hour.set(worked.hour), StateItem.work_times.set(worked.times)]


def _looked_after(contacts_to: datetime | None) -> list[Action]:
    if contacts_to is None:
        return []
    return [StateItem.contacts_to.set(contacts_to), StateItem.history_again.remove()]


def _told(now: datetime) -> list[Action]:
    return [StateItem.heard_at.set(seconds(now))]


def _silent(now: datetime) -> list[Action]:
    return [StateItem.heard_at.remove(), StateItem.watch_at.set(seconds(now))]


def _scheduled(mailbox_id: MailboxId, due_slot: str | None) -> list[Action]:
    return [
        set_or_remove(StateItem.due_slot, due_slot),
        set_or_remove(StateItem.due_key, escape(mailbox_id) if due_slot else None),
    ]
