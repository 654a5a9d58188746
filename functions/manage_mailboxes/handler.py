"""HTTP: settings, sync now, backfills, contacts, the tenant's policy, the caller's signature.

Writes the table and the queues; knows no secret.
"""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_limits, wiring_of_push
from shared.api.alias_routes import add_alias_routes
from shared.api.app import make_app, respond, viewer
from shared.api.opening_routes import add_opening_routes
from shared.api.paging import ListOf
from shared.api.schemas.backfills import BackfillShown, StartBackfill
from shared.api.schemas.contacts import (
    ContactResults,
    ContactResultShown,
    ContactShown,
    MergeContact,
    PutContact,
    PutContacts,
)
from shared.api.schemas.dead_letters import ReplayShown
from shared.api.schemas.fields import (
    BackfillIdText,
    IfMatch,
    LetterIdText,
    MailboxIdText,
    version_wanted,
)
from shared.api.schemas.mailboxes import (
    ChangeMailbox,
    MailboxShown,
    RunAsked,
)
from shared.api.schemas.policies import PolicyShown, PutPolicy
from shared.api.signature_routes import add_signature_routes
from shared.api.thread_level_routes import add_thread_level_routes
from shared.domain.ids import BackfillId, ContactId, LetterId, MailboxId
from shared.operations.contacts import delete_contact, merge_contacts, put_contact, put_contacts
from shared.operations.mailbox_settings import change_settings, make_primary
from shared.operations.open_mailbox import OpeningPorts
from shared.operations.read_dead_letters import place_in_text, place_to_text
from shared.operations.read_mailboxes import get_mailbox
from shared.operations.replay_dead_letters import (
    ReplayPorts,
    replay_dead_letter,
    replay_dead_letters,
)
from shared.operations.request_sync import request_sync
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.operations.tenant_policy import change_policy

app = make_app(limit=wiring_of_limits.require_room)
add_opening_routes(
    app,
    # Looked up with each request.
    ports=lambda: OpeningPorts(wiring.mailboxes(), wiring.openings(), wiring.clock()),
    is_allowed=lambda: wiring.are_openings_allowed(),  # noqa: PLW0108
)
add_alias_routes(app, mailboxes=lambda: wiring.mailboxes())  # noqa: PLW0108
add_thread_level_routes(
    app,
    messages=lambda: wiring.messages(),  # noqa: PLW0108
    reader=lambda: wiring.mail_reader(),  # noqa: PLW0108
    threads=lambda: wiring.threads(),  # noqa: PLW0108
)
add_signature_routes(
    app,
    signatures=lambda: wiring.signatures(),  # noqa: PLW0108
    composer=lambda: wiring.composer(),  # noqa: PLW0108
)

MailboxPath = Annotated[MailboxIdText, Path()]
BackfillPath = Annotated[BackfillIdText, Path()]
Next = Annotated[str | None, Query(alias="next")]


@app.patch("/v1/mailboxes/<mailbox_id>", summary="Change its settings", tags=["Mailboxes"])
def change_mailbox(mailbox_id: MailboxPath, body: ChangeMailbox) -> MailboxShown:
    """Change the settings that are named; those left out stay."""
    change_settings(
        viewer(app),
        MailboxId(mailbox_id),
        body.to_change(),
        mailboxes=wiring.mailboxes(),
        openings=wiring.openings(),
        queues=wiring.queues(),
        clock=wiring.clock(),
        cadence=wiring_of_push.cadence(),
    )
    return _shown(mailbox_id)


@app.put(
    "/v1/mailboxes/<mailbox_id>/primary", summary="Make it the caller's primary", tags=["Mailboxes"]
)
def choose_primary_mailbox(mailbox_id: MailboxPath) -> MailboxShown:
    """Make it the caller's primary mailbox."""
    make_primary(viewer(app), MailboxId(mailbox_id), mailboxes=wiring.mailboxes())
    return _shown(mailbox_id)


