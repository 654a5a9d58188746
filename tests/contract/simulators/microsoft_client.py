"""What the tests of the Microsoft simulator share: a started one, a browser, a client of Graph."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape

from infra.simulators.microsoft import MicrosoftSimulator

CLIENT = "11111111-2222-4333-8444-555555555555"
SECRET = "obviously-not-a-secret"
CALLBACK = "http://localhost:9999/callback"
WORK = "ada@contoso.example"
OTHER = "bob@fabrikam.example"
PERSONAL = "eve@outlook.example"
SCOPES = "openid profile email offline_access User.Read Mail.ReadWrite Mail.Send"
VERIFIER = "v" * 64
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self):
        return json.loads(self.data)

    @property
    def code(self):
        return self.json["error"]["code"]


class Web:
    """Plain http to the simulator, a connection for each request."""

    def __init__(self, url):
        self.url = url
        self.host = url.removeprefix("http://")

    def ask(self, method, path, body=None, headers=None):
        if path.startswith("http"):
            parts = urllib.parse.urlsplit(path)
            assert parts.netloc == self.host, path
            path = parts.path + (f"?{parts.query}" if parts.query else "")
        headers = dict(headers or {})
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, timeout=20)
        try:
            connection.request(method, path.replace(" ", "%20"), body, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, data)

    def form(self, path, **values):
        body = urllib.parse.urlencode(values).encode()
        return self.ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})


class Graph(Web):
    """A client of Graph with a token."""

    def __init__(self, url, token, **headers):
        super().__init__(url)
        self.token = token
        self.usual = headers

    def ask(self, method, path, body=None, headers=None):
        if path.startswith("/") and not path.startswith("/v1.0"):
            path = f"/v1.0{path}"
        own = {"Authorization": f"Bearer {self.token}", **self.usual, **(headers or {})}
        return super().ask(method, path, body, own)

    def get(self, path, **headers):
        reply = self.ask("GET", path, headers=headers)
        assert reply.status == 200, (path, reply.status, reply.data[:500])
        return reply.json

    def walk(self, path, **headers):
        """Follow nextLink to the end; all values, and the last page."""
        values, page = [], self.get(path, **headers)
        while True:
            values += page["value"]
            if "@odata.nextLink" not in page:
                return values, page
            page = self.get(page["@odata.nextLink"], **headers)


@contextmanager
def running(**options):
    """A simulator with its people and our client, none of whose requests fail on its own account."""
    with MicrosoftSimulator(**options) as simulator:
        simulator.add_client(CLIENT, SECRET, [CALLBACK])
        for address in (WORK, OTHER, PERSONAL):
            simulator.add_user(address)
        yield simulator
    assert simulator.failures == []


def challenge(verifier=VERIFIER):
    made = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def authorize_path(tenant="common", **options):
    values = {
        "client_id": CLIENT,
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
        "state": "st&<ate>",
        "nonce": "n0nce",
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
    }
    values = {k: v for k, v in {**values, **options}.items() if v is not None}
    return f"/{tenant}/oauth2/v2.0/authorize?{urllib.parse.urlencode(values)}"


def field(page, name="request"):
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', page.data.decode())[1])


def answered(reply):
    """Return the query that the browser brings back to the application."""
    assert reply.status == 302, (reply.status, reply.data[:800])
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(reply.headers["location"]).query))


def posted(page):
    """Return the fields that the browser posts to the application."""
    assert page.status == 200, page.data[:800]
    assert f'action="{CALLBACK}"' in page.data.decode()
    pairs = re.findall(r'name="([^"]+)" value="([^"]*)"', page.data.decode())
    return {name: unescape(value) for name, value in pairs}


def click(web, path, *, account=WORK, decision="allow"):
    """Open the consent page and press a button."""
    page = web.ask("GET", path)
    assert page.status == 200, page.data[:500]
    tenant = path.split("/")[1]
    values = {"request": field(page), "decision": decision}
    if account:
        values["account"] = account
    return web.form(f"/{tenant}/oauth2/v2.0/consent", **values)


def redeem(web, code, tenant="common", **changes):
    values = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "client_secret": SECRET,
        "code": code,
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        **changes,
    }
    values = {k: v for k, v in values.items() if v is not None}
    return web.form(f"/{tenant}/oauth2/v2.0/token", **values)


def refresh(web, token, tenant="common", **changes):
    return redeem(
        web,
        None,
        tenant,
        grant_type="refresh_token",
        refresh_token=token,
        redirect_uri=None,
        code_verifier=None,
        **changes,
    )


def signed_in(simulator, account=WORK, scope=SCOPES):
    """Return the token endpoint's answer for an account."""
    web = Web(simulator.browser_url)
    back = answered(click(web, authorize_path(scope=scope), account=account))
    reply = redeem(web, back["code"])
    assert reply.status == 200, reply.data
    return reply.json


def graph_for(simulator, account=WORK, scope=SCOPES, **headers):
    return Graph(
        simulator.browser_url, signed_in(simulator, account, scope)["access_token"], **headers
    )


def eml(number=1, *, subject=None, sender="Zoë <zoe@example.org>", body="Hello\r\n", extra=""):
    return (
        f"From: {sender}\r\nTo: Ada <{WORK}>\r\nSubject: {subject or f'Message {number}'}\r\n"
        f"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <m{number}@example.org>\r\n{extra}"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    ).encode()
