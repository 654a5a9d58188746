"""How much others see of one thread, and how that is said."""

from shared.api.schemas.fields import Given, MailboxIdText, Shown
from shared.domain.threads import ThreadLevel
from shared.operations.thread_levels import LevelOfThread


class SetThreadLevel(Given):
    """How much of a thread's mail in a mailbox others see, whatever the mailbox says."""

    level: ThreadLevel
    """`private`: nobody but the mailbox's owner; not for a shared mailbox."""
    mailbox_id: MailboxIdText | None = None
    """May be left out where one of the caller's mailboxes alone holds it."""


class PartShown(Shown):
    """Mail that was joined to a thread, and what is said of it alone."""

    thread_id: str
    """By which its level is said."""
    level: ThreadLevel | None
    """Null: nothing."""


class ThreadLevelShown(Shown):
    """How much of a thread's mail in a mailbox others see."""

    mailbox_id: str
    level: ThreadLevel | None
    """Null: as much as the mailbox's `visibility` says."""
    is_whole: bool
    """False where something else is said of mail that was joined to it: see `others`."""
    others: list[PartShown]
    """The least open that is said of any of them counts for all where the mailbox shows more."""

    @classmethod
    def of(cls, view: LevelOfThread) -> "ThreadLevelShown":
        """Show a level."""
        return cls(
            mailbox_id=view.mailbox_id,
            level=view.level,
            is_whole=not view.others,
            others=[PartShown(thread_id=one, level=its) for one, its in view.others.items()],
        )


class ThreadLevelList(Shown):
    """Of the mailboxes whose levels the caller may set."""

    items: list[ThreadLevelShown]
