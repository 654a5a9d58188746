"""Decides what a test may do to a simulated provider's users, whoever the provider is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to put into a mailbox.

    Attributes:
        raw: the message, RFC 5322.
        folders: ids or names of its folders (labels, at Google); the inbox when empty.
        received_at: aware; now when None.
        seen: whether it was read.
    """

    raw: bytes
    folders: Sequence[str] = ()
    received_at: dt.datetime | None = None
    seen: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """A message that a mailbox holds."""

    id: str
    folders: tuple[str, ...]
    internet_message_id: str
    received_at: dt.datetime
    seen: bool


class NoSuchThingError(LookupError):
    """No such user, message, folder or client."""


class MailboxControl(Protocol):
    """One mailbox, changed as its owner's other program does. No quota, no token.

    Where something does not exist, each raises NoSuchThingError. Folders are named by id or name.
    """

    def deliver(
        self,
        raw: bytes,
        *,
        folders: Sequence[str] = (),
        received_at: dt.datetime | None = None,
        seen: bool = False,
    ) -> str:
        """Put a message in; see `Delivery`. Returns its id."""
        ...

    def deliver_all(self, deliveries: Iterable[Delivery]) -> list[str]:
        """Put many in, in one transaction. Returns their ids in order."""
        ...

    def set_flags(
        self, message_id: str, *, seen: bool | None = None, flagged: bool | None = None
    ) -> None:
        """Mark as read or unread, starred or not; None leaves it as it is."""
        ...

    def move(self, message_id: str, folder: str) -> None:
        """Take it out of its folders and put it into this one."""
        ...

    def trash(self, message_id: str) -> None:
        """Move it where deleted messages go first."""
        ...

    def delete(self, message_id: str) -> None:
        """Delete it for good."""
        ...

    def create_folder(self, name: str, parent: str = "") -> str:
        """Make a folder. Returns its id."""
        ...

    def rename_folder(self, folder: str, name: str) -> None:
        """Give a folder another name."""
        ...

    def delete_folder(self, folder: str) -> None:
        """Delete a folder, with what the provider deletes with it."""
        ...

    def messages(self) -> list[Held]:
        """Return everything it holds, oldest first, trash and spam too."""
        ...

    def folders(self) -> dict[str, str]:
        """Return id → name of every folder."""
        ...


class Provider(Protocol):
    """What the control routes ask of a simulator. Options differ by provider and are its own.

    An option it does not know is a TypeError (as for any function) and becomes a 400.
    """

    def add_user(self, address: str, **options: Any) -> None:
        """Make an account with an empty mailbox; the same again changes its options."""
        ...

    def users(self) -> list[str]:
        """Return the addresses of all users."""
        ...

    def mail(self, address: str) -> MailboxControl:
        """Return a user's mailbox. Raises NoSuchThingError."""
        ...

    def add_client(
        self, client_id: str, client_secret: str, redirect_uris: Sequence[str], **options: Any
    ) -> None:
        """Register an OAuth client; the same again replaces it."""
        ...

    def change_client(self, client_id: str, **changes: Any) -> None:
        """Change some of a client: a new secret, an expired one, switched off."""
        ...

    def revoke_grants(self, address: str, reason: str = "user") -> int:
        """End a user's grants, as `reason` does it here. Returns how many ended."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Return whatever helps to see what is going on, without secrets."""
        ...
