"""Decides how a test changes a mailbox, as its owner's other program does."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

from infra.simulators.kit.mailbox import Delivery, Held, NoSuchThingError
from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.ids import MalformedIdError
from infra.simulators.microsoft.messages import NOT_FLAGGED, Messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.simulators.microsoft.accounts import User
    from infra.simulators.microsoft.world import World


class OutlookMailbox:
    """One mailbox. Messages go by either form of id; what comes back is the immutable one."""

    def __init__(self, world: World, user: User) -> None:
        self._world = world
        self._user = user
        self._folders = Folders(world.store, user)
        self._messages = Messages(world.store, world.clock, user, self._folders)

    def deliver(
        self,
        raw: bytes,
        *,
        folders: Sequence[str] = (),
        received_at: dt.datetime | None = None,
        seen: bool = False,
    ) -> str:
        """Put a message into one folder, the inbox when none is named. Returns its id."""
        return self.deliver_all([Delivery(raw, folders, received_at, seen)])[0]

    def deliver_all(self, deliveries: Iterable[Delivery]) -> list[str]:
        """Put many in, in one transaction. Returns their ids in order."""
        made = []
        with self._world.store.transaction():
            for one in deliveries:
                if len(one.folders) > 1:
                    raise ValueError("a message is in one folder here")
                folder = self._folders.named(one.folders[0] if one.folders else "inbox")
                received = one.received_at.timestamp() if one.received_at else None
                made.append(
                    self._messages.deliver(one.raw, folder, received=received, seen=one.seen)
                )
        return [self._folders.namer.immutable(pk) for pk in made]

    def set_flags(
        self, message_id: str, *, seen: bool | None = None, flagged: bool | None = None
    ) -> None:
        """Mark as read or unread, flagged or not."""
        values: dict[str, object] = {}
        if seen is not None:
            values["is_read"] = seen
        if flagged is not None:
            values["flag"] = json.dumps({"flagStatus": "flagged"}) if flagged else NOT_FLAGGED
        with self._world.store.transaction():
            self._messages.update(self._pk(message_id), **values)

    def move(self, message_id: str, folder: str) -> None:
        """Move a message to another folder."""
        with self._world.store.transaction():
            self._messages.move(self._pk(message_id), self._folders.named(folder))

    def trash(self, message_id: str) -> None:
        """Move a message to Deleted Items."""
        self.move(message_id, "deleteditems")

    def delete(self, message_id: str) -> None:
        """Delete a message for good."""
        with self._world.store.transaction():
            self._messages.delete(self._pk(message_id))

    def create_folder(self, name: str, parent: str = "") -> str:
        """Make a folder. Returns its id."""
        with self._world.store.transaction():
            above = self._folders.named(parent).pk if parent else None
            return self._folders.namer.folder(self._folders.create(name, above).pk)

    def rename_folder(self, folder: str, name: str) -> None:
        """Give a folder another name."""
        with self._world.store.transaction():
            self._folders.rename(self._folders.named(folder), name)

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with all in it."""
        with self._world.store.transaction():
            self._messages.empty(self._folders.delete(self._folders.named(folder)))

    def messages(self) -> list[Held]:
        """Return everything it holds, oldest first."""
        rows = self._world.store.rows(
            "select pk, folder, internet_id, received, is_read from messages where user = ?"
            " order by received, pk",
            self._user.pk,
        )
        namer = self._folders.namer
        return [
            Held(
                namer.immutable(row["pk"]),
                (namer.folder(row["folder"]),),
                row["internet_id"],
                dt.datetime.fromtimestamp(row["received"], dt.UTC),
                bool(row["is_read"]),
            )
            for row in rows
        ]

    def folders(self) -> dict[str, str]:
        """Return id → display name of every folder, hidden ones too."""
        return {self._folders.namer.folder(one.pk): one.name for one in self._folders.all()}

    def folder_id(self, name: str) -> str:
        """Return the id of a folder by well-known or display name."""
        return self._folders.namer.folder(self._folders.named(name).pk)

    def default_id(self, message_id: str) -> str:
        """Return a message's default id as it is now."""
        row = self._messages.of(self._pk(message_id))
        if row is None:
            raise NoSuchThingError(f"no message {message_id}")
        return self._folders.namer.message(row["folder"], row["item"])

    def _pk(self, message_id: str) -> int:
        try:
            row = self._messages.find(message_id)
        except MalformedIdError:
            row = None
        if row is None:
            raise NoSuchThingError(f"no message {message_id}")
        return int(row["pk"])
