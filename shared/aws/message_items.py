"""How messages and copies are packed into items, and how large an item can get.

A message's item holds its metadata and, while that stays small, its body, packed as one. Whatever a
stranger sends, the item stays far below the 400 KB that DynamoDB takes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from shared.aws.content_items import content_of, content_value
from shared.aws.instants import from_microseconds, microseconds
from shared.aws.packing import pack, unpack, unpacked_size
from shared.aws.pending_items import flag_bits, flags_of, pending_of, pending_value
from shared.aws.table import Raw
from shared.aws.tables import copy_key, date_sk, escape, mailbox_pk, unescape
from shared.domain.contents import AttachedMail, DeliveryReport, Invite, SeenContent
from shared.domain.ids import (
    Address,
    FolderId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    TenantId,
    ThreadId,
)
from shared.domain.mailbox import Direction
from shared.domain.message import (
    TOO_MANY_PARTICIPANTS,
    Body,
    Copy,
    Message,
    News,
    Participant,
    ParticipantRole,
    StoredAttachment,
)

LARGEST_INLINE_BYTES = 4_096
"""A packed body past this goes to S3: up to here units of writing cost less than an object."""
_LIKELY_INLINE_CHARACTERS = 14_000
"""Text and HTML shrink to between a quarter and a third, so up to here most are inline."""
LARGEST_CONTENT_BYTES = 200_000
MOST_PARTICIPANTS = 1_000
MOST_COPIES = 500
"""Copies one message has; more of the same mail hold one that follows from it."""
MOST_COPY_BYTES = 120_000
"""Of their names: with longer ones than 240 bytes there are fewer. Outlook's have some 200."""
MOST_UNNAMED = 100
"""Addresses of one later copy, blind ones above all, under which a message is found as well."""
MOST_UNNAMED_BYTES = 60_000
"""Of all copies' together: anybody may send the same mail with other recipients each time. A copy
past it is stored, and found under whom the content names."""
MOST_BLIND_CHARACTERS = 8_000
"""Of addresses a copy names as blind recipients: some 300 of ordinary length."""
_MOST_REFERENCES = 200
_MOST_ATTACHMENTS = 500
_MOST_HEADERS = 50
_LONGEST_TEXT = 4_000
_LONGEST_NAME = 500
_LONGEST_REPORT = 8_000
"""Characters of all deliveries together; the report itself can be opened."""

_LONG_CONTENTS = (Invite, DeliveryReport, AttachedMail)


@dataclass(frozen=True, slots=True)
class PackedMessage:
    """A message's content ready to be written; `body` is set when it has to be an object."""

    content: bytes
    body: bytes | None
    named: frozenset[Address]
    """Who takes part, as far as the content says so."""


def pack_message(message: Message, body: Body) -> PackedMessage:
    """Pack a message, its body inline while both are small."""
    document = _fitted(message)
    named = _named(document)
    texts = [body.text, body.html]
    # Packing is most of what storing costs the processor, so what is tried first is what will do.
    if len(body.text) + len(body.html or "") <= _LIKELY_INLINE_CHARACTERS:
        together = pack({**document, "b": texts})
        if len(together) <= LARGEST_INLINE_BYTES:
            return PackedMessage(together, None, named)
    packed_body = pack(texts)
    if len(packed_body) <= LARGEST_INLINE_BYTES:
        return PackedMessage(pack({**document, "b": texts}), None, named)
    return PackedMessage(pack(document), packed_body, named)


def addresses_of(raw: Raw) -> frozenset[Address]:
    """Return all addresses whose index may lead to the message an item holds."""
    return _named(unpack(raw["d"]["B"])) | addresses_said(raw)


def addresses_said(raw: Raw) -> frozenset[Address]:
    """Return those of them that later copies brought, and the content does not name."""
    return frozenset(Address(unescape(one)) for one in raw.get("a", {}).get("SS", ()))


def also_value(addresses: Iterable[Address]) -> dict[str, Any]:
    """Return the attribute of those its content does not name."""
    return {"SS": sorted(map(escape, addresses))}


def fitting_beside(raw: Raw, unnamed: Iterable[Address]) -> list[Address]:
    """Return the first of those an item does not name that it has room for."""
    left = MOST_UNNAMED_BYTES - sum(len(one.encode()) for one in raw.get("a", {}).get("SS", ()))
    some = list(unnamed)[:MOST_UNNAMED]
    ends = accumulate(len(escape(one).encode()) for one in some)
    return [one for one, end in zip(some, ends, strict=True) if end <= left]


def _named(document: Mapping[str, Any]) -> frozenset[Address]:
    return frozenset(Address(address) for _, address, _ in document.get("p", ()))


