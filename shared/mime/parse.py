"""What is kept of a fetched message: cleaned, capped, and the same however it was fetched."""

import hashlib
from datetime import datetime

from fast_mail_parser import PyAddress

from shared.domain.contents import SeenContent
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.message import (
    TOO_MANY_PARTICIPANTS,
    FetchedMessage,
    ParsedMessage,
    Participant,
    ParticipantRole,
)
from shared.mime.caps import MAX_BODY_BYTES, MAX_REFERENCES, MAX_SUBJECT_CHARACTERS
from shared.mime.dates import sent_at
from shared.mime.fields import (
    decoded_fields,
    kept_headers,
    kept_references,
    message_id,
    message_ids,
    raw_fields,
)
from shared.mime.in_parts import read_in_parts
from shared.mime.participants import Named, participants, scanned
from shared.mime.reading import Content, Mail, Reading
from shared.mime.recognise import recognise
from shared.mime.text import joined, snippet
from shared.mime.whole import read_whole
from shared.mime.words import clean_line, clean_text, decoded_words

_LOSSES = frozenset(
    {
        "header_too_long", "too_many_headers", "too_many_parts", "too_deep", "part_header_too_long",
        TOO_MANY_PARTICIPANTS, "too_many_references", "subject_too_long", "text_too_long",
        "html_too_long",
    }
)  # fmt: skip
_ROLES = (
    (ParticipantRole.FROM, "from"),
    (ParticipantRole.TO, "to"),
    (ParticipantRole.CC, "cc"),
    (ParticipantRole.BCC, "bcc"),
    (ParticipantRole.REPLY_TO, "reply-to"),
)


class MimeParser:
    """Satisfies `ports.parser.MessageParser`."""

    def parse(self, message: FetchedMessage) -> ParsedMessage:
        """Return `message` parsed; raises `UnreadableMessageError` if it is empty or too large."""
        try:
            return _parsed(_read(message))
        except UnreadableMessageError:
            raise
        except Exception as error:  # boundary: bytes of strangers; one message must not end a run
            raise UnreadableMessageError(
                ErrorCode.MESSAGE_MALFORMED, cause=type(error).__name__
            ) from error

    def recognise(self, content_type: str, content: bytes) -> SeenContent | None:
        """Return what an attachment's content is; raises nothing."""
        return recognise(content_type, content)


def _read(message: FetchedMessage) -> Reading:
    if message.raw is not None:
        if message.raw and not message.raw.isspace():
            return read_whole(message.raw)
    elif message.header is not None:
        return read_in_parts(message.header, message)
    raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED, cause="nothing in it")


def _parsed(reading: Reading) -> ParsedMessage:
    mail, defects = reading.mail, reading.defects
    fields = _fields(reading)
    if not fields:
        defects.append("no_headers")
    subject = _subject(reading, fields, defects)
    text, html = _bodies(reading.content, defects)
    people, too_many = participants(
        (role, _people(reading, role, fields.get(name))) for role, name in _ROLES
    )
    if too_many:
        defects.append(TOO_MANY_PARTICIPANTS)
    references = message_ids(fields.get("references", ()))
    if len(references) > MAX_REFERENCES:
        defects.append("too_many_references")
        references = kept_references(references)
    own_id = message_id(fields.get("message-id", ()))
    date = fields.get("date", [""])[0]
    sent = _sent_at(mail, date)
    return ParsedMessage(
        internet_message_id=own_id,
        references=references,
        in_reply_to=next(iter(message_ids(fields.get("in-reply-to", ()))), None),
        subject=subject,
        sent_at=sent,
        participants=people,
        text=text,
        html=html,
        snippet=snippet(text),
        attachments=tuple(reading.content.attachments),
        headers=kept_headers(fields),
        fingerprint_source=_fingerprint(
            own_id, people, str(int(sent.timestamp())) if sent else date, subject, (text, html)
        ),
        defects=tuple(defects),
        truncated=not _LOSSES.isdisjoint(defects),
    )


