"""Whatever happens, in whatever order: once it stops, every message is there or accounted for."""

import json
from dataclasses import replace

import pytest

from shared.domain.cursor import Cursor
from shared.domain.schedule import cadence_of, slot_of
from shared.operations import sync_mailbox
from shared.operations.ingest import Ingest
from shared.operations.outcomes import SyncRun
from tests.fakes.push import InMemoryPushStore
from tests.fakes.stores import InMemoryBackfillStore, World
from tests.faults.model import a_seed, live


def test_every_message_is_there_or_accounted_for():
    number = a_seed()
    print(f"to repeat it: uv run poe model --steps 1000 --seed {number}")
    live(1_000, number)


# ---- the model finds what it is there to find ----


def _a_message_left_out(monkeypatch):
    take_in = Ingest.take_in
    monkeypatch.setattr(Ingest, "take_in", lambda self, at, ids: take_in(self, at, ids[:-1]))


def _a_label_forgotten(monkeypatch):
    new_copy = Ingest._new_copy

    def forgetful(*given):
        new = new_copy(*given)
        one = frozenset({min(new.copy.folder_ids)})
        return replace(new, copy=replace(new.copy, folder_ids=one))

    monkeypatch.setattr(Ingest, "_new_copy", forgetful)


def _deletions_not_followed(monkeypatch):
    take = sync_mailbox.take_changes

    def deaf(fence, folder, page, **ports):
        take(fence, folder, replace(page, removed=(), placed={}), **ports)

    monkeypatch.setattr(sync_mailbox, "take_changes", deaf)


def _late_workers_not_refused(monkeypatch):
    monkeypatch.setattr(World, "check", lambda _self, _fence: None)


def _a_chunk_counted_twice(monkeypatch):
    finish = InMemoryBackfillStore.finish_chunk

    def twice(self, fence, backfill, chunk, run, **given):
        counts = run.counts + replace(run.counts, listed=0)
        return finish(self, fence, backfill, chunk, replace(run, counts=counts), **given)

    monkeypatch.setattr(InMemoryBackfillStore, "finish_chunk", twice)


def _a_pushed_mailbox_not_polled(monkeypatch):
    slot_after = SyncRun.slot_after

    def trusting(self, now, *, told=None):
        slot = slot_after(self, now, told=told)
        return slot_of(self.mailbox.id, 60) + "#never" if cadence_of(slot) == 10 else slot

    monkeypatch.setattr(SyncRun, "slot_after", trusting)


def _a_word_taken_for_the_run_it_asks_for(monkeypatch):
    ask = InMemoryPushStore.ask

    def hasty(self, listener, *, renews, run_at):
        box = (listener.tenant_id, listener.mailbox_id)
        for name, state in self.world.folders.get(box, {}).items():
            # As far as the provider has come by now, so it says.
            self.world.folders[box][name] = replace(state, cursor=_newest(state.cursor))
        return ask(self, listener, renews=renews, run_at=run_at)

    monkeypatch.setattr(InMemoryPushStore, "ask", hasty)


def _newest(cursor):
    if cursor is None:
        return None
    there = Cursor.decode(cursor)
    generation, number, *more = json.loads(there.position)
    return replace(there, position=json.dumps([generation, number + 1, *more])).encode()


@pytest.mark.parametrize(
    "defect",
    [
        _a_pushed_mailbox_not_polled,
        _a_word_taken_for_the_run_it_asks_for,
        _a_message_left_out,
        _a_label_forgotten,
        _deletions_not_followed,
        _late_workers_not_refused,
        _a_chunk_counted_twice,
    ],
)
def test_the_model_finds(defect, monkeypatch):
    defect(monkeypatch)
    with pytest.raises(Exception):  # noqa: B017, PT011 - what breaks first is the defect's choice
        live(2_000, 1, shrinks=False)
