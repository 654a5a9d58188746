"""Decides how a batch is taken apart and put together again (multipart/mixed, up to 100 calls).

Each part is a request of its own: its quota, its faults, its log entry, its status. The outer
answer is 200 whatever became of the parts.
"""

from __future__ import annotations

import email
import re
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from infra.simulators.google import answers
from infra.simulators.kit.call import Call
from infra.simulators.kit.service import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.simulators.google.world import World

_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+)(?: HTTP/1\.[01])?")
_HOST = re.compile(r"^https?://[^/]+")
_METHODS = "POST"


class Batch:
    """The batch endpoint.

    Args:
        world: for the limit.
        answer: answers one part; the service's own.
    """

    def __init__(self, world: World, answer: Callable[[Call], Response]) -> None:
        self._world = world
        self._answer = answer

    def routes(self) -> list[Route]:
        """Return the routes: of the guide, and of the discovery document's `batchPath`."""
        return [
            Route(_METHODS, "/batch/gmail/v1", "batch", self._batch),
            Route(_METHODS, "/batch", "batch", self._batch),
        ]

    def _batch(self, call: Call) -> Response:
        boundary = call.request.mimetype_params.get("boundary", "")
        if call.request.mimetype != "multipart/mixed" or not boundary:
            raise answers.invalid("Failed to parse batch request, error: no boundary")
        parts = _parts(call.request.get_data(cache=True), boundary.encode())
        if not parts:
            raise answers.invalid("The batch request must contain at least one call.")
        if len(parts) > self._world.limits.batch_calls:
            raise answers.invalid(
                f"The batch request contained too many calls: {len(parts)}, "
                f"the limit is {self._world.limits.batch_calls}."
            )
        answered = [self._part(call, part) for part in parts]
        made = f"batch_{secrets.token_urlsafe(24)}"
        body = b"".join(f"--{made}\r\n".encode() + part + b"\r\n" for part in answered)
        return Response(
            body + f"--{made}--\r\n".encode(), 200, content_type=f"multipart/mixed; boundary={made}"
        )

    def _part(self, outer: Call, part: bytes) -> bytes:
        head, _, rest = _split(part)
        content_id = str(email.message_from_bytes(head).get("Content-ID", "")).strip().strip("<>")
        inner = self._request(outer.request, rest)
        if inner is None:
            response = answers.error_response(
                400, "Failed to parse batch request part", "badRequest"
            )
        else:
            response = self._answer(Call(inner, batch=outer.log_id))
        return _response_part(response, content_id)

    def _request(self, outer: Request, text: bytes) -> Request | None:
        head, _, body = _split(text)
        line, _, header_lines = head.partition(b"\n")
        found = _REQUEST_LINE.fullmatch(line.decode("latin-1").strip())
        if found is None:
            return None
        path = _HOST.sub("", found[2])
        if not path.startswith(("/gmail/", "/upload/gmail/")):
            return None  # also a batch in a batch
        headers = {n: str(v) for n, v in email.message_from_bytes(header_lines).items()}
        authorization = outer.headers.get("Authorization")
        if authorization and "authorization" not in {name.lower() for name in headers}:
            headers["Authorization"] = authorization
        headers = {n: v for n, v in headers.items() if n.lower() not in ("content-length", "host")}
        builder = EnvironBuilder(
            path, method=found[1], base_url=outer.host_url, headers=Headers(headers), data=body
        )
        return builder.get_request(Request)


def _parts(body: bytes, boundary: bytes) -> list[bytes]:
    pieces = (b"\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).split(
        b"\r\n--" + boundary
    )
    return [p.removeprefix(b"\r\n") for p in pieces[1:] if not p.startswith(b"--")]


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    if text.startswith(b"\r\n"):
        return b"", b"\r\n", text.removeprefix(b"\r\n")
    return text.partition(b"\r\n\r\n")


def _response_part(response: Response, content_id: str) -> bytes:
    data = response.get_data()
    status = response.status_code
    head = ["Content-Type: application/http"]
    if content_id:
        head.append(f"Content-ID: <response-{content_id}>")
    phrase = HTTPStatus(status).phrase
    inner = [f"HTTP/1.1 {status} {phrase}"]
    kept = ("Content-Type", "WWW-Authenticate", "Retry-After")
    inner += [f"{name}: {response.headers[name]}" for name in kept if name in response.headers]
    inner.append(f"Content-Length: {len(data)}")
    return "\r\n".join([*head, "", *inner, "", ""]).encode() + data
