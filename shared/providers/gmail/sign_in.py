"""Decides how a person signs in at Google, and how their grant is kept, renewed and withdrawn.

google-auth verifies id tokens and renews access tokens, over our own client of HTTPS; it is
imported when it is first needed, because that takes a tenth of a second and most runs never do.
Who signed in is the id token's `sub`, never an address. Source:
developers.google.com/identity/protocols/oauth2/web-server and …/identity/openid-connect.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
)
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient, SignedIn, SignInPage, Tokens
from shared.providers.gmail import errors
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.http import Answer, Http, Requests

MODIFY = "https://www.googleapis.com/auth/gmail.modify"
"""Reads, labels and sends; asked for alone, so that nobody can leave half of it out."""
SCOPES = ("openid", "email", MODIFY)
_ENOUGH = frozenset({MODIFY, "https://mail.google.com/"})
_ISSUERS = frozenset({"https://accounts.google.com", "accounts.google.com"})
_SECONDS = 10.0
"""For all that one step asks of Google: a person waits for two, API Gateway for half a minute."""
_REVOKE_SECONDS = 5.0
_USUAL_LIFE_SECONDS = 3600
_LONGEST_LIFE_SECONDS = 86_400
_CLOCK_SKEW_SECONDS = 60
_ANY_SKEW_SECONDS = 10**10
_FORMAT = 1
_FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True, slots=True)
class _Kept:
    """A grant as it is stored. Instants are seconds since 1970."""

    refresh_token: str
    access_token: str
    expires_at: int
    scopes: str
    subject: str
    ends_at: int | None = None
    """When the whole grant ends, where the person gave it for a time."""
    format: int = _FORMAT

    def tokens(self) -> Tokens:
        return Tokens(
            Secret(self.access_token),
            datetime.fromtimestamp(self.expires_at, UTC),
            Secret(json.dumps(asdict(self))),
        )


class GoogleSignIn:
    """The `SignIn` of Google. Thread-safe."""

    def __init__(self, http: Http, endpoints: GoogleEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or GoogleEndpoints()

    def begin(self, client: OAuthClient, *, redirect_uri: str, login_hint: str = "") -> SignInPage:
        """See `SignIn.begin`.

        Consent is asked for each time, because only then a refresh token comes. Who is signed in
        with several accounts chooses one, unless it is known which one is meant.
        """
        state, nonce = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        verifier = secrets.token_urlsafe(64)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
        asked = {
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "access_type": "offline",
            "prompt": "consent" if login_hint else "consent select_account",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        if login_hint:
            asked["login_hint"] = login_hint
        kept = {"format": _FORMAT, "state": state, "nonce": nonce, "verifier": verifier}
        return SignInPage(
            f"{self._endpoints.authorize}?{urlencode(asked)}", state, Secret(json.dumps(kept))
        )

    def complete(
        self,
        client: OAuthClient,
        kept: Secret,
        answer: Mapping[str, str],
        *,
        redirect_uri: str,
        now: datetime,
    ) -> SignedIn:
        """See `SignIn.complete`."""
        attempt = json.loads(kept.reveal())
        if not _same(answer.get("state", ""), attempt["state"]):
            raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="another state")
        # Another provider's answer would carry another issuer (RFC 9207).
        if answer.get("iss", "https://accounts.google.com") not in _ISSUERS:
            raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="another issuer answered")
        if "error" in answer:
            raise errors.from_callback(answer["error"])
        if not answer.get("code"):
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="no code came back")
        requests = self._http.until(_SECONDS)
        given = self._redeem(requests, client, answer["code"], attempt["verifier"], redirect_uri)
        subject = self._verified_subject(requests, client, given, attempt["nonce"], now)
        _check_scopes(given)
        refresh_token = given.get("refresh_token")
        if not isinstance(refresh_token, str) or not refresh_token:
            raise ReconnectRequiredError(ErrorCode.SIGN_IN_REQUIRED, cause="no refresh token")
        grant = _Kept(
            refresh_token,
            _access_token(given),
            int(_expires_at(given, now).timestamp()),
            str(given.get("scope", " ".join(SCOPES))),
            subject,
            _end_of_grant(given, now),
        )
        return SignedIn(subject, grant.tokens())

    def tokens(self, kept: Secret) -> Tokens:
        """See `SignIn.tokens`."""
        return _read(kept).tokens()

    def renew(self, client: OAuthClient, kept: Secret, *, now: datetime) -> Tokens:
        """See `SignIn.renew`."""
        # Loads cryptography: a tenth of a second that most runs need not spend.
        from google.oauth2.credentials import Credentials  # noqa: PLC0415

        grant = _read(kept)
        transport = _Transport(self._http.until(_SECONDS))
        credentials = Credentials(  # type: ignore[no-untyped-call]
            None,
            refresh_token=grant.refresh_token,
            token_uri=self._endpoints.token,
            client_id=client.client_id,
            client_secret=client.client_secret.reveal(),
        )
        try:
            credentials.refresh(transport)  # type: ignore[no-untyped-call]
        except ReconnectRequiredError as error:
            raise _as_expired(error, grant, now) from error
        given = transport.given
        _check_scopes(given)
        renewed = _Kept(
            credentials.refresh_token or grant.refresh_token,
            _access_token(given),
            int(_expires_at(given, now).timestamp()),
            str(given.get("scope", grant.scopes)),
            grant.subject,
            _end_of_grant(given, now) or grant.ends_at,
        )
        return renewed.tokens()

    def revoke(self, client: OAuthClient, kept: Secret) -> None:
        """See `SignIn.revoke`. At Google this ends every token of this account and client."""
        del client
        body = urlencode({"token": _read(kept).refresh_token}).encode()
        answer = self._http.until(_REVOKE_SECONDS).send(
            "POST", self._endpoints.revoke, headers=_FORM, body=body
        )
        said = errors.decoded_object(answer.body) or {}
        dead_already = answer.status == 400 and said.get("error") in {  # noqa: PLR2004
            "invalid_token",
            "invalid_grant",
        }
        if answer.status != 200 and not dead_already:  # noqa: PLR2004
            raise errors.from_token(answer.status, answer.headers, answer.body)

    def admin_consent_url(self, client: OAuthClient, *, redirect_uri: str) -> str | None:
        """Return None: an administrator of Google approves in their own console."""
        del client, redirect_uri
        return None

    def _redeem(
        self, requests: Requests, client: OAuthClient, code: str, verifier: str, redirect_uri: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect_uri,
            "client_id": client.client_id,
            "client_secret": client.client_secret.reveal(),
        }
        answer = requests.send(
            "POST", self._endpoints.token, headers=_FORM, body=urlencode(form).encode()
        )
        try:
            return _given(answer)
        except ReconnectRequiredError as error:
            # About the code: there is no grant yet that could have died.
            if error.code is ErrorCode.GRANT_REVOKED:
                raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause=error.cause) from error
            raise

    def _verified_subject(
        self,
        requests: Requests,
        client: OAuthClient,
        given: Mapping[str, Any],
        nonce: str,
        now: datetime,
    ) -> str:
        """Return `sub` of an id token that is Google's, ours, of now and of this attempt."""
        # As in `renew`.
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.oauth2.id_token import verify_token  # noqa: PLC0415

        try:
            claims: Mapping[str, Any] = verify_token(
                str(given.get("id_token", "")),
                _Transport(requests),  # type: ignore[arg-type]  # its base class would be imported
                audience=client.client_id,
                certs_url=self._endpoints.certificates,
                # It asks the process's clock; ours is asked below.
                clock_skew_in_seconds=_ANY_SKEW_SECONDS,
            )
            issued_at, ends_at = int(claims["iat"]), int(claims["exp"])
        except (ValueError, TypeError, KeyError, GoogleAuthError) as error:
            cause = f"id token: {type(error).__name__}"
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=cause) from None
        instant = now.timestamp()
        if not issued_at - _CLOCK_SKEW_SECONDS <= instant <= ends_at + _CLOCK_SKEW_SECONDS:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="id token: not of now")
        if claims.get("iss") not in _ISSUERS:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="id token: issuer")
        if not _same(str(claims.get("nonce", "")), nonce):
            raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="id token: nonce")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="id token: no subject")
        return subject


