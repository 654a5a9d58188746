"""What an attachment's content was seen to be, whatever its type and name claim."""

from dataclasses import dataclass

PICTURE_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
"""Formats a browser shows and never runs. SVG is a document with scripts."""
TELLING_BYTES = 64 * 1024
"""Of the beginning of a content: what comes later is not looked at."""
MOST_LOOKED_AT = 50
"""Contents of one message: a look at one takes up to 25 ms, and there may be a thousand."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture; `content_type` is one of `PICTURE_TYPES`."""

    content_type: str


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a calendar writes it: `local` in ISO 8601, a date alone for a whole day.

    `time_zone` is the name the sender gave, mostly one of IANA's or Windows'; None where it is the
    reader's own.
    """

    local: str
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Invite:
    """The first entry of a calendar (RFC 5545); `method` is what is wanted of it, lower-case."""

    method: str | None
    uid: str | None = None
    summary: str | None = None
    location: str | None = None
    organizer: str | None = None
    starts: Moment | None = None
    ends: Moment | None = None
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message on its way to one recipient (RFC 3464, 2.3)."""

    recipient: str
    action: str
    """`failed`, `delayed`, `delivered`, `relayed` or `expanded`; as written where it is another."""
    status: str | None = None
    """Of RFC 3463, as `5.1.1`."""
    said: str | None = None
    """What the other server said."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of a message, by recipient."""

    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """S/MIME that holds the whole message, readable with the right tools alone."""

    is_encrypted: bool
    """Else it is signed."""


@dataclass(frozen=True, slots=True)
class AttachedMail:
    """A message that came along, whole or its header alone: a report returns what it is about."""

    internet_message_id: str
    root: str
    """The Message-ID that names its thread; see `identity`."""


SeenContent = Picture | Invite | DeliveryReport | Sealed | AttachedMail
