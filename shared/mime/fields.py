"""How header fields are read where the fast parser's reading will not do."""

import re
from collections.abc import Iterable, Mapping

from shared.mime.caps import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_ID_CHARACTERS,
    MAX_KEPT_HEADER_CHARACTERS,
    MAX_REFERENCES,
)
from shared.mime.words import clean_line, decoded, decoded_words

KEPT = (
    "list-id",
    "list-unsubscribe",
    "auto-submitted",
    "precedence",
    "x-auto-response-suppress",
    "return-path",
    "reply-to",
    "importance",
    "x-autoreply",
    "x-autorespond",
    "x-failed-recipients",
)
_LIST = "list-"

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
# Neither side of an angle bracket may hold another, so no run is read twice.
_ID = re.compile(r"<([^<>]+)>")
_COMMENT = re.compile(r"\([^()]*\)")


def raw_fields(header: bytes) -> dict[str, list[str]]:
    """Return a header block's unfolded values by lower-case name, encoded words undecoded."""
    found: dict[str, list[list[str]]] = {}
    # Joined once, at the end: a value may go on for as many lines as there are.
    unfolded: list[str] = []
    for number, line in enumerate(header.split(b"\n")):
        if number > MAX_HEADERS * 20:
            break
        if line[:1] in (b" ", b"\t"):
            unfolded.append(_text(line))
            continue
        match = _FIELD.match(line)
        if match:
            unfolded = [_text(line[match.end() :])]
            found.setdefault(match[1].decode("ascii").lower(), []).append(unfolded)
        else:
            unfolded = []
    return {name: [" ".join(lines) for lines in values] for name, values in found.items()}


def _text(line: bytes) -> str:
    return decoded(line[:MAX_HEADER_BYTES], None).strip()


def decoded_fields(header: bytes) -> dict[str, list[str]]:
    """Return a header block's values by lower-case name, decoded."""
    return {
        name: [decoded_words(value) for value in values]
        for name, values in raw_fields(header).items()
    }


def message_id(values: Iterable[str]) -> str | None:
    """Return the id of a Message-ID header without brackets, white space and comments."""
    for value in values:
        bracketed = _ID.search(value)
        text = bracketed[1] if bracketed else _COMMENT.sub("", value).strip("<> \t")
        if name := _id(text):
            return name
    return None


def message_ids(values: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of a References or In-Reply-To header, whatever stands between them."""
    found: dict[str, None] = {}
    for value in values:
        named = _ID.findall(value)
        if not named:
            # Without brackets only a lone id is one; words of prose with an address in them are
            # not.
            words = _COMMENT.sub("", value).replace(",", " ").split()
            named = [word.strip("<>") for word in words] if _are_ids(words) else []
        found |= {name: None for text in named if (name := _id(text))}
    return tuple(found)


def _are_ids(words: list[str]) -> bool:
    return bool(words) and all("@" in word for word in words)


def kept_references(ids: tuple[str, ...]) -> tuple[str, ...]:
    """Return at most `MAX_REFERENCES` ids: the root, which names the thread, and the latest."""
    if len(ids) <= MAX_REFERENCES:
        return ids
    return (ids[0], *ids[1 - MAX_REFERENCES :])


def _id(text: str) -> str:
    if text.isascii() and text.isprintable() and " " not in text:
        return text[:MAX_ID_CHARACTERS]
    return clean_line(text, MAX_ID_CHARACTERS * 2).replace(" ", "")[:MAX_ID_CHARACTERS]


def kept_headers(fields: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the few headers that say what kind of mail this is, the first of each.

    A list has a handful of its own, and says so with any of them: one is enough.
    """
    names = [name for name in KEPT if name in fields]
    if not any(name.startswith(_LIST) for name in names):
        names += [name for name in fields if name.startswith(_LIST)][:1]
    return {name: clean_line(fields[name][0], MAX_KEPT_HEADER_CHARACTERS) for name in names}
