"""What a test message is, and how far one came: from the API, out, and back through sync.

It bears its own name in a header. Whoever reads that in a mail believes it only where the mailbox
has such a test: a stranger's mail is read like any other, whatever its header says.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.folders import FolderRole
from shared.domain.ids import SendId
from shared.domain.mailbox import Mailbox, MailboxStatus
from shared.domain.sending import ENDED, Send, SendStatus

TEST_HEADER = "X-Mailroom-Test"
"""Names the send. Kept by every provider, which a Message-ID is not."""
LOOKED_FOR_AFTER_SECONDS = (5, 20, 60)
"""So soon after a test was accepted sync is asked to look for it."""
COMES_BACK_WITHIN = timedelta(minutes=10)

_LONGEST_HEADER = 65_536
_HEADER_ENDS = re.compile(rb"\r?\n\r?\n")
_NAME = TEST_HEADER.lower().encode("ascii")
_NAMED = re.compile(rb"^" + _NAME + rb":[ \t]*([0-9a-z]{26})[ \t]*\r?$", re.MULTILINE)
_NO_RETURN = frozenset({FolderRole.SENT, FolderRole.DRAFTS, FolderRole.ALL, FolderRole.FLAGGED})
"""What is there was written here, or shows what other folders hold."""


def named_test(content: bytes) -> SendId | None:
    """Return which test a mail says it is, by its header; None for all others.

    `content` begins with the header, of which the first 64 KiB are looked at.
    """
    begun = content[:_LONGEST_HEADER].lower()
    if _NAME not in begun:
        return None
    found = _NAMED.search(_HEADER_ENDS.split(begun, 1)[0])
    return SendId(found[1].decode("ascii").upper()) if found else None


def place_of_return(roles: Iterable[FolderRole]) -> FolderRole | None:
    """Return where a test came back to, of the folders a copy of it is in; None: it did not.

    A label of its own on what is among the sent mail proves nothing: that may be given there too.
    """
    found = set(roles)
    nowhere = _NO_RETURN | {FolderRole.OTHER} if FolderRole.SENT in found else _NO_RETURN
    return min(found - nowhere, default=None)


class Step(StrEnum):
    """What a test message goes through, in this order; it may be filed after it came back."""

    QUEUED = "queued"
    TAKEN = "taken"
    """By a worker."""
    ACCEPTED = "accepted"
    """By the provider."""
    FILED = "filed"
    """Among the sent mail."""
    CAME_BACK = "came_back"
    """Through sync."""


class RoundTripState(StrEnum):
    """How a test stands."""

    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step, when it was taken, and how many seconds after the one before; None: not by now."""

    step: Step
    at: datetime | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How far a test message came."""

    state: RoundTripState
    steps: tuple[StepTaken, ...]
    """All of them, in order."""
    stands_at: Step | None
    """The step that it waits for, or that stopped it."""
    code: ErrorCode | None
    """Why it stopped, or waits longer than it should."""
    came_back_to: FolderRole | None


def round_trip_of(send: Send, mailbox: Mailbox, *, now: datetime) -> RoundTrip:
    """Return how far a test message came; `mailbox` is its own as it stands."""
    arrival = send.arrival
    # One that is back was accepted, whoever did not live to write that.
    accepted_at = send.accepted_at or (arrival.at if arrival else None)
    reached = {
        Step.QUEUED: send.created_at,
        Step.TAKEN: send.taken_at,
        Step.ACCEPTED: accepted_at,
        Step.FILED: send.filed_at if accepted_at else None,
        Step.CAME_BACK: arrival.at if arrival else None,
    }
    steps = tuple(_steps(reached))
    if arrival is not None and not arrival.bears_sender:
        return RoundTrip(
            RoundTripState.STOPPED,
            steps,
            Step.CAME_BACK,
            ErrorCode.SENDER_NOT_ALLOWED,
            arrival.place,
        )
    if arrival is not None:
        return RoundTrip(RoundTripState.SUCCEEDED, steps, None, None, arrival.place)
    if accepted_at is not None:
        stands_at = Step.CAME_BACK
        code, is_over = _not_back(mailbox, accepted_at, now)
    else:
        stands_at = Step.TAKEN if send.taken_at is None else Step.ACCEPTED
        code, is_over = send.code, send.status in ENDED or _is_left_unknown(send)
    state = RoundTripState.STOPPED if is_over else RoundTripState.WAITING
    return RoundTrip(state, steps, stands_at, code, None)


def _steps(reached: Mapping[Step, datetime | None]) -> Iterator[StepTaken]:
    earlier: list[datetime] = []
    for step, at in reached.items():
        if at is None:
            yield StepTaken(step, None, None)
            continue
        before = max((one for one in earlier if one <= at), default=at)
        yield StepTaken(step, at, (at - before).total_seconds())
        earlier.append(at)


def _is_left_unknown(send: Send) -> bool:
    return send.status is SendStatus.UNKNOWN and send.comes_up_at is None


def _not_back(
    mailbox: Mailbox, accepted_at: datetime, now: datetime
) -> tuple[ErrorCode | None, bool]:
    """Return why a test that was accepted is not back, and whether nobody waits for it any more."""
    inbound = mailbox.inbound_error.code if mailbox.inbound_error else None
    if mailbox.status is MailboxStatus.DISCONNECTED:
        return ErrorCode.MAILBOX_DISCONNECTED, True
    if mailbox.status is not MailboxStatus.ACTIVE:
        return inbound, True
    if now >= accepted_at + COMES_BACK_WITHIN:
        return inbound or ErrorCode.TEST_NOT_BACK, True
    return inbound, False
