"""How somebody marks, moves or trashes mail in one mailbox, and what they are told."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.api.schemas.fields import OUR_ERROR, FolderName, Given, MessageIdText, Shown
from shared.api.schemas.mail import CopyShown
from shared.domain.ids import FolderId, MessageId
from shared.operations.request_changes import AskedChange, ChangedMessage

MOST_AT_ONCE = 100


class ChangeMessage(Given):
    """What is to become of a message in one mailbox; what is left out stays."""

    seen: bool | None = None
    """Read or unread."""
    flagged: bool | None = None
    folder_id: FolderName | None = None
    """Where it is to be; with labels it leaves the inbox, trash and spam, and keeps the others."""
    trashed: bool | None = None
    """True: moved to the mailbox's trash. What is in a folder that is not followed, as trash is by
    default, is no longer found here; the message stays, and who moves it back there brings it back.
    """

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.trashed is False:
            raise _refuse("Name the folder it is to be in, by `folder_id`, to take it out again.")
        if self.trashed and self.folder_id is not None:
            raise _refuse("Give either `folder_id` or `trashed`.")
        if (self.seen, self.flagged, self.folder_id, self.trashed) == (None, None, None, None):
            raise _refuse("Say what is to change: `seen`, `flagged`, `folder_id` or `trashed`.")
        return self

    def to_change(self, message_id: str) -> AskedChange:
        """Return it as the operation takes it."""
        return AskedChange(
            MessageId(message_id),
            seen=self.seen,
            flagged=self.flagged,
            folder_id=FolderId(self.folder_id) if self.folder_id else None,
            trashed=bool(self.trashed),
        )


class ChangeMessages(ChangeMessage):
    """What is to become of several messages in one mailbox, of all the same."""

    ids: list[MessageIdText] = Field(min_length=1, max_length=MOST_AT_ONCE)

    def to_changes(self) -> list[AskedChange]:
        """Return one for each message."""
        return [self.to_change(one) for one in self.ids]


class ChangedShown(Shown):
    """A message as it is in the mailbox after what was asked of it."""

    id: str
    found: bool
    """False where the mailbox has no such message, or not for the caller: nothing was done."""
    mailboxes: list[CopyShown]
    """Where it is in this mailbox; `pending` names what its provider has not acknowledged yet."""

    @classmethod
    def of(cls, changed: ChangedMessage) -> "ChangedShown":
        """Show what the operation returned."""
        return cls(
            id=changed.message_id,
            found=bool(changed.copies),
            mailboxes=[CopyShown.of(view) for view in changed.copies],
        )


class ChangedList(Shown):
    """One for each message that was named, in order."""

    items: list[ChangedShown]


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError(OUR_ERROR, message)
