"""The page's modules by themselves: answered as the function that serves them answers, without a stack."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.api.page_routes import answer_page, page_of, read_files
from shared.config import Settings
from tests.fakes.deployment import Deployment, http_event

HERE = "http://localhost:9"
"""Nobody listens there: what is asked of it is answered by the test."""
FOLDER = Path(__file__).parents[2] / "functions" / "serve_page" / "page"
EMPTY = '<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,"><div id="page"></div>'
SETTINGS = Settings(
    {
        "MAILROOM_BUCKET_ORIGIN": HERE,
        "MAILROOM_JWT_ISSUER": HERE,
        "MAILROOM_JWT_AUDIENCE": "mailroom",
        "MAILROOM_PAGE_CLIENT_ID": "page",
        "MAILROOM_STAGE": "test",
    }
)
MODULES = """async (given) => {
  const { h, render } = await import("/app/dom.js");
  const { watch } = await import("/app/live.js");
  const texts = await import("/app/texts.js");
  const page = document.getElementById("page");
  %s
}"""


@pytest.fixture(scope="session")
def served():
    """The page's files, as they are served."""
    return page_of(read_files(FOLDER), SETTINGS)


@pytest.fixture
def modules(visit, served):
    """An empty document under the page's policy, which can import its modules.

    `modules.run(body, given)` runs JavaScript that has `h`, `render`, `watch`, `texts`, the element
    `page`, and what is given.
    """
    ours = visit(HERE)

    def answer(route):
        path = urlsplit(route.request.url).path
        if path == "/":
            route.fulfill(headers=served.headers | {"content-type": "text/html"}, body=EMPTY)
            return
        event = {"routeKey": "GET /app/{file}", "pathParameters": {"file": path.split("/")[-1]}}
        found = answer_page(event, served)
        route.fulfill(status=found["statusCode"], headers=found["headers"], body=found["body"])

    ours.page.context.route(f"{HERE}/**", answer)
    ours.page.goto(HERE)
    ours.run = lambda body, given=None: ours.page.evaluate(MODULES % body, given)
    return ours


@pytest.fixture
def app(monkeypatch):
    """The product on fakes; what its stores hold is put there by the test."""
    return Deployment().install(monkeypatch)


@pytest.fixture
def open_on_fakes(app, served, visit):
    """Open a place of the whole page, whose API is the real handlers on stores in memory.

    `open_on_fakes("#/operations", roles=["admin"])`; the browser's clock starts at the fakes' time.
    The visit is the last it asks for, and so ends first: a page asks until it is closed.
    """

    def begin(place="", *, tenant="acme", user="ann", roles=()):
        ours = visit(HERE)
        claims = {"sub": user, "tenant_id": tenant, "roles": list(roles)}
        session = {"token": "of-a-test", "refresh": None, "id": None, "until": 4e12}
        ours.page.add_init_script(
            # A message's frame has no storage, and no business with ours.
            f"if (self === top) sessionStorage.setItem('mailroom.session', {json.dumps(json.dumps(session))})"
        )
        ours.page.clock.install(time=app.clock.now())
        answer = on_fakes(app, served, lambda _: claims)

        def fulfil(route):
            sent = route.request
            target = sent.url.removeprefix(HERE)
            status, headers, body = answer(sent.method, target, sent.headers, sent.post_data)
            route.fulfill(status=status, headers=headers, body=body)

        ours.page.context.route(f"{HERE}/**", fulfil)
        ours.page.goto(f"{HERE}/app{place}")
        return ours

    return begin


def on_fakes(app, served, claims_of):
    """Return what answers a request for the page or the API; 401 without claims of its headers.

    It is given method, target, headers and body, and answers with status, headers and body.
    """

    def answer(method, target, headers, body):
        path = urlsplit(target).path
        if path.startswith("/app"):
            name = path.removeprefix("/app").strip("/")
            key = "GET /app/{file}" if name else "GET /app"
            found = answer_page({"routeKey": key, "pathParameters": {"file": name}}, served)
            return found["statusCode"], found["headers"], found["body"]
        claims = claims_of(headers)
        if claims is None:
            return 401, {"content-type": "application/json"}, '{"message": "Unauthorized"}'
        at = app.clock.now()
        event = http_event(method, target, body=body, claims=claims, headers=headers, at=at)
        given = app.handle(event)
        return given.status, given.headers, given.text

    return answer
