"""Which folders of a mailbox are synced."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.ids import FolderId


class FolderRole(StrEnum):
    """What a folder is for, in every provider's terms (RFC 6154)."""

    INBOX = "inbox"
    SENT = "sent"
    DRAFTS = "drafts"
    TRASH = "trash"
    SPAM = "spam"
    ARCHIVE = "archive"
    ALL = "all"
    FLAGGED = "flagged"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Folder:
    """A place inside a mailbox. `name` is decoded for people; `id` is stable while the name is."""

    id: FolderId
    name: str
    role: FolderRole
    selectable: bool = True


NOT_BY_DEFAULT = frozenset(
    # `all` and `flagged` show what other folders hold; drafts are not mail yet.
    {FolderRole.TRASH, FolderRole.SPAM, FolderRole.DRAFTS, FolderRole.ALL, FolderRole.FLAGGED}
)
NEVER_IN_FIRST_SYNC = frozenset({FolderRole.TRASH, FolderRole.SPAM})


def scope_of(chosen: Collection[FolderId] | None) -> str:
    """Return a short name of a choice of folders; empty while nobody has chosen."""
    if chosen is None:
        return ""
    names = "\n".join(sorted(set(chosen))).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(names, digest_size=6).hexdigest()


def is_wanted(
    folder_ids: Collection[FolderId],
    folders: Mapping[FolderId, Folder],
    chosen: Collection[FolderId] | None,
) -> bool:
    """Whether a message in these folders is synced: one of them is active.

    `folders` are those of the last listing. One that was made since is active like every new one.
    """
    return any(
        is_active(folders[name], chosen) if name in folders else chosen is None
        for name in folder_ids
    )


def is_active(folder: Folder, chosen: Collection[FolderId] | None) -> bool:
    """Whether `folder` is synced: by choice, or by its role while nobody has chosen.

    Without a choice a folder made later is active too, so that a new filter rule at the provider
    loses nothing in silence.
    """
    if not folder.selectable:
        return False
    if chosen is None:
        return folder.role not in NOT_BY_DEFAULT
    return folder.id in chosen
