"""In which order a message goes, so that dying anywhere leaves what finds the rest of it.

1. claimed, on condition that the same copies hold it still: nobody adds one any more, and so nobody
   points to what goes now
2. whoever was about to add a copy, and wrote the content before it was claimed, is told so in the
   note it left: it adds none
3. its objects, then its index entries and copies
4. its content: what all these were known by. Its keys stay for a while (see `tables_of_erasures`)

A claim ends by itself, when whoever made it is over: one that died keeps the message from nobody.

A message that another mailbox holds is not claimed: it loses the index entries of this one's
copies, which are found by their names alone, and then those names, on condition that the other
still holds it. Before, those under whose address no other copy is found get an entry that is of no
copy (see `_keep_found`): who is erased later is found by it. Who finds that something has changed
leaves the message to the next look.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from shared.aws.index_entries import KEPT_ENTRIES, OF_NO_COPY, of_no_copy
from shared.aws.instants import microseconds
from shared.aws.message_items import addresses_of, message_of
from shared.aws.side_by_side import side_by_side
from shared.aws.stored_objects import ATTACHMENTS, UPLOADS, StoredObjects, of_copy, of_message
from shared.aws.table import MOST_IN_TRANSACTION, Raw, Table, raw_key
from shared.aws.tables import Key, copy_key, entry_keys, mailbox_pk, message_key
from shared.aws.tables_of_erasures import WRITING_PREFIX, unpacked_ids
from shared.aws.thread_erasure import ThreadErasure
from shared.domain.erasure import SETTLE_SECONDS
from shared.domain.errors import StoreThrottledError
from shared.domain.ids import Address, MailboxId, MessageId, TenantId
from shared.domain.message import Message, place_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef, WriteRequestTypeDef

COPIES_IN_PAGE = 2_000
"""Of each two lists of objects are read: some seconds for all of them."""
_IN_BATCH = 25
_CLAIMED = SETTLE_SECONDS * 1_000_000
"""How long (µs) a claim keeps everybody from writing the message again."""
_NOBODY: frozenset[str] = frozenset()
_PUTS_WITH_NOTE = MOST_IN_TRANSACTION - 1


@dataclass(frozen=True, slots=True)
class Doomed:
    """A message as it was read, and what is to become of it."""

    id: MessageId
    refs: frozenset[str] = _NOBODY
    """The copies that hold it."""
    leaving: frozenset[str] = _NOBODY
    """Those of them that are erased."""
    message: Message | None = None
    """What it says; None where only a body was left."""
    addresses: frozenset[Address] = frozenset()
    """All under which it is found."""
    has_kept: bool = False
    """Whether it has entries that are of no copy."""
    objects: tuple[str, ...] = ()
    """Keys of what is stored for it beside the table, as far as a mailbox's own do not show it."""
    bodies: int = 0
    """How many of them are bodies."""

    @property
    def goes_whole(self) -> bool:
        """Whether nobody is left who holds it."""
        return self.refs == self.leaving


