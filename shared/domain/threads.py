"""What is known of a thread beside its messages: which others it is one with, and its own levels.

A message stays under the thread its own header names (`identity`). What turns up later is said in
records: threads that belong together have one root, and the root names them all. There is a record
only where there is something to say.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.capabilities import CAPABILITIES
from shared.domain.ids import MailboxId, ThreadId
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.message import FetchedMessage, ParsedMessage
from shared.domain.subjects import says_it_answers

MOST_THREADS_IN_ONE = 99
"""Threads that are one, the root included: so many are joined in one transaction."""


class ThreadLevel(StrEnum):
    """How much of a thread's mail in one mailbox others see, whatever that mailbox says."""

    PRIVATE = "private"
    METADATA = "metadata"
    SUBJECT = "subject"
    FULL = "full"


_LEAST_OPEN_FIRST = tuple(ThreadLevel)
Levels = Mapping[MailboxId, ThreadLevel]


def least_open(levels: Iterable[ThreadLevel]) -> ThreadLevel:
    """Return the level that shows least; there has to be one."""
    return min(levels, key=_LEAST_OPEN_FIRST.index)


def least_of_all(parts: Iterable[Levels]) -> dict[MailboxId, ThreadLevel]:
    """Return by mailbox the least open of the levels of all these."""
    found: dict[MailboxId, ThreadLevel] = {}
    for part in parts:
        for mailbox_id, level in part.items():
            found[mailbox_id] = least_open([level, found.get(mailbox_id, level)])
    return found


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """What is known of one thread."""

    thread_id: ThreadId
    root: ThreadId
    """Which thread it is part of by now; itself where it was joined to none."""
    members: frozenset[ThreadId] = frozenset()
    """At a root: the threads that are part of it, without itself."""
    levels: Levels = field(default_factory=dict)
    """By mailbox, as they were said of the messages under this thread."""
    least: Levels = field(default_factory=dict)
    """By mailbox, the least open of those said of any thread that is one with it."""

    def levels_in(self, mailboxes: Iterable[Mailbox]) -> dict[MailboxId, ThreadLevel]:
        """Return what counts instead of the mailboxes' own levels, where anything does.

        What opens counts for the messages it was said of alone: anybody can join a thread of theirs
        to another. What closes counts for all that is one with them, whenever it was joined.
        """
        found = dict(self.levels)
        for box in mailboxes:
            least = self.least.get(box.id)
            of_box = ThreadLevel(box.visibility)
            if least and least is not of_box and least_open([least, of_box]) is least:
                found[box.id] = least_open([least, found.get(box.id, least)])
        return found


def without_record(thread_id: ThreadId) -> ThreadRecord:
    """Return what holds of a thread of which nothing is recorded."""
    return ThreadRecord(thread_id, thread_id)


def provider_thread_of(
    provider: Provider, fetched: FetchedMessage, parsed: ParsedMessage
) -> str | None:
    """Return the provider's thread that a message is one with the rest of, or None.

    Never by subject alone: where a provider goes by that (Gmail does: support.google.com/mail/
    answer/5900), it is believed of what says that it answers something, by its headers or by the
    beginning of its subject, and of the message its thread is named after where ids tell (at IMAP
    they do not).
    """
    theirs = fetched.provider_thread_id
    if theirs is None or not CAPABILITIES[provider].threads_by_subject:
        return theirs
    answers = parsed.references or parsed.in_reply_to or says_it_answers(parsed.subject)
    return theirs if answers or theirs == fetched.provider_message_id else None
