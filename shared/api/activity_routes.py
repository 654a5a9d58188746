"""Which route tells of all mailboxes at once; the function that reads mail adds it to its own."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Query

from shared.api.app import viewer
from shared.api.paging import ListOf
from shared.api.schemas.activity import ActivityShown
from shared.domain.ids import MailboxId
from shared.operations.read_activity import read_activity
from shared.operations.read_dead_letters import LetterPorts
from shared.ports.activity import ActivityStore

Hours = Annotated[int, Query(ge=1, le=48)]
Limit = Annotated[int, Query(ge=1, le=50)]
Next = Annotated[str | None, Query(alias="next")]


def add_activity_route(
    app: APIGatewayHttpResolver,
    *,
    activity: Callable[[], ActivityStore],
    ports: Callable[[], LetterPorts],
) -> None:
    """Add it to `app`; what it needs is asked for with the first request."""

    @app.get("/v1/activity", summary="What came in and what failed, by mailbox", tags=["Sync"])
    def list_activity(hours: Hours = 24, limit: Limit = 20, next_: Next = None) -> ActivityShown:
        """Count stored mail by the hour, failed runs and dead letters; for administrators.

        All of the tenant's mailboxes, in the order of their list.
        """
        who = viewer(app)
        pages = ListOf(who.tenant_id, "activity", {"hours": hours})
        after = pages.text_position(next_)
        found = read_activity(
            who,
            hours=hours,
            after=MailboxId(after) if after else None,
            limit=limit,
            activity=activity(),
            ports=ports(),
        )
        return ActivityShown.of(found, pages.token(found.next))
