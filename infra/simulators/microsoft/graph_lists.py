"""Decides how Graph lists messages, and how it tells what has changed in a folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infra.simulators.microsoft.answers import content
from infra.simulators.microsoft.changes import Round, next_page
from infra.simulators.microsoft.folders import SEARCH
from infra.simulators.microsoft.odata import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Filter,
    QueryError,
    check_order,
    page_of,
    parse_date,
    parse_filter,
    parse_order,
    parse_select,
    whole_number,
)
from infra.simulators.microsoft.resources import MESSAGE_FIELDS

if TYPE_CHECKING:
    import sqlite3

    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.graph_call import GraphCall

_SINCE = re.compile(r"receivedDateTime\s+(ge|gt)\s+(\S+)$", re.IGNORECASE)
_DELTA_FILTER = (
    "The '$filter' parameter value is not supported for 'Messages' resource;"
    " only a value of 'receivedDateTime ge value' is supported."
)


def select_of(graph: GraphCall) -> frozenset[str]:
    """Return which properties of messages a request selects."""
    return parse_select(graph.query.get("$select"), MESSAGE_FIELDS, "message")


def drawn(
    graph: GraphCall, row: sqlite3.Row, select: frozenset[str], *, expand: bool
) -> dict[str, Any]:
    """Return a message, with its attachments when they are asked for."""
    message = graph.painter.message(row, select)
    if expand:
        message["attachments"] = [
            graph.painter.attachment(row, one) for one in graph.messages.attachments(row["pk"])
        ]
    return message


def expands(graph: GraphCall) -> bool:
    """Return whether a request wants the attachments too."""
    return graph.query.get("$expand", "").lower().startswith("attachments")


# ---- lists ------------------------------------------------------------------------------------


def list_messages(graph: GraphCall) -> Response:
    """List the messages of a folder or of the whole mailbox."""
    query = graph.query
    select, top = select_of(graph), page_of(query, graph.painter.wishes.page_size)
    skip = whole_number(query, "$skip", 0)
    where, order = _where(graph)
    count = graph.world.store.value(
        f"select count(*) from messages where {where.sql}",  # noqa: S608 - made by our parser
        *where.values,
    )
    rows = graph.world.store.rows(
        f"select * from messages where {where.sql} order by {order} limit ? offset ?",  # noqa: S608 - made by our parser
        *(*where.values, top, skip),
    )
    path = f"{graph.me}/messages"
    if "folder" in graph.call.arguments:
        named = quote(graph.folders.namer.folder(graph.folder().pk), safe="")
        path = f"{graph.me}/mailFolders('{named}')/messages"
    body: dict[str, Any] = {"@odata.context": graph.context(_named(select))}
    if query.get("$count") == "true":
        body["@odata.count"] = count
    expand = expands(graph)
    body["value"] = [drawn(graph, row, select, expand=expand) for row in rows]
    if skip + top < count:
        options = {**query, "$skip": str(skip + top)}
        written = "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in options.items())
        body["@odata.nextLink"] = f"{graph.root}/{path}?{written}"
    return graph.answer(body)


def count_messages(graph: GraphCall) -> Response:
    """Return how many messages there are, as plain text."""
    where, _ = _where(graph)
    count = graph.world.store.value(
        f"select count(*) from messages where {where.sql}",  # noqa: S608 - made by our parser
        *where.values,
    )
    return content(graph.call, str(count).encode(), "text/plain")


def _where(graph: GraphCall) -> tuple[Filter, str]:
    query = graph.query
    found, order = Filter(), "received desc"
    if "$search" in query:
        for other in ("$filter", "$orderby"):
            if other in query:
                raise QueryError(
                    f"The query parameter '{other}' is not supported with '$search'.",
                    "SearchWithFilter" if other == "$filter" else "SearchWithOrderBy",
                )
        found = _search(query["$search"])
    elif "$filter" in query:
        found = parse_filter(query["$filter"], graph.folders.namer)
    if "$orderby" in query:
        order, fields = parse_order(query["$orderby"])
        check_order(fields, found.fields)
    if "folder" not in graph.call.arguments:
        hidden = graph.folders.known("recoverableitemsdeletions").pk
        scope, value = "user = ? and folder != ?", [graph.user.pk, hidden]
    elif (folder := graph.folder()).kind == SEARCH:
        scope, value = "user = ? and is_read = 0", [graph.user.pk]
    else:
        scope, value = "folder = ?", [folder.pk]
    return Filter(f"{scope} and {found.sql}", [*value, *found.values]), f"{order}, item desc"


def _search(text: str) -> Filter:
    # Every word somewhere in subject, sender or text; Exchange's own language is not spoken here.
    found = Filter()
    pieces = []
    for word in text.strip('"').split():
        name, _, rest = word.partition(":")
        value = f"%{(rest or name)}%"
        columns = {"subject": ["subject"], "from": ["facts"]}.get(
            name.lower() if rest else "", ["subject", "facts", "plain", "html"]
        )
        pieces.append("(" + " or ".join(f"{one} like ?" for one in columns) + ")")
        found.values += [value] * len(columns)
    found.sql = " and ".join(pieces) or "1"
    return found


def _named(select: frozenset[str]) -> str:
    return f"messages({','.join(sorted(select))})" if select else "messages"


# ---- delta ------------------------------------------------------------------------------------


def messages_delta(graph: GraphCall) -> Response:
    """Tell the messages of a folder, or what has become of them since a token."""
    folder = graph.folder()
    token = graph.query.get("$deltatoken") or graph.query.get("$skiptoken")
    if token:
        place = graph.world.tokens.open(graph, token, folder=folder.pk)
    else:
        place = _first_round(graph, folder.pk)
    wishes = graph.painter.wishes
    size = min(wishes.page_size or place.page or DEFAULT_PAGE, MAX_PAGE)
    if graph.call.notes.get("empty_page"):
        return _page(graph, place, [], is_last=False)
    page = next_page(
        graph.world.store, place, size, seq=graph.folders.seq(), immutable=wishes.immutable
    )
    select = frozenset(place.select)
    value: list[dict[str, Any]] = [
        {
            "@odata.type": "#microsoft.graph.message",
            "id": (
                graph.folders.namer.immutable(row["message"])
                if wishes.immutable
                else graph.folders.namer.message(row["folder"], row["item"])
            ),
            "@removed": {"reason": "deleted"},
        }
        for row in page.removed
    ]
    value += [
        {
            "@odata.type": "#microsoft.graph.message",
            **drawn(graph, row, select, expand=place.expand),
        }
        for row in page.changed
    ]
    return _page(graph, page.following, value, is_last=page.is_last)


def _page(
    graph: GraphCall, following: Round, value: list[dict[str, Any]], *, is_last: bool
) -> Response:
    link = graph.world.tokens.link(graph, following, is_last=is_last)
    return graph.answer(
        {
            "@odata.context": f"{graph.root}/$metadata#Collection(message)",
            "@odata.deltaLink" if is_last else "@odata.nextLink": link,
            "value": value,
        }
    )


def _first_round(graph: GraphCall, folder: int) -> Round:
    query = graph.query
    if "$search" in query:
        raise QueryError(
            "The query parameter '$search' is not supported with change tracking over the"
            " 'Messages' resource.",
            "ErrorInvalidUrlQuery",
        )
    order = query.get("$orderby", "receivedDateTime desc").split()
    if [one.lower() for one in order] != ["receiveddatetime", "desc"]:
        raise QueryError(
            "The '$orderby' parameter value is not supported for 'Messages' resource;"
            " only a value of 'receivedDateTime desc' is supported.",
            "ErrorInvalidUrlQuery",
        )
    change = query.get("changeType", "").lower()
    if change not in ("", "created", "updated", "deleted"):
        raise QueryError(f"Invalid changeType '{change}'.", "ErrorInvalidUrlQuery")
    return Round(
        graph.user.pk,
        folder,
        tuple(sorted(select_of(graph))),
        expand=expands(graph),
        page=page_of(query) if "$top" in query else 0,
        after=_after(query["$filter"]) if "$filter" in query else None,
        change=change,
    )


def _after(text: str) -> float:
    found = _SINCE.match(text.strip())
    if found is None:
        raise QueryError(_DELTA_FILTER, "ErrorInvalidUrlQuery")
    # Dates are whole seconds here, so later than is from the next second on.
    return parse_date(found[2]) + (1 if found[1].lower() == "gt" else 0)
