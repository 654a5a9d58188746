"""Decides how messages are counted: by SEARCH, a round trip for each instant.

SEARCH knows days only, in the server's own time zone: the day of an instant counts whole.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.ports.provider import Tally
from shared.providers.imap.searching import count_command, found_count
from shared.providers.imap.session import OpenFolders


def tallies(
    open_folders: OpenFolders, folders: Sequence[Folder], instants: Sequence[datetime]
) -> Mapping[FolderId, Sequence[Tally]]:
    """Return how many messages each folder received from the day of each of `instants` on.

    A folder that cannot be opened is left out.
    """
    found: dict[FolderId, Sequence[Tally]] = {}
    for folder in folders:
        try:
            found[folder.id] = _of_folder(open_folders, folder, instants)
        except RetryLaterError as error:
            if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
                raise
    return found


def _of_folder(
    open_folders: OpenFolders, folder: Folder, instants: Sequence[datetime]
) -> list[Tally]:
    raw = open_folders.name_of(folder)
    open_folders.select(raw)
    found: dict[datetime, Tally] = {}
    count = -1
    for since in sorted(set(instants)):
        # Where nothing is so new, nothing is newer. One by one: Dovecot carries out searches that
        # come together side by side, and a SEARCH response does not say whose it is.
        if count != 0:
            (answer,) = open_folders.wire.exchange([count_command(open_folders, since)])
            answer.require_ok()
            count = found_count(answer)
        found[since] = Tally(count)
    return [found[since] for since in instants]
