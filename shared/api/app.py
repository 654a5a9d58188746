"""Which failure becomes which status code, and what every answer carries.

Decided here and nowhere else.

An error leaves as `application/problem+json` with a code and words of ours; its cause goes to the
log. What is no error of ours is a bug: 500 `internal`, and nothing of it in the answer.
"""

import base64
import binascii
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import orjson
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.api.field_errors import MOST_SHOWN, field_errors
from shared.api.limited_routes import LIMITED
from shared.api.schemas.problems import FieldProblem, Problem
from shared.api.schemas.verdicts import VerdictShown
from shared.api.tenancy import viewer_of
from shared.config import settings
from shared.domain.errors import (
    Acts,
    AttemptFailedError,
    ConfigurationError,
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    LimitReachedError,
    MailroomError,
    OutcomeUnknownError,
    PreviewFailedError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
    StoreRefusedError,
    UnreadableMessageError,
)
from shared.domain.explanation_words import Explanation
from shared.domain.explanations import explain, explain_in_attempt, explain_in_preview
from shared.domain.rate_limits import Act
from shared.domain.visibility import Viewer
from shared.observability import Metric, count, log_trouble

PROBLEM = "application/problem+json"
RETRY_AFTER_SECONDS = 5
"""What a caller is told to wait where the cause names no time of its own."""

STATUS_BY_CLASS: Mapping[type[MailroomError], HTTPStatus] = {
    ReconnectRequiredError: HTTPStatus.CONFLICT,
    StoreRefusedError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ConfigurationError: HTTPStatus.BAD_GATEWAY,
    RetryLaterError: HTTPStatus.SERVICE_UNAVAILABLE,
    CursorExpiredError: HTTPStatus.SERVICE_UNAVAILABLE,
    UnreadableMessageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ConflictError: HTTPStatus.CONFLICT,
    SendRefusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    OutcomeUnknownError: HTTPStatus.CONFLICT,
    # Not 503: the same request will never succeed.
    AttemptFailedError: HTTPStatus.CONFLICT,
    # Nor here: a mail server that is away is no trouble of ours, and no alarm should ring.
    PreviewFailedError: HTTPStatus.CONFLICT,
}
STATUS_BY_CODE: Mapping[ErrorCode, HTTPStatus] = {
    ErrorCode.INVALID_REQUEST: HTTPStatus.BAD_REQUEST,
    ErrorCode.INVALID_PAGE_TOKEN: HTTPStatus.BAD_REQUEST,
    ErrorCode.CONNECTION_TEST_FAILED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.HOST_NOT_ALLOWED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.PORT_NOT_ALLOWED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.WRONG_MAILBOX: HTTPStatus.CONFLICT,
    ErrorCode.ADDRESS_KEPT_OUT: HTTPStatus.CONFLICT,
    ErrorCode.CONSENT_DECLINED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.ATTEMPT_EXPIRED: HTTPStatus.GONE,
    ErrorCode.ATTEMPT_NOT_YOURS: HTTPStatus.FORBIDDEN,
    ErrorCode.ACCOUNT_NOT_SUPPORTED: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.RETURN_URL_NOT_ALLOWED: HTTPStatus.BAD_REQUEST,
    ErrorCode.ADMIN_REQUIRED: HTTPStatus.FORBIDDEN,
    ErrorCode.OWNER_REQUIRED: HTTPStatus.FORBIDDEN,
    ErrorCode.OPENINGS_OFF: HTTPStatus.FORBIDDEN,
    ErrorCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    ErrorCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.MAILBOX_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.MESSAGE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.THREAD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONTACT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.CONTACT_MERGED: HTTPStatus.GONE,
    ErrorCode.BACKFILL_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.RUN_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.ERASURE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.ATTACHMENT_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.DEAD_LETTER_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.RAW_MESSAGE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.OPENING_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.SEND_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.UPLOAD_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.FOLDER_NOT_FOUND: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.NO_TRASH_FOLDER: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorCode.ALIAS_NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorCode.SENDER_NOT_VERIFIED: HTTPStatus.FORBIDDEN,
    ErrorCode.NO_MAILBOX_TO_SEND_FROM: HTTPStatus.CONFLICT,
    ErrorCode.SEND_LIMIT_REACHED: HTTPStatus.TOO_MANY_REQUESTS,
    # Not 429: no waiting frees a place.
    ErrorCode.MAILBOX_LIMIT_REACHED: HTTPStatus.CONFLICT,
    ErrorCode.IMPORT_LIMIT_REACHED: HTTPStatus.TOO_MANY_REQUESTS,
    ErrorCode.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
}
"""For `RequestError`, whose class alone does not say."""

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def make_app(
    *, any_query: Collection[str] = (), limit: Callable[[Viewer, Act], None] | None = None
) -> APIGatewayHttpResolver:
    """Return a resolver that validates, and answers every error as a problem.

    `any_query`: the routes whose query is a stranger's to choose. `limit`: what counts a request to
    one of `LIMITED` that can be read; a function with such a route has to have it.
    """
    app = APIGatewayHttpResolver(
        enable_validation=True, serializer=_to_json, json_body_deserializer=orjson.loads
    )

    def unknown_route(_: NotFoundError) -> Response[str]:
        return _problem(app, RequestError(ErrorCode.NOT_FOUND))

    def invalid(error: RequestValidationError) -> Response[str]:
        fields = field_errors(error.errors())
        return _problem(app, RequestError(ErrorCode.INVALID_REQUEST, fields=fields))

    def refuse_unknown_query(
        app: APIGatewayHttpResolver, next_middleware: NextMiddleware
    ) -> Response[Any]:
        if app.context["_route"].path in any_query:
            return next_middleware(app)
        return _refuse_unknown_query(app, next_middleware)

    def count_limited(
        app: APIGatewayHttpResolver, next_middleware: NextMiddleware
    ) -> Response[Any]:
        event = app.current_event
        act = LIMITED.get((event.http_method, app.context["_route"].path))
        if act is not None:
            if limit is None:
                raise TypeError("a limited route, and nothing that counts")
            limit(viewer(app), act)
        return next_middleware(app)

    def not_json(_: RequestUnsupportedContentType) -> Response[str]:
        fields = [("content-type", "This must be application/json.")]
        error = RequestError(ErrorCode.INVALID_REQUEST, fields=fields)
        return _problem(app, error, status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)

    app.use([count_limited, refuse_unknown_query])
    app.not_found(unknown_route)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(RequestUnsupportedContentType)(not_json)
    app.exception_handler(MailroomError)(partial(_problem, app))
    app.exception_handler(Exception)(partial(_bug, app))
    return app


