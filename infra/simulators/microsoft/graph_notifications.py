"""Decides what subscriptions are told: changes, and what becomes of the subscription itself.

Sources: learn.microsoft.com/graph/change-notifications-delivery-webhooks and
…/change-notifications-lifecycle-events. A message that moves is deleted in one folder and created
in the other.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import secrets
import threading
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infra.simulators.kit.courier import OPENER, Push
from infra.simulators.microsoft.answers import refusal
from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.graph_subscriptions import IMMUTABLE, MADE, PAUSED, RESOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.courier import Written
    from infra.simulators.microsoft.accounts import User
    from infra.simulators.microsoft.messages import Change
    from infra.simulators.microsoft.world import World

LIFECYCLE_EVENTS = ("reauthorizationRequired", "subscriptionRemoved", "missed")
FORGERIES = ("client_state", "subscription", "no_client_state")
_PROVED_WITHIN_SECONDS = 10.0
_ANSWERED_WITHIN_SECONDS = 3.0
_REACHABLE = "Validation: Testing client application reachability for subscription"
_LONGEST_ANSWER = 10_000
_OK = 200


class Notifier:
    """Tells subscriptions."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._unproved: set[str] = set()

    # ---- proving ------------------------------------------------------------------------------

    def hold_back(self, call: Call) -> None:
        """Tell a subscription that was just made nothing for now."""
        with self._lock:
            self._unproved.add(call.notes[MADE]["id"])

    def proved(self, call: Call, response: Response) -> Response:
        """Return the answer to who subscribed, once the URLs have said that they want it.

        Not to be called with the state locked: whoever is asked may ask us something first.
        """
        made = call.notes[MADE]
        urls = dict.fromkeys([made["notificationUrl"], made["lifecycleNotificationUrl"]])
        refused = next((text for url in urls if url and (text := _unwelcome(url))), "")
        if refused:
            self._world.store.execute("delete from subscriptions where id = ?", made["id"])
            response = refusal(call, 400, "ValidationError", refused)
        with self._lock:
            self._unproved.discard(made["id"])
        return response

    # ---- telling ------------------------------------------------------------------------------

    def heard(self, change: Change) -> None:
        """Tell a change to every subscription that asked for its kind and place."""
        user = self._world.accounts.user_of(change.user)
        for one in self._live(user):
            kinds = str(one["changeType"]).split(",")
            if one[PAUSED] or change.kind not in kinds or not self._is_there(one, user, change):
                continue
            self._send(user, one, one["notificationUrl"], self._resource(one, user, change))

    def lifecycle(self, user: User, event: str) -> int:
        """Tell a user's subscriptions of themselves; returns how many hear it.

        Raises ValueError for an event that there is not.
        """
        if event not in LIFECYCLE_EVENTS:
            raise ValueError(f"event is one of {', '.join(LIFECYCLE_EVENTS)}")
        told = 0
        for one in list(self._live(user)):
            store = self._world.store
            if event == "subscriptionRemoved":
                store.execute("delete from subscriptions where id = ?", one["id"])
            elif event == "reauthorizationRequired":
                data = json.dumps({**one, PAUSED: True})
                store.execute("update subscriptions set data = ? where id = ?", data, one["id"])
            if one["lifecycleNotificationUrl"]:
                self._send(user, one, one["lifecycleNotificationUrl"], {"lifecycleEvent": event})
                told += 1
        return told

    def count(self, user: User) -> int:
        """Return how many live ones a user has."""
        return sum(1 for _ in self._live(user))

    def _live(self, user: User) -> Iterator[dict[str, Any]]:
        now = self._world.clock.now()
        for row in self._world.store.rows(
            "select data from subscriptions where user = ? order by id", user.pk
        ):
            # Those of before there were notifications have no more than what is shown.
            one = {IMMUTABLE: False, PAUSED: False, **json.loads(row["data"])}
            if dt.datetime.fromisoformat(one["expirationDateTime"]) > now:
                with self._lock:
                    is_proved = one["id"] not in self._unproved
                if is_proved:
                    yield one

    def _is_there(self, one: Mapping[str, Any], user: User, change: Change) -> bool:
        found = RESOURCE.match(one["resource"])
        name = found and (found["keyed"] or found["folder"])
        if not name:
            return True
        folder = Folders(self._world.store, user).find(name)
        return folder is not None and folder.pk == change.folder

    def _resource(self, one: Mapping[str, Any], user: User, change: Change) -> dict[str, Any]:
        namer = Folders(self._world.store, user).namer
        name = namer.message(change.folder, change.item)
        if one[IMMUTABLE]:
            name = namer.immutable(change.message)
        place = f"Users/{user.graph_id}/Messages/{name}"
        return {
            "changeType": change.kind,
            "resource": place,
            "resourceData": {
                "@odata.type": "#Microsoft.Graph.Message",
                "@odata.id": place,
                "@odata.etag": f'W/"{namer.change_key(change.seq)}"',
                "id": name,
            },
        }

    def _send(self, user: User, one: Mapping[str, Any], url: str, said: Mapping[str, Any]) -> None:
        value = {
            "subscriptionId": one["id"],
            "subscriptionExpirationDateTime": one["expirationDateTime"],
            "tenantId": user.tid,
            "clientState": one["clientState"],
            **said,
        }
        self._world.service.courier.send(
            Push(
                user.address,
                url,
                value,
                _written,
                together=True,
                timeout_seconds=_ANSWERED_WITHIN_SECONDS,
            )
        )


def _written(values: Sequence[Any], forged: str) -> Written:
    forgeries: dict[str, dict[str, str | None]] = {
        "client_state": {"clientState": secrets.token_urlsafe(24)},
        "subscription": {"subscriptionId": str(uuid.uuid4())},
        "no_client_state": {"clientState": None},
    }
    wrong = forgeries.get(forged, {})
    body = {"value": [{**value, **wrong} for value in values]}
    return {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()


def _unwelcome(url: str) -> str:
    """Ask a URL whether it wants notifications. Returns why not, or ""."""
    token = f"{_REACHABLE} Request-Id: {uuid.uuid4()}"
    mark = "&" if "?" in url else "?"
    request = urllib.request.Request(
        f"{url}{mark}validationToken={quote(token, safe='')}",
        b"",
        {"Content-Type": "text/plain; charset=utf-8"},
        method="POST",
    )
    try:
        with OPENER.open(request, timeout=_PROVED_WITHIN_SECONDS) as answer:
            kind = answer.headers.get_content_type()
            said = answer.read(_LONGEST_ANSWER).decode("utf-8", "replace")
            is_right = (answer.status, kind, said) == (_OK, "text/plain", token)
    except TimeoutError:
        return "Subscription validation request timed out."
    except urllib.error.HTTPError as error:
        error.close()
        is_right = False
    except (OSError, ValueError, http.client.HTTPException):
        return "Subscription validation request failed. The notification endpoint was not reached."
    if is_right:
        return ""
    return (
        "Subscription validation request failed. Notification endpoint must respond with 200 OK to"
        " validation request."
    )
