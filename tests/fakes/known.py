"""What we hold of a folder, for sessions driven without a store."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.ids import FolderId, MailboxId, MessageId, ProviderMessageId
from shared.domain.message import Copy, Flags


def nothing() -> Mapping[ProviderMessageId, Flags]:
    return {}


@dataclass
class Known:
    """The port `KnownCopies` over flags: `held` is read anew at each question."""

    held: Callable[[], Mapping[ProviderMessageId, Flags]] = nothing

    def in_folder(self) -> dict[ProviderMessageId, Copy]:
        return {name: a_copy(name, flags) for name, flags in self.held().items()}

    def of(self, ids: Sequence[ProviderMessageId]) -> dict[ProviderMessageId, Copy]:
        copies = self.in_folder()
        return {name: copies[name] for name in ids if name in copies}


def a_copy(
    name: ProviderMessageId,
    flags: Flags,
    folder_ids: frozenset[FolderId] = frozenset({FolderId("here")}),
) -> Copy:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Copy(MailboxId("BOX"), folder_ids, name, MessageId("m"), at, flags)
