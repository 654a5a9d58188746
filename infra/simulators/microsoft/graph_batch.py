"""Decides how a JSON batch runs: up to twenty parts, each a request of its own."""

from __future__ import annotations

import base64
import binascii
import json
import random
from typing import TYPE_CHECKING, Any

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from infra.simulators.kit.call import Call
from infra.simulators.microsoft.answers import refusal, refuse
from infra.simulators.microsoft.paths import usual_path

if TYPE_CHECKING:
    from infra.simulators.microsoft.graph_call import GraphCall

MOST = 20
_AT_ONCE = 4
_METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")
_FAILED = 400


def batch(graph: GraphCall) -> Response:
    """Run the parts of a batch and answer with all their answers, in any order."""
    parts = _checked(graph)
    key = (graph.bearer.client, graph.bearer.user.address)
    answers: dict[str, dict[str, Any]] = {}
    with graph.world.throttle.places(key, min(_AT_ONCE, len(parts))) as places:
        for number, part in enumerate(parts):
            # Four run at a time; who finds the places taken by other requests is refused.
            is_crowded = number % _AT_ONCE >= max(places, 0) and places < min(_AT_ONCE, len(parts))
            answers[part["id"]] = _run(graph, part, answers, is_crowded=is_crowded)
    found = list(answers.values())
    random.Random(graph.call.log_id).shuffle(found)  # noqa: S311 - no secret
    return graph.answer({"responses": found})


def _checked(graph: GraphCall) -> list[dict[str, Any]]:
    parts = graph.body().get("requests")
    if not isinstance(parts, list) or not parts:
        refuse(graph.call, 400, "BadRequest", "Invalid batch payload format.")
    if len(parts) > MOST:
        refuse(
            graph.call,
            400,
            "BadRequest",
            f"Number of batch request steps exceeds the maximum value of {MOST}.",
        )
    seen: set[str] = set()
    for part in parts:
        _check_part(graph, part, seen)
        seen.add(str(part["id"]).lower())
    return [{**part, "id": str(part["id"])} for part in parts]


def _check_part(graph: GraphCall, part: Any, seen: set[str]) -> None:
    if not isinstance(part, dict) or not {"id", "method", "url"} <= part.keys():
        refuse(graph.call, 400, "BadRequest", "Every request needs an id, a method and a url.")
    if str(part["id"]).lower() in seen:
        refuse(graph.call, 400, "BadRequest", f"Duplicate request id '{part['id']}'.")
    if str(part["method"]).upper() not in _METHODS or "://" in str(part["url"]):
        refuse(graph.call, 400, "BadRequest", "Invalid method or url of a request.")
    if not isinstance(part.get("dependsOn", []), list) or not isinstance(
        part.get("headers", {}), dict
    ):
        refuse(graph.call, 400, "BadRequest", "Invalid dependsOn or headers of a request.")
    for other in part.get("dependsOn", []):
        if str(other).lower() not in seen:
            refuse(graph.call, 400, "BadRequest", f"Unknown request id '{other}' in dependsOn.")
    headers = {str(name).lower() for name in part.get("headers", {})}
    if part.get("body") is not None and "content-type" not in headers:
        refuse(graph.call, 400, "BadRequest", "A request with a body needs a Content-Type header.")


def _run(
    graph: GraphCall,
    part: dict[str, Any],
    answers: dict[str, dict[str, Any]],
    *,
    is_crowded: bool,
) -> dict[str, Any]:
    call = Call(_request(graph, part), batch=graph.call.log_id)
    call.notes["crowded"] = is_crowded
    call.notes |= {k: v for k, v in graph.call.notes.items() if k == "now"}
    failed = [
        other
        for other in part.get("dependsOn", [])
        if answers[_key(answers, other)]["status"] >= _FAILED
    ]
    if failed:
        response = refusal(call, 424, "FailedDependency", f"Request '{failed[0]}' has failed.")
    else:
        response = graph.world.service.answer(call)
    return {"id": part["id"], "status": response.status_code, **_told(response)}


def _key(answers: dict[str, dict[str, Any]], name: Any) -> str:
    return next(one for one in answers if one.lower() == str(name).lower())


def _request(graph: GraphCall, part: dict[str, Any]) -> Request:
    url = str(part["url"]).lstrip("/")
    path, _, query = url.partition("?")
    headers = {"Authorization": graph.request.headers["Authorization"]}
    headers |= {str(name): str(value) for name, value in part.get("headers", {}).items()}
    builder = EnvironBuilder(
        path=f"/v1.0/{path}",
        method=str(part["method"]).upper(),
        query_string=query,
        headers=list(headers.items()),
        data=_body(part),
        base_url=graph.request.host_url,
    )
    environ = builder.get_environ()
    environ["PATH_INFO"] = usual_path(environ["PATH_INFO"])
    return Request(environ)


def _body(part: dict[str, Any]) -> bytes:
    body = part.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        return json.dumps(body).encode()
    headers = {str(name).lower(): str(value) for name, value in part.get("headers", {}).items()}
    if headers.get("content-type", "").startswith(("text/", "application/json")):
        return body.encode()
    try:
        return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        return body.encode()


def _told(response: Response) -> dict[str, Any]:
    told: dict[str, Any] = {
        "headers": {
            name: value for name, value in response.headers.items() if name != "Content-Length"
        }
    }
    data = response.get_data()
    if not data:
        return told
    if response.mimetype == "application/json":
        try:
            return {**told, "body": json.loads(data)}
        except ValueError:
            pass
    return {**told, "body": base64.b64encode(data).decode()}
