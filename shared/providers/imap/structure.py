"""Decides from a BODYSTRUCTURE which leaves of a message are fetched and which stay there."""

import email.errors
import email.header
import re
import urllib.parse
from dataclasses import dataclass

from shared.domain.message import RemotePart
from shared.providers.imap.grammar import Value, number, pairs

LARGEST_TEXT = 1 << 20
"""Bytes of a text leaf that are fetched; the rest of a larger one is left."""
MOST_TEXTS = 20
MOST_LEAVES = 2_000
_LONGEST_FILENAME = 1_000
_CONTINUED = re.compile(rb"(?P<name>.+?)\*(?P<number>\d{1,4})?(?P<encoded>\*)?\Z")


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the MIME tree as the server describes it; `size` is in encoded bytes."""

    section: str
    content_type: str
    charset: str | None
    encoding: str
    size: int
    disposition: str | None
    filename: str | None
    content_id: str | None

    def as_remote(self) -> RemotePart:
        """Return it as a part left at the provider."""
        return RemotePart(
            self.section,
            self.content_type,
            self.encoding,
            self.size,
            self.filename,
            self.disposition,
            self.content_id,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a large message is fetched, and what is left."""

    texts: tuple[Leaf, ...]
    remote: tuple[Leaf, ...]


def plan(structure: Value) -> Plan:
    """Divide the leaves of a BODYSTRUCTURE; raises ValueError where it has none."""
    leaves = _leaves(structure)
    if not leaves:
        raise ValueError("no leaves in the structure")
    texts: list[Leaf] = []
    remote: list[Leaf] = []
    for leaf in leaves:
        readable = leaf.content_type in {"text/plain", "text/html"} and (
            leaf.disposition != "attachment"
            # An inline text with a name is a file somebody dropped in, unless it is the message.
            and (leaf.filename is None or not texts)
        )
        (texts if readable and len(texts) < MOST_TEXTS else remote).append(leaf)
    return Plan(tuple(texts), tuple(remote))


def _leaves(structure: Value) -> list[Leaf]:
    """Return the leaves in order, without recursion. A message inside a message is one leaf."""
    found: list[Leaf] = []
    is_root = True
    waiting: list[tuple[str, Value]] = [("", structure)]
    while waiting and len(found) < MOST_LEAVES:
        section, node = waiting.pop()
        if not isinstance(node, list) or not node:
            continue
        if isinstance(node[0], list):
            children = [child for child in node if isinstance(child, list)]
            # The extension data of a multipart holds lists too; the subtype ends the children.
            ends = next((i for i, child in enumerate(node) if not isinstance(child, list)), None)
            children = children if ends is None else children[:ends]
            prefix = f"{section}." if section else ""
            waiting.extend(
                (f"{prefix}{position}", child)
                for position, child in reversed(list(enumerate(children, start=1)))
            )
        else:
            found.append(_leaf("1" if is_root else section, node))
        is_root = False
    return found


def _leaf(section: str, node: list[Value]) -> Leaf:
    node = [*node, *([None] * 12)]
    content_type = f"{_word(node[0]) or 'application'}/{_word(node[1]) or 'octet-stream'}"
    parameters = _parameters(node[2])
    # After the size: text has its lines; message/rfc822 an envelope, a body and its lines.
    extra = 1 if content_type.startswith("text/") else 3 if content_type == "message/rfc822" else 0
    disposition: Value = node[8 + extra]
    disposed: dict[str, str] = {}
    if isinstance(disposition, list) and disposition:
        disposed = _parameters(disposition[1] if len(disposition) > 1 else None)
        disposition = disposition[0]
    content_id = node[3]
    return Leaf(
        section=section,
        content_type=content_type,
        charset=parameters.get("charset"),
        encoding=_word(node[5]) or "7bit",
        size=number(node[6]) or 0,
        disposition=_word(disposition),
        filename=disposed.get("filename") or parameters.get("name"),
        content_id=(
            content_id.decode("ascii", "replace").strip().strip("<>") or None
            if isinstance(content_id, bytes)
            else None
        ),
    )


def _word(value: Value) -> str | None:
    return value.decode("ascii", "replace").strip().lower() if isinstance(value, bytes) else None


def _parameters(value: Value) -> dict[str, str]:
    """Return MIME parameters decoded: RFC 2231 with continuations, RFC 2047 where it is misused."""
    if not isinstance(value, list):
        return {}
    plain: dict[str, str] = {}
    split: dict[str, list[tuple[int, bool, bytes]]] = {}
    for name, text in pairs(value).items():
        if not isinstance(text, bytes):
            continue
        match = _CONTINUED.match(name)
        if match:
            key = match["name"].decode("ascii", "replace").lower()
            piece = (int(match["number"] or 0), match["encoded"] is not None, text)
            if match["number"] is None:
                piece = (0, True, text)
            split.setdefault(key, []).append(piece)
        else:
            plain[name.decode("ascii", "replace").lower()] = _encoded_words(text)
    for key, pieces in split.items():
        plain[key] = _extended(pieces)
    return {key: _one_line(text) for key, text in plain.items()}


def _extended(pieces: list[tuple[int, bool, bytes]]) -> str:
    charset = "utf-8"
    joined = bytearray()
    for position, (_number, is_encoded, text) in enumerate(sorted(pieces)):
        value = text
        if is_encoded:
            if position == 0 and value.count(b"'") >= 2:  # noqa: PLR2004  # charset'language'value
                named, _language, value = value.split(b"'", 2)
                charset = named.decode("ascii", "replace") or charset
            value = urllib.parse.unquote_to_bytes(value)
        joined += value
        if len(joined) > 4 * _LONGEST_FILENAME:
            break
    return _decode(bytes(joined), charset)


def _encoded_words(text: bytes) -> str:
    if b"=?" not in text or len(text) > 4 * _LONGEST_FILENAME:
        return _decode(text, "utf-8")
    try:
        pieces = email.header.decode_header(text.decode("ascii", "replace"))
    except email.errors.HeaderParseError:
        return _decode(text, "utf-8")
    return "".join(
        piece if isinstance(piece, str) else _decode(piece, charset or "ascii")
        for piece, charset in pieces
    )


def _decode(text: bytes, charset: str) -> str:
    try:
        return text.decode(charset, "replace")
    except (LookupError, ValueError):
        return text.decode("latin-1")


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST_FILENAME]).strip()
