"""Decides how messages are counted: Graph tells with a list how long it is.

Source: learn.microsoft.com/graph/query-parameters (`$count`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.ports.provider import Tally
from shared.providers.outlook import errors
from shared.providers.outlook.graph import PARTS, Part, Reply
from shared.providers.outlook.session import Session, folder_failure, is_gone
from shared.providers.outlook.window import count_url


def tallies(
    session: Session, folders: Sequence[Folder], instants: Sequence[datetime]
) -> Mapping[FolderId, Sequence[Tally]]:
    """Return how many messages each folder received since each of `instants`, drafts left out.

    Twenty counts are one request. A folder that is gone is left out.
    """
    parts = [Part(count_url(folder, since=since)) for folder in folders for since in instants]
    replies: list[Reply] = []
    for start in range(0, len(parts), PARTS):
        replies += session.graph.batch(parts[start : start + PARTS])
    found: dict[FolderId, Sequence[Tally]] = {}
    for number, folder in enumerate(folders):
        of_folder = replies[number * len(instants) : (number + 1) * len(instants)]
        if not any(is_gone(reply) for reply in of_folder):
            found[folder.id] = [Tally(_count(reply)) for reply in of_folder]
    return found


def _count(reply: Reply) -> int:
    if not reply.ok:
        raise folder_failure(reply)
    count = reply.object().get("@odata.count")
    if not isinstance(count, int) or count < 0:
        raise errors.unusable("a list without its length")
    return count
