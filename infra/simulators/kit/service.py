"""Decides the way of a request through a simulator: route, user, faults, one transaction, log."""

from __future__ import annotations

import gzip
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from infra.simulators.kit.broken_answers import broken_answers
from infra.simulators.kit.call import AnswerError, Call
from infra.simulators.kit.clock import Clock
from infra.simulators.kit.control import CONTROL, Control, ControlRoute
from infra.simulators.kit.courier import Courier
from infra.simulators.kit.faults import FaultKind, Faults
from infra.simulators.kit.push_faults import push_faults
from infra.simulators.kit.request_log import Entry, RequestLog
from infra.simulators.kit.server import Listener

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from infra.simulators.kit.mailbox import Provider
    from infra.simulators.kit.store import Store

Handler = Callable[[Call], Response]
_COMPRESS_FROM = 512


class Route:
    """A method and path (werkzeug's rule syntax) with a name and the function that answers."""

    __slots__ = ("handler", "methods", "name", "path")

    def __init__(self, methods: str, path: str, name: str, handler: Handler) -> None:
        self.methods = methods.split()
        self.path = path
        self.name = name
        self.handler = handler


class Service:
    """One running simulator: its ports, its requests, its faults and its clock.

    Args:
        store: its state.
        routes: what it answers.
        provider: what the control routes change.
        identify: the address behind a request's token, or "" (for faults and the log).
        no_route: answers what no route matches, given 404 or 405.
        broken: answers when a route's function fails, which is a bug here.
        faults: kinds of its own, beside those any service can have.
        forgeries: what can be wrong with a push that is not its own.
        controls: control routes of its own: method, path below `/_control`, function.
    """

    def __init__(
        self,
        store: Store,
        routes: Iterable[Route],
        provider: Provider,
        *,
        identify: Callable[[Request], str],
        no_route: Callable[[Call, int], Response],
        faults: Mapping[str, FaultKind] | None = None,
        forgeries: Sequence[str] = (),
        controls: Iterable[ControlRoute] = (),
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.clock = clock or Clock(store)
        self.log = RequestLog()
        self.stopping = threading.Event()
        self.faults = Faults(
            {**broken_answers(self.stopping.wait), **push_faults(forgeries), **(faults or {})}
        )
        self.courier = Courier(self.faults, self.clock)
        self.failures: list[str] = []
        self._identify = identify
        self._no_route = no_route
        self._control = Control(self, provider, controls)
        self._map = Map(
            [Rule(r.path, methods=r.methods, endpoint=r) for r in routes],
            strict_slashes=False,
            merge_slashes=False,
        )
        self._listeners: list[Listener] = []

    # ---- ports --------------------------------------------------------------------------------

    def start(
        self,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        port: int = 0,
        browser_port: int = 0,
    ) -> tuple[str, str]:
        """Listen. Returns the https address ("" without a certificate) and the http address."""
        self.stopping.clear()
        plain = Listener(self, port=browser_port)
        self._listeners.append(plain)
        if certificate is None:
            return "", plain.url
        secure = Listener(self, port=port, certificate=certificate, key=key)
        self._listeners.append(secure)
        return secure.url, plain.url

    def stop(self) -> None:
        """Close the ports and every connection. The state stays."""
        self.stopping.set()
        self.courier.stop()
        for listener in self._listeners:
            listener.stop()
        self._listeners.clear()

    # ---- requests -----------------------------------------------------------------------------

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one WSGI request."""
        request = Request(environ)
        if request.path.startswith(CONTROL):
            return self._control.answer(request)(environ, start_response)
        call = Call(request, log_id=self.log.next_id())
        response = self.answer(call)
        _compress(request, response)
        return response(environ, start_response)

    def answer(self, call: Call) -> Response:
        """Answer a request or one part of a batch (with `batch` set), and log it."""
        if not call.log_id:
            call.log_id = self.log.next_id()
        call.user = call.user or self._identify(call.request)
        handler = self._match(call)
        try:
            response = self.faults.around(call, lambda: self.run(handler, call))
        except AnswerError as refusal:  # from a fault; a handler's own were answered inside
            response = refusal.response
        self._remember(call, response)
        return response

    def _match(self, call: Call) -> Handler:
        try:
            route, arguments = self._map.bind_to_environ(call.request.environ).match()
        except RequestRedirect:
            return lambda c: self._no_route(c, 404)
        except MethodNotAllowed:
            return lambda c: self._no_route(c, 405)
        except HTTPException:
            return lambda c: self._no_route(c, 404)
        call.route = route.name
        call.arguments = arguments
        handler: Handler = route.handler
        return handler

    def run(self, handler: Handler, call: Call) -> Response:
        """Answer by a route's function, in a transaction of its own."""
        try:
            with self.store.transaction():
                try:
                    return handler(call)
                except AnswerError as refusal:
                    # Inside the transaction: a refusal may have ended a grant, and that stays.
                    return refusal.response
        except Exception:  # boundary: a bug here must look like the provider's 500, and be found
            self.failures.append(traceback.format_exc())
            traceback.print_exc()
            return Response("the simulator has a bug: see its output", 500)

    def _remember(self, call: Call, response: Response) -> None:
        self.log.add(
            Entry(
                id=call.log_id,
                at=self.clock.now().isoformat(timespec="milliseconds"),
                method=call.request.method,
                path=call.request.path,
                route=call.route,
                user=call.user,
                status=response.status_code,
                cost=call.cost,
                request_bytes=len(call.request.get_data(cache=True)),
                response_bytes=len(response.get_data()),
                batch=call.batch,
                fault=call.fault,
            )
        )


def _compress(request: Request, response: Response) -> None:
    data = response.get_data()
    if "Content-Encoding" in response.headers or len(data) < _COMPRESS_FROM:
        return
    if request.accept_encodings["gzip"] > 0 and (response.mimetype or "").startswith(
        ("application/json", "multipart/")
    ):
        response.set_data(gzip.compress(data, compresslevel=1))
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
