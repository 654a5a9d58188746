"""How the demo talks to Mailroom: over HTTP with a token, as any front end would."""

import json
import urllib.error
import urllib.request
from typing import Any, Final

_SECONDS: Final = 60.0


class RefusedError(Exception):
    """The API answered with an error; the message holds its status, code and words."""

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__(f"{call} was answered with {status}: {body}")
        self.status = status


class HttpApi:
    """The API at `url`, called as the holder of `token`."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def get(self, path: str) -> Any:
        """Return the JSON at `path`. Raises RefusedError."""
        return self._call("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        """Send `body` to `path`; return the answer's JSON. Raises RefusedError."""
        return self._call("POST", path, body)

    def put(self, path: str, body: object) -> Any:
        """Replace what is at `path`; return the answer's JSON. Raises RefusedError."""
        return self._call("PUT", path, body)

    def _call(self, method: str, path: str, body: object) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode(errors="replace")
            raise RefusedError(f"{method} {path}", error.code, text) from None
