"""Decides the faults that any HTTP service can have: slow, cut, garbled, huge, elsewhere."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from infra.simulators.kit.call import CUT_AFTER, Call
from infra.simulators.kit.faults import FaultKind, Proceed

if TYPE_CHECKING:
    from infra.simulators.kit.faults import Around

Parameters = Mapping[str, Any]
_HTML = "<!DOCTYPE html><html><title>Error</title><h1>502. That's an error.</h1></html>"
_MEBIBYTE = 1024 * 1024


def broken_answers(wait: Callable[[float], object]) -> dict[str, FaultKind]:
    """Return the kinds by name.

    Args:
        wait: pauses for so many seconds; ends early when the simulator stops.
    """

    def slow(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
        wait(float(parameters["seconds"]))
        return proceed()

    return {
        # Waits before it answers.
        "slow": _whole(slow, seconds=1.0),
        # Does what was asked and answers so many bytes of the body, then hangs up.
        "cut_body": _whole(_cut_body, after_bytes=10),
        # Does what was asked and hangs up without a word: nobody knows whether it was done.
        "cut_after_work": _whole(_cut_silently),
        # Hangs up without doing anything.
        "cut_before_work": _whole(_cut_before),
        "status": FaultKind(_status, parameters={"status": 503, "body": "", "retry_after": None}),
        "html": FaultKind(_html, parameters={"status": 502}),
        # The right answer, without its end but with its length.
        "broken_json": FaultKind(_broken_json),
        "not_an_object": FaultKind(_not_an_object),
        "empty_body": FaultKind(_empty_body),
        "redirect": _whole(_redirect, location="https://elsewhere.invalid/", status=302),
        # The right answer with one more field that holds this much.
        "huge_body": _whole(_huge_body, mebibytes=64),
        # A few kilobytes that decompress to this much.
        "gzip_bomb": _whole(_gzip_bomb, mebibytes=256),
    }


def _whole(around: Around, **parameters: Any) -> FaultKind:
    return FaultKind(around, parameters=parameters, whole=True)


def _cut_body(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    response = proceed()
    call.request.environ[CUT_AFTER] = int(parameters["after_bytes"])
    return response


def _cut_silently(_parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    response = proceed()
    call.request.environ[CUT_AFTER] = -1
    return response


def _cut_before(_parameters: Parameters, call: Call, _proceed: Proceed) -> Response:
    call.request.environ[CUT_AFTER] = -1
    return Response(status=500)


def _status(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
    response = Response(str(parameters["body"]), int(parameters["status"]))
    if parameters["retry_after"] is not None:
        response.headers["Retry-After"] = str(parameters["retry_after"])
    return response


def _html(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
    return Response(_HTML, int(parameters["status"]), content_type="text/html; charset=UTF-8")


def _broken_json(_parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    response.set_data(response.get_data()[: max(1, len(response.get_data()) * 2 // 3)])
    return response


def _not_an_object(_parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    response.set_data("[]")
    return response


def _empty_body(_parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    response.set_data(b"")
    return response


def _redirect(parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
    return Response(
        status=int(parameters["status"]), headers={"Location": str(parameters["location"])}
    )


def _huge_body(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    padding = "x" * (int(parameters["mebibytes"]) * _MEBIBYTE)
    body = response.get_json(silent=True) if response.is_json else None
    response.set_data(
        json.dumps({**body, "padding": padding} if isinstance(body, dict) else padding)
    )
    return response


def _gzip_bomb(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    response = proceed()
    response.set_data(_blanks(int(parameters["mebibytes"])))
    response.headers["Content-Encoding"] = "gzip"
    return response


@cache
def _blanks(mebibytes: int) -> bytes:
    """A small body of so many; made once, since it takes longer to make than to refuse."""
    return gzip.compress(b" " * (mebibytes * _MEBIBYTE) + b"{}", compresslevel=9)
