"""What the beginning of an attachment's content shows it to be; what only claims to be is nothing.

Everything here is linear in `TELLING_BYTES` and raises nothing, whatever the bytes are.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from shared.domain.contents import (
    TELLING_BYTES,
    AttachedMail,
    Delivery,
    DeliveryReport,
    Invite,
    Moment,
    Picture,
    Sealed,
    SeenContent,
)
from shared.domain.identity import root_of
from shared.mime.caps import header_end
from shared.mime.fields import decoded_fields, message_id, message_ids, raw_fields
from shared.mime.words import clean_line, decoded

_CALENDARS = frozenset({"text/calendar", "application/ics"})
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_MAIL = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_MAX_CHARACTERS = 500
_MAX_RECIPIENTS = 50
_MAX_GROUPS = 200
# The content types of CMS (RFC 5652, 5.1, 6.1; RFC 8551, 3.4), as DER writes them.
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_ENCRYPTED_DATA = (
    bytes.fromhex("06092a864886f70d010703"),
    bytes.fromhex("060b2a864886f70d0109100117"),
)
_DER_BYTES = 64
"""The type stands right behind the outermost length."""
_FOLD = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(r"([A-Za-z0-9-]{1,40})((?:;(?:\"[^\"]*+\"|[^\":])*+)?):(.*)")
_TIME_ZONE = re.compile(r";TZID=\"?([^\";:]{1,100})", re.IGNORECASE)
_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z)?)?")
_ESCAPE = re.compile(r"\\(.)")
_CALENDAR = ("BEGIN", "VCALENDAR")
_LAST = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VCALENDAR"})
"""With the end of one of these, on the outermost level, all is known."""
_GROUP_END = re.compile(rb"\r?\n[ \t]*\r?\n")


def recognise(content_type: str, content: bytes) -> SeenContent | None:
    """Return what a content of that claimed type is; None for what need not be known.

    `content` is decoded, of a long one the first `TELLING_BYTES`.
    """
    if content_type in _CALENDARS:
        return _invite(decoded(_whole_lines(content), "utf-8"))
    if content_type in _REPORTS:
        return _report(_whole_lines(content))
    if content_type in _MAIL:
        return _attached_mail(_whole_lines(content))
    if content_type in _SEALED:
        return _sealed(content[:_DER_BYTES])
    return _picture(content)


def _whole_lines(content: bytes) -> bytes:
    """Return what is looked at, without the line it is cut off in."""
    if len(content) < TELLING_BYTES:
        return content
    return content[: content.rfind(b"\n", 0, TELLING_BYTES) + 1]


def _picture(content: bytes) -> Picture | None:
    # The signatures by which browsers tell (https://mimesniff.spec.whatwg.org, 6.1).
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return Picture("image/png")
    if content.startswith(b"\xff\xd8\xff"):
        return Picture("image/jpeg")
    if content.startswith((b"GIF87a", b"GIF89a")):
        return Picture("image/gif")
    # Between the two stands the length of the file.
    if content.startswith(b"RIFF") and content[8:14] == b"WEBPVP":
        return Picture("image/webp")
    return None


def _sealed(content: bytes) -> Sealed | None:
    if any(one in content for one in _ENCRYPTED_DATA):
        return Sealed(is_encrypted=True)
    return Sealed(is_encrypted=False) if _SIGNED_DATA in content else None


# ---- calendars ----


def _invite(text: str) -> Invite | None:
    """Return the first entry of a calendar, or None where the text is none."""
    calendar, entry = _first_entry(text)
    if calendar is None:
        return None
    method = _words(calendar, "METHOD")
    organizer = _words(entry, "ORGANIZER")
    return Invite(
        method=method.lower() if method else None,
        uid=_words(entry, "UID"),
        summary=_words(entry, "SUMMARY"),
        location=_words(entry, "LOCATION"),
        organizer=re.sub("^mailto:", "", organizer, flags=re.IGNORECASE) if organizer else None,
        starts=_moment(entry, "DTSTART"),
        ends=_moment(entry, "DTEND") or _moment(entry, "DUE"),
        repeats="RRULE" in entry or "RDATE" in entry,
    )


Properties = Mapping[str, tuple[str, str]]
"""Parameters and value by name; of a repeated one the first."""


def _first_entry(text: str) -> tuple[Properties | None, Properties]:
    """Return what a calendar says of itself, None for no calendar, and of its first entry."""
    calendar: dict[str, tuple[str, str]] = {}
    entry: dict[str, tuple[str, str]] = {}
    lines = _lines(text)
    if next(((name, value.strip().upper()) for name, _, value in lines), None) != _CALENDAR:
        return None, entry
    # What is open inside of the calendar; an entry has alarms, a time zone starts of its own.
    inside: list[str] = []
    for name, parameters, value in lines:
        if name == "BEGIN":
            inside.append(value.strip().upper())
        elif name == "END":
            closed = inside.pop() if inside else "VCALENDAR"
            if not inside and closed in _LAST:
                break
        elif not inside:
            calendar.setdefault(name, (parameters, value))
        elif len(inside) == 1 and inside[0] in _LAST:
            entry.setdefault(name, (parameters, value))
    return calendar, entry


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    for line in _FOLD.sub("", text.lstrip("\ufeff \t\r\n")).splitlines():
        if match := _LINE.match(line):
            yield match[1].upper(), match[2], match[3]


def _words(properties: Properties, name: str) -> str | None:
    """Return a text as it is meant (RFC 5545, 3.3.11), on one line, or None."""
    _, value = properties.get(name, ("", ""))
    value = _ESCAPE.sub(lambda escape: " " if escape[1] in "nN" else escape[1], value)
    return clean_line(value, _MAX_CHARACTERS) or None


def _moment(properties: Properties, name: str) -> Moment | None:
    parameters, value = properties.get(name, ("", ""))
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return None
    day, time, is_utc = match.groups()
    try:
        at = datetime.strptime(day + (time or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - local
    except ValueError:
        return None
    if time is None:
        return Moment(at.date().isoformat())
    zone = _TIME_ZONE.search(parameters)
    named = clean_line(zone[1], _MAX_CHARACTERS) if zone else None
    return Moment(at.isoformat(), "UTC" if is_utc else named or None)


# ---- attached mail ----


def _attached_mail(content: bytes) -> AttachedMail | None:
    """Return what names an attached message; None for one without a Message-ID."""
    content = content.lstrip(b"\r\n")
    end, _ = header_end(content)
    fields = raw_fields(content[:end])
    own = message_id(fields.get("message-id", ()))
    if own is None:
        return None
    replies_to = message_ids(fields.get("in-reply-to", ()))
    root = root_of(message_ids(fields.get("references", ())), next(iter(replies_to), None), own)
    return AttachedMail(own, root)


# ---- delivery reports ----


def _report(content: bytes) -> DeliveryReport | None:
    """Return a report by its groups of fields: the first is about the message as a whole."""
    deliveries: list[Delivery] = []
    for group in _GROUP_END.split(content, maxsplit=_MAX_GROUPS):
        fields = decoded_fields(group.lstrip(b"\r\n"))
        recipient = _typed(fields, "final-recipient") or _typed(fields, "original-recipient")
        if recipient and len(deliveries) < _MAX_RECIPIENTS:
            deliveries.append(
                Delivery(
                    recipient=recipient,
                    action=(_first(fields, "action") or "").lower(),
                    status=(_first(fields, "status") or "").partition(" ")[0] or None,
                    said=_typed(fields, "diagnostic-code"),
                )
            )
    return DeliveryReport(tuple(deliveries)) if deliveries else None


def _typed(fields: Mapping[str, list[str]], name: str) -> str | None:
    """Return a value without the type before it: `rfc822; ann@sender.example`."""
    value = _first(fields, name) or ""
    kind, separator, rest = value.partition(";")
    return (rest.strip() if separator and " " not in kind.strip() else value) or None


def _first(fields: Mapping[str, list[str]], name: str) -> str | None:
    return clean_line(next(iter(fields.get(name, ())), ""), _MAX_CHARACTERS) or None
