"""Decides how messages are read: as MIME, together where they are small, else alone or in parts.

Graph does not tell a message's size. One without attachments is nearly always small, so 20 of them
come in one batch; one with attachments is streamed alone, and what is too large to be held comes in
parts. Outlook writes the MIME anew at each request (learn.microsoft.com/graph/outlook-get-mime-
message): its content is stable, its bytes are not, and no two readings may be put together.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    RetryLaterError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.outlook import apart, errors
from shared.providers.outlook.entries import Entry
from shared.providers.outlook.failing import Doubts, Failure, Outcome, is_message, may_be_its_own
from shared.providers.outlook.graph import PARTS, AnswerTooLargeError, Part, Reply
from shared.providers.outlook.paths import content_path, message_path
from shared.providers.outlook.range_learning import learn
from shared.providers.outlook.session import Session, is_gone

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
    doubts = Doubts(session.graph, names)
    for outcome in _outcomes(session, folder, names):
        yield from doubts.judged(outcome)
    yield from doubts.settled()


def _outcomes(
    session: Session, folder: Folder, names: Sequence[ProviderMessageId]
) -> Iterator[Outcome]:
    known = {name: entry for name in names if (entry := session.met(name)) is not None}
    known |= learn(session, folder, [name for name in names if name not in known])
    for start in range(0, len(names), PARTS):
        group = names[start : start + PARTS]
        asked, failed = session.inquire(name for name in group if name not in known)
        entries = {**asked, **{name: known.pop(name) for name in group if name in known}}
        # A draft is no message yet, whoever names it: once it is sent it is told as new.
        there = [entry for entry in entries.values() if entry and not entry.flags.draft]
        missing = entries.keys() - {entry.id for entry in there}
        yield from (MissingMessage(name, "gone") for name in entries if name in missing)
        yield from _together(session, [one for one in there if not one.has_attachments])
        for one in there:
            if one.has_attachments:
                yield _alone(session, one)
        yield from (Failure(name, error) for name, error in failed.items())


def _together(session: Session, entries: Sequence[Entry]) -> Iterator[Outcome]:
    """Read messages in one batch; those that do not come with the others are read alone."""
    parts = [Part(content_path(one.id)) for one in entries]
    try:
        replies = session.graph.batch(parts, limit=BATCH_BYTES) if parts else []
    except RetryLaterError as error:
        if not may_be_its_own(error, session.graph):
            raise
        # Pictures in a text are no attachments to Graph, and may be too much for a batch; else one
        # of them may have spoilt what came for all.
        replies = [Reply(_SERVER_ERROR)] * len(parts)
    left: list[tuple[Entry, MailroomError]] = []
    for one, reply in zip(entries, replies, strict=True):
        if is_gone(reply):
            yield MissingMessage(one.id, "gone")
            continue
        try:
            message = _whole(one, reply.content())
        except MailroomError as error:
            left.append((one, error))
            continue
        yield message
    for one, why in left:
        may_come = may_be_its_own(why, session.graph)
        yield _alone(session, one) if may_come else Failure(one.id, why)


def _alone(session: Session, one: Entry) -> Outcome:
    """Read one message whole, or in parts where it is too large or cannot be written as MIME."""
    try:
        try:
            content = session.graph.content(content_path(one.id), limit=WHOLE_BYTES)
        except AnswerTooLargeError:
            return _in_parts(session, one, None)
        if isinstance(content, bytes):
            return _whole(one, content)
        if is_gone(content):
            return MissingMessage(one.id, "gone")
        if content.status == _SERVER_ERROR or _is_about_it(content):
            return _in_parts(session, one, content)
        return Failure(one.id, content.failure())
    except MailroomError as error:
        return Failure(one.id, error)


def _in_parts(session: Session, one: Entry, refusal: Reply | None) -> Outcome:
    """Read a message by its properties; `refusal` is what its MIME was refused with, if it was."""
    reply = session.graph.get(apart.url_of(one.id))
    if is_gone(reply):
        return MissingMessage(one.id, "gone")
    if reply.ok:
        try:
            attachments = list(session.listed(apart.attachments_url_of(one.id)))
        except RetryLaterError as error:
            if error.code is not ErrorCode.FOLDER_UNAVAILABLE:
                raise
            # A list answers 404 without what it is of: the message was deleted meanwhile.
            return MissingMessage(one.id, "gone")
        return apart.message(one, reply.object(), attachments)
    if refusal is not None and _is_about_it(refusal):
        return MissingMessage(one.id, "unreadable")
    raise reply.failure()


def _whole(one: Entry, raw: bytes) -> FetchedMessage:
    if not is_message(raw):
        raise errors.unusable("a message without a header")
    if one.blind:
        # It was judged by it, and nobody promises that the MIME of a sent message has one.
        raw = f"Bcc: {one.blind}\r\n".encode("utf-8", "replace") + raw
    return FetchedMessage(
        provider_message_id=one.id,
        received_at=one.received_at,
        size=len(raw),
        flags=one.flags,
        raw=raw,
        provider_thread_id=one.thread,
        folder_ids=frozenset({one.folder_id}) if one.folder_id else None,
    )


def _is_about_it(reply: Reply) -> bool:
    """Whether it is this message that cannot be read, and not now that it cannot be."""
    return any(code in _UNREADABLE for code in errors.codes_of(reply.body))


def read_part(session: Session, message_id: ProviderMessageId, section: str) -> Iterator[bytes]:
    """Yield an attachment's bytes; `section` is its id. See `MailSession.read_part`."""
    where = f"{message_path(message_id)}/attachments/{quote(section, safe='')}/$value"
    yield from _content(session, where)


def read_raw(session: Session, message_id: ProviderMessageId) -> Iterator[bytes]:
    """Yield a message as MIME, of any size. See `MailSession.read_raw`."""
    yield from _content(session, content_path(message_id))


def _content(session: Session, where: str) -> Iterator[bytes]:
    for piece in session.graph.slices(where):
        if isinstance(piece, bytes):
            yield piece
        elif is_gone(piece):
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE, cause="what is read is gone")
        elif _is_about_it(piece) or piece.status in _NO_CONTENT:
            raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED, cause="no content")
        else:
            raise piece.failure()
