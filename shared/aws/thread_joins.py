"""How threads that turn out to be one are joined, whoever arrives first, and what each step costs.

A message lies under the first id its header names, and for ever. The record of a thread says

- `j`: of which root it is a member; at a root, `k` says of all its members. A root is the least of
  the threads that are one, so it is the same whatever came first. They change in one transaction
- `a`: nothing more than where a reply says it is. Every reply writes it under its own id, and under
  the id of what it answers, where nothing is recorded yet: a unit a reply. `b` says whose word it
  is: a message that finds its own id led on already adds itself, and then it goes with neither
  alone. What comes later and knows that id alone is led on by it. It goes when `j` or `k` come

Two workers may store a reply and what lies under the reply's id at the same time. Each writes first
and looks then: contents before records, `a` before it looks whether there are messages. So one of
them at least sees the other, and joins. Who dies on the way does all of it again, because no copy
is there yet; and doing it again writes nothing.

What was said of how much others see of the one (`s`, see `thread_items`) is then known to all: it
is put together in the same transaction. Nearly never there is anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.aws.side_by_side import side_by_side
from shared.aws.table import Raw, Table, raw_key
from shared.aws.tables import MESSAGE_PREFIX, Key, provider_thread_key, thread_key, thread_pk
from shared.aws.thread_items import levels_of, spelled
from shared.domain.errors import StoreThrottledError
from shared.domain.identity import also_named, own_thread
from shared.domain.ids import MailboxId, MessageId, TenantId, ThreadId
from shared.domain.threads import MOST_THREADS_IN_ONE, Levels, least_of_all
from shared.observability import log_event
from shared.ports.stores import NewCopy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

_TRIES = 8
_MOST_SAY_SO = 20
"""Anybody can send mail of one Message-ID over and over."""
_LOOKED_AT = 10
"""Items read at once where one with content is looked for: nearly always the first has some."""

Threads = frozenset[ThreadId]


@dataclass(frozen=True, slots=True)
class _Known:
    """What the record of a thread says."""

    root: ThreadId | None = None
    members: Threads = frozenset()
    said: ThreadId | None = None
    """Under which thread messages say it is."""
    by: frozenset[str] = frozenset()
    """Which messages do."""
    least: Levels = field(default_factory=dict)
    """The least open of the levels said of all that is one with it."""

    @property
    def is_joined(self) -> bool:
        return self.root is not None or bool(self.members)

    @property
    def leads_to(self) -> ThreadId | None:
        """The next thread towards its root; None: it is one."""
        return self.root or self.said


_NOTHING = _Known()


@dataclass(frozen=True, slots=True)
class _Named:
    """What one message shows to be one."""

    message_id: MessageId
    thread_id: ThreadId
    own: Threads
    also: Threads
    provider_thread: Key | None


@dataclass(frozen=True, slots=True)
class ThreadJoins:
    """The joining of one tenant's threads."""

    table: Table
    workers: ThreadPoolExecutor
    tenant_id: TenantId

    def join(self, mailbox_id: MailboxId, new: Sequence[NewCopy]) -> None:
        """Join what `new` shows to be one; their contents are written, their copies are not.

        Raises `StoreThrottledError` where others kept joining the same threads meanwhile.
        """
        named = [self._named(mailbox_id, item) for item in new]
        holding = {one.thread_id for one in named}
        known = self._read(holding.union(*(one.also for one in named)))
        known |= self._say(named, {one for one in known.keys() - holding if known[one] == _NOTHING})
        holding |= self._holding(
            one for one in known.keys() - holding if not known[one].is_joined
        ) | {one for one in known if known[one].is_joined}
        theirs = self._provider_threads(named)
        links = [
            {one.thread_id, *(one.also & holding), *_said(known, one.also)}
            | ({theirs[one.provider_thread]} if one.provider_thread else set())
            for one in named
        ]
        links += [{one, *_said(known, [one])} for one in holding]
        for group in _put_together(links):
            if len(group) > 1:
                self._make_one(group)
        self._say_too(named, known)

    def _named(self, mailbox_id: MailboxId, item: NewCopy) -> _Named:
        message, theirs = item.message, item.provider_thread
        return _Named(
            message.id,
            message.thread_id,
            own_thread(self.tenant_id, message),
            also_named(self.tenant_id, message),
            provider_thread_key(self.tenant_id, mailbox_id, theirs) if theirs else None,
        )

    def _read(self, ids: Iterable[ThreadId]) -> dict[ThreadId, _Known]:
        keys = {thread_key(self.tenant_id, one): one for one in ids}
        found = dict.fromkeys(keys.values(), _NOTHING)
        for raw in self.table.get_many(list(keys), attributes="pk, sk, j, k, a, b, s"):
            found[keys[Key(raw["pk"]["S"], raw["sk"]["S"])]] = _known(raw)
        return found

    def _say(
        self, named: Iterable[_Named], unknown: Collection[ThreadId]
    ) -> dict[ThreadId, _Known]:
        """Write where replies say they are; return what the records of `unknown` say now."""
        wanted: dict[ThreadId, _Named] = {}
        for one in named:
            for other in one.also.intersection(unknown):
                wanted.setdefault(other, one)

        def write(other: ThreadId) -> bool:
            one = wanted[other]
            return self._say_first(one, other)

        others = sorted(wanted)
        written = side_by_side(self.workers, write, others)
        beaten = [one for one, is_ours in zip(others, written, strict=True) if not is_ours]
        ours = {
            other: _Known(said=one.thread_id, by=frozenset({one.message_id}))
            for other, one in wanted.items()
        }
        return ours | self._read(beaten)

    def _say_first(self, one: _Named, other: ThreadId) -> bool:
        key = thread_key(self.tenant_id, other)
        values: Raw = {"a": {"S": one.thread_id}, "b": {"SS": [one.message_id]}}
        return self._write_first(key, ("a", "j", "k"), values)

    def _say_too(self, named: Iterable[_Named], known: Mapping[ThreadId, _Known]) -> None:
        """Have messages whose own id another leads on say so as well, once they are one."""
        for one in named:
            for own in (one.own - {one.thread_id}) & known.keys():
                said = known[own]
                if said.said is None or one.message_id in said.by or len(said.by) >= _MOST_SAY_SO:
                    continue
                asked = {
                    "Key": raw_key(thread_key(self.tenant_id, own)),
                    "UpdateExpression": "SET a = :a ADD b :b",
                    "ConditionExpression": "attribute_exists(a)",
                    "ExpressionAttributeValues": {
                        ":a": {"S": one.thread_id},
                        ":b": {"SS": [one.message_id]},
                    },
                }
                if self.table.update_raw(asked) is None:
                    self._say_first(one, own)

    def _write_first(self, key: Key, unless: Sequence[str], values: Raw) -> bool:
        """Write attributes of an item that has none of `unless`; return whether it had none."""
        asked = {
            "Key": raw_key(key),
            "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in values),
            "ConditionExpression": " AND ".join(f"attribute_not_exists({one})" for one in unless),
            "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
        }
        return self.table.update_raw(asked) is not None

    def _holding(self, ids: Iterable[ThreadId]) -> set[ThreadId]:
        """Return those under which there are messages."""
        asked = list(ids)
        held = side_by_side(self.workers, self._holds, asked)
        return {one for one, does_hold in zip(asked, held, strict=True) if does_hold}

    def _holds(self, thread_id: ThreadId) -> bool:
        found = self.table.query(
            thread_pk(self.tenant_id, thread_id),
            prefix=MESSAGE_PREFIX,
            page=_LOOKED_AT,
            attributes="r",
        )
        return any("r" in raw for raw in found)

    def _provider_threads(self, named: Iterable[_Named]) -> dict[Key, ThreadId]:
        """Return a thread of ours with messages of each provider's; write it where none has."""
        wanted: dict[Key, ThreadId] = {}
        for one in named:
            if one.provider_thread:
                wanted.setdefault(one.provider_thread, one.thread_id)
        found = self._read_provider_threads(wanted)
        missing = sorted(wanted.keys() - found.keys())
        written = side_by_side(
            self.workers,
            lambda key: self._write_first(key, ("t",), {"t": {"S": wanted[key]}}),
            missing,
        )
        beaten = [key for key, is_ours in zip(missing, written, strict=True) if not is_ours]
        return wanted | found | self._read_provider_threads(beaten)

    def _read_provider_threads(self, keys: Iterable[Key]) -> dict[Key, ThreadId]:
        return {
            Key(raw["pk"]["S"], raw["sk"]["S"]): ThreadId(raw["t"]["S"])
            for raw in self.table.get_many(list(keys))
        }

    def _make_one(self, group: Collection[ThreadId]) -> None:
        """Join the threads of `group`, and all that each is one with already."""
        apart: set[ThreadId] = set()
        beaten = 0
        while beaten < _TRIES:
            roots = self._roots_of(group)
            root, *others = sorted(roots.keys() - apart)
            if not others:
                return
            other = others[0]
            size = 2 + len(roots[root].members) + len(roots[other].members)
            if size > MOST_THREADS_IN_ONE:
                log_event("threads_left_apart", thread_id=root, other=other, size=size)
                apart.add(other)
            elif not self._join_two(root, roots[root], other, roots[other]):
                beaten += 1
        raise StoreThrottledError(cause="these threads are being joined elsewhere")

    def _roots_of(self, group: Collection[ThreadId]) -> dict[ThreadId, _Known]:
        """Return the roots of all in `group`, and what is known of each."""
        known: dict[ThreadId, _Known] = {}
        unread = set(group)
        while unread:
            found = self._read(unread)
            known |= found
            unread = {to for one in found.values() if (to := one.leads_to)} - known.keys()
        return {one: facts for one, facts in known.items() if facts.root is None}

    def _join_two(self, root: ThreadId, known: _Known, other: ThreadId, of_other: _Known) -> bool:
        """Make `other` and its members members of `root`; where one has changed, change nothing."""
        every = known.members | {other} | of_other.members
        least = least_of_all([known.least, of_other.least])
        joined: Raw = {"j": {"S": root}}
        changes = [
            self._change(root, {"k": _set(every)}, ("a", "b"), least, _as_read(known)),
            self._change(other, joined, ("k", "a", "b"), least, _as_read(of_other)),
        ]
        still: Raw = {"j": {"S": other}}
        changes += [self._change(one, joined, (), least, still) for one in sorted(of_other.members)]
        if least != known.least:
            changes += [
                self._change(one, joined, (), least, joined) for one in sorted(known.members)
            ]
        return not self.table.transact(changes)

    def _change(
        self,
        thread_id: ThreadId,
        new: Raw,
        gone: Sequence[str],
        least: Levels,
        as_read: Mapping[str, Raw | None],
    ) -> "TransactWriteItemTypeDef":
        """Set `new` and `least`, and remove what is `gone`, where it says what it did when read."""
        new = {**new, **({"s": spelled(least)} if least else {})}
        update = "SET " + ", ".join(f"{name} = :{name}" for name in new)
        conditions = (
            f"attribute_not_exists({name})" if value is None else f"{name} = :was_{name}"
            for name, value in as_read.items()
        )
        values = {f":{name}": value for name, value in new.items()}
        values |= {f":was_{name}": value for name, value in as_read.items() if value is not None}
        return {
            "Update": {
                "TableName": self.table.name,
                "Key": raw_key(thread_key(self.tenant_id, thread_id)),
                "UpdateExpression": f"{update} REMOVE {', '.join(gone)}" if gone else update,
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeValues": values,
            }
        }


