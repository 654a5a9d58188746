"""The page in a real Chromium, as a person sees it; what it should not do fails the test.

    def test_an_empty_list_teaches(open_page):
        ada = open_page("#/mailboxes")
        expect(ada.page.get_by_role("heading", name="Mailboxes")).to_be_visible()
        ada.keep("mailboxes-empty")

A visit fails its test when the page breaks its Content-Security-Policy, writes an error or a warning
to the console, raises, asks an origin that is not the stack's, or gets an answer that is an error,
unless the test said so before: `ada.expects("409 POST .*/backfills")`. `open_page` is in
tests/e2e/conftest.py: each visit is of a tenant of its own, unless one is named.

Pictures are in build/screenshots/, also of the moment a test failed; `pictures.py` takes them over
into the documentation.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import QUIET, ensure_installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
LOOKS = {"light": ("light", DESKTOP), "dark": ("dark", DESKTOP), "phone": ("light", PHONE)}
"""How each state is looked at: the scheme and the size."""
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
PATIENCE = 60_000
"""Milliseconds for what is waited for: the stack's functions start cold, beside other tests."""
_NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
_HERE = "IsolateSandboxedIframes"
"""Switched off: in a process of its own a message's frame asks for things before anybody listens."""
_TELL_VIOLATIONS = """addEventListener("securitypolicyviolation", (seen) => console.error(
  `policy: ${seen.effectiveDirective} stopped ${seen.blockedURI} at ${seen.sourceFile}:${seen.lineNumber}`));"""
_VISITS = pytest.StashKey[list["Visit"]]()


@dataclass
class Noise:
    """What a browser's pages did that they should not, line by line."""

    origins: frozenset[str]
    """Origins that may be asked."""
    heard: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def watch(self, context: "BrowserContext") -> None:
        """Listen to every page of the context, pop-ups too, from now on."""
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda raised: self.heard.append(f"raised: {raised.error}"))
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("requestfailed", self._failed)

    def unexpected(self) -> list[str]:
        """What was heard and not expected, and what was expected and not heard."""
        found = [one for one in self.heard if not any(re.search(it, one) for it in self.expected)]
        missing = [it for it in self.expected if not any(re.search(it, one) for one in self.heard)]
        return found + [f"expected, and never came: {it}" for it in missing]

    def _said(self, message) -> None:
        # A resource that failed is told with its address, as an answer or a failed request.
        resource = message.text.startswith("Failed to load resource")
        if message.type in {"error", "warning", "assert"} and not resource:
            self.heard.append(f"console {message.type}: {message.text}")

    def _asked(self, request) -> None:
        origin = origin_of(request.url)
        if origin.startswith("http") and origin not in self.origins:
            self.heard.append(f"asked elsewhere: {request.method} {request.url}")

    def _answered(self, response) -> None:
        if response.status >= 400:
            self.heard.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request) -> None:
        # The page gives up what it no longer needs, and so does a browser that leaves a page.
        if request.failure != "net::ERR_ABORTED":
            self.heard.append(f"failed: {request.method} {request.url}: {request.failure}")


