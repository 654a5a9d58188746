"""What a user signs with; it is theirs alone to read and to change, whatever they may do else."""

from shared.domain.signature import Signature
from shared.domain.visibility import Viewer
from shared.ports.composer import Composer
from shared.ports.signatures import SignatureStore


def get_signature(viewer: Viewer, *, signatures: SignatureStore) -> Signature | None:
    """Return the viewer's own, or None."""
    return signatures.get_signature(viewer.tenant_id, viewer.user_id)


def put_signature(
    viewer: Viewer,
    text: str,
    html: str | None,
    *,
    signatures: SignatureStore,
    composer: Composer,
) -> Signature:
    """Have all that the viewer sends from now on signed so; return it as it is kept.

    Raises `RequestError(INVALID_REQUEST)` where it is too long, or nothing.
    """
    signature = composer.signature(text, html)
    signatures.put_signature(viewer.tenant_id, viewer.user_id, signature)
    return signature


def delete_signature(viewer: Viewer, *, signatures: SignatureStore) -> None:
    """Have what the viewer sends end without one; repeating is harmless."""
    signatures.delete_signature(viewer.tenant_id, viewer.user_id)
