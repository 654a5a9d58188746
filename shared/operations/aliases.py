"""Further addresses a mailbox may send from: added by those who may change it, verified by a mail.

Anybody could name somebody else's address. One is verified once a test message that was sent from
it, to it, came back to this mailbox and still bears it: so the server lets the mailbox send as it,
and what is sent to it arrives here. Until then nothing else is sent from it.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from shared.domain.addresses import canonical_address
from shared.domain.composing import sendable_address
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Alias, Mailbox
from shared.domain.permissions import require_change
from shared.domain.visibility import Viewer
from shared.ports.stores import MailboxStore

MOST_ALIASES = 20
_ATTEMPTS = 3


def add_alias(
    viewer: Viewer,
    mailbox_id: MailboxId,
    address: str,
    display_name: str,
    *,
    mailboxes: MailboxStore,
) -> Alias:
    """Add an alias, not verified, or give the one there is another name; return it.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `ADMIN_REQUIRED`, `INVALID_REQUEST` and
    `ADDRESS_NOT_SUPPORTED` naming the field), `ConflictError(VERSION_CONFLICT)` when somebody else
    keeps changing the mailbox.
    """
    written = sendable_address(address, "address")

    def added(mailbox: Mailbox) -> Mailbox:
        require_change(viewer, mailbox)
        if _same(mailbox.address, written):
            reason = "This is the mailbox's own address."
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("address", reason)])
        known = alias_of(mailbox, written)
        if known is not None:
            return _with(mailbox, replace(known, display_name=display_name))
        if len(mailbox.aliases) >= MOST_ALIASES:
            reason = f"A mailbox has at most {MOST_ALIASES} aliases."
            raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("address", reason)])
        return replace(mailbox, aliases=(*mailbox.aliases, Alias(written, display_name)))

    after = _change(viewer.tenant_id, mailbox_id, added, mailboxes)
    alias = alias_of(after, written) if after else None
    if alias is None:
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)
    return alias


def remove_alias(
    viewer: Viewer, mailbox_id: MailboxId, address: str, *, mailboxes: MailboxStore
) -> None:
    """Take an alias away; what waits to be sent from it still is.

    Raises `RequestError` (`MAILBOX_NOT_FOUND`, `ADMIN_REQUIRED`, `ALIAS_NOT_FOUND`),
    `ConflictError(VERSION_CONFLICT)`.
    """

    def removed(mailbox: Mailbox) -> Mailbox:
        require_change(viewer, mailbox)
        known = alias_of(mailbox, address)
        if known is None:
            raise RequestError(ErrorCode.ALIAS_NOT_FOUND)
        return replace(mailbox, aliases=tuple(one for one in mailbox.aliases if one != known))

    if _change(viewer.tenant_id, mailbox_id, removed, mailboxes) is None:
        raise RequestError(ErrorCode.MAILBOX_NOT_FOUND)


def verify_alias(
    tenant_id: TenantId,
    mailbox_id: MailboxId,
    address: str,
    *,
    at: datetime,
    mailboxes: MailboxStore,
) -> None:
    """Note that an alias was seen to be the mailbox's own; one taken away since is no trouble.

    Repeating it changes nothing. Raises `ConflictError(VERSION_CONFLICT)`.
    """

    def verified(mailbox: Mailbox) -> Mailbox:
        known = alias_of(mailbox, address)
        if known is None or known.verified_at is not None:
            return mailbox
        return _with(mailbox, replace(known, verified_at=at))

    _change(tenant_id, mailbox_id, verified, mailboxes)


def alias_of(mailbox: Mailbox, address: str) -> Alias | None:
    """Return the alias of that address, verified or not, or None."""
    return next((one for one in mailbox.aliases if _same(one.address, address)), None)


def _same(one: str, other: str) -> bool:
    canonical = canonical_address(one)
    return canonical is not None and canonical == canonical_address(other)


def _with(mailbox: Mailbox, alias: Alias) -> Mailbox:
    aliases = (alias if _same(one.address, alias.address) else one for one in mailbox.aliases)
    return replace(mailbox, aliases=tuple(aliases))


def _change(
    tenant_id: TenantId,
    mailbox_id: MailboxId,
    change: Callable[[Mailbox], Mailbox],
    mailboxes: MailboxStore,
) -> Mailbox | None:
    """Write what `change` makes of the mailbox as it stands, once more where it was overtaken."""
    for attempt in range(1, _ATTEMPTS + 1):
        record = mailboxes.get(tenant_id, mailbox_id)
        if record is None:
            return None
        after = change(record.mailbox)
        if after == record.mailbox:
            return after
        try:
            return mailboxes.save_settings(after)
        except ConflictError:
            if attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")
