"""HTTP: what disconnecting a mailbox touches, and disconnecting it.

Reads the secret it is about to delete, because what withdraws a grant is in it; writes none.
"""

from http import HTTPStatus
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.api.app import make_app, respond, viewer
from shared.api.schemas.connecting import Disconnection
from shared.api.schemas.fields import MailboxIdText
from shared.domain.ids import MailboxId
from shared.observability import Metric, count, log_trouble
from shared.operations.disconnect_mailbox import disconnect_mailbox, preview_disconnection

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
        grants=wiring.grants(),
        holders=wiring.grant_holders(),
        clock=wiring.clock(),
    )
    count({Metric.MAILBOX_DISCONNECTED: 1}, provider=ended.provider)
    if ended.error is not None:
        ids = {"tenant_id": who.tenant_id, "mailbox_id": mailbox_id}
        log_trouble("grant_not_revoked", ended.error, provider=ended.provider, **ids)
        count({Metric.GRANT_NOT_REVOKED: 1}, provider=ended.provider)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)
