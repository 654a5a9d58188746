"""Decides how msal reaches Microsoft's sign-in: through our guarded client, with answers checked.

msal takes any object with `get` and `post`. What it would stumble over is settled before it sees
it: an answer that is no JSON object is the provider's trouble and never a refusal, and a lifetime
that is missing or no number is a short one. Descriptions of the sign-in are kept for a day; answers
of the token endpoint never, because a secret that was mended must not meet a refusal from before.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from shared.domain.errors import ConfigurationError, ErrorCode, RetryLaterError
from shared.providers.http import Answer, Requests
from shared.providers.outlook import errors
from shared.providers.outlook.throttling import wish_of

DOCUMENT_SECONDS = 86_400.0
LEAST_LIFETIME_SECONDS = 300
"""Of an access token whose lifetime is not told: asking anew costs less than being refused."""
LONGEST_LIFETIME_SECONDS = 86_400
"""Longest told by Microsoft, with continuous access evaluation
(learn.microsoft.com/entra/identity-platform/access-tokens)."""
_LIMIT_BYTES = 1 << 20
_OK = 200
_TOO_MANY = 429
_SERVER_ERRORS = 500


@dataclass(frozen=True, slots=True)
class MsalAnswer:
    """An answer as msal reads it."""

    status_code: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        """Do nothing: what fails was raised before."""


class Documents:
    """What the sign-in publishes about itself, by URL. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, str]] = {}

    def get(self, url: str) -> str | None:
        """Return a document that is not a day old."""
        with self._lock:
            until, text = self._kept.get(url, (0.0, ""))
        return text if time.monotonic() < until else None

    def keep(self, url: str, text: str) -> None:
        """Keep a document."""
        with self._lock:
            self._kept[url] = (time.monotonic() + DOCUMENT_SECONDS, text)


class TokenEndpoint:
    """msal's `http_client` for one call. Not thread-safe.

    Both methods raise `RetryLaterError` for what is not an answer of the sign-in's.
    """

    def __init__(self, requests: Requests, documents: Documents) -> None:
        self._requests = requests
        self._documents = documents

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalAnswer:
        """Return what the sign-in publishes at `url`, kept for a day."""
        where = f"{url}?{urlencode(params)}" if params else url
        text = self._documents.get(where)
        if text is None:
            text = json.dumps(self.document(where, headers))
            self._documents.keep(where, text)
        return MsalAnswer(_OK, text)

    def document(self, url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, object]:
        """Return the JSON object at `url`, asked for now."""
        answer = self._requests.send("GET", url, headers=dict(headers or {}), limit=_LIMIT_BYTES)
        body = _object(answer)
        if answer.status != _OK:
            # Only the directory's name in it is ours.
            cause = f"sign-in: {answer.status} for its description"
            raise ConfigurationError(ErrorCode.CLIENT_REJECTED, cause=cause)
        return body

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalAnswer:
        """Ask the token endpoint and return its answer: tokens, or an `error` by RFC 6749, 5.2."""
        where = f"{url}?{urlencode(params)}" if params else url
        answer = self._requests.send(
            "POST",
            where,
            headers={"content-type": "application/x-www-form-urlencoded", **(headers or {})},
            body=urlencode(data or {}).encode(),
            limit=_LIMIT_BYTES,
        )
        body = dict(_object(answer))
        if "error" not in body:
            if answer.status != _OK or not isinstance(body.get("access_token"), str):
                raise errors.unusable("neither tokens nor an error")
            body["expires_in"] = _lifetime(body.get("expires_in"))
            for other in ("ext_expires_in", "refresh_in", "expires_on"):
                body.pop(other, None)
        return MsalAnswer(answer.status, json.dumps(body), answer.headers)

    def close(self) -> None:
        """Do nothing: connections are pooled."""


def _object(answer: Answer) -> Mapping[str, object]:
    """Return the JSON object an answer is, or raise for a provider that is busy or broken."""
    wish = wish_of(answer.headers)
    if answer.status == _TOO_MANY:
        cause = "sign-in: 429"
        raise RetryLaterError(ErrorCode.RATE_LIMITED, cause=cause, retry_after_seconds=wish)
    if answer.status >= _SERVER_ERRORS:
        code = ErrorCode.PROVIDER_UNAVAILABLE
        cause = f"sign-in: {answer.status}"
        raise RetryLaterError(code, cause=cause, retry_after_seconds=wish)
    try:
        body = json.loads(answer.body)
    except ValueError:
        raise errors.unusable("the sign-in's is not JSON") from None
    if not isinstance(body, dict):
        raise errors.unusable("the sign-in's is not an object")
    return body


def _lifetime(told: object) -> int:
    """Return the seconds an access token is taken to live."""
    try:
        seconds = int(float(told)) if isinstance(told, str | int | float) else 0
    except (ValueError, OverflowError):
        seconds = 0
    return min(seconds, LONGEST_LIFETIME_SECONDS) if seconds > 0 else LEAST_LIFETIME_SECONDS
