"""Decides the answers of `users.history.list` and `getProfile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.mailbox import Mailbox, shown

if TYPE_CHECKING:
    import sqlite3

    from infra.simulators.google.gate import ApiCall, Handler

_KINDS = {
    "messageAdded": "messagesAdded",
    "messageDeleted": "messagesDeleted",
    "labelAdded": "labelsAdded",
    "labelRemoved": "labelsRemoved",
}
_DAY_SECONDS = 86_400.0


def handlers() -> dict[str, Handler]:
    """Return the functions by method."""
    return {"history.list": _history, "getProfile": _profile}


def _profile(call: ApiCall) -> dict[str, Any]:
    row = call.mailbox.world.store.rows(
        "SELECT COUNT(*), COUNT(DISTINCT thread_id) FROM messages WHERE address = ?",
        call.mailbox.address,
    )[0]
    return {
        "emailAddress": call.mailbox.address,
        "messagesTotal": row[0],
        "threadsTotal": row[1],
        "historyId": str(call.mailbox.history_id()),
    }


def _history(call: ApiCall) -> dict[str, Any]:
    mailbox = call.mailbox
    start = mailbox.history_start()
    after = _start(call, start)
    limit = call.max_results()
    rows, more = _records(call, after, limit)
    found: dict[str, Any] = {"historyId": str(mailbox.history_id())}
    if rows:
        found["history"] = [_record(row, start) for row in rows]
    if more:
        found["nextPageToken"] = mailbox.world.seal(["history", mailbox.address, rows[-1]["id"]])
    return found


def _start(call: ApiCall, start: int) -> int:
    """Return the kept id to go on from. Raises AnswerError: 404 for one we cannot go on from."""
    text = call.query.get("startHistoryId", "")
    if not text:
        raise answers.invalid("Missing startHistoryId")
    if not text.isdigit():
        raise answers.invalid("Invalid startHistoryId value")
    asked = int(text) - start
    if not _oldest(call.mailbox) <= asked <= call.mailbox.history_id() - start:
        raise answers.not_found()
    token = call.query.get("pageToken")
    if not token:
        return asked
    try:
        kind, address, position = call.mailbox.world.unseal(token)
    except (ValueError, TypeError):
        raise answers.invalid("Invalid pageToken") from None
    if (kind, address) != ("history", call.mailbox.address):
        raise answers.invalid("Invalid pageToken")
    return int(position)


def _oldest(mailbox: Mailbox) -> int:
    """Return the oldest kept id from which nothing is missing: the last one that was forgotten."""
    horizon = mailbox.world.clock.epoch() - mailbox.world.limits.history_days * _DAY_SECONDS
    forgotten: int | None = mailbox.world.store.value(
        "SELECT MAX(id) FROM history WHERE address = ? AND at < ?", mailbox.address, horizon
    )
    return forgotten or 0


def _records(call: ApiCall, after: int, limit: int) -> tuple[list[sqlite3.Row], bool]:
    kinds = [_KINDS[kind] for kind in call.query.getlist("historyTypes")] or list(_KINDS.values())
    label = call.query.get("labelId")
    marks = ",".join("?" * len(kinds))
    rows = call.mailbox.world.store.rows(
        f"SELECT * FROM history WHERE address = ? AND id > ? AND kind IN ({marks})"  # noqa: S608 - only marks
        " ORDER BY id LIMIT ?",
        call.mailbox.address,
        after,
        *kinds,
        -1 if label else limit + 1,
    )
    if label:
        rows = [
            row
            for row in rows
            if label in json.loads(row["message_labels"]) or label in json.loads(row["labels"])
        ]
    return rows[:limit], len(rows) > limit


def _record(row: sqlite3.Row, start: int) -> dict[str, Any]:
    ids = {"id": shown(row["message_id"]), "threadId": shown(row["thread_id"])}
    labels = json.loads(row["message_labels"])
    change: dict[str, Any] = {"message": {**ids, "labelIds": labels} if labels else ids}
    if row["kind"] in ("labelsAdded", "labelsRemoved"):
        change["labelIds"] = json.loads(row["labels"])
    return {"id": str(start + row["id"]), "messages": [ids], row["kind"]: [change]}
