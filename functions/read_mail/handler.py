"""HTTP: every GET but the disconnection preview.

Reads the table and the bucket and nothing else.
"""

import re
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring
from shared.api.activity_routes import add_activity_route
from shared.api.app import make_app, respond, viewer
from shared.api.caller_routes import add_caller_route
from shared.api.dead_letter_routes import add_dead_letter_routes
from shared.api.erasure_routes import add_erasure_routes
from shared.api.opening_routes import add_opening_list
from shared.api.paging import ListOf
from shared.api.policy_routes import add_policy_routes
from shared.api.public_routes import add_public_routes
from shared.api.round_trip_routes import add_round_trip_route
from shared.api.schemas.backfills import BackfillList, BackfillShown
from shared.api.schemas.contacts import ContactList, ContactShown
from shared.api.schemas.fields import (
    AddressText,
    BackfillIdText,
    Instant,
    MailboxIdText,
    MessageIdText,
    RunIdText,
    ThreadIdText,
)
from shared.api.schemas.mail import (
    AttachmentLinkShown,
    MessageList,
    MessageShown,
    ThreadShown,
    WholeMessage,
)
from shared.api.schemas.mailboxes import (
    FolderList,
    FolderShown,
    MailboxList,
    MailboxShown,
    RunList,
    RunShown,
    WholeRun,
)
from shared.api.schemas.presets import PresetShown
from shared.api.schemas.servers import ServerShown
from shared.api.send_routes import add_send_routes
from shared.api.signature_routes import add_signature_reading
from shared.api.thread_level_routes import add_thread_level_list
from shared.domain.ids import (
    BackfillId,
    ContactId,
    FolderId,
    MailboxId,
    MessageId,
    RunId,
    ThreadId,
)
from shared.operations import contacts as reading_contacts
from shared.operations import read_mail, read_mailboxes
from shared.operations.open_mailbox import OpeningPorts
from shared.operations.page_through import Page
from shared.operations.read_dead_letters import LetterPorts
from shared.operations.search_mail import Search, search_mail

app = make_app()
# Not `wiring.erasures` itself: what stands there is looked up with each request.
add_erasure_routes(app, erasures=lambda: wiring.erasures())  # noqa: PLW0108
add_opening_list(
    app, ports=lambda: OpeningPorts(wiring.mailboxes(), wiring.openings(), wiring.clock())
)
add_thread_level_list(app, messages=lambda: wiring.messages(), reader=lambda: wiring.mail_reader())  # noqa: PLW0108
add_policy_routes(app, policies=lambda: wiring.policies())  # noqa: PLW0108
add_signature_reading(app, signatures=lambda: wiring.signatures())  # noqa: PLW0108
add_public_routes(app)
add_caller_route(app)
add_send_routes(
    app,
    mailboxes=lambda: wiring.mailboxes(),  # noqa: PLW0108
    sends=lambda: wiring.sends(),  # noqa: PLW0108
    messages=lambda: wiring.messages(),  # noqa: PLW0108
    reader=lambda: wiring.mail_reader(),  # noqa: PLW0108
)
add_round_trip_route(
    app,
    mailboxes=lambda: wiring.mailboxes(),  # noqa: PLW0108
    sends=lambda: wiring.sends(),  # noqa: PLW0108
    clock=lambda: wiring.clock(),  # noqa: PLW0108
)

MailboxPath = Annotated[MailboxIdText, Path()]
Limit = Annotated[int, Query(ge=1, le=100)]
Next = Annotated[str | None, Query(alias="next")]


# ---- mailboxes ----


@app.get("/v1/presets", summary="Settings for an address", tags=["Connect"])
def find_preset(address: Annotated[AddressText, Query()]) -> PresetShown:
    """Return what to fill in for an address, and what its provider asks for first."""
    viewer(app)
    known = wiring.preset_for(address)
    if known is None:
        return PresetShown(address=address, found=False, notes=[])
    return PresetShown(
        address=address,
        found=True,
        id=known.id,
        name=known.name,
        imap=ServerShown.of(known.imap.settings_for(address)),
        smtp=ServerShown.of(known.smtp.settings_for(address)),
        oauth_only=known.oauth_only,
        app_password=known.app_password,
        app_password_page=known.app_password_page,
        notes=list(known.notes),
    )


@app.get("/v1/mailboxes", summary="Mailboxes the caller may see", tags=["Mailboxes"])
def list_mailboxes() -> MailboxList:
    """List the caller's own mailboxes and those shared with them; an administrator sees all."""
    views = read_mailboxes.list_mailboxes(
        viewer(app),
        mailboxes=wiring.mailboxes(),
        audits=wiring.audits(),
        clock=wiring.clock(),
    )
    return MailboxList(items=[MailboxShown.of(view) for view in views])


