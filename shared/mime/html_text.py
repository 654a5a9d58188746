"""How HTML becomes readable text: what a reader would see, a line for each block."""

import re
from html import unescape

from selectolax.lexbor import LexborHTMLParser

from shared.mime.shape import is_harmless, without_tags

# A form feed is white space to an HTML parser, so it may stand anywhere, tables included.
_BREAK = "\f"
_BLOCK = re.compile(
    r"<(?=/?(?:address|article|blockquote|br|dd|div|dl|dt|fieldset|footer|form|h[1-6]|header|hr|li"
    r"|main|nav|ol|p|pre|section|table|tr|ul)[\s/>])",
    re.IGNORECASE,
)
# A gap is three breaks: between two paragraphs there are four, between two divisions two.
_SPACED = re.compile(r"<(?=/?(?:blockquote|br|h[1-6]|hr|ol|p|pre|table|ul)[\s/>])", re.IGNORECASE)
_GAP = 2
_CELL = re.compile(r"<(?=/?t[dh][\s/>])", re.IGNORECASE)
_UNSEEN = ["script", "style", "head", "title", "template", "noscript", "textarea", "select"]
_UNSEEN_START = re.compile(
    r"<(?:script|style|title|template|noscript|textarea|select)", re.IGNORECASE
)


def html_to_text(html: str) -> str:
    r"""Return the text of `html`: a line for each block, white space collapsed."""
    if not is_harmless(html):
        return _lines(unescape(without_tags(html)))
    kept_lines = "<pre" in html or "<PRE" in html
    if not kept_lines:
        html = html.replace("\f", " ")
    marked = _SPACED.sub(_BREAK + "<", _BLOCK.sub(_BREAK + "<", html))
    marked = _CELL.sub(" <", marked)
    tree = LexborHTMLParser(marked)
    if _UNSEEN_START.search(html):
        tree.strip_tags(_UNSEEN)
    body = tree.body
    text = body.text() if body is not None else ""
    return _lines(text.replace("\n", _BREAK * 2) if kept_lines else text)


def _lines(text: str) -> str:
    lines: list[str] = []
    empty = 0
    for piece in text.split(_BREAK):
        line = " ".join(piece.split())
        if not line:
            empty += 1
            continue
        if empty >= _GAP and lines:
            lines.append("")
        lines.append(line)
        empty = 0
    return "\n".join(lines)
