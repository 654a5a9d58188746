"""Decides the answers of `users.labels`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.mailbox import SYSTEM_LABELS, Mailbox

if TYPE_CHECKING:
    from infra.simulators.google.gate import ApiCall, Handler

_SETTINGS = ("messageListVisibility", "labelListVisibility", "color")
_LONGEST = 225
_HIDDEN = {"messageListVisibility": "hide", "labelListVisibility": "labelHide"}
_HIDDEN_LABELS = ("CHAT", "CATEGORY_FORUMS", "CATEGORY_UPDATES", "CATEGORY_PROMOTIONS")
_COUNT = (
    "SELECT COUNT(*), COUNT(DISTINCT m.thread_id), SUM(u.label IS NOT NULL),"
    " COUNT(DISTINCT CASE WHEN u.label IS NOT NULL THEN m.thread_id END)"
    " FROM message_labels l JOIN messages m ON m.address = l.address AND m.id = l.message_id"
    " LEFT JOIN message_labels u ON u.address = l.address AND u.message_id = l.message_id"
    " AND u.label = 'UNREAD' WHERE l.address = ? AND l.label = ?"
)


def handlers() -> dict[str, Handler]:
    """Return the functions by method."""
    return {
        "labels.list": _list,
        "labels.get": _get,
        "labels.create": _create,
        "labels.update": _update,
        "labels.patch": _update,
        "labels.delete": _delete,
    }


def labels_of(mailbox: Mailbox) -> list[dict[str, Any]]:
    """Return every label without counts: the system's first."""
    system = [
        {"id": name, "name": name, "type": "system", **(_HIDDEN if name in _HIDDEN_LABELS else {})}
        for name in SYSTEM_LABELS
    ]
    rows = mailbox.world.store.rows(
        "SELECT id, name, settings FROM labels WHERE address = ? ORDER BY rowid", mailbox.address
    )
    users = [{"id": r[0], "name": r[1], "type": "user", **json.loads(r[2])} for r in rows]
    return system + users


def create_label(mailbox: Mailbox, name: str, settings: dict[str, Any] | None = None) -> str:
    """Make a label. Returns its id. Raises AnswerError for a bad name or one that exists."""
    check_name(mailbox, name, "")
    label_id = f"Label_{mailbox.next_number('labels_last')}"
    mailbox.world.store.execute(
        "INSERT INTO labels VALUES (?, ?, ?, ?)",
        mailbox.address,
        label_id,
        name,
        json.dumps(settings or {}),
    )
    return label_id


def rename_label(mailbox: Mailbox, label_id: str, name: str) -> None:
    """Give a user's label another name. Raises AnswerError as `create_label` does."""
    check_name(mailbox, name, label_id)
    mailbox.world.store.execute(
        "UPDATE labels SET name = ? WHERE address = ? AND id = ?", name, mailbox.address, label_id
    )


def delete_label(mailbox: Mailbox, label_id: str) -> None:
    """Delete a user's label; messages lose it, and history says so."""
    with mailbox.world.store.transaction():
        rows = mailbox.world.store.rows(
            "SELECT message_id FROM message_labels WHERE address = ? AND label = ?",
            mailbox.address,
            label_id,
        )
        for row in rows:
            mailbox.change_labels(row[0], [], [label_id])
        mailbox.world.store.execute(
            "DELETE FROM labels WHERE address = ? AND id = ?", mailbox.address, label_id
        )


def check_name(mailbox: Mailbox, name: str, label_id: str) -> None:
    """Raise AnswerError for a name that no label may have or that another one has."""
    if not name.strip() or len(name) > _LONGEST or name.startswith("/") or name.endswith("/"):
        raise answers.invalid("Invalid label name")
    if name.upper() in SYSTEM_LABELS:
        raise answers.invalid("Invalid label name")
    taken = mailbox.world.store.value(
        "SELECT id FROM labels WHERE address = ? AND LOWER(name) = LOWER(?)", mailbox.address, name
    )
    if taken not in (None, label_id):
        raise answers.label_conflict()


def _list(call: ApiCall) -> dict[str, Any]:
    return {"labels": labels_of(call.mailbox)}


def _existing(call: ApiCall) -> dict[str, Any]:
    for label in labels_of(call.mailbox):
        if label["id"] == call.path["id"]:
            return label
    raise answers.not_found()


def _get(call: ApiCall) -> dict[str, Any]:
    label = _existing(call)
    counts = call.mailbox.world.store.rows(_COUNT, call.mailbox.address, label["id"])[0]
    return {
        **label,
        "messagesTotal": counts[0],
        "threadsTotal": counts[1],
        "messagesUnread": counts[2] or 0,
        "threadsUnread": counts[3],
    }


def _create(call: ApiCall) -> dict[str, Any]:
    settings = {name: call.body[name] for name in _SETTINGS if name in call.body}
    name = str(call.body.get("name", ""))
    label_id = create_label(call.mailbox, name, settings)
    return {"id": label_id, "name": name, "type": "user", **settings}


def _update(call: ApiCall) -> dict[str, Any]:
    label = _existing(call)
    if label["type"] == "system":
        raise answers.invalid("Invalid update request")
    settings = {n: call.body.get(n, label.get(n)) for n in _SETTINGS}
    settings = {name: value for name, value in settings.items() if value is not None}
    name = str(call.body.get("name", label["name"]))
    rename_label(call.mailbox, label["id"], name)
    call.mailbox.world.store.execute(
        "UPDATE labels SET settings = ? WHERE address = ? AND id = ?",
        json.dumps(settings),
        call.mailbox.address,
        label["id"],
    )
    return {"id": label["id"], "name": name, "type": "user", **settings}


def _delete(call: ApiCall) -> None:
    label = _existing(call)
    if label["type"] == "system":
        raise answers.invalid("Invalid delete request")
    delete_label(call.mailbox, label["id"])
