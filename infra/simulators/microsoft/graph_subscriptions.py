"""Decides how subscriptions live: made, renewed, ended. What they are told: graph_notifications."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from infra.simulators.microsoft.answers import refuse

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.graph_call import GraphCall

_LONGEST = dt.timedelta(minutes=10_080)
_SHORTEST = dt.timedelta(minutes=45)
_CLIENT_STATE = 128
IMMUTABLE, PAUSED = "- immutable", "- paused"
"""Kept with a subscription and never shown: which ids it is told, and whether it is told nothing
until it is authorized anew."""
RESOURCE = re.compile(
    r"/?(me|users/[^/]+)(/mailFolders(\('(?P<keyed>[^']+)'\)|/(?P<folder>[^/]+)))?/messages(\?.*)?$",
    re.IGNORECASE,
)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
MADE = "subscription"
"""Note of a call that made one: what it is to be told is held back until its URLs are proved."""


def create(graph: GraphCall) -> Response:
    """Make a subscription."""
    body = graph.body()
    for name in ("changeType", "notificationUrl", "resource", "expirationDateTime"):
        if not body.get(name):
            _refuse(graph, f"{name} must not be empty.")
    if not RESOURCE.match(str(body["resource"])):
        _refuse(graph, f"Resource '{body['resource']}' is not supported.")
    if not set(str(body["changeType"]).split(",")) <= {"created", "updated", "deleted"}:
        _refuse(graph, "changeType is created, updated, deleted or several of them.")
    for name in ("notificationUrl", "lifecycleNotificationUrl"):
        if body.get(name) and not _is_taken(str(body[name])):
            _refuse(graph, f"{name} must begin with https.")
    if len(str(body.get("clientState") or "")) > _CLIENT_STATE:
        _refuse(graph, "clientState is longer than 128 characters.")
    made = {
        "id": str(uuid.uuid4()),
        "resource": body["resource"],
        "applicationId": graph.bearer.client,
        "changeType": body["changeType"],
        "clientState": body.get("clientState"),
        "notificationUrl": body["notificationUrl"],
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": body.get("lifecycleNotificationUrl"),
        "expirationDateTime": _until(graph, body["expirationDateTime"]),
        "creatorId": graph.user.graph_id,
        "includeResourceData": None,
        "latestSupportedTlsVersion": body.get("latestSupportedTlsVersion", "v1_2"),
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }
    graph.world.store.execute(
        "insert into subscriptions values (?, ?, ?, ?)",
        *(made["id"], graph.user.pk, graph.bearer.client, json.dumps({**made, **_apart(graph)})),
    )
    graph.call.notes[MADE] = made
    graph.world.notifier.hold_back(graph.call)
    return _told(graph, made, 201)


def list_all(graph: GraphCall) -> Response:
    """List the application's subscriptions of this user."""
    value = [_shown(one) for one in _held(graph)]
    context = f"{graph.root}/$metadata#subscriptions"
    return graph.answer({"@odata.context": context, "value": value})


def get(graph: GraphCall) -> Response:
    """Return one subscription."""
    return _told(graph, _found(graph))


def renew(graph: GraphCall) -> Response:
    """Let a subscription live longer."""
    found = _found(graph)
    found["expirationDateTime"] = _until(graph, graph.body().get("expirationDateTime"))
    _write(graph, {**found, PAUSED: False})
    return _told(graph, found)


def delete(graph: GraphCall) -> Response:
    """End a subscription."""
    graph.world.store.execute("delete from subscriptions where id = ?", _found(graph)["id"])
    return graph.answer(status=204)


def reauthorize(graph: GraphCall) -> Response:
    """Confirm a subscription after a reauthorizationRequired notification."""
    _write(graph, {**_found(graph), PAUSED: False})
    return graph.answer(status=204)


def _held(graph: GraphCall) -> list[dict[str, Any]]:
    rows = graph.world.store.rows(
        "select data from subscriptions where user = ? and client = ? order by id",
        *(graph.user.pk, graph.bearer.client),
    )
    now = graph.world.clock.now()
    found = [json.loads(row["data"]) for row in rows]
    return [one for one in found if dt.datetime.fromisoformat(one["expirationDateTime"]) > now]


def _found(graph: GraphCall) -> dict[str, Any]:
    held = {one["id"]: one for one in _held(graph)}
    if graph.call.arguments["id"] not in held:
        refuse(graph.call, 404, "ResourceNotFound", "The object was not found.")
    return held[graph.call.arguments["id"]]


def _until(graph: GraphCall, text: Any) -> str:
    now = graph.world.clock.now()
    try:
        until = dt.datetime.fromisoformat(str(text))
    except ValueError:
        _refuse(graph, "expirationDateTime is no date.")
    if until.tzinfo is None or until <= now:
        _refuse(graph, "Subscription expiration must be in the future.")
    if until > now + _LONGEST:
        _refuse(graph, "Subscription expiration can only be 10080 minutes in the future.")
    until = max(until, now + _SHORTEST)
    return until.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def _apart(graph: GraphCall) -> dict[str, Any]:
    return {IMMUTABLE: graph.painter.wishes.immutable, PAUSED: False}


def _write(graph: GraphCall, one: dict[str, Any]) -> None:
    graph.world.store.execute(
        "update subscriptions set data = ? where id = ?", json.dumps(one), one["id"]
    )


def _is_taken(url: str) -> bool:
    # This machine's own is taken without TLS, so that who tries it needs no certificate.
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    # Whoever reads a list must not learn what notifications are proved with.
    return {**_public(one), "clientState": None}


def _public(one: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in one.items() if name not in (IMMUTABLE, PAUSED)}


def _told(graph: GraphCall, one: dict[str, Any], status: int = 200) -> Response:
    context = f"{graph.root}/$metadata#subscriptions/$entity"
    return graph.answer({"@odata.context": context, **_public(one)}, status)


def _refuse(graph: GraphCall, text: str) -> NoReturn:
    refuse(graph.call, 400, "InvalidRequest", text)
