"""Handlers on in-memory stores: what `wiring` builds is replaced port by port, and requests are HTTP API events."""

import importlib
import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared import wiring
from shared.operations.connect_mailbox import ConnectPolicy
from tests.fakes.clock import FixedClock
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryBackfillStore,
    InMemoryContactStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    InMemoryRunStore,
    World,
)

HTTP = ("connect_mailbox", "disconnect_mailbox", "manage_mailboxes", "read_mail")


def context() -> Any:
    return SimpleNamespace(
        function_name="mailroom-test",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:mailroom-test",
        aws_request_id="request-of-lambda",
        get_remaining_time_in_millis=lambda: 60_000,
    )


def http_event(
    method: str,
    target: str,
    *,
    body: Any = None,
    claims: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what API Gateway's HTTP API hands over (payload 2.0)."""
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True) + list((query or {}).items())
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    request_context: dict[str, Any] = {
        "requestId": "request-of-gateway",
        "stage": "$default",
        "http": {"method": method, "path": parts.path, "sourceIp": "192.0.2.1"},
    }
    if claims is not None:
        request_context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return {
        "version": "2.0",
        "routeKey": f"{method} {parts.path}",
        "rawPath": parts.path,
        "rawQueryString": urlencode(pairs),
        "queryStringParameters": {name: str(value) for name, value in pairs} or None,
        "headers": {"content-type": "application/json", **(headers or {})},
        "requestContext": request_context,
        "body": text,
        "isBase64Encoded": False,
    }


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Deployment:
    """The product on fakes. `user` asks as somebody; `as_admin` says how."""

    tester: Any = None
    world: World = field(default_factory=World)
    clock: FixedClock = field(default_factory=FixedClock)
    queues: RecordingWorkQueues = field(default_factory=RecordingWorkQueues)
    secrets: InMemorySecretStore = field(default_factory=InMemorySecretStore)
    policy: ConnectPolicy = field(default_factory=ConnectPolicy)

    def __post_init__(self) -> None:
        self.mailboxes = InMemoryMailboxStore(self.world)
        self.messages = InMemoryMessageStore(self.world)
        self.contacts = InMemoryContactStore(self.world)
        self.backfills = InMemoryBackfillStore(self.world)
        self.runs = InMemoryRunStore(self.world)
        self.attachments = InMemoryAttachmentStore(self.world)

    def install(self, monkeypatch: Any) -> "Deployment":
        """Have `wiring` give out these."""
        for name in (
            "mailboxes", "messages", "contacts", "backfills", "runs", "attachments",
            "queues", "secrets", "clock",
        ):  # fmt: skip
            monkeypatch.setattr(wiring, name, lambda name=name: getattr(self, name))
        monkeypatch.setattr(wiring, "server_tester", lambda: self.tester)
        monkeypatch.setattr(wiring, "connect_policy", lambda: self.policy)
        return self

    def handle(self, event: dict[str, Any]) -> Answer:
        """Answer as the function does that has the route."""
        method, path = event["requestContext"]["http"]["method"], event["rawPath"]
        handler = importlib.import_module(f"functions.{function_of(method, path)}.handler")
        answer = handler.lambda_handler(event, context())
        return Answer(answer["statusCode"], answer["headers"], answer.get("body") or "")

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: Any = None,
        tenant: str = "acme",
        user: str = "ann",
        roles: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> Answer:
        claims = {"sub": user, "tenant_id": tenant}
        if roles is not None:
            claims["roles"] = roles
        event = http_event(method, target, body=body, claims=claims, headers=headers, query=query)
        return self.handle(event)


def function_of(method: str, path: str) -> str:
    """Return which function has a route, as the resolvers themselves say."""
    for name in HTTP:
        app = importlib.import_module(f"functions.{name}.handler").app
        routes = [*app._static_routes, *app._dynamic_routes]
        if any(route.method == method and route.rule.match(path) for route in routes):
            return name
    return "read_mail"
