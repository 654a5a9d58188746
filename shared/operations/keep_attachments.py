"""How an attachment is kept: streamed to the store, its beginning looked at on the way."""

from collections.abc import Iterator

from shared.domain.contents import TELLING_BYTES, SeenContent
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId, TenantId
from shared.domain.message import ParsedAttachment, StoredAttachment
from shared.ports.parser import MessageParser
from shared.ports.provider import MessageSource
from shared.ports.stores import AttachmentStore

ATTACHMENT_LIMIT_BYTES = 50 * 1024 * 1024


def keep_attachment(
    tenant_id: TenantId,
    attachment: ParsedAttachment,
    slices: Iterator[bytes],
    *,
    holder: str,
    store: AttachmentStore,
    parser: MessageParser | None,
) -> StoredAttachment:
    """Store the decoded `slices` of `attachment` for the copy `holder`; return it as stored.

    Without a `parser` it is not looked at. One past `ATTACHMENT_LIMIT_BYTES`, or not readable, is
    noted as missing, with the reason.
    """
    digest: str | None = None
    missing: str | None = None
    size = attachment.size
    beginning = bytearray()
    try:
        digest, size = store.put(
            tenant_id, _noting(beginning, slices), holder=holder, limit=ATTACHMENT_LIMIT_BYTES
        )
    except UnreadableMessageError as error:
        missing = error.code
    seen: SeenContent | None = None
    if parser is not None and missing is None:
        seen = parser.recognise(attachment.content_type, bytes(beginning))
    return StoredAttachment(
        attachment.filename,
        attachment.content_type,
        size,
        attachment.inline,
        attachment.content_id,
        digest,
        missing,
        seen,
    )


def slices_of(
    attachment: ParsedAttachment,
    session: MessageSource,
    folder: Folder,
    name: ProviderMessageId,
) -> Iterator[bytes]:
    """Yield an attachment's decoded bytes, from the provider where they were left there.

    Raises what the session raises.
    """
    if attachment.content is not None:
        yield attachment.content
    elif attachment.section is not None:
        yield from session.read_part(folder, name, attachment.section, attachment.encoding)
    else:
        raise UnreadableMessageError(
            ErrorCode.MESSAGE_MALFORMED, cause="attachment without content"
        )


def _noting(beginning: bytearray, slices: Iterator[bytes]) -> Iterator[bytes]:
    for piece in slices:
        beginning += piece[: TELLING_BYTES - len(beginning)]
        yield piece