@dataclass(frozen=True, slots=True)
class _Response:
    """What google-auth reads of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Transport:
    """google-auth's `transport.Request` over our own client.

    A refusal becomes our error here, before the library sleeps and tries it again, quotes it, or
    trips over an `expires_in` that is no number.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self.given: dict[str, Any] = {}
        """The last answer of the token endpoint, as it came."""

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **more: object,
    ) -> _Response:
        del timeout, more
        answer = self._requests.send(method, url, headers=headers, body=body or b"")
        if method == "GET":
            if answer.status != 200 or errors.decoded_object(answer.body) is None:  # noqa: PLR2004
                raise RetryLaterError(
                    ErrorCode.PROVIDER_UNAVAILABLE, cause=f"certificates: {answer.status}"
                )
            return _Response(answer.status, answer.headers, answer.body)
        self.given = _given(answer)
        readable = {
            name: value
            for name, value in self.given.items()
            if isinstance(value, str) and name != "expires_in"
        }
        return _Response(answer.status, answer.headers, json.dumps(readable).encode())


def _given(answer: Answer) -> dict[str, Any]:
    """Return what the token endpoint gave. Raises what its refusal means."""
    if answer.status != 200:  # noqa: PLR2004
        raise errors.from_token(answer.status, answer.headers, answer.body)
    given = errors.decoded_object(answer.body)
    if given is None:
        raise RetryLaterError(
            ErrorCode.PROVIDER_UNAVAILABLE, cause="not JSON from the token endpoint"
        )
    _access_token(given)
    return given


