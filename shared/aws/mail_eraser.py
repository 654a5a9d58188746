"""Where an erasure looks for what is left, in which order, and what of it is counted.

Of a mailbox: everything in its partition, whatever it is; its objects; what else names it. Of a
person: the index of their addresses; messages left half written in any mailbox of the tenant; their
contacts; raw messages of dead letters. Each look begins at the first of these places and takes a
page of the first that holds anything: so dying is harmless, and a look that finds nothing has
looked everywhere.

Within a place pages come in order of key. What lies up to the last key that was counted is in the
receipt already.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice

from shared.aws.clients import Clients, clients_of_process
from shared.aws.contact_store import DynamoContactStore
from shared.aws.message_erasure import Doomed, MessageErasure, index_key
from shared.aws.settled_copies import settle_copies
from shared.aws.side_by_side import side_by_side
from shared.aws.stored_objects import (
    ATTACHMENTS,
    LETTERS,
    UPLOADS,
    StoredObjects,
    Upload,
    of_mailbox,
    of_tenant,
)
from shared.aws.table import Raw, Table
from shared.aws.tables import (
    AT_PREFIX,
    CONTACT_PREFIX,
    PRIMARY_PREFIX,
    RUN_PREFIX,
    Key,
    PointerItem,
    address_pk,
    at_sk,
    copy_sk,
    mailbox_pk,
    mailboxes_pk,
    unescape,
)
from shared.aws.tables_of_dead_letters import (
    LETTER_PREFIX,
    DeadLetterItem,
    letter_of_raw_object,
)
from shared.aws.tables_of_erasures import WRITING_PREFIX, is_noted_before, unpacked_ids
from shared.domain.erasure import Erased, Erasure, KeepsOut
from shared.domain.ids import Address, ContactId, MailboxId, MessageId
from shared.ports.erasures import ErasePage
from shared.ports.stores import MailboxStore

ITEMS_IN_PAGE = 50
OBJECTS_IN_PAGE = 1_000
_WORKERS = 8
_NONE: frozenset[MessageId] = frozenset()
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_LAST = "\U0010ffff"

Names = Mapping[Key, frozenset[MessageId]]
"""Items, each with the messages that must be gone before it may go."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What a page deletes: messages first, then what they were found by."""

    messages: tuple[Doomed, ...] = ()
    found_by: Names = field(default_factory=dict)
    objects: tuple[str, ...] = ()
    uploads: tuple[Upload, ...] = ()
    contacts: tuple[ContactId, ...] = ()


