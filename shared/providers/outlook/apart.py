"""Decides what a message looks like that does not come as MIME: properties, and files left there.

For one that is too large to be held whole, or that Exchange cannot write as MIME. The text comes as
Graph gives it, attachments are read one by one when they are stored. What is a link to a file, and
no file, is left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from email.utils import format_datetime

from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, FetchedPart, RemotePart
from shared.providers.header_fields import FIELDS
from shared.providers.outlook.entries import (
    Entry,
    instant,
    names_without_address,
    written_addresses,
)
from shared.providers.outlook.paths import message_path

HEADER_PROPERTIES = (
    "internetMessageHeaders,internetMessageId,subject,sentDateTime,from,sender,toRecipients,"
    "ccRecipients,bccRecipients,replyTo"
)
_PROPERTIES = f"{HEADER_PROPERTIES},body"
_ABOUT_THE_BODY = ("content-type", "content-transfer-encoding", "mime-version")
_ADDRESSED = {
    "To": "toRecipients",
    "Cc": "ccRecipients",
    "Bcc": "bccRecipients",
    "Reply-To": "replyTo",
}


def url_of(message_id: ProviderMessageId) -> str:
    """Return where a message's properties are."""
    return f"{message_path(message_id)}?$select={_PROPERTIES}"


def attachments_url_of(message_id: ProviderMessageId) -> str:
    """Return where the list of its attachments is, without what is in them."""
    return f"{message_path(message_id)}/attachments?$select=id,name,contentType,size,isInline"


def message(
    entry: Entry, stored: Mapping[str, object], attachments: Sequence[Mapping[str, object]]
) -> FetchedMessage:
    """Return the message that its properties and its list of attachments tell."""
    body = stored.get("body")
    content, kind = "", "text/plain"
    if isinstance(body, dict):
        content = str(body.get("content") or "")
        kind = "text/html" if str(body.get("contentType")).lower() == "html" else "text/plain"
    text = FetchedPart("1", kind, "utf-8", "8bit", content.encode("utf-8", "replace"))
    remote = tuple(_remote(attachments))
    return FetchedMessage(
        provider_message_id=entry.id,
        received_at=entry.received_at,
        size=len(text.content) + sum(part.size for part in remote),
        flags=entry.flags,
        header=_header(stored),
        parts=(text,) if content else (),
        remote=remote,
        provider_thread_id=entry.thread,
        folder_ids=frozenset({entry.folder_id}) if entry.folder_id else None,
    )


def _remote(attachments: Sequence[Mapping[str, object]]) -> Iterator[RemotePart]:
    for one in attachments:
        kind = str(one.get("@odata.type", "")).lower()
        name, size = one.get("id"), one.get("size")
        if not isinstance(name, str) or "reference" in kind:
            continue
        is_message = "itemattachment" in kind
        yield RemotePart(
            section=name,
            content_type="message/rfc822"
            if is_message
            else str(one.get("contentType") or "application/octet-stream"),
            encoding="binary",
            size=size if isinstance(size, int) else 0,
            filename=str(one.get("name") or "") or None,
            disposition="inline" if one.get("isInline") is True else "attachment",
        )


def _header(stored: Mapping[str, object]) -> bytes:
    """Return the header as it was sent, or for one that was not sent what Graph knows of it."""
    fields = list(_as_sent(stored.get("internetMessageHeaders")))
    names = {name.lower() for name, _ in fields}
    fields += [(name, value) for name, value in _known(stored) if name.lower() not in names]
    return _written(fields)


def judged_header(stored: Mapping[str, object]) -> bytes:
    """Return what judges a message; whom it is from and to as Graph knows it.

    That is what Exchange writes into the MIME that is fetched of it, and has no Bcc as sent. Where
    it names somebody without an address, the header is empty: the message itself may tell it.
    """
    people = [stored.get("from"), *_recipients(stored)]
    if names_without_address(people):
        return b""
    fields = list(_known(stored))
    names = {name.lower() for name, _ in fields}
    judging = {name.lower() for name in FIELDS} - names
    sent = _as_sent(stored.get("internetMessageHeaders"))
    return _written([*fields, *((name, value) for name, value in sent if name.lower() in judging)])


def _recipients(stored: Mapping[str, object]) -> Iterator[object]:
    for listed in map(stored.get, ("toRecipients", "ccRecipients", "bccRecipients")):
        yield from listed if isinstance(listed, list) else []


def _written(fields: Sequence[tuple[str, str]]) -> bytes:
    lines = (f"{name}: {' '.join(value.split())}" for name, value in fields)
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n"


def _as_sent(headers: object) -> Iterator[tuple[str, str]]:
    for one in headers if isinstance(headers, list) else []:
        name, value = (one.get("name"), one.get("value")) if isinstance(one, dict) else ("", "")
        is_field = isinstance(name, str) and name.isascii() and name.isprintable() and name
        # What describes the body it was sent with would be wrong of this one.
        if is_field and isinstance(value, str) and str(name).lower() not in _ABOUT_THE_BODY:
            yield str(name), value


def _known(stored: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the fields whose values Graph tells as properties, as far as it does."""
    fields = {
        "Message-ID": str(stored.get("internetMessageId") or ""),
        "Date": _date(stored.get("sentDateTime")),
        "From": written_addresses([stored.get("from")]),
        "Subject": str(stored.get("subject") or ""),
    }
    if stored.get("sender") != stored.get("from"):
        fields["Sender"] = written_addresses([stored.get("sender")])
    fields |= {name: written_addresses(stored.get(key)) for name, key in _ADDRESSED.items()}
    yield from ((name, value) for name, value in fields.items() if value)


def _date(value: object) -> str:
    found = instant(value)
    return format_datetime(found) if found else ""
