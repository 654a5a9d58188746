"""Handlers on in-memory stores: what `wiring` builds is replaced port by port, and requests are HTTP API events."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared import (
    wiring,
    wiring_of_limits,
    wiring_of_push,
    wiring_of_sending,
    wiring_of_sign_ins,
)
from shared.domain.mailbox import Provider
from shared.operations.access import Grants
from shared.operations.authorize_connection import SignInPolicy
from shared.operations.begin_mailbox import BeginPorts
from shared.operations.complete_connection import CompletePorts
from shared.operations.connect_account import AccountPorts
from shared.operations.connect_mailbox import ConnectPolicy
from tests.fakes.activity import InMemoryActivityStore
from tests.fakes.attempts import InMemoryAttemptStore, InMemoryGrantHolders
from tests.fakes.audits import InMemoryAuditStore
from tests.fakes.changes import InMemoryChangeStore
from tests.fakes.clock import FixedClock
from tests.fakes.erasures import InMemoryErasureStore
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.push import InMemoryPushStore
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.rate_limits import InMemoryRateLimits
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.sends import InMemoryOutgoingStore, InMemorySendStore
from tests.fakes.sign_in import FakeAccounts, InMemoryOAuthClients
from tests.fakes.signatures import InMemorySignatureStore
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryBackfillStore,
    InMemoryContactStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    InMemoryRunStore,
    World,
)
from tests.fakes.threads import InMemoryThreadStore
from tests.fakes.uploads import InMemoryUploadStore

HTTP = (
    "complete_connection",
    "connect_mailbox",
    "disconnect_mailbox",
    "manage_mailboxes",
    "preview_backfill",
    "read_mail",
    "send_message",
)


def context() -> Any:
    return SimpleNamespace(
        function_name="mailroom-test",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-central-1:000000000000:function:mailroom-test",
        aws_request_id="request-of-lambda",
        get_remaining_time_in_millis=lambda: 300_000,
    )


def http_event(
    method: str,
    target: str,
    *,
    body: Any = None,
    claims: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    query: dict[str, Any] | None = None,
    cookies: Sequence[str] = (),
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return what API Gateway's HTTP API hands over (payload 2.0)."""
    parts = urlsplit(target)
    pairs = parse_qsl(parts.query, keep_blank_values=True) + list((query or {}).items())
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    request_context: dict[str, Any] = {
        "requestId": "request-of-gateway",
        "apiId": "api-of-ours",
        "stage": "$default",
        **({} if at is None else {"timeEpoch": int(at.timestamp() * 1000)}),
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
        **({"cookies": list(cookies)} if cookies else {}),
    }


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    cookies: list[str] = field(default_factory=list)

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
        self.mail_reader = InMemoryMailReader(self.world)
        self.contacts = InMemoryContactStore(self.world)
        self.backfills = InMemoryBackfillStore(self.world)
        self.activity = InMemoryActivityStore(self.world)
        self.audits = InMemoryAuditStore(self.world)
        self.runs = InMemoryRunStore(self.world)
        self.attachments = InMemoryAttachmentStore(self.world)
        self.letters = InMemoryDeadLetterStore(self.world)
        self.erasures = InMemoryErasureStore(self.world)
        self.policies = InMemoryPolicyStore(self.world)
        self.signatures = InMemorySignatureStore(self.world)
        self.openings = InMemoryOpeningStore(self.world)
        self.threads = InMemoryThreadStore(self.world)
        # Tests ask more often than people do, in time that stands still.
        self.rate_limits = InMemoryRateLimits(is_open=True)
        self.sends = InMemorySendStore(self.world)
        self.push_store = InMemoryPushStore(self.world)
        self.outgoing = InMemoryOutgoingStore(self.world)
        self.changes = InMemoryChangeStore(self.world)
        self.uploads = InMemoryUploadStore()
        self.attachment_reader = self.attachments
        self.are_openings_allowed = True
        self.attempts = InMemoryAttemptStore()
        self.grant_holders = InMemoryGrantHolders()
        self.accounts = {one: FakeAccounts(one) for one in (Provider.GMAIL, Provider.OUTLOOK)}
        self.oauth_clients = InMemoryOAuthClients()
        self.sign_ins = SignInPolicy(
            "https://api.example", ("https://app.example", "http://localhost:3000")
        )

    def install(self, monkeypatch: Any) -> "Deployment":
        """Have `wiring` give out these."""
        ours = {
            wiring: (
                "mailboxes", "messages", "mail_reader", "contacts", "backfills", "runs", "attachments", "letters",
                "activity", "audits", "erasures", "policies", "signatures", "openings", "threads", "sends", "outgoing",
                "changes",
                "are_openings_allowed", "queues", "secrets", "clock",
            ),
            wiring_of_limits: ("rate_limits",),
            wiring_of_sending: ("uploads", "attachment_reader"),
            wiring_of_push: ("push_store",),
            wiring_of_sign_ins: ("attempts", "grant_holders", "oauth_clients"),
        }  # fmt: skip
        for module, names in ours.items():
            for name in names:
                monkeypatch.setattr(module, name, lambda name=name: getattr(self, name))
        self.install_sign_ins(monkeypatch)
        monkeypatch.setattr(wiring, "server_tester", lambda: self.tester)
        monkeypatch.setattr(wiring, "connect_policy", lambda: self.policy)
        return self

    def install_sign_ins(self, monkeypatch: Any) -> None:
        """Give out the fakes of providers' sign-ins, and time that need not pass."""
        monkeypatch.setattr(wiring_of_sign_ins, "sign_in", self.accounts.__getitem__)
        monkeypatch.setattr(wiring_of_sign_ins, "account_reader", self.accounts.__getitem__)
        monkeypatch.setattr(wiring_of_sign_ins, "sign_in_policy", lambda _api_id: self.sign_ins)
        monkeypatch.setattr(wiring_of_sign_ins, "grants", self.grants)
        monkeypatch.setattr(wiring_of_sign_ins, "complete_ports", self.complete_ports)

    def grants(self) -> Grants:
        return Grants(
            wiring.secrets(),
            self.accounts.__getitem__,
            wiring_of_sign_ins.oauth_clients(),
            self.clock,
        )

    def complete_ports(self) -> CompletePorts:
        begin = BeginPorts(
            wiring.mailboxes(), wiring.backfills(), wiring.secrets(), wiring.queues(), self.clock
        )
        of = self.accounts.__getitem__
        account = AccountPorts(
            of, of, wiring_of_sign_ins.oauth_clients(), wiring_of_sign_ins.grant_holders(), begin
        )
        return CompletePorts(wiring_of_sign_ins.attempts(), account, self.clock.advance)

    def handle(self, event: dict[str, Any]) -> Answer:
        """Answer as the function does that has the route."""
        method, path = event["requestContext"]["http"]["method"], event["rawPath"]
        handler = importlib.import_module(f"functions.{function_of(method, path)}.handler")
        answer = handler.lambda_handler(event, context())
        return Answer(
            answer["statusCode"],
            answer["headers"],
            answer.get("body") or "",
            answer.get("cookies") or [],
        )

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
        cookies: Sequence[str] = (),
    ) -> Answer:
        claims = {"sub": user, "tenant_id": tenant}
        if roles is not None:
            claims["roles"] = roles
        event = http_event(
            method,
            target,
            body=body,
            claims=claims,
            headers=headers,
            query=query,
            cookies=cookies,
            at=self.clock.now(),
        )
        return self.handle(event)


def function_of(method: str, path: str) -> str:
    """Return which function has a route, as the resolvers themselves say."""
    for name in HTTP:
        app = importlib.import_module(f"functions.{name}.handler").app
        routes = [*app._static_routes, *app._dynamic_routes]
        if any(route.method == method and route.rule.match(path) for route in routes):
            return name
    return "read_mail"