def message_of(raw: Raw) -> Message:
    """Return the message an item holds."""
    document: dict[str, Any] = unpack(raw["d"]["B"])
    return Message(
        id=MessageId(document["i"]),
        thread_id=ThreadId(document["t"]),
        internet_message_id=document.get("m"),
        in_reply_to=document.get("y"),
        references=tuple(document.get("r", ())),
        subject=document["s"],
        direction=Direction(document["d"]),
        sent_at=from_microseconds(document["w"]),
        received_at=from_microseconds(int(raw["r"]["N"])),
        participants=tuple(
            Participant(ParticipantRole(role), Address(address), name)
            for role, address, name in document.get("p", ())
        ),
        snippet=document["n"],
        attachments=tuple(_attachments(document)),
        headers=document.get("h", {}),
        defects=tuple(document.get("f", ())),
        truncated=document.get("c", False),
        copies=frozenset(raw.get("c", {}).get("SS", ())),
    )


def _attachments(document: Mapping[str, Any]) -> Iterator[StoredAttachment]:
    contents = document.get("k", {})
    for number, fields in enumerate(document.get("a", ())):
        yield replace(StoredAttachment(*fields), seen=content_of(contents.get(str(number))))


def inline_body(raw: Raw) -> Body | None:
    """Return the body an item holds, or None when it is an object."""
    document: dict[str, Any] = unpack(raw["d"]["B"])
    return Body(*document["b"]) if "b" in document else None


def body_of(packed: bytes) -> Body:
    """Return the body an object holds."""
    text, html = unpack(packed)
    return Body(text, html)


def copy_item(tenant_id: TenantId, copy: Copy) -> Raw:
    """Return the item of a copy; a live one stands in the index by date."""
    key = copy_key(tenant_id, copy.mailbox_id, copy.provider_message_id)
    raw: Raw = {
        "pk": {"S": key.pk},
        "sk": {"S": key.sk},
        "m": {"S": copy.message_id},
        "f": folders_value(copy.folder_ids),
        "r": {"N": str(microseconds(copy.received_at))},
        "g": {"N": str(flag_bits(copy.flags))},
        "n": {"N": str(copy.flags.version)},
    }
    if blind := _fitting(copy.blind):
        raw["b"] = {"SS": blind}
    if copy.direction is not None:
        raw["o"] = {"BOOL": copy.direction is Direction.OUTBOUND}
    if copy.pending is not None:
        raw["w"] = pending_value(copy.pending)
    if copy.news is not None:
        raw["h"] = {"S": copy.news}
    if copy.removed_at is not None:
        raw["x"] = {"N": str(microseconds(copy.removed_at))}
    else:
        raw["mailbox_pk"] = {"S": mailbox_pk(tenant_id, copy.mailbox_id)}
        raw["date_sk"] = {"S": copy_date_sk(copy)}
    return raw


def _fitting(addresses: frozenset[Address]) -> list[str]:
    """Return as many as a copy has room for, spelled: a hundred copies are one transaction."""
    spelled = sorted(map(escape, addresses))
    ends = accumulate(map(len, spelled))
    return [one for one, end in zip(spelled, ends, strict=True) if end <= MOST_BLIND_CHARACTERS]


def folders_value(folder_ids: frozenset[FolderId]) -> dict[str, Any]:
    """Return the attribute of a copy's folders: a text where it is one, as nearly always."""
    names = sorted(folder_ids)
    return {"S": names[0]} if len(names) == 1 else {"SS": names}


def copy_date_sk(copy: Copy) -> str:
    """Return the sort key in the index by date: one entry, also for a copy in several folders."""
    return date_sk(copy.received_at, copy.message_id, min(copy.folder_ids))


def copy_of(mailbox_id: MailboxId, name: ProviderMessageId, raw: Raw) -> Copy:
    """Return the copy an item holds."""
    removed = raw.get("x")
    return Copy(
        mailbox_id=mailbox_id,
        folder_ids=frozenset(FolderId(one) for one in raw["f"].get("SS") or [raw["f"]["S"]]),
        provider_message_id=name,
        message_id=MessageId(raw["m"]["S"]),
        received_at=from_microseconds(int(raw["r"]["N"])),
        flags=flags_of(int(raw["g"]["N"]), int(raw["n"]["N"])),
        blind=frozenset(Address(unescape(one)) for one in raw.get("b", {}).get("SS", ())),
        direction=_direction_of(raw),
        removed_at=from_microseconds(int(removed["N"])) if removed else None,
        pending=pending_of(raw),
        news=News(raw["h"]["S"]) if "h" in raw else None,
    )


