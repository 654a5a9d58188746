"""How a mailbox, its run state and its folders are spelled in items, and read back."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.aws.instants import from_seconds, seconds
from shared.aws.stored_codes import stored_code
from shared.aws.table import Raw
from shared.aws.tables import (
    SETTINGS_SUFFIX,
    FolderItem,
    SettingsItem,
    StateItem,
    escape,
    folder_key,
    settings_key,
    state_key,
)
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import (
    BackfillId,
    FolderId,
    MailboxId,
    OpeningId,
    RunId,
    TenantId,
    UserId,
)
from shared.domain.loops import Worked
from shared.domain.mail_server import Security, ServerSettings
from shared.domain.mailbox import (
    EVERYONE,
    Alias,
    FolderState,
    LatestError,
    Mailbox,
    MailboxKind,
    MailboxStatus,
    Provider,
    Purpose,
    PushState,
    Readers,
    RunState,
    StoredMail,
    Visibility,
    Watch,
)
from shared.domain.opening import Opening
from shared.ports.stores import MailboxRecord

_EVERYONE = "everyone"


def settings_document(mailbox: Mailbox) -> dict[str, Any]:
    """Return what people set and what never changes; the rest is the state's."""
    return {
        "v": 1,
        "provider": mailbox.provider,
        "address": mailbox.address,
        "former_addresses": mailbox.former_addresses,
        "subject": mailbox.subject,
        "kind": mailbox.kind,
        "purpose": mailbox.purpose,
        "owner_user_id": mailbox.owner_user_id,
        "connected_at": _time(mailbox.connected_at),
        "display_name": mailbox.display_name,
        "reply_to": mailbox.reply_to,
        "recovery_note": mailbox.recovery_note,
        "visibility": mailbox.visibility,
        "granted_to": readers_value(mailbox.granted_to),
        "create_contacts": mailbox.create_contacts,
        "store": mailbox.store,
        "contacts_since": _time(mailbox.contacts_since),
        "backfill_days": mailbox.backfill_days,
        "history_from": _time(mailbox.history_from),
        "active_folders": mailbox.active_folders,
        "allow_untrusted_certificate": mailbox.allow_untrusted_certificate,
        "imap": _server(mailbox.imap),
        "smtp": _server(mailbox.smtp),
        "sync_minutes": mailbox.sync_minutes,
        **({"openings": list(map(_opening, mailbox.openings))} if mailbox.openings else {}),
        **({"aliases": list(map(_alias, mailbox.aliases))} if mailbox.aliases else {}),
    }


def readers_value(readers: Readers) -> tuple[UserId, ...] | str:
    """Return how those a mailbox is granted to are written."""
    return _EVERYONE if readers.everyone else readers.users


def readers_of(value: Any) -> Readers:
    """Return whom `readers_value` wrote."""
    if value == _EVERYONE:
        return EVERYONE
    return Readers(tuple(UserId(one) for one in value))


def settings_item(mailbox: Mailbox, identity: str) -> SettingsItem:
    """Return the item of what people set. `identity` is kept so that it can be freed later."""
    key = settings_key(mailbox.tenant_id, mailbox.id)
    return SettingsItem(
        key.pk,
        key.sk,
        document=settings_document(mailbox),
        version=mailbox.version,
        generation=mailbox.generation,
        identity=identity,
    )


def state_item(mailbox: Mailbox, state: RunState) -> StateItem:
    """Return the item of what runs change."""
    key = state_key(mailbox.tenant_id, mailbox.id)
    return StateItem(
        key.pk,
        key.sk,
        tenant_id=mailbox.tenant_id,
        mailbox_id=mailbox.id,
        status=mailbox.status,
        generation=mailbox.generation,
        fence=state.fence,
        failures=state.failures,
        lease_owner=state.lease_owner,
        lease_expires_at=state.lease_expires_at,
        suspect=state.suspect,
        strikes=dict(state.strikes) or None,
        due_slot=state.due_slot,
        due_key=escape(mailbox.id) if state.due_slot else None,
        not_before=state.not_before,
        last_synced_at=state.last_synced_at,
        last_news_at=state.last_news_at,
        waited_for={state.requested_run_id} if state.requested_run_id else None,
        contacts_to=state.contacts_to,
        history_id=state.history_id,
        history_again=state.history_again or None,
        work_hour=state.worked.hour or None,
        work_times=state.worked.times or None,
        watch=watch_document(state.push.watch),
        watch_at=None if state.push.renew_at is None else seconds(state.push.renew_at),
        heard_at=None if state.push.heard_at is None else seconds(state.push.heard_at),
        inbound_error=error_document(mailbox.inbound_error),
        outbound_error=error_document(mailbox.outbound_error),
        of_note=True,
    )


