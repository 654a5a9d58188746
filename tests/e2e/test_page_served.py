"""The page as it is sent, and who may show it inside a page of theirs."""

import gzip
import re
import urllib.error
import urllib.request

import pytest

from tests.browser.page import origin_of

pytestmark = pytest.mark.stack

STRANGER = "http://localhost:9"
"""On no list of origins; what is asked of it is answered here."""
FRAMING = '<!doctype html><html lang="en"><title>Elsewhere</title><link rel="icon" href="data:,"><iframe src="%s"></iframe>'


def fetched(url, **headers):
    """Status, headers and content of what is answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=named), timeout=60) as it:
            return it.status, it.headers, it.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.headers, refused.read()


def test_the_page_comes_compressed_and_is_not_sent_twice(stack):
    for url in (stack.page_url, f"{stack.page_url}/app.js", f"{stack.page_url}/settings.json"):
        status, headers, plain = fetched(url)
        assert (status, headers["Content-Encoding"]) == (200, None)
        status, headers, compressed = fetched(url, Accept_Encoding="gzip")
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert gzip.decompress(compressed) == plain
        again = fetched(url, Accept_Encoding="gzip", If_None_Match=headers["ETag"])
        assert (again[0], again[2]) == (304, b"")
    assert fetched(f"{stack.page_url}/nothing.js")[0] == 404


def test_a_page_that_is_on_no_list_may_not_show_it(stack, visit):
    seen = visit(stack.page_url, STRANGER)
    seen.expects(f"console error: Framing '{re.escape(origin_of(stack.page_url))}/' violates")
    seen.expects(f"failed: GET {re.escape(stack.page_url)}: net::ERR_BLOCKED_BY_RESPONSE")
    shows = FRAMING % stack.page_url
    # A page that is answered here is of no network, and has to be let into this machine's.
    seen.page.context.grant_permissions(["local-network-access"])
    seen.page.route(f"{STRANGER}/", lambda it: it.fulfill(body=shows, content_type="text/html"))
    with seen.page.expect_event("requestfailed"):
        seen.page.goto(f"{STRANGER}/")
