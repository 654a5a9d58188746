"""Decides how Graph refuses on its bad days, and what happens between a list and a get."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from infra.simulators.kit.faults import Around, FaultKind
from infra.simulators.microsoft.answers import refusal, throttled
from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.ids import MalformedIdError
from infra.simulators.microsoft.messages import Messages

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.faults import Proceed
    from infra.simulators.microsoft.world import World

_ANY = r" /v1\.0/(?!\$batch)"
_ONE = r"^GET .*/messages/[^/]+(/\$value)?$"
_SEND = r"^POST .*/(send|sendMail)$"
_BATCH = r"/\$batch$"
_LIMIT = "MailboxConcurrency"
_THROTTLED = "ApplicationThrottled"
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    ', error="insufficient_claims"'
    ', claims="eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ=="'
)
Parameters = Mapping[str, Any]


def graph_faults(world: World) -> dict[str, FaultKind]:
    """Return the kinds by name."""
    return {
        "graph_error": _refusal(400, "generalException", "An error occurred."),
        "throttled": FaultKind(
            _throttle,
            route=_ANY,
            parameters={"limit": _LIMIT, "retry_after": 5, "code": _THROTTLED},
        ),
        "unauthorized": _refusal(
            401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid."
        ),
        "claims_challenge": FaultKind(_claims, route=_ANY),
        "forbidden": _refusal(
            403, "ErrorAccessDenied", "Access is denied. Check credentials and try again."
        ),
        "mailbox_not_enabled": _refusal(
            404,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        ),
        "resource_not_found": _refusal(
            404, "ResourceNotFound", "Resource could not be discovered."
        ),
        "locked": _refusal(423, "ErrorMailboxMoveInProgress", "Mailbox move in progress."),
        "server_error": _refusal(500, "InternalServerError", "An internal server error occurred."),
        "bad_gateway": _refusal(502, "UnknownError", ""),
        "unavailable": _refusal(
            503, "ServiceUnavailable", "The service is temporarily unavailable.", retry_after=10
        ),
        "mailbox_busy": _refusal(
            503, "ErrorMailboxStoreUnavailable", "The mailbox database is temporarily unavailable."
        ),
        "gateway_timeout": _refusal(504, "UnknownError", "Gateway timeout."),
        "delete_on_get": FaultKind(_before(world, _delete), route=_ONE),
        "move_on_get": FaultKind(
            _before(world, _move), route=_ONE, parameters={"folder": "archive"}
        ),
        # Between making a draft and sending it somebody else does.
        "delete_on_send": FaultKind(_before(world, _delete), route=_SEND),
        # Accepted, and a draft for so long; for ever where the clock does not come there.
        "sends_late": FaultKind(_noting("late", "seconds"), route=_SEND, parameters={"seconds": 5}),
        # As personal accounts do at times.
        "own_message_id": FaultKind(
            _noting("renamed", "value"), route=_SEND, parameters={"value": True}
        ),
        # What was asked has been done; the answers of some parts are a refusal.
        "batch_partial": FaultKind(
            _partial,
            route=_BATCH,
            parameters={"status": 429, "code": _THROTTLED, "retry_after": 5, "every": 2},
        ),
        "batch_missing_parts": FaultKind(_missing, route=_BATCH, parameters={"count": 1}),
    }


# ---- refusals ---------------------------------------------------------------------------------


def _refusal(status: int, code: str, message: str, *, retry_after: int | None = None) -> FaultKind:
    usual = {"status": status, "code": code, "message": message}
    return FaultKind(
        refuse_with,
        route=_ANY,
        parameters={**usual, "retry_after": retry_after, "inner": ""},
    )


def refuse_with(parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
    """Answer with the error that the parameters say."""
    return refusal(
        call,
        int(parameters["status"]),
        str(parameters["code"]),
        str(parameters["message"]),
        headers=_retry(parameters),
        inner=str(parameters["inner"]),
    )


def _throttle(parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
    limit, retry = str(parameters["limit"]), parameters["retry_after"]
    return throttled(call, limit, retry, str(parameters["code"]))


def _claims(_parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
    return refusal(
        call,
        401,
        "InvalidAuthenticationToken",
        "Continuous access evaluation resulted in challenge with result: InteractionRequired"
        " and code: TokenIssuedBeforeRevocationTimestamp",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def _retry(parameters: Parameters) -> dict[str, str]:
    retry = parameters["retry_after"]
    return {} if retry is None else {"Retry-After": str(retry)}


# ---- meanwhile --------------------------------------------------------------------------------


def _before(world: World, change: Callable[[Messages, int, Parameters], None]) -> Around:
    def around(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
        user = world.accounts.find_user(call.user)
        if user is not None:
            with world.store.transaction():
                folders = Folders(world.store, user)
                messages = Messages(world.store, world.clock, user, folders)
                try:
                    row = messages.find(str(call.arguments.get("message", "")))
                except MalformedIdError:
                    row = None
                if row is not None:
                    change(messages, row["pk"], parameters)
        return proceed()

    return around


def _noting(note: str, parameter: str) -> Around:
    def around(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
        call.notes[note] = parameters[parameter]
        return proceed()

    return around


def _delete(messages: Messages, pk: int, _parameters: Parameters) -> None:
    messages.delete(pk)


def _move(messages: Messages, pk: int, parameters: Parameters) -> None:
    messages.move(pk, messages.folders.named(str(parameters["folder"])))


# ---- batches ----------------------------------------------------------------------------------


def _partial(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    response = proceed()
    body = json.loads(response.get_data())
    status = int(parameters["status"])
    for number, part in enumerate(sorted(body.get("responses", []), key=lambda one: one["id"])):
        if number % int(parameters["every"]):
            continue
        text = f"Application is over its {_LIMIT} limit."
        failed = refusal(call, status, str(parameters["code"]), text, headers=_retry(parameters))
        part["status"], part["headers"] = status, dict(failed.headers)
        part["body"] = json.loads(failed.get_data())
    response.set_data(json.dumps(body))
    return response


def _missing(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    body = json.loads(response.get_data())
    del body.get("responses", [])[: int(parameters["count"])]
    response.set_data(json.dumps(body))
    return response
