"""What holds at every moment, and what holds when all has come to rest."""

import json
from collections import Counter
from dataclasses import dataclass, field, replace

from shared.domain.backfill import BackfillState, ChunkState
from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode
from shared.domain.ledger import Counts, Fate
from shared.domain.mailbox import MailboxStatus, Provider, PushState, may_become
from shared.domain.message import copy_ref
from shared.operations.begin_mailbox import SERVER_CLOCK_MAY_LAG
from tests.faults.model_world import ModelWorld
from tests.unit.operations.machine import TENANT


@dataclass
class Always:
    """Cursors, generations, status: compares each moment with the one before."""

    world: ModelWorld
    before: dict = field(default_factory=dict)

    def check(self) -> None:
        now = self._moment()
        if self.before and now:
            assert now["generation"] >= self.before["generation"]
            assert now["fence"] >= self.before["fence"]
            if now["status"] is not self.before["status"]:
                assert may_become(self.before["status"], now["status"]), (self.before, now)
            for folder_id, was in self.before["cursors"].items():
                stands = now["cursors"].get(folder_id)
                assert not _went_back(was, stands), f"{folder_id}: {was} became {stands}"
            if self.before["status"] is now["status"] is MailboxStatus.DISCONNECTED:
                assert now["written"] == self.before["written"], "written after its end"
                assert now["found"] <= self.before["found"], "found by a word after its end"
        self.before = now

    def _moment(self) -> dict:
        if not self.world.world.mailboxes:
            return {}
        world, box = self.world.world, self.world.box
        place = (TENANT, box.id)
        folders = world.folders.get(place, {})
        return {
            "generation": world.run_states[place].generation,
            "fence": world.run_states[place].fence,
            "status": box.status,
            "found": {(key, one) for key, found in world.listeners.items() for one in found},
            "cursors": {one.folder.id: one.cursor for one in folders.values()},
            "written": (
                dict(folders),
                dict(world.copies.get(place, {})),
                dict(world.runs.get(place, {})),
                dict(world.messages),
                # A person may have asked for a run before the end, and be late; and the end is not
                # over while its watch is known.
                replace(world.run_states[place], requested_run_id=None, push=PushState()),
            ),
        }


def _went_back(was: str | None, now: str | None) -> bool:
    """Whether a position lies before the one there was, in the same numbering."""
    if was is None or now is None:
        return False
    before, after = (json.loads(Cursor.decode(one).position) for one in (was, now))
    if isinstance(before, list):
        return after[0] < before[0]
    if before["uidvalidity"] != after["uidvalidity"] or before["whole"] or after["whole"]:
        return False
    return (after["last_uid"], after["modseq"]) < (before["last_uid"], before["modseq"])


def is_at_rest(world: ModelWorld) -> None:
    """All is there or accounted for, once, when nobody is at work and nothing is left to do."""
    box, state = world.box, world.state
    assert box.status is MailboxStatus.ACTIVE
    assert box.inbound_error is None, box.inbound_error
    assert state.requested_run_id is None
    # A worker that died may have left its own; what is there was then somebody else's to take in.
    assert state.lease_owner is None or state.lease_expires_at <= world.clock.now()
    _counters_are_a_recount(world)
    _records_are_whole(world)
    _what_is_there_is_held(world)
    _what_is_held_is_there(world)


def is_imported(world: ModelWorld) -> bool:
    """Whether an import has reached as far back as what belongs to us."""
    if world.box.history_from >= world.box.connected_at - SERVER_CLOCK_MAY_LAG:
        return True
    return any(
        one.state is BackfillState.DONE and one.since <= world.box.history_from
        for one in world.imports.list_backfills(TENANT, world.box.id)
    )


def _what_is_there_is_held(world: ModelWorld) -> None:
    active, floor = world.active(), world.box.history_from
    live, excused = _live(world), _excused(world)
    whole = is_imported(world)
    for name, there in world.owner.messages().items():
        if not there.folder_ids & active or there.received_at < floor:
            continue
        if not whole and not (world.has_rested and name in world.arrived):
            continue
        assert name in live or name in excused, f"{name} is lost: {there}"


