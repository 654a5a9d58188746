"""Decides how lists and delta go wrong: state that is gone, repeats, links that lead astray."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from infra.simulators.kit.faults import Around, FaultKind
from infra.simulators.microsoft.answers import refusal

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.faults import Proceed
    from infra.simulators.microsoft.world import World

_DELTA = r"/delta$"
_PAGED = rf"{_DELTA}|/(messages|mailFolders|childFolders)$"
_GENERATION = "The sync state generation is not found; generation=149;[highest=157][157][155][156]."
_LINKS = ("@odata.nextLink", "@odata.deltaLink")
Parameters = Mapping[str, Any]


def delta_faults(world: World) -> dict[str, FaultKind]:
    """Return the kinds by name."""
    gone = {"status": 410, "code": "SyncStateNotFound", "message": _GENERATION}
    return {
        "delta_gone": FaultKind(
            _gone, route=_DELTA, parameters={**gone, "inner": "", "location": True}
        ),
        # As if the token were too old, whatever it is; a first request goes through.
        "delta_expired": FaultKind(_expired(world), route=_DELTA),
        "delta_empty_page": FaultKind(_empty, route=_DELTA),
        "delta_repeats": FaultKind(_edited(_repeated), route=_PAGED),
        "delta_reordered": FaultKind(_edited(_reordered), route=_PAGED),
        "delta_removed_reason": FaultKind(
            _edited(_reason), route=_DELTA, parameters={"reason": "changed"}
        ),
        "foreign_link": FaultKind(
            _edited(_elsewhere), route=_PAGED, parameters={"host": "graph.elsewhere.invalid"}
        ),
        "no_link": FaultKind(_edited(_unlinked), route=_PAGED),
    }


def _gone(parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
    again = {"Location": f"{call.request.base_url}?$deltatoken="}
    return refusal(
        call,
        int(parameters["status"]),
        str(parameters["code"]),
        str(parameters["message"]),
        headers=again if parameters["location"] else {},
        inner=str(parameters["inner"]),
    )


def _expired(world: World) -> Around:
    def around(_parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        with world.store.transaction():  # one request at a time sees it
            kept, world.tokens.days = world.tokens.days, -1.0
            try:
                return proceed()
            finally:
                world.tokens.days = kept

    return around


def _empty(_parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    call.notes["empty_page"] = True
    return proceed()


def _edited(change: Callable[[dict[str, Any], Parameters], None]) -> Around:
    def around(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        response = proceed()
        body = json.loads(response.get_data()) if response.is_json else None
        if isinstance(body, dict) and "value" in body:
            change(body, parameters)
            response.set_data(json.dumps(body, ensure_ascii=False))
        return response

    return around


def _repeated(body: dict[str, Any], _parameters: Parameters) -> None:
    body["value"] = [one for entry in body["value"] for one in (entry, entry)]


def _reordered(body: dict[str, Any], _parameters: Parameters) -> None:
    body["value"].reverse()


def _reason(body: dict[str, Any], parameters: Parameters) -> None:
    for one in body["value"]:
        if "@removed" in one:
            one["@removed"]["reason"] = parameters["reason"]


def _elsewhere(body: dict[str, Any], parameters: Parameters) -> None:
    for name in _LINKS:
        if name in body:
            body[name] = urlunsplit(urlsplit(body[name])._replace(netloc=str(parameters["host"])))


def _unlinked(body: dict[str, Any], _parameters: Parameters) -> None:
    for name in _LINKS:
        body.pop(name, None)
