"""Which route says who asks; the function that reads mail adds it to its own."""

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from shared.api.app import viewer
from shared.api.schemas.callers import CallerShown


def add_caller_route(app: APIGatewayHttpResolver) -> None:
    """Add it to `app`."""

    @app.get("/v1/me", summary="Who the caller is", tags=["Service"])
    def read_caller() -> CallerShown:
        """Say what is made of the token: whose tenant, which user, and whether an administrator.

        Nothing is read for it but the token.
        """
        return CallerShown.of(viewer(app))
