"""To which addresses a browser may be sent back after a sign-in.

An open redirect would lend our name to whoever wants to look like us, and hand them the code
(RFC 9700, 4.11). So the whole origin is compared, never a part of it, and what browsers and
`urllib` read differently is refused before it is read at all (backslashes, control characters,
userinfo; WHATWG URL, 4.4).
"""

import re
from collections.abc import Collection
from urllib.parse import urlencode, urlsplit

from shared.domain.errors import ErrorCode, RequestError

MOST_CHARACTERS = 2_000
OURS = "mailroom_"
"""What the names of the parameters we add start with."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_PLAIN = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII but the backslash."""
_DEFAULT_PORTS = {"https": 443, "http": 80}


def checked_return_url(url: str, *, origins: Collection[str], allow_loopback: bool) -> str:
    """Return `url` if its origin is one of `origins`; raises RETURN_URL_NOT_ALLOWED otherwise.

    `allow_loopback`: http is taken from this machine's own hosts, else nowhere. A fragment is
    refused, because that is where we put what only the page may read.
    """
    allowed = {origin_of(origin) for origin in origins}
    origin = origin_of(url)
    if origin is None:
        words = "An absolute https address without user name and fragment, in plain characters."
    elif origin not in allowed:
        words = "Its origin is not on the list of this deployment."
    elif origin.startswith("http:") and not (allow_loopback and _host(url) in LOOPBACK):
        words = "Plain http is taken only on one's own machine."
    else:
        return url
    raise RequestError(ErrorCode.RETURN_URL_NOT_ALLOWED, fields=[("return_url", words)])


def origin_of(url: str) -> str | None:
    """Return scheme, host and port of an absolute http(s) URL, or None for any other text."""
    if len(url) > MOST_CHARACTERS or not _PLAIN.fullmatch(url) or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if "%" in parts.netloc or not url.lower().startswith(f"{parts.scheme}://"):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{_DEFAULT_PORTS[parts.scheme] if port is None else port}"


def sent_back(url: str, query: dict[str, str], fragment: dict[str, str] | None = None) -> str:
    """Return a checked URL with our parameters added; its own that look like ours are dropped."""
    base, _, own = url.partition("?")
    kept = [part for part in own.split("&") if part and not part.startswith(_RESERVED)]
    whole = f"{base}?{'&'.join([*kept, urlencode(query)])}"
    return f"{whole}#{urlencode(fragment)}" if fragment else whole


_RESERVED = (OURS, "mailbox_id=")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
