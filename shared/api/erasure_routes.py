"""Which routes read erasures and receipts; the function that reads mail adds them to its own."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from shared.api.app import viewer
from shared.api.paging import ListOf
from shared.api.schemas.erasures import ErasureList, ErasureShown
from shared.api.schemas.fields import ErasureIdText
from shared.domain.ids import ErasureId
from shared.operations import request_erasure as erasing
from shared.ports.erasures import ErasureStore

_TAGS = ["Erase"]


def add_erasure_routes(
    app: APIGatewayHttpResolver, *, erasures: Callable[[], ErasureStore]
) -> None:
    """Add them to `app`; the store is asked for with the first request."""

    @app.get("/v1/erasures", summary="Erasures, newest first", tags=_TAGS)
    def list_erasures(
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        next_: Annotated[str | None, Query(alias="next")] = None,
    ) -> ErasureList:
        """List the tenant's erasures; an administrator's alone."""
        who = viewer(app)
        pages = ListOf(who.tenant_id, "erasures")
        at = pages.text_position(next_)
        found = erasing.list_erasures(
            who,
            before=ErasureId(at) if at else None,
            limit=limit + 1,
            erasures=erasures(),
        )
        more = pages.token(found[limit - 1].id) if len(found) > limit else None
        return ErasureList(items=[ErasureShown.of(one) for one in found[:limit]], next=more)

    @app.get("/v1/erasures/<erasure_id>", summary="An erasure, or its receipt", tags=_TAGS)
    def get_erasure(erasure_id: Annotated[ErasureIdText, Path()]) -> ErasureShown:
        """Say how far one is, and what it deleted; for who asked for it, and administrators."""
        found = erasing.get_erasure(viewer(app), ErasureId(erasure_id), erasures=erasures())
        return ErasureShown.of(found)
