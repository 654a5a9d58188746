"""Which route reads a tenant's policy; the function that reads mail adds it to its own."""

from collections.abc import Callable

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

from shared.api.app import viewer
from shared.api.schemas.policies import PolicyShown
from shared.operations.tenant_policy import get_policy
from shared.ports.policies import PolicyStore


def add_policy_routes(app: APIGatewayHttpResolver, *, policies: Callable[[], PolicyStore]) -> None:
    """Add it to `app`; the store is asked for with the first request."""

    @app.get("/v1/policy", summary="What the tenant keeps out of its mail", tags=["Policy"])
    def read_policy() -> PolicyShown:
        """Read the tenant's policy: who is internal, who is blocked, which addresses are one."""
        return PolicyShown.of(get_policy(viewer(app), policies=policies()))
