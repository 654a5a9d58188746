"""The page's modules by themselves: answered as the function that serves them answers, without a stack."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.api.page_routes import answer_page, page_of, read_files
from shared.config import Settings

HERE = "http://localhost:9"
"""Nobody listens there: what is asked of it is answered by the test."""
FOLDER = Path(__file__).parents[2] / "functions" / "serve_page" / "page"
EMPTY = '<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,"><div id="page"></div>'
SETTINGS = Settings(
    {
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
