"""Which HTML of strangers may reach a reader: no script, style, frame or remote load.

This is the one door out: bodies are stored as received, so that a better list protects old mail
too.
"""

from dataclasses import dataclass
from html import escape

import nh3

from shared.mime.html_text import html_to_text
from shared.mime.shape import MAX_HTML_CHARACTERS, is_harmless

__all__ = ["Sanitised", "html_to_text", "sanitise"]

_TAGS = frozenset(
    {
        "a", "abbr", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center",
        "code", "col", "colgroup", "dd", "del", "dfn", "div", "dl", "dt", "em", "font",
        "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "ol", "p",
        "pre", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "table",
        "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "var", "wbr",
    }
)  # fmt: skip
_CONTENT_TOO = frozenset({"script", "style", "title", "template", "noscript", "textarea"})
# No style, class or id: they reach the reader's own page. No cite, srcset, background, ping: they
# load.
_ATTRIBUTES = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "table": {"align", "bgcolor", "border", "cellpadding", "cellspacing", "width"},
    "td": {"align", "bgcolor", "colspan", "height", "rowspan", "valign", "width"},
    "th": {"align", "bgcolor", "colspan", "height", "rowspan", "valign", "width"},
    "tr": {"align", "bgcolor", "valign"},
    "col": {"span", "width"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "div": {"align"},
    "p": {"align"},
}
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})
_LINK_REL = "noopener noreferrer nofollow"
_MOST_PASSES = 4
_MOST_PLAIN = 200_000
"""Characters shown of HTML that is not parsed: nobody reads more of what was made to be dear."""


@dataclass(frozen=True, slots=True)
class Sanitised:
    """HTML that is safe to show, and how many remote images were taken out of it.

    `cut`: it is only the beginning of the text.
    """

    html: str
    blocked_images: int
    cut: bool = False


def sanitise(html: str, *, remote_images: bool = False) -> Sanitised:
    """Return `html` reduced to the allow-list.

    `remote_images` keeps images of the web, by which a sender learns that and where the mail was
    read. What is too large, too deep or too dear to be parsed comes back as the beginning of its
    plain text.
    """
    html = html.replace("\0", "")
    if not is_harmless(html):
        return _plain(html[:MAX_HTML_CHARACTERS], 0)
    clean, blocked = _clean(html, remote_images=remote_images)
    # Parsing what was written can move a stray table row once more; the reader's parser must not be
    # the first to do so.
    for _ in range(_MOST_PASSES):
        again, _ = _clean(clean, remote_images=remote_images)
        if again == clean:
            return Sanitised(clean, blocked)
        clean = again
    return _plain(clean, blocked)


def _plain(html: str, blocked_images: int) -> Sanitised:
    text = html_to_text(html)
    # Escaped text needs no cleaning, and cleaning it could cost more than all else.
    shown = escape(text[:_MOST_PLAIN], quote=False).replace("\n", "<br>")
    return Sanitised(shown, blocked_images, cut=len(text) > _MOST_PLAIN)


def _clean(html: str, *, remote_images: bool) -> tuple[str, int]:
    blocked = 0

    def allowed(element: str, attribute: str, value: str) -> str | None:
        nonlocal blocked
        if element != "img" or attribute != "src":
            return value
        scheme = value.lstrip()[:8].lower()
        if scheme.startswith("cid:"):
            return value
        if remote_images and scheme.startswith(("http://", "https://")):
            return value
        blocked += 1
        return None

    clean = nh3.clean(
        html,
        tags=_TAGS,
        clean_content_tags=_CONTENT_TOO,
        attributes=_ATTRIBUTES,
        attribute_filter=allowed,
        link_rel=_LINK_REL,
        url_schemes=_SCHEMES,
        url_relative="deny",
    )
    return clean, blocked