def _fields(reading: Reading) -> dict[str, list[str]]:
    if reading.mail is None:
        return decoded_fields(reading.header)
    fields: dict[str, list[str]] = {}
    for name, values in reading.mail.headers.items():
        lower = name.lower()
        fields[lower] = fields[lower] + values if lower in fields else values
    return fields


def _subject(reading: Reading, fields: dict[str, list[str]], defects: list[str]) -> str:
    subject = fields.get("subject", [""])[0]
    if _is_half_decoded(subject):
        subject = decoded_words(raw_fields(reading.header).get("subject", [""])[0]) or subject
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        defects.append("subject_too_long")
    return clean_line(subject, MAX_SUBJECT_CHARACTERS)


def _is_half_decoded(text: str) -> bool:
    return "=?" in text or "\ufffd" in text


def _sent_at(mail: Mail | None, date: str) -> datetime | None:
    try:
        parsed = mail.date_parsed if mail is not None else None
    except (ValueError, OverflowError):
        parsed = None
    return parsed if parsed is not None else sent_at(date)


# ---- participants ----


def _people(reading: Reading, role: ParticipantRole, values: list[str] | None) -> list[Named]:
    if not values:
        return []
    read = [] if reading.mail is None else _fast_people(reading.mail, role)
    people = [(address.display_name or "", address.address) for address in read]
    # The fast parser reads the first header of a name, one mailbox of From, and all or nothing.
    whole = people and len(values) == 1
    if role is ParticipantRole.FROM:
        whole = whole and "," not in values[0] and ";" not in values[0]
    if whole and not any(_is_half_decoded(name) for name, _ in people):
        return people
    found = [
        person
        for value in raw_fields(reading.header).get(_NAMES[role], ())
        for person in scanned(value)
    ]
    return found if len(found) >= len(people) else people


_NAMES = dict(_ROLES)


def _fast_people(mail: Mail, role: ParticipantRole) -> list[PyAddress]:
    if role is ParticipantRole.FROM:
        return [mail.from_] if mail.from_ is not None else []
    people: list[PyAddress] = getattr(mail, role.value)
    return people


# ---- bodies ----


def _bodies(content: Content, defects: list[str]) -> tuple[str, str | None]:
    html: str | None = None
    if content.html:
        html, cut = clean_text(joined(content.html, "\n"), MAX_BODY_BYTES)
        if cut:
            defects.append("html_too_long")
        html = html if html.strip() else None
    text, cut = clean_text(joined(content.plain, "\n"), MAX_BODY_BYTES)
    if cut:
        defects.append("text_too_long")
    blank = not text or text.isspace()
    if html is not None and (blank or content.html_leads):
        # Loaded only for mail without a plain version: it is most of this module's import.
        from shared.mime.html_text import html_to_text  # noqa: PLC0415

        of_html = html_to_text(html)
        text = of_html if blank else f"{of_html}\n\n{text}"
        text, _ = clean_text(text, MAX_BODY_BYTES)
    return ("" if text.isspace() else text), html


# ---- identity ----


def _fingerprint(
    own_id: str | None,
    people: tuple[Participant, ...],
    sent: str,
    subject: str,
    bodies: tuple[str, str | None],
) -> bytes:
    """Return what tells this message from others with its Message-ID, whatever way it came.

    The bodies count whole, whatever the sender and others may know of their beginnings; white space
    does not, because servers change it. Received, Delivered-To and Return-Path differ between two
    mailboxes that got the same mail; so where there is no Message-ID the recipients stand in for
    it.
    """
    sender = next((who.address for who in people if who.role is ParticipantRole.FROM), "")
    parts = [sender, sent, subject]
    parts += [
        hashlib.sha256(" ".join((body or "").split()).encode("utf-8", "replace")).hexdigest()
        for body in bodies
    ]
    if own_id is None:
        shown = (ParticipantRole.TO, ParticipantRole.CC)
        parts += [f"{who.role}:{who.address}" for who in people if who.role in shown]
    return "\0".join(parts).encode("utf-8", "replace")
