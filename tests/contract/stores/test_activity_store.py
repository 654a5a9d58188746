"""The contract of `ActivityStore`, and what a page of many mailboxes costs."""

import random
from base64 import b64encode
from contextlib import closing

import pytest

from shared.aws.mailbox_store import DynamoMailboxStore
from shared.domain.errors import ErrorCode, StoreThrottledError
from shared.domain.ids import MailboxId, RunId, new_ulid
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.run import RunReason
from shared.operations.read_activity import MOST_RUNS
from shared.ports.stores import SyncOutcome
from tests.fakes.backends import table_definition
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_folder,
    a_letter,
    a_run,
    connected,
    identity_of,
    later,
    lease_of,
)
from tests.performance.units import Meter, size


def boxes_of(stores, number, tenant=TENANT):
    names = [MailboxId(f"01JNA00000000000000000{n:04}") for n in range(number)]
    return [
        connected(stores.mailboxes, id=one, address=f"{one}@acme.example", tenant_id=tenant)
        for one in names
    ]


def ended(stores, record, *minutes, **changes):
    """Have runs end that began so many minutes after now; return their ids."""
    mailbox = record.mailbox
    lease = lease_of(stores.mailboxes, record)
    ids = []
    for minute in minutes:
        at = later(60 * minute)
        run = a_run(
            RunId(new_ulid(at)), tenant_id=mailbox.tenant_id, mailbox_id=mailbox.id,
            started_at=at, ended_at=at, **changes,
        )  # fmt: skip
        stores.mailboxes.finish_run(
            lease.fence, SyncOutcome({"INBOX": a_folder()}, at, run, due_slot=SLOT)
        )
        ids.append(run.id)
    return ids


def test_mailboxes_come_by_the_page_in_the_order_of_their_list(stores):
    every = boxes_of(stores, 5)
    gone = every[2].mailbox
    stores.mailboxes.disconnect(TENANT, gone.id, identity_of(gone))
    boxes_of(stores, 2, tenant=OTHER_TENANT)
    stores.mailboxes.set_primary(TENANT, "u1", every[0].mailbox.id)
    pages, after = [], None
    while page := stores.activity.page_mailboxes(TENANT, after=after, limit=2):
        pages.append(page)
        after = page[-1].mailbox.id
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one for page in pages for one in page] == stores.mailboxes.list_mailboxes(TENANT)
    assert stores.activity.page_mailboxes("nobody", after=None, limit=2) == []


def test_a_mailbox_read_amid_a_reconnect_is_read_anew(aws, monkeypatch):
    first, second = boxes_of(aws, 2)
    query, met = aws.table.client.query, []

    def answered(**asked):
        answer = query(**asked)
        if not met:
            met.append(True)
            aws.mailboxes.reconnect(first.mailbox, identity_of(first.mailbox), SLOT)
            state = next(one for one in answer["Items"] if one["sk"]["S"].endswith("state"))
            state["generation"] = {"N": str(first.mailbox.generation + 1)}
        return answer

    monkeypatch.setattr(aws.table.client, "query", answered)
    page = aws.activity.page_mailboxes(TENANT, after=None, limit=2)
    assert [one.mailbox.id for one in page] == [first.mailbox.id, second.mailbox.id]
    assert page[0].mailbox.generation == first.mailbox.generation + 1


def test_a_page_met_amid_an_erasure_is_as_long_as_was_asked(aws, monkeypatch):
    every = boxes_of(aws, 4)
    gone, query = every[0].mailbox.id, aws.table.client.query

    def answered(**asked):
        answer = query(**asked)
        half = [one for one in answer["Items"] if one["sk"]["S"] != f"mailbox#{gone}#settings"]
        return answer | {"Items": half}

    monkeypatch.setattr(aws.table.client, "query", answered)
    monkeypatch.setattr(DynamoMailboxStore, "get", lambda *_: None)
    page = aws.activity.page_mailboxes(TENANT, after=None, limit=2)
    assert [one.mailbox.id for one in page] == [one.mailbox.id for one in every[1:3]]


