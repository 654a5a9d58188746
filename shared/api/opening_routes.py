"""Which routes let an administrator in to a mailbox, and tell who was.

The function that writes settings adds the ones, the function that reads adds the other.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from shared.api.app import viewer
from shared.api.paging import ListOf
from shared.api.schemas.fields import MailboxIdText, OpeningIdText
from shared.api.schemas.openings import OpeningList, OpeningShown, OpenMailbox
from shared.domain.ids import MailboxId, OpeningId
from shared.observability import log_event
from shared.operations import open_mailbox as opening
from shared.operations.open_mailbox import OpeningPorts

_OPENINGS = "/v1/mailboxes/<mailbox_id>/openings"
_TAGS = ["Mailboxes"]
MailboxPath = Annotated[MailboxIdText, Path()]


def add_opening_routes(
    app: APIGatewayHttpResolver,
    *,
    ports: Callable[[], OpeningPorts],
    is_allowed: Callable[[], bool],
) -> None:
    """Add those that let in and out; what they need is asked for with the first request."""

    @app.post(
        _OPENINGS,
        summary="Open it as an administrator",
        tags=_TAGS,
        status_code=HTTPStatus.CREATED,
    )
    def open_mailbox(mailbox_id: MailboxPath, body: OpenMailbox) -> OpeningShown:
        """See its mail as its owner does, for an hour at most, where the operator allows that.

        It is recorded with the reason before anything is shown, and its owner sees it.
        """
        who = viewer(app)
        opened = opening.open_mailbox(
            who,
            MailboxId(mailbox_id),
            body.reason,
            body.lasts,
            is_allowed=is_allowed(),
            ports=ports(),
        )
        log_event(
            "mailbox_opened",
            tenant_id=who.tenant_id,
            mailbox_id=mailbox_id,
            opening_id=opened.id,
            user_id=who.user_id,
            ends_at=opened.ends_at,
        )
        return OpeningShown.of(opened)

    @app.delete(
        f"{_OPENINGS}/<opening_id>",
        summary="End an opening",
        tags=_TAGS,
        status_code=HTTPStatus.NO_CONTENT,
    )
    def end_opening(
        mailbox_id: MailboxPath, opening_id: Annotated[OpeningIdText, Path()]
    ) -> Response[None]:
        """End it before its time, as the mailbox's owner or as an administrator."""
        who = viewer(app)
        opening.end_opening(who, MailboxId(mailbox_id), OpeningId(opening_id), ports=ports())
        log_event(
            "opening_ended",
            tenant_id=who.tenant_id,
            mailbox_id=mailbox_id,
            opening_id=opening_id,
            user_id=who.user_id,
        )
        return Response(status_code=HTTPStatus.NO_CONTENT)


def add_opening_list(app: APIGatewayHttpResolver, *, ports: Callable[[], OpeningPorts]) -> None:
    """Add the one that tells; what it needs is asked for with the first request."""

    @app.get(_OPENINGS, summary="Administrators let in, newest first", tags=_TAGS)
    def list_openings(
        mailbox_id: MailboxPath,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        next_: Annotated[str | None, Query(alias="next")] = None,
    ) -> OpeningList:
        """List every time an administrator was let in: for its owner and administrators."""
        who = viewer(app)
        pages = ListOf(who.tenant_id, f"openings/{mailbox_id}")
        position = pages.text_position(next_)
        found, going_on = opening.list_openings(
            who,
            MailboxId(mailbox_id),
            before=OpeningId(position) if position else None,
            limit=limit,
            ports=ports(),
        )
        return OpeningList(
            items=[OpeningShown.of(one) for one in found], next=pages.token(going_on)
        )
