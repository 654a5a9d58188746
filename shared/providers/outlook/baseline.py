"""Decides how a folder's position is taken: by walking over all of it, as far as there is time.

A cheaper way there is not: Graph gives no latest token for messages, and a filtered round watches
only what passes its filter. A folder of 100,000 takes a hundred requests, more than a session may
have, so the walk stops in time, or where page after page is empty; `changes` goes on with it.
Until it ends, what arrived after it began would be told to nobody: that is news already, and all
before it is history.
"""

from datetime import datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.providers.outlook.entries import Entry
from shared.providers.outlook.graph import LARGEST_PAGE
from shared.providers.outlook.paths import first_link
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import Session

FOLDER_SECONDS = 60.0
"""What one folder's walk may take before the next folder has its turn."""
CLOCKS_DIFFER = timedelta(minutes=10)
"""Ours and Exchange's: what arrived so shortly before the beginning is news as well."""


def baseline(session: Session, folder: Folder, *, now: datetime) -> Cursor:
    """Return the folder's position at this instant, or where the walk to it goes on."""
    begun = int(now.timestamp())
    link = first_link(folder)
    has_time = session.has_time(FOLDER_SECONDS)
    while has_time() and not session.leads_nowhere:
        page = session.page(link, page_size=LARGEST_PAGE)
        link = page.link
        if page.is_last:
            return Position(link, begun).cursor()
    return Position(link, begun, walking=True, begun=begun).cursor()


def is_news(entry: Entry, begun: int) -> bool:
    """Whether a message arrived after the walk began, and is not history."""
    return entry.received_at.timestamp() >= begun - CLOCKS_DIFFER.total_seconds()
