"""Who was let in to mailboxes, in memory."""

from dataclasses import dataclass, field

from shared.domain.ids import MailboxId, OpeningId, TenantId
from shared.domain.mailbox import Mailbox
from shared.domain.opening import Opening
from tests.fakes.stores import InMemoryMailboxStore, World


@dataclass
class InMemoryOpeningStore:
    """The port `OpeningStore`."""

    world: World = field(default_factory=World)

    def save_with(self, mailbox: Mailbox, opening: Opening) -> Mailbox:
        with self.world.lock:
            saved = InMemoryMailboxStore(self.world).save_settings(mailbox)
            box = (mailbox.tenant_id, mailbox.id)
            self.world.openings.setdefault(box, {})[opening.id] = opening
            return saved

    def get_opening(
        self, tenant_id: TenantId, mailbox_id: MailboxId, opening_id: OpeningId
    ) -> Opening | None:
        return self.world.openings.get((tenant_id, mailbox_id), {}).get(opening_id)

    def list_openings(
        self, tenant_id: TenantId, mailbox_id: MailboxId, *, before: OpeningId | None, limit: int
    ) -> list[Opening]:
        found = self.world.openings.get((tenant_id, mailbox_id), {})
        names = sorted((name for name in found if before is None or name < before), reverse=True)
        return [found[name] for name in names[:limit]]
