"""Decides which of a mailbox's folders are ours, what they are called and what they are for.

Ours is what a person sees in Outlook's list: all below the visible root, at any depth. Left out are
hidden folders, search folders (they show what others hold), the outbox (not sent yet, and in
another folder a moment later) and Outlook's own logs. What a folder is for comes from the
well-known names, which are the same in every language
(learn.microsoft.com/graph/api/resources/mailfolder).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.errors import ConfigurationError, CursorExpiredError, ErrorCode
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.providers.outlook import errors
from shared.providers.outlook.graph import Part, Reply
from shared.providers.outlook.session import LARGEST_PAGE, Session, as_passing, is_gone

_ROOT = "msgfolderroot"
_ROLES = {
    "inbox": FolderRole.INBOX,
    "sentitems": FolderRole.SENT,
    "drafts": FolderRole.DRAFTS,
    "deleteditems": FolderRole.TRASH,
    "junkemail": FolderRole.SPAM,
    "archive": FolderRole.ARCHIVE,
}
_LEFT_OUT = ("outbox", "syncissues")
_KNOWN = (_ROOT, *_ROLES, *_LEFT_OUT)
_LIST = "/me/mailFolders/delta?$select=displayName,parentFolderId,isHidden"
PARTS = (
    # One flat list of all folders at any depth; mailFolders alone lists one level.
    Part(_LIST, page_size=LARGEST_PAGE),
    *(Part(f"/me/mailFolders/{name}?$select=id") for name in _KNOWN),
)
"""What has to be asked for to list the folders; fits into one batch."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A folder as Graph lists it."""

    name: str
    parent: str
    is_left_out: bool


def listing(session: Session) -> tuple[Folder, ...]:
    """Ask for the folders and return them."""
    return read(session, session.graph.batch(PARTS))


def read(session: Session, replies: Sequence[Reply]) -> tuple[Folder, ...]:
    """Return the folders that the replies to `PARTS` name, further pages of the list included.

    Raises what the mailbox as a whole is refused with.
    """
    try:
        return _read(session, replies)
    except CursorExpiredError as error:
        # It is a delta too, though one from the start.
        raise as_passing(error) from error


def _read(session: Session, replies: Sequence[Reply]) -> tuple[Folder, ...]:
    if is_gone(replies[0]):
        # Who has no folders at all has no mailbox that Graph serves.
        raise ConfigurationError(
            ErrorCode.PROVIDER_API_DISABLED, cause="Graph: 404 for all folders"
        )
    known = dict(zip(_KNOWN, map(_known_id, replies[1:]), strict=True))
    left_out = {known[name] for name in _LEFT_OUT} - {None}
    listed = {
        str(one["id"]): _Listed(
            name=str(one.get("displayName") or ""),
            parent=str(one.get("parentFolderId") or ""),
            is_left_out=one.get("isHidden") is True
            or one["id"] in left_out
            or "searchfolder" in str(one.get("@odata.type", "")).lower(),
        )
        for one in _pages(session, replies[0])
        if one.get("id") and "@removed" not in one
    }
    roles = {known[name]: role for name, role in _ROLES.items()}
    root = known[_ROOT]
    found: list[Folder] = []
    for identifier in listed:
        path = _path(identifier, listed, root)
        if path is not None:
            role = roles.get(identifier, FolderRole.OTHER)
            found.append(Folder(FolderId(identifier), "/".join(path), role))
    return tuple(found)


def _path(identifier: str, listed: Mapping[str, _Listed], root: str | None) -> list[str] | None:
    """Return the names from the root down, or None for a folder that is not ours."""
    path: list[str] = []
    seen = set[str]()
    while identifier != root and identifier in listed:
        one = listed[identifier]
        # Above itself: a list that was read while folders were moved about.
        if one.is_left_out or identifier in seen:
            return None
        seen.add(identifier)
        path.append(one.name)
        identifier = one.parent
    # Beside the visible root are Exchange's own folders.
    is_below_root = identifier == root or root is None
    return path[::-1] if path and is_below_root else None


def _known_id(reply: Reply) -> str | None:
    # Not every mailbox has every one of them, an archive least of all.
    if is_gone(reply):
        return None
    found = reply.object().get("id")
    return found if isinstance(found, str) else None


def _pages(session: Session, first: Reply) -> Iterable[Mapping[str, object]]:
    reply = first
    seen: set[str] = set()
    while True:
        body = reply.object()
        value = body.get("value")
        if not isinstance(value, list):
            raise errors.unusable("a page without a list")
        yield from (one for one in value if isinstance(one, dict))
        if body.get("@odata.nextLink") is None:
            return
        link = session.graph.relative(body["@odata.nextLink"])
        if link in seen:
            raise errors.unusable("a list without an end")
        seen.add(link)
        reply = session.graph.get(link, page_size=LARGEST_PAGE)
