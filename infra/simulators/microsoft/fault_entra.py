"""Decides how Entra goes wrong: any of its errors on demand, and tokens with parts missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from werkzeug.wrappers import Response

from infra.simulators.kit.faults import Around, FaultKind
from infra.simulators.microsoft.entra_errors import ERRORS, EntraError, error_body, json_answer

if TYPE_CHECKING:
    from infra.simulators.kit.call import Call
    from infra.simulators.kit.faults import Proceed
    from infra.simulators.microsoft.world import World

_TOKEN = r"/oauth2/v2\.0/token$"  # noqa: S105 - a path
_TOO_MANY = 429
Parameters = Mapping[str, Any]


def entra_faults(world: World) -> dict[str, FaultKind]:
    """Return the kinds by name."""
    as_known = {"error": None, "suberror": None, "claims": None, "status": None}
    return {
        # Any row of `ERRORS`, or another number; what is not None stands instead of the row's.
        "token_error": FaultKind(
            _error(world), route=_TOKEN, parameters={"number": 700082, **as_known}
        ),
        "token_busy": FaultKind(
            _busy(world), route=_TOKEN, parameters={"status": _TOO_MANY, "retry_after": 10}
        ),
        "token_expires_in": FaultKind(_edited(_expires), route=_TOKEN, parameters={"value": None}),
        "token_without": FaultKind(
            _edited(_without), route=_TOKEN, parameters={"field": "refresh_token"}
        ),
        "token_scope": FaultKind(
            _edited(_scope), route=_TOKEN, parameters={"scope": "openid profile User.Read"}
        ),
        "authorize_error": FaultKind(
            _refused(world), route=r"/authorize$", parameters={"number": 65004, "error": None}
        ),
    }


def _error(world: World) -> Around:
    def around(parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
        number = int(parameters["number"])
        client_id = call.request.form.get("client_id", "")
        client = world.accounts.find_client(client_id)
        body, status = _worded(
            world,
            number,
            "invalid_grant",
            client=client_id,
            name=client.name if client else "",
            tenant=str(call.arguments.get("tenant", "")),
        )
        for name in ("error", "suberror", "claims"):
            if parameters[name] is not None:
                body[name] = parameters[name]
        return json_answer(body, int(parameters["status"] or status))

    return around


def _worded(world: World, number: int, error: str, **values: str) -> tuple[dict[str, Any], int]:
    """Return the body and status of an error; `error` is that of a number without a row."""
    if number in ERRORS:
        known = EntraError(number, **values)
        return error_body(known, world.clock.now()), known.known.status
    text = f"AADSTS{number}: the simulator has no words for it."
    return {"error": error, "error_codes": [number], "error_description": text}, 400


def _busy(world: World) -> Around:
    def around(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
        status = int(parameters["status"])
        known = EntraError(90055 if status == _TOO_MANY else 90033)
        response = json_answer(error_body(known, world.clock.now()), status)
        if parameters["retry_after"] is not None:
            response.headers["Retry-After"] = str(parameters["retry_after"])
        return response

    return around


def _refused(world: World) -> Around:
    def around(parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
        number = int(parameters["number"])
        body, _status = _worded(world, number, "access_denied", name="Mailroom")
        values = {**call.request.args.to_dict(), **call.request.form.to_dict()}
        answer = {
            "error": parameters["error"] or body["error"],
            "error_description": body["error_description"],
            "state": values.get("state", ""),
        }
        target = f"{values.get('redirect_uri', '')}?{urlencode(answer)}"
        return Response(status=302, headers={"Location": target})

    return around


def _edited(change: Callable[[dict[str, Any], Parameters], None]) -> Around:
    def around(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        response = proceed()
        body = json.loads(response.get_data())
        change(body, parameters)
        response.set_data(json.dumps(body))
        return response

    return around


def _expires(body: dict[str, Any], parameters: Parameters) -> None:
    body.pop("expires_in", None)
    body.pop("ext_expires_in", None)
    if parameters["value"] is not None:
        body["expires_in"] = parameters["value"]


def _without(body: dict[str, Any], parameters: Parameters) -> None:
    body.pop(str(parameters["field"]), None)


def _scope(body: dict[str, Any], parameters: Parameters) -> None:
    body["scope"] = parameters["scope"]
