r"""How a draft becomes MIME: ASCII in lines of at most 998, none of which begins with a dot.

Bodies are quoted-printable or base64, whatever they hold, so nothing in them can be taken for the
end of a mail by a server that reads `\n.\n` as one (SMTP smuggling), or for a boundary: `=_` stands
in neither encoding. Boundaries are made of the Message-ID, so the same draft gives the same bytes.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.quoprimime import body_encode
from email.utils import format_datetime
from functools import partial

from shared.domain.composing import Draft, DraftAttachment, NamedAddress, check
from shared.domain.quoting import Content, Original, Written
from shared.domain.round_trip import TEST_HEADER
from shared.domain.signature import Signature
from shared.mime.written import addresses, folded, ids, parameters, words

_HEADER_END = b"\r\n\r\n"
_LINE_END = re.compile(r"\r\n|\r|\n")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,120}")
_CONTAINERS = ("multipart/", "message/")
"""Their content may not be encoded (RFC 2046, 5.1 and 5.2.1), so it goes as a plain file."""
_A_FILE = "application/octet-stream"
_QP_LINE = 74
"""Two less than it may have: a first letter may become three."""
_CHANGED_ON_THE_WAY = re.compile(r"^(?:\.|F(?=rom ))", re.MULTILINE)
"""What servers and mail stores change at the beginning of a line (RFC 2049, 3)."""


class _AsWritten(EmailPolicy):
    """That of the standard library for SMTP, but header fields stay as they were written."""

    def header_store_parse(self, name: str, value: str) -> tuple[str, str]:
        return name, value

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}"

    def fold_binary(self, name: str, value: str) -> bytes:
        return self.fold(name, value).encode("ascii")


_POLICY = _AsWritten(linesep=SMTP.linesep)


class MimeComposer:
    """Satisfies `ports.composer.Composer`."""

    def content(
        self, written: Written, *, signature: Signature | None, original: Original | None
    ) -> Content:
        """Return what a mail says: what was written, the signature, and `original` quoted."""
        # Loaded only where something is written: HTML's parsers are most of this module's import.
        from shared.mime.quote import content_of  # noqa: PLC0415

        return content_of(written, signature=signature, original=original)

    def signature(self, text: str, html: str | None) -> Signature:
        """Return a signature as it is kept; raises `RequestError(INVALID_REQUEST)`."""
        from shared.mime.quote import clean_signature  # noqa: PLC0415

        return clean_signature(text, html)

    def compose(self, draft: Draft) -> bytes:
        """Return the mail with CRLF and without Bcc; the same draft gives the same bytes.

        Raises `RequestError(INVALID_REQUEST)` naming every field that no mail can have.
        """
        check(draft)
        mail = EmailMessage(_POLICY)
        for name, tokens in _header(draft):
            mail[name] = folded(name, tokens)
        _fill(mail, draft)
        return mail.as_bytes()

    def with_bcc(self, content: bytes, blind: Sequence[str]) -> bytes:
        """Return a mail of `compose` with one Bcc field, of addresses, and otherwise unchanged."""
        if not blind:
            return content
        value = folded("Bcc", addresses([NamedAddress(one) for one in blind]))
        header, end, body = content.partition(_HEADER_END)
        return b"".join((header, b"\r\nBcc: ", value.encode("ascii"), end, body))


def _header(draft: Draft) -> Iterator[tuple[str, Iterable[str]]]:
    yield "Date", [format_datetime(draft.date.astimezone(UTC))]
    yield "From", addresses([draft.sender])
    if draft.reply_to is not None:
        yield "Reply-To", addresses([draft.reply_to])
    for name, people in (("To", draft.to), ("Cc", draft.cc)):
        if people:
            yield name, addresses(people)
    if subject := words(draft.subject):
        yield "Subject", subject
    yield "Message-ID", [draft.internet_message_id]
    if answered := ids([draft.in_reply_to] if draft.in_reply_to else []):
        yield "In-Reply-To", answered
    if references := ids(draft.references):
        yield "References", references
    if draft.test_of is not None:
        yield TEST_HEADER, [draft.test_of]
        # So that nothing answers it by itself (RFC 3834, 5).
        yield "Auto-Submitted", ["auto-generated"]
    yield "MIME-Version", ["1.0"]


# ---- the tree of parts ----

_Fill = Callable[[EmailMessage], None]
"""Makes a part of an empty one."""


def _fill(mail: EmailMessage, draft: Draft) -> None:
    shown = [one for one in draft.attachments if _is_shown(one, draft)]
    files = [one for one in draft.attachments if not _is_shown(one, draft)]
    fill = _body(draft, shown)
    if files:
        parts: list[_Fill] = [fill, *(partial(_file, "attachment", one) for one in files)]
        fill = _container("mixed", draft, parts)
    fill(mail)


def _is_shown(given: DraftAttachment, draft: Draft) -> bool:
    # A text would be taken for one of the mail's own.
    is_text = _type_of(given).startswith("text/")
    return given.inline and given.content_id is not None and draft.html is not None and not is_text


def _body(draft: Draft, shown: Sequence[DraftAttachment]) -> _Fill:
    if draft.html is None:
        return partial(_text, "plain", draft.text or "")
    text = _text_of(draft.html) if draft.text is None else draft.text
    html: _Fill = partial(_text, "html", draft.html)
    if shown:
        pictures = [partial(_file, "inline", one) for one in shown]
        html = _container("related", draft, [html, *pictures], [("type", "text/html")])
    return _container("alternative", draft, [partial(_text, "plain", text), html])


def _text_of(html: str) -> str:
    from shared.mime.html_text import html_to_text  # noqa: PLC0415

    return html_to_text(html)


def _container(
    kind: str, draft: Draft, parts: Sequence[_Fill], given: Sequence[tuple[str, str]] = ()
) -> _Fill:
    # Of the kind first: no boundary may be the beginning of another.
    boundary = f"=_{kind}_{hashlib.sha256(draft.internet_message_id.encode()).hexdigest()[:32]}"

    def fill(part: EmailMessage) -> None:
        _set(part, "Content-Type", f"multipart/{kind}", [*given, ("boundary", boundary)])
        for fill_child in parts:
            child = EmailMessage(_POLICY)
            fill_child(child)
            part.attach(child)

    return fill


def _text(kind: str, text: str, part: EmailMessage) -> None:
    data = (_LINE_END.sub("\n", text).removesuffix("\n") + "\n").encode()
    _set(part, "Content-Type", f"text/{kind}", [("charset", "utf-8")])
    written = _quoted_printable(data)
    if len(written) > len(data) * 4 // 3:
        _put_base64(part, data.replace(b"\n", b"\r\n"))
    else:
        part["Content-Transfer-Encoding"] = "quoted-printable"
        part.set_payload(written)


def _quoted_printable(data: bytes) -> str:
    # It works on letters that stand for bytes.
    lines = body_encode(data.decode("latin-1"), maxlinelen=_QP_LINE)
    return _CHANGED_ON_THE_WAY.sub(lambda found: f"={ord(found[0]):02X}", lines)


def _put_base64(part: EmailMessage, content: bytes) -> None:
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64.encodebytes(content).decode("ascii"))


def _file(how: str, given: DraftAttachment, part: EmailMessage) -> None:
    _set(part, "Content-Type", _type_of(given), ())
    _set(part, "Content-Disposition", how, [("filename", " ".join(given.filename.split()))])
    if given.content_id is not None:
        part["Content-ID"] = f"<{given.content_id}>"
    _put_base64(part, given.content)


def _type_of(given: DraftAttachment) -> str:
    kind = given.content_type.partition(";")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) and not kind.startswith(_CONTAINERS) else _A_FILE


def _set(part: EmailMessage, name: str, value: str, given: Iterable[tuple[str, str]]) -> None:
    part[name] = folded(name, parameters(value, given))
