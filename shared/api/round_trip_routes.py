"""Which route tells how far a test message came; the function that reads mail adds it."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path

from shared.api.app import viewer
from shared.api.schemas.fields import MailboxIdText, SendIdText
from shared.api.schemas.round_trips import TestMessageShown
from shared.domain.ids import MailboxId, SendId
from shared.operations.round_trips import read_test
from shared.ports.clock import Clock
from shared.ports.sending import SendStore
from shared.ports.stores import MailboxStore


def add_round_trip_route(
    app: APIGatewayHttpResolver,
    *,
    mailboxes: Callable[[], MailboxStore],
    sends: Callable[[], SendStore],
    clock: Callable[[], Clock],
) -> None:
    """Add it to `app`; the stores are asked for with the first request."""

    @app.get(
        "/v1/mailboxes/<mailbox_id>/test-messages/<send_id>",
        summary="How far a test message came",
        tags=["Sending"],
    )
    def read_test_message(
        mailbox_id: Annotated[MailboxIdText, Path()], send_id: Annotated[SendIdText, Path()]
    ) -> TestMessageShown:
        """Read which steps it took, how long each was, and where it stands or stopped.

        It comes back within a minute as a rule, and is looked for from then on with every sync.
        """
        view = read_test(
            viewer(app),
            MailboxId(mailbox_id),
            SendId(send_id),
            mailboxes=mailboxes(),
            sends=sends(),
            clock=clock(),
        )
        return TestMessageShown.of(view)
