"""Who may have whose mail erased, and what has to be in place before the answer says so.

A mailbox is closed first: disconnected, its grant withdrawn, its login deleted, and then gone from
the tenant in the same transaction that keeps the erasure. A person is kept out first. What is
deleted waits until nobody can write it any more, and is another function's work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.addresses import canonical_address
from shared.domain.erasure import (
    SETTLE_SECONDS,
    Erasure,
    ErasureKind,
    ErasureState,
    KeepsOut,
    hash_of,
)
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import Address, ErasureId, MailboxId, new_ulid
from shared.domain.mailbox import MailboxStatus, Provider, own_addresses
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.operations.access import Grants
from shared.operations.disconnect_mailbox import Disconnected, disconnect_mailbox
from shared.ports.attempts import GrantHolders
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.erasures import ErasureStore
from shared.ports.provider import MailProvider
from shared.ports.push import PushStore
from shared.ports.queues import EraseRequest, WorkQueues
from shared.ports.sending import OutgoingStore, SendStore
from shared.ports.stores import MailboxRecord, MailboxStore

_NOT_CONFIRMED = "Repeat here exactly whose mail is to be erased."
_OWN_MAILBOX = "This is, or was, the address of a mailbox that is kept here: erase the mailbox."


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePorts:
    """What beginning an erasure needs from the world."""

    erasures: ErasureStore
    mailboxes: MailboxStore
    backfills: BackfillStore
    sends: SendStore
    outgoing: OutgoingStore
    grants: Grants
    holders: GrantHolders
    push: PushStore
    provider_of: Callable[[Provider], MailProvider]
    queues: WorkQueues
    clock: Clock


def erase_mailbox(
    viewer: Viewer, mailbox_id: MailboxId, confirm: Sequence[str], *, ports: ErasurePorts
) -> tuple[Erasure, Disconnected | None]:
    """Begin to erase a mailbox; return also what became of its grant.

    `confirm` is the mailbox's address. Repeating it completes an interrupted one.

    1. disconnected: no worker passes its fence, the grant is withdrawn, the login deleted
    2. queued, for when nobody can write any more: dying next leaves a request for nothing, and
       dying later nothing that nobody carries out
    3. in one transaction the erasure is kept, and the mailbox is gone from the tenant
    """
    begun = ports.erasures.erasure_of(viewer.tenant_id, mailbox_id)
    if begun is not None:
        return _again(viewer, begun, confirm, ports), None
    record = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    mailbox = require_change(viewer, record.mailbox if record else None)
    address = _canonical(mailbox.address)
    _require_confirmed([address], confirm)
    key = ports.erasures.hash_key(viewer.tenant_id)
    ended = disconnect_mailbox(
        viewer,
        mailbox_id,
        mailboxes=ports.mailboxes,
        backfills=ports.backfills,
        sends=ports.sends,
        outgoing=ports.outgoing,
        grants=ports.grants,
        holders=ports.holders,
        push=ports.push,
        provider_of=ports.provider_of,
        clock=ports.clock,
    )
    closed = _disconnected(viewer, mailbox_id, ports)
    now = ports.clock.now()
    erasure = Erasure(
        tenant_id=viewer.tenant_id,
        id=ErasureId(new_ulid(now)),
        kind=ErasureKind.MAILBOX,
        requested_by=viewer.user_id,
        requested_at=now,
        settles_at=_settled(now),
        mailbox_id=mailbox_id,
        address_hashes=(hash_of(key, address),),
    )
    _queue(erasure, ports)
    ports.erasures.begin_mailbox(erasure, closed)
    return erasure, ended


def erase_person(
    viewer: Viewer,
    addresses: Sequence[str],
    confirm: Sequence[str],
    keeps_out: KeepsOut,
    *,
    ports: ErasurePorts,
) -> Erasure:
    """Begin to erase a person: all mail in which one of the addresses takes part.

    `confirm` are the same addresses. An administrator's alone: it reaches into every mailbox of the
    tenant. Raises `RequestError(ADMIN_REQUIRED | INVALID_REQUEST)`.
    """
    if not viewer.is_admin:
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    wanted = list(dict.fromkeys(map(_canonical, addresses)))
    _require_confirmed(wanted, confirm)

    def require_nobodys_mailbox() -> None:
        boxes = ports.mailboxes.list_mailboxes(viewer.tenant_id)
        own = frozenset[Address]().union(*(own_addresses(one.mailbox) for one in boxes))
        fields = [
            (f"addresses.{at}", _OWN_MAILBOX)
            for at, given in enumerate(addresses)
            if _canonical(given) in own
        ]
        if fields:
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=fields)

    require_nobodys_mailbox()
    key, now = ports.erasures.hash_key(viewer.tenant_id), ports.clock.now()
    erasure = Erasure(
        tenant_id=viewer.tenant_id,
        id=ErasureId(new_ulid(now)),
        kind=ErasureKind.PERSON,
        requested_by=viewer.user_id,
        requested_at=now,
        settles_at=_settled(now),
        address_hashes=tuple(hash_of(key, address) for address in wanted),
        addresses=tuple(wanted),
        keeps_out=keeps_out,
    )
    _queue(erasure, ports)
    ports.erasures.begin_person(erasure, keeps_out, require=require_nobodys_mailbox)
    return erasure


def get_erasure(viewer: Viewer, erasure_id: ErasureId, *, erasures: ErasureStore) -> Erasure:
    """Return an erasure to who asked for it, and to administrators.

    Raises `RequestError(ERASURE_NOT_FOUND)`.
    """
    found = erasures.get_erasure(viewer.tenant_id, erasure_id)
    if found is None or not (viewer.is_admin or viewer.user_id == found.requested_by):
        raise RequestError(ErrorCode.ERASURE_NOT_FOUND)
    return found


def list_erasures(
    viewer: Viewer, *, before: ErasureId | None, limit: int, erasures: ErasureStore
) -> list[Erasure]:
    """Return a tenant's erasures, newest first, to administrators.

    Raises `RequestError(ADMIN_REQUIRED)`.
    """
    if not viewer.is_admin:
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    return erasures.list_erasures(viewer.tenant_id, before=before, limit=limit)


def let_in_again(viewer: Viewer, erasure_id: ErasureId, *, erasures: ErasureStore) -> Erasure:
    """Have a person's mail no longer kept out; what is erased comes back only by a new import.

    By this erasure: an address that another one keeps out stays out until that one lets it in.
    Raises `RequestError(ERASURE_NOT_FOUND | ADMIN_REQUIRED)`.
    """
    found = get_erasure(viewer, erasure_id, erasures=erasures)
    if not viewer.is_admin:
        raise RequestError(ErrorCode.ADMIN_REQUIRED)
    if found.keeps_out is None:
        return found
    if found.state is not ErasureState.DONE:
        # What is still being deleted must not flow in again beside it.
        raise ConflictError(ErrorCode.WRONG_STATE, words="The erasure is not done yet.")
    return erasures.let_in(found)


def _again(viewer: Viewer, begun: Erasure, confirm: Sequence[str], ports: ErasurePorts) -> Erasure:
    """Queue one again that stands already, for whoever did not hear of it."""
    if not (viewer.is_admin or viewer.user_id == begun.requested_by):
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    key = ports.erasures.hash_key(viewer.tenant_id)
    if {hash_of(key, _canonical(one)) for one in confirm} != set(begun.address_hashes):
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("confirm", _NOT_CONFIRMED)])
    if begun.state is ErasureState.RUNNING:
        _queue(begun, ports)
    return begun


def _disconnected(viewer: Viewer, mailbox_id: MailboxId, ports: ErasurePorts) -> MailboxRecord:
    closed = ports.mailboxes.get(viewer.tenant_id, mailbox_id)
    if closed is None or closed.mailbox.status is not MailboxStatus.DISCONNECTED:
        raise ConflictError(ErrorCode.STALE_WRITE, cause="reconnected meanwhile")
    return closed


def _queue(erasure: Erasure, ports: ErasurePorts) -> None:
    wait = max(0, int((erasure.settles_at - ports.clock.now()).total_seconds()))
    ports.queues.send_erasure(EraseRequest(erasure.tenant_id, erasure.id), delay_seconds=wait)


def _settled(now: datetime) -> datetime:
    return now + timedelta(seconds=SETTLE_SECONDS)


def _require_confirmed(wanted: Sequence[Address], confirm: Sequence[str]) -> None:
    if {_canonical(one) for one in confirm} != set(wanted):
        raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("confirm", _NOT_CONFIRMED)])


def _canonical(text: str) -> Address:
    # A mailbox may be called by a name that is no address; it then stands for itself.
    return canonical_address(text) or Address(text)