def _access_token(given: Mapping[str, Any]) -> str:
    token = given.get("access_token")
    if not isinstance(token, str) or not token:
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause="no access token came")
    return token


def _check_scopes(given: Mapping[str, Any]) -> None:
    """Raise where less was granted than is needed; no word of it means all (RFC 6749, 5.1)."""
    scope = given.get("scope")
    if isinstance(scope, str) and not _ENOUGH & set(scope.split()):
        raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause="gmail.modify not granted")


def _expires_at(given: Mapping[str, Any], now: datetime) -> datetime:
    """Return when the access token ends; Google's usual hour where it does not say so usefully."""
    seconds = _whole_seconds(given.get("expires_in")) or _USUAL_LIFE_SECONDS
    return now + timedelta(seconds=min(seconds, _LONGEST_LIFE_SECONDS))


def _end_of_grant(given: Mapping[str, Any], now: datetime) -> int | None:
    """Return when the refresh token ends, where access was given for a time."""
    seconds = _whole_seconds(given.get("refresh_token_expires_in"))
    return int(now.timestamp()) + seconds if seconds else None


def _whole_seconds(value: object) -> int | None:
    """Return a positive number of seconds, also of a text; None for anything else."""
    try:
        seconds = int(float(str(value)))
    except (ValueError, OverflowError):
        return None
    return seconds if 0 < seconds < 10**10 else None


def _as_expired(error: ReconnectRequiredError, grant: _Kept, now: datetime) -> MailroomError:
    """Say "expired" of a grant whose time was known to be up; Google has one word for both."""
    over = grant.ends_at is not None and now.timestamp() >= grant.ends_at
    if over and error.code is ErrorCode.GRANT_REVOKED:
        return ReconnectRequiredError(ErrorCode.GRANT_EXPIRED, cause=error.cause)
    return error


def _read(kept: Secret) -> _Kept:
    """Read what was stored; raises ValueError for anything else, and quotes nothing of it."""
    try:
        found = json.loads(kept.reveal())
        grant = _Kept(**found)
    except (ValueError, TypeError):
        raise ValueError("not a grant of Google") from None
    texts = (grant.refresh_token, grant.access_token, grant.scopes, grant.subject)
    if grant.format != _FORMAT or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a grant of Google in this format")
    return grant


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