@dataclass(frozen=True, slots=True)
class MessageErasure:
    """Messages of one erasure. `mailbox_id`: whose copies leave; None: all do."""

    table: Table
    objects: StoredObjects
    tenant_id: TenantId
    mailbox_id: MailboxId | None
    workers: ThreadPoolExecutor

    def in_page(self, ids: Sequence[MessageId]) -> frozenset[MessageId]:
        """Return the first of `ids`, as many as one page can hold by their copies; one at least."""
        keys = {one: key for one in ids if (key := message_key(self.tenant_id, one))}
        items = self.table.get_many(list(keys.values()), attributes="pk, sk, c")
        held = {
            Key(raw["pk"]["S"], raw["sk"]["S"]): len(raw.get("c", {}).get("SS", ()))
            for raw in items
        }
        fitting: set[MessageId] = set()
        left = COPIES_IN_PAGE
        for one in dict.fromkeys(ids):
            left -= held.get(keys[one], 0) if one in keys else 0
            if fitting and left < 0:
                break
            fitting.add(one)
        return frozenset(fitting)

    def read(
        self, ids: Iterable[MessageId], *, noted: frozenset[MessageId] = frozenset()
    ) -> dict[MessageId, Doomed]:
        """Return those of `ids` of which something is stored.

        `noted`: those a worker may have left half written, a body without content among it.
        """
        keys = {key: one for one in ids if (key := message_key(self.tenant_id, one))}
        items = {
            keys[Key(raw["pk"]["S"], raw["sk"]["S"])]: raw
            for raw in self.table.get_many(list(keys))
        }
        found = side_by_side(
            self.workers,
            lambda one: self._doomed(one, items.get(one), has_note=one in noted),
            list(keys.values()),
        )
        stored = [one for one in found if one is not None]
        parts = self._parts([one for one in stored if self._has_parts(one)])
        return {
            one.id: replace(one, objects=(*one.objects, *parts.get(one.id, ()))) for one in stored
        }

    def _doomed(self, message_id: MessageId, raw: Raw | None, *, has_note: bool) -> Doomed | None:
        if raw is None or "d" not in raw:
            left = self._bodies(message_id) if has_note else ()
            return Doomed(message_id, objects=left, bodies=len(left)) if left else None
        message = message_of(raw)
        refs = message.copies
        start = f"{self.mailbox_id}/"
        leaving = frozenset(one for one in refs if self.mailbox_id is None or one.startswith(start))
        if leaving != refs and not leaving:
            return None
        is_whole = leaving == refs
        bodies = self._bodies(message_id) if is_whole and (has_note or "o" in raw) else ()
        named, has_kept = addresses_of(raw), KEPT_ENTRIES in raw
        return Doomed(message_id, refs, leaving, message, named, has_kept, bodies, len(bodies))

    def _has_parts(self, one: Doomed) -> bool:
        # Those of a mailbox that is erased are found by the mailbox. What was too much to be kept
        # of a message may have named some, too.
        if self.mailbox_id is not None or one.message is None:
            return False
        return bool(one.message.attachments) or one.message.truncated

    def _parts(self, found: Sequence[Doomed]) -> dict[MessageId, list[str]]:
        """Return the keys of all their copies' objects, side by side however few messages."""
        asked = [
            (one.id, of_copy(kind, self.tenant_id, ref))
            for one in found
            for kind in (ATTACHMENTS, UPLOADS)
            for ref in sorted(one.refs)
        ]
        listed = side_by_side(self.workers, lambda pair: list(self.objects.keys(pair[1])), asked)
        parts: dict[MessageId, list[str]] = {}
        for (message_id, _), keys in zip(asked, listed, strict=True):
            parts.setdefault(message_id, []).extend(keys)
        return parts

    def _bodies(self, message_id: MessageId) -> tuple[str, ...]:
        return tuple(self.objects.keys(of_message(self.tenant_id, message_id)))

    def erase(
        self, doomed: Sequence[Doomed], *, found_by: frozenset[Key], now: datetime
    ) -> frozenset[MessageId]:
        """Erase them, but for the items they were `found_by`.

        Return those that changed meanwhile, of which everything is left for the next look.
        """
        now_in_microseconds = microseconds(now)
        until = now_in_microseconds + _CLAIMED
        partly = [one for one in doomed if not one.goes_whole]
        changed = self._keep_found(partly, now_in_microseconds)
        doomed = [one for one in doomed if one.id not in changed]
        self.delete_items(
            key for one in doomed if not one.goes_whole for key in self.entries_of(one)
        )
        held = side_by_side(self.workers, lambda one: self._claim(one, until), doomed)
        changed |= {one.id for one, is_ours in zip(doomed, held, strict=True) if not is_ours}
        going = [one for one in doomed if one.goes_whole and one.id not in changed]
        self._tell_writers(going, until)
        self.objects.delete([key for one in going for key in one.objects])
        self.delete_items(key for one in going for key in self._keys_of(one) if key not in found_by)
        messages = [one.message for one in going if one.message is not None]
        ThreadErasure(self.table, self.workers, self.tenant_id, now_in_microseconds).erase(messages)
        emptied = side_by_side(self.workers, lambda one: self._empty(one, until), going)
        changed |= {one.id for one, is_ours in zip(going, emptied, strict=True) if not is_ours}
        return frozenset(changed)

    def _keep_found(self, partly: Sequence[Doomed], now: int) -> set[MessageId]:
        """Have what others hold found by all its addresses still; return what has changed.

        A copy's entries go with it, and the others' need not be the same: a blind copy is named by
        the sender's alone, and no mailbox's own address leads to its own copies. What only those
        that leave were found by gets an entry of no copy, which goes with the message. Most of
        those that stay are found by the same addresses, so that one of them is asked: one that
        comes later in order, or of two mailboxes that go at once each would count on the other.

        Raises `StoreThrottledError` where another erasure has claimed one: it may have deleted its
        entries already.
        """
        by_others = self._entries(
            (one, address, ref)
            for one in partly
            for ref in {OF_NO_COPY, max(one.refs)} - one.leaving
            for address in one.addresses
        )
        by_ours = self._entries(
            (one, address, ref)
            for one in partly
            for ref in one.leaving
            for address in one.addresses
            if (one.id, address) not in by_others
        )
        puts: dict[MessageId, list[Raw]] = {}
        going = {one.id: one for one in partly}
        for (message_id, address), raw in by_ours.items():
            for key in self._keys_under(going[message_id], address, OF_NO_COPY):
                put = {"TableName": self.table.name, "Item": of_no_copy(key, raw)}
                puts.setdefault(message_id, []).append({"Put": put})
        ids = sorted(puts)
        held = side_by_side(
            self.workers, lambda one: self._put_kept(going[one], puts[one], now), ids
        )
        return {one for one, is_ours in zip(ids, held, strict=True) if not is_ours}

    def _put_kept(self, one: Doomed, puts: Sequence[Raw], now: int) -> bool:
        """Put entries and note in the message that there are some; return whether that held."""
        key = message_key(self.tenant_id, one.id)
        if key is None:
            return True
        note = {
            "TableName": self.table.name,
            "Key": raw_key(key),
            "UpdateExpression": f"SET {KEPT_ENTRIES} = :yes",
            "ConditionExpression": (
                "contains(c, :leaves) AND contains(c, :stays)"
                " AND (attribute_not_exists(z) OR z < :now)"
            ),
            "ExpressionAttributeValues": {
                ":yes": {"BOOL": True},
                ":leaves": {"S": min(one.leaving)},
                ":stays": {"S": min(one.refs - one.leaving)},
                ":now": {"N": str(now)},
            },
        }
        for start in range(0, len(puts), _PUTS_WITH_NOTE):
            together = [{"Update": note}, *puts[start : start + _PUTS_WITH_NOTE]]
            if self.table.transact(cast("list[TransactWriteItemTypeDef]", together)):
                stands = self.table.get_raw(key) or {}
                if int(stands.get("z", {"N": "0"})["N"]) >= now:
                    raise StoreThrottledError(cause="this message is being erased")
                return False
        return True

    def _entries(
        self, asked: Iterable[tuple[Doomed, Address, str]]
    ) -> dict[tuple[MessageId, Address], Raw]:
        keys = {
            next(self._keys_under(one, address, ref)): (one.id, address)
            for one, address, ref in asked
        }
        found = self.table.get_many(list(keys))
        return {keys[Key(raw["pk"]["S"], raw["sk"]["S"])]: raw for raw in found}

    def _claim(self, one: Doomed, until: int) -> bool:
        values: Raw = {":z": {"N": str(until)}}
        update = "SET z = :z"
        if not one.refs:
            condition = "attribute_not_exists(c)"
        elif one.goes_whole:
            # One that got entries of no copy since it was read has more to delete.
            condition = "c = :c" + (
                "" if one.has_kept else f" AND attribute_not_exists({KEPT_ENTRIES})"
            )
            values[":c"] = {"SS": sorted(one.refs)}
        else:
            update, condition = "DELETE c :c", "contains(c, :stays)"
            stays = min(one.refs - one.leaving)
            values = {":c": {"SS": sorted(one.leaving)}, ":stays": {"S": stays}}
        return self._update(one, update, condition, values)

    def _tell_writers(self, going: Sequence[Doomed], until: int) -> None:
        """Mark the notes that name these messages, in every mailbox that holds one."""
        if self.mailbox_id is not None:
            return  # Nobody passes the fence of a mailbox that is erased.
        ids = frozenset(one.id for one in going)
        boxes = {ref.partition("/")[0] for one in going for ref in one.refs}

        def mark(mailbox_id: str) -> None:
            pk = mailbox_pk(self.tenant_id, MailboxId(mailbox_id))
            for raw in self.table.query(pk, prefix=WRITING_PREFIX):
                if not ids.isdisjoint(unpacked_ids(raw["i"]["B"])):
                    self.table.update_raw(
                        {
                            "Key": {name: raw[name] for name in ("pk", "sk")},
                            "UpdateExpression": "SET z = :z",
                            "ConditionExpression": "attribute_exists(pk)",
                            "ExpressionAttributeValues": {":z": {"N": str(until)}},
                        }
                    )

        side_by_side(self.workers, mark, sorted(boxes))

    def _keys_of(self, one: Doomed) -> Iterator[Key]:
        """Yield index entries and, where nothing else finds them, copies: content names them."""
        yield from self.entries_of(one)
        if one.message is not None and self.mailbox_id is None:
            for ref in sorted(one.refs):
                yield copy_key(self.tenant_id, *place_of(ref))

    def entries_of(self, one: Doomed, among: Collection[Address] | None = None) -> Iterator[Key]:
        """Yield the index entries that go with it, all or those of some addresses."""
        refs = [*one.leaving, OF_NO_COPY] if one.has_kept and one.goes_whole else one.leaving
        for address in one.addresses if among is None else one.addresses.intersection(among):
            for ref in refs:
                yield from self._keys_under(one, address, ref)

    def _keys_under(self, one: Doomed, address: Address, ref: str) -> Iterator[Key]:
        if one.message is not None:
            yield from entry_keys(self.tenant_id, address, one.message.received_at, one.id, ref)

    def _empty(self, one: Doomed, until: int) -> bool:
        """Empty it, also where another erasure has claimed it since; return whether that held.

        Two that meet at a message delete what the other has found it by. So whoever comes to its
        end empties it, and leaves it to no other, who may have died.
        """
        # Another worker may have emptied it, and the message have come again since: its claim is
        # gone then, or is of one made after this one was over.
        over = until + _CLAIMED
        values = {":over": {"N": str(over)}, ":e": {"N": str(over // 1_000_000 + 1)}}
        return self._update(
            one, f"SET expires_at = :e REMOVE d, r, o, c, a, {KEPT_ENTRIES}", "z < :over", values
        )

    def _update(self, one: Doomed, update: str, condition: str, values: Raw) -> bool:
        key = message_key(self.tenant_id, one.id)
        if key is None:
            return True
        asked = {
            "Key": raw_key(key),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        return self.table.update_raw(asked) is not None

    def delete_items(self, keys: Iterable[Key]) -> None:
        """Delete items, in batches side by side."""
        requests: list[WriteRequestTypeDef] = [
            {"DeleteRequest": {"Key": raw_key(key)}} for key in sorted(set(keys))
        ]
        batches = [
            requests[start : start + _IN_BATCH] for start in range(0, len(requests), _IN_BATCH)
        ]
        side_by_side(self.workers, self.table.write_many, batches)