def mailbox_record(settings: SettingsItem, state: StateItem) -> MailboxRecord:
    """Return the mailbox the two items make."""
    document: Mapping[str, Any] = settings.document
    chosen = document["active_folders"]
    mailbox = Mailbox(
        tenant_id=TenantId(state.tenant_id),
        id=MailboxId(state.mailbox_id),
        provider=Provider(document["provider"]),
        address=document["address"],
        former_addresses=tuple(document.get("former_addresses", ())),
        subject=document.get("subject", ""),
        status=MailboxStatus(state.status),
        kind=MailboxKind(document["kind"]),
        purpose=Purpose(document["purpose"]),
        owner_user_id=UserId(document["owner_user_id"]),
        connected_at=datetime.fromisoformat(document["connected_at"]),
        display_name=document["display_name"],
        reply_to=document["reply_to"],
        recovery_note=document["recovery_note"],
        visibility=Visibility(document["visibility"]),
        openings=tuple(map(_from_opening, document.get("openings", ()))),
        aliases=tuple(map(_from_alias, document.get("aliases", ()))),
        # Connected before there were grants: nobody's but its owner's until one is given.
        granted_to=readers_of(document.get("granted_to", ())),
        create_contacts=document["create_contacts"],
        # Of before there was a choice.
        store=StoredMail(document.get("store", StoredMail.ALL)),
        contacts_since=_from_time(document.get("contacts_since")),
        backfill_days=document["backfill_days"],
        history_from=_from_time(document["history_from"]),
        active_folders=None if chosen is None else tuple(FolderId(one) for one in chosen),
        allow_untrusted_certificate=document["allow_untrusted_certificate"],
        imap=_from_server(document["imap"]),
        smtp=_from_server(document["smtp"]),
        sync_minutes=document["sync_minutes"],
        generation=int(state.generation),
        inbound_error=latest_error(state.inbound_error),
        outbound_error=latest_error(state.outbound_error),
        version=int(settings.version),
    )
    return MailboxRecord(mailbox, run_state(state))


def mailbox_of_settings(
    tenant_id: TenantId, mailbox_id: MailboxId, settings: SettingsItem
) -> Mailbox:
    """Return the mailbox as its settings say; its health is not told: it counts as active."""
    key = state_key(tenant_id, mailbox_id)
    state = StateItem(
        key.pk,
        key.sk,
        tenant_id=tenant_id,
        mailbox_id=mailbox_id,
        status=MailboxStatus.ACTIVE,
        generation=settings.generation,
        fence=0,
        failures=0,
    )
    return mailbox_record(settings, state).mailbox


def run_state(state: StateItem) -> RunState:
    """Return the run state an item holds."""
    waiting = sorted(state.waited_for or ())
    return RunState(
        fence=int(state.fence),
        generation=int(state.generation),
        lease_owner=state.lease_owner,
        lease_expires_at=state.lease_expires_at,
        suspect=state.suspect,
        strikes=dict(state.strikes or {}),
        due_slot=state.due_slot,
        not_before=state.not_before,
        failures=int(state.failures),
        last_synced_at=state.last_synced_at,
        last_news_at=state.last_news_at,
        requested_run_id=RunId(waiting[0]) if waiting else None,
        contacts_to=state.contacts_to,
        history_id=BackfillId(state.history_id) if state.history_id else None,
        history_again=bool(state.history_again),
        worked=Worked(int(state.work_hour or 0), int(state.work_times or 0)),
        push=PushState(
            None if state.watch is None else Watch(state.watch[0], from_seconds(state.watch[1])),
            _from_seconds(state.watch_at),
            _from_seconds(state.heard_at),
        ),
    )


