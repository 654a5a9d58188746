"""Which part of a mail's HTML is folded: what it quotes at its end, and the sender's signature.

What mail programs write around a quote and a signature (classes, ids, a border) is gone when HTML
is clean. So the first cleaning leaves a mark in its place, and here each mark becomes a `details`
that the reader opens, or nothing. Nothing the sender wrote is hidden: a quote is folded only where
nothing that is seen follows it, and only where something stands before it.

Works on what nh3 has written: each element is closed, an attribute's value is in double quotes.
"""

import re
from bisect import bisect_left
from dataclasses import dataclass

_QUOTE, _LEAD, _REST, _SIGNATURE = "q", "l", "r", "s"
"""A quote; the words above one; what everything after is quoted with; a signature."""
_CLASSES = {
    "gmail_attr": _LEAD,
    "moz-cite-prefix": _LEAD,
    "yahoo_quoted": _QUOTE,
    "protonmail_quote": _QUOTE,
    "tutanota_quote": _QUOTE,
    "outlookmessageheader": _REST,
    "gmail_signature": _SIGNATURE,
    "moz-signature": _SIGNATURE,
    "protonmail_signature_block": _SIGNATURE,
}
_IDS = {
    "divrplyfwdmsg": _REST,
    # Where Outlook would put a quote; there may be none.
    "appendonsend": _LEAD,
    "stopspelling": _REST,
    "mail-editor-reference-message-container": _REST,
    "signature": _SIGNATURE,
    "ms-outlook-mobile-signature": _SIGNATURE,
    "applemailsignature": _SIGNATURE,
}
_BORDERS_OF_OUTLOOK = (
    "border:none;border-top:solid#e1e1e1",
    "border:none;border-top:solid#b5c4df",
)
"""Above the header of what is quoted; in any other colour it may be the sender's own."""
MARKED = {
    "div": {"class", "id", "style"},
    "blockquote": {"class", "type"},
    "pre": {"class"},
    "hr": {"id"},
}
"""Attributes in which the first cleaning may leave a mark, by element."""
FOLDING_TAGS = frozenset({"details", "summary"})
_MARK = re.compile(r' (?:class|id|style|type)="([qlrs])"')
_TAG = re.compile(r'<(/?)([a-z0-9]++)((?:"[^"]*+"|[^">])*+)>')
_VOID = frozenset({"br", "col", "hr", "img", "wbr"})
_CELLS = frozenset({"caption", "dd", "dt", "li", "td", "th"})
"""What may not be wrapped alone."""
_UNSEEN = re.compile(r"(?:\s|&nbsp;|\u200b|\u200c|\ufeff|\xad)*+")
_OPEN, _CLOSE = "<details><summary>…</summary>", "</details>"


def mark(element: str, attribute: str, value: str) -> str | None:
    """Return the mark for an attribute in `MARKED`, or None where it tells nothing."""
    if attribute == "class":
        names = value.lower().split()
        # In Gmail the division of this name holds answers between the quotes too.
        if element == "blockquote" and "gmail_quote" in names:
            return _QUOTE
        return next((_CLASSES[name] for name in names if name in _CLASSES), None)
    if attribute == "id":
        return _IDS.get(value.lower())
    if attribute == "type":
        return _QUOTE if value.lower() == "cite" else None
    is_border = value.replace(" ", "").lower().startswith(_BORDERS_OF_OUTLOOK)
    return _REST if is_border else None


def fold(html: str) -> str:
    """Return clean `html` with its marks gone, and folded what they say."""
    if _MARK.search(html) is None:
        return html
    folded: list[str] = []
    at = 0
    for start, end in _Page(html).folded():
        folded += [html[at:start], _OPEN, html[start:end], _CLOSE]
        at = end
    folded.append(html[at:])
    return unmarked("".join(folded))


def unmarked(html: str) -> str:
    """Return clean `html` with its marks gone, and nothing folded."""
    return _TAG.sub(_unmarked, html)


