"""Which routes anybody may ask; the function that reads mail adds them to its own."""

from http import HTTPStatus

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from shared.api import docs
from shared.api.schemas.health import Health


def add_public_routes(app: APIGatewayHttpResolver) -> None:
    """Add them to `app`."""

    @app.get("/v1/health", summary="Liveness", tags=["Service"])
    def read_health() -> Health:
        """Say that the service answers."""
        return Health(status="ok")

    @app.get("/openapi.json", summary="This contract", tags=["Service"], compress=True)
    def read_contract() -> Response[str]:
        """Return the contract as OpenAPI 3.1."""
        return Response(HTTPStatus.OK, "application/json", docs.openapi_json())

    @app.get("/docs", summary="A page to try it", tags=["Service"], compress=True)
    def show_docs() -> Response[str]:
        """Return a page to try the API with a bearer token; it loads nothing from elsewhere."""
        html, headers = docs.page()
        return Response(HTTPStatus.OK, "text/html; charset=utf-8", html, headers)
