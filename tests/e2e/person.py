"""A person at a browser, as far as a sign-in goes: follows redirects, fills in forms, keeps cookies."""

import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_given):
        return None


@dataclass
class Page:
    """What the browser shows."""

    url: str
    status: int
    text: str

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.url).query))

    @property
    def fragment(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.url).fragment))


@dataclass
class Person:
    """One browser. `home` is the front end's origin, which nobody serves: arriving there is enough."""

    home: str
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def take_cookie(self, url: str, header: str | None) -> None:
        """Keep what a page's own request to the API brought, as a browser does for a page of one site."""
        if header:
            name, _, value = header.partition(";")[0].partition("=")
            self.cookies.setdefault(_origin(url), {})[name] = value

    def open(self, url: str, form: dict[str, str] | None = None) -> Page:
        """Go there, and wherever it leads; ends at the front end or at a page."""
        while not url.startswith(self.home):
            status, location, text = self._send(url, form)
            if location is None:
                return Page(url, status, text)
            url, form = urllib.parse.urljoin(url, location), None
        return Page(url, 200, "")

    def choose(self, page: Page, *, account: str = "", button: str) -> Page:
        """Fill in the page's form and press a button, by its words."""
        form = _Form()
        form.feed(page.text)
        pressed = next(one for one in form.buttons if button in one["text"])
        fields = dict(form.hidden)
        if account:
            assert account in form.accounts, (account, form.accounts)
            fields["account"] = account
        if pressed.get("name"):
            fields[pressed["name"]] = pressed.get("value", "")
        return self.open(urllib.parse.urljoin(page.url, form.action), fields)

    def _send(self, url, form):
        headers = {"Accept": "text/html"}
        if kept := self.cookies.get(_origin(url)):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data=data, headers=headers)
        opener = urllib.request.build_opener(_NoRedirects)
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, None, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers.get("Location"), error.read().decode()


def _origin(url: str) -> str:
    return "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))


class _Form(HTMLParser):
    """The first form of a page."""

    def __init__(self):
        super().__init__()
        self.action = ""
        self.hidden = {}
        self.accounts = []
        self.buttons = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.action = given.get("action", "")
        elif tag == "input" and given.get("type") == "hidden":
            self.hidden[given["name"]] = given.get("value", "")
        elif tag == "input" and given.get("type") == "radio":
            self.accounts.append(given["value"])
        elif tag == "button":
            self.buttons.append({**given, "text": ""})

    def handle_data(self, data):
        if self.buttons and not self.buttons[-1]["text"]:
            self.buttons[-1]["text"] = data.strip()
