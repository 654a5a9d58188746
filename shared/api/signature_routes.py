"""Which routes read and change the caller's signature.

The function that reads mail adds the one, the function that writes settings adds the others.
"""

from collections.abc import Callable
from http import HTTPStatus

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from shared.api.app import viewer
from shared.api.schemas.signatures import PutSignature, SignatureShown
from shared.operations.signature import delete_signature, get_signature, put_signature
from shared.ports.composer import Composer
from shared.ports.signatures import SignatureStore

_SIGNATURE = "/v1/signature"
_TAGS = ["Sending"]


def add_signature_reading(
    app: APIGatewayHttpResolver, *, signatures: Callable[[], SignatureStore]
) -> None:
    """Add the one that reads; the store is asked for with the first request."""

    @app.get(_SIGNATURE, summary="The caller's signature", tags=_TAGS)
    def read_signature() -> SignatureShown:
        """Read what stands below all that the caller sends; an empty text is none."""
        return SignatureShown.of(get_signature(viewer(app), signatures=signatures()))


def add_signature_routes(
    app: APIGatewayHttpResolver,
    *,
    signatures: Callable[[], SignatureStore],
    composer: Callable[[], Composer],
) -> None:
    """Add those that change it; store and composer are asked for with the first request."""

    @app.put(_SIGNATURE, summary="Set the caller's signature", tags=_TAGS)
    def set_signature(body: PutSignature) -> SignatureShown:
        """Have all that the caller sends from now on signed so, unless a mail says otherwise."""
        kept = put_signature(
            viewer(app), body.text, body.html, signatures=signatures(), composer=composer()
        )
        return SignatureShown.of(kept)

    @app.delete(
        _SIGNATURE,
        summary="Sign with nothing",
        tags=_TAGS,
        status_code=HTTPStatus.NO_CONTENT,
    )
    def remove_signature() -> Response[None]:
        """Have what the caller sends end without a signature; repeating is harmless."""
        delete_signature(viewer(app), signatures=signatures())
        return Response(status_code=HTTPStatus.NO_CONTENT)
