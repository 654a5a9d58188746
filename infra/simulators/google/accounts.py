"""Decides what an account and an OAuth client are, and which of their options exist."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from infra.simulators.kit.mailbox import NoSuchThingError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.simulators.google.world import World

_SUB_DIGITS = 21


@dataclass(frozen=True, slots=True)
class UserOptions:
    """What else an account may be.

    Attributes:
        name: shown on the consent page and in id tokens.
        hosted_domain: the `hd` claim of a Workspace account; "" for gmail.com.
        grant_seconds: the user grants access for so long only (`refresh_token_expires_in`).
        send_as: other addresses they send from, each a `SendAs` of the API.
    """

    name: str = ""
    hosted_domain: str = ""
    grant_seconds: float | None = None
    send_as: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What else an OAuth client may be.

    Attributes:
        project: number of its Cloud project, which quotas count by.
        project_id: name of the same, in which topics of `watch` must lie; "" takes any.
        name: shown on the consent page.
        publishing_status: `production`, or `testing`: refresh tokens then live for 7 days.
        state: `active`, `disabled` or `deleted`.
        internal_domain: only accounts of this hosted domain may use it, when not empty.
    """

    project: str = "123456789012"
    project_id: str = ""
    name: str = "Mailroom"
    publishing_status: str = "production"
    state: str = "active"
    internal_domain: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """An account."""

    address: str
    sub: str
    options: UserOptions


@dataclass(frozen=True, slots=True)
class Client:
    """An OAuth client of kind "web application"."""

    client_id: str
    client_secret: str
    redirect_uris: tuple[str, ...]
    options: ClientOptions


class Accounts:
    """The accounts and clients that exist."""

    def __init__(self, world: World) -> None:
        self._store = world.store

    def add_user(self, address: str, **options: Any) -> None:
        """Make an account or change its options.

        Options are those of `UserOptions`, and `history_start`: the first history id (a number up
        to 2⁶⁴, for a new account only). Raises TypeError for others.
        """
        address = address.lower()
        start = options.pop("history_start", None) or str(secrets.randbelow(9_000_000) + 1_000_000)
        found = self._store.row("SELECT options FROM users WHERE address = ?", address)
        before = json.loads(found["options"]) if found else {"name": address.partition("@")[0]}
        text = json.dumps(asdict(UserOptions(**{**before, **options})))
        if found:
            self._store.execute("UPDATE users SET options = ? WHERE address = ?", text, address)
            return
        # Never the address: clients must not take one for the other. Stable for a restart.
        digest = hashlib.sha256(f"sub {address}".encode()).hexdigest()
        sub = f"1{int(digest, 16) % 10 ** (_SUB_DIGITS - 1):0{_SUB_DIGITS - 1}d}"
        self._store.execute(
            "INSERT INTO users (address, sub, name, options, history_start) VALUES (?, ?, ?, ?, ?)",
            address,
            sub,
            "",
            text,
            str(start),
        )

    def user(self, address: str) -> User | None:
        """Return an account, or None."""
        row = self._store.row("SELECT * FROM users WHERE address = ?", address.lower())
        if row is None:
            return None
        return User(row["address"], row["sub"], UserOptions(**json.loads(row["options"])))

    def users(self) -> list[str]:
        """Return all addresses, in the order they were made."""
        return [row[0] for row in self._store.rows("SELECT address FROM users ORDER BY rowid")]

    def add_client(
        self, client_id: str, client_secret: str, redirect_uris: Sequence[str], **options: Any
    ) -> None:
        """Register a client or replace it. Options are those of `ClientOptions`."""
        self._store.execute(
            "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?)",
            client_id,
            client_secret,
            json.dumps(list(redirect_uris)),
            json.dumps(asdict(ClientOptions(**options))),
        )

    def client(self, client_id: str) -> Client | None:
        """Return a client, or None."""
        row = self._store.row("SELECT * FROM clients WHERE client_id = ?", client_id)
        if row is None:
            return None
        uris = tuple(json.loads(row["redirect_uris"]))
        options = ClientOptions(**json.loads(row["options"]))
        return Client(client_id, row["client_secret"], uris, options)

    def change_client(self, client_id: str, **changes: Any) -> None:
        """Change the secret, the redirect URIs or options. Raises NoSuchThingError, TypeError."""
        client = self.client(client_id)
        if client is None:
            raise NoSuchThingError(f"no client {client_id}")
        secret = changes.pop("client_secret", client.client_secret)
        uris = changes.pop("redirect_uris", client.redirect_uris)
        self.add_client(client_id, secret, uris, **asdict(replace(client.options, **changes)))
