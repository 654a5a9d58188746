"""What the API says of all mailboxes at once to who watches over them."""

from datetime import datetime

from shared.api.schemas.fields import Shown
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanations import explain
from shared.operations.read_activity import Activity, LettersSeen, MailboxActivity


class RunsFailed(Shown):
    """How many runs ended with one code."""

    code: ErrorCode
    message: str
    acts: Acts
    count: int


class LettersCounted(Shown):
    """How many dead letters wait; those that were settled meanwhile do not count."""

    open: int
    """Nothing is done about these."""
    replaying: int
    """These are being read or done again."""
    more: bool
    """There are more letters than the 50 newest, which were looked at: the figures are the least
    there are."""

    @classmethod
    def of(cls, letters: LettersSeen) -> "LettersCounted":
        """Show them."""
        return cls(open=letters.open, replaying=letters.replaying, more=letters.more)


class MailboxActivityShown(Shown):
    """What happened in one mailbox, as the runs tell that ended.

    A figure for each hour, that of `since` first. null: not known, since more runs ended than are
    read, which are the 400 newest; an hour in which nothing came is 0.
    """

    mailbox_id: str
    synced: list[int | None]
    """New mail that sync stored in each hour. Mail sent from here is not among it."""
    imported: list[int | None]
    """Older mail that imports, contacts' histories, repairs and replays stored in each hour."""
    runs_failed: list[RunsFailed]
    """Runs of the hours that are known which ended with a code, the most frequent one first."""
    dead_letters: LettersCounted

    @classmethod
    def of(cls, found: MailboxActivity) -> "MailboxActivityShown":
        """Show one."""
        return cls(
            mailbox_id=found.mailbox_id,
            synced=list(found.synced),
            imported=list(found.imported),
            runs_failed=[
                RunsFailed(
                    code=code, message=explain(code).message, acts=explain(code).acts, count=count
                )
                for code, count in found.runs_failed.items()
            ],
            dead_letters=LettersCounted.of(found.letters),
        )


class ActivityShown(Shown):
    """What happened in some of the tenant's mailboxes, in the order in which they are listed."""

    since: datetime
    """Where the first hour begins: a full hour of UTC. Of each page its own."""
    until: datetime
    """When it was counted: in the last hour, which has only begun."""
    items: list[MailboxActivityShown]
    next: str | None

    @classmethod
    def of(cls, found: Activity, next_: str | None) -> "ActivityShown":
        """Show a page."""
        items = [MailboxActivityShown.of(one) for one in found.items]
        return cls(since=found.since, until=found.until, items=items, next=next_)
