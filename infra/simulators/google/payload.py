"""Decides how a message looks in the API: its MIME tree as Gmail's `payload`, and its formats."""

from __future__ import annotations

import base64
import email
import re
import secrets
from typing import TYPE_CHECKING, Any

from infra.simulators.google.letters import decoded, text_of
from infra.simulators.google.mailbox import Mailbox, Stored, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

FORMATS = ("minimal", "full", "raw", "metadata")
_INLINE_BYTES = 256 * 1024  # longer texts are fetched as attachments
_PREFIX = "ANGjdJ"


def base64url(data: bytes) -> str:
    """Return bytes as the API writes them: URL-safe, with padding."""
    return base64.urlsafe_b64encode(data).decode()


def message_json(
    mailbox: Mailbox, stored: Stored, form: str, headers: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a message in one of the formats; `headers` narrows those of `metadata`."""
    labels = mailbox.labels_of(stored.id)
    body: dict[str, Any] = {"id": shown(stored.id), "threadId": shown(stored.thread_id)}
    if labels:
        body["labelIds"] = labels
    body |= {
        "snippet": stored.snippet,
        "sizeEstimate": stored.size,
        "historyId": str(mailbox.history_start() + stored.history_id),
        "internalDate": str(stored.internal_date),
    }
    if form == "raw":
        body["raw"] = base64url(mailbox.raw(stored.id))
    if form == "full":
        body["payload"] = _part_json(
            mailbox, stored.id, email.message_from_bytes(mailbox.raw(stored.id)), ""
        )
    if form == "metadata":
        message = email.message_from_bytes(mailbox.raw(stored.id))
        body["payload"] = {
            "mimeType": message.get_content_type(),
            "headers": _headers(message, {name.lower() for name in headers}),
        }
    return body


def attachment_json(mailbox: Mailbox, message_id: int, attachment: str) -> dict[str, Any] | None:
    """Return the body behind an attachment id, or None for an id of no part of this message."""
    try:
        address, of_message, part_id, _salt = mailbox.world.unseal(attachment.removeprefix(_PREFIX))
    except (ValueError, TypeError):
        return None
    if (address, of_message) != (mailbox.address, message_id):
        return None
    message = email.message_from_bytes(mailbox.raw(message_id))
    for found_id, part in _parts(message, ""):
        if found_id == part_id:
            data = _content(part)
            return {"size": len(data), "data": base64url(data)}
    return None


def _part_json(mailbox: Mailbox, message_id: int, part: Message, part_id: str) -> dict[str, Any]:
    filename = decoded(part.get_filename()) if part.get_filename() else ""
    made: dict[str, Any] = {
        "partId": part_id,
        "mimeType": part.get_content_type(),
        "filename": filename,
        "headers": _headers(part, set()),
    }
    children = _children(part)
    if children:
        made["body"] = {"size": 0}
        made["parts"] = [
            _part_json(mailbox, message_id, child, _child_id(part_id, index))
            for index, child in enumerate(children)
        ]
        return made
    data = _content(part)
    if filename or len(data) > _INLINE_BYTES or part.get_content_maintype() != "text":
        # Another id each time, as Gmail's are: a client must not keep it as a key.
        sealed = mailbox.world.seal(
            [mailbox.address, message_id, part_id, secrets.token_urlsafe(6)]
        )
        made["body"] = {"attachmentId": _PREFIX + sealed, "size": len(data)}
    elif data:
        made["body"] = {"size": len(data), "data": base64url(data)}
    else:
        made["body"] = {"size": 0}
    return made


def _headers(part: Message, wanted: set[str]) -> list[dict[str, str]]:
    return [
        {"name": name, "value": decoded(value)}
        for name, value in part.raw_items()
        if not wanted or name.lower() in wanted
    ]


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    # list() also for message/rfc822, whose only child is the message inside.
    return [child for child in payload if not isinstance(child, str)] if part.is_multipart() else []


def _child_id(part_id: str, index: int) -> str:
    return f"{part_id}.{index}" if part_id else str(index)


def _parts(part: Message, part_id: str) -> Iterator[tuple[str, Message]]:
    yield part_id, part
    for index, child in enumerate(_children(part)):
        yield from _parts(child, _child_id(part_id, index))


def _content(part: Message) -> bytes:
    """Return a part's content without its transfer encoding; texts come in UTF-8."""
    if part.get_content_maintype() == "text" and not part.get_filename():
        return re.sub(r"\r?\n", "\r\n", text_of(part)).encode()
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""
