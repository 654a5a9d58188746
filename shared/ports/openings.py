"""What operations need to have kept of mailboxes' openings; rules as in `stores`."""

from typing import Protocol

from shared.domain.ids import MailboxId, OpeningId, TenantId
from shared.domain.mailbox import Mailbox
from shared.domain.opening import Opening


class OpeningStore(Protocol):
    """The lasting record of who was let in; it goes with the mailbox."""

    def save_with(self, mailbox: Mailbox, opening: Opening) -> Mailbox:
        """Write a mailbox's settings and record the opening they make or end, together.

        As `MailboxStore.save_settings` does; raises `ConflictError(VERSION_CONFLICT)`.
        """
        ...

    def get_opening(
        self, tenant_id: TenantId, mailbox_id: MailboxId, opening_id: OpeningId
    ) -> Opening | None:
        """Return one, consistently read."""
        ...

    def list_openings(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, before: OpeningId | None, limit: int
    ) -> list[Opening]:
        """Return up to `limit` of them, newest first, consistently read."""
        ...
