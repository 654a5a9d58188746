"""Decides how a token that carries its own contents stays opaque: sealed, and not to be forged.

Delta and skip tokens hold where a walk stands. Clients must not read or make them, and a simulator
that wrote them in clear would let a client get away with it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from typing import Any

_TAG_BYTES = 12
_NONCE_BYTES = 8


class BadTokenError(ValueError):
    """A token that this simulator did not make."""


class Sealer:
    """Seals small JSON values under one secret, which the state keeps over a restart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, value: dict[str, Any]) -> str:
        """Return the value as an opaque token; the same value gives the same token."""
        clear = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 9)
        nonce = hmac.digest(self._secret, b"nonce" + clear, "sha256")[:_NONCE_BYTES]
        body = nonce + self._cross(nonce, clear)
        tag = hmac.digest(self._secret, b"tag" + body, "sha256")[:_TAG_BYTES]
        return base64.urlsafe_b64encode(body + tag).rstrip(b"=").decode()

    def open(self, token: str) -> dict[str, Any]:
        """Return what was sealed.

        Raises:
            BadTokenError: the token was changed, or made elsewhere.
        """
        try:
            data = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except (UnicodeEncodeError, binascii.Error) as error:
            raise BadTokenError("not base64") from error
        body, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
        if not hmac.compare_digest(
            tag, hmac.digest(self._secret, b"tag" + body, "sha256")[:_TAG_BYTES]
        ):
            raise BadTokenError("not made here")
        clear = self._cross(body[:_NONCE_BYTES], body[_NONCE_BYTES:])
        value: dict[str, Any] = json.loads(zlib.decompress(clear))
        return value

    def _cross(self, nonce: bytes, data: bytes) -> bytes:
        stream = b"".join(
            hashlib.sha256(self._secret + nonce + block.to_bytes(4, "big")).digest()
            for block in range(len(data) // 32 + 1)
        )
        return bytes(a ^ b for a, b in zip(data, stream, strict=False))
