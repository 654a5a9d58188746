"""Which routes read dead letters; the function that reads mail adds them to its own."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from shared.api.app import viewer
from shared.api.paging import ListOf
from shared.api.schemas.dead_letters import (
    DeadLetterList,
    DeadLetterShown,
    RawMessageLinkShown,
)
from shared.api.schemas.fields import LetterIdText, MailboxIdText
from shared.domain.ids import LetterId, MailboxId
from shared.operations import read_dead_letters as letters
from shared.operations.read_dead_letters import LetterPorts

_LETTERS = "/v1/mailboxes/<mailbox_id>/dead-letters"
_TAGS = ["Dead letters"]
MailboxPath = Annotated[MailboxIdText, Path()]
LetterPath = Annotated[LetterIdText, Path()]
Limit = Annotated[int, Query(ge=1, le=100)]
Next = Annotated[str | None, Query(alias="next")]


def add_dead_letter_routes(
    app: APIGatewayHttpResolver, *, ports: Callable[[], LetterPorts]
) -> None:
    """Add them to `app`; what they need is asked for with the first request."""

    @app.get(_LETTERS, summary="What was given up, newest first", tags=_TAGS)
    def list_dead_letters(
        mailbox_id: MailboxPath, limit: Limit = 50, next_: Next = None
    ) -> DeadLetterList:
        """List messages that could not be read and work that could not be done, and why.

        One whose replay succeeded is no longer listed.
        """
        who = viewer(app)
        pages = ListOf(who.tenant_id, f"dead-letters/{mailbox_id}")
        views, going_on = letters.list_dead_letters(
            who,
            MailboxId(mailbox_id),
            before=letters.place_in_text(pages.text_position(next_)),
            limit=limit,
            ports=ports(),
        )
        return DeadLetterList(
            items=[DeadLetterShown.of(view) for view in views],
            next=pages.token(letters.place_to_text(going_on)),
        )

    @app.get(f"{_LETTERS}/<letter_id>", summary="One dead letter", tags=_TAGS)
    def get_dead_letter(mailbox_id: MailboxPath, letter_id: LetterPath) -> DeadLetterShown:
        """Read why something was given up, and what to do about it."""
        view = letters.get_dead_letter(
            viewer(app), MailboxId(mailbox_id), LetterId(letter_id), ports=ports()
        )
        return DeadLetterShown.of(view)

    @app.get(f"{_LETTERS}/<letter_id>/raw", summary="A link to its raw message", tags=_TAGS)
    def get_raw_message(mailbox_id: MailboxPath, letter_id: LetterPath) -> RawMessageLinkShown:
        """Return a link that downloads the raw message and works for five minutes.

        Only for those who may read all the mailbox's mail.
        """
        link = letters.link_raw_message(
            viewer(app), MailboxId(mailbox_id), LetterId(letter_id), ports=ports()
        )
        return RawMessageLinkShown.of(link)
