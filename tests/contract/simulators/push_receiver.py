"""Somebody on loopback whom a simulator tells of changes: takes, refuses, is welcoming or is not."""

import json
import threading
import time
from dataclasses import dataclass

from werkzeug.wrappers import Request, Response

from infra.simulators.kit.server import Listener


@dataclass(frozen=True)
class Received:
    """One request of a provider's."""

    path: str
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """Answers 204 and keeps what came; `answers` are given first, one to each request."""

    def __init__(self):
        self._came = threading.Condition()
        self.received = []
        self.answers = []
        self.asked = []
        """Validation tokens, as they were asked."""
        self.welcome = lambda token: Response(token, 200, content_type="text/plain")

    def __enter__(self):
        self._listener = Listener(self)
        self.url = f"{self._listener.url}/told"
        return self

    def __exit__(self, *_):
        self._listener.stop()

    def __call__(self, environ, start_response):
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request):
        with self._came:
            token = request.args.get("validationToken")
            if token is not None:
                self.asked.append(token)
                return self.welcome(token)
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.received.append(Received(request.path, headers, request.get_data()))
            self._came.notify_all()
            return Response(status=self.answers.pop(0) if self.answers else 204)

    def wait(self, count, seconds=10.0):
        """Return the first `count` requests, once they are there."""
        with self._came:
            came = self._came.wait_for(lambda: len(self.received) >= count, seconds)
            assert came, f"{len(self.received)} of {count} came"
            return self.received[:count]


def until(condition, seconds=10.0):
    """Wait for what a simulator does in a thread of its own."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
