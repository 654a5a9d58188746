"""Decides how Graph is asked to tell of a mailbox's changes: a subscription to all its messages.

One subscription for every folder, for whichever are synced; its end, and whatever else becomes of
it, is told at the same URL. Sources: learn.microsoft.com/graph/api/resources/subscription,
…/graph/change-notifications-delivery-webhooks.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mailbox import Watch
from shared.ports.push import WatchTarget
from shared.providers.outlook import errors
from shared.providers.outlook.entries import instant
from shared.providers.outlook.graph import NOT_FOUND, OK, Graph, Reply

_CREATED, _FORBIDDEN = 201, 403
_NAME_LENGTH = 100


def subscribe(graph: Graph, target: WatchTarget) -> Watch:
    """Make a subscription; see `WatchedSession.watch`.

    One whose answer is lost tells in vain until it ends: nobody here knows it by name.
    """
    wanted = {
        "changeType": "created,updated,deleted",
        "notificationUrl": target.place,
        "lifecycleNotificationUrl": target.place,
        "resource": "me/messages",
        "expirationDateTime": _text(target.until),
        "clientState": target.client_state.reveal() if target.client_state else "",
        "latestSupportedTlsVersion": "v1_2",
    }
    reply = graph.write("POST", "/subscriptions", body=orjson.dumps(wanted))
    if reply.status != _CREATED:
        raise errors.from_subscribing(reply.status, reply.body, reply.failure())
    return _watch(reply)


def extend(graph: Graph, name: str, until: datetime) -> Watch | None:
    """Let a subscription live longer; None where there is none of ours by that name.

    That also grants a new authorization where Graph has asked for one.
    """
    body = orjson.dumps({"expirationDateTime": _text(until)})
    reply = graph.write("PATCH", _path(name), body=body)
    # Another sign-in's is refused: whether that is the reason, a new one of this one's shows.
    if reply.status in (NOT_FOUND, _FORBIDDEN):
        return None
    if reply.status != OK:
        raise reply.failure()
    return _watch(reply)


def unsubscribe(graph: Graph, name: str) -> None:
    """End a subscription; one that is gone is no error."""
    reply = graph.write("DELETE", _path(name))
    if not reply.done and reply.status != NOT_FOUND:
        raise reply.failure()


def _watch(reply: Reply) -> Watch:
    body = reply.body if isinstance(reply.body, Mapping) else {}
    name, ends = body.get("id"), instant(body.get("expirationDateTime"))
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LENGTH or ends is None:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a subscription without end")
    return Watch(name, ends)


def _path(name: str) -> str:
    return f"/subscriptions/{quote(name, safe='')}"


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
