"""How an erasure is asked for, and what its receipt says."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from shared.api.schemas.fields import OUR_ERROR, AddressText, Given, Line, Shown
from shared.domain.erasure import (
    BACKUP_DAYS,
    MOST_ADDRESSES,
    Erasure,
    ErasureKind,
    ErasureState,
    KeepsOut,
)

_ONE_OF_BOTH = "Name either `mailbox_id`, or `addresses` with `keeps_out`."

Addresses = Annotated[list[AddressText], Field(min_length=1, max_length=MOST_ADDRESSES)]


class RequestErasure(Given):
    """Whose mail is to be erased: one mailbox's, or one person's in every mailbox of the tenant."""

    mailbox_id: str | None = None
    """The mailbox. It is disconnected first if it is connected, and no longer listed at once."""
    addresses: Addresses | None = Field(default=None, examples=[["ann@example.org"]])
    """The person: every message in which one of these takes part goes, whole, for everybody. Each
    is taken as it is written, whatever the policy folds: ann+news@example.org is named as well.
    """
    keeps_out: KeepsOut | None = None
    """For a person, whose mail is still at the provider. `stored_mail`: what arrived before this
    request is never stored again, what arrives later is stored as ever. `all_mail`: nothing of
    theirs is stored any more, and no mailbox of theirs connected (`address_kept_out`)."""
    confirm: Annotated[list[Line], Field(min_length=1, max_length=MOST_ADDRESSES)]
    """The mailbox's address, or the person's addresses, once more: this cannot be undone."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        is_person = self.addresses is not None and self.keeps_out is not None
        is_mailbox = self.mailbox_id is not None
        nothing_of_a_person = self.addresses is None and self.keeps_out is None
        if not (is_mailbox and nothing_of_a_person) and not (is_person and not is_mailbox):
            raise PydanticCustomError(OUR_ERROR, _ONE_OF_BOTH)
        return self


class ErasedShown(Shown):
    """How much was deleted so far."""

    messages: int
    kept_for_others: int
    """Messages that stay because another mailbox holds them too."""
    copies: int
    attachments: int
    bodies: int
    """Texts that were objects of their own."""
    raw_messages: int
    dead_letters: int
    runs: int
    contacts: int
    """Contacts deleted, or relieved of an address where they have others."""
    sends: int
    """Mails on their way out, or out, as they were asked for; one that waited is never sent."""
    other: int
    """Folders, backfills and their chunks, and whatever else stood under the mailbox."""


class ErasureShown(Shown):
    """An erasure; once it is `done`, its receipt."""

    id: str
    kind: ErasureKind
    state: ErasureState
    """`done` is said only when a last look has found nothing that it covers."""
    mailbox_id: str | None
    address_hashes: list[str]
    """Of the mailbox's address or the person's, under a key of the tenant's own."""
    keeps_out: KeepsOut | None
    """Which mail of the person this erasure keeps from being stored again; null also when it lets
    them in. Another erasure of the same address may keep them out still."""
    requested_by: str
    requested_at: datetime
    starts_at: datetime
    """When deleting begins: whatever was at work when it was asked for is over by then."""
    done_at: datetime | None
    backups_until: datetime | None
    """Until when a backup of the table may still hold what was deleted; nobody reads it. So does
    the table's stream, for 24 hours."""
    erased: ErasedShown

    @classmethod
    def of(cls, erasure: Erasure) -> "ErasureShown":
        """Show an erasure."""
        done_at, erased = erasure.done_at, erasure.erased
        return cls(
            id=erasure.id,
            kind=erasure.kind,
            state=erasure.state,
            mailbox_id=erasure.mailbox_id,
            address_hashes=list(erasure.address_hashes),
            keeps_out=erasure.keeps_out,
            requested_by=erasure.requested_by,
            requested_at=erasure.requested_at,
            starts_at=erasure.settles_at,
            done_at=done_at,
            backups_until=done_at + timedelta(days=BACKUP_DAYS) if done_at else None,
            erased=ErasedShown(
                messages=erased.messages,
                kept_for_others=erased.kept_for_others,
                copies=erased.copies,
                attachments=erased.attachments,
                bodies=erased.bodies,
                raw_messages=erased.raw_messages,
                dead_letters=erased.dead_letters,
                runs=erased.runs,
                contacts=erased.contacts,
                sends=erased.sends,
                other=erased.other,
            ),
        )


class ErasureList(Shown):
    """Erasures, newest first."""

    items: list[ErasureShown]
    next: str | None
