"""How a message that was fetched in parts is read: to the same result as if fetched whole.

Each body goes through the same parser as a small message of its own, so that one message has one
identity however it was fetched.
"""

import re

from fast_mail_parser import ParseError, parse_email

from shared.domain.message import FetchedMessage, FetchedPart, ParsedAttachment, RemotePart
from shared.mime.caps import MAX_BODY_BYTES, MAX_PARTS, within_caps
from shared.mime.filenames import filename
from shared.mime.reading import Content, Reading, is_inline
from shared.mime.repair import mend, rebuilt
from shared.mime.whole import header_only
from shared.mime.words import clean_line, is_doubtful, settled, transfer_decoded

_BODIES = ("text/plain", "text/html")
_CHARSET = re.compile(r"[A-Za-z0-9._:+-]{1,40}")
_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})
_MAX_TYPE_CHARACTERS = 255
_MOST_CHARACTERS = MAX_BODY_BYTES * 2 + 1
# 57 bytes make a line of 76 letters and its end.
_BASE64_LINE, _BASE64_LINE_BYTES = 78, 57


def read_in_parts(header: bytes, message: FetchedMessage) -> Reading:
    """Return the reading of `header` with the parts of `message`."""
    defects: list[str] = []
    header, damage = mend(header)
    if damage:
        defects.append(damage)
    cut = within_caps(header.rstrip(b"\r\n") + b"\r\n\r\n")
    defects += cut.defects
    mail = header_only(cut.header)
    if mail is None:
        defects.append("repaired")
        mail = header_only(rebuilt(cut.raw).rstrip(b"\r\n"))
    reading = Reading(mail, cut.header, Content(), defects)
    found: list[tuple[str, ParsedAttachment]] = []
    kinds: list[str] = []
    for part in message.parts[:MAX_PARTS]:
        kind = part.content_type.strip().lower()
        if kind in _BODIES and (part.disposition or "").lower() != "attachment":
            kinds.append(kind)
            bodies = reading.content.html if kind == "text/html" else reading.content.plain
            bodies.append(_body(part, kind, defects))
        else:
            found.append((part.section, _fetched(part, kind)))
    found += [(part.section, _remote(part)) for part in message.remote[:MAX_PARTS]]
    found.sort(key=lambda item: _position(item[0]))
    reading.content.attachments = [attachment for _, attachment in found[:MAX_PARTS]]
    reading.content.html_leads = _html_leads(reading, kinds)
    return reading


def _html_leads(reading: Reading, kinds: list[str]) -> bool:
    if not kinds or kinds[0] == "text/plain" or "text/plain" not in kinds or reading.mail is None:
        return False
    headers = reading.mail.headers.items()
    top = next((values[0] for name, values in headers if name.lower() == "content-type"), "")
    return not top.lower().startswith("multipart/alternative")


def _body(part: FetchedPart, kind: str, defects: list[str]) -> str:
    encoding = part.encoding.strip().lower()
    charset = part.charset or ""
    message = b"Content-Type: %b%b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (
        kind.encode(),
        b"; charset=" + charset.encode() if _CHARSET.fullmatch(charset) else b"",
        encoding.encode() if encoding in _ENCODINGS else b"8bit",
        part.content,
    )
    try:
        mail = parse_email(message, mode="lazy")
        texts = mail.text_html if kind == "text/html" else mail.text_plain
        text = texts[0][:_MOST_CHARACTERS] if texts else ""
        codes = [warning.kind.replace("-", "_") for warning in mail.warnings]
    except ParseError:
        text = "\ufffd"
        codes = ["stdlib"]
    defects += [code for code in codes if code not in defects]
    if is_doubtful(text):
        text = settled(
            text, transfer_decoded(part.content, encoding)[:_MOST_CHARACTERS], part.charset
        )
    return text


def _fetched(part: FetchedPart, kind: str) -> ParsedAttachment:
    content = transfer_decoded(part.content, part.encoding)
    content_type = clean_line(kind, _MAX_TYPE_CHARACTERS)
    return ParsedAttachment(
        filename=filename(part.filename, content_type),
        content_type=content_type,
        size=len(content),
        inline=is_inline(part.disposition, part.content_id),
        content_id=_content_id(part.content_id),
        content=content,
    )


def _remote(part: RemotePart) -> ParsedAttachment:
    """`size` is what the encoded size lets expect."""
    content_type = clean_line(part.content_type, _MAX_TYPE_CHARACTERS).lower()
    size = part.size
    if part.encoding.strip().lower() == "base64":
        size = size * _BASE64_LINE_BYTES // _BASE64_LINE
    return ParsedAttachment(
        filename=filename(part.filename, content_type),
        content_type=content_type,
        size=size,
        inline=is_inline(part.disposition, part.content_id),
        content_id=_content_id(part.content_id),
        section=part.section,
        encoding=part.encoding,
    )


def _content_id(value: str | None) -> str | None:
    return clean_line(value, _MAX_TYPE_CHARACTERS).strip("<> ") if value else None


def _position(section: str) -> tuple[int, ...]:
    return tuple(int(number) if number.isdecimal() else 0 for number in section.split("."))