@dataclass
class Visit:
    """Somebody at the page, in a browser of their own."""

    page: "Page"
    noise: Noise

    def choose(self, tenant: str, user: str, *, admin: bool, window: "Page | None" = None) -> None:
        """Say who we are, on the local issuer's page, which is shown here or in a window."""
        asked = window or self.page
        asked.get_by_label("Tenant").fill(tenant)
        asked.get_by_label("User").fill(user)
        asked.get_by_label("Administrator").set_checked(admin)
        asked.get_by_role("button", name="Sign in", exact=True).click()

    def expects(self, pattern: str) -> None:
        """Let pass what matches, of what would fail the test; fail it if nothing comes that does.

        An answer that is an error reads `409 POST http://…`, what the console says
        `console error: …`, a request elsewhere `asked elsewhere: GET http://…`.
        """
        self.noise.expected.append(pattern)

    def axe(self) -> None:
        """Fail unless the page is accessible, as far as a machine can tell, as it is shown now."""
        found = violations(self.page)
        assert not found, "\n\n".join([self.page.url, *found])

    def keep(self, name: str) -> None:
        """Keep pictures of this state, light, dark and on a phone; each has to be accessible.

        Each picture is of one size, whatever it shows: what is visible without scrolling.
        """
        usual = self.page.viewport_size
        try:
            for look, (scheme, size) in LOOKS.items():
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self.page.set_viewport_size(size)
                self.picture(f"{name}-{look}")
                wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{name} is {wide} pixels too wide for {look}"
                self.axe()
        finally:
            self.page.emulate_media(color_scheme="light", reduced_motion="no-preference")
            self.page.set_viewport_size(usual)

    def picture(self, name: str) -> Path:
        """Keep one picture of what is visible; return where it is."""
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled", caret="hide")
        return path

    def state(self, name: str) -> str:
        """What somebody needs who looks into a failure: address, words, noise, and a picture."""
        kept = self.picture(f"failed-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}")
        shown = self.page.locator("body").aria_snapshot()
        return "\n".join([self.page.url, str(kept), shown, *self.noise.unexpected()])


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


def violations(page: "Page") -> list[str]:
    """What axe finds against the page's accessibility: the rule, where it is, and what helps."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(_axe())
    # A message's frame runs no script, so that axe cannot look into it; what is in it is a stranger's.
    options = {"runOnly": RULES, "resultTypes": ["violations"], "iframes": False}
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    for one in found:
        # What is scrolled half below the header is as large as it was.
        one["nodes"] = [
            it for it in one["nodes"] if "partially obscured" not in it["failureSummary"]
        ]
    found = [one for one in found if one["nodes"]]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}\n"
        + "\n".join(f"  {node['html']}\n    {node['failureSummary']}" for node in one["nodes"])
        for one in found
    ]


@contextlib.contextmanager
def visiting(browser: "Browser", origins: Iterable[str]) -> Iterator[Visit]:
    """A new person with an empty browser; what it did is judged when it is closed."""
    context = browser.new_context(
        viewport=DESKTOP, color_scheme="light", locale="en-GB", timezone_id="UTC"
    )
    context.set_default_timeout(PATIENCE)
    # The first page of all waits for a stack whose every function is cold.
    context.set_default_navigation_timeout(3 * PATIENCE)
    noise = Noise(frozenset(map(origin_of, origins)))
    noise.watch(context)
    try:
        yield Visit(context.new_page(), noise)
        for page in context.pages:
            # What happened before an answer is told before it.
            page.evaluate("0")
    finally:
        context.close()
    unexpected = noise.unexpected()
    assert not unexpected, "\n".join(unexpected)


def _with_frames(argument: str) -> str:
    # Of two such arguments Chromium heeds the last.
    return f"{argument},{_HERE}" if argument.startswith("--disable-features=") else argument


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium. Of one module: while it runs, nothing else on this thread can run asyncio."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=ensure_installed(), args=[*map(_with_frames, QUIET), _NOWHERE]
        )
        yield started
        started.close()


@pytest.fixture
def visit(browser, request) -> Iterator[Callable[..., Visit]]:
    """Begin a visit: what is given are the addresses whose origins it may ask."""
    visits = request.node.stash.setdefault(_VISITS, [])
    with contextlib.ExitStack() as all_of_them:

        def begin(*addresses: str) -> Visit:
            begun = all_of_them.enter_context(visiting(browser, addresses))
            visits.append(begun)
            return begun

        yield begin


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        for number, visit in enumerate(item.stash.get(_VISITS, []), 1):
            try:
                state = visit.state(f"{item.name}-{number}")
            except (
                Exception
            ) as error:  # boundary: a page that is gone is no reason to lose the failure
                state = f"cannot be looked at any more: {error}"
            report.sections.append((f"visit {number}", state))
    return report
