"""What the page for people may load and speak to, and who may show it inside a page of theirs.

A mail is shown in a frame made of its own text (`srcdoc`, sandboxed, without scripts), and such a
frame is held to this policy as well. Hence two lines are wider than the page itself needs: the
frame, which can load no sheet, is given its looks in an attribute, and a mail has pictures of the
web, once its reader asks for them. Until then the mail's own policy, in the frame, admits none.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from shared.config import SettingError, Settings

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


def content_security_policy(settings: Settings) -> str:
    """Return the value of Content-Security-Policy. Raises SettingError."""
    issuer = origin_of("MAILROOM_JWT_ISSUER", settings.jwt_issuer)
    tokens = origin_of("MAILROOM_PAGE_TOKEN_ORIGIN", settings.page_token_origin or issuer)
    framing = (origin_of("MAILROOM_ALLOWED_ORIGINS", one) for one in settings.allowed_origins)
    asked = dict.fromkeys((issuer, tokens, settings.bucket_origin))
    return "; ".join(
        (
            "default-src 'none'",
            "base-uri 'none'",
            _line("connect-src", "'self'", *asked),
            "form-action 'none'",
            _line("frame-ancestors", "'self'", *framing),
            "frame-src 'self'",
            _line("img-src", "'self'", "data:", "https:"),
            "script-src 'self'",
            "style-src 'self'",
            "style-src-attr 'unsafe-inline'",
            # No text becomes code or markup but by the one function that makes a mail's frame.
            "require-trusted-types-for 'script'",
            "trusted-types mail",
        )
    )


def origin_of(variable: str, url: str) -> str:
    """Return the origin of a URL that `variable` holds. Raises SettingError."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    if not _ORIGIN.fullmatch(origin):
        raise SettingError(variable, "must begin with http:// or https:// and a host")
    return origin


def _line(name: str, *sources: str) -> str:
    return " ".join((name, *sources))
