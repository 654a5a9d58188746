"""What may be changed about a connected mailbox, by whom, and what follows from it.

Whose mail it is and how much of it others see are not an administrator's to decide: for a personal
mailbox only its owner changes `visibility` or hands it on, or there would be a way around the rule
in `domain/visibility`. Of a shared one administrators decide both; one who lets anybody in by that,
themselves or others, is on the same record as one who opens it (`open_mailbox`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Any, Final

from shared.domain.composing import refusals
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import FolderId, MailboxId, OpeningId, RunId, UserId, new_ulid
from shared.domain.mailbox import (
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Purpose,
    Readers,
    StoredMail,
    Visibility,
)
from shared.domain.opening import Opening
from shared.domain.permissions import require_change, require_sight
from shared.domain.run import RunReason
from shared.domain.schedule import AS_WISHED, CADENCES_MINUTES, Cadence
from shared.domain.visibility import Place, Viewer, access_to_mailbox, without_openings
from shared.ports.clock import Clock
from shared.ports.openings import OpeningStore
from shared.ports.queues import SyncRequest, WorkQueues
from shared.ports.stores import MailboxStore

_ATTEMPTS = 3
_RIGHTS = frozenset({"granted_to", "owner_user_id", "visibility"})
_NAMED_NOWHERE = UserId("")
"""Who sees what everyone does."""
_MOST_NAMED = 20
"""Of those let in by one change, in its record."""
ONLY_SHARED_IS_GRANTED = "A personal mailbox is its owner's: only a shared one is granted."


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET
"""Not mentioned by the caller, which is not the same as None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChange:
    """The settings to change; those left UNSET stay.

    `active_folders` None goes back to what is synced by default.
    """

    display_name: str | _Unset = UNSET
    reply_to: str | _Unset | None = UNSET
    purpose: Purpose | _Unset = UNSET
    visibility: Visibility | _Unset = UNSET
    granted_to: Readers | _Unset = UNSET
    owner_user_id: UserId | _Unset = UNSET
    recovery_note: str | _Unset = UNSET
    active_folders: tuple[FolderId, ...] | _Unset | None = UNSET
    create_contacts: bool | _Unset = UNSET
    store: StoredMail | _Unset = UNSET
    sync_minutes: int | _Unset = UNSET

    def given(self) -> Mapping[str, Any]:
        """Return what was set, by the mailbox's own field names."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not UNSET}


def change_settings(
    viewer: Viewer,
    mailbox_id: MailboxId,
    change: SettingsChange,
    *,
    mailboxes: MailboxStore,
    openings: OpeningStore,
    queues: WorkQueues,
    clock: Clock,
    cadence: Cadence = AS_WISHED,
) -> Mailbox:
    """Change settings and return the mailbox.

    1. check what is asked against the mailbox as it stands, and write only if it still stands so;
       an administrator by whom anybody sees more of a shared mailbox is recorded in the same write
    2. other folders or another cadence: ask for a run, which reads the folders and moves the
       mailbox in the schedule

    Which mail is stored from now on says `store`: what is stored stays, and what was passed by
    comes by an import, or with its contact.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `ADMIN_REQUIRED`, `INVALID_REQUEST` naming the
    fields), `ConflictError(VERSION_CONFLICT)` when somebody else keeps changing it.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        record = mailboxes.get(viewer.tenant_id, mailbox_id)
        mailbox = require_change(viewer, record.mailbox if record else None)
        given = _checked(viewer, mailbox, change, mailboxes=mailboxes, cadence=cadence)
        if all(getattr(mailbox, name) == value for name, value in given.items()):
            return mailbox
        if given.get("store") is StoredMail.CONTACTS_ONLY:
            given["contacts_since"] = mailbox.contacts_since or clock.now()
        changed = replace(mailbox, **given)
        opening = _let_in(viewer, mailbox, changed, given, clock=clock)
        try:
            if opening is None:
                saved = mailboxes.save_settings(changed)
            else:
                saved = openings.save_with(changed, opening)
        except ConflictError:
            # Our fields are merged into whatever stands now; only a writer who never stops makes us
            # give up.
            if attempt == _ATTEMPTS:
                raise
            continue
        if {"active_folders", "sync_minutes"} & given.keys():
            _ask_for_run(saved, mailboxes=mailboxes, queues=queues, clock=clock)
        return saved
    raise AssertionError("the last attempt returns or raises")


