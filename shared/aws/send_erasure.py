"""Where an erasure looks for mails on their way out, and for files uploaded to be attached to them.

A mailbox's sends stand in its partition, and their content below its name. A person's are those
they are a recipient of, or sent from an address of theirs, and are looked for in every mailbox:
what was asked for before the erasure goes, and what waits of it is never sent; what is asked for
later is the tenant's own doing. Content whose send was never written names who nobody can tell, and
an uploaded file may name anybody: of both, all goes that is as old as the request.

Each place is looked through in stretches, in order of key.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from shared.aws.erase_pages import NO_MESSAGES, Place, Work, is_of, key_of, looked_to, step
from shared.aws.send_items import ref_of, send_of
from shared.aws.stored_objects import OUTGOING, SENDING_UPLOADS, StoredObjects, of_tenant
from shared.aws.table import Raw, Table
from shared.aws.tables import Key, mailbox_pk
from shared.aws.tables_of_sends import (
    SEND_PREFIX,
    SendItem,
    content_object_key,
    key_key,
    send_key,
    send_of_content,
)
from shared.domain.addresses import canonical_address
from shared.domain.erasure import Erased, Erasure
from shared.domain.ids import MailboxId, SendId, TenantId, is_made_by
from shared.domain.sending import Send
from shared.ports.erasures import ErasePage
from shared.ports.sending import SendRef

SENDS_IN_PAGE = 50
SENDS_IN_LOOK = 2_000
OBJECTS_IN_LOOK = 1_000
_SENDS, _CONTENTS, _UPLOADS = "5", "6", "7"
"""Places, named in the order of the looks, after those of `mail_eraser`."""
_LAST = "\U0010ffff"


def keys_of_sends(tenant_id: TenantId, items: list[Raw]) -> tuple[Key, ...]:
    """Return the idempotency keys that nothing but these items leads to."""
    digests = (raw["key_digest"]["S"] for raw in items if is_of(raw, SEND_PREFIX))
    return tuple(key_key(tenant_id, digest) for digest in digests)


@dataclass(frozen=True, slots=True)
class SendErasure:
    """Finds what is left of sends; each method returns None where there is nothing."""

    table: Table
    objects: StoredObjects
    mailboxes_after: Callable[[Erasure, MailboxId], list[MailboxId]]
    """The tenant's next mailboxes, in order of key; none behind the last."""

    def of_person(self, erasure: Erasure) -> ErasePage | None:
        """Look through the sends of every mailbox for those that name a person."""
        after = looked_to(erasure, _SENDS)
        if after is None:
            return None
        found: list[tuple[str, Raw, Send]] = []
        position = after
        for number, (position, raw) in enumerate(self._sends_after(erasure, after), 1):
            send = send_of(SendItem.from_raw_data(raw)) if raw else None
            if raw and send and _names(send, erasure) and send.created_at <= erasure.requested_at:
                found.append((position, raw, send))
            if len(found) == SENDS_IN_PAGE or number == SENDS_IN_LOOK:
                break
        if not found:
            # Behind a mailbox that was read to its end the place may be at its own.
            is_last = "/" not in position and not self._boxes_after(erasure, position)
            return None if is_last else step(erasure, _SENDS, position)
        place = Place(erasure, _SENDS)
        items = [raw for _, raw, _ in found]
        work = Work(
            found_by={key_of(raw): NO_MESSAGES for raw in items},
            first=keys_of_sends(erasure.tenant_id, items),
            objects=tuple(content_object_key(ref_of(send)) for _, _, send in found),
        )
        fresh = sum(place.is_new(where) for where, _, _ in found)
        return ErasePage(place.up_to(found[-1][0]), Erased(sends=fresh), work)

    def contents_of_nobody(self, erasure: Erasure) -> ErasePage | None:
        """Look for content that was put and whose send was never written."""
        return self._objects_of(erasure, _CONTENTS, OUTGOING, self._of_nobody)

    def uploads(self, erasure: Erasure) -> ErasePage | None:
        """Look for files that were uploaded before the erasure was asked for."""
        return self._objects_of(erasure, _UPLOADS, SENDING_UPLOADS, lambda _, keys: keys)

    def _sends_after(self, erasure: Erasure, after: str) -> Iterator[tuple[str, Raw | None]]:
        """Yield sends with their places, and each mailbox's end with None."""
        box, _, send_id = after.partition("/")
        boxes = self._boxes_after(erasure, box)
        for one in [MailboxId(box), *boxes] if send_id else boxes:
            begun = send_id if one == box else ""
            start = send_key(SendRef(erasure.tenant_id, one, SendId(begun))).sk
            for raw in self.table.query(
                mailbox_pk(erasure.tenant_id, one),
                between=(start, SEND_PREFIX + _LAST),
                page=SENDS_IN_LOOK,
            ):
                if raw["sk"]["S"] != start:
                    yield f"{one}/{raw['send_id']['S']}", raw
            yield one, None

    def _boxes_after(self, erasure: Erasure, box: str) -> list[MailboxId]:
        return self.mailboxes_after(erasure, MailboxId(box))

    def _objects_of(
        self,
        erasure: Erasure,
        place: str,
        kind: str,
        doomed_of: Callable[[Erasure, list[str]], list[str]],
    ) -> ErasePage | None:
        after = looked_to(erasure, place)
        if after is None:
            return None
        listed = self.objects.sizes(of_tenant(kind, erasure.tenant_id), after=after)
        keys = [key for key, _ in islice(listed, OBJECTS_IN_LOOK)]
        old = [key for key in keys if is_made_by(key.rpartition("/")[2], erasure.requested_at)]
        doomed = doomed_of(erasure, old)
        if doomed:
            # Nobody was ever shown any of it as mail: it is not counted.
            return ErasePage(erasure.counted_to, Erased(), Work(objects=tuple(doomed)))
        return step(erasure, place, keys[-1]) if len(keys) == OBJECTS_IN_LOOK else None

    def _of_nobody(self, erasure: Erasure, keys: list[str]) -> list[str]:
        named = {send_key(send_of_content(erasure.tenant_id, key)): key for key in keys}
        stand = {key_of(raw) for raw in self.table.get_many(list(named), attributes="pk, sk")}
        return [key for where, key in named.items() if where not in stand]


def _names(send: Send, erasure: Erasure) -> bool:
    addresses = (send.sender, *(one.address for one in send.recipients))
    return any(canonical_address(one) in erasure.addresses for one in addresses)