@app.post(
    "/v1/mailboxes/<mailbox_id>/sync",
    summary="Sync now",
    tags=["Sync"],
    status_code=HTTPStatus.ACCEPTED,
)
def sync_mailbox_now(mailbox_id: MailboxPath) -> RunAsked:
    """Ask for a run at once; one that already waits is not doubled."""
    run_id = request_sync(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        queues=wiring.queues(),
        clock=wiring.clock(),
    )
    return RunAsked(run_id=run_id)


@app.post(
    "/v1/mailboxes/<mailbox_id>/backfills",
    summary="Import the last days",
    tags=["Backfill"],
    status_code=HTTPStatus.CREATED,
)
def begin_backfill(mailbox_id: MailboxPath, body: StartBackfill) -> BackfillShown:
    """Begin to import; what is stored already is not fetched again."""
    clock = wiring.clock()
    backfill = start_backfill(
        viewer(app),
        MailboxId(mailbox_id),
        body.days,
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        queues=wiring.queues(),
        clock=clock,
    )
    return BackfillShown.of(backfill, clock.now())


@app.post(
    "/v1/mailboxes/<mailbox_id>/backfills/<backfill_id>/pause",
    summary="Pause it",
    tags=["Backfill"],
)
def pause_backfill(mailbox_id: MailboxPath, backfill_id: BackfillPath) -> BackfillShown:
    """Release no further chunk until it is resumed."""
    return _changed(mailbox_id, backfill_id, BackfillAction.PAUSE)


@app.post(
    "/v1/mailboxes/<mailbox_id>/backfills/<backfill_id>/resume",
    summary="Go on with it",
    tags=["Backfill"],
)
def resume_backfill(mailbox_id: MailboxPath, backfill_id: BackfillPath) -> BackfillShown:
    """Go on where it was paused or failed."""
    return _changed(mailbox_id, backfill_id, BackfillAction.RESUME)


@app.post(
    "/v1/mailboxes/<mailbox_id>/backfills/<backfill_id>/cancel",
    summary="Cancel it",
    tags=["Backfill"],
)
def cancel_backfill(mailbox_id: MailboxPath, backfill_id: BackfillPath) -> BackfillShown:
    """End it for good; what was imported stays."""
    return _changed(mailbox_id, backfill_id, BackfillAction.CANCEL)


@app.post(
    "/v1/mailboxes/<mailbox_id>/dead-letters/replay",
    summary="Try all of them again",
    tags=["Dead letters"],
    status_code=HTTPStatus.ACCEPTED,
)
def replay_letters(mailbox_id: MailboxPath, next_: Next = None) -> ReplayShown:
    """Have everything that was given up read or done again, a thousand letters a request.

    Repeating it queues nothing twice; `next` goes on behind these.
    """
    who = viewer(app)
    pages = ListOf(who.tenant_id, f"dead-letters/{mailbox_id}/replay")
    replay = replay_dead_letters(
        who,
        MailboxId(mailbox_id),
        after=place_in_text(pages.text_position(next_)),
        ports=_replay_ports(),
    )
    return ReplayShown.of(replay, going_on=pages.token(place_to_text(replay.next)))


@app.post(
    "/v1/mailboxes/<mailbox_id>/dead-letters/<letter_id>/replay",
    summary="Try it again",
    tags=["Dead letters"],
    status_code=HTTPStatus.ACCEPTED,
)
def replay_letter(
    mailbox_id: MailboxPath, letter_id: Annotated[LetterIdText, Path()]
) -> ReplayShown:
    """Have one message read again, or work done again; the letter goes when that succeeds."""
    replay = replay_dead_letter(
        viewer(app), MailboxId(mailbox_id), LetterId(letter_id), ports=_replay_ports()
    )
    return ReplayShown.of(replay)


