"""Decides how people sign in with Microsoft: the authorization code flow by msal, kept as JSON.

msal loads `requests` and cryptography, so it is imported when a sign-in or a renewal needs it and
not before; reading a token that is stored needs neither. Each call makes an application of its own:
msal remembers refused token requests for a minute, and a mended secret must not wait for that.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
)
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient, SignedIn, SignInPage, Tokens
from shared.providers.http import Http
from shared.providers.outlook import errors
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.errors import Moment
from shared.providers.outlook.id_token import subject_of
from shared.providers.outlook.token_endpoint import Documents, TokenEndpoint

if TYPE_CHECKING:
    import msal  # type: ignore[import-untyped]  # ships no types

NEEDED = ("User.Read", "Mail.ReadWrite", "Mail.Send")
"""Permissions without which a mailbox cannot be kept; beside these msal asks for an identity and a
refresh token (openid, profile, offline_access)."""
SECONDS = 10.0
"""For all that one call asks of the sign-in."""
_SCOPES = [*NEEDED, "email"]
_ASKED_MODE = "form_post"
_KEPT_VERSION = 1
_NOT_KEPT = ("AccessToken", "IdToken")


class MicrosoftSignIn:
    """The `SignIn` of Microsoft: work, school and personal accounts. Thread-safe."""

    def __init__(
        self,
        http: Http,
        endpoints: MicrosoftEndpoints | None = None,
        *,
        documents: Documents | None = None,
    ) -> None:
        self._http = http
        self._endpoints = endpoints or MicrosoftEndpoints()
        self._documents = documents or Documents()

    def begin(self, client: OAuthClient, *, redirect_uri: str, login_hint: str = "") -> SignInPage:
        """See `SignIn.begin`. Without a hint the person chooses among their accounts."""
        application = self._application(client, self._endpoint())
        flow = application.initiate_auth_code_flow(
            _SCOPES,
            redirect_uri=redirect_uri,
            login_hint=login_hint or None,
            prompt=None if login_hint else "select_account",
            response_mode=_ASKED_MODE,
        )
        url = _by_query(str(flow.pop("auth_uri")))
        return SignInPage(url, str(flow["state"]), _sealed({"flow": flow}))

    def complete(
        self,
        client: OAuthClient,
        kept: Secret,
        answer: Mapping[str, str],
        *,
        redirect_uri: str,
        now: datetime,
    ) -> SignedIn:
        """See `SignIn.complete`.

        Of `answer` only `state`, `code`, `error` and the number in its description are read;
        `client_info` from a browser is anybody's word.
        """
        flow = _opened(kept, "flow")
        if not hmac.compare_digest(str(flow["state"]).encode(), answer.get("state", "").encode()):
            raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="another state")
        if "error" in answer:
            raise errors.from_oauth(answer, Moment.CONNECTING)
        if not answer.get("code") or flow.get("redirect_uri") != redirect_uri:
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="no code, or another redirect")
        endpoint = self._endpoint()
        cache = _cache({})
        application = self._application(client, endpoint, cache)
        only = {name: answer[name] for name in ("state", "code")}
        tokens = _asked(lambda: application.acquire_token_by_auth_code_flow(dict(flow), only))
        if "error" in tokens:
            raise errors.from_oauth(tokens, Moment.CONNECTING)
        if not isinstance(tokens.get("id_token"), str):
            raise errors.unusable("no id token")
        description = json.loads(endpoint.get(self._description_url(client)).text)
        subject = subject_of(
            tokens["id_token"],
            client_id=client.client_id,
            nonce=str(flow["nonce"]),
            issuer=str(description.get("issuer", "")),
            keys=endpoint.document(str(description.get("jwks_uri", ""))),
            now=now,
        )
        _require_scopes(tokens)
        return SignedIn(subject, _taken(cache, tokens, now))

    def tokens(self, kept: Secret) -> Tokens:
        """See `SignIn.tokens`; loads no library."""
        return _tokens(kept)

    def renew(self, client: OAuthClient, kept: Secret, *, now: datetime) -> Tokens:
        """See `SignIn.renew`.

        Microsoft gives a new refresh token each time and lets the one before live on
        (learn.microsoft.com/entra/identity-platform/refresh-tokens), so two renewals at once are
        harmless and the one stored last counts.
        """
        stored = _opened(kept, "cache")
        cache = _cache({kind: one for kind, one in stored.items() if kind not in _NOT_KEPT})
        application = self._application(client, self._endpoint(), cache)
        accounts = application.get_accounts()
        tokens = _asked(
            lambda: (
                application.acquire_token_silent_with_error(
                    _SCOPES, accounts[0], force_refresh=True, http_exceptions=(MailroomError,)
                )
                if accounts
                else None
            )
        )
        if tokens is None:
            # Stored by another client or for another cloud, or never given.
            cause = "no refresh token for this client"
            raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED, cause=cause, definitive=False)
        if "error" in tokens:
            raise errors.from_oauth(tokens, Moment.RENEWING)
        if not cache.has_state_changed:
            raise errors.unusable("nothing new to store")
        _require_scopes(tokens, refresh_token=False)
        return _taken(cache, tokens, now)

    def revoke(self, client: OAuthClient, kept: Secret) -> None:
        """Send nothing: Microsoft has no way to end one application's grant.

        There is no revocation endpoint (RFC 7009) in what the sign-in publishes, and
        `revokeSignInSessions` ends every session of the person, in all programs
        (learn.microsoft.com/graph/api/user-revokesigninsessions). The refresh token is forgotten
        where it is stored; the person takes the consent back at myapps.microsoft.com or
        account.live.com/consent/Manage.
        """

    def admin_consent_url(self, client: OAuthClient, *, redirect_uri: str) -> str | None:
        """See `SignIn.admin_consent_url`.

        Its page takes no `common` (learn.microsoft.com/entra/identity-platform/v2-admin-consent).
        """
        query = {
            "client_id": client.client_id,
            "scope": " ".join(f"{self._endpoints.resource}/{scope}" for scope in NEEDED),
            "redirect_uri": redirect_uri,
        }
        directory = client.directory or "organizations"
        return f"{self._endpoints.login}/{directory}/v2.0/adminconsent?{urlencode(query)}"

    def _endpoint(self) -> TokenEndpoint:
        return TokenEndpoint(self._http.until(SECONDS), self._documents)

    def _authority(self, client: OAuthClient) -> str:
        return f"{self._endpoints.login}/{client.directory or 'common'}"

    def _description_url(self, client: OAuthClient) -> str:
        return f"{self._authority(client)}/v2.0/.well-known/openid-configuration"

    def _application(
        self,
        client: OAuthClient,
        endpoint: TokenEndpoint,
        cache: "msal.SerializableTokenCache | None" = None,
    ) -> "msal.ConfidentialClientApplication":
        """Return msal's application, which reads the sign-in's description when it is made."""
        import msal  # noqa: PLC0415  # 90 ms and 25 MB that only a sign-in or a renewal pays

        try:
            return msal.ConfidentialClientApplication(
                client.client_id,
                client_credential=client.client_secret.reveal(),
                authority=self._authority(client),
                # It would ask login.microsoftonline.com whether this host is one of Microsoft's.
                instance_discovery=False,
                # Else an environment variable may send the secret to another host.
                azure_region=False,
                http_client=endpoint,
                token_cache=cache,
            )
        except (ValueError, KeyError) as error:
            cause = f"sign-in: {type(error).__name__} for its description"
            raise ConfigurationError(ErrorCode.CLIENT_REJECTED, cause=cause) from None


def _by_query(url: str) -> str:
    """Return the page's URL with an answer by query asked for.

    msal warns of anything but a form. A form posted from another site comes without the cookie that
    ties a sign-in to its browser (SameSite=Lax), and a code in a URL is worth nothing to whoever
    lacks the PKCE verifier and our secret (RFC 9700, 2.1.1).
    """
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "response_mode"]
    return urlunsplit(parts._replace(query=urlencode([*query, ("response_mode", "query")])))


def _asked(ask: Callable[[], Any]) -> Any:
    """Return what msal gives; what it stumbles over is an answer of the sign-in's, or no nonce."""
    try:
        return ask()
    except RuntimeError:
        # From None: its words quote both nonces.
        raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="id token: nonce") from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise errors.unusable(f"tokens: {type(error).__name__}") from None