def _as_read(root: _Known) -> dict[str, Raw | None]:
    """Return what a root says while it is one still, and stands as it was read."""
    return {
        "j": None,
        "k": _set(root.members) if root.members else None,
        "s": spelled(root.least) if root.least else None,
    }


def _set(ids: Threads) -> Raw:
    return {"SS": sorted(ids)}


def _known(raw: Raw) -> _Known:
    return _Known(
        ThreadId(raw["j"]["S"]) if "j" in raw else None,
        frozenset(ThreadId(one) for one in raw.get("k", {}).get("SS", ())),
        ThreadId(raw["a"]["S"]) if "a" in raw else None,
        frozenset(raw.get("b", {}).get("SS", ())),
        levels_of(raw, "s"),
    )


def _said(known: Mapping[ThreadId, _Known], ids: Iterable[ThreadId]) -> set[ThreadId]:
    """Return under which threads replies say that `ids` are."""
    return {said for one in ids if (said := known[one].said)}


def _put_together(links: Iterable[Collection[ThreadId]]) -> list[set[ThreadId]]:
    """Return what hangs together by `links`."""
    groups: dict[ThreadId, set[ThreadId]] = {}
    for link in links:
        found = [groups.get(one, {one}) for one in link]
        whole = set().union(*found)
        groups |= dict.fromkeys(whole, whole)
    return list({id(group): group for group in groups.values()}.values())
