"""Decides which labels of Gmail are folders of ours, and in which folders a message is.

The whole mailbox is followed as one folder, `all`; the others say where in it a message lies.
UNREAD, STARRED and the like are flags. Source:
developers.google.com/workspace/gmail/api/guides/labels.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.domain.message import Flags

ALL = Folder(FolderId("all"), "All mail", FolderRole.ALL)
ARCHIVE = Folder(FolderId("archive"), "Archive", FolderRole.ARCHIVE)
"""Mail that is nowhere else. Gmail has no label for it."""
TRASH, SPAM, DRAFT = "TRASH", "SPAM", "DRAFT"
INBOX, SENT, CHAT = "INBOX", "SENT", "CHAT"
UNREAD, STARRED = "UNREAD", "STARRED"
ALONE = (TRASH, SPAM, DRAFT)
"""A message with the first of these that it has is in that folder and in no other."""
_SYSTEM = (
    Folder(FolderId(INBOX), "INBOX", FolderRole.INBOX),
    Folder(FolderId(SENT), "Sent", FolderRole.SENT),
    Folder(FolderId(DRAFT), "Drafts", FolderRole.DRAFTS),
    Folder(FolderId(SPAM), "Spam", FolderRole.SPAM),
    Folder(FolderId(TRASH), "Trash", FolderRole.TRASH),
)
_SYSTEM_IDS = frozenset(folder.id for folder in _SYSTEM)
_CATEGORY = "CATEGORY_"
# The system's own are in capitals (UNREAD, CHAT, YELLOW_STAR); a user's is `Label_` and a number.
_SYSTEM_LABEL = re.compile(r"[A-Z][A-Z_]*")
FLAG_LABELS = (UNREAD, STARRED, DRAFT)


def folders_of(labels: Iterable[Mapping[str, Any]]) -> tuple[Folder, ...]:
    """Return the folders of a `labels.list`; the system's own are always among them."""
    categories, own = [], []
    for label in labels:
        label_id, name = str(label.get("id", "")), str(label.get("name", ""))
        if label_id.startswith(_CATEGORY):
            shown = label_id.removeprefix(_CATEGORY).replace("_", " ").capitalize()
            folder = Folder(FolderId(label_id), f"Category/{shown}", FolderRole.OTHER)
            categories.append(folder)
        elif is_own(label_id):
            own.append(Folder(FolderId(label_id), name or label_id, FolderRole.OTHER))
    by_name = sorted(own, key=lambda folder: (folder.name.casefold(), folder.id))
    return (ALL, *_SYSTEM, ARCHIVE, *sorted(categories, key=lambda one: one.id), *by_name)


def is_own(label_id: str) -> bool:
    """Whether a label was made by the user."""
    return bool(label_id) and not _SYSTEM_LABEL.fullmatch(label_id)


def is_place(label_id: str) -> bool:
    """Whether a message with this label is not archived.

    A category is a tab of the inbox that stays on when a message is archived.
    """
    return label_id in _SYSTEM_IDS or is_own(label_id)


def folder_ids(label_ids: Collection[str]) -> frozenset[FolderId]:
    """Return the folders of a message with these labels.

    What is in the trash or among spam is nowhere else, as Gmail shows it, and a draft is no mail
    yet whatever label it has. A chat is no mail: it is in none.
    """
    if CHAT in label_ids:
        return frozenset()
    for alone in ALONE:
        if alone in label_ids:
            return frozenset({FolderId(alone)})
    places = {one for one in label_ids if is_place(one)}
    categories = {one for one in label_ids if one.startswith(_CATEGORY)}
    return frozenset(FolderId(one) for one in categories | (places or {ARCHIVE.id}))


def flags_of(label_ids: Collection[str], version: int) -> Flags:
    """Return the flags of a message; Gmail keeps no mark of an answer."""
    return Flags(
        seen=UNREAD not in label_ids,
        flagged=STARRED in label_ids,
        draft=DRAFT in label_ids,
        version=version,
    )


def labels_of(folders: Collection[FolderId], flags: Flags) -> frozenset[str]:
    """Return as many of a message's labels as our copy of it tells."""
    marks = ((not flags.seen, UNREAD), (flags.flagged, STARRED), (flags.draft, DRAFT))
    return frozenset(folders) - {ARCHIVE.id} | {label for is_set, label in marks if is_set}


def tells_of_a_copy(label_id: str) -> bool:
    """Whether a label says where a message is or what its flags are."""
    return (
        label_id in _SYSTEM_IDS
        or label_id in FLAG_LABELS
        or label_id.startswith(_CATEGORY)
        or is_own(label_id)
    )


def marks(flags: Flags) -> tuple[bool, bool, bool]:
    """Return what Gmail has of our flags, to be compared."""
    return flags.seen, flags.flagged, flags.draft
