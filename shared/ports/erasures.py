"""What an erasure needs to have kept, and what carries it out; rules as in `stores`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.erasure import Erased, Erasure, KeepsOut
from shared.domain.ids import ErasureId, MailboxId, TenantId
from shared.ports.stores import MailboxRecord


@dataclass(frozen=True, slots=True)
class ErasePage:
    """What is to be deleted next."""

    position: str
    """Where it ends; what is counted up to here is not counted again."""
    erased: Erased
    """What of it was not counted yet."""
    work: object
    """What the eraser itself has to know of it."""
    looked_to: str = ""
    """Up to where nothing is left of what takes long to look through: the next look goes on there.
    """


class ErasureStore(Protocol):
    """Erasures, their receipts, and whose mail is kept out (read by `MessageStore.kept_out`)."""

    def hash_key(self, tenant_id: TenantId) -> bytes:
        """Return the tenant's key for hashes of addresses, made on first use."""
        ...

    def begin_mailbox(self, erasure: Erasure, closed: MailboxRecord) -> None:
        """In one transaction.

        The erasure is kept, and the mailbox's settings and state are gone: nobody lists it, opens
        it, reconnects it, or passes its fence. Raises `ConflictError(STALE_WRITE)` where the
        mailbox is no longer the disconnected one of `closed`.
        """
        ...

    def begin_person(
        self, erasure: Erasure, keeps_out: KeepsOut, *, require: Callable[[], None]
    ) -> None:
        """Keep the erasure, and its addresses out, together.

        `require` raises where a mailbox has one of them; no mailbox begins between its last look
        and the writing. An address that is kept out further stays so. Raises what it raises, and
        `RequestError(INVALID_REQUEST)` for more than the list holds.
        """
        ...

    def get_erasure(self, tenant_id: TenantId, erasure_id: ErasureId) -> Erasure | None:
        """Return one, consistently read."""
        ...

    def erasure_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Erasure | None:
        """Return the erasure of a mailbox, consistently read."""
        ...

    def list_erasures(
        self, tenant_id: TenantId, *, before: ErasureId | None, limit: int
    ) -> list[Erasure]:
        """Return a tenant's, newest first."""
        ...

    def take_erasure(self, erasure: Erasure, *, owner: str, now: datetime, seconds: int) -> Erasure:
        """Take the right to carry it on; return it as it stands.

        Raises `ConflictError(LEASE_HELD)` while another has it, `WRONG_STATE` when it is done.
        """
        ...

    def count_erased(self, erasure: Erasure, owner: str, page: ErasePage) -> Erasure:
        """Add a page to the receipt before it is deleted; only its owner does.

        Raises `ConflictError(STALE_WRITE)`.
        """
        ...

    def leave_erasure(self, erasure: Erasure, owner: str) -> None:
        """Give the right back where it is still ours."""
        ...

    def finish_erasure(self, erasure: Erasure, owner: str, *, now: datetime) -> Erasure:
        """Turn it into a receipt that names no address. Raises `ConflictError(STALE_WRITE)`."""
        ...

    def let_in(self, erasure: Erasure) -> Erasure:
        """Keep an erasure's addresses out no longer; repeating it changes nothing.

        One that another erasure keeps out, running or done, stays out as that one has it.
        """
        ...


class MailEraser(Protocol):
    """What finds and deletes mail."""

    def next_page(self, erasure: Erasure) -> ErasePage | None:
        """Return what is to be deleted next; None: nothing that the erasure covers is left.

        Reads alone, never a scan, and for some seconds at most: a page may hold nothing to delete,
        and say only how far the look has come. After a page was deleted, or half of it, the next
        call finds what remains.
        """
        ...

    def erase(self, erasure: Erasure, page: ErasePage, *, now: datetime) -> None:
        """Delete a page. Repeating it, or dying within it, leaves what is to be done again.

        A message that another mailbox holds stays, without what is this one's.
        """
        ...
