"""Decides who is told of a mailbox's changes: topics, their push subscriptions, and watches.

Gmail publishes to a topic, Cloud Pub/Sub posts what was published to the topic's subscription with
an OpenID Connect token (cloud.google.com/pubsub/docs/authenticate-push-subscriptions), until it
is taken. More than one change a second and mailbox is not told (…/gmail/api/guides/push).
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.mailbox import Change
from infra.simulators.kit.courier import Push
from infra.simulators.kit.mailbox import NoSuchThingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.simulators.google.accounts import Accounts
    from infra.simulators.google.gate import ApiCall, Handler
    from infra.simulators.google.signing import Signer
    from infra.simulators.google.world import World
    from infra.simulators.kit.courier import Courier, Written

WATCH_SECONDS = 7 * 86_400
FORGERIES = ("signature", "audience", "email", "issuer", "unverified", "expired", "no_token")
_ACKNOWLEDGED_WITHIN_SECONDS = 10.0
_PUSHED_AS = "push@mailroom-simulated.iam.gserviceaccount.com"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, with its one push subscription where it has an endpoint.

    Attributes:
        name: `projects/<project id>/topics/<topic>`.
        endpoint: where pushes are posted to; "" keeps what is published to itself.
        service_account: whose token comes with a push; "" sends none.
        audience: of the token; the endpoint when "".
        gmail_may_publish: gmail-api-push@system.gserviceaccount.com is a publisher of it.
    """

    name: str
    endpoint: str = ""
    service_account: str = _PUSHED_AS
    audience: str = ""
    gmail_may_publish: bool = True

    @property
    def subscription(self) -> str:
        """The name of its subscription."""
        return self.name.replace("/topics/", "/subscriptions/")


