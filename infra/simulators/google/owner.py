"""Decides what a mailbox's owner does from elsewhere: mail that arrives, is read, moved, deleted.

No quota and no token, but the same history as through the API.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from infra.simulators.google.labels_api import (
    create_label,
    delete_label,
    labels_of,
    rename_label,
)
from infra.simulators.google.letters import read_letter
from infra.simulators.google.mailbox import Mailbox, Stored, shown
from infra.simulators.kit.call import AnswerError
from infra.simulators.kit.mailbox import Delivery, Held, NoSuchThingError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.simulators.google.sending import Sending

_KEPT_ON_MOVE = ("STARRED", "UNREAD", "IMPORTANT", "SENT", "DRAFT")


class OwnerMail:
    """One mailbox, as its owner's other program changes it. Folders are labels, by id or name."""

    def __init__(self, mailbox: Mailbox, sending: Sending) -> None:
        self._mailbox = mailbox
        self._sending = sending
        self._store = mailbox.world.store

    def deliver(
        self,
        raw: bytes,
        *,
        folders: Sequence[str] = (),
        received_at: dt.datetime | None = None,
        seen: bool = False,
    ) -> str:
        """Put a message in. Returns its id."""
        return self.deliver_all([Delivery(raw, folders, received_at, seen)])[0]

    def deliver_all(self, deliveries: Iterable[Delivery]) -> list[str]:
        """Put many in, in one transaction. Returns their ids in order."""
        with self._store.transaction():
            return [shown(self._put(delivery)) for delivery in deliveries]

    def set_flags(
        self, message_id: str, *, seen: bool | None = None, flagged: bool | None = None
    ) -> None:
        """Mark as read or unread, starred or not; None leaves it as it is."""
        number = self._find(message_id).id
        changes = [("UNREAD", None if seen is None else not seen), ("STARRED", flagged)]
        self._mailbox.change_labels(
            number,
            [label for label, wanted in changes if wanted is True],
            [label for label, wanted in changes if wanted is False],
        )

    def move(self, message_id: str, folder: str) -> None:
        """Take it out of its folders and put it into this one (the archive, when "")."""
        number = self._find(message_id).id
        before = self._mailbox.labels_of(number)
        wanted = [self._label(folder)] if folder else []
        gone = [label for label in before if label not in _KEPT_ON_MOVE and label not in wanted]
        self._mailbox.change_labels(number, wanted, gone)

    def change_labels(
        self, message_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        """Add and remove labels, by id or name."""
        number = self._find(message_id).id
        self._mailbox.change_labels(
            number, [self._label(name) for name in add], [self._label(name) for name in remove]
        )

    def send_draft(self, message_id: str) -> str:
        """Send what is a draft, as it is. Returns the id of what was sent."""
        draft = self._find(message_id)
        sent = self._sending.send(
            self._mailbox, self._mailbox.raw(draft.id), draft.thread_id, was_draft=True
        )
        self._mailbox.delete(draft.id)
        return shown(sent)

    def trash(self, message_id: str) -> None:
        """Move it into the trash."""
        self._mailbox.trash(self._find(message_id).id)

    def delete(self, message_id: str) -> None:
        """Delete it for good."""
        self._mailbox.delete(self._find(message_id).id)

    def create_folder(self, name: str, parent: str = "") -> str:
        """Make a label. Returns its id."""
        if parent:
            name = f"{self.folders()[self._label(parent)]}/{name}"
        try:
            return create_label(self._mailbox, name)
        except AnswerError as refusal:
            raise ValueError(refusal.response.get_data(as_text=True)) from None

    def rename_folder(self, folder: str, name: str) -> None:
        """Give a label another name."""
        try:
            rename_label(self._mailbox, self._label(folder), name)
        except AnswerError as refusal:
            raise ValueError(refusal.response.get_data(as_text=True)) from None

    def delete_folder(self, folder: str) -> None:
        """Delete a label; messages lose it."""
        delete_label(self._mailbox, self._label(folder))

    def messages(self) -> list[Held]:
        """Return everything it holds, oldest first."""
        rows = self._store.rows(
            "SELECT id, internal_date, internet_message_id FROM messages WHERE address = ?"
            " ORDER BY internal_date, id",
            self._mailbox.address,
        )
        return [self._held(row["id"], row["internal_date"], row[2]) for row in rows]

    def raw(self, message_id: str) -> bytes:
        """Return a message's text, byte for byte."""
        return self._mailbox.raw(self._find(message_id).id)

    def folders(self) -> dict[str, str]:
        """Return id → name of every label."""
        return {label["id"]: label["name"] for label in labels_of(self._mailbox)}

    def history_id(self) -> str:
        """Return the mailbox's current history id."""
        return str(self._mailbox.history_id())

    def forget_history(self) -> None:
        """Forget all changes so far: any earlier history id is answered 404 from now on."""
        self._store.execute("UPDATE history SET at = 0 WHERE address = ?", self._mailbox.address)

    def _put(self, delivery: Delivery) -> int:
        labels = [self._label(name) for name in delivery.folders] or ["INBOX"]
        if not delivery.seen:
            labels.append("UNREAD")
        when = delivery.received_at
        return self._mailbox.add(
            delivery.raw,
            labels,
            internal_date=None if when is None else int(when.timestamp() * 1000),
            letter=read_letter(delivery.raw),
        )

    def _find(self, message_id: str) -> Stored:
        try:
            found = self._mailbox.find(int(message_id, 16))
        except (ValueError, OverflowError):
            found = None
        if found is None:
            raise NoSuchThingError(f"no message {message_id}")
        return found

    def _label(self, name: str) -> str:
        known = self.folders()
        if name in known:
            return name
        if name.upper() in known:
            return name.upper()
        for label_id, label_name in known.items():
            if label_name.lower() == name.lower():
                return label_id
        raise NoSuchThingError(f"no label {name}")

    def _held(self, number: int, internal_date: int, internet_message_id: str) -> Held:
        labels = self._mailbox.labels_of(number)
        return Held(
            id=shown(number),
            folders=tuple(label for label in labels if label != "UNREAD"),
            internet_message_id=internet_message_id,
            received_at=dt.datetime.fromtimestamp(internal_date / 1000, dt.UTC),
            seen="UNREAD" not in labels,
        )
