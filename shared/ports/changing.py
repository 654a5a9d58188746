"""How what people do with mail here is done at its provider, and what is kept of it until then.

A provider never touches a store or a clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.change import Change, ChangeOutcome, Wanted
from shared.domain.ids import MailboxId, ProviderMessageId, TenantId
from shared.domain.mailbox import Mailbox
from shared.domain.message import Copy
from shared.ports.provider import Grant
from shared.ports.queues import ChangesRequest


class ChangeSession(Protocol):
    """An open session with one mailbox that can change its mail. Not thread-safe."""

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        """Make changes, no two of one message; yield each id once with what became of it.

        In any order, each as soon as it is known. Repeating a change is harmless, also after a
        session that died anywhere: what is so already is done. Flags are set before a message is
        moved, and nothing else of it is touched: other flags and other people's mail stay as they
        are, and nothing is ever deleted.

        After a move the message is in `move_to` and no longer where it was. With labels it leaves
        the inbox, trash and spam for it; labels that people gave stay. It is done where it is there
        already.

        Raises `ReconnectRequiredError`, `ConfigurationError` and `RetryLaterError` for what stands
        in the way of all that was not yielded before. What stands in the way of one message, or of
        one folder, is its outcome.
        """
        ...


class MailChanger(Protocol):
    """Opens sessions that can change mail."""

    def open(
        self, grant: Grant, *, seconds: float | None = None
    ) -> AbstractContextManager[ChangeSession]:
        """Begin; logs in where it first must. Lasts `seconds` at most, as `MailProvider.open`."""
        ...


@dataclass(frozen=True, slots=True)
class ChangesTurn:
    """The right of one worker to a mailbox's pending changes, for a stated time."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    fence: int
    wishes: int
    """How many there had been when this turn began, or last looked."""
    first_generation: int = 0
    """Of the mailbox since it was last disconnected: what was wished for in an earlier is void."""
    failures: int = 0
    """Turns in a row before this one that ended with the whole mailbox waiting."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What becomes of a copy of which something was pending.

    `before`: as it was read. `renamed`: as it is under another id by now; then `after` is removed.
    Where `renamed` is, too, it was moved to where nothing is synced: it is kept only if more is
    wished of it by then.
    """

    before: Copy
    after: Copy
    renamed: Copy | None = None


class ChangeStore(Protocol):
    """Changes that are pending: what somebody wants of copies and no provider has acknowledged.

    Every method may raise `StoreThrottledError` and `StoreRefusedError`.
    """

    def wish(
        self, mailbox: Mailbox, wanted: Mapping[ProviderMessageId, Wanted], *, now: datetime
    ) -> dict[ProviderMessageId, Copy]:
        """Have live copies be as wanted, pending, and the mailbox among what is due.

        In transactions of some forty copies. Return those of them that live; what is so already is
        left as it is. Raises `ConflictError(WRONG_STATE)` where the mailbox is not active, or of
        another generation by now.
        """
        ...

    def take(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, now: datetime, seconds: int
    ) -> ChangesTurn:
        """Have a mailbox's pending changes to oneself, for `seconds`.

        Raises `ConflictError(LEASE_HELD)` where nothing is pending, it is to wait, or another
        worker has them; one whose time is over has died.
        """
        ...

    def waiting(
        self, turn: ChangesTurn, *, after: ProviderMessageId | None, limit: int
    ) -> tuple[list[Copy], ProviderMessageId | None]:
        """Return copies of which something is pending, up to `limit`, strictly after an id.

        And the last id that was looked at, or None at the end.
        """
        ...

    def settle(self, turn: ChangesTurn, settled: Sequence[Settled]) -> frozenset[ProviderMessageId]:
        """Write what became of copies, each on condition that it is still as it was read.

        Return those of them, by the id they had, of which nothing is pending any more. Where one
        cannot go on under its new id, because its message is full of copies or being erased, or
        sync was there first, the old one ends as removed all the same. One of which more was
        wished, or said, since it was read goes on under its new id with what is pending of it by
        now. Raises `ConflictError(STALE_WRITE)` where another worker has taken over.
        """
        ...

    def rest(self, turn: ChangesTurn, *, until: datetime, failures: int) -> None:
        """End the turn with changes still pending, and leave them alone until then.

        Raises `ConflictError(STALE_WRITE)`.
        """
        ...

    def finish(self, turn: ChangesTurn) -> ChangesTurn | None:
        """End the turn where nothing is pending; else return it, to go on with.

        Raises `ConflictError(STALE_WRITE)`.
        """
        ...

    def due(self, shard: int, *, now: datetime, limit: int) -> list[ChangesRequest]:
        """Return mailboxes whose changes wait for somebody since `now` or longer, oldest first.

        Eventually consistent.
        """
        ...
