"""Decides how Graph's mail folders answer: lists, one, changes to them, and their delta."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from infra.simulators.microsoft.answers import refuse
from infra.simulators.microsoft.changes import Round
from infra.simulators.microsoft.folders import ROOT
from infra.simulators.microsoft.odata import page_of, parse_select, whole_number
from infra.simulators.microsoft.resources import FOLDER_FIELDS

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.folders import Folder
    from infra.simulators.microsoft.graph_call import GraphCall


_START = (-1, -1)


def _select(graph: GraphCall) -> frozenset[str]:
    return parse_select(graph.query.get("$select"), FOLDER_FIELDS, "mailFolder")


def list_folders(graph: GraphCall) -> Response:
    """List the folders at the top, or those in a folder."""
    parent = graph.folder() if "folder" in graph.call.arguments else None
    hidden = graph.query.get("includeHiddenFolders", "").lower() == "true"
    found = graph.folders.children(parent.pk if parent else None, hidden=hidden)
    found.sort(key=lambda one: one.name.lower())
    skip, top = whole_number(graph.query, "$skip", 0), page_of(graph.query)
    select = _select(graph)
    path = f"{graph.me}/mailFolders"
    if parent:
        path += f"('{quote(graph.folders.namer.folder(parent.pk))}')/childFolders"
    body: dict[str, object] = {"@odata.context": graph.context("mailFolders")}
    if graph.query.get("$count") == "true":
        body["@odata.count"] = len(found)
    body["value"] = [graph.painter.folder(one, select) for one in found[skip : skip + top]]
    if skip + top < len(found):
        options = {**graph.query, "$skip": str(skip + top)}
        body["@odata.nextLink"] = f"{graph.root}/{path}?{_written(options)}"
    return graph.answer(body)


def get_folder(graph: GraphCall) -> Response:
    """Return one folder, by id or well-known name."""
    drawn = graph.painter.folder(graph.folder(), _select(graph))
    return graph.answer({"@odata.context": graph.context("mailFolders/$entity"), **drawn})


def create_folder(graph: GraphCall) -> Response:
    """Make a folder at the top or in another."""
    body = graph.body()
    parent = graph.folder() if "folder" in graph.call.arguments else None
    made = graph.folders.create(
        str(body.get("displayName", "")),
        parent.pk if parent else None,
        hidden=bool(body.get("isHidden")),
    )
    drawn = graph.painter.folder(made)
    return graph.answer({"@odata.context": graph.context("mailFolders/$entity"), **drawn}, 201)


def rename_folder(graph: GraphCall) -> Response:
    """Give a folder another name."""
    folder = graph.folder()
    graph.folders.rename(folder, str(graph.body().get("displayName", folder.name)))
    return get_folder(graph)


def move_folder(graph: GraphCall) -> Response:
    """Put a folder into another."""
    folder = graph.folder()
    graph.folders.move(folder, graph.folder(str(graph.body().get("destinationId", ""))))
    moved = graph.folders.of(folder.pk)
    drawn = graph.painter.folder(moved or folder)
    return graph.answer({"@odata.context": graph.context("mailFolders/$entity"), **drawn}, 201)


def delete_folder(graph: GraphCall) -> Response:
    """Delete a folder with all in it."""
    graph.messages.empty(graph.folders.delete(graph.folder()))
    return graph.answer(status=204)


def folders_delta(graph: GraphCall) -> Response:
    """Tell all folders, or what has become of them since a token."""
    token = graph.query.get("$deltatoken") or graph.query.get("$skiptoken")
    if token:
        place = graph.world.tokens.open(graph, token, folder=0)
    else:
        place = Round(graph.user.pk, 0, tuple(sorted(_select(graph))), at=_START)
    upto = graph.folders.seq() if place.upto < 0 else place.upto
    # What changes between two pages moves out of this round and into the next.
    news = [
        one
        for one in graph.folders.changed_since(place.since, upto)
        if one[:2] > place.at and _is_told(one[2], place)
    ]
    size = graph.painter.wishes.page_size or len(news) + 1
    page, is_last = news[:size], size >= len(news)
    if is_last:
        following = Round(graph.user.pk, 0, place.select, since=upto, at=_START)
    else:
        following = replace(place, upto=upto, at=page[-1][:2])
    select = frozenset(place.select)
    link = graph.world.tokens.link(graph, following, is_last=is_last)
    return graph.answer(
        {
            "@odata.context": f"{graph.root}/$metadata#Collection(mailFolder)",
            "@odata.deltaLink" if is_last else "@odata.nextLink": link,
            "value": [
                graph.painter.folder(folder, select)
                if folder
                else {"id": graph.folders.namer.folder(pk), "@removed": {"reason": "deleted"}}
                for _, pk, folder in page
            ],
        }
    )


def _is_told(folder: Folder | None, place: Round) -> bool:
    if folder is None:
        return place.since >= 0
    return not folder.hidden and folder.known != ROOT


def no_delta_of_all(graph: GraphCall) -> Response:
    """Refuse to follow a whole mailbox: delta is per folder."""
    refuse(
        graph.call,
        400,
        "ErrorInvalidRequest",
        "Unsupported request: Change tracking is not supported against 'microsoft.graph.message'.",
    )


def _written(options: dict[str, str]) -> str:
    return "&".join(f"{quote(k, safe='$')}={quote(v, safe='')}" for k, v in options.items())
