"""What a user reads of stored mail: a contact's timeline, a thread, a message, an attachment.

What does not exist, is another tenant's, or is closed to the viewer is refused alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from shared.domain.contents import Picture
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.identity import thread_of
from shared.domain.ids import ContactId, MessageId, ThreadId
from shared.domain.message import Message, StoredAttachment
from shared.domain.visibility import Access, Place, Viewer
from shared.operations.answer_size import beginning, fits
from shared.operations.contacts import contact_id_of_known_form
from shared.operations.load_mail import Loaded, load_first, load_nothing, load_one
from shared.operations.page_through import Judged, Page, Views, fill_page, page_through
from shared.operations.quoted_text import split_quoted, split_signature
from shared.operations.show_messages import MessageView, show_messages
from shared.ports.clock import Clock
from shared.ports.reading import MailReader
from shared.ports.stores import AttachmentStore, MessageStore, TimelineEntry

_A_FILE = "application/octet-stream"
_IN_LOOK = 25
"""Messages of a page that are to take one request; a longer page has as many more."""
LINK_SECONDS = 300
"""How long an attachment's link works.

Long enough to start a download, short enough to be worthless when shared.
"""


class SafeHtml(Protocol):
    """HTML that is safe to show."""

    @property
    def html(self) -> str:
        """The HTML."""
        ...

    @property
    def blocked_images(self) -> int:
        """How many remote images were taken out."""
        ...

    @property
    def cut(self) -> bool:
        """Whether this is only the beginning of its text."""
        ...

    @property
    def content_security_policy(self) -> str:
        """What the frame it is shown in may load."""
        ...


class Sanitise(Protocol):
    """Makes HTML as received safe to be shown."""

    def __call__(self, html: str, *, inline: Callable[[str], str | None]) -> SafeHtml:
        """Return `html` made safe.

        `inline` returns a link to the part of the message with a Content-ID, or None.
        """
        ...


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message with its body. Without full access only `view` says anything."""

    view: MessageView
    text: str | None = None
    """What the sender wrote."""
    signature: str | None = None
    """What they put below all they write."""
    quoted_text: str | None = None
    """What they quoted at the end."""
    html: str | None = None
    """Sanitised; signature and quoted text folded."""
    blocked_images: int = 0
    content_security_policy: str | None = None
    """Of the frame that `html` is shown in."""
    cut: bool = False
    """Whether text or HTML is too large to be answered whole."""


@dataclass(frozen=True, slots=True)
class AttachmentLink:
    """A link to one attachment that works until `expires_at`."""

    attachment: StoredAttachment
    url: str
    expires_at: datetime


