"""HTTP: what disconnecting a mailbox touches, disconnecting it, and beginning to erase.

Reads the secret it is about to delete, because what withdraws a grant is in it; writes none.
"""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_push, wiring_of_sign_ins
from shared.api.app import make_app, respond, viewer
from shared.api.schemas.connecting import Disconnection
from shared.api.schemas.erasures import ErasureShown, RequestErasure
from shared.api.schemas.fields import ErasureIdText, MailboxIdText, known_mailbox_id
from shared.domain.ids import ErasureId, MailboxId
from shared.domain.visibility import Viewer
from shared.observability import Metric, count, log_erasure, log_trouble
from shared.operations.disconnect_mailbox import (
    Disconnected,
    disconnect_mailbox,
    preview_disconnection,
)
from shared.operations.request_erasure import (
    ErasurePorts,
    erase_mailbox,
    erase_person,
    let_in_again,
)

app = make_app()


@app.get(
    "/v1/mailboxes/<mailbox_id>/disconnection",
    summary="What disconnecting would touch",
    tags=["Connect"],
)
def preview_disconnecting(mailbox_id: Annotated[MailboxIdText, Path()]) -> Disconnection:
    """Say what disconnecting would touch; changes nothing."""
    found = preview_disconnection(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        sends=wiring.sends(),
        clock=wiring.clock(),
    )
    return Disconnection.of(found)


@app.delete(
    "/v1/mailboxes/<mailbox_id>",
    summary="Disconnect it; its history stays",
    tags=["Connect"],
    status_code=HTTPStatus.NO_CONTENT,
)
def disconnect_known_mailbox(mailbox_id: Annotated[MailboxIdText, Path()]) -> Response[None]:
    """End sync, withdraw and delete the grant, keep the history. Repeating it is no error."""
    who = viewer(app)
    ended = disconnect_mailbox(
        who,
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        sends=wiring.sends(),
        outgoing=wiring.outgoing(),
        grants=wiring_of_sign_ins.grants(),
        holders=wiring_of_sign_ins.grant_holders(),
        push=wiring_of_push.push_store(),
        provider_of=wiring.provider_of,
        clock=wiring.clock(),
    )
    _tell(who, mailbox_id, ended)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@app.post(
    "/v1/erasures",
    summary="Erase a mailbox's mail, or a person's",
    tags=["Erase"],
    status_code=HTTPStatus.ACCEPTED,
)
def request_erasure(body: RequestErasure) -> ErasureShown:
    """Begin to delete for good; the receipt says when it is done.

    Repeating it for a mailbox answers with the same erasure.
    """
    who, ports = viewer(app), _erasure_ports()
    if body.addresses is not None and body.keeps_out is not None:
        erasure = erase_person(who, body.addresses, body.confirm, body.keeps_out, ports=ports)
    else:
        mailbox_id = MailboxId(known_mailbox_id(body.mailbox_id or ""))
        erasure, ended = erase_mailbox(who, mailbox_id, body.confirm, ports=ports)
        if ended is not None:
            _tell(who, mailbox_id, ended)
    log_erasure("erasure_requested", erasure)
    count({Metric.ERASURE_REQUESTED: 1}, kind=erasure.kind)
    return ErasureShown.of(erasure)


@app.delete(
    "/v1/erasures/<erasure_id>/keeps_out",
    summary="Let a person's mail in again",
    tags=["Erase"],
)
def let_person_in_again(erasure_id: Annotated[ErasureIdText, Path()]) -> ErasureShown:
    """Keep the erased person's mail out no longer; a later import may bring it back.

    An address that another erasure keeps out too stays out until that one lets it in.
    """
    after = let_in_again(viewer(app), ErasureId(erasure_id), erasures=wiring.erasures())
    log_erasure("let_in_again", after)
    return ErasureShown.of(after)


def _tell(who: Viewer, mailbox_id: str, ended: Disconnected) -> None:
    count({Metric.MAILBOX_DISCONNECTED: 1}, provider=ended.provider)
    ids = {"tenant_id": who.tenant_id, "mailbox_id": mailbox_id}
    if ended.watch_error is not None:
        log_trouble("watch_not_ended", ended.watch_error, provider=ended.provider, **ids)
    if ended.error is not None:
        log_trouble("grant_not_revoked", ended.error, provider=ended.provider, **ids)
        count({Metric.GRANT_NOT_REVOKED: 1}, provider=ended.provider)


def _erasure_ports() -> ErasurePorts:
    return ErasurePorts(
        erasures=wiring.erasures(),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        sends=wiring.sends(),
        outgoing=wiring.outgoing(),
        grants=wiring_of_sign_ins.grants(),
        holders=wiring_of_sign_ins.grant_holders(),
        push=wiring_of_push.push_store(),
        provider_of=wiring.provider_of,
        queues=wiring.queues(),
        clock=wiring.clock(),
    )


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)