def _what_is_held_is_there(world: ModelWorld) -> None:
    active = world.active()
    existing = {folder.id for folder in world.owner.folders()}
    there = world.owner.messages()
    for name, copy in _live(world).items():
        if world.owner.provider is not Provider.GMAIL and not copy.folder_ids & active:
            # Nobody follows its folder any more; it is tombstoned with the folder.
            assert copy.folder_ids <= existing, f"{name} is in a folder that is gone"
            continue
        assert name in there, f"{name} is gone and not tombstoned"
        stands = there[name]
        assert copy.folder_ids == stands.folder_ids, f"{name} is elsewhere: {copy}, {stands}"
        assert stands.folder_ids & active, f"{name} is in no active folder"
        marks = (stands.flags.seen, stands.flags.flagged)
        assert (copy.flags.seen, copy.flags.flagged) == marks, (
            f"{name} is marked otherwise: {copy}, {stands}"
        )


def _live(world: ModelWorld) -> dict:
    return {name: copy for name, copy in world.copies.items() if copy.removed_at is None}


def _excused(world: ModelWorld) -> set:
    """What some run gave up, for a reason that was true."""
    bad = {name for name, there in world.owner.messages().items() if b"X-Test" in there.raw}
    bad |= world.failed
    excused: set = set()
    for run in world.world.runs.get((TENANT, world.box.id), {}).values():
        for fate, names in run.ledger.items():
            kind, _, reason = fate.partition(":")
            if kind != Fate.UNREADABLE:
                continue
            killed = reason == ErrorCode.KILLED_ITS_READER and world.deaths
            refused = reason == ErrorCode.NOT_HANDED_OVER and world.provider.met
            excused |= set(names) if killed or refused else set(names) & bad
    return excused


def _counters_are_a_recount(world: ModelWorld) -> None:
    place = (TENANT, world.box.id)
    runs = world.world.runs.get(place, {})
    for run in runs.values():
        counted: Counter[str] = Counter()
        for fate, names in run.ledger.items():
            counted[fate if fate.startswith("skipped:") else fate.partition(":")[0]] += len(names)
        assert _by_fate(run.counts) == counted, run
        assert run.counts.balances, run
    for backfill in world.imports.list_backfills(*place):
        chunks = world.world.chunks.get((*place, backfill.id), {})
        done = sum(chunk.state is ChunkState.DONE for chunk in chunks.values())
        own = [run.counts for run in runs.values() if run.backfill_id == backfill.id]
        assert backfill.done == done == len(own)
        held = Counts(listed=backfill.planned - _listed(chunks))
        held = replace(held, already_stored=held.listed)
        total = sum(own, held if backfill.started_at else Counts())
        assert _by_fate(total) == _by_fate(backfill.counts)
        assert total.listed == backfill.counts.listed
        if backfill.state is BackfillState.DONE:
            assert backfill.counts.settled == backfill.planned
            assert done == backfill.chunks


def _listed(chunks: dict) -> int:
    return sum(len(chunk.ids) for chunk in chunks.values())


def _by_fate(counts: Counts) -> dict[str, int]:
    """Sums as a ledger names them; reasons of the unreadable are not in the sums."""
    found = {
        "stored": counts.stored,
        "already_stored": counts.already_stored,
        "unreadable": counts.unreadable,
        "gone": counts.gone,
        "failed": counts.failed,
    } | {f"skipped:{reason}": count for reason, count in counts.skipped.items()}
    return {fate: count for fate, count in found.items() if count}


def _records_are_whole(world: ModelWorld) -> None:
    kept = world.world
    for name, copy in world.copies.items():
        message = kept.messages[TENANT, copy.message_id]
        assert copy_ref(world.box.id, name) in message.copies
        assert (TENANT, copy.message_id) in kept.bodies
        assert copy.folder_ids
    for (_, message_id), message in kept.messages.items():
        for participant in message.participants:
            if participant.address != world.box.address:
                entries = kept.index[TENANT, participant.address]
                assert [found for _, found in entries].count(message_id) == 1
