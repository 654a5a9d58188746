"""Which routes tell of mails on their way out; the function that reads mail adds them."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from shared.api.app import viewer
from shared.api.paging import ListOf
from shared.api.schemas.fields import MailboxIdText, MessageIdText, SendIdText
from shared.api.schemas.sends import AnswerKind, AnswerShown, SendList, SendShown
from shared.domain.ids import MailboxId, MessageId, SendId
from shared.domain.sending import SendKind, SendStatus
from shared.operations.answer_message import answer_of
from shared.operations.read_sends import get_send, list_sends
from shared.ports.reading import MailReader
from shared.ports.sending import SendStore
from shared.ports.stores import MailboxStore, MessageStore

_SENDS = "/v1/mailboxes/<mailbox_id>/sends"
_TAGS = ["Sending"]
MailboxPath = Annotated[MailboxIdText, Path()]


def add_send_routes(
    app: APIGatewayHttpResolver,
    *,
    mailboxes: Callable[[], MailboxStore],
    sends: Callable[[], SendStore],
    messages: Callable[[], MessageStore],
    reader: Callable[[], MailReader],
) -> None:
    """Add them to `app`; the stores are asked for with the first request."""

    @app.get(_SENDS, summary="Its mails on their way out, newest first", tags=_TAGS)
    def list_mailbox_sends(
        mailbox_id: MailboxPath,
        status: Annotated[list[SendStatus] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        next_: Annotated[str | None, Query(alias="next")] = None,
    ) -> SendList:
        """List what was asked to be sent from it; what ended is forgotten after 90 days.

        With `status`, one or several, of these alone: a page may then be short, or empty, and go on
        where `next` says. Whom a mail goes to blindly is shown to its writer and the mailbox's
        owner.
        """
        who = viewer(app)
        statuses = frozenset(status or ())
        pages = ListOf(who.tenant_id, f"sends/{mailbox_id}", {"status": sorted(statuses)})
        position = pages.text_position(next_)
        found, going_on = list_sends(
            who,
            MailboxId(mailbox_id),
            statuses=statuses,
            before=SendId(position) if position else None,
            limit=limit,
            mailboxes=mailboxes(),
            sends=sends(),
            reader=reader(),
        )
        return SendList(items=[SendShown.of(one) for one in found], next=pages.token(going_on))

    @app.get(f"{_SENDS}/<send_id>", summary="One mail on its way out", tags=_TAGS)
    def read_send(mailbox_id: MailboxPath, send_id: Annotated[SendIdText, Path()]) -> SendShown:
        """Read where a mail is, and who got it."""
        view = get_send(
            viewer(app),
            MailboxId(mailbox_id),
            SendId(send_id),
            mailboxes=mailboxes(),
            sends=sends(),
            reader=reader(),
        )
        return SendShown.of(view)

    @app.get("/v1/messages/<message_id>/answer", summary="What an answer begins with", tags=_TAGS)
    def read_answer(
        message_id: Annotated[MessageIdText, Path()],
        kind: Annotated[AnswerKind, Query()] = AnswerKind.REPLY,
        mailbox_id: Annotated[MailboxIdText | None, Query()] = None,
    ) -> AnswerShown:
        """Read whom an answer would go to, from where, and what it would be called.

        Whom it goes to may depend on the mailbox it leaves from; without one it is chosen.
        """
        view = answer_of(
            viewer(app),
            MessageId(message_id),
            SendKind(kind),
            named=MailboxId(mailbox_id) if mailbox_id else None,
            mailboxes=mailboxes(),
            messages=messages(),
            reader=reader(),
        )
        return AnswerShown.of(view)