def _direction_of(raw: Raw) -> Direction | None:
    if "o" not in raw:
        return None
    return Direction.OUTBOUND if raw["o"]["BOOL"] else Direction.INBOUND


def _fitted(message: Message) -> dict[str, Any]:
    """Return the metadata, shortened and marked as truncated where it would not fit."""
    kept = replace(
        message,
        internet_message_id=_short(message.internet_message_id),
        in_reply_to=_short(message.in_reply_to),
        references=tuple(one[:_LONGEST_TEXT] for one in message.references[-_MOST_REFERENCES:]),
        subject=message.subject[:_LONGEST_TEXT],
        snippet=message.snippet[:_LONGEST_TEXT],
        participants=tuple(
            one if len(one.name) <= _LONGEST_NAME else replace(one, name=one.name[:_LONGEST_NAME])
            for one in message.participants[:MOST_PARTICIPANTS]
        ),
        attachments=tuple(
            replace(one, filename=one.filename[:_LONGEST_NAME], seen=_short_report(one.seen))
            for one in message.attachments[:_MOST_ATTACHMENTS]
        ),
        defects=message.defects[:_MOST_HEADERS],
        headers={
            name: value[:_LONGEST_TEXT]
            for name, value in list(message.headers.items())[:_MOST_HEADERS]
        },
    )
    document = _document(kept)
    if _is_too_large(document):
        kept = replace(kept, attachments=tuple(map(_without_long_content, kept.attachments)))
        document = _document(kept)
    while _is_too_large(document):
        kept = replace(
            kept,
            references=kept.references[-len(kept.references) // 2 :],
            participants=kept.participants[: len(kept.participants) // 2],
            attachments=kept.attachments[: len(kept.attachments) // 2],
            headers={},
        )
        document = _document(kept)
    if len(kept.participants) < len(message.participants):
        kept = replace(kept, defects=_with_defect(kept.defects, TOO_MANY_PARTICIPANTS))
    return document if kept == message else _document(replace(kept, truncated=True))


def _with_defect(defects: tuple[str, ...], defect: str) -> tuple[str, ...]:
    return defects if defect in defects else (*defects, defect)


def _short_report(seen: SeenContent | None) -> SeenContent | None:
    """Return what was seen, of a long report as many deliveries as there is room for."""
    if not isinstance(seen, DeliveryReport):
        return seen
    ends = accumulate(
        len(one.recipient) + len(one.action) + len(one.status or "") + len(one.said or "")
        for one in seen.deliveries
    )
    fitting = sum(end <= _LONGEST_REPORT for end in ends)
    return replace(seen, deliveries=seen.deliveries[:fitting])


def _without_long_content(one: StoredAttachment) -> StoredAttachment:
    return replace(one, seen=None) if isinstance(one.seen, _LONG_CONTENTS) else one


def _is_too_large(document: dict[str, Any]) -> bool:
    # Nearly every document is far below even before it is packed, and packing it to see costs more.
    size = unpacked_size(document)
    return size > LARGEST_CONTENT_BYTES // 2 and len(pack(document)) > LARGEST_CONTENT_BYTES


def _document(message: Message) -> dict[str, Any]:
    document: dict[str, Any] = {
        "v": 1,
        "i": message.id,
        "t": message.thread_id,
        "s": message.subject,
        "d": message.direction,
        "w": microseconds(message.sent_at),
        "n": message.snippet,
    }
    optional = {
        "m": message.internet_message_id,
        "y": message.in_reply_to,
        "r": message.references,
        "p": [(one.role, one.address, one.name) for one in message.participants],
        "a": [
            (one.filename, one.content_type, one.size, one.inline, one.content_id, one.digest)
            + ((one.missing,) if one.missing else ())
            for one in message.attachments
        ],
        # Beside them and not among them: who knows only of "a" must be able to read that.
        "k": _contents(message.attachments),
        "h": dict(message.headers),
        "f": message.defects,
        "c": message.truncated,
    }
    # `is not None` and not truth alone: an empty Message-ID is not an absent one.
    return document | {
        name: value
        for name, value in optional.items()
        if value or (value is not None and value == "")
    }


def _contents(attachments: Sequence[StoredAttachment]) -> dict[str, Any]:
    """Return what was seen, by number; of invitations and reports, which are long, the first."""
    found: dict[str, Any] = {}
    told: set[type] = set()
    for number, one in enumerate(attachments):
        if one.seen is None or type(one.seen) in told:
            continue
        if isinstance(one.seen, _LONG_CONTENTS):
            told.add(type(one.seen))
        found[str(number)] = content_value(one.seen)
    return found


def _short(text: str | None) -> str | None:
    return text if text is None else text[:_LONGEST_TEXT]
