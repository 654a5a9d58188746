"""Decides how a backfill's messages are known before their content: by one list of their dates.

A chunk is a run of a folder's messages by date, named by ids alone. Asking for the two at its ends
and then listing what lies between costs two requests and one for every thousand messages; asking
for each would double what an import takes of the mailbox's 10,000 requests in ten minutes
(learn.microsoft.com/graph/throttling-limits).
"""

from collections.abc import Mapping, Sequence
from itertools import islice

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.providers.outlook.entries import FIELDS, Entry, read_entry
from shared.providers.outlook.failing import may_be_its_own
from shared.providers.outlook.graph import LARGEST_PAGE, PARTS
from shared.providers.outlook.session import Session
from shared.providers.outlook.window import window_url

_PAGES_TO_SPARE = 1


def learn(
    session: Session, folder: Folder, names: Sequence[ProviderMessageId]
) -> Mapping[ProviderMessageId, Entry]:
    """Return what is known of most of `names`, where there are enough of them to be listed.

    Those that were moved or deleted are left out, and so may others be, where there is no list:
    they are to be asked for.
    """
    if len(names) <= PARTS:
        return {}
    ends = {names[0], names[-1]}
    asked, _failed = session.inquire(ends)
    found = {name: entry for name, entry in asked.items() if entry is not None}
    dates = [entry.received_at for entry in found.values()]
    if len(dates) < len(ends):
        return found
    wanted = set(names)
    most = (len(names) // LARGEST_PAGE + 1 + _PAGES_TO_SPARE) * LARGEST_PAGE
    url = window_url(folder, FIELDS, since=min(dates), newest=max(dates))
    try:
        for one in islice(session.listed(url), most):
            entry = read_entry(one)
            if entry.id in wanted:
                found[entry.id] = entry
    except RetryLaterError as error:
        if error.code is not ErrorCode.FOLDER_UNAVAILABLE and not may_be_its_own(
            error, session.graph
        ):
            raise
    return found
