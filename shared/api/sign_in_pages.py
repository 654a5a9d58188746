"""What a person reads who comes from a provider and cannot be sent back: our words, and no other.

Nothing of the request is shown: it is a stranger's, and a callback's holds a code.
"""

from collections.abc import Mapping
from html import escape

from shared.domain.errors import ErrorCode
from shared.domain.explanations import explain_in_attempt

HTML = "text/html; charset=utf-8"
HEADERS: Mapping[str, str | list[str]] = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{message}</p>
<p>{fix}</p>
</main>
</body>
</html>
"""


def problem_page(code: ErrorCode) -> str:
    """Return the page for a failure that belongs to no attempt we know."""
    words = explain_in_attempt(code)
    return _page("The mailbox was not connected", words.message, words.fix)


def approved_page() -> str:
    """Return the page for an administrator who comes from approving this product.

    It claims nothing: whether it was approved shows when somebody connects.
    """
    return _page(
        "Thank you",
        "The organisation's users can now try to connect their mailboxes.",
        "You can close this page.",
    )


def _page(title: str, message: str, fix: str) -> str:
    return _PAGE.format(title=escape(title), message=escape(message), fix=escape(fix))
