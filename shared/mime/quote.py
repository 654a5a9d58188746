"""How what was written, a signature and the mail that is answered become one text and one HTML.

What is quoted went through the sanitiser: nothing of a stranger's mail leaves in our writers' names
as it came. Around it stand the classes by which mail programs, and `fold`, know a quote and a
signature. A line of text is HTML only after it was escaped.
"""

import hashlib
import re
from html import escape

from shared.domain.contents import Picture
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.message import StoredAttachment
from shared.domain.quoting import (
    MOST_QUOTED_CHARACTERS,
    PASSED_ON,
    Content,
    Original,
    Written,
    attribution,
    beginning,
    head_of_forwarded,
    quoted_text,
    signed_text,
    with_quote,
)
from shared.domain.sending import SendKind
from shared.domain.signature import MAX_HTML_CHARACTERS, MAX_TEXT_CHARACTERS, Signature
from shared.mime.html_text import html_to_text
from shared.mime.sanitise import sanitise
from shared.mime.words import clean_text

_END_OF_PAGE = re.compile(r"</(?:body|html)\s*>", re.IGNORECASE)
_LEAD = '<div class="gmail_attr" dir="ltr">'
"""The words above a quote."""
_QUOTE = (
    '<blockquote class="gmail_quote" type="cite" style="margin:0 0 0 .8ex;'
    'border-left:1px solid #ccc;padding-left:1ex">'
)
_SIGNATURE = '<div class="gmail_signature" dir="ltr">'


def content_of(
    written: Written, *, signature: Signature | None, original: Original | None
) -> Content:
    """Return what a mail says.

    `original`: what is quoted, None for nothing. There is HTML where some was written, and where a
    mail that has it is passed on, which would lose it otherwise.
    """
    text = html_to_text(written.html or "") if written.text is None else written.text
    html = written.html
    if html is None and original is not None and _passes_html_on(original):
        html = _as_html(text)
    text = signed_text(text, signature)
    pictures: dict[str, StoredAttachment] = {}
    if html is not None and signature is not None:
        html = _inside(html, f"<br>{_SIGNATURE}{signature.html or _as_html(signature.text)}</div>")
    if original is not None:
        text = with_quote(text, quoted_text(original))
        if html is not None:
            html = _inside(html, f"<br>{_quoted_html(original, pictures)}")
    return Content(text, html, pictures)


def clean_signature(text: str, html: str | None) -> Signature:
    """Return a signature as it is kept, of what a user wrote.

    Its HTML is what the sanitiser leaves of it, styles are not among that. Without a text one is
    made of the HTML. Raises `RequestError(INVALID_REQUEST)` where it is too long, or nothing.
    """
    clean = sanitise(html, remote_images=True, folds=False).html if html else None
    text, _ = clean_text(text.strip("\r\n") or html_to_text(clean or ""), MAX_TEXT_CHARACTERS * 4)
    refused = []
    if len(text) > MAX_TEXT_CHARACTERS:
        refused.append(("text", f"At most {MAX_TEXT_CHARACTERS:,} characters."))
    if clean is not None and len(clean) > MAX_HTML_CHARACTERS:
        refused.append(("html", f"At most {MAX_HTML_CHARACTERS:,} characters."))
    if not text.strip() and not clean:
        refused.append(("text", "A signature says something; delete it to have none."))
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    return Signature(text, clean or None)


def _passes_html_on(original: Original) -> bool:
    return original.kind is SendKind.FORWARD and original.body.html is not None


def _quoted_html(original: Original, pictures: dict[str, StoredAttachment]) -> str:
    shown = _body(original, pictures)
    if original.kind is SendKind.FORWARD:
        head = "<br>".join(
            f"<b>{name}:</b> {escape(value, quote=False)}"
            for name, value in head_of_forwarded(original.message)
        )
        return f"{_LEAD}{PASSED_ON}<br>{head}</div><br><div>{shown}</div>"
    lead = escape(attribution(original.message), quote=False)
    return f"{_LEAD}{lead}</div>{_QUOTE}{shown}</blockquote>"


def _body(original: Original, pictures: dict[str, StoredAttachment]) -> str:
    """Return the original's HTML, clean; adds to `pictures` those that it shows.

    Only what was seen to be a picture is one: else whatever file a stranger's mail names so would
    leave in the writer's name, who is not asked about it.
    Pictures of the web stay: nothing of them loads here, and what is passed on without them would
    be something else.
    """
    body = original.body
    if body.html is None or len(body.html) > MOST_QUOTED_CHARACTERS:
        return _as_html(beginning(body.text))
    message = original.message
    # Of two parts with one id the first counts, as it does for mail programs.
    parts = {part.content_id: part for part in reversed(message.attachments) if part.content_id}

    def inline(content_id: str) -> str:
        # Nothing here may be taken for what the writer attached, whatever it is named.
        digest = hashlib.sha256(f"{message.id} {content_id}".encode()).hexdigest()[:24]
        name = f"{digest}@quoted.mailroom"
        part = parts.get(content_id)
        if part is not None and isinstance(part.seen, Picture):
            pictures[name] = part
        return f"cid:{name}"

    safe = sanitise(body.html, remote_images=True, inline=inline, folds=False)
    if safe.cut or len(safe.html) > MOST_QUOTED_CHARACTERS * 2:
        pictures.clear()
        return _as_html(beginning(body.text))
    return safe.html


def _as_html(text: str) -> str:
    r"""Return a text as HTML that reads like it: lines, and the spaces that lines begin with."""
    lines = re.split(r"\r\n|\r|\n", text.rstrip("\r\n"))
    return "<br>".join(_line(line) for line in lines)


def _line(line: str) -> str:
    bare = line.lstrip(" ")
    return "&nbsp;" * (len(line) - len(bare)) + escape(bare, quote=False).replace("  ", " &nbsp;")


def _inside(page: str, more: str) -> str:
    """Return a page with more at its end: before the tags that close it, where there are any."""
    ends = list(_END_OF_PAGE.finditer(page))
    at = ends[-1].start() if ends and not page[ends[-1].end() :].strip() else len(page)
    if len(ends) > 1 and not page[ends[-2].end() : at].strip():
        at = ends[-2].start()
    return page[:at] + more + page[at:]
