"""Which of our copies an adapter is shown of one folder: the port `KnownCopies`.

As the provider has them: what somebody here wants and it does not know yet is no difference.
"""

from collections.abc import Mapping, Sequence
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
        live = self.messages.live_copies(mailbox.tenant_id, mailbox.id, ids_begin_with=prefix)
        copies = _as_the_provider_has(live)
        copies = {name: copy for name, copy in copies.items() if copy.removed_at is None}
        if traits.follows_whole_mailbox:
            return copies
        return {name: copy for name, copy in copies.items() if self.folder.id in copy.folder_ids}

    def of(self, ids: Sequence[ProviderMessageId]) -> dict[ProviderMessageId, Copy]:
        """See `KnownCopies.of`."""
        mailbox = self.mailbox
        return _as_the_provider_has(self.messages.copies_by_id(mailbox.tenant_id, mailbox.id, ids))


def _as_the_provider_has(
    copies: Mapping[ProviderMessageId, Copy],
) -> dict[ProviderMessageId, Copy]:
    return {name: copy.as_provider_has_it for name, copy in copies.items()}
