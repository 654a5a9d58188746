"""Decides what Graph's answers and refusals look like, headers included."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.wrappers import Response

from infra.simulators.kit.call import AnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.simulators.kit.call import Call

JSON = (
    "application/json;odata.metadata=minimal;odata.streaming=true;"
    "IEEE754Compatible=false;charset=utf-8"
)
NOT_FOUND = (
    "The specified object was not found in the store.,"
    " The process failed to get the correct properties."
)
_CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    ', client_id="00000003-0000-0000-c000-000000000000"'
)


def answer(
    call: Call, body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a Graph answer: JSON, or nothing when there is no body."""
    response = Response(status=status, headers=_headers(call, headers))
    if body is not None:
        response.set_data(json.dumps(body, ensure_ascii=False))
        response.headers["Content-Type"] = JSON
        response.headers["OData-Version"] = "4.0"
    return response


def content(call: Call, data: bytes, content_type: str) -> Response:
    """Return bytes as they are."""
    return Response(data, 200, headers=_headers(call, None), content_type=content_type)


def refusal(
    call: Call,
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    inner: str = "",
) -> Response:
    """Return an error as Graph writes one."""
    request_id, client_id = _ids(call)
    now: dt.datetime = call.notes.get("now") or dt.datetime.now(dt.UTC)
    inner_error = {
        "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request_id,
        "client-request-id": client_id,
    }
    if inner:
        inner_error = {"code": inner, **inner_error}
    body = {"error": {"code": code, "message": message, "innerError": inner_error}}
    extra = {"WWW-Authenticate": _CHALLENGE} if status == 401 else {}  # noqa: PLR2004 - HTTP
    response = Response(
        json.dumps(body), status, headers=_headers(call, {**extra, **(headers or {})})
    )
    response.headers["Content-Type"] = "application/json"
    return response


def refuse(
    call: Call,
    status: int,
    code: str,
    message: str,
    *,
    headers: Mapping[str, str] | None = None,
    inner: str = "",
) -> NoReturn:
    """End the request with an error."""
    raise AnswerError(refusal(call, status, code, message, headers=headers, inner=inner))


def throttled(
    call: Call, limit: str, retry_after: int | None, code: str = "ApplicationThrottled"
) -> Response:
    """Return a 429; `retry_after` None leaves the header out."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return refusal(call, 429, code, f"Application is over its {limit} limit.", headers=headers)


def _headers(call: Call, more: Mapping[str, str] | None) -> dict[str, str]:
    request_id, client_id = _ids(call)
    now: dt.datetime = call.notes.get("now") or dt.datetime.now(dt.UTC)
    return {
        "Cache-Control": "private",
        "Date": format_datetime(now, usegmt=True),
        "request-id": request_id,
        "client-request-id": client_id,
        "x-ms-ags-diagnostic": '{"ServerInfo":{"DataCenter":"Simulator","Slice":"E","Ring":"5"}}',
        **(more or {}),
    }


def _ids(call: Call) -> tuple[str, str]:
    own: str = call.notes.setdefault("request-id", str(uuid.uuid4()))
    return own, call.request.headers.get("client-request-id") or own