def respond(
    app: APIGatewayHttpResolver, event: Mapping[str, Any], context: LambdaContext
) -> dict[str, Any]:
    """Answer one HTTP API event; adds the headers that every answer carries."""
    answer = app.resolve(_readable(event), context)
    answer["statusCode"] = int(answer["statusCode"])
    answer["headers"] = {**ALWAYS, **answer.get("headers", {})}
    return answer


def viewer(app: APIGatewayHttpResolver) -> Viewer:
    """Return who makes the present request."""
    configured = settings()
    return viewer_of(
        app.current_event.raw_event,
        tenant_claim=configured.tenant_claim,
        roles_claim=configured.roles_claim,
    )


def cookies_named(app: APIGatewayHttpResolver, name: str) -> list[str]:
    """Return the values of a cookie as the present request brings it.

    API Gateway takes cookies out of the headers into a list (payload 2.0).
    """
    event = app.current_event.raw_event
    given = event.get("cookies") or (event.get("headers") or {}).get("cookie", "").split(";")
    pairs = (str(one).strip().partition("=") for one in given)
    return [value for found, _, value in pairs if found == name]


def request_id(app: APIGatewayHttpResolver) -> str:
    """Return the id of the present request, which API Gateway's access log has too."""
    context = app.current_event.raw_event.get("requestContext") or {}
    return str(context.get("requestId") or app.lambda_context.aws_request_id)


