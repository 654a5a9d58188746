"""Decides what a submission server's refusal of a mail, or of one recipient, means.

One ordered table; the first row that applies. A code of RFC 3463 says more than the reply before
it, and words are read only where servers give no code of their own for a thing. What is left is the
standard's: a 4xx passes, a 5xx does not (RFC 5321, 4.2.1). What the login was refused for may also
be said here, and means the same as there.
Sources: RFC 5321, 3463, 1870, 6531; texts as seen of Gmail, Exchange and Postfix.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    RetryLaterError,
    SendRefusedError,
)
from shared.providers.imap import errors


class Place(StrEnum):
    """What was answered: the sender, a recipient, the wish to send content, the content."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    DOT = "DOT"


Meaning = Callable[[str, str], MailroomError]
"""Makes the error of a cause for the log and of the numbers of the reply."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row applies when every part it names fits: place, reply, enhanced code, words."""

    means: Meaning
    places: frozenset[Place] = frozenset(Place)
    replies: frozenset[int] = frozenset(range(400, 600))
    enhanced: str = ""
    """A pattern the whole code matches."""
    words: str = ""

    def applies(self, place: Place, reply: int, enhanced: str, text: str) -> bool:
        """Whether this row says what the answer means."""
        return (
            place in self.places
            and reply in self.replies
            and (not self.enhanced or re.fullmatch(self.enhanced, enhanced) is not None)
            and (not self.words or re.search(self.words, text, re.IGNORECASE) is not None)
        )


def _retry(code: ErrorCode) -> Meaning:
    return lambda cause, _numbers: RetryLaterError(code, cause=cause)


def _configure(code: ErrorCode) -> Meaning:
    return lambda cause, _numbers: ConfigurationError(code, cause=cause)


def _refuse(code: ErrorCode) -> Meaning:
    return lambda cause, numbers: SendRefusedError(code, cause=cause, reply=numbers)


_MAIL, _RCPT, _CONTENT = (
    frozenset({Place.MAIL}),
    frozenset({Place.RCPT}),
    frozenset({Place.DATA, Place.DOT}),
)
_PASSING, _FINAL = frozenset(range(400, 500)), frozenset(range(500, 600))
_OF_THE_LOGIN = frozenset({454, 530, 534, 535, 538})

SENDING: tuple[Row, ...] = (
    Row(_retry(ErrorCode.TOO_MANY_CONNECTIONS), replies=frozenset({432})),
    Row(
        _retry(ErrorCode.TOO_MANY_CONNECTIONS),
        replies=frozenset({421, 451, 452}),
        words=r"too many .{0,20}(connections|sessions)|connections? limit",
    ),
    # Gmail's, and Exchange's for recipients; without a code other providers say it in words.
    Row(_retry(ErrorCode.SENDING_LIMIT_REACHED), enhanced=r"5\.4\.5|5\.1\.90"),
    Row(
        _retry(ErrorCode.SENDING_LIMIT_REACHED),
        words=r"daily .{0,30}(limit|quota)|(limit|quota) .{0,30}(per|a) day"
        r"|SubmissionQuotaExceeded",
    ),
    Row(_retry(ErrorCode.RATE_LIMITED), words=r"(sending|send|rate) (limit|quota)"),
    Row(_configure(ErrorCode.SENDER_NOT_ALLOWED), enhanced=r"5\.7\.60|5\.2\.252|5\.1\.[78]"),
    Row(
        _configure(ErrorCode.SENDER_NOT_ALLOWED),
        replies=_FINAL,
        words=r"sendasdenied|send as this sender|sender address rejected|not owned by user",
    ),
    Row(_refuse(ErrorCode.MAIL_TOO_LARGE), enhanced=r"5\.(3\.4|2\.3)"),
    Row(_refuse(ErrorCode.ADDRESS_NOT_SUPPORTED), enhanced=r"5\.6\.(7|9)"),
    # At MAIL nobody else's mailbox is known yet: the one that sends is full.
    Row(_retry(ErrorCode.MAILBOX_FULL), places=_MAIL, enhanced=r"[45]\.2\.2"),
    Row(_retry(ErrorCode.RECIPIENT_FULL), replies=_PASSING, enhanced=r"[45]\.2\.2"),
    Row(_refuse(ErrorCode.RECIPIENT_FULL), enhanced=r"5\.2\.2"),
    # More than go into one mail: the rest go next (RFC 5321, 4.5.3.1.10).
    Row(_retry(ErrorCode.RATE_LIMITED), places=_RCPT, enhanced=r"[45]\.5\.3"),
    Row(_retry(ErrorCode.RATE_LIMITED), replies=_PASSING, enhanced=r"4\.7\.\d+"),
    Row(_retry(ErrorCode.PROVIDER_UNAVAILABLE), replies=_PASSING),
    Row(
        _refuse(ErrorCode.RECIPIENT_REJECTED),
        places=_RCPT | _CONTENT,
        enhanced=r"5\.1\.\d+|5\.2\.1|5\.4\.\d+",
    ),
    Row(_refuse(ErrorCode.MAIL_REFUSED), enhanced=r"5\.[67]\.\d+", replies=frozenset({554})),
    Row(_configure(ErrorCode.SENDER_NOT_ALLOWED), places=_MAIL, replies=frozenset({550, 553})),
    # Storage without a code: the mail's size before and after it, the recipient's room in between.
    Row(_refuse(ErrorCode.RECIPIENT_FULL), places=_RCPT, replies=frozenset({552})),
    Row(_refuse(ErrorCode.MAIL_TOO_LARGE), replies=frozenset({552})),
    Row(_refuse(ErrorCode.MAIL_REFUSED), enhanced=r"5\.[67]\.\d+"),
    Row(_refuse(ErrorCode.RECIPIENT_REJECTED), places=_RCPT),
    Row(_refuse(ErrorCode.MAIL_REFUSED)),
)
"""What a refusal between the login and the end of the content means."""

_ENHANCED = re.compile(r"[\s#]*([245]\.\d{1,3}\.\d{1,3})\b")
_WORD = re.compile(r'(?:"[^"]*"|[^\s<>])+')
_CAUSE_CHARACTERS = 300


def from_reply(place: Place, reply: int, text: str, *, about: str = "") -> MailroomError:
    """Return what a refusal means; what is neither 4xx nor 5xx is no refusal but a muddle.

    `about`: the address that was asked for, of which servers name the part before the @ alone.
    """
    if reply in _OF_THE_LOGIN:
        return errors.from_smtp_reply(reply, without_addresses(text, about))
    match = _ENHANCED.match(text)
    enhanced = match[1] if match else ""
    cause = without_addresses(f"{place}: {reply} {text}", about)
    for row in SENDING:
        if row.applies(place, reply, enhanced, text):
            return row.means(cause, f"{reply} {enhanced}".rstrip())
    return RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=cause)


def without_addresses(text: str, about: str = "") -> str:
    """Return a server's words for the log: short, printable, naming nobody (threat T25)."""
    local = about.rpartition("@")[0].casefold()

    def shown(word: re.Match[str]) -> str:
        named = "@" in word[0] or (local and word[0].strip("'\".,:;()").casefold() == local)
        return "…" if named else word[0]

    # Whole words first: of an address that is cut, what is left would not look like one.
    told = _WORD.sub(shown, text)[:_CAUSE_CHARACTERS]
    return "".join(c if c.isprintable() else "·" for c in told)
