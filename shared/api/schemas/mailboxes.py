"""How mailboxes, their folders and runs are shown, and what changes them."""

from datetime import datetime

from shared.api.schemas.aliases import AliasShown
from shared.api.schemas.completeness import CompletenessShown
from shared.api.schemas.fields import (
    ActiveFolders,
    AddressText,
    Given,
    GrantedTo,
    Id,
    Line,
    Note,
    Shown,
    SyncMinutes,
    readers_given,
)
from shared.api.schemas.openings import OpeningShown
from shared.api.schemas.servers import ServerShown
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanations import explain, explain_while_retried
from shared.domain.folders import FolderRole
from shared.domain.ids import FolderId, UserId
from shared.domain.ledger import LEFT_OUT, Fate
from shared.domain.mailbox import (
    LatestError,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    StoredMail,
    Visibility,
)
from shared.domain.run import Run, RunReason
from shared.operations.mailbox_settings import SettingsChange
from shared.operations.read_mailboxes import FolderView, MailboxView


class LatestErrorShown(Shown):
    """The trouble a mailbox is in: what, whose move it is, what to do, and since when."""

    code: ErrorCode
    message: str
    acts: Acts
    fix: str
    first_seen_at: datetime
    last_seen_at: datetime
    count: int
    next_retry_at: datetime | None
    run_id: str | None

    @classmethod
    def of(cls, error: LatestError, status: MailboxStatus) -> "LatestErrorShown":
        """Show an error of a mailbox in the words of its code."""
        is_retried = status is MailboxStatus.ACTIVE and error.next_retry_at is not None
        words = (explain_while_retried if is_retried else explain)(error.code)
        return cls(
            code=error.code,
            message=words.message,
            acts=words.acts,
            fix=words.fix,
            first_seen_at=error.first_seen_at,
            last_seen_at=error.last_seen_at,
            count=error.count,
            next_retry_at=error.next_retry_at,
            run_id=error.run_id,
        )


def _shown(error: LatestError | None, status: MailboxStatus) -> LatestErrorShown | None:
    return None if error is None else LatestErrorShown.of(error, status)


class LatestErrors(Shown):
    """One for each direction; null when all is well."""

    inbound: LatestErrorShown | None
    outbound: LatestErrorShown | None
    push: LatestErrorShown | None = None


def _granted_to(box: Mailbox) -> GrantedTo | None:
    if box.kind is MailboxKind.PERSONAL:
        return None
    return "everyone" if box.granted_to.everyone else list(box.granted_to.users)


class MailboxShown(Shown):
    """A connected mailbox."""

    id: str
    provider: Provider
    address: str
    display_name: str
    reply_to: str | None
    aliases: list[AliasShown]
    """Further addresses to send from, those that are not verified yet included."""
    kind: MailboxKind
    purpose: Purpose
    owner_user_id: str
    status: MailboxStatus
    is_primary: bool
    active_folders: list[str] | None
    """Ids of the folders that are synced; null is all but trash, spam and drafts."""
    visibility: Visibility
    granted_to: GrantedTo | None
    """Who may read a shared mailbox besides its owner; null for a personal one, which is not."""
    openings: list[OpeningShown] | None
    """By which administrators see its mail now; null for all but its owner and administrators."""
    create_contacts: bool
    store: StoredMail
    backfill_days: int
    allow_untrusted_certificate: bool
    connected_at: datetime
    last_synced_at: datetime | None
    next_run_at: datetime | None
    late_since: datetime | None
    """Null where it is in time, by its cadence and its rest; else when it was to be looked at."""
    latest_error: LatestErrors
    completeness: CompletenessShown | None
    """Null before the first daily audit."""
    sync_minutes: int
    recovery_note: str | None
    """Null, as `imap` and `smtp`, for those who may not change the mailbox."""
    imap: ServerShown | None
    """Null for Gmail and Outlook, whose owners sign in at the provider; likewise `smtp`."""
    smtp: ServerShown | None

    @classmethod
    def of(cls, view: MailboxView) -> "MailboxShown":
        """Show a mailbox as its viewer may see it."""
        box = view.mailbox
        return cls(
            id=box.id,
            provider=box.provider,
            address=box.address,
            display_name=box.display_name,
            reply_to=box.reply_to,
            aliases=[AliasShown.of(one) for one in box.aliases],
            kind=box.kind,
            purpose=box.purpose,
            owner_user_id=box.owner_user_id,
            status=box.status,
            is_primary=view.is_primary,
            active_folders=None if box.active_folders is None else list(box.active_folders),
            visibility=box.visibility,
            granted_to=_granted_to(box),
            openings=None if view.openings is None else list(map(OpeningShown.of, view.openings)),
            create_contacts=box.create_contacts,
            store=box.store,
            backfill_days=box.backfill_days,
            allow_untrusted_certificate=box.allow_untrusted_certificate,
            connected_at=box.connected_at,
            last_synced_at=view.run_state.last_synced_at,
            next_run_at=view.next_run_at,
            late_since=view.late_since,
            latest_error=LatestErrors(
                inbound=_shown(box.inbound_error, box.status),
                outbound=_shown(box.outbound_error, box.status),
            ),
            completeness=CompletenessShown.of(view.completeness) if view.completeness else None,
            sync_minutes=box.sync_minutes,
            recovery_note=box.recovery_note if view.may_change else None,
            imap=ServerShown.of(box.imap) if box.imap and view.may_change else None,
            smtp=ServerShown.of(box.smtp) if box.smtp and view.may_change else None,
        )


class MailboxList(Shown):
    """Mailboxes."""

    items: list[MailboxShown]
    next: str | None = None


