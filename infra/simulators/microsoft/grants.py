"""Decides what codes and tokens are good for, how long, and what ends them.

A refresh gives a new refresh token and leaves the old one good, as Entra does: two workers that
refresh at the same time both succeed. Only digests are kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.accounts import Accounts, Client, User

CODE_SECONDS = 600
REFRESH_SECONDS = 90 * 86_400
_ACCESS_SECONDS = (3600, 5400)
IDENTITY_SCOPES = ("openid", "profile", "email", "offline_access")
GRAPH_SCOPES = (
    "User.Read",
    "User.ReadBasic.All",
    "Mail.ReadBasic",
    "Mail.Read",
    "Mail.ReadWrite",
    "Mail.Send",
    "Mail.Read.Shared",
    "Mail.ReadWrite.Shared",
    "Mail.Send.Shared",
    "MailboxSettings.Read",
)
GRAPH = "https://graph.microsoft.com/"
REVOKE_REASONS = {
    "user": 50173,
    "password": 50173,
    "admin": 50173,
    "expired": 700082,
    "consent": 65001,
    "session": 50133,
    "sign_in_frequency": 70043,
    "mfa": 50076,
    "conditional_access": 53003,
}


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who holds an access token, and for what."""

    client: str
    user: User
    scopes: frozenset[str]
    expired: bool


@dataclass(frozen=True, slots=True)
class Issued:
    """What the token endpoint gives out."""

    access_token: str
    refresh_token: str | None
    expires_in: int
    scopes: tuple[str, ...]


def known_scopes(text: str) -> tuple[tuple[str, ...], list[str]]:
    """Return the scopes asked for in their usual spelling, and those that there are not."""
    usual = {one.lower(): one for one in (*IDENTITY_SCOPES, *GRAPH_SCOPES)}
    found: list[str] = []
    unknown: list[str] = []
    for word in text.split():
        name = word[len(GRAPH) :] if word.lower().startswith(GRAPH) else word
        scope = usual.get(name.lower())
        if scope is None:
            unknown.append(word)
        elif scope not in found:
            found.append(scope)
    return tuple(found), unknown


