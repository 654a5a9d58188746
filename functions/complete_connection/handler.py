"""HTTP: where providers send people back to, and where a front end confirms that it was them.

May write secrets and read this product's own; never reads a mailbox's.
"""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_sign_ins
from shared.api.app import (
    RETRY_AFTER_SECONDS,
    cookies_named,
    make_app,
    request_id,
    respond,
    viewer,
)
from shared.api.schemas.mailboxes import MailboxShown
from shared.api.schemas.sign_ins import ATTEMPT_COOKIE, CompleteConnection, SignInProvider
from shared.api.sign_in_pages import HEADERS, HTML, approved_page, problem_page
from shared.domain.errors import ErrorCode, MailroomError, RequestError, RetryLaterError
from shared.domain.mailbox import Provider
from shared.observability import Metric, count, count_client_trouble, log_event, log_trouble
from shared.operations.complete_connection import SentBack, answer_callback, complete_attempt
from shared.operations.read_mailboxes import get_mailbox

app = make_app(any_query=["/v1/oauth/<provider>/callback"])


@app.get(
    "/v1/oauth/<provider>/callback",
    summary="Where a provider sends people back to",
    tags=["Connect"],
)
def return_from_provider(provider: Annotated[SignInProvider, Path()]) -> Response[str]:
    """Send the browser on to its `return_url`, with the outcome in the query.

    `mailroom_outcome` is `connected`, `confirm` (the fragment holds what to send to
    `/v1/mailboxes/authorize/complete`) or the code of a failure, which comes with a
    `mailroom_request_id` to quote. Without an attempt that is known there is no address to send
    anybody to, and a page says so.
    """
    answer = dict(app.current_event.query_string_parameters)
    cookies = cookies_named(app, ATTEMPT_COOKIE)
    try:
        back = answer_callback(
            Provider(provider),
            answer,
            cookies,
            request_id=request_id(app),
            ports=wiring_of_sign_ins.complete_ports(),
        )
    except RetryLaterError as error:
        log_trouble("callback_failed", error, provider=provider, request_id=request_id(app))
        headers = {**HEADERS, "Retry-After": str(RETRY_AFTER_SECONDS)}
        page = problem_page(error.code)
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, HTML, page, headers)
    if back is None:
        if "admin_consent" in answer and "error" not in answer:
            return Response(HTTPStatus.OK, HTML, approved_page(), HEADERS)
        return Response(
            HTTPStatus.BAD_REQUEST, HTML, problem_page(ErrorCode.ATTEMPT_EXPIRED), HEADERS
        )
    _note(back)
    return Response(HTTPStatus.FOUND, body="", headers={"Location": back.url})


@app.post(
    "/v1/mailboxes/authorize/complete",
    summary="Confirm a sign-in",
    tags=["Connect"],
    status_code=HTTPStatus.CREATED,
)
def confirm_connection(body: CompleteConnection) -> Response[MailboxShown]:
    """Connect what came back with `mailroom_outcome=confirm`, as the user who began it.

    201 with a new mailbox, 200 with one that was reconnected.
    """
    who = viewer(app)
    provider = Provider(body.provider)
    try:
        done = complete_attempt(
            who, provider, body.to_answer(), ports=wiring_of_sign_ins.complete_ports()
        )
    except MailroomError as error:
        facts = {"tenant_id": who.tenant_id, "request_id": request_id(app)}
        log_trouble("sign_in_failed", error, provider=provider, **facts)
        _count_failure(error.code, provider)
        raise
    if done.is_news:
        count({Metric.MAILBOX_CONNECTED: 1}, provider=provider)
    view = get_mailbox(
        who,
        done.mailbox_id,
        mailboxes=wiring.mailboxes(),
        audits=wiring.audits(),
        clock=wiring.clock(),
    )
    return Response(
        status_code=HTTPStatus.CREATED if done.is_new else HTTPStatus.OK,
        content_type="application/json",
        headers={"Location": f"/v1/mailboxes/{done.mailbox_id}"},
        body=MailboxShown.of(view),
    )


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)


def _note(back: SentBack) -> None:
    provider, outcome = back.attempt.provider, back.outcome
    facts: dict[str, object] = {
        "tenant_id": back.attempt.tenant_id,
        "mailbox_id": outcome.mailbox_id if outcome else back.attempt.mailbox_id,
        "provider": provider,
        "request_id": request_id(app),
    }
    if isinstance(back.error, RequestError):
        # A person's own doing: declined, too late, another account.
        log_event("sign_in_refused", **facts, code=back.error.code)
        _count_failure(back.error.code, provider)
    elif back.error is not None:
        log_trouble("sign_in_failed", back.error, **facts)
        _count_failure(outcome.code if outcome else None, provider)
    elif outcome is None or outcome.code is not None:
        log_event("sign_in_sent_back", **facts, code=outcome.code if outcome else "confirm")
    elif back.is_news:
        log_event("sign_in_ended", **facts)
        count({Metric.MAILBOX_CONNECTED: 1}, provider=provider)


def _count_failure(code: ErrorCode | None, provider: Provider) -> None:
    count({Metric.SIGN_IN_FAILED: 1}, provider=provider, code=str(code))
    count_client_trouble(code, provider=provider)