def status_of(error: MailroomError) -> HTTPStatus:
    """Return the status code of an error."""
    if isinstance(error, RequestError):
        return STATUS_BY_CODE.get(error.code, HTTPStatus.BAD_REQUEST)
    if isinstance(error, ConfigurationError) and explain(error.code).acts is Acts.TENANT_ADMIN:
        # Nothing is wrong on our side, and no alarm of ours should ring.
        return HTTPStatus.CONFLICT
    return next(
        (status for kind, status in STATUS_BY_CLASS.items() if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _refuse_unknown_query(
    app: APIGatewayHttpResolver, next_middleware: NextMiddleware
) -> Response[Any]:
    """Refuse a query name the route has none of: a misspelled filter would answer everything."""
    known = {param.alias for param in app.context["_route"].dependant.query_params}
    unknown = sorted(app.current_event.query_string_parameters.keys() - known)
    if unknown:
        fields = [(name[:MOST_SHOWN], "This parameter is not known.") for name in unknown]
        return _problem(app, RequestError(ErrorCode.INVALID_REQUEST, fields=fields[:MOST_SHOWN]))
    return next_middleware(app)


def _words_of(error: MailroomError) -> Explanation:
    match error:
        case AttemptFailedError():
            return explain_in_attempt(error.code)
        case PreviewFailedError():
            return explain_in_preview(error.code)
        case _:
            return explain(error.code)


def _problem(
    app: APIGatewayHttpResolver, error: MailroomError, *, status: HTTPStatus | None = None
) -> Response[str]:
    status = status or status_of(error)
    words = _words_of(error)
    problem = Problem(
        status=status,
        code=error.code,
        detail=(isinstance(error, ConflictError) and error.words) or words.message,
        acts=words.acts,
        fix=words.fix,
        request_id=request_id(app),
        errors=_fields(error),
        admin_consent_url=getattr(error, "admin_consent_url", None),
        merged_into=getattr(error, "merged_into", None),
        limit=getattr(error, "limit", None),
        **_verdicts(error),
    )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_trouble("request_failed", error, request_id=problem.request_id)
        count({Metric.REQUEST_FAILED: 1}, code=error.code)
    return Response(
        status_code=status,
        content_type=PROBLEM,
        body=problem.model_dump_json(exclude_none=True),
        headers=_headers(error),
    )


def _bug(app: APIGatewayHttpResolver, error: Exception) -> Response[str]:
    log_trouble("request_failed", error, request_id=request_id(app))
    count({Metric.REQUEST_FAILED: 1}, code=ErrorCode.INTERNAL)
    words = explain(ErrorCode.INTERNAL)
    problem = Problem(
        status=HTTPStatus.INTERNAL_SERVER_ERROR,
        code=ErrorCode.INTERNAL,
        detail=words.message,
        acts=words.acts,
        fix=words.fix,
        request_id=request_id(app),
    )
    return Response(
        status_code=HTTPStatus.INTERNAL_SERVER_ERROR,
        content_type=PROBLEM,
        body=problem.model_dump_json(exclude_none=True),
    )


def _headers(error: MailroomError) -> dict[str, str | list[str]]:
    if isinstance(error, RetryLaterError | LimitReachedError):
        wish = error.retry_after_seconds
        return {"Retry-After": str(math.ceil(RETRY_AFTER_SECONDS if wish is None else wish))}
    if error.code is ErrorCode.UNAUTHENTICATED:
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _fields(error: MailroomError) -> list[FieldProblem] | None:
    if not isinstance(error, RequestError) or not error.fields:
        return None
    return [FieldProblem(field=field, message=message) for field, message in error.fields]


def _verdicts(error: MailroomError) -> dict[str, VerdictShown]:
    if error.code is not ErrorCode.CONNECTION_TEST_FAILED:
        return {}
    # Only a function that connects has this module loaded already.
    from shared.operations.connect_mailbox import ConnectionTestFailedError  # noqa: PLC0415

    if not isinstance(error, ConnectionTestFailedError):
        return {}
    return {"imap": VerdictShown.of(error.test.imap), "smtp": VerdictShown.of(error.test.smtp)}


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode("utf-8")


def _readable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event with a body that is text; one that is not becomes text that is no JSON."""
    readable = dict(event)
    if readable.get("isBase64Encoded"):
        try:
            body = base64.b64decode(readable.get("body") or "", validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            body = "\0"
        readable.update(body=body, isBase64Encoded=False)
    return readable
