"""How all that decides what is shown of some messages is read in one request, consistently."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from shared.aws.address_contacts import known_in
from shared.aws.contact_store import contact_of
from shared.aws.mailbox_items import mailbox_of_settings
from shared.aws.message_items import copy_of, message_of
from shared.aws.policy_store import policy_of
from shared.aws.table import Raw, Table
from shared.aws.tables import (
    Key,
    SettingsItem,
    contact_key,
    contacts_of_address_key,
    copy_key,
    message_key,
    settings_key,
    thread_key,
)
from shared.aws.tables_of_policies import PolicyItem, policy_key
from shared.aws.thread_items import thread_of_item
from shared.domain.addresses import base_form
from shared.domain.contact import Contact
from shared.domain.ids import ContactId, MailboxId, TenantId
from shared.domain.mailbox import Mailbox
from shared.domain.message import place_of
from shared.domain.policy import TenantPolicy
from shared.ports.reading import Found, Wanted

NameT = TypeVar("NameT")


@dataclass(frozen=True, slots=True)
class DynamoMailReader:
    """The port `MailReader`."""

    table: Table

    def contact(
        self, tenant_id: TenantId, contact_id: ContactId
    ) -> tuple[Contact | None, TenantPolicy]:
        """Read the two items."""
        keys = [contact_key(tenant_id, contact_id), policy_key(tenant_id)]
        found = self._items(keys)
        contact, policy = (found.get(key) for key in keys)
        return contact_of(tenant_id, contact) if contact else None, _policy(policy)

    def read(self, tenant_id: TenantId, wanted: Wanted) -> Found:
        """Read all of it by key, a hundred keys in a request."""
        messages = {
            key: one for one in wanted.messages if (key := message_key(tenant_id, one)) is not None
        }
        copies = {copy_key(tenant_id, *place_of(ref)): ref for ref in wanted.copies}
        boxes = {settings_key(tenant_id, one): one for one in wanted.mailboxes}
        bases = {one: base_form(one) for one in wanted.addresses}
        sets = {contacts_of_address_key(tenant_id, one): one for one in bases.values()}
        threads = {thread_key(tenant_id, one): one for one in wanted.threads}
        policy = [policy_key(tenant_id)] if wanted.policy else []
        found = self._items([*messages, *copies, *boxes, *sets, *threads, *policy])

        def those(keys: Mapping[Key, NameT]) -> Iterator[tuple[NameT, Raw]]:
            return ((name, found[key]) for key, name in keys.items() if key in found)

        known = {base: known_in(raw) for base, raw in those(sets)}
        return Found(
            wanted,
            # Without content it is what is left of an erased message: a key and a claim.
            {name: message_of(raw) for name, raw in those(messages) if "d" in raw},
            {ref: copy_of(*place_of(ref), raw) for ref, raw in those(copies)},
            {one: _mailbox(tenant_id, one, raw) for one, raw in those(boxes)},
            {one: known[base] for one, base in bases.items() if base in known},
            {one: thread_of_item(one, raw) for one, raw in those(threads)},
            _policy(found.get(policy[0]) if policy else None),
        )

    def _items(self, keys: Sequence[Key]) -> dict[Key, Raw]:
        return {Key(raw["pk"]["S"], raw["sk"]["S"]): raw for raw in self.table.get_many(keys)}


def _mailbox(tenant_id: TenantId, mailbox_id: MailboxId, raw: Raw) -> Mailbox:
    return mailbox_of_settings(tenant_id, mailbox_id, SettingsItem.from_raw_data(raw))


def _policy(raw: Raw | None) -> TenantPolicy:
    return policy_of(PolicyItem.from_raw_data(raw)) if raw else TenantPolicy()
