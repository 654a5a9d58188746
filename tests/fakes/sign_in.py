"""A provider's accounts, its consent and its tokens, in memory: the ports of a sign-in.

accounts = FakeAccounts(Provider.GMAIL)
accounts.add("ann@ours.example")            # an account, with a subject of its own
page = accounts.begin(client, redirect_uri=…)
answer = accounts.allow(page.url, "ann@ours.example")   # what the browser comes back with
"""

import hashlib
import itertools
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
)
from shared.domain.ids import TenantId
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.provider import OAuthGrant
from shared.ports.sign_in import OAuthClient, SignedIn, SignInPage, Tokens

OURS = OAuthClient("client-of-ours", Secret("not-a-real-client-secret"))
SCOPES = ("openid", "email", "mail")


@dataclass
class InMemoryOAuthClients:
    """The port `OAuthClients`."""

    operators: dict[Provider, OAuthClient] = field(
        default_factory=lambda: {Provider.GMAIL: OURS, Provider.OUTLOOK: OURS}
    )
    tenants: dict[tuple[TenantId, Provider], OAuthClient] = field(default_factory=dict)
    failure: MailroomError | None = None

    def usable(
        self, tenant_id: TenantId, provider: Provider, *, anew: bool = False
    ) -> Sequence[OAuthClient]:
        if self.failure is not None:
            raise self.failure
        found = (self.tenants.get((tenant_id, provider)), self.operators.get(provider))
        return [client for client in found if client is not None]


@dataclass(frozen=True)
class Code:
    """What the token endpoint knows of a code."""

    subject: str
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str
    scopes: tuple[str, ...]


