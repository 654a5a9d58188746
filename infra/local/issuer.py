"""The local token issuer: an OpenID Connect provider of one stack, for the API and for the page.

Stands in for the identity provider of a real deployment, so that the API's authorizer and the
page's sign-in run the same code here. It asks for no password, which is why it listens on loopback
only and answers nobody who knows it by another name.
"""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from infra.local import issuer_page, ports
from infra.local.issuer_exchange import Exchange, TokenRefusedError
from infra.local.issuer_requests import (
    AuthorizationRefusedError,
    AuthorizationRequest,
    Fields,
    NotRegisteredError,
    read_request,
)
from infra.local.issuer_sign_ins import SignIns
from infra.local.issuer_tokens import issuer_url, signing_key
from infra.local.paths import Paths

PAGE_TOKEN_SECONDS: Final = 3600
_FORM: Final = "application/x-www-form-urlencoded"
_NOTICES_ITS_END_SECONDS: Final = 0.05
_FOR_ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}


class Issuer:
    """Serves discovery, keys, sign-in and tokens of one stack on loopback, in a thread.

    `page_url` is the one address that a sign-in returns to; the stack knows it once it is deployed.
    `token_seconds` is how long a token of the page is valid from now on.
    """

    def __init__(self, paths: Paths, *, now: Callable[[], float] = time.time) -> None:
        self.paths = paths
        self.page_url: str | None = None
        self.token_seconds = PAGE_TOKEN_SECONDS
        self.sign_ins = SignIns(paths.keys / "sign-ins.json", now)
        self.exchange = Exchange(paths, self.sign_ins, now)
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The claim `iss` of its tokens."""
        return issuer_url(self.paths)

    def start(self) -> None:
        """Make the key when there is none, and serve."""
        self.paths.create()
        port = ports.claim(self.paths, "issuer")
        self._server = _Server((ports.LOOPBACK, port), self)
        serve = partial(self._server.serve_forever, poll_interval=_NOTICES_ITS_END_SECONDS)
        threading.Thread(target=serve, name="issuer", daemon=True).start()

    def stop(self) -> None:
        """Stop serving. Does nothing when not serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def end_sign_ins(self) -> None:
        """Sign everybody out: no refresh token works any more. Access tokens live to their end."""
        self.sign_ins.end_all()