class PubSub:
    """Topics and watches; publishes what mailboxes tell."""

    def __init__(self, world: World, accounts: Accounts, signer: Signer) -> None:
        self._world = world
        self._store = world.store
        self._accounts = accounts
        self._signer = signer
        self._lock = threading.Lock()
        self._told: dict[tuple[str, str], float] = {}
        self.courier: Courier

    # ---- topics -------------------------------------------------------------------------------

    def add_topic(self, name: str, **options: Any) -> None:
        """Make a topic or replace it. Options are those of `Topic`."""
        topic = Topic(name, **options)
        if not _is_topic_name(name):
            raise ValueError(f"no name of a topic: {name}")
        self._store.execute(
            "INSERT OR REPLACE INTO topics VALUES (?, ?)", name, json.dumps(asdict(topic))
        )

    def delete_topic(self, name: str) -> None:
        """Delete a topic; what watches it is told nothing. Raises NoSuchThingError."""
        if not self._store.execute("DELETE FROM topics WHERE name = ?", name):
            raise NoSuchThingError(f"no topic {name}")

    def topics(self) -> list[dict[str, Any]]:
        """Return all topics."""
        return [json.loads(row[0]) for row in self._store.rows("SELECT data FROM topics")]

    def _topic(self, name: str) -> Topic | None:
        data = self._store.value("SELECT data FROM topics WHERE name = ?", name)
        return None if data is None else Topic(**json.loads(data))

    # ---- watch and stop -----------------------------------------------------------------------

    def handlers(self) -> dict[str, Handler]:
        """Return the functions by method."""
        return {"watch": self._watch, "stop": self._stop}

    def watches(self) -> list[dict[str, Any]]:
        """Return all watches, those that are over too."""
        rows = self._store.rows("SELECT * FROM watches ORDER BY address, project")
        return [{**dict(row), "labels": json.loads(row["labels"])} for row in rows]

    def _watch(self, call: ApiCall) -> dict[str, Any]:
        name = str(call.body.get("topicName", ""))
        project, project_id = self._project(call)
        if not _is_topic_name(name) or project_id not in ("", name.split("/")[1]):
            wanted = f"projects/{project_id or '<project>'}/topics/*"
            raise answers.invalid(f"Invalid topicName does not match {wanted}: {name}")
        labels = call.body.get("labelIds", [])
        for label in labels:
            if not call.mailbox.has_label(label):
                raise answers.invalid(f"Invalid label: {label}")
        self._check_topic(name)
        now = self._world.clock.epoch()
        others = self._store.value(
            "SELECT COUNT(*) FROM watches"
            " WHERE address = ? AND project = ? AND topic != ? AND expires_at > ?",
            *(call.mailbox.address, project, name, now),
        )
        if others:
            raise answers.another_watch()
        behavior = call.body.get("labelFilterBehavior") or call.body.get("labelFilterAction") or ""
        values = (call.mailbox.address, project, name, json.dumps(labels), behavior)
        self._store.execute(
            "INSERT OR REPLACE INTO watches VALUES (?, ?, ?, ?, ?, ?)",
            *(*values, now + WATCH_SECONDS),
        )
        history_id = str(call.mailbox.history_id())
        self._store.tell(Change(call.mailbox.address, frozenset(), history_id, begins_watch=True))
        return {"historyId": history_id, "expiration": str(int((now + WATCH_SECONDS) * 1000))}

    def _stop(self, call: ApiCall) -> None:
        self._store.execute(
            "DELETE FROM watches WHERE address = ? AND project = ?",
            call.mailbox.address,
            self._project(call)[0],
        )

    def _project(self, call: ApiCall) -> tuple[str, str]:
        client = self._accounts.client(call.token.client_id)
        return (client.options.project, client.options.project_id) if client else ("", "")

    def _check_topic(self, name: str) -> None:
        topic = self._topic(name)
        if topic is None:
            raise answers.no_such_topic(name)
        if not topic.gmail_may_publish:
            raise answers.may_not_publish(name)

    # ---- telling ------------------------------------------------------------------------------

    def heard(self, news: Change) -> None:
        """Publish a change to every topic that is to be told."""
        now = self._world.clock.epoch()
        for row in self._store.rows(
            "SELECT * FROM watches WHERE address = ? AND expires_at > ?", news.address, now
        ):
            topic = self._topic(row["topic"])
            if topic is None or not topic.gmail_may_publish or not topic.endpoint:
                continue
            if not _is_wanted(news, frozenset(json.loads(row["labels"])), row["behavior"]):
                continue
            key = (news.address, topic.name)
            with self._lock:
                if now - self._told.get(key, 0) < self._world.limits.push_seconds:
                    continue
                self._told[key] = now
            self._publish(topic, news)

    def _publish(self, topic: Topic, news: Change) -> None:
        said = {"emailAddress": news.address, "historyId": int(news.history_id)}
        name = str(secrets.randbelow(10**16))
        at = self._world.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = {
            "data": base64.b64encode(json.dumps(said, separators=(",", ":")).encode()).decode(),
            # In both spellings, as Pub/Sub does.
            "messageId": name,
            "message_id": name,
            "publishTime": at,
            "publish_time": at,
        }

        def written(values: Sequence[Any], forged: str) -> Written:
            body = {"message": values[0], "subscription": topic.subscription}
            return self._headers(topic, forged), json.dumps(body).encode()

        self.courier.send(
            Push(
                news.address,
                topic.endpoint,
                message,
                written,
                timeout_seconds=_ACKNOWLEDGED_WITHIN_SECONDS,
            )
        )

    def _headers(self, topic: Topic, forged: str) -> Mapping[str, str]:
        headers = {
            "Content-Type": "application/json",
            "From": "noreply@google.com",
            "User-Agent": "CloudPubSub-Google",
        }
        if topic.service_account and forged != "no_token":
            token = self._signer.service_token(
                topic.service_account, topic.audience or topic.endpoint, forged=forged
            )
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _is_topic_name(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 4 and parts[0::2] == ["projects", "topics"] and all(parts)  # noqa: PLR2004


def _is_wanted(news: Change, labels: frozenset[str], behavior: str) -> bool:
    if not labels or news.begins_watch:
        return True
    return bool(news.labels & labels) != (behavior.lower() == "exclude")