def records_in(found: list[Raw]) -> list[MailboxRecord]:
    """Pair settings with states; two of different generations were read amid a change: left out."""
    settings = {
        item.sk.removesuffix(SETTINGS_SUFFIX): item
        for item in (SettingsItem.from_raw_data(raw) for raw in found if is_settings(raw))
    }
    records = []
    for state in (StateItem.from_raw_data(raw) for raw in found if not is_settings(raw)):
        pair = settings.get(state.sk.rpartition("#")[0])
        if pair is not None and pair.generation == state.generation:
            records.append(mailbox_record(pair, state))
    return records


def all_records_in(
    found: list[Raw], read_anew: Callable[[MailboxId], MailboxRecord | None]
) -> list[MailboxRecord]:
    """Return the records of all states among `found`, in order of id.

    Those read amid a change are read anew, one by one.
    """
    records = {record.mailbox.id: record for record in records_in(found)}
    for raw in found:
        item = StateItem.from_raw_data(raw) if not is_settings(raw) else None
        if item and item.mailbox_id not in records:
            record = read_anew(MailboxId(item.mailbox_id))
            if record:
                records[record.mailbox.id] = record
    return [records[name] for name in sorted(records)]


def is_settings(raw: Raw) -> bool:
    """Whether an item among a tenant's mailboxes is one's settings, and not its state."""
    return str(raw["sk"]["S"]).endswith(SETTINGS_SUFFIX)


def folder_item(tenant_id: TenantId, mailbox_id: MailboxId, state: FolderState) -> FolderItem:
    """Return the item of a folder's state."""
    folder = state.folder
    key = folder_key(tenant_id, mailbox_id, folder.id)
    return FolderItem(
        key.pk,
        key.sk,
        folder_id=folder.id,
        name=folder.name,
        role=folder.role,
        selectable=folder.selectable,
        cursor=state.cursor,
        gone_at=state.gone_at,
        scope=state.scope or None,
        resets=state.resets or None,
        reset_at=state.reset_at,
        news_from=state.news_from,
    )


def folder_state(item: FolderItem) -> FolderState:
    """Return the folder state an item holds."""
    folder = Folder(FolderId(item.folder_id), item.name, FolderRole(item.role), item.selectable)
    scope, resets = item.scope or "", int(item.resets or 0)
    times = item.reset_at, item.news_from
    return FolderState(folder, item.cursor, item.gone_at, scope, resets, *times)


def error_document(error: LatestError | None) -> dict[str, Any] | None:
    """Return a latest error with short names: it is part of the small item."""
    if error is None:
        return None
    return {
        "c": error.code,
        "f": _time(error.first_seen_at),
        "l": _time(error.last_seen_at),
        "n": error.count,
        "r": error.run_id,
        "x": _time(error.next_retry_at),
    }


def latest_error(document: Mapping[str, Any] | None) -> LatestError | None:
    """Return the latest error a document holds."""
    if document is None:
        return None
    return LatestError(
        stored_code(document["c"]),
        datetime.fromisoformat(document["f"]),
        datetime.fromisoformat(document["l"]),
        document["n"],
        RunId(document["r"]) if document["r"] else None,
        _from_time(document["x"]),
    )


def watch_document(watch: Watch | None) -> list[Any] | None:
    """Return a watch as it is written: its name, and when it ends."""
    return None if watch is None else [watch.name, seconds(watch.expires_at)]


def _server(server: ServerSettings | None) -> dict[str, Any] | None:
    if server is None:
        return None
    return {
        "host": server.host,
        "port": server.port,
        "security": server.security,
        "username": server.username,
    }


def _from_server(document: Mapping[str, Any] | None) -> ServerSettings | None:
    if document is None:
        return None
    return ServerSettings(
        document["host"], document["port"], Security(document["security"]), document["username"]
    )


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _from_time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _from_seconds(number: float | None) -> datetime | None:
    return None if number is None else from_seconds(int(number))


def _opening(opening: Opening) -> list[str | None]:
    start, end = _time(opening.opened_at), _time(opening.ends_at)
    return [opening.id, opening.opened_by, opening.reason, start, end]


def _from_opening(value: list[str]) -> Opening:
    name, by, reason, start, end = value
    opened_at = datetime.fromisoformat(start)
    return Opening(OpeningId(name), UserId(by), reason, opened_at, _from_time(end))


def _alias(alias: Alias) -> list[str | None]:
    return [alias.address, alias.display_name, _time(alias.verified_at)]


def _from_alias(value: list[str]) -> Alias:
    address, display_name, verified_at = value
    return Alias(address, display_name, _from_time(verified_at))
