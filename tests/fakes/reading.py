"""Reading what decides over what is shown, in memory."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from shared.domain.addresses import base_form
from shared.domain.contact import Contact
from shared.domain.ids import ContactId, TenantId
from shared.domain.message import Copy, place_of
from shared.domain.policy import TenantPolicy
from shared.ports.reading import READ_AT_ONCE, Found, Wanted
from tests.fakes.stores import InMemoryContactStore, World

NameT = TypeVar("NameT")
ValueT = TypeVar("ValueT")


@dataclass
class InMemoryMailReader:
    """The port `MailReader`. `requests`: how many the real one would have sent."""

    world: World = field(default_factory=World)
    requests: int = 0

    def contact(
        self, tenant_id: TenantId, contact_id: ContactId
    ) -> tuple[Contact | None, TenantPolicy]:
        self.requests += 1
        contact = InMemoryContactStore(self.world).get_contact(tenant_id, contact_id)
        return contact, self._policy(tenant_id)

    def read(self, tenant_id: TenantId, wanted: Wanted) -> Found:
        self.requests += -(-len(wanted) // READ_AT_ONCE)
        world = self.world

        def those(names: frozenset[NameT], kept: Mapping) -> dict[NameT, ValueT]:
            return {name: kept[tenant_id, name] for name in names if (tenant_id, name) in kept}

        with world.lock:
            return Found(
                wanted,
                those(wanted.messages, world.messages),
                dict(self._copies(tenant_id, wanted.copies)),
                those(wanted.mailboxes, world.mailboxes),
                {
                    one: known
                    for one in wanted.addresses
                    if (known := InMemoryContactStore(world).known(tenant_id, base_form(one)))
                },
                those(wanted.threads, world.threads),
                self._policy(tenant_id) if wanted.policy else TenantPolicy(),
            )

    def _policy(self, tenant_id: TenantId) -> TenantPolicy:
        return self.world.policies.get(tenant_id, TenantPolicy())

    def _copies(self, tenant_id: TenantId, refs: frozenset[str]) -> Iterator[tuple[str, Copy]]:
        for ref in refs:
            mailbox_id, name = place_of(ref)
            copy = self.world.copies.get((tenant_id, mailbox_id), {}).get(name)
            if copy is not None:
                yield ref, copy