def read_timeline(
    viewer: Viewer,
    contact_id: ContactId,
    *,
    before: TimelineEntry | None,
    limit: int,
    messages: MessageStore,
    reader: MailReader,
) -> Page:
    """Return a page of the mail with a contact, over all its addresses, newest first.

    A page of 25 takes one request for the contact, one for each of its addresses and one for all
    else. It ends early rather than take another, with `next`, but never without a message for that.

    Raises `RequestError(CONTACT_NOT_FOUND)`.
    """
    known_form = contact_id_of_known_form(contact_id)
    contact, policy = reader.contact(viewer.tenant_id, known_form)
    if contact is None:
        raise RequestError(ErrorCode.CONTACT_NOT_FOUND)

    theirs = frozenset(policy.address(one) for one in contact.addresses)

    def judge(entries: Sequence[TimelineEntry]) -> Judged:
        loaded = load_first(viewer.tenant_id, entries, policy=policy, theirs=theirs, reader=reader)
        views = _shown(viewer, loaded, entries)
        with_them = {
            name: view
            for name, view in views.items()
            if any(policy.address(one) in theirs for one in view.met)
        }
        return Judged(with_them, loaded.number, loaded.requests)

    exact, also_of = policy.found_under(contact.addresses)
    by_address = partial(messages.by_address, viewer.tenant_id, exact, also_of=also_of)
    looks = -(-limit // _IN_LOOK)
    return page_through(by_address, judge, before=before, limit=limit, looks=looks)


def read_thread(
    viewer: Viewer,
    thread_id: ThreadId,
    *,
    after: TimelineEntry | None,
    limit: int,
    messages: MessageStore,
    reader: MailReader,
) -> Page:
    """Return a page of what the viewer may see of a thread, oldest first.

    A page looks at so much and then ends, with `next`; one without a message may have it too.

    Raises `RequestError(THREAD_NOT_FOUND)`: also where there are messages, and none for them among
    as many as a page looks at.
    """
    entries = messages.thread(viewer.tenant_id, thread_id)
    if not entries:
        load_nothing(viewer.tenant_id, reader=reader)
        raise RequestError(ErrorCode.THREAD_NOT_FOUND)

    def read(after: TimelineEntry | None, size: int) -> tuple[Sequence[TimelineEntry], bool]:
        left = [
            entry
            for entry in entries
            if after is None or (entry.at, entry.message_id) > (after.at, after.message_id)
        ]
        return left[:size], len(left) > size

    def judge(some: Sequence[TimelineEntry]) -> Judged:
        loaded = load_first(viewer.tenant_id, some, reader=reader)
        return Judged(_shown(viewer, loaded, some), loaded.number, loaded.requests)

    page = fill_page(read, judge, before=after, limit=limit)
    # A position can be made up: a page that is empty there is of a thread they know, or of none.
    if not page.items and (after is None or not fill_page(read, judge, before=None, limit=1).items):
        raise RequestError(ErrorCode.THREAD_NOT_FOUND)
    return page


def _shown(viewer: Viewer, loaded: Loaded, entries: Sequence[TimelineEntry]) -> Views:
    ids = [entry.message_id for entry in entries[: loaded.number]]
    return show_messages(viewer, loaded.found, ids, Place.TIMELINE)


def read_message(
    viewer: Viewer,
    message_id: MessageId,
    *,
    messages: MessageStore,
    reader: MailReader,
    attachments: AttachmentStore,
    sanitise: Sanitise,
) -> OpenedMessage:
    """Return one message, with its body where access is full.

    The images it brings along are links that work for `LINK_SECONDS`.

    Raises `RequestError(MESSAGE_NOT_FOUND)`.
    """
    view = _view(viewer, message_id, reader=reader)
    if view is None:
        raise RequestError(ErrorCode.MESSAGE_NOT_FOUND)
    body = messages.get_body(viewer.tenant_id, message_id) if view.access is Access.FULL else None
    if body is None:
        return OpenedMessage(view)
    written, quoted = split_quoted(beginning(body.text))
    text, signature = split_signature(written)
    # The one door through which HTML leaves: it is stored as received.
    safe = None
    if body.html:
        inline = _inline_links(viewer, view.message, attachments=attachments)
        safe = sanitise(body.html, inline=inline)
    return OpenedMessage(
        view,
        text,
        signature or None,
        quoted or None,
        # A piece of HTML is none: its text is there to be read instead.
        safe.html if safe and fits(safe.html) else None,
        safe.blocked_images if safe else 0,
        safe.content_security_policy if safe else None,
        cut=not fits(body.text) or (safe is not None and (safe.cut or not fits(safe.html))),
    )


def link_attachment(
    viewer: Viewer,
    message_id: MessageId,
    number: int,
    *,
    reader: MailReader,
    attachments: AttachmentStore,
    clock: Clock,
) -> AttachmentLink:
    """Return a link to the `number`th attachment, counted from 0.

    Raises `RequestError(ATTACHMENT_NOT_FOUND)` where there is none to be had: also for an
    attachment that was too large to keep, and without full access.
    """
    view = _view(viewer, message_id, reader=reader)
    # Without full access `redact` has left no attachment to find.
    parts = view.message.attachments if view else ()
    if view is None or not 0 <= number < len(parts):
        raise RequestError(ErrorCode.ATTACHMENT_NOT_FOUND)
    url = _link(viewer, view.message, parts[number], attachments=attachments)
    if url is None:
        raise RequestError(ErrorCode.ATTACHMENT_NOT_FOUND)
    return AttachmentLink(parts[number], url, clock.now() + timedelta(seconds=LINK_SECONDS))


def _inline_links(
    viewer: Viewer, message: Message, *, attachments: AttachmentStore
) -> Callable[[str], str | None]:
    # Of two parts with one id the first counts, as it does for mail programs.
    parts = {part.content_id: part for part in reversed(message.attachments) if part.content_id}

    def inline(content_id: str) -> str | None:
        part = parts.get(content_id)
        return None if part is None else _link(viewer, message, part, attachments=attachments)

    return inline


def _link(
    viewer: Viewer, message: Message, part: StoredAttachment, *, attachments: AttachmentStore
) -> str | None:
    """Return a link to an attachment of a message they may see, or None where it was not kept."""
    if part.digest is None or not message.copies:
        return None
    return attachments.link(
        viewer.tenant_id,
        part.digest,
        # Every copy has them all: they are stored before it is noted on the message.
        holder=min(message.copies),
        filename=part.filename,
        # By what it was seen to be: a mail calls HTML image/png as easily as a picture.
        content_type=part.seen.content_type if isinstance(part.seen, Picture) else _A_FILE,
        seconds=LINK_SECONDS,
    )


def _view(viewer: Viewer, message_id: MessageId, *, reader: MailReader) -> MessageView | None:
    if thread_of(message_id) is None:
        return None
    found = load_one(viewer.tenant_id, message_id, reader=reader)
    return show_messages(viewer, found, [message_id], Place.TIMELINE).get(message_id)
