"""How a message that was fetched whole is read: the fast parser and a ladder under it.

Fast as it is; fast on a mended copy; the standard library's parser; the header alone with the rest
as text. Each rung leaves its name among the defects.
"""

import re

from fast_mail_parser import (
    DecodeError,
    ParseError,
    PyLazyMail,
    parse_email,
    parse_email_tree,
    walk,
)

from shared.domain.message import ParsedAttachment
from shared.mime.caps import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    MAX_PARTS,
    Cut,
    header_end,
    within_caps,
)
from shared.mime.fallback import Leaf, leaves
from shared.mime.filenames import filename
from shared.mime.reading import Content, Mail, Reading, is_inline
from shared.mime.repair import is_beheaded, mend, rebuilt, with_boundary
from shared.mime.words import (
    clean_line,
    decoded,
    is_doubtful,
    settled,
    transfer_decoded,
    unmistaken,
)

_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]{1,40})", re.IGNORECASE)
_UUENCODED = re.compile(rb"begin [0-7]{3} [^\r\n]{1,200}\r?\n")
_MAX_TYPE_CHARACTERS = 255
_MOST_CHARACTERS = MAX_BODY_BYTES * 2 + 1


def read_whole(raw: bytes) -> Reading:
    """Return the reading of `raw`; raises `UnreadableMessageError` where it is too large."""
    defects: list[str] = []
    raw, damage = mend(raw)
    if damage:
        defects.append(damage)
    if is_beheaded(raw) or _is_endless(raw):
        raw = rebuilt(raw)
        defects.append("repaired")
    cut = within_caps(raw)
    defects += cut.defects
    reading = _fast(cut)
    if reading is None:
        mended = rebuilt(cut.raw)
        end, body_at = header_end(mended)
        reading = _fast(Cut(mended, mended[:end], body_at))
        if reading is None:
            reading = _slow(cut)
        else:
            defects.append("repaired")
    if reading.content.is_empty() and cut.raw[cut.body_at :].strip():
        reading = _without_structure(cut, reading)
    reading.defects = [*defects, *reading.defects]
    return reading


def _is_endless(raw: bytes) -> bool:
    """Return whether the header block is long and never ends, so that it must hold the body."""
    return len(raw) > MAX_HEADER_BYTES and header_end(raw)[0] == len(raw)


def _fast(cut: Cut) -> Reading | None:
    try:
        mail = parse_email(cut.raw, mode="lazy")
        content = _content(mail, cut)
    except DecodeError:
        # Mending the header block mends no body.
        return _slow(cut)
    except ParseError:
        return None
    defects = []
    for warning in mail.warnings:
        code = warning.kind.replace("-", "_")
        if code not in defects:
            defects.append(code)
    return Reading(mail, cut.header, content, defects)


def _content(mail: PyLazyMail, cut: Cut) -> Content:
    # Cut before anything else copies it; one character over still tells that it was longer.
    plain = [text[:_MOST_CHARACTERS] for text in mail.text_plain]
    html = [text[:_MOST_CHARACTERS] for text in mail.text_html]
    if any(is_doubtful(text) for text in (*plain, *html)):
        plain, html = _settled(cut.raw, plain, html)
    return Content(
        plain=plain,
        html=html,
        html_leads=bool(plain and html) and _html_leads(mail, cut.raw),
        attachments=[
            _attachment(
                part.mimetype, part.filename, part.disposition, part.content_id, part.content
            )
            for part in mail.attachments[:MAX_PARTS]
        ],
    )


def _attachment(
    kind: str, name: str | None, disposition: str | None, content_id: str | None, content: bytes
) -> ParsedAttachment:
    content_type = clean_line(kind, _MAX_TYPE_CHARACTERS).lower()
    if _UUENCODED.match(content):
        # The fast parser passes this old encoding through.
        content = transfer_decoded(content, "x-uuencode")
    return ParsedAttachment(
        filename=filename(name, content_type),
        content_type=content_type,
        size=len(content),
        inline=is_inline(disposition, content_id),
        content_id=clean_line(content_id, _MAX_TYPE_CHARACTERS) if content_id else None,
        content=content,
    )


def _settled(raw: bytes, plain: list[str], html: list[str]) -> tuple[list[str], list[str]]:
    """Decode the doubtful bodies again, by rules more patient than the fast parser's."""
    bodies: dict[str, list[tuple[bytes, str | None]]] = {"text/plain": [], "text/html": []}
    for part in walk(parse_email_tree(raw, mode="lazy")):
        kind = part.content_type
        if kind in bodies and part.disposition != "attachment" and part.content is not None:
            declared = _CHARSET.search(_first(part.headers, "content-type"))
            bodies[kind].append(
                (part.content[:_MOST_CHARACTERS], declared[1] if declared else None)
            )
    return _replaced(plain, bodies["text/plain"]), _replaced(html, bodies["text/html"])


def _replaced(texts: list[str], sources: list[tuple[bytes, str | None]]) -> list[str]:
    if len(sources) != len(texts):
        # The tree goes into attached messages, the list does not; which is whose cannot be told
        # then.
        return [unmistaken(text) for text in texts]
    return [
        settled(text, *source) if is_doubtful(text) else text
        for text, source in zip(texts, sources, strict=True)
    ]


def _html_leads(mail: PyLazyMail, raw: bytes) -> bool:
    if -1 < raw.find(b"text/plain") < raw.find(b"text/html"):
        return False
    if _first(mail.headers, "content-type").lower().startswith("multipart/alternative"):
        return False
    for part in walk(parse_email_tree(raw, mode="metadata")):
        if part.content_type in ("text/plain", "text/html") and part.disposition != "attachment":
            return part.content_type == "text/html"
    return False


def _first(headers: dict[str, list[str]], name: str) -> str:
    return next((values[0] for key, values in headers.items() if key.lower() == name), "")


def _slow(cut: Cut) -> Reading:
    found = leaves(cut.raw)
    if found is None:
        return Reading(header_only(cut.header), cut.header, _as_text(cut), ["headers_only"])
    return Reading(header_only(cut.header), cut.header, of_leaves(found), ["stdlib"])


def of_leaves(found: list[Leaf]) -> Content:
    """Return the content made of `found`."""
    content = Content()
    for leaf in found:
        if not leaf.is_body:
            content.attachments.append(
                _attachment(
                    leaf.content_type,
                    leaf.filename,
                    leaf.disposition,
                    leaf.content_id,
                    leaf.content,
                )
            )
            continue
        text = settled("\ufffd", leaf.content[:_MOST_CHARACTERS], leaf.charset)
        if leaf.content_type == "text/html":
            content.html.append(text)
        else:
            content.plain.append(text)
    return content


def header_only(header: bytes) -> Mail | None:
    """Return what a header block says, or None where the fast parser refuses it."""
    try:
        return parse_email(header + b"\r\n\r\n", mode="metadata")
    except ParseError:
        return None


def _without_structure(cut: Cut, reading: Reading) -> Reading:
    """Read again what claims to be multipart and shows no part."""
    guessed = with_boundary(cut.raw)
    if guessed is not None:
        again = _fast(Cut(guessed, cut.header, header_end(guessed)[1]))
        if again is not None and not again.content.is_empty():
            again.defects.append("no_boundary")
            return again
    reading.content = _as_text(cut)
    reading.defects.append("no_parts")
    return reading


def _as_text(cut: Cut) -> Content:
    body = cut.raw[cut.body_at : cut.body_at + MAX_BODY_BYTES]
    return Content(plain=[unmistaken(decoded(body, None))])