def test_latest_runs_are_of_each_mailbox_its_own_and_end_where_they_are_told_to(stores):
    one, other, idle = boxes_of(stores, 3)
    ids = ended(stores, one, 0, 10, 20, 30, code=ErrorCode.RATE_LIMITED)
    (theirs,) = ended(stores, other, 15)
    names = [record.mailbox.id for record in (one, other, idle)]

    def found(since, most):
        runs = stores.activity.latest_runs(TENANT, names, since=since, most=most)
        assert [*runs] == names
        return [[run.id for run in runs[name]] for name in names]

    assert found(NOW, 9) == [ids[::-1], [theirs], []]
    assert found(NOW, 3) == [ids[:0:-1], [theirs], []]
    assert found(later(60 * 10), 9) == [ids[:0:-1], [theirs], []]
    assert found(later(60 * 10 + 0.001), 9) == [ids[:1:-1], [theirs], []]
    assert found(later(60 * 31), 9) == [[], [], []]
    runs = stores.activity.latest_runs(TENANT, names[:1], since=NOW, most=1)
    assert runs[names[0]][0].ledger == {}
    assert runs[names[0]][0].counts == a_run().counts
    assert runs[names[0]][0].code is ErrorCode.RATE_LIMITED
    assert stores.activity.latest_runs(OTHER_TENANT, names[:1], since=NOW, most=9) == {names[0]: []}
    assert stores.activity.latest_runs(TENANT, [], since=NOW, most=9) == {}


def test_latest_letters_are_of_each_mailbox_its_own_newest_first(stores):
    one, other = (
        connected(stores.mailboxes, id=name, address=name).mailbox for name in (BOX, OTHER_BOX)
    )
    noted = [
        stores.letters.note(
            Fence(TENANT, box.id, box.generation),
            a_letter(str(n), mailbox_id=box.id, first_seen_at=later(n), last_seen_at=later(n)),
        )
        for n, box in enumerate((one, one, other, one))
    ]
    found = stores.activity.latest_letters(TENANT, [BOX, OTHER_BOX], most=2)
    assert found == {BOX: [noted[3], noted[1]], OTHER_BOX: [noted[2]]}
    assert stores.activity.latest_letters(OTHER_TENANT, [BOX], most=2) == {BOX: []}


def test_of_several_questions_one_that_is_refused_is_told(aws, monkeypatch):
    names = [record.mailbox.id for record in boxes_of(aws, 3)]

    def throttled(**_):
        raise StoreThrottledError(cause="asked too often")

    monkeypatch.setattr(aws.table.client, "query", throttled)
    with pytest.raises(StoreThrottledError):
        aws.activity.latest_runs(TENANT, names, since=NOW, most=9)


# ---- costs ----


def test_a_page_of_mailboxes_in_which_nothing_happened_costs_a_unit_each_and_their_own_items(aws):
    names = [record.mailbox.id for record in boxes_of(aws, 21)]
    indexes = table_definition()["GlobalSecondaryIndexes"]
    with closing(Meter(aws.table.client, aws.table.name, indexes)) as meter:
        aws.activity.page_mailboxes(TENANT, after=None, limit=21)
        own = sum(meter.read.values())
        aws.activity.latest_runs(TENANT, names[:20], since=NOW, most=401)
        aws.activity.latest_letters(TENANT, names[:20], most=51)
        # An item of settings and one of state are 1.2 KB together, read at half the price.
        assert own <= 0.25 * 21
        assert sum(meter.read.values()) == own + 20
        assert sum(meter.written.values()) == 0


def test_the_most_runs_of_a_mailbox_that_are_read_cost_what_their_items_weigh(aws):
    """At half the price, with the ledgers that are left out of the answer: the figures of api.md."""
    (record,) = boxes_of(aws, 1)
    two = tuple(f"f1nbox.1772366400.{n}" for n in range(2))
    ended(aws, record, 0, counts=Counts(listed=2, stored=2), ledger={"stored": two})
    # Graph's ids are the longest; in a folder the end of each is its own.
    rng = random.Random(5)
    shared = "AAkALgAAAAAAHYQDEapmEc2byACqAC" * 4
    ids = tuple(shared + b64encode(rng.randbytes(18)).decode() for _ in range(250))
    chunk = {"counts": Counts(listed=250, stored=250), "ledger": {"stored": ids}}
    ended(aws, record, 1, reason=RunReason.BACKFILL, **chunk)
    of_sync, of_import = sorted(
        size(one) * MOST_RUNS / 4096 / 2 for one in aws.items() if one["sk"]["S"].startswith("run#")
    )
    assert 10 < of_sync < 20
    assert 200 < of_import < 300