def _let_in(
    viewer: Viewer, before: Mailbox, after: Mailbox, given: Mapping[str, Any], *, clock: Clock
) -> Opening | None:
    """Return what is recorded of a change by which anybody sees more of a shared mailbox's mail."""
    if after.kind is not MailboxKind.SHARED:
        return None
    named = sorted({*after.granted_to.users, after.owner_user_id})
    gaining = [one for one in (_NAMED_NOWHERE, *named) if _gains(one, before, after)]
    if not gaining:
        return None
    who = ", ".join(one or "everyone" for one in gaining[:_MOST_NAMED])
    if len(gaining) > _MOST_NAMED:
        who += f" and {len(gaining) - _MOST_NAMED} others"
    changed = ", ".join(sorted(_RIGHTS & given.keys()))
    reason = f"Changed {changed}. By that these see more of its mail: {who}."
    now = clock.now()
    return Opening(OpeningId(new_ulid(now)), viewer.user_id, reason, now, None)


def _gains(user_id: UserId, before: Mailbox, after: Mailbox) -> bool:
    who, place = Viewer(after.tenant_id, user_id), Place.MAILBOX
    return access_to_mailbox(who, after, place) > access_to_mailbox(who, before, place)


def make_primary(viewer: Viewer, mailbox_id: MailboxId, *, mailboxes: MailboxStore) -> None:
    """Make a mailbox the viewer's primary.

    Raises `RequestError(MAILBOX_NOT_FOUND)`, `OWNER_REQUIRED` for one that is another person's,
    `ConflictError(WRONG_STATE)` for one that is disconnected.
    """
    record = mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_sight(viewer, record.mailbox if record else None)
    if not access_to_mailbox(without_openings(viewer), mailbox, Place.MAILBOX):
        raise RequestError(ErrorCode.OWNER_REQUIRED)
    if mailbox.status is MailboxStatus.DISCONNECTED:
        raise ConflictError(ErrorCode.WRONG_STATE, words="The mailbox is disconnected.")
    mailboxes.set_primary(viewer.tenant_id, viewer.user_id, mailbox.id)


def _checked(
    viewer: Viewer,
    mailbox: Mailbox,
    change: SettingsChange,
    *,
    mailboxes: MailboxStore,
    cadence: Cadence,
) -> dict[str, Any]:
    given = dict(change.given())
    refused: list[tuple[str, str]] = []
    personal = mailbox.kind is MailboxKind.PERSONAL
    owners_own = {"visibility", "owner_user_id"} & given.keys()
    if personal and viewer.user_id != mailbox.owner_user_id and owners_own:
        refused += [
            (name, "Only the mailbox's owner may change this.") for name in sorted(owners_own)
        ]
    if personal and "granted_to" in given:
        refused.append(("granted_to", ONLY_SHARED_IS_GRANTED))
    if change.reply_to not in (None, UNSET):
        # Every mail would be refused for it, and name a field that nobody gave.
        refused += refusals(str(change.reply_to), "reply_to")
    permitted = [minutes for minutes in CADENCES_MINUTES if minutes >= cadence.least]
    if change.sync_minutes is not UNSET and change.sync_minutes not in permitted:
        choices = ", ".join(map(str, permitted))
        refused.append(("sync_minutes", f"One of {choices}."))
    if change.active_folders is not UNSET and change.active_folders is not None:
        given["active_folders"] = tuple(dict.fromkeys(change.active_folders))
        refused += unknown_folders(mailbox, given["active_folders"], mailboxes=mailboxes)
    if refused:
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=refused)
    return given


def unknown_folders(
    mailbox: Mailbox, chosen: tuple[FolderId, ...], *, mailboxes: MailboxStore
) -> list[tuple[str, str]]:
    """Return what is wrong with folders somebody chose, by field; nothing where all are known."""
    if not chosen:
        return []
    states = mailboxes.folders(mailbox.tenant_id, mailbox.id)
    known = {state.folder.id for state in states if state.folder.selectable and not state.gone_at}
    return [
        ("active_folders", f"There is no folder {folder_id!r} that can be opened.")
        for folder_id in chosen
        if folder_id not in known
    ]


def _ask_for_run(
    mailbox: Mailbox, *, mailboxes: MailboxStore, queues: WorkQueues, clock: Clock
) -> None:
    if mailbox.status is not MailboxStatus.ACTIVE:
        return
    run_id = mailboxes.request_run(mailbox.tenant_id, mailbox.id, RunId(new_ulid(clock.now())))
    queues.send_syncs([SyncRequest(mailbox.tenant_id, mailbox.id, RunReason.REQUESTED, run_id)])
