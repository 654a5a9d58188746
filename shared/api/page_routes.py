"""What the page for people is served as: two public routes, `/app` and `/app/{file}`.

No resolver and no schema, as a browser asks for some thirty files at once and each may meet a cold
start: standard library only.

Every file of one folder is read once, and what is asked for is looked up in that table. A name is
never made into a path, so that nothing else can be reached. `index.html` is at `/app` alone: from
there its own references, `app/…`, are right, whatever the API's address is.

Every answer is to be asked for again (`no-cache`), with its tag: a page of one release never runs
with modules of another for longer than a load, and a file that did not change is a 304.

`Cross-Origin-Opener-Policy` cuts the page off from a window that opened it, but not where it is
called with a query: so a sign-in comes back, in a window that has to tell the one it came from.
"""

import base64
import functools
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from shared.api.page_policy import content_security_policy, origin_of
from shared.config import Settings

ROUTES: Final = ("GET /app", "GET /app/{file}")
INDEX: Final = "index.html"
SETTINGS: Final = "settings.json"
CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
NO_SUCH_FILE: Final = "There is no such file."
NO_PAGE: Final = "No page is served here: this deployment's parameter PageClientId is empty."
MICROSOFT_LOGIN: Final = "https://login.microsoftonline.com"
"""Where administrators approve this product, unless the deployment is for another cloud."""

_OPENER: Final = "Cross-Origin-Opener-Policy"
_HEADERS: Final[Mapping[str, str]] = {
    "Cache-Control": "no-cache",
    _OPENER: "same-origin-allow-popups",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    # Browsers take no notice of it where there is no TLS: on one machine.
    "Strict-Transport-Security": "max-age=31536000",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is sent, and a tag of its content."""

    content_type: str
    content: bytes
    tag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "PageFile":
        """Make it of a file's name and content. Raises KeyError for a kind we have no type for."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        # A weak tag: compressed and not, it is the same file.
        return cls(CONTENT_TYPES[Path(name).suffix], content, f'W/"{digest}"')


@dataclass(frozen=True, slots=True)
class Page:
    """What is served by name, and what goes with each of it. Nothing, where no page is wanted."""

    files: Mapping[str, PageFile]
    headers: Mapping[str, str]


def read_files(folder: Path) -> dict[str, PageFile]:
    """Return the files of `folder` by name. Raises KeyError for a kind we have no type for."""
    return {path.name: PageFile.of(path.name, path.read_bytes()) for path in folder.iterdir()}


def page_of(files: Mapping[str, PageFile], settings: Settings) -> Page:
    """Return a deployment's page: its files, and what it has to know. Raises SettingError."""
    if not settings.page_client_id:
        return Page({}, _HEADERS)
    told = PageFile.of(SETTINGS, json.dumps(_told(settings)).encode())
    policy = {"Content-Security-Policy": content_security_policy(settings)}
    return Page({**files, SETTINGS: told}, {**_HEADERS, **policy})


def answer_page(event: Mapping[str, Any], page: Page) -> dict[str, Any]:
    """Answer one HTTP API event (payload 2.0) with one of the files."""
    if page.files and str(event.get("rawPath")).endswith("/"):
        # `app/page.css` would be looked for in `/app/app/`.
        return _answer(HTTPStatus.FOUND, {**_HEADERS, "Location": "../app"})
    file = page.files.get(_name(event))
    if file is None:
        return _words(NO_SUCH_FILE if page.files else NO_PAGE)
    asked = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    headers = {**page.headers, "Content-Type": file.content_type, "ETag": file.tag}
    if event.get("rawQueryString"):
        del headers[_OPENER]
    if file.tag in _tags(asked.get("if-none-match", "")):
        return _answer(HTTPStatus.NOT_MODIFIED, headers)
    if not _takes_gzip(asked.get("accept-encoding", "")):
        return _answer(HTTPStatus.OK, headers, file.content.decode())
    body = base64.b64encode(_compressed(file.content)).decode("ascii")
    answer = _answer(HTTPStatus.OK, {**headers, "Content-Encoding": "gzip"}, body)
    return answer | {"isBase64Encoded": True}


def _told(settings: Settings) -> dict[str, Any]:
    """Return what the page signs its users in with, and where it may send them."""
    login = settings.microsoft_login_url or MICROSOFT_LOGIN
    return {
        "issuer": settings.jwt_issuer,
        "client_id": settings.page_client_id,
        "scope": settings.page_scope,
        "token": settings.page_token,
        "audience": settings.jwt_audience,
        "consent_origins": [origin_of("MAILROOM_MICROSOFT_LOGIN_URL", login)],
        "stage": settings.stage,
        "note": settings.page_note,
    }


def _name(event: Mapping[str, Any]) -> str:
    route = str(event.get("routeKey"))
    if route == ROUTES[0]:
        return INDEX
    name = str((event.get("pathParameters") or {}).get("file"))
    return name if route == ROUTES[1] and name != INDEX else ""


def _tags(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}


def _takes_gzip(header: str) -> bool:
    """Whether a browser takes it: whoever refuses it writes its weight, `gzip;q=0`."""
    return any(coding.strip().lower() == "gzip" for coding in header.split(","))


# Not all at the start: a browser's files come from several copies of the function, a few from each.
@functools.cache
def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _words(text: str) -> dict[str, Any]:
    headers = {**_HEADERS, "Content-Type": "text/plain; charset=utf-8"}
    return _answer(HTTPStatus.NOT_FOUND, headers, text)


def _answer(status: HTTPStatus, headers: Mapping[str, str], body: str = "") -> dict[str, Any]:
    return {"statusCode": int(status), "headers": dict(headers), "body": body}
