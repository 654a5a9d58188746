"""Which routes add an alias to a mailbox and take it away; the function of settings has them."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from shared.api.app import viewer
from shared.api.schemas.aliases import AddAlias, AliasShown
from shared.api.schemas.fields import MailboxIdText
from shared.domain.ids import MailboxId
from shared.operations import aliases
from shared.ports.stores import MailboxStore

_ALIASES = "/v1/mailboxes/<mailbox_id>/aliases"
_TAGS = ["Mailboxes"]
MailboxPath = Annotated[MailboxIdText, Path()]


def add_alias_routes(app: APIGatewayHttpResolver, *, mailboxes: Callable[[], MailboxStore]) -> None:
    """Add them to `app`; the store is asked for with each request."""

    @app.post(_ALIASES, summary="Add an alias", tags=_TAGS, status_code=HTTPStatus.CREATED)
    def add_alias(mailbox_id: MailboxPath, body: AddAlias) -> AliasShown:
        """Add a further address to send from, or rename the one there is.

        It is verified by a test message that is sent from it and comes back to this mailbox:
        `POST …/test-messages {"from": "<the alias>"}`. Until then mail from it is refused.
        """
        added = aliases.add_alias(
            viewer(app),
            MailboxId(mailbox_id),
            body.address,
            body.display_name,
            mailboxes=mailboxes(),
        )
        return AliasShown.of(added)

    @app.delete(
        f"{_ALIASES}/<address>",
        summary="Take an alias away",
        tags=_TAGS,
        status_code=HTTPStatus.NO_CONTENT,
    )
    def remove_alias(mailbox_id: MailboxPath, address: Annotated[str, Path()]) -> Response[None]:
        """Send nothing more from it; what was asked for before is still sent."""
        aliases.remove_alias(
            viewer(app), MailboxId(mailbox_id), unquote(address), mailboxes=mailboxes()
        )
        return Response(status_code=HTTPStatus.NO_CONTENT)
