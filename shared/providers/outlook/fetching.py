"""Decides how messages are read: as MIME, together where they are small, else alone or in parts.

Graph does not tell a message's size. One without attachments is nearly always small, so 20 of them
come in one batch; one with attachments is streamed alone, and what is too large to be held comes in
parts. Outlook writes the MIME anew at each request (learn.microsoft.com/graph/outlook-get-mime-
message): its content is stable, its bytes are not, and no two readings may be put together.
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.outlook import apart, errors
from shared.providers.outlook.entries import Entry
from shared.providers.outlook.graph import PARTS, AnswerTooLargeError, Part, Reply
from shared.providers.outlook.range_learning import learn
from shared.providers.outlook.session import Session, is_gone, message_path

WHOLE_BYTES = 8 << 20
"""Up to this size a message is held whole."""
BATCH_BYTES = 6 << 20
"""What 20 messages in a batch may come to, as base64; more are read one by one."""
_UNREADABLE = frozenset(
    {
        "errorcontentconversionfailed",
        "errormimecontentinvalid",
        "errormimecontentconversionfailed",
        "erroritemcorrupt",
        "errorcorruptdata",
        "errormessagesizeexceeded",
    }
)
_SERVER_ERROR = 500
_NO_CONTENT = frozenset({400, 405})
"""How Graph answers for what has no content: a link, or a kind of item that has no MIME."""


def fetch(
    session: Session, folder: Folder, ids: Sequence[ProviderMessageId]
) -> Iterator[FetchedMessage | MissingMessage]:
    """Yield each of `ids` once; see `MailSession.fetch`.

    What was read before a refusal has been yielded when the refusal is raised.
    """
    names = list(dict.fromkeys(ids))
    known = {name: entry for name in names if (entry := session.met(name)) is not None}
    known |= learn(session, folder, [name for name in names if name not in known])
    for start in range(0, len(names), PARTS):
        group = names[start : start + PARTS]
        entries: Mapping[ProviderMessageId, Entry | None] = {
            **session.ask(name for name in group if name not in known),
            **{name: known.pop(name) for name in group if name in known},
        }
        there = [entry for entry in entries.values() if entry is not None]
        yield from (MissingMessage(name, "gone") for name in group if entries[name] is None)
        yield from _together(session, [one for one in there if not one.has_attachments])
        for one in there:
            if one.has_attachments:
                yield _alone(session, one)


def _together(
    session: Session, entries: Sequence[Entry]
) -> Iterator[FetchedMessage | MissingMessage]:
    """Read messages in one batch; those that do not come with the others are read alone."""
    parts = [Part(f"{message_path(one.id)}/$value") for one in entries]
    try:
        replies = session.graph.batch(parts, limit=BATCH_BYTES) if parts else []
    except AnswerTooLargeError:
        # Pictures in a text are no attachments to Graph.
        replies = [Reply(_SERVER_ERROR)] * len(parts)
    left: list[tuple[Entry, Reply]] = []
    for one, reply in zip(entries, replies, strict=True):
        if reply.ok:
            yield _whole(one, reply.content())
        elif is_gone(reply):
            yield MissingMessage(one.id, "gone")
        else:
            left.append((one, reply))
    for one, reply in left:
        if reply.status != _SERVER_ERROR and not _is_about_it(reply):
            raise reply.failure()
        yield _alone(session, one)


def _alone(session: Session, one: Entry) -> FetchedMessage | MissingMessage:
    """Read one message whole, or in parts where it is too large or cannot be written as MIME."""
    try:
        content = session.graph.content(f"{message_path(one.id)}/$value", limit=WHOLE_BYTES)
    except AnswerTooLargeError:
        return _in_parts(session, one, None)
    if isinstance(content, bytes):
        return _whole(one, content)
    if is_gone(content):
        return MissingMessage(one.id, "gone")
    if content.status == _SERVER_ERROR or _is_about_it(content):
        return _in_parts(session, one, content)
    raise content.failure()


def _in_parts(
    session: Session, one: Entry, refusal: Reply | None
) -> FetchedMessage | MissingMessage:
    """Read a message by its properties; `refusal` is what its MIME was refused with, if it was."""
    reply = session.graph.get(apart.url_of(one.id))
    if is_gone(reply):
        return MissingMessage(one.id, "gone")
    if reply.ok:
        attachments = session.listed(apart.attachments_url_of(one.id))
        return apart.message(one, reply.object(), list(attachments))
    if refusal is not None and _is_about_it(refusal):
        return MissingMessage(one.id, "unreadable")
    raise reply.failure()


def _whole(one: Entry, raw: bytes) -> FetchedMessage:
    if not raw:
        raise errors.unusable("a message without a byte")
    return FetchedMessage(
        provider_message_id=one.id,
        received_at=one.received_at,
        size=len(raw),
        flags=one.flags,
        raw=raw,
        folder_ids=frozenset({one.folder_id}) if one.folder_id else None,
    )


def _is_about_it(reply: Reply) -> bool:
    """Whether it is this message that cannot be read, and not now that it cannot be."""
    return any(code in _UNREADABLE for code in errors.codes_of(reply.body))


def read_part(session: Session, message_id: ProviderMessageId, section: str) -> Iterator[bytes]:
    """Yield an attachment's bytes; `section` is its id. See `MailSession.read_part`."""
    where = f"{message_path(message_id)}/attachments/{quote(section, safe='')}/$value"
    for piece in session.graph.slices(where):
        if isinstance(piece, bytes):
            yield piece
        elif is_gone(piece):
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="an attachment is gone")
        elif _is_about_it(piece) or piece.status in _NO_CONTENT:
            raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED, cause="no content")
        else:
            raise piece.failure()
