"""Decides what every part of the simulator shares: rows, time, limits, and signed tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.store import Store

_SEAL_BYTES = 12
_SEED = 20_261_121


@dataclass(slots=True)
class Limits:
    """What Google allows; change any of them at any time.

    Attributes:
        user_units: per minute, user and project.
        project_units: per minute and project.
        batch_calls: in one batch request.
        page_token_seconds: how long a page token is good for.
        history_days: how long changes are remembered.
        refresh_tokens: live ones per account and client.
        push_seconds: within so long of a notification a mailbox's further changes are not told.
        keeps_message_ids: a sent message keeps the Message-ID it was given. Reports say that the
            API puts its own in place of it; a client that needs the old one is to be seen failing.
    """

    user_units: int = 6_000
    project_units: int = 1_200_000
    batch_calls: int = 100
    page_token_seconds: float = 24 * 3600
    history_days: float = 8
    refresh_tokens: int = 100
    push_seconds: float = 1.0
    keeps_message_ids: bool = False


@dataclass(slots=True)
class World:
    """The state, its time and its luck (ids and gaps between them; never secrets)."""

    store: Store
    clock: Clock
    limits: Limits = field(default_factory=Limits)
    random: random.Random = field(default_factory=lambda: random.Random(_SEED))  # noqa: S311 - a test's luck must repeat

    def seal(self, value: Any) -> str:
        """Return an opaque text that `unseal` reads, also after a restart."""
        body = json.dumps(value, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).decode().rstrip("=")

    def unseal(self, text: str) -> Any:
        """Return what was sealed. Raises ValueError for anything else."""
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        body = data[_SEAL_BYTES:]
        if not hmac.compare_digest(data[:_SEAL_BYTES], self._mac(body)):
            raise ValueError("not sealed here")
        return json.loads(body)

    def _mac(self, body: bytes) -> bytes:
        key = self.store.meta("seal_key")
        if key is None:
            key = secrets.token_hex(32)
            self.store.set_meta("seal_key", key)
        return hmac.digest(bytes.fromhex(key), body, hashlib.sha256)[:_SEAL_BYTES]
