"""HTTP: attachments, mails to be sent, cancelling, test messages; marking and moving mail.

Writes the table, the bucket and the queue; knows no secret and speaks to no provider.
"""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_changes, wiring_of_limits, wiring_of_sending
from shared.api.app import make_app, respond, viewer
from shared.api.change_routes import add_change_routes
from shared.api.schemas.fields import MailboxIdText, SendIdText
from shared.api.schemas.round_trips import AskForTest, TestMessageShown
from shared.api.schemas.sends import AskForSend, IdempotencyKeyText, SendShown
from shared.api.schemas.uploads import AnnounceUpload, UploadPlaceShown
from shared.domain.ids import MailboxId, SendId
from shared.domain.rate_limits import Act
from shared.observability import log_event
from shared.operations.place_upload import place_upload
from shared.operations.read_sends import cancel_send, view_of_own
from shared.operations.request_send import key_of, request_send
from shared.operations.round_trips import request_test

app = make_app(limit=wiring_of_limits.require_room)
add_change_routes(app, ports=lambda: wiring_of_changes.request_ports())  # noqa: PLW0108 - with each
_TAGS = ["Sending"]


@app.post(
    "/v1/uploads",
    summary="Find a place for an attachment",
    tags=_TAGS,
    status_code=HTTPStatus.CREATED,
)
def find_upload_place(body: AnnounceUpload) -> UploadPlaceShown:
    """Announce a file and learn where to upload it to; that and nothing else is taken there."""
    who, upload = viewer(app), body.to_upload()
    wiring_of_limits.require_room(who, Act.UPLOADED_MEGABYTE, upload.megabytes)
    place = place_upload(who, upload, uploads=wiring_of_sending.uploads(), clock=wiring.clock())
    return UploadPlaceShown.of(place)


@app.post("/v1/sends", summary="Send a mail", tags=_TAGS, status_code=HTTPStatus.ACCEPTED)
def send_mail(
    body: AskForSend, key: Annotated[IdempotencyKeyText, Header(alias="idempotency-key")]
) -> SendShown:
    """Have a mail sent, a reply, or what is passed on: once, however often this is asked.

    It is checked and written when it is asked for: later changes of what it answers, of the
    signature or of an upload change nothing. Repeated with the same `Idempotency-Key` it answers
    with the send as it is by then; with another body that is refused (409 `key_reused`).
    """
    who = viewer(app)
    send = request_send(
        who,
        body.to_asked(),
        key_of(who, key, body.canonical()),
        ports=wiring_of_sending.send_ports(),
    )
    log_event(
        "send_asked_for",
        tenant_id=who.tenant_id,
        mailbox_id=send.mailbox_id,
        send_id=send.id,
        user_id=who.user_id,
        kind=send.kind,
        status=send.status,
        recipients=len(send.recipients),
        size=send.size,
        due_at=send.due_at,
    )
    return SendShown.of(view_of_own(send))


@app.post("/v1/mailboxes/<mailbox_id>/sends/<send_id>/cancel", summary="Cancel it", tags=_TAGS)
def cancel_mail(
    mailbox_id: Annotated[MailboxIdText, Path()], send_id: Annotated[SendIdText, Path()]
) -> SendShown:
    """Cancel a mail that nobody has got anything of, as its writer or the mailbox's owner."""
    who = viewer(app)
    view = cancel_send(
        who,
        MailboxId(mailbox_id),
        SendId(send_id),
        mailboxes=wiring.mailboxes(),
        sends=wiring.sends(),
        outgoing=wiring.outgoing(),
        clock=wiring.clock(),
    )
    log_event(
        "send_cancelled",
        tenant_id=who.tenant_id,
        mailbox_id=mailbox_id,
        send_id=send_id,
        user_id=who.user_id,
    )
    return SendShown.of(view)


@app.post(
    "/v1/mailboxes/<mailbox_id>/test-messages",
    summary="Send a test message to itself",
    tags=_TAGS,
    status_code=HTTPStatus.ACCEPTED,
)
def send_test_message(
    mailbox_id: Annotated[MailboxIdText, Path()],
    body: AskForTest,
    key: Annotated[IdempotencyKeyText, Header(alias="idempotency-key")],
) -> TestMessageShown:
    """Have a mail sent from the mailbox to itself, and see it come back through sync.

    It goes the way of every mail and counts as one; what comes back is not kept and makes no
    contact. Repeated with the same `Idempotency-Key` it answers how far that one came.
    """
    who = viewer(app)
    view = request_test(
        who,
        MailboxId(mailbox_id),
        body.sender,
        key_of(who, key, f"test {mailbox_id} {body.sender or ''}".encode()),
        ports=wiring_of_sending.send_ports(),
    )
    log_event(
        "test_message_asked_for",
        tenant_id=who.tenant_id,
        mailbox_id=mailbox_id,
        send_id=view.send.id,
        user_id=who.user_id,
    )
    return TestMessageShown.of(view)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)
