"""Where a flow can be interrupted: before and after each call to AWS or a provider, and how.

A call is numbered when it begins. AWS calls are heard through botocore's own events, so the
adapters run as they ship; provider calls through proxies around the ports.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import RLock, local
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from shared.domain.errors import ErrorCode, RetryLaterError


class Death(BaseException):
    """The process ends here. No `except Exception` may swallow it."""


class Kind(StrEnum):
    """What happens at a call."""

    BEFORE = "dies before"
    AFTER = "dies after"
    LOST = "loses the answer"
    """It was carried out, and the caller is told of a timeout."""
    DOUBLED = "is sent twice"
    """The answer was lost on the way, and the SDK sent the same request again."""
    THROTTLED = "is throttled"
    """It was not carried out, and the caller is asked to slow down."""


READS = frozenset(
    {
        "BatchGetItem",
        "Decrypt",
        "Encrypt",
        "GetItem",
        "GetObject",
        "GetSecretValue",
        "HeadObject",
        "ListMultipartUploads",
        "ListObjectsV2",
        "ListSecrets",
        "Query",
        "Scan",
    }
)
"""AWS operations that change nothing; every other one is a side effect."""
ANSWERED_ALIKE = frozenset({"CreateSecret", "PutSecretValue", "TransactWriteItems"})
"""Sent twice, these are carried out once: the SDK adds a token, and the service knows it again."""
THROTTLE_CODES = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "kms": "ThrottlingException",
    "s3": "SlowDown",
    "secretsmanager": "ThrottlingException",
    "sqs": "RequestThrottled",
}


@dataclass(frozen=True)
class Call:
    """One call to the world outside the process."""

    name: str
    is_effect: bool
    """Whether it may change something, as opposed to reading."""
    is_ours: bool
    """Whether AWS was called, as opposed to a provider."""

    @property
    def operation(self) -> str:
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Interruption:
    """What happens at the call numbered `at`."""

    kind: Kind
    at: int


@dataclass
class Interrupter:
    """Hears every call; interrupts one of them."""

    calls: list[Call] = field(default_factory=list)
    landed: list[str] = field(default_factory=list)
    """Side effects that were carried out."""
    interruption: Interruption | None = None
    fired: bool = False
    dead: bool = False
    """From the interruption on nothing of this process gets out, whatever its threads try."""
    watchers: list[Callable[[int, Call], None]] = field(default_factory=list)
    """Called before each call: to do something else in between, or to stand still."""
    _lock: Any = field(default_factory=RLock)
    _sending_now: local = field(default_factory=local)

    def arm(self, interruption: Interruption | None = None) -> None:
        """Begin to count anew."""
        self.calls, self.landed = [], []
        self.interruption, self.fired, self.dead = interruption, False, False

    def revive(self) -> None:
        """A new process has begun."""
        self.dead = False

    # ---- AWS ----

    def listen(self, client: Any) -> None:
        """Hear a botocore client."""
        events = client.meta.events
        events.register_first("before-call", self._before_aws)
        events.register_first("before-send", self._sending)
        events.register_last("after-call", self._after_aws)

    def unlisten(self, client: Any) -> None:
        """Hear it no longer."""
        events = client.meta.events
        events.unregister("before-call", self._before_aws)
        events.unregister("before-send", self._sending)
        events.unregister("after-call", self._after_aws)

    def _before_aws(
        self, model: Any, params: dict[str, Any], context: dict[str, Any], **_: Any
    ) -> None:
        name = f"{model.name} {_what(model, params)}".strip()
        number = self._begin(Call(name, model.name not in READS, is_ours=True))
        context["killpoint"] = self._sending_now.number = number
        if self._is_now(Kind.THROTTLED, number):
            code = THROTTLE_CODES[model.service_model.service_name]
            raise ClientError({"Error": {"Code": code, "Message": ""}}, model.name)

    def _sending(self, request: Any, **_: Any) -> None:
        # A request is sent by the thread that began the call.
        if self._is_now(Kind.DOUBLED, self._sending_now.number):
            botocore_stubber("before-send", request=request)
            request.reset_stream()

    def _after_aws(self, http_response: Any, context: dict[str, Any], **_: Any) -> None:
        number = context["killpoint"]
        self._end(number, landed=http_response.status_code < 300)
        if self._is_now(Kind.LOST, number):
            raise ReadTimeoutError(endpoint_url="https://aws.example")

    # ---- providers ----

    @contextmanager
    def provider_call(
        self, name: str, *, is_effect: bool = False, slow_down: Exception | None = None
    ) -> Iterator[None]:
        """Be around one call to a provider; `slow_down` is raised where it asks for that."""
        number = self._begin(Call(name, is_effect, is_ours=False))
        if self._is_now(Kind.THROTTLED, number):
            cause = "asked to slow down"
            raise slow_down or RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause)
        try:
            yield
        except Exception:  # boundary: a refusal is an answer too, and may be lost as well
            self._answered(number, landed=False)
            raise
        self._answered(number, landed=True)

    def _answered(self, number: int, *, landed: bool) -> None:
        self._end(number, landed=landed)
        if self._is_now(Kind.LOST, number):
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause="the answer was lost")

    # ---- both ----

    def _begin(self, call: Call) -> int:
        with self._lock:
            self._check()
            number = len(self.calls)
            self.calls.append(call)
        for watch in list(self.watchers):
            watch(number, call)
        if self._is_now(Kind.BEFORE, number):
            self._die()
        return number

    def _end(self, number: int, *, landed: bool = True) -> None:
        call = self.calls[number]
        if call.is_effect and landed:
            self.landed.append(call.name)
        if self._is_now(Kind.AFTER, number):
            self._die()
        self._check()

    def _is_now(self, kind: Kind, number: int) -> bool:
        with self._lock:
            wanted = self.interruption
            if self.fired or wanted is None or (wanted.kind, wanted.at) != (kind, number):
                return False
            self.fired = True
            return True

    def _die(self) -> None:
        self.dead = True
        raise Death

    def _check(self) -> None:
        if self.dead:
            raise Death


@dataclass
class Watched:
    """A port whose named methods are calls to a provider."""

    inner: Any
    interrupter: Interrupter
    calls: frozenset[str]
    effects: frozenset[str] = frozenset()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name not in self.calls | self.effects:
            return method

        def call(*given: Any, **named: Any) -> Any:
            with self.interrupter.provider_call(name, is_effect=name in self.effects):
                return method(*given, **named)

        return call


@dataclass
class WatchedMail:
    """The port `MailProvider`: opening a session, and each method of it, is a call."""

    inner: Any
    interrupter: Interrupter

    @contextmanager
    def open(self, grant: Any, *, seconds: float | None = None) -> Iterator[Any]:
        with self.interrupter.provider_call("open"):
            opened = self.inner.open(grant, seconds=seconds)
            session = opened.__enter__()
        try:
            yield WatchedSession(session, self.interrupter)
        finally:
            opened.__exit__(None, None, None)


SESSION = frozenset({"baseline", "changes", "list_window", "look", "search_window"})
STREAMS = frozenset({"apply", "fetch", "fetch_headers", "read_part"})


@dataclass
class WatchedSession:
    """The port `MailSession`."""

    inner: Any
    interrupter: Interrupter

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if name in STREAMS:

            def stream(*given: Any) -> Iterator[Any]:
                with self.interrupter.provider_call(name, is_effect=name == "apply"):
                    yield from method(*given)

            return stream
        if name not in SESSION:
            return method

        def call(*given: Any, **named: Any) -> Any:
            with self.interrupter.provider_call(name):
                return method(*given, **named)

        return call


def _what(model: Any, params: dict[str, Any]) -> str:
    """Return what a request is about, in few words: kinds of items, a queue, a folder of objects."""
    body = params.get("body")
    match model.service_model.service_name:
        case "dynamodb":
            return " ".join(sorted(set(_items(json.loads(body)))))
        case "sqs":
            return str(json.loads(body).get("QueueUrl", "")).rsplit("-", 1)[-1]
        case "s3":
            path = str(params.get("url_path", ""))
            kinds = ("attachments", "bodies", "outgoing")
            return next((one for one in kinds if one in path), "")
        case _:
            return ""


def _items(asked: Any) -> Iterator[str]:
    """Yield the kind of every item a request names, which its sort key begins with."""
    if isinstance(asked, dict):
        for name, value in asked.items():
            if name == "sk" and isinstance(value, dict) and "S" in value:
                yield kind_of(value["S"])
            elif name in {":pk", ":prefix"} and isinstance(value, dict):
                yield str(value.get("S", "")).rpartition("#")[0].rpartition("#")[2]
            else:
                yield from _items(value)
    elif isinstance(asked, list):
        for one in asked:
            yield from _items(one)


def kind_of(sort_key: str) -> str:
    """Return what kind of item has such a sort key."""
    first, *rest = sort_key.split("#")
    if first.isdigit():
        return "slot"
    return f"mailbox {rest[-1]}" if first == "mailbox" and rest else first
