"""Decides the answers of `users.drafts`: a draft is a name for a message that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.listing import list_drafts
from infra.simulators.google.mailbox import Mailbox, shown
from infra.simulators.google.messages_api import brief, uploaded, wanted_thread
from infra.simulators.google.payload import message_json

if TYPE_CHECKING:
    from infra.simulators.google.gate import ApiCall, Handler
    from infra.simulators.google.sending import Sending


class Drafts:
    """`users.drafts`."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending

    def handlers(self) -> dict[str, Handler]:
        """Return the functions by method."""
        return {
            "drafts.list": _list,
            "drafts.get": _get,
            "drafts.create": _create,
            "drafts.update": _update,
            "drafts.delete": _delete,
            "drafts.send": self._send,
        }

    def _send(self, call: ApiCall) -> dict[str, Any]:
        draft_id = str(call.body.get("id", ""))
        brought = call.body.get("message", {})
        if not draft_id:
            # A draft that was never kept: the same as sending.
            raw, thread = uploaded(call, brought), wanted_thread(call, brought)
            return brief(call.mailbox, self._sending.send(call.mailbox, raw, thread))
        number = _message_of(call.mailbox, draft_id)
        if call.media is not None or brought.get("raw"):
            raw = uploaded(call, brought)
        else:
            raw = call.mailbox.raw(number)
        stored = call.mailbox.find(number)
        thread = stored.thread_id if stored else None
        # First, because a draft that is refused stays a draft.
        sent = self._sending.send(call.mailbox, raw, thread, was_draft=True)
        call.mailbox.delete(number)
        return brief(call.mailbox, sent)


def _message_of(mailbox: Mailbox, draft_id: str) -> int:
    number: int | None = mailbox.world.store.value(
        "SELECT message_id FROM drafts WHERE address = ? AND id = ?", mailbox.address, draft_id
    )
    if number is None:
        raise answers.not_found()
    return number


def _list(call: ApiCall) -> dict[str, Any]:
    page = list_drafts(call)
    found: dict[str, Any] = {"resultSizeEstimate": page.estimate}
    drafts = []
    for number, thread in page.ids:
        draft_id = call.mailbox.world.store.value(
            "SELECT id FROM drafts WHERE address = ? AND message_id = ?",
            call.mailbox.address,
            number,
        )
        drafts.append({"id": draft_id, "message": {"id": shown(number), "threadId": shown(thread)}})
    if drafts:
        found["drafts"] = drafts
    if page.next_token:
        found["nextPageToken"] = page.next_token
    return found


def _get(call: ApiCall) -> dict[str, Any]:
    number = _message_of(call.mailbox, call.path["id"])
    stored = call.mailbox.find(number)
    if stored is None:
        raise answers.not_found()
    form = call.query.get("format", "full").lower()
    return {"id": call.path["id"], "message": message_json(call.mailbox, stored, form)}


def _create(call: ApiCall) -> dict[str, Any]:
    message = call.body.get("message", {})
    number = call.mailbox.add(
        uploaded(call, message), ["DRAFT"], thread_id=wanted_thread(call, message)
    )
    draft_id = f"r{call.mailbox.next_number('drafts_last') + 7_000_000_000_000_000_000}"
    call.mailbox.world.store.execute(
        "INSERT INTO drafts VALUES (?, ?, ?)", call.mailbox.address, draft_id, number
    )
    return {"id": draft_id, "message": brief(call.mailbox, number)}


def _update(call: ApiCall) -> dict[str, Any]:
    """Put another message in the draft's place: the old one is gone, its thread stays."""
    draft_id = call.path["id"]
    old = call.mailbox.find(_message_of(call.mailbox, draft_id))
    if old is None:
        raise answers.not_found()
    raw = uploaded(call, call.body.get("message", {}))
    call.mailbox.delete(old.id)
    number = call.mailbox.add(raw, ["DRAFT"], thread_id=old.thread_id, is_that_thread=True)
    call.mailbox.world.store.execute(
        "INSERT INTO drafts VALUES (?, ?, ?)", call.mailbox.address, draft_id, number
    )
    return {"id": draft_id, "message": brief(call.mailbox, number)}


def _delete(call: ApiCall) -> None:
    call.mailbox.delete(_message_of(call.mailbox, call.path["id"]))