class ChangeMailbox(Given):
    """The settings to change; what is left out stays."""

    display_name: Line | None = None
    reply_to: AddressText | None = None
    purpose: Purpose | None = None
    visibility: Visibility | None = None
    granted_to: GrantedTo | None = None
    """Who may read a shared mailbox besides its owner: users, or `everyone` in the tenant."""
    owner_user_id: Id | None = None
    recovery_note: Note | None = None
    active_folders: ActiveFolders | None = None
    """Null goes back to all but trash, spam and drafts."""
    create_contacts: bool | None = None
    store: StoredMail | None = None
    """Of which messages content is stored from now on; what is stored stays.

    After `contacts_only`, what was left at the provider comes by an import.
    """
    sync_minutes: SyncMinutes | None = None

    def to_change(self) -> SettingsChange:
        """Return what the operation takes.

        Null empties what can be empty and else is as left out.
        """
        may_be_null = {"reply_to", "active_folders"}
        given = {
            name: getattr(self, name)
            for name in self.model_fields_set
            if name in may_be_null or getattr(self, name) is not None
        }
        if given.get("active_folders") is not None:
            given["active_folders"] = tuple(FolderId(name) for name in given["active_folders"])
        if "owner_user_id" in given:
            given["owner_user_id"] = UserId(given["owner_user_id"])
        if "granted_to" in given:
            given["granted_to"] = readers_given(given["granted_to"])
        return SettingsChange(**given)


class FolderShown(Shown):
    """A folder of a mailbox, and whether it is synced."""

    id: str
    name: str
    role: FolderRole
    selectable: bool
    active: bool

    @classmethod
    def of(cls, view: FolderView) -> "FolderShown":
        """Show a folder."""
        folder = view.folder
        return cls(
            id=folder.id,
            name=folder.name,
            role=folder.role,
            selectable=folder.selectable,
            active=view.active,
        )


class FolderList(Shown):
    """Folders."""

    items: list[FolderShown]
    next: str | None = None


class RunShown(Shown):
    """One ended run. `listed` is the sum of what follows it, up to `failed`."""

    id: str
    mailbox_id: str
    reason: RunReason
    started_at: datetime
    ended_at: datetime
    listed: int
    stored: int
    already_stored: int
    skipped: dict[str, int]
    """What stays at the provider, by reason: `before_history`, `folder_not_active`, `erased`; by
    policy `internal`, `blocked`, `automated`; `no_contact` where only contacts' mail is kept.
    """
    unreadable: int
    gone: int
    failed: int
    flags_changed: int
    moved: int
    removed: int
    contacts_made: int
    """Of senders nobody knew, where the mailbox has `create_contacts`."""
    contacts_put_off: int
    """Senders who were not made contacts. A tenant's mail makes 10,000 a day, and of one address
    with other tags no more once it has 250; they are met again when they write next."""
    code: ErrorCode | None
    message: str
    backfill_id: str | None

    @classmethod
    def of(cls, run: Run) -> "RunShown":
        """Show a run."""
        counts = run.counts
        return cls(
            id=run.id,
            mailbox_id=run.mailbox_id,
            reason=run.reason,
            started_at=run.started_at,
            ended_at=run.ended_at,
            listed=counts.listed,
            stored=counts.stored,
            already_stored=counts.already_stored,
            skipped=dict(counts.skipped),
            unreadable=counts.unreadable,
            gone=counts.gone,
            failed=counts.failed,
            flags_changed=counts.flags_changed,
            moved=counts.moved,
            removed=counts.removed,
            contacts_made=counts.contacts_made,
            contacts_put_off=counts.contacts_put_off,
            code=run.code,
            message=explain(run.code).message if run.code else _summary(run),
            backfill_id=run.backfill_id,
        )


class UnreadableMessage(Shown):
    """A message that could not be read and was not stored; it stays at the provider."""

    provider_message_id: str
    """The provider's own id; by IMAP the folder's id, its UIDVALIDITY and the message's UID."""
    reason: str
    """`message_malformed`, `message_too_large`, `not_handed_over` or `killed_its_reader`."""


class WholeRun(RunShown):
    """One ended run, with the messages that could not be read."""

    unreadable_messages: list[UnreadableMessage]

    @classmethod
    def of(cls, run: Run) -> "WholeRun":
        """Show a run that was read with its ledger."""
        return cls(
            **RunShown.of(run).model_dump(),
            unreadable_messages=[
                UnreadableMessage(provider_message_id=name, reason=reason)
                for fate, names in run.ledger.items()
                for kind, _, reason in [fate.partition(":")]
                if kind == Fate.UNREADABLE
                for name in names
            ],
        )


class RunList(Shown):
    """Runs, newest first."""

    items: list[RunShown]
    next: str | None


class RunAsked(Shown):
    """The run that was asked for; it can be read once it has ended."""

    run_id: str


def _summary(run: Run) -> str:
    counts = run.counts
    facts = [
        (counts.stored, "stored"),
        (counts.already_stored, "already there"),
        *((counts.skipped.get(reason), f"left out {words}") for reason, words in LEFT_OUT.items()),
        (counts.unreadable, "unreadable"),
        (counts.gone, "gone before they were read"),
        (counts.flags_changed, "marked anew"),
        (counts.moved, "moved"),
        (counts.removed, "removed at the provider"),
    ]
    said = ", ".join(f"{number} {what}" for number, what in facts if number)
    sentences = [f"Messages: {said}."] if said else []
    if counts.contacts_made:
        sentences.append(f"Contacts made: {counts.contacts_made}.")
    if counts.contacts_put_off:
        sentences.append(
            f"Senders not made contacts: {counts.contacts_put_off}, as the day's contacts were "
            "made, or their address has too many with other tags. They are met again when they "
            "write next."
        )
    return " ".join(sentences) or "Nothing new."
