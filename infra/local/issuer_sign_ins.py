"""Who is signed in at the local issuer, and the refresh tokens they were given.

All of it is in one file of the stack's folder, so that a page that was open goes on after a
restart. A refresh token works once and brings the next. One that comes a second time is in two
hands, and nobody knows which is the right one: neither can go on (RFC 9700, section 4.14.2).
"""

import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.local.paths import read_json, write_whole

KEPT_SECONDS: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a token names."""

    tenant: str
    user: str
    roles: tuple[str, ...] = ()


ADA: Final = Person("demo", "ada", ("admin",))
BEN: Final = Person("demo", "ben")


class SignIns:
    """Those of one stack. Each is known by a key, which only its browser has."""

    def __init__(self, file: Path, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        self._lock = threading.Lock()

    def begin(self, person: Person) -> str:
        """Sign `person` in; return the key."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._write(
                self._read()
                | {
                    key: {
                        "tenant": person.tenant,
                        "user": person.user,
                        "roles": person.roles,
                        "began": int(self._now()),
                        "refresh_tokens": {},
                    }
                }
            )
        return key

    def person(self, key: str) -> Person | None:
        """Who is signed in by `key`; None when it has ended."""
        with self._lock:
            return _person(self._read().get(key))

    def end(self, key: str) -> None:
        """Sign out; its refresh tokens work no more."""
        with self._lock:
            self._write({one: kept for one, kept in self._read().items() if one != key})

    def end_all(self) -> None:
        """Sign everybody out."""
        with self._lock:
            self._write({})

    def refresh_token(self, key: str) -> str | None:
        """Return the first refresh token of a new chain; None when the sign-in has ended."""
        chain = secrets.token_urlsafe(12)
        with self._lock:
            kept = self._read()
            if key not in kept:
                return None
            token = _next(kept[key], chain)
            self._write(kept)
        return token

    def renew(self, token: str) -> tuple[Person, str] | None:
        """Return whose `token` is and the one that takes its place; None when it is no good."""
        chain, _, secret = token.partition(".")
        with self._lock:
            kept = self._read()
            sign_in = next((one for one in kept.values() if chain in one["refresh_tokens"]), None)
            person = _person(sign_in)
            if sign_in is None or person is None:
                return None
            if not secrets.compare_digest(sign_in["refresh_tokens"][chain], secret):
                del sign_in["refresh_tokens"][chain]
                self._write(kept)
                return None
            following = _next(sign_in, chain)
            self._write(kept)
        return person, following

    def withdraw(self, token: str) -> None:
        """End the chain of `token`."""
        chain = token.partition(".")[0]
        with self._lock:
            kept = self._read()
            for sign_in in kept.values():
                sign_in["refresh_tokens"].pop(chain, None)
            self._write(kept)

    def _read(self) -> dict[str, Any]:
        since = self._now() - KEPT_SECONDS
        return {key: one for key, one in read_json(self._file).items() if one["began"] > since}

    def _write(self, kept: dict[str, Any]) -> None:
        write_whole(self._file, json.dumps(kept, indent=2), private=True)


def _person(sign_in: dict[str, Any] | None) -> Person | None:
    if sign_in is None:
        return None
    return Person(sign_in["tenant"], sign_in["user"], tuple(sign_in["roles"]))


def _next(sign_in: dict[str, Any], chain: str) -> str:
    secret = secrets.token_urlsafe(24)
    sign_in["refresh_tokens"][chain] = secret
    return f"{chain}.{secret}"
