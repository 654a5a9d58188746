"""Which HTML of strangers may reach a reader: no script, style, frame or remote load.

This is the one door out: bodies are stored as received, so that a better list protects old mail
too.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from urllib.parse import unquote, urlsplit

import nh3

from shared.mime.fold import FOLDING_TAGS, MARKED, fold, mark, unmarked
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
# Asked for in the first cleaning, and never kept: they tell what is quoted and what is left out.
_ASKED_FOR = MARKED | {name: {"background"} for name in ("table", "td", "th", "tr")}
_ATTRIBUTES_AND_MARKS = _ATTRIBUTES | {
    name: _ATTRIBUTES.get(name, set()) | asked for name, asked in _ASKED_FOR.items()
}
# Without slashes a scheme that is the page's own too is no scheme: `https:/logout` is a path there.
_LEADS_ELSEWHERE = re.compile(r"\s*+(?:https?://|(?:mailto|tel|cid):)", re.IGNORECASE)
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})
_LINK_REL = "noopener noreferrer nofollow"
_MOST_PASSES = 4
_MOST_INLINE_IMAGES = 200
"""Places of pictures that become links, which may be two kilobytes long; of others none stays."""
_MOST_PLAIN = 200_000
"""Characters shown of HTML that is not parsed: nobody reads more of what was made to be dear."""

Inline = Callable[[str], str | None]


def _policy(images: str) -> str:
    # Styles are the reader's own: of the sender's none is left.
    return (
        f"default-src 'none'; img-src {images}; style-src 'unsafe-inline'; form-action 'none';"
        " base-uri 'none'"
    )


NOTHING_LOADS = _policy("'none'")


@dataclass(frozen=True, slots=True)
class Sanitised:
    """HTML that is safe to show, and how many remote images were taken out of it.

    `cut`: it is only the beginning of the text.
    """

    html: str
    blocked_images: int
    cut: bool = False
    content_security_policy: str = NOTHING_LOADS
    """What the frame it is shown in may load: its inline images, and remote ones if asked for."""


@dataclass(slots=True)
class _Images:
    """Which sources of images stay, and what becomes of them."""

    remote: bool
    inline: Inline
    links: dict[str, str | None] = field(default_factory=dict)
    """By Content-ID."""
    made: set[str] = field(default_factory=set)
    placed: int = 0
    blocked: int = 0

    def source(self, value: str) -> str | None:
        """Return what an image's source becomes, or None where it is taken out."""
        url = value.strip()
        if url.startswith("//"):
            # By the scheme of the page, of which a frame without an origin has none.
            url = "https:" + url
        # The second pass meets the links the first one made.
        if url in self.made:
            return url
        scheme = url[:8].lower()
        if scheme.startswith("cid:"):
            return self._inline(url, value)
        if self.remote and scheme.startswith(("http://", "https://")):
            return url
        self.note(url)
        return None

    def note(self, url: str) -> None:
        """Count what is taken out, if it would have been loaded from elsewhere."""
        self.blocked += url.strip()[:6].lower().startswith(("http:", "https:", "//"))

    def _inline(self, url: str, value: str) -> str | None:
        if self.placed == _MOST_INLINE_IMAGES:
            return None
        name = unquote(url[len("cid:") :]).strip("<> ")
        if name not in self.links:
            self.links[name] = self.inline(name)
        link = self.links[name]
        if link is None:
            return value
        self.placed += 1
        self.made.add(link)
        return link

    def policy(self) -> str:
        """Return the policy of a frame that loads these and nothing else."""
        parts = [urlsplit(link) for link in self.made]
        sources = dict.fromkeys(sorted(f"{part.scheme}://{part.netloc}" for part in parts))
        if self.remote:
            sources |= {"http:": None, "https:": None}
        return _policy(" ".join(sources) or "'none'")


def sanitise(
    html: str,
    *,
    remote_images: bool = False,
    inline: Inline = lambda _: None,
    folds: bool = True,
) -> Sanitised:
    """Return `html` reduced to the allow-list.

    `remote_images` keeps images of the web, by which a sender learns that and where the mail was
    read. `inline` returns a link to the part of the message with a Content-ID, or None; it takes
    the place of the `cid:` address. `folds`: whether what it quotes at its end is folded, which few
    mail programs show. What is too large, too deep or too dear to be parsed comes back
    as the beginning of its plain text.
    """
    html = html.replace("\0", "")
    if not is_harmless(html):
        return _plain(html[:MAX_HTML_CHARACTERS], 0)
    images = _Images(remote_images, inline)
    clean = (fold if folds else unmarked)(_clean(html, images, marks=True))
    blocked = images.blocked
    # Parsing what was written can move a stray table row once more; the reader's parser must not be
    # the first to do so.
    for _ in range(_MOST_PASSES):
        again = _clean(clean, images)
        if again == clean:
            return Sanitised(clean, blocked, content_security_policy=images.policy())
        clean = again
    return _plain(clean, blocked)


def _plain(html: str, blocked_images: int) -> Sanitised:
    text = html_to_text(html)
    # Escaped text needs no cleaning, and cleaning it could cost more than all else.
    shown = escape(text[:_MOST_PLAIN], quote=False).replace("\n", "<br>")
    return Sanitised(shown, blocked_images, cut=len(text) > _MOST_PLAIN)


def _clean(html: str, images: _Images, *, marks: bool = False) -> str:
    """Return `html` cleaned; with `marks` for `fold`, else with what that has folded."""

    def allowed(element: str, attribute: str, value: str) -> str | None:
        if (element, attribute) == ("img", "src"):
            return images.source(value)
        if attribute == "href":
            return value if _LEADS_ELSEWHERE.match(value) else None
        if attribute == "background":
            images.note(value)
            return None
        if marks and attribute in MARKED.get(element, ()):
            return mark(element, attribute, value)
        return value

    return nh3.clean(
        html,
        # What the sender folded is not: it could be hidden from who reads in haste.
        tags=_TAGS if marks else _TAGS | FOLDING_TAGS,
        clean_content_tags=_CONTENT_TOO,
        attributes=_ATTRIBUTES_AND_MARKS if marks else _ATTRIBUTES,
        attribute_filter=allowed,
        link_rel=_LINK_REL,
        url_schemes=_SCHEMES,
        # What has no scheme comes to `allowed`, which takes it out or gives it one.
        url_relative="pass_through",
    )
