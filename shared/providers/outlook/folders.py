"""Decides which of a mailbox's folders are ours, what they are called and what they are for.

Ours is what a person sees in Outlook's list, at any depth, listed level by level. Their delta would
list all at once, but writes into the mailbox, fails where that is full, and is not in every cloud
(learn.microsoft.com/graph/api/mailfolder-delta). Left out are hidden folders, search folders (they
show what others hold), the outbox (not sent yet, and in another folder a moment later), Outlook's
own logs, and its records of chats and calls, which are no mail. What a folder is for comes from the
well-known names, which are the same in every language
(learn.microsoft.com/graph/api/resources/mailfolder).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from shared.domain.errors import ConfigurationError, ErrorCode
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.providers.outlook import errors
from shared.providers.outlook.graph import Part, Reply
from shared.providers.outlook.session import Session, is_gone

_ROLES = {
    "inbox": FolderRole.INBOX,
    "sentitems": FolderRole.SENT,
    "drafts": FolderRole.DRAFTS,
    "deleteditems": FolderRole.TRASH,
    "junkemail": FolderRole.SPAM,
    "archive": FolderRole.ARCHIVE,
}
_LEFT_OUT = ("outbox", "syncissues", "conversationhistory")
_KNOWN = (*_ROLES, *_LEFT_OUT)
_QUERY = "$select=displayName,childFolderCount,isHidden&$top=100"
PARTS = (
    Part(f"/me/mailFolders?{_QUERY}"),
    *(Part(f"/me/mailFolders/{name}?$select=id") for name in _KNOWN),
)
"""What has to be asked for to begin a listing; fits into one batch."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A folder of ours as it was found."""

    folder: Folder
    has_children: bool


def listing(session: Session) -> tuple[Folder, ...]:
    """Ask for the folders and return them, those of a level before those of the next."""
    return read(session, session.graph.batch(PARTS))


def read(session: Session, replies: Sequence[Reply]) -> tuple[Folder, ...]:
    """Return the folders, of which `replies` to `PARTS` name the first level.

    Raises what the mailbox as a whole is refused with.
    """
    if is_gone(replies[0]):
        # Who has no folders at all has no mailbox that Graph serves.
        cause = "Graph: 404 for all folders"
        raise ConfigurationError(ErrorCode.PROVIDER_API_DISABLED, cause=cause)
    known = dict(zip(_KNOWN, map(_known_id, replies[1:]), strict=True))
    roles = {identifier: _ROLES.get(name) for name, identifier in known.items() if identifier}
    found: dict[FolderId, Folder] = {}
    level = list(_of_level(session, replies[0], "", roles))
    while level:
        # A folder moved about meanwhile may be met twice, also below itself.
        new = [one for one in level if one.folder.id not in found]
        found |= {one.folder.id: one.folder for one in new}
        parents = [one.folder for one in new if one.has_children]
        lists = session.graph.batch([Part(_children_url(one)) for one in parents])
        level = [
            child
            for parent, reply in zip(parents, lists, strict=True)
            if not is_gone(reply)
            for child in _of_level(session, reply, f"{parent.name}/", roles)
        ]
    return tuple(found.values())


def _of_level(
    session: Session, reply: Reply, above: str, roles: Mapping[str, FolderRole | None]
) -> Iterator[_Listed]:
    """Yield those folders of a list, further pages included, that are ours."""
    for one in session.listed(first=reply):
        identifier, count = one.get("id"), one.get("childFolderCount")
        if not isinstance(identifier, str) or not identifier:
            raise errors.unusable("a folder without an id")
        role = roles.get(identifier, FolderRole.OTHER)
        is_search = "searchfolder" in str(one.get("@odata.type", "")).lower()
        if role is None or is_search or one.get("isHidden") is True:
            continue
        name = f"{above}{one.get('displayName') or ''}"
        yield _Listed(Folder(FolderId(identifier), name, role), has_children=count != 0)


def _children_url(folder: Folder) -> str:
    return f"/me/mailFolders/{quote(folder.id, safe='')}/childFolders?{_QUERY}"


def _known_id(reply: Reply) -> str | None:
    # Not every mailbox has every one of them, an archive least of all.
    if is_gone(reply):
        return None
    found = reply.object().get("id")
    return found if isinstance(found, str) else None
