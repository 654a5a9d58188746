"""Decides which mail is read: tenants put straight into moto, read by the real adapters."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID

from shared.aws.index_entries import entry_item, participants_named
from shared.aws.instants import microseconds
from shared.aws.mailbox_items import settings_item, state_item
from shared.aws.message_items import copy_item, pack_message
from shared.aws.table import Raw
from shared.aws.tables import entry_keys, message_key
from shared.domain.ids import Address, ContactId, MailboxId, TenantId
from shared.domain.mailbox import Mailbox, RunState
from shared.domain.message import Body, Participant, ParticipantRole, copy_ref
from shared.domain.visibility import Viewer
from shared.operations.page_through import Page
from shared.operations.read_mail import read_timeline
from shared.ports.stores import NewCopy, TimelineEntry
from tests.fakes.backends import REGION, TABLE, Stores, on_aws, table_definition
from tests.fakes.values import a_contact, a_mailbox, a_new_copy
from tests.performance.units import Figures, Meter

_PAGE = 25
_OF_CONTACT = 4
"""Every so many messages are with the contact."""
_THEIR_MAILBOXES = 3
_START = datetime(2020, 1, 1, tzinfo=UTC)
_CONTACT = Address("ada@customer.example")
_WORDS = "We looked at the offer again, and the second part of it needs a word with your people. "


class NotAsExpectedError(Exception):
    """What was read is not what is to be priced, or was not the same in all tenants."""


def run(tenants: Sequence[tuple[int, int]]) -> Figures:
    """Return what pages cost for tenants of so many messages and mailboxes."""
    with on_aws() as stores, closing(_Reading(stores)) as reading:
        figures = [
            _measured(reading, TenantId(f"tenant{number}"), messages, mailboxes)
            for number, (messages, mailboxes) in enumerate(tenants)
        ]
    if any(one["pages"] != figures[0]["pages"] for one in figures):
        raise NotAsExpectedError(f"pages cost other than the same: {figures}")
    return {"tenants": figures}


def _measured(reading: "_Reading", tenant_id: TenantId, messages: int, mailboxes: int) -> Figures:
    table = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION].get_table(TABLE)
    for item in _items(tenant_id, messages, mailboxes):
        table.put_item(item, overwrite=True)
    contact = a_contact("ada", _CONTACT, tenant_id=tenant_id)
    reading.stores.contacts.put_contact(contact, expected_version=0)
    pages: Figures = {}
    before = None
    for name in ("first page", "next page"):
        page = reading.page(tenant_id, before)
        if [view.contacts for view in page.items] != [("ada",)] * _PAGE:
            raise NotAsExpectedError(f"{len(page.items)} messages on a page")
        pages[name] = reading.figures()
        if not pages[name]["units"]:
            raise NotAsExpectedError("nothing was priced")
        before = page.next
    return {"messages": messages, "mailboxes": mailboxes, "pages": pages}


class _Reading:
    """Reads pages as the owner of the mailboxes, and counts."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.asked: Counter[str] = Counter()
        if stores.table is None:
            raise NotAsExpectedError("no table")
        client = stores.table.client
        self.meter = Meter(client, TABLE, table_definition()["GlobalSecondaryIndexes"])
        client.meta.events.register(
            "before-call.dynamodb", lambda model, **_: self.asked.update([model.name])
        )

    def close(self) -> None:
        """Count nothing any more."""
        self.meter.close()

    def page(self, tenant_id: TenantId, before: TimelineEntry | None) -> Page:
        """Read one page."""
        self.asked.clear()
        self.meter.reset()
        return read_timeline(
            Viewer(tenant_id, a_mailbox().owner_user_id),
            ContactId("ada"),
            before=before,
            limit=_PAGE,
            messages=self.stores.messages,
            reader=self.stores.reader,
        )

    def figures(self) -> Figures:
        """Return what the page took."""
        return {
            "for_contact": 1,
            "requests": sum(self.asked.values()) - 1,
            "operations": dict(self.asked),
            "units": sum(self.meter.read.values()),
        }


def _items(tenant_id: TenantId, messages: int, mailboxes: int) -> Iterator[Raw]:
    boxes = [_mailbox(tenant_id, number) for number in range(mailboxes)]
    for box in boxes:
        state = RunState(generation=box.generation)
        yield settings_item(box, f"identity {box.id}").serialize()
        yield state_item(box, state).serialize()
    rest = count()
    for number in range(messages):
        is_theirs = number % _OF_CONTACT == 0
        holder = number // _OF_CONTACT % _THEIR_MAILBOXES if is_theirs else next(rest) % mailboxes
        yield from _stored(tenant_id, _mail(boxes[holder], number, is_theirs=is_theirs))


def _mailbox(tenant_id: TenantId, number: int) -> Mailbox:
    return a_mailbox(
        tenant_id=tenant_id,
        id=MailboxId(f"01JNA00000000000000000{number:04}"),
        address=f"box{number:04}@acme.example",
    )


def _mail(box: Mailbox, number: int, *, is_theirs: bool) -> NewCopy:
    sender = _CONTACT if is_theirs else Address(f"someone{number:06}@elsewhere.example")
    participants = (
        Participant(ParticipantRole.FROM, sender, "Ada Lovelace"),
        Participant(ParticipantRole.TO, Address(box.address), "Sales"),
        Participant(ParticipantRole.CC, Address("bob@customer.example"), "Bob"),
    )
    return a_new_copy(
        f"{number:06}",
        tenant_id=box.tenant_id,
        mailbox_id=box.id,
        received_at=_START + timedelta(minutes=number),
        participants=participants,
        addresses=(sender,),
        body=Body(_WORDS * 12, None),
    )


def _stored(tenant_id: TenantId, new: NewCopy) -> Iterator[Raw]:
    """Yield what storing a message leaves behind."""
    message, copy = new.message, new.copy
    key = message_key(tenant_id, message.id)
    if key is None:
        raise NotAsExpectedError(message.id)
    ref = copy_ref(copy.mailbox_id, copy.provider_message_id)
    yield {
        "pk": {"S": key.pk},
        "sk": {"S": key.sk},
        "d": {"B": pack_message(message, new.body).content},
        "r": {"N": str(microseconds(message.received_at))},
        "c": {"SS": [ref]},
    }
    yield copy_item(tenant_id, copy)
    for address in new.index_addresses:
        for entry in entry_keys(tenant_id, address, message.received_at, message.id, ref):
            yield entry_item(entry, ref, participants_named(message))
