"""What a `next` token is: a position, with a digest that binds it to one tenant, route and query.

It holds a position inside a list and nothing that says whose list it is: the keys that are read
always come from the verified claims and the path. A token that somebody forged therefore moves them
within what they may read anyway; the digest is there so that a token of another list, tenant or
query, or one that was cut or changed, is answered with `invalid_page_token` instead of with a wrong
page.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import TypedDict

import orjson

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import TenantId
from shared.operations.page_through import entry_at_position, entry_to_position
from shared.ports.stores import TimelineEntry

_DIGEST_BYTES = 12
_LONGEST_TOKEN = 2_000
_LONGEST_PART = 256
"""A token can be forged, and no store can look for a key that is longer than keys are."""

Position = Sequence[str | int | None]


class _Bound(TypedDict):
    tenant_id: TenantId
    route: str
    query: Mapping[str, object]


def page_token(
    position: Position, *, tenant_id: TenantId, route: str, query: Mapping[str, object]
) -> str:
    """Return the token for `position` in the list that `route` (with its ids) gives for `query`."""
    data = orjson.dumps(list(position))
    packed = _digest(data, tenant_id, route, query) + data
    return base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")


def read_page_token(
    token: str | None, *, tenant_id: TenantId, route: str, query: Mapping[str, object]
) -> list[str | int | None] | None:
    """Return the position in `token`, or None without a token.

    Raises `RequestError(INVALID_PAGE_TOKEN)`.
    """
    if token is None:
        return None
    if len(token) > _LONGEST_TOKEN:
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN)
    try:
        packed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN) from error
    # Base64 ignores the spare bits of the last letter: only the one spelling we write is ours.
    again = base64.urlsafe_b64encode(packed).decode("ascii").rstrip("=")
    digest, data = packed[:_DIGEST_BYTES], packed[_DIGEST_BYTES:]
    if again != token or digest != _digest(data, tenant_id, route, query):
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN)
    try:
        position = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN) from error
    if not isinstance(position, list) or any(len(str(part)) > _LONGEST_PART for part in position):
        raise RequestError(ErrorCode.INVALID_PAGE_TOKEN)
    return position


def _digest(data: bytes, tenant_id: TenantId, route: str, query: Mapping[str, object]) -> bytes:
    bound = orjson.dumps(
        [tenant_id, route, sorted((key, str(value)) for key, value in query.items())]
    )
    return hashlib.blake2b(
        data, digest_size=_DIGEST_BYTES, key=hashlib.blake2b(bound).digest()
    ).digest()


class ListOf:
    """One list of one tenant, for which tokens are written and read.

    Query: what the list is filtered by.
    """

    def __init__(
        self, tenant_id: TenantId, route: str, query: Mapping[str, object] | None = None
    ) -> None:
        self._bound: _Bound = {"tenant_id": tenant_id, "route": route, "query": query or {}}

    def token(self, position: str | None) -> str | None:
        """Return the token for a position that is an id, or None at the end."""
        return None if position is None else page_token([position], **self._bound)

    def text_position(self, token: str | None) -> str | None:
        """Read what `token` wrote."""
        match read_page_token(token, **self._bound):
            case None:
                return None
            case [str(position)]:
                return position
            case _:
                raise RequestError(ErrorCode.INVALID_PAGE_TOKEN)

    def entry_token(self, entry: TimelineEntry | None) -> str | None:
        """Return the token for a position in an index, or None at the end."""
        if entry is None:
            return None
        return page_token(entry_to_position(entry), **self._bound)

    def entry_position(self, token: str | None) -> TimelineEntry | None:
        """Read what `entry_token` wrote."""
        try:
            entry = entry_at_position(read_page_token(token, **self._bound))
            return entry and replace(entry, at=entry.at.astimezone(UTC))
        except (ValueError, OverflowError) as error:
            raise RequestError(ErrorCode.INVALID_PAGE_TOKEN) from error
