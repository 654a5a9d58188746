"""What the tests of the Google simulator share: letters, a browser that clicks, Google's own client."""

import base64
import hashlib
import html
import json
import re
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

import httplib2
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document

from infra.simulators.google import discovery

API = "https://www.googleapis.com/auth/"
MODIFY, READONLY, SEND = f"{API}gmail.modify", f"{API}gmail.readonly", f"{API}gmail.send"
METADATA, LABELS, FULL = f"{API}gmail.metadata", f"{API}gmail.labels", "https://mail.google.com/"
ADA, BOB = "ada@gmail.example", "bob@gmail.example"
CLIENT, SECRET = "one.apps.googleusercontent.com", "GOCSPX-false"
CALLBACK = "https://crm.example/callback"


def letter(number=1, *, subject=None, sender="Eve <eve@example.org>", to=ADA, text=None, **headers):
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Subject: {subject if subject is not None else f'Letter {number}'}",
        f"Message-ID: <letter-{number}@example.org>",
        "Date: Fri, 20 Nov 2026 10:00:00 +0000",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", text or f"The text of letter {number}.", ""]).encode()


def base64url(data):
    return base64.urlsafe_b64encode(data).decode()


@dataclass
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def reason(self):
        return self.error["errors"][0]["reason"]


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


_OPENER = urllib.request.build_opener(_Stay)


def ask(method, url, *, token=None, body=None, form=None, headers=None, timeout=20):
    """One request with the standard library alone; redirects are not followed."""
    sent = dict(headers or {})
    data = body
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if form is not None:
        data = urllib.parse.urlencode(form, doseq=True).encode()
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    elif isinstance(body, dict | list):
        data = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with _OPENER.open(request, timeout=timeout) as found:
            return Answer(found.status, dict(found.headers), found.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read())


class Browser:
    """Clicks through the consent pages: reads forms, sends them, stops at the client's address."""

    def __init__(self, root):
        self.root = root

    def open(self, **query):
        return ask("GET", f"{self.root}/o/oauth2/v2/auth?{urllib.parse.urlencode(query)}")

    def send(self, page, **fields):
        text = page.body.decode()
        action = html.unescape(re.search(r'<form method="post" action="([^"]+)"', text)[1])
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text)
        form = {**{n: html.unescape(v) for n, v in hidden}, **fields}
        return ask("POST", self.root + action, form=form)

    @staticmethod
    def arrived(answer):
        assert answer.status == 302, answer.body
        url = urllib.parse.urlsplit(answer.headers["Location"])
        return dict(urllib.parse.parse_qsl(url.query))


@dataclass
class Connected:
    """What a consent ended in."""

    tokens: dict
    query: dict = field(default_factory=dict)

    @property
    def access(self):
        return self.tokens["access_token"]

    @property
    def refresh(self):
        return self.tokens.get("refresh_token")


class World:
    """A running simulator with two accounts and a client."""

    def __init__(self, simulator, authority):
        self.simulator = simulator
        self.authority = authority
        self.root = simulator.browser_url
        self.browser = Browser(self.root)
        self._opened = []
        simulator.add_user(ADA, name="Ada")
        simulator.add_user(BOB, name="Bob")
        simulator.add_client(CLIENT, SECRET, [CALLBACK])

    def mail(self, address=ADA):
        return self.simulator.mail(address)

    def ask(self, method, path, **more):
        return ask(method, self.root + path, **more)

    def api(self, method, path, token, **more):
        return self.ask(method, f"/gmail/v1/users/me/{path}", token=token, **more)

    def control(self, method, path, body=None):
        return ask(method, f"{self.root}/_control{path}", body=body)

    def connect(self, scope=f"openid email {MODIFY}", *, address=ADA, ticked=(), **more):
        """The whole way: page, Continue, code, tokens."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "client_id": CLIENT,
            "redirect_uri": CALLBACK,
            "response_type": "code",
            "scope": scope,
            "state": "state of the test",
            "nonce": "nonce of the test",
            "access_type": "offline",
            "prompt": "consent",
            "code_challenge": base64url(digest).rstrip("="),
            "code_challenge_method": "S256",
            **more,
        }
        page = self.browser.open(**{k: v for k, v in asked.items() if v is not None})
        answer = self.browser.send(page, account=address, action="allow", scope=list(ticked))
        query = self.browser.arrived(answer)
        found = self.exchange(query["code"], code_verifier=verifier)
        assert found.status == 200, found.body
        return Connected(found.json, query)

    def token(self, *scopes, address=ADA, seconds=3599):
        """An access token without the way there."""
        return self.simulator.grants.issue_access(
            address, CLIENT, scopes or [FULL], seconds=seconds
        )

    def exchange(self, code, **more):
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uri": CALLBACK,
            **more,
        }
        return self.ask("POST", "/token", form={k: v for k, v in form.items() if v is not None})

    def refresh(self, refresh_token, **more):
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": CLIENT,
            "client_secret": SECRET,
            **more,
        }
        return self.ask("POST", "/token", form={k: v for k, v in form.items() if v is not None})

    def client(self, token):
        """google-api-python-client, which believes it speaks to Google, over https."""
        http = httplib2.Http(ca_certs=str(self.authority), timeout=20)
        self._opened.append(http)
        document = {**discovery.document(), "rootUrl": f"{self.simulator.url}/"}
        return build_from_document(document, http=AuthorizedHttp(Credentials(token), http=http))

    def close(self):
        for http in self._opened:
            http.close()

    def tls(self):
        return ssl.create_default_context(cafile=str(self.authority))


def ids(answer, kind="messages"):
    assert answer.status == 200, answer.body
    return [found["id"] for found in answer.json.get(kind, [])]


def pages(api, path, kind="messages"):
    found, token = [], ""
    while token is not None:
        answer = api("GET", f"{path}&pageToken={token}" if token else path)
        found.append(ids(answer, kind))
        token = answer.json.get("nextPageToken")
    return found
