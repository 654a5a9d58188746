"""Decides how long a grant lives: issuing, refreshing and ending of tokens.

An access token is good for 3,599 seconds. A refresh token ends when the user or an administrator
revokes it, when the password changes, after six months without use, after 7 days for a client in
testing, when the time the user chose is over, and silently when a 101st is issued.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from infra.simulators.google.accounts import Accounts, Client
    from infra.simulators.google.world import World

ACCESS_SECONDS = 3599
_UNUSED_SECONDS = 183 * 86_400
_TESTING_SECONDS = 7 * 86_400
_SHOWN_EARLY = 1  # `refresh_token_expires_in` of 7 days is 604799
_GMAIL = ("https://mail.google.com/", "https://www.googleapis.com/auth/gmail.")
REASONS = ("user", "password_changed", "admin_policy", "session_control", "account_deleted")


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What an access token permits."""

    address: str
    client_id: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token; `ended` says why it is dead, or is empty."""

    token: str
    address: str
    client_id: str
    scopes: tuple[str, ...]
    expires_at: float | None
    ended: str


class Grants:
    """The tokens of all accounts."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self._world = world
        self._store = world.store
        self._accounts = accounts

    def project_of(self, client_id: str) -> str:
        """Return the project that a client's calls count for."""
        client = self._accounts.client(client_id)
        return client.options.project if client else ""

    # ---- access tokens ------------------------------------------------------------------------

    def issue_access(
        self,
        address: str,
        client_id: str,
        scopes: Iterable[str],
        *,
        refresh_token: str = "",
        code: str = "",
        seconds: float = ACCESS_SECONDS,
    ) -> str:
        """Return a new access token; it dies with the refresh token or code it came from."""
        token = f"ya29.a0{secrets.token_urlsafe(120)}"
        self._store.execute(
            "INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?, ?, ?)",
            token,
            address,
            client_id,
            json.dumps(sorted(scopes)),
            self._world.clock.epoch() + seconds,
            refresh_token,
            code,
        )
        return token

    def access_token(self, token: str) -> AccessToken | None:
        """Return what a live access token permits, or None."""
        row = self._store.row(
            "SELECT * FROM access_tokens WHERE token = ? AND expires_at > ?",
            token,
            self._world.clock.epoch(),
        )
        if row is None:
            return None
        return AccessToken(row["address"], row["client_id"], tuple(json.loads(row["scopes"])))

    # ---- refresh tokens -----------------------------------------------------------------------

    def issue_refresh(
        self, address: str, client: Client, scopes: Iterable[str], code: str
    ) -> RefreshToken:
        """Return a new refresh token; the oldest beyond the limit dies without a word."""
        now = self._world.clock.epoch()
        seconds = self._lifetime(address, client)
        token = f"1//0{secrets.token_urlsafe(60)}"
        expires_at = None if seconds is None else now + seconds
        self._store.execute(
            "INSERT INTO refresh_tokens (token, address, client_id, scopes, used_at, expires_at,"
            " code) VALUES (?, ?, ?, ?, ?, ?, ?)",
            token,
            address,
            client.client_id,
            json.dumps(sorted(scopes)),
            now,
            expires_at,
            code,
        )
        live = self._store.rows(
            "SELECT token FROM refresh_tokens WHERE address = ? AND client_id = ? AND ended = ''"
            " ORDER BY number DESC",
            address,
            client.client_id,
        )
        for row in live[self._world.limits.refresh_tokens :]:
            self.end_refresh(row["token"], "too_many")
        return RefreshToken(token, address, client.client_id, tuple(sorted(scopes)), expires_at, "")

    def _lifetime(self, address: str, client: Client) -> float | None:
        user = self._accounts.user(address)
        chosen = user.options.grant_seconds if user else None
        if client.options.publishing_status == "testing":
            return min(_TESTING_SECONDS, chosen or _TESTING_SECONDS)
        return chosen

    def seconds_left(self, token: RefreshToken) -> int | None:
        """Return what `refresh_token_expires_in` says, or None for a grant without an end."""
        if token.expires_at is None:
            return None
        return int(token.expires_at - self._world.clock.epoch() + 0.5) - _SHOWN_EARLY

    def refresh_token(self, token: str) -> RefreshToken | None:
        """Return a refresh token, also a dead one, or None for a text that never was one."""
        row = self._store.row("SELECT * FROM refresh_tokens WHERE token = ?", token)
        return None if row is None else self._read(row)

    def use_refresh(self, token: RefreshToken) -> str:
        """Return "" when the token may be used now, else why it is dead."""
        if token.ended:
            return token.ended
        now = self._world.clock.epoch()
        used_at = self._store.value(
            "SELECT used_at FROM refresh_tokens WHERE token = ?", token.token
        )
        reason = ""
        if token.expires_at is not None and now >= token.expires_at:
            reason = "expired"
        elif now - used_at > _UNUSED_SECONDS:
            reason = "unused"
        if reason:
            self.end_refresh(token.token, reason)
            return reason
        self._store.execute(
            "UPDATE refresh_tokens SET used_at = ? WHERE token = ?", now, token.token
        )
        return ""

    def end_refresh(self, token: str, reason: str) -> None:
        """Kill one refresh token. Access tokens that came from it go on until they expire."""
        self._store.execute(
            "UPDATE refresh_tokens SET ended = ? WHERE token = ? AND ended = ''", reason, token
        )

    # ---- the end of a grant -------------------------------------------------------------------

    def revoke(self, token: str) -> bool:
        """Revoke the grant that a token of either kind belongs to. Says whether it was live."""
        refresh = self.refresh_token(token)
        if refresh is not None and not refresh.ended:
            self._end(refresh.address, refresh.client_id, "user")
            return True
        access = self.access_token(token)
        if access is not None:
            self._end(access.address, access.client_id, "user")
            return True
        return False

    def end_all(self, address: str, reason: str) -> int:
        """End an account's grants with every client. Returns how many refresh tokens died.

        A changed password ends only those with a Gmail scope.
        """
        if reason not in REASONS:
            raise ValueError(f"no reason {reason!r}; known: {', '.join(REASONS)}")
        rows = self._store.rows(
            "SELECT * FROM refresh_tokens WHERE address = ? AND ended = ''", address
        )
        ended = [self._read(row) for row in rows]
        if reason == "password_changed":
            ended = [t for t in ended if any(s.startswith(_GMAIL) for s in t.scopes)]
        for client_id in {token.client_id for token in ended}:
            self._end(address, client_id, reason)
        return len(ended)

    def end_code(self, code: str) -> None:
        """Kill what a code was exchanged for: somebody used it twice."""
        self._store.execute(
            "UPDATE refresh_tokens SET ended = 'code_reused' WHERE code = ? AND ended = ''", code
        )
        self._store.execute("DELETE FROM access_tokens WHERE code = ?", code)

    def _end(self, address: str, client_id: str, reason: str) -> None:
        self._store.execute(
            "UPDATE refresh_tokens SET ended = ? WHERE address = ? AND client_id = ?"
            " AND ended = ''",
            reason,
            address,
            client_id,
        )
        for table in ("access_tokens", "consents"):
            self._store.execute(
                f"DELETE FROM {table} WHERE address = ? AND client_id = ?",  # noqa: S608 - our names
                address,
                client_id,
            )

    def _read(self, row: sqlite3.Row) -> RefreshToken:
        return RefreshToken(
            row["token"],
            row["address"],
            row["client_id"],
            tuple(json.loads(row["scopes"])),
            row["expires_at"],
            row["ended"],
        )