@app.post("/v1/contacts/batch", summary="Create or replace up to 100", tags=["Contacts"])
def save_contacts(body: PutContacts) -> ContactResults:
    """Create or replace contacts, each by itself.

    The result names those that were refused, and why.
    """
    results = put_contacts(
        viewer(app),
        body.to_many(),
        contacts=wiring.contacts(),
        clock=wiring.clock(),
    )
    return ContactResults(items=[ContactResultShown.of(result) for result in results])


@app.put("/v1/contacts/<contact_id>", summary="Create or replace one", tags=["Contacts"])
def save_contact(
    contact_id: Annotated[str, Path()],
    body: PutContact,
    if_match: Annotated[IfMatch, Header(alias="if-match")] = None,
) -> ContactShown:
    """Create or replace a contact under the CRM's own id."""
    contact = put_contact(
        viewer(app),
        body.to_new(unquote(contact_id)),
        expected_version=version_wanted(if_match),
        contacts=wiring.contacts(),
        clock=wiring.clock(),
    )
    return ContactShown.of(contact)


@app.post("/v1/contacts/<contact_id>/merge", summary="Take another one in", tags=["Contacts"])
def take_in_contact(
    contact_id: Annotated[str, Path()],
    body: MergeContact,
    if_match: Annotated[IfMatch, Header(alias="if-match")] = None,
) -> ContactShown:
    """Make another contact a part of this one: its addresses and so its mail, at once.

    Whoever asks for the other's id is told this one (410 `contact_merged`). This one keeps its
    name, and its own value of an attribute that both have. Repeated, it changes nothing.
    """
    contact = merge_contacts(
        viewer(app),
        ContactId(unquote(contact_id)),
        ContactId(body.other),
        expected_version=version_wanted(if_match),
        expected_other_version=body.from_version,
        contacts=wiring.contacts(),
        clock=wiring.clock(),
    )
    return ContactShown.of(contact)


@app.delete(
    "/v1/contacts/<contact_id>",
    summary="Delete one; its mail stays",
    tags=["Contacts"],
    status_code=HTTPStatus.NO_CONTENT,
)
def remove_contact(contact_id: Annotated[str, Path()]) -> Response[None]:
    """Delete a contact, and the ids that were merged into it. Mail is not touched."""
    delete_contact(viewer(app), ContactId(unquote(contact_id)), contacts=wiring.contacts())
    return Response(status_code=HTTPStatus.NO_CONTENT)


@app.put("/v1/policy", summary="Replace what the tenant keeps out", tags=["Policy"])
def replace_policy(
    body: PutPolicy,
    if_match: Annotated[IfMatch, Header(alias="if-match")] = None,
) -> PolicyShown:
    """Replace the tenant's policy, as an administrator.

    It holds at once: mail that it keeps out is no longer shown, mail that it lets in again is.
    What a former policy left at the provider was never stored; the next import brings it in.
    """
    policy = change_policy(
        viewer(app),
        body.to_policy(),
        expected_version=version_wanted(if_match),
        policies=wiring.policies(),
    )
    return PolicyShown.of(policy)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one HTTP API request."""
    return respond(app, event, context)


def _replay_ports() -> ReplayPorts:
    return ReplayPorts(
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        letters=wiring.letters(),
        queues=wiring.queues(),
        clock=wiring.clock(),
    )


def _shown(mailbox_id: str) -> MailboxShown:
    view = get_mailbox(
        viewer(app),
        MailboxId(mailbox_id),
        mailboxes=wiring.mailboxes(),
        audits=wiring.audits(),
        clock=wiring.clock(),
    )
    return MailboxShown.of(view)


def _changed(mailbox_id: str, backfill_id: str, action: BackfillAction) -> BackfillShown:
    clock = wiring.clock()
    backfill = change_backfill(
        viewer(app),
        MailboxId(mailbox_id),
        BackfillId(backfill_id),
        action,
        mailboxes=wiring.mailboxes(),
        backfills=wiring.backfills(),
        queues=wiring.queues(),
        clock=clock,
    )
    return BackfillShown.of(backfill, clock.now())
