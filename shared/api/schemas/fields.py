"""What a text from a caller may hold, and how long it may be.

Nothing that reaches a mail protocol holds a control character: CR, LF and NUL would end its line.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from shared.domain.addresses import canonical_address
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import UserId
from shared.domain.mailbox import EVERYONE, Readers
from shared.domain.schedule import CADENCES_MINUTES

OUR_ERROR = "mailroom"
"""The type of those validation errors whose message is ours."""


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError(OUR_ERROR, message)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def one_line(text: str) -> str:
    """Return a text of one line; refuse control characters, as ends of lines are."""
    if any(map(_is_control, text)):
        raise _refuse("This must not hold control characters or line breaks.")
    return text


def _address(text: str) -> str:
    if canonical_address(one_line(text)) is None:
        raise _refuse("This is not an e-mail address.")
    return text


def plain_text(text: str) -> str:
    """Return a text of several lines; refuse any other control character."""
    for number, character in enumerate(text, 1):
        if character not in "\n\t" and _is_control(character):
            which = f"U+{ord(character):04X}, character {number}"
            raise _refuse(f"This must not hold control characters: here {which}.")
    return text


def as_lines(given: object) -> object:
    """Return a text with each break of a line as a line feed, however it was typed or pasted.

    Browsers have CR LF on some systems, and word processors VT, FF, U+2028 and U+2029.
    """
    return _BREAK.sub("\n", given) if isinstance(given, str) else given


def _written_out(given: object) -> object:
    # A bare number would be taken as seconds since 1970, whatever was meant by it.
    if isinstance(given, str) and not _DATE_AND_TIME.match(given):
        raise _refuse("An instant with a time zone, such as 2026-01-31T09:00:00Z.")
    return given


def _instant(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise _refuse("This must lie in the years 1 to 9999, in UTC.") from error


def _some_folders(ids: list[str]) -> list[str]:
    if not ids:
        raise _refuse("Name at least one folder, or send null for all but trash, spam and drafts.")
    return ids


def _host(text: str) -> str:
    if any(_is_control(character) or character in " /\\@?#%\"'<>" for character in text):
        raise _refuse("This is not a host name.")
    return text


def _password(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not 1 <= len(text) <= _LONGEST_PASSWORD:
        raise _refuse(f"From 1 to {_LONGEST_PASSWORD} characters.")
    if any(map(_is_control, text)):
        raise _refuse("This must not hold control characters or line breaks.")
    return secret


_BREAK = re.compile("\r\n|[\r\v\f\u2028\u2029]")
_LONGEST_PASSWORD = 1_000
_stripped = StringConstraints(strip_whitespace=True, max_length=320)

Line = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(one_line)
]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(one_line),
]
Note = Annotated[str, StringConstraints(max_length=2_000), AfterValidator(plain_text)]
AddressText = Annotated[str, _stripped, AfterValidator(_address)]
Username = Annotated[str, _stripped, StringConstraints(min_length=1), AfterValidator(one_line)]
Host = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=253),
    AfterValidator(_host),
]
Password = Annotated[SecretStr, AfterValidator(_password)]
_DATE_AND_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}")
Instant = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_instant)]
"""In UTC whatever zone it was given in: every index is ordered by UTC."""
_LONGEST_ID = 256
Id = Annotated[
    str, StringConstraints(min_length=1, max_length=_LONGEST_ID), AfterValidator(one_line)
]
FolderName = Annotated[
    str, StringConstraints(min_length=1, max_length=1_000), AfterValidator(one_line)
]


MOST_READERS = 200
"""Named one by one; they are read with the mailbox wherever mail is shown."""


def _is_id(given: object) -> bool:
    return (
        isinstance(given, str)
        and 1 <= len(given) <= _LONGEST_ID
        and not any(map(_is_control, given))
    )


def _granted_to(given: object) -> object:
    # In one piece: what a union refuses is said once for each of its parts, by Python's names.
    are_users = isinstance(given, list) and len(given) <= MOST_READERS and all(map(_is_id, given))
    if given is None or given == "everyone" or are_users:
        return given
    raise _refuse(f"A list of up to {MOST_READERS} user ids, or `everyone`.")


GrantedTo = Annotated[
    Literal["everyone"] | Annotated[list[Id], Field(max_length=MOST_READERS)],
    BeforeValidator(_granted_to),
]


def readers_given(granted_to: GrantedTo) -> Readers:
    """Return whom a caller grants a mailbox to, each once."""
    if granted_to == "everyone":
        return EVERYONE
    return Readers(tuple(dict.fromkeys(UserId(name) for name in granted_to)))


ActiveFolders = Annotated[
    list[FolderName],
    Field(max_length=1_000, json_schema_extra={"minItems": 1}),
    AfterValidator(_some_folders),
]
SyncMinutes = Annotated[
    int,
    Field(strict=True, json_schema_extra={"enum": list(CADENCES_MINUTES)}),
]


def _of_known_form(not_found: ErrorCode) -> AfterValidator:
    """Refuse an id that nothing of ours can have, as unknown, before a store makes a key of it."""

    def check(text: str) -> str:
        if not _OUR_ID.fullmatch(text):
            raise RequestError(not_found)
        return text

    return AfterValidator(check)


_OUR_ID = re.compile(r"[A-Za-z0-9]{1,64}")


def known_mailbox_id(text: str) -> str:
    """Return a mailbox's id that came in a body; raises `RequestError(MAILBOX_NOT_FOUND)`."""
    if not _OUR_ID.fullmatch(text):
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    return text


MailboxIdText = Annotated[str, _of_known_form(ErrorCode.MAILBOX_NOT_FOUND)]
BackfillIdText = Annotated[str, _of_known_form(ErrorCode.BACKFILL_NOT_FOUND)]
LetterIdText = Annotated[str, _of_known_form(ErrorCode.DEAD_LETTER_NOT_FOUND)]
RunIdText = Annotated[str, _of_known_form(ErrorCode.RUN_NOT_FOUND)]
SendIdText = Annotated[str, _of_known_form(ErrorCode.SEND_NOT_FOUND)]
OpeningIdText = Annotated[str, _of_known_form(ErrorCode.OPENING_NOT_FOUND)]
ErasureIdText = Annotated[str, _of_known_form(ErrorCode.ERASURE_NOT_FOUND)]
MessageIdText = Annotated[str, _of_known_form(ErrorCode.MESSAGE_NOT_FOUND)]
ThreadIdText = Annotated[str, _of_known_form(ErrorCode.THREAD_NOT_FOUND)]


IfMatch = Annotated[str | None, StringConstraints(max_length=40)]
"""The version a change is meant for, as `"3"` or `3`; `*` or nothing: whatever stands."""


def version_wanted(if_match: str | None) -> int | None:
    """Read an If-Match header; raises `RequestError(INVALID_REQUEST)`. `"0"` only creates."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not re.fullmatch(r"[0-9]{1,15}", text):
        reason = 'The version that was read, such as "3".'
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("if-match", reason)])
    return int(text)


class Given(BaseModel):
    """Something a caller sends.

    A field we do not know is refused, so that a typing error is not lost.
    """

    # Built on first use: a cold start answers one request, which needs few of the models.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Shown(BaseModel):
    """Something we answer with."""

    model_config = ConfigDict(frozen=True, defer_build=True)
