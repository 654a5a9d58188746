"""The page's files through the real handler: what is sent, to whom, and that nothing else is."""

import base64
import gzip
import json
import re

import pytest

from functions.serve_page import handler
from shared.api.page_routes import MICROSOFT_LOGIN
from shared.config import SettingError, Settings
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from tests.infra.template_text import ROOT

FOLDER = ROOT / "functions" / "serve_page" / "page"
MOST_COMPRESSED_BYTES = 150_000
ENVIRONMENT = {
    "MAILROOM_ALLOWED_ORIGINS": "https://app.example,https://crm.example",
    "MAILROOM_BUCKET_ORIGIN": "https://box.s3.eu-central-1.amazonaws.com",
    "MAILROOM_JWT_AUDIENCE": "mailroom",
    "MAILROOM_JWT_ISSUER": "https://sign-in.example/pool",
    "MAILROOM_PAGE_CLIENT_ID": "the-page",
    "MAILROOM_PAGE_NOTE": "Ask it@example.org.",
    "MAILROOM_PAGE_SCOPE": "openid mailroom/use",
    "MAILROOM_PAGE_TOKEN": "id_token",
    "MAILROOM_PAGE_TOKEN_ORIGIN": "https://tokens.example",
    "MAILROOM_STAGE": "dev",
}
POLICY = (
    "default-src 'none'; "
    "base-uri 'none'; "
    "connect-src 'self' https://sign-in.example https://tokens.example https://box.s3.eu-central-1.amazonaws.com; "
    "form-action 'none'; "
    "frame-ancestors 'self' https://app.example https://crm.example; "
    "frame-src 'self'; "
    "img-src 'self' data: https:; "
    "script-src 'self'; "
    "style-src 'self'; "
    "style-src-attr 'unsafe-inline'; "
    "require-trusted-types-for 'script'; "
    "trusted-types mail"
)


@pytest.fixture
def deployed(monkeypatch):
    """Deploy with these settings besides the usual ones."""

    def deploy(**more):
        settings = Settings({**ENVIRONMENT, **more})
        monkeypatch.setattr(handler, "settings", lambda: settings)
        handler._page.cache_clear()

    deploy()
    yield deploy
    handler._page.cache_clear()


def ask(file=None, *, path=None, query="", **headers):
    """What is answered for `/app/{file}`, or for `/app`."""
    event = {
        "routeKey": "GET /app" if file is None else "GET /app/{file}",
        "rawPath": path or ("/app" if file is None else f"/app/{file}"),
        "rawQueryString": query,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }
    if file is not None:
        event["pathParameters"] = {"file": file}
    return handler.lambda_handler(event, None)


def names():
    return sorted(path.name for path in FOLDER.iterdir())


def test_every_file_is_sent_as_it_is_with_its_type(deployed):
    types = {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
    assert "index.html" in names()
    for name in names():
        answer = ask(None if name == "index.html" else name)
        assert answer["statusCode"] == 200, name
        assert answer["body"].encode() == (FOLDER / name).read_bytes()
        assert answer["headers"]["Content-Type"] == types[name.rpartition(".")[2]]
        assert "isBase64Encoded" not in answer


def test_whoever_takes_it_compressed_gets_the_same(deployed):
    for accepted in ("gzip, deflate, br, zstd", "br, GZIP"):
        answer = ask("app.js", Accept_Encoding=accepted)
        assert (answer["isBase64Encoded"], answer["headers"]["Content-Encoding"]) == (True, "gzip")
        sent = gzip.decompress(base64.b64decode(answer["body"]))
        assert sent == (FOLDER / "app.js").read_bytes()
    for refused in ("", "br", "gzip;q=0", "identity"):
        assert "Content-Encoding" not in ask("app.js", Accept_Encoding=refused)["headers"]
    assert ask("app.js")["headers"]["Vary"] == "Accept-Encoding"


def test_what_a_browser_has_is_not_sent_again(deployed):
    first = ask("app.js", accept_encoding="gzip")
    tag = first["headers"]["ETag"]
    assert first["headers"]["Cache-Control"] == "no-cache"
    for held in (tag, f'"other", {tag}'):
        again = ask("app.js", If_None_Match=held)
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == tag
        assert again["headers"]["Content-Security-Policy"] == POLICY
    assert ask("app.js", if_none_match='W/"older"')["statusCode"] == 200
    tags = {ask(name)["headers"]["ETag"] for name in names() if name != "index.html"}
    assert len(tags) == len(names()) - 1


def test_the_same_content_has_the_same_tag_in_every_process(deployed):
    assert gzip.compress(b"x", mtime=0) == gzip.compress(b"x", mtime=0)
    before = ask("app.js")["headers"]["ETag"]
    deployed()
    assert ask("app.js")["headers"]["ETag"] == before


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js", "", ".", "..", "../handler.py", "..%2fhandler.py", "%2e%2e/handler.py", "page/app.js", "/etc/passwd",
        "app.js/", "app.js\0.css", "APP.JS", "handler.py", "__init__.py", "index.html", "\\..\\handler.py", "x" * 5_000,
    ],
)  # fmt: skip
def test_nothing_but_the_page_s_files_can_be_asked_for(deployed, name):
    answer = ask(name, path="/app/x")
    assert (answer["statusCode"], answer["body"]) == (404, "There is no such file.")
    assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"


