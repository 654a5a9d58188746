"""Where an erasure looks for what is left, in which order, and what of it is counted.

Of a mailbox: everything in its partition, whatever it is; its objects; what else names it. Of a
person: the index of their addresses; messages left half written in any mailbox of the tenant; their
contacts; the log of added addresses; raw messages of dead letters; mails on their way out, and what
was uploaded for them (`send_erasure`). Each look begins at the first of
these places and takes a page of the first that holds anything: so dying is harmless, and a look
that finds nothing has looked everywhere.

What takes long, the notes of all mailboxes, the log and all raw messages, is looked through in
stretches: up to where one was found empty is in the receipt, and the next look goes on there. It
stays empty, for who might still write there is over, and everybody else knows whom to keep out.

Within a place pages come in order of key. What lies up to the last key that was counted is in the
receipt already.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from shared.aws.clients import Clients, clients_of_process
from shared.aws.contact_store import DynamoContactStore
from shared.aws.erase_pages import (
    NO_MESSAGES,
    Place,
    Work,
    all_of,
    counts_of,
    counts_of_messages,
    is_of,
    key_of,
    looked_to,
    messages_of,
    step,
)
from shared.aws.index_entries import message_of_entry
from shared.aws.message_erasure import MessageErasure
from shared.aws.send_erasure import SendErasure, keys_of_sends
from shared.aws.settled_copies import settle_copies
from shared.aws.side_by_side import side_by_side
from shared.aws.stored_objects import (
    ATTACHMENTS,
    LETTERS,
    OUTGOING,
    UPLOADS,
    StoredObjects,
    of_mailbox,
    of_tenant,
)
from shared.aws.table import Raw, Table
from shared.aws.tables import (
    AT_PREFIX,
    MAILBOX_PREFIX,
    PRIMARY_PREFIX,
    SETTINGS_SUFFIX,
    Key,
    PointerItem,
    address_pk,
    at_sk,
    mailbox_pk,
    mailbox_sk,
    mailboxes_pk,
    unescape,
)
from shared.aws.tables_of_added_addresses import AddedItem, added_pk
from shared.aws.tables_of_dead_letters import (
    DeadLetterItem,
    letter_of_raw_object,
)
from shared.aws.tables_of_erasures import WRITING_PREFIX, is_noted_before
from shared.aws.tables_of_new_contacts import deleted_key
from shared.domain.erasure import Erased, Erasure, KeepsOut
from shared.domain.ids import Address, MailboxId, MessageId
from shared.domain.new_contacts import ids_spelled
from shared.ports.erasures import ErasePage

ITEMS_IN_PAGE = 50
OBJECTS_IN_PAGE = 1_000
MAILBOXES_IN_LOOK = 200
ENTRIES_IN_LOOK = 10_000
OBJECTS_IN_LOOK = 200
BYTES_IN_LOOK = 64 << 20
"""Read in some seconds: a look has to end within the margin that is left for a page."""
_WORKERS = 8
_NOTES, _LOG, _RAW = "2", "3", "4"
"""Places that take long to be looked through; named in the order of the looks."""
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class DynamoMailEraser:
    """The port `MailEraser`."""

    table: Table
    bucket: str
    clients: Clients = field(default_factory=clients_of_process)
    _workers: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_WORKERS, thread_name_prefix="erasing")
    )

    def next_page(self, erasure: Erasure) -> ErasePage | None:
        """Look in one place after the other."""
        looks = (
            self._of_mailbox(erasure, erasure.mailbox_id)
            if erasure.mailbox_id is not None
            else self._of_person(erasure)
        )
        page = next((page for look in looks if (page := look()) is not None), None)
        return page and replace(page, looked_to=page.looked_to or erasure.looked_to)

    def erase(self, erasure: Erasure, page: ErasePage, *, now: datetime) -> None:
        """Delete messages and contacts, then what they were found by.

        First audits are told of a person's copies: once one is gone, nothing names it any more.
        """
        work = page.work
        if not isinstance(work, Work):
            raise TypeError("not a page of ours")
        if erasure.mailbox_id is None:
            refs = frozenset[str]().union(*(one.leaving for one in work.messages))
            settle_copies(self.table, erasure, refs, self._workers)
        messages, contacts = self._messages(erasure), DynamoContactStore(self.table)
        messages.delete_items(work.first)
        changed = messages.erase(work.messages, found_by=frozenset(work.found_by), now=now)
        self._objects.abort(work.uploads)
        for contact_id in work.contacts:
            contacts.take_off(erasure.tenant_id, contact_id, erasure.addresses)
        for key in work.log:
            taken_out = AddedItem.addresses.delete(set(erasure.addresses))
            self.table.update(key, [taken_out], AddedItem.pk.exists())
        messages.delete_items(key for key, names in work.found_by.items() if not names & changed)
        # Last: a dead letter is found by its raw message alone.
        self._objects.delete(work.objects)

    @property
    def _objects(self) -> StoredObjects:
        return StoredObjects(self.bucket, self.clients)

    @property
    def _sends(self) -> SendErasure:
        return SendErasure(self.table, self._objects, self._mailboxes)

    def _messages(self, erasure: Erasure) -> MessageErasure:
        return MessageErasure(
            self.table, self._objects, erasure.tenant_id, erasure.mailbox_id, self._workers
        )

    def _some(self, pk: str, prefix: str = "", last: str = "") -> list[Raw]:
        between = (prefix, last) if last else None
        found = self.table.query(pk, prefix=prefix, between=between, page=ITEMS_IN_PAGE)
        return list(islice(found, ITEMS_IN_PAGE))

    # ---- a mailbox ----

    def _of_mailbox(
        self, erasure: Erasure, mailbox_id: MailboxId
    ) -> Iterator[Callable[[], ErasePage | None]]:
        yield partial(self._items_of_mailbox, erasure, mailbox_id)
        for kind in (ATTACHMENTS, UPLOADS, LETTERS, OUTGOING):
            yield partial(self._objects_of, erasure, mailbox_id, kind)
            yield partial(self._unfinished, erasure, mailbox_id, kind)
        yield partial(self._pointers, erasure, mailbox_id)
        yield partial(self._sends.uploads, erasure)

    def _items_of_mailbox(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        items = self._some(mailbox_pk(erasure.tenant_id, mailbox_id))
        if not items:
            return None
        place = Place(erasure, "1")
        names = {key_of(raw): messages_of(raw) for raw in items}
        noted = all_of(names[key_of(raw)] for raw in items if is_of(raw, WRITING_PREFIX))
        doomed = self._messages(erasure).read(sorted(all_of(names.values())), noted=noted)
        fresh = [raw for raw in items if place.is_new(raw["sk"]["S"])]
        erased = counts_of(fresh) + counts_of_messages(
            doomed, all_of(names[key_of(raw)] for raw in fresh)
        )
        work = Work(tuple(doomed.values()), names, keys_of_sends(erasure.tenant_id, items))
        return ErasePage(place.up_to(items[-1]["sk"]["S"]), erased, work)

    def _objects_of(self, erasure: Erasure, mailbox_id: MailboxId, kind: str) -> ErasePage | None:
        prefix = of_mailbox(kind, erasure.tenant_id, mailbox_id)
        keys = list(islice(self._objects.keys(prefix), OBJECTS_IN_PAGE))
        if not keys:
            return None
        place = Place(erasure, f"2{kind}")
        number = sum(place.is_new(key) for key in keys)
        erased = Erased(
            attachments=number if kind == ATTACHMENTS else 0,
            raw_messages=number if kind == LETTERS else 0,
        )
        return ErasePage(place.up_to(keys[-1]), erased, Work(objects=tuple(keys)))

    def _unfinished(self, erasure: Erasure, mailbox_id: MailboxId, kind: str) -> ErasePage | None:
        prefix = of_mailbox(kind, erasure.tenant_id, mailbox_id)
        uploads = tuple(self._objects.unfinished(prefix))
        # What was never ended is nothing that anybody had: it is not counted.
        return ErasePage(erasure.counted_to, Erased(), Work(uploads=uploads)) if uploads else None

    def _pointers(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        found = self.table.query(mailboxes_pk(erasure.tenant_id), prefix=PRIMARY_PREFIX)
        items = (PointerItem.from_raw_data(raw) for raw in found)
        ours = [Key(one.pk, one.sk) for one in items if one.mailbox_id == mailbox_id]
        names = dict.fromkeys(ours, NO_MESSAGES)
        if not names:
            return None
        place = Place(erasure, "3")
        return ErasePage(place.up_to(max(names).sk), Erased(), Work(found_by=names))

    # ---- a person ----

    def _of_person(self, erasure: Erasure) -> Iterator[Callable[[], ErasePage | None]]:
        for address in erasure.addresses:
            yield partial(self._mail_of, erasure, address)
        yield partial(self._half_written, erasure)
        for address in erasure.addresses:
            yield partial(self._contacts_of, erasure, address)
        yield partial(self._deleted_contacts, erasure)
        yield partial(self._log_of, erasure)
        yield partial(self._raw_messages_of, erasure)
        for look in (self._sends.of_person, self._sends.contents_of_nobody, self._sends.uploads):
            yield partial(look, erasure)

    def _mail_of(self, erasure: Erasure, address: Address) -> ErasePage | None:
        is_all = erasure.keeps_out is KeepsOut.ALL_MAIL
        last = at_sk(_EVER if is_all else erasure.requested_at, MessageId(_LAST))
        items = self._some(address_pk(erasure.tenant_id, address), AT_PREFIX, last)
        if not items:
            return None
        place = Place(erasure, f"1{erasure.addresses.index(address):03}")
        messages = self._messages(erasure)
        named = [(raw, message_of_entry(raw["sk"]["S"])) for raw in items]
        fitting = messages.in_page([one for _, one in named])
        items = [raw for raw, one in named if one in fitting]
        names = {key_of(raw): frozenset({one}) for raw, one in named if one in fitting}
        doomed = messages.read(sorted(fitting))
        fresh = all_of(names[key_of(raw)] for raw in items if place.is_new(raw["sk"]["S"]))
        erased = counts_of_messages(doomed, fresh, with_copies=True)
        work = Work(tuple(doomed.values()), names)
        # A message counts once, also where not all its entries are on this page.
        last_of_message = items[-1]["sk"]["S"].rpartition("#")[0] + f"#{_LAST}"
        return ErasePage(place.up_to(last_of_message), erased, work)

    def _half_written(self, erasure: Erasure) -> ErasePage | None:
        """Look through the notes of workers that died: what they name may be in no index.

        Whoever leaves one after everybody else is over knows whom to keep out, and may be alive.
        """
        after = looked_to(erasure, _NOTES)
        boxes = [] if after is None else self._mailboxes(erasure, MailboxId(after))
        ids = all_of(side_by_side(self._workers, partial(self._noted, erasure), boxes))
        wanted = frozenset(erasure.addresses)
        read = self._messages(erasure).read(sorted(ids), noted=ids) if ids else {}
        # Whose a body without content is cannot be known, and nobody misses it: who died before
        # writing the content will write both again.
        found = [
            one
            for one in read.values()
            if one.message is None
            or (wanted & one.addresses and erasure.reaches(one.message.received_at))
        ]
        if not found:
            is_last = len(boxes) < MAILBOXES_IN_LOOK
            return None if is_last else step(erasure, _NOTES, boxes[-1])
        doomed = {one.id: one for one in sorted(found, key=lambda one: one.id)[:ITEMS_IN_PAGE]}
        place = Place(erasure, f"{_NOTES}{after}")
        names = {
            key: frozenset({one.id})
            for one in doomed.values()
            for key in self._messages(erasure).entries_of(one, among=wanted)
        }
        fresh = [one for one in doomed if place.is_new(one)]
        erased = counts_of_messages(doomed, fresh, with_copies=True)
        return ErasePage(place.up_to(max(doomed)), erased, Work(tuple(doomed.values()), names))

    def _mailboxes(self, erasure: Erasure, after: MailboxId) -> list[MailboxId]:
        """Return the next mailboxes of the tenant, in order of key."""
        low = mailbox_sk(after) + _LAST if after else MAILBOX_PREFIX
        found = self.table.query(
            mailboxes_pk(erasure.tenant_id),
            between=(low, MAILBOX_PREFIX + _LAST),
            page=2 * MAILBOXES_IN_LOOK,
            attributes="sk",
        )
        names = (
            raw["sk"]["S"].removeprefix(MAILBOX_PREFIX).removesuffix(SETTINGS_SUFFIX)
            for raw in found
            if raw["sk"]["S"].endswith(SETTINGS_SUFFIX)
        )
        return [MailboxId(unescape(one)) for one in islice(names, MAILBOXES_IN_LOOK)]

    def _noted(self, erasure: Erasure, mailbox_id: MailboxId) -> frozenset[MessageId]:
        notes = self.table.query(mailbox_pk(erasure.tenant_id, mailbox_id), prefix=WRITING_PREFIX)
        return all_of(messages_of(raw) for raw in notes if is_noted_before(raw, erasure.settles_at))

    def _contacts_of(self, erasure: Erasure, address: Address) -> ErasePage | None:
        found = DynamoContactStore(self.table).all_contacts_of(erasure.tenant_id, address)
        if not found:
            return None
        contacts = tuple(found[:ITEMS_IN_PAGE])
        place = Place(erasure, f"3{erasure.addresses.index(address):03}")
        number = sum(place.is_new(one) for one in contacts)
        return ErasePage(
            place.up_to(contacts[-1]), Erased(contacts=number), Work(contacts=contacts)
        )

    def _deleted_contacts(self, erasure: Erasure) -> ErasePage | None:
        """Look for notes that a contact was deleted: they name nobody, and are not counted."""
        ids = (ids_spelled(erasure.tenant_id, address) for address in erasure.addresses)
        keys = [deleted_key(erasure.tenant_id, one) for some in ids for one in sorted(some)]
        notes = {key_of(raw): NO_MESSAGES for raw in self.table.get_many(keys)}
        return ErasePage(erasure.counted_to, Erased(), Work(found_by=notes)) if notes else None

    def _log_of(self, erasure: Erasure) -> ErasePage | None:
        """Look through the log of added addresses, after the contacts: it names nobody else's."""
        after = looked_to(erasure, _LOG)
        if after is None:
            return None
        wanted = set(erasure.addresses)
        entries = self.table.query(
            added_pk(erasure.tenant_id), between=(after or " ", _LAST), page=ENTRIES_IN_LOOK
        )
        read = list(islice(entries, ENTRIES_IN_LOOK))
        named = (raw for raw in read if wanted & (AddedItem.from_raw_data(raw).addresses or set()))
        found = tuple(key_of(raw) for raw in islice(named, ITEMS_IN_PAGE))
        if not found:
            is_last = len(read) < ENTRIES_IN_LOOK
            return None if is_last else step(erasure, _LOG, read[-1]["sk"]["S"])
        # It is no mail of theirs and nothing anybody was shown: it is not counted.
        return ErasePage(erasure.counted_to, Erased(), Work(log=found))

    def _raw_messages_of(self, erasure: Erasure) -> ErasePage | None:
        """Look into what was kept because nobody could read it: their address as it came."""
        words = [address.encode("utf-8", "surrogatepass") for address in erasure.addresses]
        after = looked_to(erasure, _RAW)
        if after is None:
            return None
        keys, is_last = self._letters(erasure, after)
        named = side_by_side(self._workers, lambda key: self._objects.mentions(key, words), keys)
        found = [key for key, is_named in zip(keys, named, strict=True) if is_named]
        found = self._reached(erasure, found)
        if not found:
            return None if is_last else step(erasure, _RAW, keys[-1])
        page = tuple(found[:ITEMS_IN_PAGE])
        place = Place(erasure, _RAW)
        number = sum(place.is_new(key) for key in page)
        letters = {letter_of_raw_object(erasure.tenant_id, key): NO_MESSAGES for key in page}
        erased = Erased(raw_messages=number, dead_letters=number)
        before = max((key for key in keys if key < page[0]), default=after)
        work = Work(found_by=letters, objects=page)
        return ErasePage(place.up_to(page[-1]), erased, work, f"{_RAW}|{before}")

    def _letters(self, erasure: Erasure, after: str) -> tuple[list[str], bool]:
        """Return the next raw messages, as many as are read in some seconds, and if none follow."""
        keys: list[str] = []
        left = BYTES_IN_LOOK
        for key, size in self._objects.sizes(of_tenant(LETTERS, erasure.tenant_id), after=after):
            left -= size
            if keys and (left < 0 or len(keys) == OBJECTS_IN_LOOK):
                return keys, False
            keys.append(key)
        return keys, True

    def _reached(self, erasure: Erasure, found: Sequence[str]) -> list[str]:
        """Leave out the raw messages that came after the request, where those are let in."""
        letters = {letter_of_raw_object(erasure.tenant_id, key): key for key in found}
        stay = {
            letters[key_of(raw)]
            for raw in self.table.get_many(list(letters))
            if not erasure.reaches(DeadLetterItem.from_raw_data(raw).received_at)
        }
        return [key for key in found if key not in stay]
