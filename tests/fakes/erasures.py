"""Erasing in memory: the ports `ErasureStore` and `MailEraser` over the world of the other fakes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from shared.domain.addresses import canonical_address
from shared.domain.erasure import (
    MOST_KEPT_OUT,
    Erased,
    Erasure,
    ErasureState,
    KeepsOut,
    KeptOut,
    ended,
)
from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.identity import own_thread
from shared.domain.ids import (
    ContactId,
    ErasureId,
    LetterId,
    MailboxId,
    MessageId,
    ProviderMessageId,
    TenantId,
    ThreadId,
)
from shared.domain.mailbox import MailboxStatus
from shared.domain.message import Message, ParticipantRole
from shared.domain.new_contacts import ids_spelled
from shared.ports.erasures import ErasePage
from shared.ports.sending import SendRef
from shared.ports.stores import MailboxRecord
from tests.fakes.stores import World, stale

IN_PAGE = 3
"""Small, so that everything takes several."""


@dataclass
class InMemoryErasureStore:
    """The port `ErasureStore`."""

    world: World = field(default_factory=World)

    def hash_key(self, tenant_id: TenantId) -> bytes:
        if tenant_id not in self.world.kept_out:
            self.world.kept_out[tenant_id] = KeptOut(f"key of {tenant_id}".encode()[:64])
        return self.world.kept_out[tenant_id].key

    def begin_mailbox(self, erasure: Erasure, closed: MailboxRecord) -> None:
        box = (erasure.tenant_id, closed.mailbox.id)
        with self.world.lock:
            stands = self.world.run_states.get(box)
            if (
                stands is None
                or stands.generation != closed.run_state.generation
                or self.world.mailboxes[box].status is not MailboxStatus.DISCONNECTED
            ):
                raise stale("mailbox")
            del self.world.mailboxes[box], self.world.run_states[box]
            self.world.erasures[erasure.tenant_id, erasure.id] = erasure

    def begin_person(
        self, erasure: Erasure, keeps_out: KeepsOut, *, require: Callable[[], None]
    ) -> None:
        with self.world.lock:
            require()
            self.hash_key(erasure.tenant_id)
            after = self.world.kept_out[erasure.tenant_id].after(
                replace(erasure, keeps_out=keeps_out)
            )
            if len(after.until) > MOST_KEPT_OUT:
                raise RequestError(ErrorCode.INVALID_REQUEST, fields=[("addresses", "full")])
            self.world.kept_out[erasure.tenant_id] = after
            self.world.erasures[erasure.tenant_id, erasure.id] = erasure

    def get_erasure(self, tenant_id: TenantId, erasure_id: ErasureId) -> Erasure | None:
        return self.world.erasures.get((tenant_id, erasure_id))

    def erasure_of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Erasure | None:
        found = (one for (tenant, _), one in self.world.erasures.items() if tenant == tenant_id)
        return next((one for one in found if one.mailbox_id == mailbox_id), None)

    def list_erasures(
        self, tenant_id: TenantId, *, before: ErasureId | None, limit: int
    ) -> list[Erasure]:
        ids = [one for tenant, one in self.world.erasures if tenant == tenant_id]
        newest = sorted((one for one in ids if before is None or one < before), reverse=True)
        return [self.world.erasures[tenant_id, one] for one in newest[:limit]]

    def take_erasure(self, erasure: Erasure, *, owner: str, now: datetime, seconds: int) -> Erasure:
        with self.world.lock:
            stands = self.get_erasure(erasure.tenant_id, erasure.id)
            if stands is None or stands.state is ErasureState.DONE:
                raise ConflictError(ErrorCode.WRONG_STATE)
            holder = self.world.erasure_leases.get(erasure.id)
            if holder is not None and holder[0] != owner and holder[1] > now:
                raise ConflictError(ErrorCode.LEASE_HELD)
            self.world.erasure_leases[erasure.id] = owner, now + timedelta(seconds=seconds)
            return stands

    def count_erased(self, erasure: Erasure, owner: str, page: ErasePage) -> Erasure:
        after = replace(
            erasure,
            erased=erasure.erased + page.erased,
            counted_to=page.position,
            looked_to=page.looked_to,
        )
        return self._as_owner(after, owner)

    def leave_erasure(self, erasure: Erasure, owner: str) -> None:
        if self.world.erasure_leases.get(erasure.id, ("",))[0] == owner:
            del self.world.erasure_leases[erasure.id]

    def finish_erasure(self, erasure: Erasure, owner: str, *, now: datetime) -> Erasure:
        after = ended(erasure, now)
        self._as_owner(after, owner)
        del self.world.erasure_leases[erasure.id]
        return after

    def _as_owner(self, after: Erasure, owner: str) -> Erasure:
        with self.world.lock:
            if self.world.erasure_leases.get(after.id, ("",))[0] != owner:
                raise stale("erasure")
            self.world.erasures[after.tenant_id, after.id] = after
            return after

    def let_in(self, erasure: Erasure) -> Erasure:
        with self.world.lock:
            others = (
                one
                for (tenant_id, name), one in self.world.erasures.items()
                if tenant_id == erasure.tenant_id and name != erasure.id
            )
            stands = self.world.kept_out[erasure.tenant_id]
            self.world.kept_out[erasure.tenant_id] = stands.only(others)
            key = (erasure.tenant_id, erasure.id)
            self.world.erasures[key] = replace(self.world.erasures[key], keeps_out=None)
            return self.world.erasures[key]


@dataclass
class InMemoryMailEraser:
    """The port `MailEraser`: a page is a few messages, or all that remains of one kind."""

    world: World = field(default_factory=World)

    def next_page(self, erasure: Erasure) -> ErasePage | None:
        if erasure.mailbox_id is not None:
            return self._of_mailbox(erasure, erasure.mailbox_id)
        return self._of_person(erasure)

    def erase(self, erasure: Erasure, page: ErasePage, *, now: datetime) -> None:
        with self.world.lock:
            for message_id in page.work:
                self._erase_message(erasure, MessageId(message_id))
            if not page.work:
                self._erase_rest(erasure)

    # ---- a mailbox ----

    def _of_mailbox(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        ours = f"{mailbox_id}/"
        held = [
            message
            for (tenant, _), message in sorted(self.world.messages.items())
            if tenant == erasure.tenant_id and any(ref.startswith(ours) for ref in message.copies)
        ][:IN_PAGE]
        if held:
            return self._page("1", erasure, held, ours)
        box = (erasure.tenant_id, mailbox_id)
        whole = (self.world.folders, self.world.backfills, self.world.runs, self.world.copies)
        parts = [kept.get(box, {}) for kept in whole]
        objects = self._objects(erasure.tenant_id, ours)
        chunks = [one for one in self.world.chunks if one[:2] == box]
        users = self._primaries(box)
        letters, raw = self.world.letters.get(box, {}), self._raw(box)
        sends, contents = self.world.sends.get(box, {}), self._contents(box)
        parts.append({"changes": self.world.changes[box]} if box in self.world.changes else {})
        if not (any(parts) or objects or chunks or users or letters or raw or sends or contents):
            return None
        erased = Erased(
            attachments=len(objects),
            runs=len(parts[2]),
            raw_messages=len(raw),
            dead_letters=len(letters),
            sends=len(sends),
            other=len(parts[0]) + len(parts[1]) + sum(len(self.world.chunks[c]) for c in chunks),
        )
        is_new = not erasure.counted_to.startswith("2|")
        return ErasePage("2|", erased if is_new else Erased(), ())

    def _page(self, place: str, erasure: Erasure, held: list[Message], ours: str) -> ErasePage:
        new = [one for one in held if f"{place}|{one.id}" > erasure.counted_to]
        whole = [one for one in new if all(ref.startswith(ours) for ref in one.copies)]
        copies = sum(ref.startswith(ours) for one in new for ref in one.copies)
        erased = Erased(messages=len(whole), kept_for_others=len(new) - len(whole), copies=copies)
        if not ours:
            objects = [self._objects(erasure.tenant_id, ref) for m in new for ref in m.copies]
            erased += Erased(attachments=sum(map(len, objects)))
        return ErasePage(f"{place}|{held[-1].id}", erased, tuple(one.id for one in held))

    def _objects(self, tenant_id: TenantId, start: str) -> list[tuple[TenantId, str, str]]:
        return [
            key
            for key in self.world.attachments
            if key[0] == tenant_id and key[1].startswith(start)
        ]

    def _contents(self, box: tuple[TenantId, MailboxId]) -> list[SendRef]:
        return [ref for ref in self.world.outgoing if (ref.tenant_id, ref.mailbox_id) == box]

    def _sends_naming(self, erasure: Erasure) -> list[SendRef]:
        return [
            SendRef(*box, send.id)
            for box, sends in self.world.sends.items()
            for send in sends.values()
            if box[0] == erasure.tenant_id
            and send.created_at <= erasure.requested_at
            and any(
                canonical_address(one) in erasure.addresses
                for one in (send.sender, *(one.address for one in send.recipients))
            )
        ]

    def _erase_sends(self, refs: list[SendRef]) -> None:
        for ref in refs:
            self.world.sends[ref.tenant_id, ref.mailbox_id].pop(ref.send_id)
            self.world.outgoing.pop(ref, None)
        keys = [name for name, (ref, _) in self.world.send_keys.items() if ref in refs]
        for name in keys:
            del self.world.send_keys[name]

    def _raw(self, box: tuple[TenantId, MailboxId]) -> list:
        return [key for key in self.world.raw_messages if key[:2] == box]

    def _raw_naming(self, erasure: Erasure) -> list:
        words = "|".join(re.escape(one) for one in erasure.addresses)
        part = r"a-z0-9\x80-\xff"
        named = re.compile(rf"(?<![{part}._+-])(?:{words})(?![{part}-]|\.[{part}])")
        return [
            key
            for key, raw in self.world.raw_messages.items()
            if key[0] == erasure.tenant_id
            and named.search(raw.decode("latin-1").lower())
            and self._reaches_letter(erasure, key)
        ]

    def _reaches_letter(self, erasure: Erasure, key: tuple[TenantId, MailboxId, LetterId]) -> bool:
        letter = self.world.letters.get(key[:2], {}).get(key[2])
        return letter is None or erasure.reaches(letter.received_at)

    def _primaries(self, box: tuple[TenantId, MailboxId]) -> list:
        return [key for key, one in self.world.primaries.items() if (key[0], one) == box]

    def _erase_message(self, erasure: Erasure, message_id: MessageId) -> None:
        key = (erasure.tenant_id, message_id)
        message = self.world.messages.get(key)
        if message is None:
            return
        ours = f"{erasure.mailbox_id}/" if erasure.mailbox_id else ""
        leaving = frozenset(ref for ref in message.copies if ref.startswith(ours))
        for ref in leaving:
            mailbox_id, _, name = ref.partition("/")
            box = (erasure.tenant_id, MailboxId(mailbox_id))
            self.world.copies.get(box, {}).pop(ProviderMessageId(name), None)
            if not ours:
                self.world.settled.setdefault(box, set()).add(ProviderMessageId(name))
            for one in self._objects(erasure.tenant_id, ref):
                if not ours:
                    del self.world.attachments[one]
        if leaving != message.copies:
            self.world.messages[key] = replace(message, copies=message.copies - leaving)
            return
        for entries in self.world.index.values():
            entries.discard((message.received_at, message_id))
        del self.world.messages[key]
        self.world.bodies.pop(key, None)
        self._erase_threads(erasure.tenant_id, message)

    def _erase_threads(self, tenant_id: TenantId, message: Message) -> None:
        """Forget where a message said it was; a thread without messages is a member of none."""
        others = {
            one.internet_message_id
            for (tenant, _), one in self.world.messages.items()
            if tenant == tenant_id
        }
        if message.internet_message_id not in others:
            for name in own_thread(tenant_id, message) - {message.thread_id}:
                self._forget(tenant_id, name)
        left = {
            one.thread_id for (tenant, _), one in self.world.messages.items() if tenant == tenant_id
        }
        if message.thread_id in left:
            return
        self._forget(tenant_id, message.thread_id)
        threads = self.world.threads
        record = threads.pop((tenant_id, message.thread_id), None)
        if record is None:
            return
        of_root = threads.get((tenant_id, record.root), record)
        rest = ({of_root.root} | of_root.members) - {message.thread_id}
        for one in rest:
            known = threads.pop((tenant_id, one))
            members = frozenset(rest - {one}) if one == min(rest) else frozenset()
            if len(rest) > 1 or known.least:
                threads[tenant_id, one] = replace(known, root=min(rest), members=members)

    def _forget(self, tenant_id: TenantId, thread_id: ThreadId) -> None:
        known = self.world.conversations.pop((tenant_id, thread_id), None)
        if known:
            known.names.discard(thread_id)
            known.threads.discard(thread_id)

    def _deleted(self, erasure: Erasure) -> set[tuple[TenantId, ContactId]]:
        """Return the notes that one of a person's contacts was deleted."""
        ids = frozenset[ContactId]().union(
            *(ids_spelled(erasure.tenant_id, one) for one in erasure.addresses)
        )
        return {(erasure.tenant_id, one) for one in ids} & self.world.unwanted

    def _erase_rest(self, erasure: Erasure) -> None:
        if erasure.mailbox_id is None:
            self.world.unwanted -= self._deleted(erasure)
            self._erase_sends(self._sends_naming(erasure))
            self._erase_contacts(erasure)
            return
        box = (erasure.tenant_id, erasure.mailbox_id)
        for kept in (self.world.folders, self.world.backfills, self.world.runs, self.world.copies):
            kept.pop(box, None)
        self.world.settled.pop(box, None)
        self.world.changes.pop(box, None)
        for key in [one for one in self.world.chunks if one[:2] == box]:
            del self.world.chunks[key]
        for one in self._objects(erasure.tenant_id, f"{erasure.mailbox_id}/"):
            del self.world.attachments[one]
        for user in self._primaries(box):
            del self.world.primaries[user]
        self._erase_sends([SendRef(*box, one) for one in self.world.sends.get(box, {})])
        for ref in self._contents(box):
            del self.world.outgoing[ref]
        self.world.letters.pop(box, None)
        for key in self._raw(box):
            del self.world.raw_messages[key]

    # ---- a person ----

    def _of_person(self, erasure: Erasure) -> ErasePage | None:
        wanted = set(erasure.addresses)
        held = [
            message
            for (tenant, _), message in sorted(self.world.messages.items())
            if tenant == erasure.tenant_id
            and erasure.reaches(message.received_at)
            and any(
                one.address in wanted and one.role is not ParticipantRole.REPLY_TO
                for one in message.participants
            )
        ][:IN_PAGE]
        if held:
            return self._page("1", erasure, held, "")
        contacts = [
            one
            for (tenant, _), one in self.world.contacts.items()
            if tenant == erasure.tenant_id and wanted & set(one.addresses)
        ]
        raw = self._raw_naming(erasure)
        log = self.world.added_addresses.get(erasure.tenant_id, ())
        is_logged = any(wanted & added for _, added in log)
        sends = self._sends_naming(erasure)
        if not (contacts or raw or is_logged or sends or self._deleted(erasure)):
            return None
        is_new = not erasure.counted_to.startswith("2|")
        erased = Erased(
            contacts=len(contacts),
            raw_messages=len(raw),
            dead_letters=len(raw),
            sends=len(sends),
        )
        return ErasePage("2|", erased if is_new else Erased(), ())

    def _erase_contacts(self, erasure: Erasure) -> None:
        for tenant_id, mailbox_id, letter_id in self._raw_naming(erasure):
            del self.world.raw_messages[tenant_id, mailbox_id, letter_id]
            self.world.letters.get((tenant_id, mailbox_id), {}).pop(letter_id, None)
        wanted = set(erasure.addresses)
        for _, added in self.world.added_addresses.get(erasure.tenant_id, ()):
            added.difference_update(wanted)
        for key, contact in list(self.world.contacts.items()):
            if key[0] != erasure.tenant_id or not wanted & set(contact.addresses):
                continue
            left = contact.without(erasure.addresses)
            if left:
                self.world.contacts[key] = left
            else:
                del self.world.contacts[key]
            for name in set(contact.merged) - set(left.merged if left else ()):
                del self.world.merged_contacts[key[0], name]