def _unmarked(tag: re.Match[str]) -> str:
    return _MARK.sub("", tag[0]) if tag[2] in MARKED else tag[0]


@dataclass(slots=True)
class _Element:
    """Where an element is: from its tag to behind its end tag; `closes` is where that begins."""

    name: str
    mark: str | None
    parent: "_Element | None"
    start: int
    closes: int = 0
    end: int = 0


Span = tuple[int, int]


class _Page:
    """The marked elements of a clean page, and where in it something is to be seen."""

    def __init__(self, html: str) -> None:
        self._length = len(html)
        self._marked: list[_Element] = []
        self._quotes: list[int] = []
        """Where elements begin that are marked as anything but a signature."""
        self._seen: list[int] = []
        inside: _Element | None = None
        at = 0
        for tag in _TAG.finditer(html):
            if _UNSEEN.fullmatch(html, at, tag.start()) is None:
                self._seen.append(at)
            at = tag.end()
            name = tag[2]
            if tag[1]:
                if inside is not None:
                    inside.closes, inside.end = tag.start(), tag.end()
                    inside = inside.parent
                continue
            if name == "img":
                self._seen.append(tag.start())
            found = _MARK.search(tag[3]) if name in MARKED else None
            element = _Element(name, found[1] if found else None, inside, tag.start())
            if element.mark:
                self._marked.append(element)
                if element.mark != _SIGNATURE:
                    self._quotes.append(element.start)
            if name in _VOID:
                element.closes = element.end = tag.end()
            else:
                inside = element
        if _UNSEEN.fullmatch(html, at) is None:
            self._seen.append(at)

    def folded(self) -> list[Span]:
        """Return what is folded, in order: a quote at the end, the sender's own signature."""
        last = self._signature(self._length)
        quote: Span | None = None
        for one in self._marked:
            if one.mark == _REST or (one.mark == _QUOTE and not self._sees(one.end, self._length)):
                # All that follows is quoted, a signature in there is not the sender's.
                last = None
            elif one.mark != _QUOTE or last is None or self._sees(one.end, last.start):
                continue
            quote = self._quote(one, last)
            break
        if last is None and quote is not None:
            last = self._signature(quote[0])
        return sorted(span for span in (quote, last and (last.start, last.end)) if span)

    def _quote(self, first: _Element, last: _Element | None) -> Span | None:
        """Return what is quoted from `first` to the end, or to the signature `last`."""
        leads = [one for one in self._marked if one.mark == _LEAD and one.end <= first.start]
        if leads and not self._sees(leads[-1].end, first.start):
            first = leads[-1]
        # As far out as only the quote is in there, or a part of it would stay outside.
        while (
            first.parent is not None
            and first.name not in _CELLS
            and first.parent.name not in _CELLS
            and not self._sees(first.parent.start, first.start)
            and (last is None or first.parent.end <= last.start)
        ):
            first = first.parent
        end = first.parent.closes if first.parent is not None else self._length
        while last is not None and first.start < last.start < end:
            if last.parent is first.parent:
                end = last.start
            last = last.parent
        is_worth_it = self._sees(0, first.start) and self._sees(first.start, end)
        return (first.start, end) if is_worth_it else None

    def _signature(self, below: int) -> _Element | None:
        """Return the signature that ends what was written, up to `below`.

        One that holds a quote is none: it may hold answers too.
        """
        for one in self._marked:
            if (
                one.mark == _SIGNATURE
                and one.end <= below
                and self._sees(0, one.start)
                and self._sees(one.start, one.end)
                and not self._sees(one.end, below)
                and not _any_between(self._quotes, one.start, one.end)
            ):
                return one
        return None

    def _sees(self, start: int, end: int) -> bool:
        """Return whether anything from `start` to `end` is to be seen."""
        return _any_between(self._seen, start, end)


def _any_between(places: list[int], start: int, end: int) -> bool:
    return bisect_left(places, start) < bisect_left(places, end)
