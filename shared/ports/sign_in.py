"""What a provider's own sign-in (OAuth 2.0) must be able to do, and where its clients are kept.

Nothing here stores anything: what has to survive is handed back as a `Secret` text that is opaque
outside its adapter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.domain.ids import TenantId
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.provider import OAuthGrant


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registration of this product at a provider: the operator's, or a tenant's own."""

    client_id: str
    client_secret: Secret
    directory: str = ""
    """Microsoft: the tenant whose accounts may sign in; empty for `common`."""
    push_topic: str = ""
    """Google: the topic of the client's own project that Gmail publishes to; empty: no push."""


@dataclass(frozen=True, slots=True)
class SignInPage:
    """A sign-in that has begun: where the person goes, and what is kept until they are back."""

    url: str
    state: str
    """At least 128 random bits; comes back with the person."""
    kept: Secret
    """The PKCE verifier and the nonce (RFC 7636; OpenID Connect Core, 3.1.2.1)."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a grant holds at an instant."""

    access_token: Secret
    expires_at: datetime
    kept: Secret
    """All of it, the refresh token included, to be stored before `access_token` is used."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in, by the verified id token, and the tokens they gave."""

    subject: str
    """The provider's own name for the account, never an address.

    Google: `sub`. Microsoft: `tid` and `oid` with a dot between.
    """
    tokens: Tokens


class SignIn(Protocol):
    """One provider's sign-in.

    Every method that speaks to the provider raises `ConfigurationError` (our client, an
    administrator's policy), `RetryLaterError` (the provider is busy or down; never taken for a
    refusal), and what it names itself.
    """

    def begin(self, client: OAuthClient, *, redirect_uri: str, login_hint: str = "") -> SignInPage:
        """Return the page that asks the person for their consent."""
        ...

    def complete(
        self,
        client: OAuthClient,
        kept: Secret,
        answer: Mapping[str, str],
        *,
        redirect_uri: str,
        now: datetime,
    ) -> SignedIn:
        """Redeem what the person came back with; `answer` is the callback's query.

        Checks state, nonce, PKCE, issuer, audience, signature and what was granted. Raises
        `RequestError` (`CONSENT_DECLINED`, `ATTEMPT_EXPIRED` for a code that is used up or too old,
        `ACCOUNT_NOT_SUPPORTED`), `ReconnectRequiredError(SCOPE_MISSING | SIGN_IN_REQUIRED)`.
        """
        ...

    def tokens(self, kept: Secret) -> Tokens:
        """Read what was stored; speaks to nobody. Raises ValueError for any other text."""
        ...

    def renew(self, client: OAuthClient, kept: Secret, *, now: datetime) -> Tokens:
        """Get a new access token. Raises `ReconnectRequiredError` for a grant that is dead."""
        ...

    def revoke(self, client: OAuthClient, kept: Secret) -> None:
        """Withdraw the grant where the provider lets us; one that is dead already is no error."""
        ...

    def admin_consent_url(self, client: OAuthClient, *, redirect_uri: str) -> str | None:
        """Return where an administrator approves this product for all, or None where none does."""
        ...


class AccountReader(Protocol):
    """Tells whose mailbox a grant opens."""

    def address(self, grant: OAuthGrant) -> str:
        """Return the mailbox's address as the provider shows it; raises what sessions raise."""
        ...


class OAuthClients(Protocol):
    """The clients this deployment has. Raises `RetryLaterError` when the store is busy."""

    def usable(
        self, tenant_id: TenantId, provider: Provider, *, anew: bool = False
    ) -> Sequence[OAuthClient]:
        """Return a tenant's own client, then the operator's; empty where neither is set up.

        `anew` asks the store again instead of a copy that is some minutes old.
        """
        ...
