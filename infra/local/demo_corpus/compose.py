"""Decides how a demo message is written as bytes: the same bytes for the same words and date."""

from __future__ import annotations

import hashlib
import html
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    from infra.local.demo_corpus.attachments import Attachment
    from infra.local.demo_corpus.people import Person

_POLICY = SMTP.clone(max_line_length=78)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is bytes.

    Attributes:
        key: names the message; its Message-ID and boundaries are made from it.
        sender: From.
        to: To.
        subject: as read, not encoded.
        text: the plain text.
        date: aware.
        html_body: an HTML alternative, or empty for none.
        cc: Cc.
        references: Message-IDs of the thread so far, oldest first, without brackets.
        attachments: in order.
        headers: added as they are.
    """

    key: str
    sender: Person
    to: Sequence[Person]
    subject: str
    text: str
    date: dt.datetime
    html_body: str = ""
    cc: Sequence[Person] = ()
    references: Sequence[str] = ()
    attachments: Sequence[Attachment] = ()
    headers: Mapping[str, str] | None = None

    @property
    def message_id(self) -> str:
        """Without brackets; the domain is the sender's, as mail programs do."""
        return f"{digest(self.key)}@{self.sender.address.partition('@')[2]}"


def digest(key: str) -> str:
    """Return 20 hex digits that stand for ``key``."""
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def write(draft: Draft) -> bytes:
    """Return the message with CRLF line ends."""
    message = EmailMessage(policy=_POLICY)
    for name, value in (draft.headers or {}).items():
        message[name] = value
    message["From"] = _address(draft.sender)
    message["To"] = [_address(person) for person in draft.to]
    if draft.cc:
        message["Cc"] = [_address(person) for person in draft.cc]
    message["Subject"] = draft.subject
    message["Date"] = format_datetime(draft.date)
    message["Message-ID"] = f"<{draft.message_id}>"
    if draft.references:
        message["In-Reply-To"] = f"<{draft.references[-1]}>"
        message["References"] = " ".join(f"<{reference}>" for reference in draft.references)
    message.set_content(draft.text + "\n")
    if draft.html_body:
        message.add_alternative(draft.html_body, subtype="html")
    for attachment in draft.attachments:
        message.add_attachment(
            attachment.content,
            maintype=attachment.main_type,
            subtype=attachment.sub_type,
            filename=attachment.name,
        )
    # The library would draw boundaries by lot, and the mailbox would differ at each start.
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            part.set_boundary(f"=_{digest(draft.key)}_{number}")
    return message.as_bytes()


def quote(text: str, author: Person, date: dt.datetime) -> str:
    """Return ``text`` as a reply quotes it, with the line above it."""
    quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return f"On {date:%a, %d %b %Y at %H:%M}, {author.name} wrote:\n{quoted}"


def as_html(text: str, quoted: str, signature: str) -> str:
    """Return an HTML body as mail programs write it, the quoted part marked as such."""
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))
    lines = html.escape(quoted).replace("\n", "<br>\n")
    tail = f'<div class="gmail_quote"><blockquote>{lines}</blockquote></div>' if quoted else ""
    signed = html.escape(signature).replace("\n", "<br>")
    return (
        "<!DOCTYPE html>\n<html><head><style>p { margin: 0 0 1em }</style></head>\n"
        f"<body>{paragraphs}\n<p>{signed}</p>\n{tail}</body></html>\n"
    )


def _address(person: Person) -> Address:
    return Address(display_name=person.name, addr_spec=person.address)
