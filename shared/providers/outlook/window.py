"""Decides how a backfill's window is listed: by date, newest first, a page from the last date on.

Graph's own next page is a number of messages to skip, so one that is deleted between two pages
would hide another. Dates do not shift.

By address it is listed in the same way, with whom each message is from and to. A filter by
recipient is refused (github.com/microsoftgraph/microsoft-graph-explorer-v4/issues/3957), and one by
sender has missed some (github.com/microsoftgraph/microsoft-graph-docs/issues/18871). `$search` ends
after a thousand, takes no filter by date beside it (learn.microsoft.com/graph/search-query-
parameter), and is asked of an index that lags behind the mailbox.
"""

import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.domain.ids import Address, ProviderMessageId
from shared.providers.naming import Searched
from shared.providers.outlook.entries import (
    names_without_address,
    read_entry,
    written_addresses,
)
from shared.providers.outlook.graph import LARGEST_PAGE, AnswerTooLargeError
from shared.providers.outlook.paths import folder_path
from shared.providers.outlook.position import Position
from shared.providers.outlook.session import Item, Session

FIELDS = "id,receivedDateTime,isDraft"
"""What a list by date has to tell."""
_ADDRESSED = ("from", "toRecipients", "ccRecipients", "bccRecipients")
_PAGES = (200, 20)
"""Messages to a page where whom they are for comes with each: that may be hundreds."""
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
    return _listed(session, folder, FIELDS, lambda _one: True, since=since, before=before)


def search_window(
    session: Session,
    folder: Folder,
    addresses: Sequence[Address],
    *,
    since: datetime,
    upto: Cursor,
) -> tuple[ProviderMessageId, ...]:
    """Return the ids of a window that may name one of `addresses`; see `MailSession.search_window`.

    Raises as `list_window` does.
    """
    Position.of(upto)
    searched = Searched(addresses)
    for page_size in _PAGES:
        with contextlib.suppress(AnswerTooLargeError):
            return _listed(
                session,
                folder,
                f"{FIELDS},{','.join(_ADDRESSED)}",
                lambda one: _may_name(one, searched),
                since=since,
                page_size=page_size,
            )
    # Whom they are for is more than can be held: each is named, and judged alone.
    return list_window(session, folder, since=since, upto=upto)


def _may_name(item: Item, searched: Searched) -> bool:
    lists = [one if isinstance(one, list) else [one] for one in map(item.get, _ADDRESSED)]
    # Nothing is to be left out whose header then says nothing.
    if any(map(names_without_address, lists)):
        return True
    found = ", ".join(map(written_addresses, lists))
    return searched.may_be_in(found.encode("utf-8", "replace"))


def _listed(
    session: Session,
    folder: Folder,
    fields: str,
    is_wanted: Callable[[Item], bool],
    *,
    since: datetime,
    before: datetime | None = None,
    page_size: int = 0,
) -> tuple[ProviderMessageId, ...]:
    def url(newest: datetime | None) -> str:
        return window_url(folder, fields, since=since, newest=newest, page_size=page_size)

    def from_the_last_date(items: Sequence[Item], link: str) -> Sequence[str]:
        oldest = min((read_entry(one).received_at for one in items), default=None)
        # Of a page of one second there is nothing else to go on by than the link.
        return (url(oldest), link) if oldest else (link,)

    found: dict[ProviderMessageId, datetime] = {}
    for items, _following in session.pages(url(before), go_on=from_the_last_date):
        wanted = [read_entry(one) for one in items if is_wanted(one)]
        page = [entry for entry in wanted if not entry.flags.draft]
        found |= {one.id: one.received_at for one in page if one.received_at >= since}
    if before is not None:
        found = {name: at for name, at in found.items() if at < before}
    return tuple(sorted(found, key=found.__getitem__, reverse=True))


def window_url(
    folder: Folder,
    fields: str,
    *,
    since: datetime,
    newest: datetime | None = None,
    page_size: int = 0,
) -> str:
    """Return the list of a folder's messages between two instants, both included, newest first.

    `page_size` 0 is as many to a page as Graph gives.
    """
    condition = f"receivedDateTime%20ge%20{_stamp(since)}"
    if newest is not None:
        condition += f"%20and%20receivedDateTime%20le%20{_stamp(newest + _LESS_THAN_A_SECOND)}"
    return (
        f"{folder_path(folder)}/messages?$select={fields}&$filter={condition}"
        f"&$orderby=receivedDateTime%20desc&$top={page_size or LARGEST_PAGE}"
    )


def count_url(folder: Folder, *, since: datetime) -> str:
    """Return the list whose length is the number of messages since an instant, without drafts."""
    return (
        f"{folder_path(folder)}/messages?$select=id&$top=1&$count=true"
        f"&$filter=receivedDateTime%20ge%20{_stamp(since)}%20and%20isDraft%20eq%20false"
    )


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
