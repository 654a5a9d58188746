"""Decides how Exchange writes a message out: whole in meaning, another in bytes.

Exchange keeps no MIME, so what it hands out has its own boundaries, encodings and order of
headers. A client that hashes the bytes, or expects a signature to hold, must fail here. The same
message always comes out the same.
"""

from __future__ import annotations

import datetime as dt
import email.header
import email.utils
import hashlib
import quopri
import re
from base64 import encodebytes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.simulators.microsoft.mime_read import Attachment, Mail

_OWN = frozenset(
    [
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "references",
        "in-reply-to",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
        "content-id",
        "content-description",
        "importance",
        "x-priority",
        "thread-topic",
        "thread-index",
        "received",
        "return-path",
    ]
)
_LINE = 76
_TOKEN = re.compile(r"[^\x20-\x7e]|[\"\\]")


def write_mail(mail: Mail, *, identity: str, thread_index: str, for_draft: bool = False) -> bytes:
    """Return the message as MIME.

    Args:
        mail: what it says.
        identity: what makes its boundaries unlike any other message's.
        thread_index: base64, as in the header.
        for_draft: keep Bcc, which only the writer's own copy has.
    """
    mark = hashlib.sha256(identity.encode()).hexdigest()[:32]
    lines = _headers(mail, thread_index, for_draft=for_draft)
    body = _mixed(mail, mark)
    return "".join(lines).encode("ascii", "replace") + b"MIME-Version: 1.0\r\n" + body


def _headers(mail: Mail, thread_index: str, *, for_draft: bool) -> list[str]:
    facts = mail.facts
    lines = [_header(name, value) for name, value in mail.headers if name.lower() == "received"]
    people = [("From", [facts["from"]] if "from" in facts else [])]
    if facts.get("sender") != facts.get("from"):
        people.append(("Sender", [facts["sender"]]))
    people += [("To", facts.get("toRecipients", [])), ("CC", facts.get("ccRecipients", []))]
    if for_draft:
        people.append(("BCC", facts.get("bccRecipients", [])))
    people.append(("Reply-To", facts.get("replyTo", [])))
    lines += [f"{name}: {_people(everyone)}\r\n" for name, everyone in people if everyone]
    lines.append(_header("Subject", mail.subject))
    lines += [_header("Thread-Topic", mail.subject), _header("Thread-Index", thread_index)]
    if mail.importance != "normal":
        lines.append(f"Importance: {mail.importance}\r\n")
    if mail.sent is not None:
        lines.append(f"Date: {_date(mail.sent)}\r\n")
    if mail.internet_id:
        lines.append(f"Message-ID: {mail.internet_id}\r\n")
    lines += [
        f"{'References' if name.lower() == 'references' else 'In-Reply-To'}: {_ids(value)}\r\n"
        for name, value in mail.headers
        if name.lower() in ("references", "in-reply-to")
    ]
    lines += [_header(name, value) for name, value in mail.headers if name.lower() not in _OWN]
    if mail.attachments:
        lines.append("X-MS-Has-Attach: yes\r\n")
    return lines


def _date(sent: int) -> str:
    return email.utils.format_datetime(dt.datetime.fromtimestamp(sent, dt.UTC))


def _header(name: str, value: str) -> str:
    value = " ".join(value.split())
    if value.isascii() and len(name) + len(value) < 900:  # noqa: PLR2004 - RFC 5322's 998
        return f"{name}: {value}\r\n"
    header = email.header.Header(value, "utf-8", maxlinelen=_LINE, header_name=name)
    return f"{name}: {header.encode(linesep=chr(13) + chr(10))}\r\n"


def _ids(value: str) -> str:
    return "\r\n ".join(value.encode("ascii", "replace").decode().split())


def _people(everyone: Sequence[dict[str, Any]]) -> str:
    return ",\r\n ".join(_person(**one["emailAddress"]) for one in everyone)


def _person(name: str = "", address: str = "") -> str:
    address = address.encode("ascii", "replace").decode()
    if not name or name == address:
        return f"<{address}>"
    if name.isascii():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{address}>'
    return f"{email.header.Header(name, 'utf-8').encode(linesep=chr(13) + chr(10))} <{address}>"


# ---- the body ---------------------------------------------------------------------------------


def _mixed(mail: Mail, mark: str) -> bytes:
    inline = [one for one in mail.attachments if one.is_inline]
    files = [one for one in mail.attachments if not one.is_inline]
    body = _alternative(mail, mark)
    if inline:
        body = _multipart("related", f"_005_{mark}_", [body, *map(_file, inline)])
    if files:
        body = _multipart(_kind_of(files), f"_004_{mark}_", [body, *map(_file, files)])
    return body


def _kind_of(files: Sequence[Attachment]) -> str:
    is_report = any(one.content_type == "message/delivery-status" for one in files)
    return "report; report-type=delivery-status" if is_report else "mixed"


def _alternative(mail: Mail, mark: str) -> bytes:
    texts = [
        _text(content, kind)
        for content, kind in (
            (mail.plain, "text/plain"),
            (mail.html, "text/html"),
            (mail.calendar, "text/calendar"),
        )
        if content is not None
    ]
    if len(texts) < 2:  # noqa: PLR2004 - one is no alternative
        return texts[0] if texts else _text("", "text/plain")
    return _multipart("alternative", f"_000_{mark}_", texts)


def _multipart(kind: str, boundary: str, parts: Sequence[bytes]) -> bytes:
    head = f'Content-Type: multipart/{kind};\r\n\tboundary="{boundary}"\r\n\r\n'.encode()
    line = f"--{boundary}".encode()
    return head + b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + line + b"--\r\n"


def _text(content: str, kind: str) -> bytes:
    content = content.replace("\r\n", "\n").replace("\r", "\n")
    charset = "us-ascii" if content.isascii() else "utf-8"
    data = content.encode(charset)
    # Mostly not ASCII: quoted-printable would treble it.
    is_foreign = sum(byte > 126 for byte in data) * 4 > len(data)  # noqa: PLR2004
    if is_foreign:
        encoded, encoding = _base64(data.replace(b"\n", b"\r\n")), "base64"
    else:
        encoded = quopri.encodestring(data).replace(b"\n", b"\r\n")
        encoding = "quoted-printable"
    head = f'Content-Type: {kind}; charset="{charset}"\r\nContent-Transfer-Encoding: {encoding}'
    return head.encode() + b"\r\n\r\n" + encoded


def _file(one: Attachment) -> bytes:
    if one.kind == "item" or one.content_type.startswith("message/"):
        # RFC 2045 lets no message be encoded.
        return f"Content-Type: {one.content_type}\r\n\r\n".encode() + one.content
    name = _parameter(one.name)
    place = "inline" if one.is_inline else "attachment"
    head = [
        f"Content-Type: {one.content_type}; name={name}",
        f"Content-Description: {_plain(one.name)}",
        f"Content-Disposition: {place}; filename={name}; size={len(one.content)}",
    ]
    if one.content_id:
        head.append(f"Content-ID: <{one.content_id}>")
    head.append("Content-Transfer-Encoding: base64")
    return "\r\n".join(head).encode("ascii", "replace") + b"\r\n\r\n" + _base64(one.content)


def _base64(data: bytes) -> bytes:
    return encodebytes(data).replace(b"\n", b"\r\n")


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return email.header.Header(text, "utf-8", maxlinelen=10_000).encode()


def _parameter(name: str) -> str:
    # Outlook's way: an encoded word inside the quotes, which RFC 2231 forbids and everyone reads.
    return f'"{_TOKEN.sub("_", name) if name.isascii() else _plain(name)}"'
