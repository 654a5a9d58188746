"""Which HTML is small and flat enough to be parsed: trees cost the square of their depth.

A megabyte of open elements costs an HTML parser minutes, and some unclosed formatting elements,
which are opened anew in every paragraph, gigabytes. So tags are counted first, once, by the rules
by which a browser splits them: what a comment or a quoted attribute holds is no tag. Text has its
price too: a megabyte of `&` costs nh3 a quarter of a minute to write.
"""

import re

MAX_HTML_CHARACTERS = 1024 * 1024
MAX_HTML_DEPTH = 500
MAX_ATTRIBUTES = 500
"""Of one element: parsers compare each with all before it."""
_MAX_UNTRUSTED_OPEN = 2_000
_MAX_REOPENED = 500_000
_MAX_ESCAPED = 50_000
"""`&`, and what UTF-8 begins with 0xC2 as it does the no-break space, which nh3's writer looks for:
writing them costs the square of how many one text holds."""
_SHORT = 32 * 1024
"""Characters within which a few hundred tags do no harm, whatever they are."""

_ATTRIBUTE = (
    r"[\s/]*+[^\s/>][^\s/>=]*+"
    r"(?:\s*+=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\s>\"'][^\s>]*+)?+)?+"
)
_ATTRIBUTES = re.compile(_ATTRIBUTE)
_REST_OF_TAG = rf"(?:{_ATTRIBUTE})*+[\s/]*+(?:>|\Z)"
_TOKEN = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<[!?][^>]*+>?|</[^a-z>][^>]*+>?"
    rf"|<(style|title)(?=[\s/>]){_REST_OF_TAG}.*?(?:</\1(?=[\s/>])|\Z)"
    rf"|<(/?)([a-z][^\s/>]*+)({_REST_OF_TAG})",
    re.IGNORECASE | re.DOTALL,
)
# Inside these, what looks like a closing tag may be none; so none is believed.
_OPAQUE = re.compile(
    r"<(?:script|xmp|iframe|noembed|noframes|noscript|textarea|plaintext|svg|math|template|select"
    r"|frameset)(?=[\s/>])|<!\[cdata\[",
    re.IGNORECASE,
)
_VOID_OR_OPTIONAL = frozenset(
    {
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta",
        "source", "track", "wbr", "param", "p", "li", "dt", "dd", "tr", "td", "th", "tbody",
        "thead", "tfoot", "option", "optgroup", "colgroup", "html", "head", "body",
    }
)  # fmt: skip
_FORMATTING = frozenset(
    {
        "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong",
        "tt", "u",
    }
)  # fmt: skip
_CLOSE, _NAME, _ATTRIBUTE_TEXT = 1, 2, 3


def is_harmless(html: str) -> bool:
    """Return whether `html` can be parsed as a tree at a cost in proportion to its length."""
    if len(html) > MAX_HTML_CHARACTERS or _escaped(html) > _MAX_ESCAPED:
        return False
    if len(html) <= _SHORT and html.count("<") <= MAX_HTML_DEPTH:
        return True
    believed = _OPAQUE.search(html) is None
    open_elements: dict[str, int] = {}
    depth = formatting = deepest = most_formatting = tags = 0
    for token in _TOKEN.findall(html):
        name = token[_NAME].lower()
        if not name:
            continue
        tags += 1
        if _has_many_attributes(token[_ATTRIBUTE_TEXT]):
            return False
        if name in _VOID_OR_OPTIONAL:
            continue
        step = -1 if token[_CLOSE] else 1
        if step < 0 and not (believed and open_elements.get(name)):
            continue
        open_elements[name] = open_elements.get(name, 0) + step
        depth += step
        deepest = max(deepest, depth)
        if name in _FORMATTING:
            formatting += step
            most_formatting = max(most_formatting, formatting)
    if most_formatting * tags > _MAX_REOPENED:
        return False
    return deepest <= (MAX_HTML_DEPTH if believed else _MAX_UNTRUSTED_OPEN)


def _escaped(html: str) -> int:
    return html.count("&") + html.encode("utf-8", "surrogatepass").count(b"\xc2")


def _has_many_attributes(text: str) -> bool:
    return len(text) > MAX_ATTRIBUTES * 2 and len(_ATTRIBUTES.findall(text)) > MAX_ATTRIBUTES


def without_tags(html: str) -> str:
    """Return the text between the tags of `html` without parsing it."""
    return _TOKEN.sub(" ", html[:MAX_HTML_CHARACTERS])