def _documents(issuer: Issuer) -> dict[str, Any]:
    url = issuer.url
    public = {**signing_key(issuer.paths).as_dict(private=False), "use": "sig", "alg": "RS256"}
    return {
        "/.well-known/openid-configuration": {
            "issuer": url,
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "authorization_endpoint": f"{url}/authorize",
            "token_endpoint": f"{url}/token",
            "end_session_endpoint": f"{url}/logout",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True,
            "request_uri_parameter_supported": False,
        },
        "/.well-known/jwks.json": {"keys": [public]},
    }


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], issuer: Issuer) -> None:
        self.issuer = issuer
        self.documents = _documents(issuer)
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """A document, the sign-in page, or the end of a sign-in."""
        self._answer({"/authorize": self._authorize, "/logout": self._sign_out})

    def do_POST(self) -> None:
        """The sign-in page's form, or a request for tokens."""
        self._answer({"/authorize": self._sign_in, "/token": self._tokens})

    def do_OPTIONS(self) -> None:
        """What a browser asks first; with it, any script of the page may ask for tokens."""
        allowed = {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Content-Type",
        }
        cors = self._cors() if self.path == "/token" else _FOR_ANYBODY
        self._send(_Answer(204, headers=allowed | cors))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing: the authorizer's look-ups are of no interest."""

    def _answer(self, routes: dict[str, Callable[[Fields], _Answer]]) -> None:
        where = urlsplit(self.path)
        if self.headers.get("Host") != urlsplit(self.server.issuer.url).netloc:
            # A stranger's page can have a name of its own lead here, and read what it is answered.
            self._send(_plain(421, f"This is {self.server.issuer.url} and no other."))
        elif self.command == "GET" and where.path in self.server.documents:
            self._send(_json(200, self.server.documents[where.path], _FOR_ANYBODY))
        elif where.path not in routes:
            self._send(_plain(404, "There is nothing here."))
        elif (fields := self._fields(where.query)) is None:
            self._send(_plain(400, "A form was expected."))
        else:
            self._send(routes[where.path](fields))

    def _fields(self, query: str) -> Fields | None:
        """What was sent in the query or as a form; None for anything else."""
        if self.command == "POST":
            size = self.headers.get("Content-Length", "")
            if self.headers.get_content_type() != _FORM or not size.isdecimal():
                return None
            query = self.rfile.read(int(size)).decode(errors="replace")
        try:
            return parse_qs(query, max_num_fields=100)
        except ValueError:
            return None

    def _authorize(self, fields: Fields) -> _Answer:
        return self._to_the_page(fields, self._show_or_go_on)

    def _sign_in(self, fields: Fields) -> _Answer:
        return self._to_the_page(fields, self._chosen)

    def _to_the_page(
        self, fields: Fields, work: Callable[[AuthorizationRequest, Fields], _Answer]
    ) -> _Answer:
        """Do `work` for a good request; send a bad one back to the page, or say why not."""
        issuer = self.server.issuer
        try:
            asked = issuer_page.without_choice(fields)
            request = read_request(asked, issuer=issuer.url, page_url=issuer.page_url)
            return work(request, fields)
        except NotRegisteredError as error:
            return self._html(400, issuer_page.refusal_page(str(error), issuer.page_url))
        except AuthorizationRefusedError as error:
            return _redirect(error.location)

    def _show_or_go_on(self, request: AuthorizationRequest, fields: Fields) -> _Answer:
        issuer = self.server.issuer
        key = self._cookie()
        if request.may_show_nothing and issuer.sign_ins.person(key):
            return _redirect(request.back.granted(issuer.exchange.code(request, key)))
        if request.must_show_nothing:
            raise request.back.refused("login_required", "nobody is signed in")
        return self._html(200, issuer_page.sign_in_page(fields))

    def _chosen(self, request: AuthorizationRequest, fields: Fields) -> _Answer:
        issuer = self.server.issuer
        if fields.get("choice") == [issuer_page.CANCEL]:
            raise request.back.refused("access_denied", "the sign-in was cancelled")
        person = issuer_page.chosen(fields)
        if person is None:
            return self._html(400, issuer_page.sign_in_page(fields, "Type a tenant and a user."))
        key = issuer.sign_ins.begin(person)
        # Lax, because the page of another origin leads here.
        cookie = f"{self._cookie_name}={key}; Path=/; HttpOnly; SameSite=Lax"
        location = request.back.granted(issuer.exchange.code(request, key))
        return _redirect(location, {"Set-Cookie": cookie})

    def _tokens(self, fields: Fields) -> _Answer:
        issuer = self.server.issuer
        try:
            tokens = issuer.exchange.tokens(fields, issuer.token_seconds)
        except TokenRefusedError as error:
            refusal = {"error": error.error, "error_description": error.words}
            return _json(400, refusal, self._cors())
        return _json(200, tokens, self._cors())

    def _sign_out(self, fields: Fields) -> _Answer:
        issuer = self.server.issuer
        issuer.sign_ins.end(self._cookie())
        if issuer.page_url and fields.get("post_logout_redirect_uri") == [issuer.page_url]:
            state = {name: values[0] for name, values in fields.items() if name == "state"}
            return _redirect(issuer.page_url + (f"?{urlencode(state)}" if state else ""))
        return self._html(200, issuer_page.signed_out_page(issuer.page_url))

    @property
    def _cookie_name(self) -> str:
        # Browsers keep one set of cookies for all ports of a host: other stacks have theirs.
        return f"mailroom_sign_in_{self.server.server_port}"

    def _cookie(self) -> str:
        # By hand: SimpleCookie reads none when one of another program on this host is odd.
        pairs = (one.strip().partition("=") for one in self.headers.get("Cookie", "").split(";"))
        return next((value for name, _, value in pairs if name == self._cookie_name), "")

    def _page_origin(self) -> str:
        if self.server.issuer.page_url is None:
            return ""
        where = urlsplit(self.server.issuer.page_url)
        return f"{where.scheme}://{where.netloc}"

    def _cors(self) -> dict[str, str]:
        origin = self._page_origin()
        return {"Access-Control-Allow-Origin": origin} if origin else {}

    def _html(self, status: int, page: str) -> _Answer:
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            # form-action holds for where the form's answer redirects to as well.
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            f"img-src data:; form-action 'self' {self._page_origin()}; frame-ancestors 'none'",
        }
        return _Answer(status, page.encode(), headers)

    def _send(self, answer: _Answer) -> None:
        headers = {
            "Content-Length": str(len(answer.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            # A code or a state in an address is nobody else's business.
            "Referrer-Policy": "no-referrer",
            **answer.headers,
        }
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


def _redirect(location: str, more: dict[str, str] | None = None) -> _Answer:
    # 303: a form's answer is fetched, and not sent once more with what was typed.
    return _Answer(303, headers={"Location": location, **(more or {})})


def _json(status: int, content: Any, more: dict[str, str]) -> _Answer:
    headers = {"Content-Type": "application/json", **more}
    return _Answer(status, json.dumps(content).encode(), headers)


def _plain(status: int, words: str) -> _Answer:
    return _Answer(status, words.encode(), {"Content-Type": "text/plain; charset=utf-8"})