class Grants:
    """The codes and tokens of a simulator."""

    def __init__(self, store: Store, clock: Clock, accounts: Accounts) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts

    # ---- codes --------------------------------------------------------------------------------

    def new_code(self, user: User, data: dict[str, Any]) -> str:
        """Return a code that stands for what was agreed to."""
        body = secrets.token_urlsafe(540)
        code = f"M.C5{secrets.randbelow(90) + 10}_BAY.2.U.{body[:48]}"
        if not user.options.personal:
            code = f"1.A{body}"
        self._store.execute(
            "insert into codes values (?, ?, ?, 0)",
            digest(code),
            json.dumps({**data, "user": user.pk}),
            self._clock.epoch() + CODE_SECONDS,
        )
        return code

    def code(self, code: str) -> tuple[dict[str, Any], bool, bool] | None:
        """Return what a code stands for, whether it was redeemed, whether it is too old."""
        row = self._store.row("select * from codes where digest = ?", digest(code))
        if row is None:
            return None
        data: dict[str, Any] = json.loads(row["data"])
        return data, bool(row["redeemed"]), row["expires"] < self._clock.epoch()

    def redeem(self, code: str) -> None:
        """Let a code be good no more."""
        self._store.execute("update codes set redeemed = 1 where digest = ?", digest(code))

    # ---- consent ------------------------------------------------------------------------------

    def consented(self, client: str, user: User) -> frozenset[str]:
        """Return what a user has agreed to."""
        row = self._store.row(
            "select scopes from consents where client = ? and user = ?", client, user.pk
        )
        return frozenset(row["scopes"].split()) if row else frozenset()

    def consent(self, client: str, user: User, scopes: Iterable[str]) -> None:
        """Note that a user agrees, in addition to what they agreed to before."""
        both = sorted({*scopes, *self.consented(client, user)})
        self._store.execute(
            "insert or replace into consents values (?, ?, ?)", client, user.pk, " ".join(both)
        )

    def revoke(self, user: User, reason: str) -> int:
        """End a user's refresh tokens. Returns how many. Access tokens live out their hour.

        Args:
            user: whose.
            reason: one of REVOKE_REASONS, or a number of an AADSTS error.

        Raises:
            ValueError: there is no such reason.
        """
        number = REVOKE_REASONS.get(reason) or (int(reason) if reason.isdecimal() else 0)
        if not number:
            raise ValueError(f"reason is one of {', '.join(REVOKE_REASONS)}, or a number")
        if reason == "consent":
            self._store.execute("delete from consents where user = ?", user.pk)
        return self._store.execute(
            "update tokens set ended = ? where user = ? and kind = 'refresh' and ended = 0",
            number,
            user.pk,
        )

    # ---- tokens -------------------------------------------------------------------------------

    def issue(self, client: Client, user: User, scopes: tuple[str, ...]) -> Issued:
        """Give out tokens for what was agreed to."""
        low, high = _ACCESS_SECONDS
        seconds = low + secrets.randbelow(high - low)
        access = _access_token(personal=user.options.personal)
        self._keep(access, ("access", client.id, user.pk), scopes, seconds)
        refresh = None
        if "offline_access" in scopes:
            refresh = _refresh_token(personal=user.options.personal)
            self._keep(refresh, ("refresh", client.id, user.pk), scopes, REFRESH_SECONDS)
        return Issued(access, refresh, seconds, scopes)

    def refresh_row(self, token: str) -> sqlite3.Row | None:
        """Return a refresh token as it is kept, or None."""
        return self._store.row(
            "select * from tokens where digest = ? and kind = 'refresh'", digest(token)
        )

    def is_idle(self, row: sqlite3.Row) -> bool:
        """Return whether a refresh token lay unused for too long."""
        return bool(row["used"] + REFRESH_SECONDS < self._clock.epoch())

    def use(self, row: sqlite3.Row) -> None:
        """Note that a refresh token was used: that keeps it alive."""
        self._store.execute(
            "update tokens set used = ? where digest = ?", self._clock.epoch(), row["digest"]
        )

    def bearer(self, token: str) -> Bearer | None:
        """Return who an access token is of, or None."""
        row = self._store.row(
            "select * from tokens where digest = ? and kind = 'access'", digest(token)
        )
        if row is None:
            return None
        return Bearer(
            row["client"],
            self._accounts.user_of(row["user"]),
            frozenset(row["scopes"].split()),
            row["expires"] < self._clock.epoch(),
        )

    def _keep(
        self, token: str, whose: tuple[str, str, int], scopes: tuple[str, ...], seconds: float
    ) -> None:
        now = self._clock.epoch()
        self._store.execute(
            "insert into tokens (digest, kind, client, user, scopes, made, expires, used)"
            " values (?, ?, ?, ?, ?, ?, ?, ?)",
            *(digest(token), *whose, " ".join(scopes), now, now + seconds, now),
        )


def digest(secret: str) -> str:
    """Return what is kept of a code or token."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _access_token(*, personal: bool) -> str:
    # Long as the real ones are: they overflow buffers and header limits that were never tried.
    if personal:
        return "EwB" + base64.b64encode(secrets.token_bytes(900)).decode()
    return ".".join(("eyJ0eXAiOiJKV1Qi" + secrets.token_urlsafe(60), *_rest()))


def _rest() -> tuple[str, str]:
    return secrets.token_urlsafe(1200), secrets.token_urlsafe(256)


def _refresh_token(*, personal: bool) -> str:
    if personal:
        return f"M.C5{secrets.randbelow(90) + 10}_BAY.0.U.-{secrets.token_urlsafe(240)}"
    return f"1.A{secrets.token_urlsafe(900)}"
