"""Which damage is mended before parsing: what is common, cheap to see and safe to undo."""

import re

from shared.mime.caps import MAX_HEADER_BLOCK_BYTES, header_end

_MOST_PREFACES = 4
_PREFACE_STARTS = (b"\r", b"\n", b"\t", b" ", b"\xef", b">", b"F")
_FIELD_LINE = re.compile(rb"[!-9;-~]+[ \t]*:")
_WELL_KNOWN = re.compile(
    rb"(?:from|to|subject|date|received|message-id|return-path|delivered-to|mime-version"
    rb"|content-type)[ \t]*:",
    re.IGNORECASE,
)
_DELIMITER = re.compile(rb"^--([^\r\n]{1,70}?)[ \t]*\r?$", re.MULTILINE)
_CONTENT_TYPE = re.compile(rb"^content-type[ \t]*:[ \t]*", re.MULTILINE | re.IGNORECASE)
_LONE_CR = re.compile(rb"\r(?!\n)")


def mend(raw: bytes) -> tuple[bytes, str | None]:
    """Return `raw` without the damage that shows at its front, and its code if there was any."""
    preface = None
    for _ in range(_MOST_PREFACES):
        if raw[:1] not in _PREFACE_STARTS or (rest := _without_preface(raw)) is raw:
            break
        raw, preface = rest, "preface"
    head = raw[: min(header_end(raw)[0], MAX_HEADER_BLOCK_BYTES)]
    if b"\r" in head and head.count(b"\r") != head.count(b"\r\n"):
        if b"\n" not in raw:
            return raw.replace(b"\r", b"\r\n"), "bare_cr"
        return _LONE_CR.sub(b" ", head) + raw[len(head) :], "bare_cr"
    if b"\0" in head:
        return head.replace(b"\0", b"") + raw[len(head) :], "nul"
    return raw, preface


def _without_preface(raw: bytes) -> bytes:
    """Drop a byte order mark, empty lines and the separator line of an mbox file."""
    if raw.startswith(b"\xef\xbb\xbf"):
        return raw[3:]
    if raw[:1] in b"\r\n\t ":
        return raw.lstrip(b"\r\n\t ")
    if raw.startswith((b"From ", b">From ")):
        line_end = raw.find(b"\n")
        return raw[line_end + 1 :] if line_end >= 0 else raw
    return raw


def is_beheaded(raw: bytes) -> bool:
    """Return whether `raw` starts with a line that is no field and goes on with well-known ones."""
    if _FIELD_LINE.match(raw):
        return False
    second = raw.find(b"\n", 0, MAX_HEADER_BLOCK_BYTES) + 1
    return second > 0 and _WELL_KNOWN.match(raw, second) is not None


def rebuilt(raw: bytes) -> bytes:
    """Return `raw` with a header block of well-formed lines alone, ended by an empty line.

    Where the block is not ended, the first line that is neither a field nor a continuation starts
    the body.
    """
    end, body_at = header_end(raw)
    kept: list[bytes] = []
    at = 0
    for line in raw[: min(end, MAX_HEADER_BLOCK_BYTES)].splitlines(keepends=True):
        if _FIELD_LINE.match(line) or (kept and line[:1] in b" \t"):
            kept.append(line.rstrip(b"\r\n"))
        elif kept and end == body_at:
            body_at = at
            break
        at += len(line)
    else:
        body_at = at if end == body_at else body_at
    return b"\r\n".join(kept) + b"\r\n\r\n" + raw[body_at:]


def with_boundary(raw: bytes) -> bytes | None:
    """Return the multipart `raw` with the boundary its lines show; None if they show none."""
    end, body_at = header_end(raw)
    found = _DELIMITER.search(raw, body_at)
    declared = _CONTENT_TYPE.search(raw, 0, end)
    if found is None or declared is None or b'"' in found[1]:
        return None
    kind = raw[declared.end() :].split(b"\n", 1)[0].split(b";", 1)[0].strip()
    if not kind.lower().startswith(b"multipart/"):
        return None
    fields = [field for field in _fields(raw[:end]) if not _CONTENT_TYPE.match(field)]
    fields.append(b'Content-Type: %b; boundary="%b"' % (kind, found[1]))
    return b"\r\n".join(fields) + b"\r\n\r\n" + raw[body_at:]


def _fields(head: bytes) -> list[bytes]:
    fields: list[bytes] = []
    for line in head.splitlines():
        if line[:1] in b" \t" and fields:
            fields[-1] += b"\r\n" + line
        elif line:
            fields.append(line)
    return fields
