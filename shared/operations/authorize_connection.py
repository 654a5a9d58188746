"""How a person is sent to a provider's sign-in, and what is remembered until they are back."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.connecting import ATTEMPT_LASTS, Attempt, Wishes
from shared.domain.errors import ConfigurationError, ErrorCode, RequestError
from shared.domain.ids import MailboxId
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.permissions import require_change
from shared.domain.return_urls import checked_return_url
from shared.domain.secret import Secret
from shared.domain.visibility import Viewer
from shared.operations.begin_mailbox import checked_owner
from shared.operations.mailbox_settings import unknown_folders
from shared.ports.attempts import AttemptStore
from shared.ports.clock import Clock
from shared.ports.sign_in import OAuthClients, SignIn
from shared.ports.stores import MailboxStore

_COOKIE_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """What the operator permits, and under which address people come back."""

    redirect_url: str
    """The API's own address from outside; from the configuration, never from a request."""
    return_origins: tuple[str, ...] = ()
    allow_loopback: bool = False

    def redirect_uri(self, provider: Provider) -> str:
        """Return where the provider sends people back to: another one for each (RFC 9700, 4.4)."""
        return f"{self.redirect_url}/v1/oauth/{provider}/callback"


@dataclass(frozen=True, slots=True)
class AuthorizeRequest:
    """What a person chooses before they go to the provider."""

    provider: Provider
    return_url: str
    mailbox_id: MailboxId | None = None
    """The mailbox to reconnect; None connects a new one."""
    address: str = ""
    """Fills in the provider's form, and decides nothing."""
    wishes: Wishes = field(default_factory=Wishes)


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that can start."""

    authorize_url: str
    expires_at: datetime
    cookie: Secret
    """For the browser that asked: one that brings it back began the attempt itself."""


@dataclass(frozen=True, slots=True)
class AuthorizePorts:
    """What it takes to send somebody to a provider."""

    sign_in_of: Callable[[Provider], SignIn]
    clients: OAuthClients
    attempts: AttemptStore
    mailboxes: MailboxStore
    clock: Clock


def authorize_connection(
    viewer: Viewer, request: AuthorizeRequest, *, ports: AuthorizePorts, policy: SignInPolicy
) -> Begun:
    """Remember an attempt for ten minutes and return where to go.

    Raises `RequestError` (`RETURN_URL_NOT_ALLOWED`, `INVALID_REQUEST`, `ADMIN_REQUIRED`,
    `MAILBOX_NOT_FOUND`, `WRONG_MAILBOX` for a mailbox of another provider),
    `ConfigurationError(CLIENT_MISSING)` where this product is not registered.
    """
    checked_return_url(
        request.return_url, origins=policy.return_origins, allow_loopback=policy.allow_loopback
    )
    hint = request.address
    if request.mailbox_id is None:
        checked_owner(viewer, request.wishes)
    else:
        hint = hint or _mailbox_to_reconnect(viewer, request, ports.mailboxes).address
    usable = ports.clients.usable(viewer.tenant_id, request.provider)
    if not usable:
        cause = f"no OAuth client is stored for {request.provider}"
        raise ConfigurationError(ErrorCode.CLIENT_MISSING, cause=cause)
    client = usable[0]
    redirect_uri = policy.redirect_uri(request.provider)
    page = ports.sign_in_of(request.provider).begin(
        client, redirect_uri=redirect_uri, login_hint=hint
    )
    cookie = secrets.token_urlsafe(_COOKIE_BYTES)
    attempt = Attempt(
        tenant_id=viewer.tenant_id,
        user_id=viewer.user_id,
        is_admin=viewer.is_admin,
        provider=request.provider,
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        return_url=request.return_url,
        kept=page.kept,
        cookie_digest=digest_of(cookie),
        expires_at=(ports.clock.now() + ATTEMPT_LASTS).replace(microsecond=0),
        mailbox_id=request.mailbox_id,
        wishes=request.wishes,
    )
    ports.attempts.add(page.state, attempt)
    return Begun(page.url, attempt.expires_at, Secret(cookie))


def digest_of(cookie: str) -> str:
    """Return what is kept of a cookie: enough to know it again, not enough to send it."""
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()


def _mailbox_to_reconnect(
    viewer: Viewer, request: AuthorizeRequest, mailboxes: MailboxStore
) -> Mailbox:
    record = mailboxes.get(viewer.tenant_id, request.mailbox_id) if request.mailbox_id else None
    mailbox = require_change(viewer, record.mailbox if record else None)
    if mailbox.provider is not request.provider:
        words = "This mailbox is one of another provider."
        raise RequestError(ErrorCode.WRONG_MAILBOX, fields=[("provider", words)])
    refused = unknown_folders(mailbox, request.wishes.active_folders or (), mailboxes=mailboxes)
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    return mailbox
