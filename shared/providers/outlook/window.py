"""Decides how a backfill's window is listed: by date, newest first, a page from the last date on.

Graph's own next page is a number of messages to skip, so one that is deleted between two pages
would hide another. Dates do not shift.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.providers.outlook.entries import read_entry
from shared.providers.outlook.graph import LARGEST_PAGE
from shared.providers.outlook.paths import folder_path
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import Item, Session

FIELDS = "id,receivedDateTime,isDraft"
"""What a list by date has to tell."""
_LESS_THAN_A_SECOND = timedelta(microseconds=999_999)
"""Dates are asked for in whole seconds; the last one is asked for once more, whole."""


def list_window(
    session: Session,
    folder: Folder,
    *,
    since: datetime,
    upto: Cursor,
    before: datetime | None = None,
) -> tuple[ProviderMessageId, ...]:
    """Return the ids received from `since` to `before`, newest first, those of drafts left out.

    A link says nothing of which messages lie before it, so later ones are among them. Raises
    `CursorExpiredError` for a cursor that is not ours.
    """
    Position.of(upto)

    def from_the_last_date(items: Sequence[Item], link: str) -> Sequence[str]:
        oldest = min((read_entry(one).received_at for one in items), default=None)
        # Of a page of one second there is nothing else to go on by than the link.
        return (window_url(folder, FIELDS, since=since, newest=oldest), link) if oldest else (link,)

    found: dict[ProviderMessageId, datetime] = {}
    url = window_url(folder, FIELDS, since=since, newest=before)
    for items, _following in session.pages(url, go_on=from_the_last_date):
        page = [entry for one in items if not (entry := read_entry(one)).flags.draft]
        found |= {one.id: one.received_at for one in page if one.received_at >= since}
    if before is not None:
        found = {name: at for name, at in found.items() if at < before}
    return tuple(sorted(found, key=found.__getitem__, reverse=True))


def window_url(
    folder: Folder, fields: str, *, since: datetime, newest: datetime | None = None
) -> str:
    """Return the list of a folder's messages between two instants, both included, newest first."""
    condition = f"receivedDateTime%20ge%20{_stamp(since)}"
    if newest is not None:
        condition += f"%20and%20receivedDateTime%20le%20{_stamp(newest + _LESS_THAN_A_SECOND)}"
    return (
        f"{folder_path(folder)}/messages?$select={fields}&$filter={condition}"
        f"&$orderby=receivedDateTime%20desc&$top={LARGEST_PAGE}"
    )


def count_url(folder: Folder, *, since: datetime) -> str:
    """Return the list whose length is the number of messages since an instant, without drafts."""
    return (
        f"{folder_path(folder)}/messages?$select=id&$top=1&$count=true"
        f"&$filter=receivedDateTime%20ge%20{_stamp(since)}%20and%20isDraft%20eq%20false"
    )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
