"""Decides the answers of `users.threads`: what it does to a thread it does to each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.listing import list_threads
from infra.simulators.google.mailbox import Mailbox, Stored, shown
from infra.simulators.google.messages_api import brief, check_labels
from infra.simulators.google.payload import message_json

if TYPE_CHECKING:
    from infra.simulators.google.gate import ApiCall, Handler


def handlers() -> dict[str, Handler]:
    """Return the functions by method."""
    return {
        "threads.list": _list,
        "threads.get": _get,
        "threads.modify": _modify,
        "threads.trash": _trash,
        "threads.untrash": _untrash,
        "threads.delete": _delete,
    }


def _existing(call: ApiCall) -> list[Stored]:
    ids = call.mailbox.thread(call.number())
    found = [stored for number in ids if (stored := call.mailbox.find(number)) is not None]
    if not found:
        raise answers.not_found()
    return found


def _head(mailbox: Mailbox, messages: list[Stored]) -> dict[str, Any]:
    newest = max(stored.history_id for stored in messages)
    return {
        "id": shown(messages[0].thread_id),
        "historyId": str(mailbox.history_start() + newest),
    }


def _list(call: ApiCall) -> dict[str, Any]:
    page = list_threads(call)
    found: dict[str, Any] = {"resultSizeEstimate": page.estimate}
    threads = []
    for newest, thread in page.ids:
        stored = call.mailbox.find(newest)
        snippet = stored.snippet if stored else ""
        messages = [s for n in call.mailbox.thread(thread) if (s := call.mailbox.find(n))]
        threads.append({**_head(call.mailbox, messages), "snippet": snippet})
    if threads:
        found["threads"] = threads
    if page.next_token:
        found["nextPageToken"] = page.next_token
    return found


def _get(call: ApiCall) -> dict[str, Any]:
    messages = _existing(call)
    form = call.query.get("format", "full").lower()
    if call.only_metadata and form == "full":
        raise answers.forbidden("Metadata scope doesn't allow format FULL")
    names = call.query.getlist("metadataHeaders")
    return {
        **_head(call.mailbox, messages),
        "messages": [message_json(call.mailbox, stored, form, names) for stored in messages],
    }


def _changed(call: ApiCall, messages: list[Stored]) -> dict[str, Any]:
    return {
        "id": shown(messages[0].thread_id),
        "messages": [brief(call.mailbox, stored.id) for stored in messages],
    }


def _modify(call: ApiCall) -> dict[str, Any]:
    messages = _existing(call)
    add, remove = call.body.get("addLabelIds", []), call.body.get("removeLabelIds", [])
    check_labels(call.mailbox, add, remove)
    for stored in messages:
        call.mailbox.change_labels(stored.id, add, remove)
    return _changed(call, messages)


def _trash(call: ApiCall) -> dict[str, Any]:
    messages = _existing(call)
    for stored in messages:
        call.mailbox.trash(stored.id)
    return _changed(call, messages)


def _untrash(call: ApiCall) -> dict[str, Any]:
    messages = _existing(call)
    for stored in messages:
        call.mailbox.untrash(stored.id)
    return _changed(call, messages)


def _delete(call: ApiCall) -> None:
    for stored in _existing(call):
        call.mailbox.delete(stored.id)
