"""How an answer quotes a message in text, and what a mail that is passed on says of itself.

The words are those that `operations.quoted_text` finds again. They are in English, as the time is
in UTC: nobody told us another language or place.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.domain.composing import one_line
from shared.domain.message import Body, Message, Participant, ParticipantRole, StoredAttachment
from shared.domain.sending import SendKind
from shared.domain.signature import Signature

MOST_QUOTED_CHARACTERS = 200_000
"""Of text and of HTML each: a thread whose every mail quotes all before it must end somewhere."""
PASSED_ON = "---------- Forwarded message ----------"
_MOST_NAMED = 50
_LEFT_OUT = "[…]"


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is answered or passed on, as the writer sees it: in full."""

    message: Message
    body: Body
    kind: SendKind


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote; either may be missing."""

    text: str | None = None
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a mail says: what was written, the writer's signature, what is quoted, in this order."""

    text: str
    html: str | None = None
    pictures: Mapping[str, StoredAttachment] = field(default_factory=dict)
    """Parts of the original that `html` shows, by the Content-ID under which it does."""


def attribution(message: Message) -> str:
    """Return the line above a quote: when it was written, and by whom."""
    senders = _named(message, ParticipantRole.FROM)
    return f"On {_moment(message.sent_at)}, {next(senders, 'somebody')} wrote:"


def head_of_forwarded(message: Message) -> Iterator[tuple[str, str]]:
    """Yield what is said of a mail that is passed on: names of fields, and their values.

    Never whom a blind copy of it went to.
    """
    yield "From", _all(_named(message, ParticipantRole.FROM))
    yield "Date", _moment(message.sent_at)
    yield "Subject", one_line(message.subject)
    for name, role in (("To", ParticipantRole.TO), ("Cc", ParticipantRole.CC)):
        if people := _all(_named(message, role)):
            yield name, people


def quoted_text(original: Original) -> str:
    """Return the text that stands below an answer, or is passed on."""
    message = original.message
    text = beginning(original.body.text)
    if original.kind is SendKind.FORWARD:
        head = "\n".join(f"{name}: {value}" for name, value in head_of_forwarded(message))
        return f"{PASSED_ON}\n{head}\n\n{text}"
    quoted = "\n".join(_quoted(line) for line in text.removesuffix("\n").split("\n"))
    return f"{attribution(message)}\n{quoted}\n"


def signed_text(text: str, signature: Signature | None) -> str:
    """Return a text with its writer's signature below it (RFC 3676, 4.3)."""
    if signature is None:
        return text
    return _spaced(text, f"-- \n{signature.text}")


def with_quote(text: str, quote: str) -> str:
    """Return a text with what it answers below it."""
    return _spaced(text, quote)


def beginning(text: str) -> str:
    """Return as much of a text as is quoted, in whole lines."""
    if len(text) <= MOST_QUOTED_CHARACTERS:
        return text
    lines = text[:MOST_QUOTED_CHARACTERS].rpartition("\n")[0] or text[:MOST_QUOTED_CHARACTERS]
    return f"{lines}\n{_LEFT_OUT}\n"


def _quoted(line: str) -> str:
    if line.startswith(">"):
        return f">{line}"
    return f"> {line}".rstrip() if not line.strip() else f"> {line}"


def _spaced(above: str, below: str) -> str:
    above = above.rstrip("\r\n")
    return f"{above}\n\n{below}" if above else f"\n\n{below}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%a, %d %b %Y at %H:%M} UTC"


def _named(message: Message, role: ParticipantRole) -> Iterator[str]:
    return (_shown(one) for one in message.participants if one.role is role)


def _shown(one: Participant) -> str:
    name = one_line(one.name)
    return f"{name} <{one.address}>" if name else one.address


def _all(people: Iterable[str]) -> str:
    shown = list(people)
    more = [_LEFT_OUT] if len(shown) > _MOST_NAMED else []
    return ", ".join([*shown[:_MOST_NAMED], *more])
