"""HTTP: what an import would bring, before it begins.

Reads the mailbox's login, to ask its provider, and writes nothing but a token it renewed.
"""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_limits, wiring_of_sign_ins
from shared.api.app import make_app, respond, viewer
from shared.api.schemas.backfills import BackfillPreview
from shared.api.schemas.fields import MailboxIdText
from shared.domain.ids import MailboxId
from shared.operations.preview_backfill import preview_backfill

app = make_app(limit=wiring_of_limits.require_room)


@app.get(
    "/v1/mailboxes/<mailbox_id>/backfill-preview",
    summary="What an import would bring",
    tags=["Backfill"],
)
def preview_import(mailbox_id: Annotated[MailboxIdText, Path()]) -> BackfillPreview:
    """Ask the provider how many messages an import of each length would bring.

    Say how long it would take, and what it would cost. It takes seconds, and imports nothing.
    """
    windows = preview_backfill(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        contacts=wiring.contacts(),
        policies=wiring.policies(),
        grants=wiring_of_sign_ins.grants(),
        provider_of=wiring.provider_of,
        parser=wiring.parser(),
        clock=wiring.clock(),
        gmail_units_per_minute=wiring_of_limits.gmail_units_per_minute(),
    )
    return BackfillPreview.of(windows)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)