@dataclass(frozen=True, slots=True)
class DynamoMailEraser:
    """The port `MailEraser`."""

    table: Table
    bucket: str
    mailboxes: MailboxStore
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
        return next((page for look in looks if (page := look()) is not None), None)

    def erase(self, erasure: Erasure, page: ErasePage, *, now: datetime) -> None:
        """Delete messages, objects and contacts, then what they were found by.

        First audits are told of a person's copies: once one is gone, nothing names it any more.
        """
        work = page.work
        if not isinstance(work, _Work):
            raise TypeError("not a page of ours")
        if erasure.mailbox_id is None:
            refs = frozenset[str]().union(*(one.leaving for one in work.messages))
            settle_copies(self.table, erasure, refs, self._workers)
        messages, contacts = self._messages(erasure), DynamoContactStore(self.table)
        changed = messages.erase(work.messages, found_by=frozenset(work.found_by), now=now)
        self._objects.delete(work.objects)
        self._objects.abort(work.uploads)
        for contact_id in work.contacts:
            contacts.take_off(erasure.tenant_id, contact_id, erasure.addresses)
        messages.delete_items(key for key, names in work.found_by.items() if not names & changed)

    @property
    def _objects(self) -> StoredObjects:
        return StoredObjects(self.bucket, self.clients)

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
        for kind in (ATTACHMENTS, UPLOADS, LETTERS):
            yield partial(self._objects_of, erasure, mailbox_id, kind)
            yield partial(self._unfinished, erasure, mailbox_id, kind)
        yield partial(self._pointers, erasure, mailbox_id)

    def _items_of_mailbox(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        items = self._some(mailbox_pk(erasure.tenant_id, mailbox_id))
        if not items:
            return None
        place = _Place(erasure, "1")
        names = {_key(raw): _named(raw) for raw in items}
        noted = _all(names[_key(raw)] for raw in items if _is(raw, WRITING_PREFIX))
        doomed = self._messages(erasure).read(sorted(_all(names.values())), noted=noted)
        fresh = [raw for raw in items if place.is_new(raw["sk"]["S"])]
        erased = _counts_of(fresh) + _counts_of_messages(
            doomed, _all(names[_key(raw)] for raw in fresh)
        )
        work = _Work(tuple(doomed.values()), names)
        return ErasePage(place.up_to(items[-1]["sk"]["S"]), erased, work)

    def _objects_of(self, erasure: Erasure, mailbox_id: MailboxId, kind: str) -> ErasePage | None:
        prefix = of_mailbox(kind, erasure.tenant_id, mailbox_id)
        keys = list(islice(self._objects.keys(prefix), OBJECTS_IN_PAGE))
        if not keys:
            return None
        place = _Place(erasure, f"2{kind}")
        number = sum(place.is_new(key) for key in keys)
        erased = Erased(
            attachments=number if kind == ATTACHMENTS else 0,
            raw_messages=number if kind == LETTERS else 0,
        )
        return ErasePage(place.up_to(keys[-1]), erased, _Work(objects=tuple(keys)))

    def _unfinished(self, erasure: Erasure, mailbox_id: MailboxId, kind: str) -> ErasePage | None:
        prefix = of_mailbox(kind, erasure.tenant_id, mailbox_id)
        uploads = tuple(self._objects.unfinished(prefix))
        # What was never ended is nothing that anybody had: it is not counted.
        return ErasePage(erasure.counted_to, Erased(), _Work(uploads=uploads)) if uploads else None

    def _pointers(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        found = self.table.query(mailboxes_pk(erasure.tenant_id), prefix=PRIMARY_PREFIX)
        items = (PointerItem.from_raw_data(raw) for raw in found)
        names = {Key(item.pk, item.sk): _NONE for item in items if item.mailbox_id == mailbox_id}
        if not names:
            return None
        place = _Place(erasure, "3")
        return ErasePage(place.up_to(max(names).sk), Erased(), _Work(found_by=names))

    # ---- a person ----

    def _of_person(self, erasure: Erasure) -> Iterator[Callable[[], ErasePage | None]]:
        for address in erasure.addresses:
            yield partial(self._mail_of, erasure, address)
        for record in self.mailboxes.list_mailboxes(erasure.tenant_id):
            yield partial(self._half_written, erasure, record.mailbox.id)
        for address in erasure.addresses:
            yield partial(self._contacts_of, erasure, address)
        yield partial(self._raw_messages_of, erasure)

    def _mail_of(self, erasure: Erasure, address: Address) -> ErasePage | None:
        is_all = erasure.keeps_out is KeepsOut.ALL_MAIL
        last = at_sk(_EVER if is_all else erasure.requested_at, MessageId(_LAST))
        items = self._some(address_pk(erasure.tenant_id, address), AT_PREFIX, last)
        if not items:
            return None
        place = _Place(erasure, f"1{erasure.addresses.index(address):03}")
        names = {
            _key(raw): frozenset({MessageId(raw["sk"]["S"].rpartition("#")[2])}) for raw in items
        }
        doomed = self._messages(erasure).read(sorted(_all(names.values())))
        fresh = _all(names[_key(raw)] for raw in items if place.is_new(raw["sk"]["S"]))
        erased = _counts_of_messages(doomed, fresh, with_copies=True)
        work = _Work(tuple(doomed.values()), names)
        return ErasePage(place.up_to(items[-1]["sk"]["S"]), erased, work)

    def _half_written(self, erasure: Erasure, mailbox_id: MailboxId) -> ErasePage | None:
        """Look through the notes of workers that died: what they name may be in no index.

        Whoever leaves one after everybody else is over knows whom to keep out, and may be alive.
        """
        notes = self.table.query(mailbox_pk(erasure.tenant_id, mailbox_id), prefix=WRITING_PREFIX)
        over = [raw for raw in notes if is_noted_before(raw, erasure.settles_at)]
        ids = _all(_named(raw) for raw in over)
        wanted = frozenset(erasure.addresses)
        read = self._messages(erasure).read(sorted(ids), noted=ids) if ids else {}
        # Whose a body without content is cannot be known, and nobody misses it: who died before
        # writing the content will write both again.
        doomed = {
            name: one
            for name, one in read.items()
            if one.message is None
            or (wanted & one.addresses and erasure.reaches(one.message.received_at))
        }
        if not doomed:
            return None
        place = _Place(erasure, f"2{mailbox_id}")
        names = {
            index_key(erasure.tenant_id, address, one.message): frozenset({one.id})
            for one in doomed.values()
            if one.message is not None
            for address in wanted & one.addresses
        }
        fresh = [one for one in doomed if place.is_new(one)]
        erased = _counts_of_messages(doomed, fresh, with_copies=True)
        return ErasePage(place.up_to(max(doomed)), erased, _Work(tuple(doomed.values()), names))

    def _contacts_of(self, erasure: Erasure, address: Address) -> ErasePage | None:
        items = self._some(address_pk(erasure.tenant_id, address), CONTACT_PREFIX)
        if not items:
            return None
        place = _Place(erasure, f"3{erasure.addresses.index(address):03}")
        number = sum(place.is_new(raw["sk"]["S"]) for raw in items)
        contacts = tuple(
            ContactId(unescape(raw["sk"]["S"].removeprefix(CONTACT_PREFIX))) for raw in items
        )
        up_to = place.up_to(items[-1]["sk"]["S"])
        return ErasePage(up_to, Erased(contacts=number), _Work(contacts=contacts))

    def _raw_messages_of(self, erasure: Erasure) -> ErasePage | None:
        """Look into what was kept because nobody could read it: their address as it came."""
        words = [address.encode("utf-8", "surrogatepass") for address in erasure.addresses]
        keys = list(self._objects.keys(of_tenant(LETTERS, erasure.tenant_id)))
        named = side_by_side(self._workers, lambda key: self._objects.mentions(key, words), keys)
        found = [key for key, is_named in zip(keys, named, strict=True) if is_named]
        found = self._reached(erasure, found)
        if not found:
            return None
        page = tuple(found[:ITEMS_IN_PAGE])
        place = _Place(erasure, "4")
        number = sum(place.is_new(key) for key in page)
        letters = {letter_of_raw_object(erasure.tenant_id, key): _NONE for key in page}
        erased = Erased(raw_messages=number, dead_letters=number)
        return ErasePage(place.up_to(page[-1]), erased, _Work(found_by=letters, objects=page))

    def _reached(self, erasure: Erasure, found: Sequence[str]) -> list[str]:
        """Leave out the raw messages that came after the request, where those are let in."""
        letters = {letter_of_raw_object(erasure.tenant_id, key): key for key in found}
        stay = {
            letters[_key(raw)]
            for raw in self.table.get_many(list(letters))
            if not erasure.reaches(DeadLetterItem.from_raw_data(raw).received_at)
        }
        return [key for key in found if key not in stay]


@dataclass(frozen=True, slots=True)
class _Place:
    """One of the places that are looked in, and how far into it the receipt has counted."""

    erasure: Erasure
    name: str

    def is_new(self, key: str) -> bool:
        """Whether what has this key is not counted yet."""
        place, _, counted = self.erasure.counted_to.partition("|")
        return place != self.name or key > counted

    def up_to(self, key: str) -> str:
        """Return the position after a page that ends with this key."""
        return f"{self.name}|{key}"


def _all(names: Iterable[frozenset[MessageId]]) -> frozenset[MessageId]:
    return _NONE.union(*names)


def _key(raw: Raw) -> Key:
    return Key(raw["pk"]["S"], raw["sk"]["S"])


def _is(raw: Raw, prefix: str) -> bool:
    return str(raw["sk"]["S"]).startswith(prefix)


def _named(raw: Raw) -> frozenset[MessageId]:
    """Return the messages an item of a mailbox leads to."""
    if _is(raw, copy_sk("")):
        return frozenset({MessageId(raw["m"]["S"])})
    if _is(raw, WRITING_PREFIX):
        return frozenset(unpacked_ids(raw["i"]["B"]))
    return _NONE


def _counts_of(items: Sequence[Raw]) -> Erased:
    copies, runs, letters, notes = (
        sum(_is(raw, prefix) for raw in items)
        for prefix in (copy_sk(""), RUN_PREFIX, LETTER_PREFIX, WRITING_PREFIX)
    )
    other = len(items) - copies - runs - letters - notes
    return Erased(copies=copies, runs=runs, dead_letters=letters, other=other)


def _counts_of_messages(
    doomed: Mapping[MessageId, Doomed], fresh: Iterable[MessageId], *, with_copies: bool = False
) -> Erased:
    counted = [doomed[one] for one in fresh if one in doomed]
    whole = [one for one in counted if one.goes_whole]
    return Erased(
        messages=sum(one.message is not None for one in whole),
        kept_for_others=len(counted) - len(whole),
        copies=sum(len(one.refs) for one in whole) if with_copies else 0,
        attachments=sum(len(one.objects) - one.bodies for one in whole),
        bodies=sum(one.bodies for one in whole),
    )
