"""What is known of a thread beside its messages: which others it is one with, and its own levels.

A message stays under the thread its own header names (`identity`). What turns up later is said in
records: threads that belong together have one root, and the root names them all. There is a record
only where there is something to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.ids import MailboxId, ThreadId


class ThreadLevel(StrEnum):
    """How much of a thread's mail in one mailbox others see, whatever that mailbox says."""

    PRIVATE = "private"
    METADATA = "metadata"
    SUBJECT = "subject"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ThreadRecord:
    """What is known of one thread."""

    thread_id: ThreadId
    root: ThreadId
    """Which thread it is part of by now; itself where it was joined to none."""
    members: frozenset[ThreadId] = frozenset()
    """At a root: the threads that are part of it, without itself."""
    levels: Mapping[MailboxId, ThreadLevel] = field(default_factory=dict)
    """By mailbox, for the messages under this thread alone: joining opens none of another's."""


def without_record(thread_id: ThreadId) -> ThreadRecord:
    """Return what holds of a thread of which nothing is recorded."""
    return ThreadRecord(thread_id, thread_id)
