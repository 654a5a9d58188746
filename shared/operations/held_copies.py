"""Which of our copies an adapter is shown of one folder: the port `KnownCopies`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.capabilities import CAPABILITIES
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.mailbox import Mailbox
from shared.domain.message import Copy
from shared.ports.stores import MessageStore


@dataclass(frozen=True, slots=True)
class HeldCopies:
    """The copies of a mailbox, for one folder that is followed."""

    mailbox: Mailbox
    folder: Folder
    messages: MessageStore

    def in_folder(self) -> dict[ProviderMessageId, Copy]:
        """See `KnownCopies.in_folder`; of the whole mailbox where its changes are told at once."""
        mailbox = self.mailbox
        traits = CAPABILITIES[mailbox.provider]
        prefix = f"{self.folder.id}." if traits.ids_begin_with_folder else ""
        copies = self.messages.live_copies(mailbox.tenant_id, mailbox.id, ids_begin_with=prefix)
        if traits.follows_whole_mailbox:
            return copies
        return {name: copy for name, copy in copies.items() if self.folder.id in copy.folder_ids}

    def of(self, ids: Sequence[ProviderMessageId]) -> dict[ProviderMessageId, Copy]:
        """See `KnownCopies.of`."""
        return self.messages.copies_by_id(self.mailbox.tenant_id, self.mailbox.id, ids)
