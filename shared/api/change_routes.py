"""Which routes mark, move and trash mail in one mailbox. They know no secret.

A worker makes the changes at the provider.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path

from shared.api.app import viewer
from shared.api.schemas.changes import (
    ChangedList,
    ChangedShown,
    ChangeMessage,
    ChangeMessages,
)
from shared.api.schemas.fields import MailboxIdText, MessageIdText
from shared.domain.ids import MailboxId
from shared.operations.request_changes import RequestPorts, request_changes

_MESSAGES = "/v1/mailboxes/<mailbox_id>/messages"
_TAGS = ["Mail"]
MailboxPath = Annotated[MailboxIdText, Path()]
MessagePath = Annotated[MessageIdText, Path()]


def add_change_routes(app: APIGatewayHttpResolver, *, ports: Callable[[], RequestPorts]) -> None:
    """Add them; the ports are asked for with each request."""

    @app.patch(
        f"{_MESSAGES}/<message_id>",
        summary="Mark, move or trash a message in one mailbox",
        tags=_TAGS,
        status_code=HTTPStatus.ACCEPTED,
    )
    def change_message(
        mailbox_id: MailboxPath, message_id: MessagePath, body: ChangeMessage
    ) -> ChangedShown:
        """Have a message be as asked, here at once and at its provider right after.

        In this mailbox alone, where several hold it. As the owner of the mailbox, or one a shared
        one is granted to who sees the message in full. What the provider has not acknowledged is
        named in `pending`, and wins over what it says until then; what it refuses for good is
        taken back, and told as the mailbox's outbound error.
        """
        asked = body.to_change(message_id)
        (changed,) = request_changes(viewer(app), MailboxId(mailbox_id), [asked], ports=ports())
        return ChangedShown.of(changed.require_found())

    @app.patch(
        _MESSAGES,
        summary="Mark, move or trash several messages in one mailbox",
        tags=_TAGS,
        status_code=HTTPStatus.ACCEPTED,
    )
    def change_messages(mailbox_id: MailboxPath, body: ChangeMessages) -> ChangedList:
        """Have up to 100 messages be as asked, all the same.

        Those not found stop no other; where none is, that is answered.
        """
        asked = body.to_changes()
        changed = request_changes(viewer(app), MailboxId(mailbox_id), asked, ports=ports())
        if not any(one.copies for one in changed):
            changed[0].require_found()
        return ChangedList(items=[ChangedShown.of(one) for one in changed])
