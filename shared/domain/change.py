"""What somebody wants of one copy at its provider, and what became of it there.

A later wish for the same copy joins the earlier one: in what both name, the later one counts.
"""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.ids import FolderId, ProviderMessageId

SHARDS_OF_CHANGES = 4
"""The places among which mailboxes with pending changes are spread, to be looked for there."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a copy is to be; None leaves as it is."""

    seen: bool | None = None
    flagged: bool | None = None
    move_to: FolderId | None = None
    """Trash is the folder that is for it."""

    def joined_by(self, later: "Wanted") -> "Wanted":
        """Return both as one, the later one last."""
        return Wanted(
            self.seen if later.seen is None else later.seen,
            self.flagged if later.flagged is None else later.flagged,
            later.move_to or self.move_to,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What a provider is asked to make of one copy."""

    provider_message_id: ProviderMessageId
    folder_ids: frozenset[FolderId]
    """Where the provider had it, by the last we heard."""
    wanted: Wanted


class ChangeFate(StrEnum):
    """What became of a change."""

    DONE = "done"
    """It is so, whether it was before or not."""
    GONE = "gone"
    """The provider has no such message any more, at least not under this id."""
    REFUSED = "refused"
    """It never will be so: no such folder, no right to. Part of it may have been done."""
    LATER = "later"
    """Not now, for this message alone; part of it may have been done."""


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of one change."""

    fate: ChangeFate
    code: ErrorCode | None = None
    """Why it was refused, or has to wait."""
    provider_message_id: ProviderMessageId | None = None
    """Of what is done: the id by now; None where a move gave it another that we are not told."""
    folder_ids: frozenset[FolderId] | None = None
    """After a move that is done: where it is by now."""