@app.get("/v1/mailboxes/<mailbox_id>", summary="One mailbox", tags=["Mailboxes"])
def get_mailbox(mailbox_id: MailboxPath) -> MailboxShown:
    """Read a mailbox's settings and health."""
    view = read_mailboxes.get_mailbox(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        audits=wiring.audits(),
        clock=wiring.clock(),
    )
    return MailboxShown.of(view)


@app.get("/v1/mailboxes/<mailbox_id>/folders", summary="Its folders", tags=["Mailboxes"])
def list_folders(mailbox_id: MailboxPath) -> FolderList:
    """List folders with their role, and which are synced."""
    views = read_mailboxes.list_folders(
        viewer(app), MailboxId(mailbox_id), mailboxes=wiring.mailboxes()
    )
    return FolderList(items=[FolderShown.of(view) for view in views])


@app.get("/v1/mailboxes/<mailbox_id>/runs", summary="Its runs, newest first", tags=["Sync"])
def list_runs(mailbox_id: MailboxPath, limit: Limit = 50, next_: Next = None) -> RunList:
    """List what sync and backfill did."""
    who = viewer(app)
    pages = ListOf(who.tenant_id, f"runs/{mailbox_id}")
    position = pages.text_position(next_)
    runs, going_on = read_mailboxes.list_runs(
        who,
        MailboxId(mailbox_id),
        before=RunId(position) if position else None,
        limit=limit,
        mailboxes=wiring.mailboxes(),
        runs=wiring.runs(),
    )
    return RunList(items=[RunShown.of(run) for run in runs], next=pages.token(going_on))


@app.get("/v1/mailboxes/<mailbox_id>/runs/<run_id>", summary="One run", tags=["Sync"])
def get_run(mailbox_id: MailboxPath, run_id: Annotated[RunIdText, Path()]) -> WholeRun:
    """Read one run and which messages it could not read; it appears when it has ended."""
    run = read_mailboxes.get_run(
        viewer(app),
        MailboxId(mailbox_id),
        RunId(run_id),
        mailboxes=wiring.mailboxes(),
        runs=wiring.runs(),
    )
    return WholeRun.of(run)


@app.get("/v1/mailboxes/<mailbox_id>/backfills", summary="Its imports", tags=["Backfill"])
def list_backfills(mailbox_id: MailboxPath) -> BackfillList:
    """List imports, newest first."""
    backfills = read_mailboxes.list_backfills(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
    )
    now = wiring.clock().now()
    return BackfillList(items=[BackfillShown.of(backfill, now) for backfill in backfills])


@app.get(
    "/v1/mailboxes/<mailbox_id>/backfills/<backfill_id>", summary="One import", tags=["Backfill"]
)
def get_backfill(
    mailbox_id: MailboxPath, backfill_id: Annotated[BackfillIdText, Path()]
) -> BackfillShown:
    """Read how far an import has come."""
    backfill = read_mailboxes.get_backfill(
        viewer(app),
        MailboxId(mailbox_id),
        BackfillId(backfill_id),
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
    )
    return BackfillShown.of(backfill, wiring.clock().now())


def _letter_ports() -> LetterPorts:
    return LetterPorts(
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        messages=wiring.messages(),
        letters=wiring.letters(),
        clock=wiring.clock(),
    )


add_dead_letter_routes(app, ports=_letter_ports)
add_activity_route(app, activity=lambda: wiring.activity(), ports=_letter_ports)  # noqa: PLW0108


# ---- contacts ----


@app.get("/v1/contacts", summary="Contacts, in order of id", tags=["Contacts"])
def list_contacts(limit: Limit = 50, next_: Next = None) -> ContactList:
    """List contacts."""
    who = viewer(app)
    pages = ListOf(who.tenant_id, "contacts")
    position = pages.text_position(next_)
    found, going_on = reading_contacts.list_contacts(
        who,
        after=ContactId(position) if position else None,
        limit=limit,
        contacts=wiring.contacts(),
    )
    items = [ContactShown.of(contact) for contact in found]
    return ContactList(items=items, next=pages.token(going_on))


@app.get("/v1/contacts/<contact_id>", summary="One contact", tags=["Contacts"])
def get_contact(contact_id: Annotated[str, Path()]) -> ContactShown:
    """Read a contact."""
    found = reading_contacts.get_contact(
        viewer(app), ContactId(unquote(contact_id)), contacts=wiring.contacts()
    )
    return ContactShown.of(found)