def test_a_route_that_is_not_its_own_gets_no_file(deployed):
    for event in ({}, {"routeKey": "$default", "pathParameters": {"file": "app.js"}}):
        assert handler.lambda_handler(event, None)["statusCode"] == 404


def test_the_page_learns_how_to_sign_its_users_in_and_nothing_more(deployed):
    answer = ask("settings.json")
    assert answer["headers"]["Content-Type"] == "application/json"
    assert json.loads(answer["body"]) == {
        "issuer": "https://sign-in.example/pool",
        "client_id": "the-page",
        "scope": "openid mailroom/use",
        "token": "id_token",
        "audience": "mailroom",
        "consent_origins": ["https://login.microsoftonline.com"],
        "stage": "dev",
        "note": "Ask it@example.org.",
    }
    deployed(MAILROOM_MICROSOFT_LOGIN_URL="https://login.microsoftonline.us/")
    told = json.loads(ask("settings.json")["body"])
    assert told["consent_origins"] == ["https://login.microsoftonline.us"]


def test_administrators_are_sent_where_microsoft_s_sign_in_is():
    assert MicrosoftEndpoints().login == MICROSOFT_LOGIN


def test_every_file_comes_with_the_policy_and_what_else_protects_it(deployed):
    for name in [None, "app.js", "settings.json"]:
        headers = ask(name)["headers"]
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Strict-Transport-Security"] == "max-age=31536000"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups"
        assert "camera=()" in headers["Permissions-Policy"]
        assert not any(re.search(r"[\r\n]", value) for value in headers.values())


def test_a_sign_in_that_comes_back_may_tell_the_window_it_came_from(deployed):
    answer = ask(query="code=1&state=2")
    assert answer["statusCode"] == 200
    assert "Cross-Origin-Opener-Policy" not in answer["headers"]
    assert answer["headers"]["Content-Security-Policy"] == POLICY
    # Of the next one it is there again.
    assert "Cross-Origin-Opener-Policy" in ask()["headers"]


def test_an_issuer_that_gives_out_its_own_tokens_is_named_once(deployed):
    deployed(MAILROOM_PAGE_TOKEN_ORIGIN="", MAILROOM_ALLOWED_ORIGINS="")
    policy = ask()["headers"]["Content-Security-Policy"]
    bucket = ENVIRONMENT["MAILROOM_BUCKET_ORIGIN"]
    assert f"connect-src 'self' https://sign-in.example {bucket};" in policy
    assert "frame-ancestors 'self';" in policy


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAILROOM_JWT_ISSUER", "sign-in.example"),
        ("MAILROOM_JWT_ISSUER", "https://a.example;script-src"),
        ("MAILROOM_PAGE_TOKEN_ORIGIN", "https://*"),
        ("MAILROOM_ALLOWED_ORIGINS", "https://a.example https://b.example"),
        ("MAILROOM_MICROSOFT_LOGIN_URL", "javascript:alert(1)"),
    ],
)
def test_what_would_widen_the_policy_is_refused_with_its_name(deployed, variable, value):
    deployed(**{variable: value})
    with pytest.raises(SettingError) as refused:
        ask()
    assert refused.value.variable == variable


def test_an_address_with_a_slash_too_many_leads_to_the_page(deployed):
    answer = ask(path="/app/")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (302, "../app")


def test_without_a_client_there_is_no_page_and_it_says_why(deployed):
    deployed(MAILROOM_PAGE_CLIENT_ID="")
    for name in [None, *names(), "settings.json"]:
        answer = ask(name)
        assert answer["statusCode"] == 404
        assert "PageClientId is empty" in answer["body"]


def test_the_whole_page_is_small(deployed):
    sizes = {path.name: len(gzip.compress(path.read_bytes(), mtime=0)) for path in FOLDER.iterdir()}
    assert sum(sizes.values()) <= MOST_COMPRESSED_BYTES, sizes
