"""Decides which pushes of Cloud Pub/Sub are believed, and what one says: whose mailbox changed.

Pub/Sub signs an OpenID Connect token in the name of a service account that the operator chose, for
an audience that the operator chose (cloud.google.com/pubsub/docs/authenticate-push-subscriptions).
Both are checked: anybody can have Google sign a token for this audience in another's name. google-
auth checks the signature; it is imported when the first push comes in.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.domain.errors import ErrorCode, RequestError
from shared.ports.push import Notice
from shared.providers.gmail import errors
from shared.providers.gmail.certificates import Certificates
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.http import Http

_ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
_CLOCK_SKEW_SECONDS = 300
_ANY_SKEW_SECONDS = 10**10
_LONGEST_TOKEN = 8192
_LONGEST_ADDRESS = 320
"""RFC 3696, erratum 1690."""


class GmailPush:
    """The `PushReader` of Gmail. Thread-safe; build it once, for it keeps Google's keys."""

    def __init__(
        self,
        http: Http,
        endpoints: GoogleEndpoints | None = None,
        *,
        audience: str,
        senders: Collection[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Take the audience and the service accounts; with none of either nothing is believed."""
        self._certificates = Certificates(http, endpoints or GoogleEndpoints())
        self._audience = audience
        self._senders = frozenset(senders)
        self._now = now

    def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[Notice]:
        """See `PushReader.read`; one notice, or none for a message that Gmail did not publish."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise _unproved("no token")
        self._check(token.strip())
        message = (errors.decoded_object(body) or {}).get("message")
        if not isinstance(message, dict):
            raise RequestError(ErrorCode.INVALID_REQUEST, cause="push: no message")
        address = _published(message.get("data")).get("emailAddress")
        if not isinstance(address, str) or not 0 < len(address) <= _LONGEST_ADDRESS:
            return ()
        return (Notice(address),)

    def _check(self, token: str) -> None:
        """Raise unless Google signed the token, of now, for us, in a name that we know."""
        # Loads cryptography: a tenth of a second that only the first push of a process takes.
        from google.auth import jwt  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415

        if not (self._audience and self._senders):
            raise _unproved("no audience or no sender is set")
        if len(token) > _LONGEST_TOKEN:
            raise _unproved("a token of no sensible size")
        try:
            key_id = jwt.decode_header(token).get("kid")  # type: ignore[no-untyped-call]
            claims: Mapping[str, Any] = jwt.decode(  # type: ignore[no-untyped-call]
                token,
                certs=self._certificates.holding(key_id),
                audience=self._audience,
                # It asks the process's clock; ours is asked below.
                clock_skew_in_seconds=_ANY_SKEW_SECONDS,
            )
            begins, ends = float(claims["iat"]), float(claims["exp"])
        except (ValueError, TypeError, KeyError, RecursionError, GoogleAuthError) as error:
            raise _unproved(type(error).__name__) from None
        instant = self._now().timestamp()
        if not begins - _CLOCK_SKEW_SECONDS <= instant <= ends + _CLOCK_SKEW_SECONDS:
            raise _unproved("not of now")
        if claims.get("iss") not in _ISSUERS:
            raise _unproved("issuer")
        if claims.get("email_verified") is not True or claims.get("email") not in self._senders:
            raise _unproved("sender")


def _published(data: object) -> Mapping[str, Any]:
    """Return what was published: JSON in base64 of either alphabet, or nothing of use."""
    text = data if isinstance(data, str) else ""
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/") + "==")
    except (binascii.Error, ValueError):
        return {}
    return errors.decoded_object(raw) or {}


def _unproved(what: str) -> RequestError:
    return RequestError(ErrorCode.UNAUTHENTICATED, cause=f"push: {what}")
