"""How a message is read that the fast parser refuses: the standard library's, on a leash.

Its compat32 policy alone: `policy.default` parses every header with a grammar and was seen to take
20 GB for one subject. It reads by lines, each asked for every open level, so lines times levels are
bounded first; it holds a line at four bytes a character and more, so the longest are broken.
"""

import email.feedparser
import email.message
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.mime.caps import MAX_PARTS
from shared.mime.words import decoded, decoded_words, transfer_decoded

_MAX_LINE_VISITS = 1_000_000
_MAX_PARAMETER_BYTES = 4 * 1024
_LONGEST_LINE_BYTES = 1024 * 1024
"""A line may have 998 (RFC 5322, 2.1.1)."""
_LEVEL = re.compile(rb"boundary|message/", re.IGNORECASE)
_MIME_FIELD = re.compile(
    rb"^content-[a-z-]{1,40}[ \t]*:[^\n]*+(?:\n[ \t][^\n]*+)*+", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that holds no others, with its transfer encoding undone."""

    content_type: str
    charset: str | None
    content: bytes
    disposition: str | None
    filename: str | None
    content_id: str | None

    @property
    def is_body(self) -> bool:
        """Whether the part is read in place."""
        return self.content_type in ("text/plain", "text/html") and self.disposition != "attachment"


def leaves(raw: bytes) -> list[Leaf] | None:
    """Return at most `MAX_PARTS` leaves of `raw`, or None where reading it could take too long."""
    levels = 1 + sum(1 for _ in _LEVEL.finditer(raw))
    if raw.count(b"\n") * levels > _MAX_LINE_VISITS:
        return None
    # Parameters are split in quadratic time.
    if any(len(field[0]) > _MAX_PARAMETER_BYTES for field in _MIME_FIELD.finditer(raw)):
        return None
    try:
        # In slices: handed the whole, the parser makes texts of it that are seven times as large.
        feeder = email.feedparser.BytesFeedParser(policy=email.policy.compat32)
        for lines in _in_lines(raw):
            feeder.feed(lines)
        root = feeder.close()
        return [leaf for leaf, _ in zip(_walk(root), range(MAX_PARTS), strict=False)]
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        # compat32 raises whatever its insides raise.
        return None


def _in_lines(raw: bytes) -> Iterator[bytes]:
    """Yield `raw` in slices that end with a line, breaking those no mail may have."""
    at = 0
    while len(raw) - at > _LONGEST_LINE_BYTES:
        upto = at + _LONGEST_LINE_BYTES
        line_end = raw.rfind(b"\n", at, upto) + 1
        yield raw[at:line_end] if line_end else raw[at:upto] + b"\n"
        at = line_end or upto
    yield raw[at:]


def _walk(root: email.message.Message) -> Iterator[Leaf]:
    pending = [root]
    while pending:
        part = pending.pop()
        payload = part.get_payload()
        if isinstance(payload, list) and part.get_content_maintype() == "multipart":
            pending += [
                child for child in reversed(payload) if isinstance(child, email.message.Message)
            ]
        else:
            yield _leaf(part, payload)


def _leaf(part: email.message.Message, payload: object) -> Leaf:
    if isinstance(payload, list):
        content = b"\n".join(child.as_bytes() for child in payload)
    else:
        encoding = _plain(part.get("content-transfer-encoding")) or ""
        # Without this header the payload comes as it stands, for a more patient decoder.
        del part["content-transfer-encoding"]
        undecoded = part.get_payload(decode=True)
        content = transfer_decoded(undecoded, encoding) if isinstance(undecoded, bytes) else b""
    name = part.get_filename()
    content_id = _plain(part.get("content-id"))
    return Leaf(
        content_type=part.get_content_type(),
        charset=_plain(part.get_param("charset")),
        content=content,
        disposition=(_plain(part.get("content-disposition")) or "")
        .partition(";")[0]
        .strip()
        .lower()
        or None,
        filename=decoded_words(_plain(name) or "") or None,
        content_id=content_id.strip().strip("<>") if content_id else None,
    )


def _plain(value: object) -> str | None:
    """Return a value as text: compat32 hands out text, tuples and Header objects."""
    if value is None:
        return None
    if isinstance(value, tuple):
        value = value[-1]
    return decoded(str(value).encode("utf-8", "surrogateescape"), None)