def _require_scopes(tokens: Mapping[str, object], *, refresh_token: bool = True) -> None:
    """Raise unless all was granted; no `scope` at all means as asked (RFC 6749, 5.1)."""
    told = tokens.get("scope")
    if isinstance(told, str):
        granted = {one.rpartition("/")[2].casefold() for one in told.split()}
        missing = [scope for scope in NEEDED if scope.casefold() not in granted]
        if missing:
            cause = f"not granted: {' '.join(missing)}"
            raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause=cause)
    if refresh_token and not tokens.get("refresh_token"):
        cause = "not granted: offline_access"
        raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause=cause)


def _cache(stored: Mapping[str, object]) -> "msal.SerializableTokenCache":
    import msal  # noqa: PLC0415  # as above

    cache = msal.SerializableTokenCache()
    cache.deserialize(json.dumps(stored))
    return cache


def _taken(
    cache: "msal.SerializableTokenCache", tokens: Mapping[str, Any], now: datetime
) -> Tokens:
    """Return the tokens with all that has to be stored; the id token has done its work."""
    whole = json.loads(cache.serialize())
    whole.pop("IdToken", None)
    expires_at = now + timedelta(seconds=int(tokens["expires_in"]))
    return _tokens(_sealed({"expires_at": int(expires_at.timestamp()), "cache": whole}))


def _tokens(kept: Secret) -> Tokens:
    stored = _opened(kept, "cache", "expires_at")
    try:
        held = _opened(kept, "cache")["AccessToken"]
        (entry,) = held.values()
        expires_at = datetime.fromtimestamp(stored["expires_at"], UTC)
        return Tokens(Secret(str(entry["secret"])), expires_at, kept)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("not tokens of Microsoft's") from error


def _sealed(content: Mapping[str, object]) -> Secret:
    return Secret(json.dumps({"v": _KEPT_VERSION, **content}, separators=(",", ":")))


def _opened(kept: Secret, part: str, *others: str) -> dict[str, Any]:
    """Return one part of what was kept, or with `others` all of it; ValueError for other text."""
    stored = json.loads(kept.reveal())
    if not isinstance(stored, dict) or stored.get("v") != _KEPT_VERSION:
        raise ValueError("not kept by this version")
    if not isinstance(stored.get(part), dict) or any(name not in stored for name in others):
        raise ValueError("not what was kept")
    return stored if others else dict(stored[part])
