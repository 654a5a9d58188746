"""What providers ask of us: two public routes, and what is answered to whom.

No resolver and no schema: what comes in is a provider's, not a caller's, and is read by the
provider's own adapter; and a cold start has to fit into the seconds a provider waits.

| asked | answered | because |
| --- | --- | --- |
| a word, known or not | 204 (Gmail), 202 (Outlook) | anything else is sent again, for days; |
| ... | | and Graph stops telling where too much is refused |
| `validationToken` | 200 with it, as text | Graph asks whether we are there, 10 s at most |
| not proved to be the provider's | 401 | nobody but the provider is owed another answer |
| not readable at all | 400 | as above |
| too large, another method or path | 413, 404 | as above |
| we cannot ask for a run now | 503 | the provider comes again |
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from shared.domain.errors import ErrorCode, RequestError, RetryLaterError
from shared.domain.mailbox import Provider

PROVIDERS: Mapping[str, Provider] = {
    "POST /v1/push/gmail": Provider.GMAIL,
    "POST /v1/push/outlook": Provider.OUTLOOK,
}
MOST_BYTES = 256 * 1024
"""Of a body: some hundred of Graph's notifications, and ten times the largest of Pub/Sub's."""
LONGEST_TOKEN = 2_048
_MOST_FIELDS = 8
_DONE = {Provider.GMAIL: HTTPStatus.NO_CONTENT, Provider.OUTLOOK: HTTPStatus.ACCEPTED}
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Hear = Callable[[Provider, Mapping[str, str], bytes], None]
"""Takes a request's headers, names in lower case, and body."""


def answer_push(event: Mapping[str, Any], hear: Hear) -> dict[str, Any]:
    """Answer one HTTP API event (payload 2.0).

    `hear` raises `RequestError` for what is refused, `RetryLaterError` for what is to come again.
    """
    provider = PROVIDERS.get(str(event.get("routeKey")))
    if provider is None:
        return _answer(HTTPStatus.NOT_FOUND)
    if query := _query(event):
        return _welcome(provider, query)
    body = _body(event)
    if len(body) > MOST_BYTES:
        return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    given = event.get("headers") or {}
    try:
        hear(provider, {str(name).lower(): str(value) for name, value in given.items()}, body)
    except RequestError as error:
        is_stranger = error.code is ErrorCode.UNAUTHENTICATED
        return _answer(HTTPStatus.UNAUTHORIZED if is_stranger else HTTPStatus.BAD_REQUEST)
    except RetryLaterError:
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE)
    return _answer(_DONE[provider])


def _welcome(provider: Provider, query: list[tuple[str, str]]) -> dict[str, Any]:
    """Say back to Graph what it asks, and nothing that came with anything else.

    As text that no browser takes for a page: whoever knows the URL chooses what it says.
    """
    (name, token), *more = query
    if provider is not Provider.OUTLOOK or name != "validationToken" or more:
        return _answer(HTTPStatus.BAD_REQUEST)
    if not 0 < len(token) <= LONGEST_TOKEN:
        return _answer(HTTPStatus.BAD_REQUEST)
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return _answer(HTTPStatus.OK, token, headers)


def _query(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    text = str(event.get("rawQueryString") or "")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return [("", "")]


def _body(event: Mapping[str, Any]) -> bytes:
    """Return the body; one that cannot be decoded is one that nobody can read."""
    text = str(event.get("body") or "").encode("utf-8", "surrogatepass")
    if not event.get("isBase64Encoded"):
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""


def _answer(
    status: HTTPStatus, body: str = "", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {"statusCode": int(status), "headers": {**_HEADERS, **(headers or {})}, "body": body}
