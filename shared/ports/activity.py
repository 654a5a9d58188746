"""What is read of several mailboxes at once by who watches over them; rules as in `stores`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.domain.dead_letter import DeadLetter
from shared.domain.ids import MailboxId, TenantId
from shared.domain.run import Run
from shared.ports.stores import MailboxRecord


class ActivityStore(Protocol):
    """Mailboxes by the page, and of each what happened lately. All of it eventually consistent."""

    def page_mailboxes(
        self, tenant_id: TenantId, *, after: MailboxId | None, limit: int
    ) -> list[MailboxRecord]:
        """Return up to `limit` mailboxes of the tenant that come after one, in order of id."""
        ...

    def latest_runs(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, since: datetime, most: int
    ) -> Mapping[MailboxId, Sequence[Run]]:
        """Return of each up to `most` runs, newest first, without their ledgers.

        Those whose ids were made at `since` or later; a run has its id before it begins.
        """
        ...

    def latest_letters(
        self, tenant_id: TenantId, mailbox_ids: Sequence[MailboxId], *, most: int
    ) -> Mapping[MailboxId, Sequence[DeadLetter]]:
        """Return of each up to `most` dead letters, the one first seen last first."""
        ...
