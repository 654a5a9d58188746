"""What is known of threads, and goes with the messages it stands for.

Where a message says it is goes with the last of those that say so. A thread
is one with others no longer than it has messages: the least of those that are left is their root.
All of it goes before the messages' contents do, by which alone it is found; so dying on the way
leaves it to who comes next. Threads stay joined whose joining message is gone: what was put
together says no more of it.

What a provider calls a thread is the mailbox's, as its ids of messages are, and goes with that.
"""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.aws.side_by_side import side_by_side
from shared.aws.table import Raw, Table
from shared.aws.tables import MESSAGE_PREFIX, Key, thread_key, thread_pk
from shared.aws.thread_items import instead
from shared.domain.errors import StoreThrottledError
from shared.domain.identity import also_named
from shared.domain.ids import MessageId, TenantId, ThreadId
from shared.domain.message import Message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 8


@dataclass(frozen=True, slots=True)
class ThreadErasure:
    """The records of one tenant's threads. `now`: in microseconds since 1970."""

    table: Table
    workers: ThreadPoolExecutor
    tenant_id: TenantId
    now: int

    def erase(self, going: Collection[Message]) -> None:
        """Delete what is known of these messages' threads and stands for nothing else."""
        named = {one for message in going for one in also_named(self.tenant_id, message)}
        under = {message.thread_id for message in going}
        records = self._read(named | under)
        ids = {message.id for message in going}
        said = [
            one
            for one in sorted(named & records.keys())
            if not ids.isdisjoint(records[one].get("b", {}).get("SS", ()))
        ]
        side_by_side(self.workers, lambda one: self._take_back(one, ids), said)
        empty = {one for one in under & records.keys() if not self._stands(one, ids)}
        for one in sorted(empty):
            self._leave(one)

    def _read(self, ids: Iterable[ThreadId]) -> dict[ThreadId, Raw]:
        keys = {thread_key(self.tenant_id, one): one for one in ids}
        return {
            keys[Key(raw["pk"]["S"], raw["sk"]["S"])]: raw
            for raw in self.table.get_many(list(keys))
        }

    def _stands(self, thread_id: ThreadId, going: Collection[MessageId]) -> bool:
        """Whether a message is left under a thread that is not going, here or elsewhere."""
        found = self.table.query(
            thread_pk(self.tenant_id, thread_id), prefix=MESSAGE_PREFIX, attributes="sk, r, z"
        )
        return any(
            "r" in raw
            and int(raw.get("z", {"N": "0"})["N"]) < self.now
            and MessageId(raw["sk"]["S"].removeprefix(MESSAGE_PREFIX)) not in going
            for raw in found
        )

    def _take_back(self, thread_id: ThreadId, going: Collection[MessageId]) -> None:
        """Have a record lead on no longer than a message is left that says so."""
        for _ in range(_TRIES):
            raw = self._read([thread_id]).get(thread_id)
            if raw is None or "b" not in raw:
                return
            left = sorted(set(raw["b"]["SS"]).difference(going))
            change = instead(
                self.table.name,
                raw,
                {"b"} if left else {"a", "b"},
                {"b": {"SS": left}} if left else {},
            )
            if not self.table.transact([change]):
                return
        raise _beaten()

    def _leave(self, thread_id: ThreadId) -> None:
        """Have a thread without messages be one with no other, and have no levels."""
        for _ in range(_TRIES):
            raw = self._read([thread_id]).get(thread_id)
            if raw is None:
                return
            changes = self._apart(raw, thread_id)
            if changes and not self.table.transact(changes):
                return
        raise _beaten()

    def _apart(self, raw: Raw, thread_id: ThreadId) -> list["TransactWriteItemTypeDef"]:
        """Return what has to change together; nothing where somebody is changing it just now."""
        members = sorted(ThreadId(one) for one in raw.get("k", {}).get("SS", ()))
        changes = [instead(self.table.name, raw, {"j", "k", "l", "s"})]
        if members:
            # The least of those that are left is their root, as if it had always been so.
            root, *others = members
            read = self._read(members)
            if read.keys() != set(members):
                return []
            new: Raw = {"k": {"SS": others}} if others else {}
            changes.append(instead(self.table.name, read[root], {"j"}, new))
            changes += [
                instead(self.table.name, read[one], {"j"}, {"j": {"S": root}}) for one in others
            ]
        elif "j" in raw:
            root = ThreadId(raw["j"]["S"])
            of_root = self._read([root]).get(root, {})
            if "k" not in of_root:
                return []
            left = sorted(set(of_root["k"]["SS"]) - {thread_id})
            changes.append(
                instead(self.table.name, of_root, {"k"}, {"k": {"SS": left}} if left else {})
            )
        return changes


def _beaten() -> StoreThrottledError:
    return StoreThrottledError(cause="these threads are being joined elsewhere")
