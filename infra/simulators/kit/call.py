"""Decides what a route's function is given, and how it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

CUT_AFTER = "simulator.cut_after"
"""Key of the WSGI environment: hang up after so many bytes of the body (-1: before any answer)."""


class AnswerError(Exception):
    """Raised anywhere below a route to end with this answer. What was written so far is kept."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(slots=True)
class Call:
    """One request, or one part of a batch, on its way through a simulator.

    Attributes:
        request: as werkzeug reads it.
        route: the route's name; empty where none matched.
        arguments: of the path.
        user: address of the mailbox's owner, where a token said so; routes may set it.
        cost: units charged; routes set it.
        fault: names of the faults that struck.
        batch: log id of the request that this is a part of; 0 for a request of its own.
        log_id: of the entry in the request log.
        is_push: it goes out: the simulator tells somebody of a change.
        notes: whatever a simulator wants to hand from one step to the next.
    """

    request: Request
    route: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""
    cost: int = 0
    fault: str = ""
    batch: int = 0
    log_id: int = 0
    is_push: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """What a fault's `route` is matched on: `GET /path`, without a query."""
        return f"{self.request.method} {self.request.path}"


def json_response(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return `body` as JSON."""
    return Response(
        # What mail holds may be no text at all: half a surrogate pair.
        json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        status,
        headers=dict(headers or {}),
        content_type="application/json; charset=UTF-8",
    )
