"""Decides the answers of `users.messages`: lists, formats, labels, trash, import, attachments."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.gate import ApiCall, number_of
from infra.simulators.google.letters import read_letter
from infra.simulators.google.listing import list_messages
from infra.simulators.google.mailbox import Mailbox, Stored, shown
from infra.simulators.google.payload import attachment_json, message_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.simulators.google.gate import Handler

_MOST_IDS = 1000
_NEVER_CHANGED = ("SENT", "DRAFT", "CHAT")


def handlers() -> dict[str, Handler]:
    """Return the functions by method."""
    return {
        "messages.list": _list,
        "messages.get": _get,
        "messages.modify": _modify,
        "messages.batchModify": _batch_modify,
        "messages.trash": _trash,
        "messages.untrash": _untrash,
        "messages.delete": _delete,
        "messages.batchDelete": _batch_delete,
        "messages.insert": _insert,
        "messages.import": _import,
        "messages.attachments.get": _attachment,
    }


def existing(call: ApiCall, name: str = "id") -> Stored:
    """Return the message of the path. Raises AnswerError: 404."""
    found = call.mailbox.find(call.number(name))
    if found is None:
        raise answers.not_found()
    return found


def brief(mailbox: Mailbox, message_id: int) -> dict[str, Any]:
    """Return what a change of a message answers: ids and labels."""
    found = mailbox.find(message_id)
    if found is None:
        raise answers.not_found()
    labels = mailbox.labels_of(message_id)
    body: dict[str, Any] = {"id": shown(found.id), "threadId": shown(found.thread_id)}
    return {**body, "labelIds": labels} if labels else body


def check_labels(mailbox: Mailbox, add: Iterable[str], remove: Iterable[str]) -> None:
    """Raise AnswerError for a label that does not exist or that nobody may set."""
    for label in [*add, *remove]:
        if label in _NEVER_CHANGED:
            raise answers.invalid(f"Invalid label: {label}")
        if not mailbox.has_label(label):
            raise answers.invalid("labelId not found")


def uploaded(call: ApiCall, body: dict[str, Any]) -> bytes:
    """Return the message that a body or an upload brings. Raises AnswerError without one."""
    if call.media is not None:
        return call.media
    try:
        text = str(body.get("raw", "")).replace("-", "+").replace("_", "/")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise answers.invalid(
            "Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed"
        ) from None
    if not raw:
        raise answers.invalid(
            "'raw' RFC822 payload message string or uploading message via /upload/* URL required"
        )
    return raw


def wanted_thread(call: ApiCall, body: dict[str, Any]) -> int | None:
    """Return the thread that a body names. Raises AnswerError for one that does not exist."""
    if not body.get("threadId"):
        return None
    thread = number_of(str(body["threadId"]))
    if not call.mailbox.thread(thread):
        raise answers.not_found()
    return thread


def _list(call: ApiCall) -> dict[str, Any]:
    page = list_messages(call)
    found: dict[str, Any] = {"resultSizeEstimate": page.estimate}
    if page.ids:
        found["messages"] = [
            {"id": shown(message), "threadId": shown(thread)} for message, thread in page.ids
        ]
    if page.next_token:
        found["nextPageToken"] = page.next_token
    return found


def _get(call: ApiCall) -> dict[str, Any]:
    stored = existing(call)
    form = call.query.get("format", "full").lower()
    if call.only_metadata and form in ("full", "raw"):
        raise answers.forbidden(f"Metadata scope doesn't allow format {form.upper()}")
    return message_json(call.mailbox, stored, form, call.query.getlist("metadataHeaders"))


def _modify(call: ApiCall) -> dict[str, Any]:
    stored = existing(call)
    add, remove = call.body.get("addLabelIds", []), call.body.get("removeLabelIds", [])
    check_labels(call.mailbox, add, remove)
    call.mailbox.change_labels(stored.id, add, remove)
    return brief(call.mailbox, stored.id)


def _batch_modify(call: ApiCall) -> None:
    add, remove = call.body.get("addLabelIds", []), call.body.get("removeLabelIds", [])
    check_labels(call.mailbox, add, remove)
    for number in _ids(call):
        call.mailbox.change_labels(number, add, remove)


def _trash(call: ApiCall) -> dict[str, Any]:
    stored = existing(call)
    call.mailbox.trash(stored.id)
    return brief(call.mailbox, stored.id)


def _untrash(call: ApiCall) -> dict[str, Any]:
    stored = existing(call)
    call.mailbox.untrash(stored.id)
    return brief(call.mailbox, stored.id)


def _delete(call: ApiCall) -> None:
    call.mailbox.delete(existing(call).id)


def _batch_delete(call: ApiCall) -> None:
    # "Provides no guarantees that messages were not already deleted or even existed at all."
    for number in _ids(call):
        call.mailbox.delete(number)


def _ids(call: ApiCall) -> list[int]:
    ids = call.body.get("ids", [])
    if not ids:
        raise answers.invalid("No message ids specified")
    if len(ids) > _MOST_IDS:
        raise answers.invalid(f"Too many message ids in request: at most {_MOST_IDS}")
    return [number_of(one) for one in ids]


def _insert(call: ApiCall) -> dict[str, Any]:
    return _store(call, "receivedtime")


def _import(call: ApiCall) -> dict[str, Any]:
    return _store(call, "dateheader")


def _store(call: ApiCall, date_source: str) -> dict[str, Any]:
    raw = uploaded(call, call.body)
    labels = call.body.get("labelIds", [])
    for label in labels:
        if not call.mailbox.has_label(label):
            raise answers.invalid(f"Invalid label: {label}")
    letter = read_letter(raw)
    source = call.query.get("internalDateSource", date_source).lower()
    number = call.mailbox.add(
        raw,
        labels,
        internal_date=letter.sent_at_ms if source == "dateheader" else None,
        thread_id=wanted_thread(call, call.body),
        letter=letter,
    )
    return brief(call.mailbox, number)


def _attachment(call: ApiCall) -> dict[str, Any]:
    stored = existing(call, "messageId")
    found = attachment_json(call.mailbox, stored.id, call.path["id"])
    if found is None:
        raise answers.invalid("Invalid attachment token")
    return found