@app.get("/v1/contacts/<contact_id>/messages", summary="A contact's timeline", tags=["Mail"])
def read_timeline(
    contact_id: Annotated[str, Path()], limit: Limit = 50, next_: Next = None
) -> MessageList:
    """List the mail with a contact, over all its addresses and all mailboxes, newest first.

    A page may be shorter than `limit`: whether it goes on is said by `next`.
    """
    who = viewer(app)
    contact = ContactId(unquote(contact_id))
    pages = ListOf(who.tenant_id, f"timeline/{contact}")
    page = read_mail.read_timeline(
        who,
        contact,
        before=pages.entry_position(next_),
        limit=limit,
        messages=wiring.messages(),
        reader=wiring.mail_reader(),
    )
    return _message_list(page, pages)


# ---- mail ----


@app.get("/v1/messages", summary="Search", tags=["Mail"])
def search_messages(
    *,
    mailbox_id: Annotated[MailboxIdText | None, Query()] = None,
    folder: Annotated[str | None, Query(max_length=1_000)] = None,
    from_: Annotated[str | None, Query(alias="from", max_length=320)] = None,
    to: Annotated[str | None, Query(max_length=320)] = None,
    subject: Annotated[str | None, Query(max_length=320)] = None,
    since: Annotated[Instant | None, Query()] = None,
    until: Annotated[Instant | None, Query()] = None,
    limit: Limit = 50,
    next_: Next = None,
) -> MessageList:
    """Find messages that mailboxes the caller may open hold now; all that is given must hold.

    `folder` is the id of one of the folders of `mailbox_id`; `from` and `to` are whole addresses;
    `subject` is a part of the subject in any case of letters; `until` is exclusive. A page may be
    shorter than `limit`: whether it goes on is said by `next`.
    """
    who = viewer(app)
    wanted = Search(
        mailbox_id=None if mailbox_id is None else MailboxId(mailbox_id),
        folder_id=None if folder is None else FolderId(folder),
        sender=from_,
        recipient=to,
        subject=subject,
        since=since,
        until=until,
    )
    pages = ListOf(who.tenant_id, "messages", asdict(wanted))
    page = search_mail(
        who,
        wanted,
        before=pages.entry_position(next_),
        limit=limit,
        mailboxes=wiring.mailboxes(),
        messages=wiring.messages(),
        reader=wiring.mail_reader(),
    )
    return _message_list(page, pages)


@app.get("/v1/messages/<message_id>", summary="One message, with its body", tags=["Mail"])
def get_message(
    message_id: Annotated[MessageIdText, Path()],
    *,
    remote_images: Annotated[bool, Query()] = False,
) -> WholeMessage:
    """Read a message.

    `remote_images` keeps pictures of the web, by which a sender learns it was read.
    """
    who = viewer(app)
    message = read_mail.read_message(
        who,
        MessageId(message_id),
        messages=wiring.messages(),
        reader=wiring.mail_reader(),
        attachments=wiring.attachments(),
        sanitise=wiring.sanitiser(remote_images=remote_images),
    )
    return WholeMessage.opened(message, who.tenant_id)


@app.get(
    "/v1/messages/<message_id>/attachments/<n>", summary="A link to an attachment", tags=["Mail"]
)
def get_attachment(
    message_id: Annotated[MessageIdText, Path()], n: Annotated[str, Path()]
) -> AttachmentLinkShown:
    """Return a link that downloads one attachment and works for five minutes."""
    link = read_mail.link_attachment(
        viewer(app),
        MessageId(message_id),
        int(n) if re.fullmatch(r"[0-9]{1,4}", n) else -1,
        reader=wiring.mail_reader(),
        attachments=wiring.attachments(),
        clock=wiring.clock(),
    )
    return AttachmentLinkShown.of(link)


@app.get("/v1/threads/<thread_id>", summary="A thread, oldest first", tags=["Mail"])
def get_thread(
    thread_id: Annotated[ThreadIdText, Path()], limit: Limit = 50, next_: Next = None
) -> ThreadShown:
    """Read what the caller may see of a thread, in pages that may be shorter than `limit`."""
    who = viewer(app)
    pages = ListOf(who.tenant_id, f"thread/{thread_id}")
    page = read_mail.read_thread(
        who,
        ThreadId(thread_id),
        after=pages.entry_position(next_),
        limit=limit,
        messages=wiring.messages(),
        reader=wiring.mail_reader(),
    )
    shown = _message_list(page, pages)
    return ThreadShown(id=thread_id, items=shown.items, next=shown.next)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)


def _message_list(page: Page, pages: ListOf) -> MessageList:
    items = [MessageShown.of(view) for view in page.items]
    return MessageList(items=items, next=pages.entry_token(page.next))