@dataclass
class FakeAccounts:
    """The ports `SignIn` and `AccountReader` over one provider's accounts.

    Set `failure` to have it raised where somebody speaks to the provider: `(method, error)`.
    """

    provider: Provider
    subjects: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=lambda: {OURS.client_id: OURS.client_secret})
    codes: dict[str, Code] = field(default_factory=dict)
    grants: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Living refresh tokens: account's subject and client."""
    redeemed: list[str] = field(default_factory=list)
    revoked: list[tuple[str, str]] = field(default_factory=list)
    failure: tuple[str, MailroomError] | None = None
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    # what people and the provider do

    def add(self, address: str, subject: str | None = None) -> str:
        """Add an account and return its subject."""
        self.subjects[address] = subject or f"{self.provider}-subject-{next(self.numbers)}"
        return self.subjects[address]

    def allow(self, url: str, address: str, scopes: tuple[str, ...] = SCOPES) -> dict[str, str]:
        """Consent as the owner of `address`; return the callback's query."""
        asked = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{next(self.numbers)}"
        self.codes[code] = Code(
            self.subjects[address],
            asked["client_id"],
            asked["redirect_uri"],
            asked["code_challenge"],
            asked["nonce"],
            scopes,
        )
        return {"state": asked["state"], "code": code, "iss": self.issuer, "scope": "x"}

    def deny(self, url: str) -> dict[str, str]:
        asked = dict(parse_qsl(urlsplit(url).query))
        return {"state": asked["state"], "error": "access_denied", "error_description": "No."}

    @property
    def issuer(self) -> str:
        return f"https://{self.provider}.provider.example"

    # the ports

    def begin(self, client: OAuthClient, *, redirect_uri: str, login_hint: str = "") -> SignInPage:
        number = next(self.numbers)
        state, verifier, nonce = (
            f"{what}-{self.provider}-{number}-{'x' * 32}" for what in ("state", "verifier", "nonce")
        )
        asked = {
            "client_id": client.client_id,
            "redirect_uri": redirect_uri,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            "login_hint": login_hint,
        }
        kept = Secret(json.dumps({"state": state, "verifier": verifier, "nonce": nonce}))
        return SignInPage(f"{self.issuer}/consent?{urlencode(asked)}", state, kept)

    def complete(
        self,
        client: OAuthClient,
        kept: Secret,
        answer: Mapping[str, str],
        *,
        redirect_uri: str,
        now: datetime,
    ) -> SignedIn:
        held = json.loads(kept.reveal())
        if answer.get("state") != held["state"]:
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="another state")
        if "iss" in answer and answer["iss"] != self.issuer:
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="another issuer")
        if "error" in answer:
            raise RequestError(ErrorCode.CONSENT_DECLINED, cause=answer["error"])
        self._speak("complete")
        self._check(client)
        code = self.codes.pop(answer.get("code", ""), None)
        fits = code is not None and (code.client_id, code.redirect_uri, code.challenge) == (
            client.client_id,
            redirect_uri,
            _challenge(held["verifier"]),
        )
        if code is None or not fits:
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="invalid_grant")
        self.redeemed.append(answer["code"])
        if code.nonce != held["nonce"]:
            raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="another nonce")
        if not set(SCOPES) <= set(code.scopes):
            raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause="scope")
        return SignedIn(code.subject, self._tokens(code.subject, client, now))

    def tokens(self, kept: Secret) -> Tokens:
        held = json.loads(kept.reveal() or "{}")
        if "access" not in held:
            raise ValueError("no tokens")
        return Tokens(Secret(held["access"]), datetime.fromisoformat(held["expires_at"]), kept)

    def renew(self, client: OAuthClient, kept: Secret, *, now: datetime) -> Tokens:
        self._speak("renew")
        self._check(client)
        subject, _ = self._grant(kept)
        return self._tokens(subject, client, now, json.loads(kept.reveal())["refresh"])

    def revoke(self, client: OAuthClient, kept: Secret) -> None:
        """As at Google: every token of the account and the client ends."""
        self._speak("revoke")
        ended = self.grants.get(json.loads(kept.reveal())["refresh"])
        if ended is None:
            return
        self.revoked.append(ended)
        self.grants = {token: grant for token, grant in self.grants.items() if grant != ended}

    def admin_consent_url(self, client: OAuthClient, *, redirect_uri: str) -> str | None:
        if self.provider is Provider.GMAIL:
            return None
        return f"{self.issuer}/adminconsent?client_id={client.client_id}"

    def address(self, grant: OAuthGrant) -> str:
        self._speak("address")
        subject, _, _ = grant.tokens.current().reveal().partition("/")
        return next(name for name, known in self.subjects.items() if known == subject)

    def is_alive(self, kept: Secret) -> bool:
        """Whether the grant could still be renewed."""
        return json.loads(kept.reveal())["refresh"] in self.grants

    def _tokens(
        self, subject: str, client: OAuthClient, now: datetime, refresh: str = ""
    ) -> Tokens:
        refresh = refresh or f"refresh-{next(self.numbers)}"
        self.grants[refresh] = (subject, client.client_id)
        access = f"{subject}/{next(self.numbers)}"
        expires_at = now + timedelta(hours=1)
        held = {"refresh": refresh, "access": access, "expires_at": expires_at.isoformat()}
        return Tokens(Secret(access), expires_at, Secret(json.dumps(held)))

    def _grant(self, kept: Secret) -> tuple[str, str]:
        refresh = json.loads(kept.reveal())["refresh"]
        if refresh not in self.grants:
            raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED)
        return self.grants[refresh]

    def _check(self, client: OAuthClient) -> None:
        if self.secrets.get(client.client_id) != client.client_secret:
            raise ConfigurationError(ErrorCode.CLIENT_REJECTED, cause="invalid_client")

    def _speak(self, method: str) -> None:
        if self.failure is not None and self.failure[0] == method:
            raise self.failure[1]


def rewritten(answer: Mapping[str, str], **changes: str) -> dict[str, str]:
    """A callback's query as somebody in between changed it."""
    return {**answer, **changes}


def with_nonce(accounts: FakeAccounts, code: str, nonce: str) -> None:
    """Have a code's id token bear another nonce."""
    accounts.codes[code] = replace(accounts.codes[code], nonce=nonce)


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
