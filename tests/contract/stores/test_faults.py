"""What is left when AWS is busy, conflicts, loses an answer, or we die between two writes."""

import json
from contextlib import suppress
from dataclasses import replace

import pytest

from shared.aws.copies import CopyItems
from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    StoreRefusedError,
    StoreThrottledError,
)
from shared.domain.ids import BackfillId, ContactId, RunId, UserId
from shared.domain.lease import Fence
from shared.domain.mailbox import RunState
from shared.domain.message import Body, Flags
from shared.domain.visibility import Viewer
from shared.operations.contacts import merge_contacts
from shared.ports.stores import SyncOutcome
from tests.fakes.backends import BUCKET
from tests.fakes.clock import FixedClock
from tests.fakes.faults import (
    KilledError,
    failing,
    killed,
    listening,
    lost,
    refused,
    throttled,
)
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    INBOX,
    NOW,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_letter,
    a_mailbox,
    a_new_copy,
    a_run,
    connected,
    identity_of,
    later,
    lease_of,
    merged_into,
    name,
    some_chunks,
)

NOISE = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(6_000))


def picture(stores) -> str:
    """All items and objects there are."""
    keys = stores.clients.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    items = stores.items()
    for item in items:
        if item["pk"]["S"].endswith("#added-addresses"):
            # What follows the instant is made anew each time.
            item["sk"]["S"] = item["sk"]["S"].partition("#")[0]
        for value in item.values():
            if "SS" in value:
                value["SS"].sort()
    items.sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"], str(item.get("addresses"))))
    return json.dumps([items, [one["Key"] for one in keys]], default=repr)


def mails():
    return [
        a_new_copy("1", addresses=(ADA, BOB)),
        a_new_copy("2", body=Body(NOISE, None)),
        a_new_copy("3", mail="mail-1"),
    ]


# Each flow: what it needs, and the one call that is disturbed. Owners and times are fixed, so that
# the call that is repeated is the same call.


def save(stores, record):
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    return lambda: stores.messages.save(fence, mails())


def set_flags(stores, record):
    save(stores, record)()
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    return lambda: stores.messages.set_flags(fence, {name("1"): Flags(flagged=True, version=9)})


def remove(stores, record):
    save(stores, record)()
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    return lambda: stores.messages.remove_copies(fence, INBOX, [name("1"), name("2")], now=later(5))


def revive(stores, record):
    remove(stores, record)()
    return save(stores, record)


def finish_run(stores, record):
    lease = lease_of(stores.mailboxes, record)
    stores.mailboxes.request_run(TENANT, BOX, RunId("01R"))
    cursors = {f"f{n}": a_folder(f"f{n}") for n in range(120)}
    outcome = SyncOutcome(cursors=cursors, now=later(5), run=a_run("01R"), due_slot=SLOT)
    return lambda: stores.mailboxes.finish_run(lease.fence, outcome)


def finish_idle(stores, record):
    return lambda: stores.mailboxes.finish_idle(record, now=later(5))


def fail_without_lease(stores, record):
    outcome = SyncOutcome(cursors={}, now=later(5), run=a_run(), failures=1, due_slot=SLOT)
    return lambda: stores.mailboxes.fail_without_lease(record, outcome)


def disconnect(stores, record):
    return lambda: stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))


def create(stores, _):
    mailbox = a_mailbox(id="01NEW", address="new@acme.example")
    return lambda: stores.mailboxes.create(mailbox, RunState(), identity_of(mailbox))


def save_settings(stores, record):
    changed = replace(record.mailbox, display_name="New", active_folders=(INBOX,))
    return lambda: stores.mailboxes.save_settings(changed)


def request_run(stores, _):
    return lambda: stores.mailboxes.request_run(TENANT, BOX, RunId("01R"))


def add_folders(stores, record):
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    return lambda: stores.mailboxes.add_folders(fence, [a_folder(), a_folder("f2")])


def give_up_cursor(stores, record):
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    stores.mailboxes.add_folders(fence, [a_folder()])
    return lambda: stores.mailboxes.give_up_cursor(fence, a_folder())


def create_backfill(stores, _):
    return lambda: stores.backfills.create_backfill(a_backfill())


def put_chunks(stores, _):
    stores.backfills.create_backfill(a_backfill())
    return lambda: stores.backfills.put_chunks(a_backfill(), some_chunks(a_backfill(), 60))


def start_backfill(stores, record):
    put_chunks(stores, record)()
    started = replace(a_backfill(), chunks=2, planned=4, started_at=later(1))
    return lambda: stores.backfills.start_backfill(started)


def cancel(stores, record):
    backfill = start_backfill(stores, record)()
    state = BackfillState.CANCELLED
    return lambda: stores.backfills.set_backfill_state(backfill, state, now=later(2))


def wait(stores, record):
    backfill = start_backfill(stores, record)()
    return lambda: stores.backfills.set_waiting(backfill, later(60))


def release(stores, record):
    backfill = start_backfill(stores, record)()
    return lambda: stores.backfills.raise_released(backfill, 2)


def create_replay(stores, _):
    replay = a_backfill(
        kind=BackfillKind.REPLAY, state=BackfillState.RUNNING, days=0, chunks=60, planned=120
    )
    return lambda: stores.backfills.create_running(replay, some_chunks(replay, 60))


def note_raw(stores, record):
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    letter = stores.letters.note(fence, a_letter())

    def keep_and_note():
        size = stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=9)
        stores.letters.note_raw(fence, letter.id, size=size, missing=None)

    return keep_and_note


def note_replay(stores, record):
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    letters = [stores.letters.note(fence, a_letter(str(number))) for number in range(3)]
    replay_id = BackfillId("01RP")
    return lambda: stores.letters.note_replay(letters, at=later(5), replay_id=replay_id)


def remove_letters(stores, record):
    note_raw(stores, record)()
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    letters = [a_letter(), stores.letters.note(fence, a_letter("2"))]
    return lambda: stores.letters.remove_letters(fence, [letter.id for letter in letters])


def put_contact(stores, _):
    stores.contacts.put_contact(a_contact("c1", ADA), expected_version=0)
    changed = a_contact("c1", BOB, name="New")
    return lambda: stores.contacts.put_contact(changed, expected_version=1)


def merge(stores, _):
    put = stores.contacts.put_contact
    put(a_contact("c1", ADA), expected_version=0)
    other = put(a_contact("c2", ADA, BOB), expected_version=0)
    merged_into(stores, other, put(a_contact("c3"), expected_version=0))
    ann = Viewer(TENANT, UserId("ann"))
    return lambda: merge_contacts(
        ann, ContactId("c1"), ContactId("c2"), contacts=stores.contacts, clock=FixedClock()
    )


def delete_merged(stores, record):
    merge(stores, record)()
    return lambda: stores.contacts.delete_contact(TENANT, ContactId("c1"))


FLOWS = [
    save,
    set_flags,
    remove,
    revive,
    finish_run,
    finish_idle,
    fail_without_lease,
    disconnect,
    create,
    save_settings,
    request_run,
    add_folders,
    give_up_cursor,
    create_backfill,
    put_chunks,
    start_backfill,
    cancel,
    wait,
    release,
    create_replay,
    note_raw,
    note_replay,
    put_contact,
    merge,
    delete_merged,
]


@pytest.fixture(params=FLOWS, ids=lambda flow: flow.__name__)
def flow(request):
    return request.param


def prepared(stores, flow):
    record = connected(stores.mailboxes)
    return flow(stores, record)


def fresh(stores):
    """Empty the same table and bucket, so that a flow can be run again from the start."""
    for item in stores.items():
        stores.table.client.delete_item(
            TableName=stores.table.name, Key={"pk": item["pk"], "sk": item["sk"]}
        )
    for one in stores.clients.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        stores.clients.s3.delete_object(Bucket=BUCKET, Key=one["Key"])


# Of what is in two places the object is gone while the item waits to be written.
@pytest.mark.parametrize("flow", [*FLOWS, remove_letters], ids=lambda flow: flow.__name__)
def test_dying_or_losing_an_answer_at_any_write_leads_to_the_same_end(aws, flow):
    call = prepared(aws, flow)
    with failing(aws, lost, at=10_000) as effects:
        call()
    undisturbed = picture(aws)
    assert effects, "a flow that writes nothing proves nothing"
    call()
    assert picture(aws) == undisturbed, "repeating it changed something"
    for error in (killed, lost):
        for after in (False, True):
            for at in range(len(effects)):
                fresh(aws)
                call = prepared(aws, flow)
                expected = (KilledError, StoreThrottledError)
                with (
                    failing(aws, error, at=at, after=after),
                    pytest.raises(expected),
                ):
                    call()
                call()
                assert picture(aws) == undisturbed, (error.__name__, after, effects[at])


def test_a_throttled_write_is_tried_later_and_completes_then(aws, flow):
    call = prepared(aws, flow)
    before = picture(aws)
    with failing(aws, throttled), pytest.raises(StoreThrottledError):
        call()
    assert picture(aws) == before
    call()
    assert picture(aws) != before


def test_conflicts_are_sent_again_until_they_are_over(aws):
    call = prepared(aws, save)
    reasons = ("TransactionConflict", "None")

    def conflict(operation):
        return refused(operation, "TransactionCanceledException", *reasons)

    with failing(aws, conflict, at=0, only=frozenset({"TransactWriteItems"})) as seen:
        assert len(call()) == 3
    assert len(seen) == 2
    with (
        failing(aws, conflict, only=frozenset({"TransactWriteItems"})),
        pytest.raises(StoreThrottledError),
    ):
        aws.messages.remove_copies(Fence(TENANT, BOX, 2), INBOX, [name("1")], now=NOW)


def test_a_single_write_in_the_way_of_a_transaction_is_sent_again(aws):
    call = prepared(aws, finish_idle)

    def conflict(operation):
        return refused(operation, "TransactionConflictException")

    with failing(aws, conflict, at=0) as seen:
        call()
    assert seen == ["UpdateItem"] * 2


def test_a_failed_condition_is_decided_even_beside_a_conflict(aws):
    record = connected(aws.mailboxes)

    def both(operation):
        reasons = ("ConditionalCheckFailed", "TransactionConflict")
        return refused(operation, "TransactionCanceledException", *reasons)

    with (
        failing(aws, both, only=frozenset({"TransactWriteItems"})) as seen,
        pytest.raises(ConflictError) as caught,
    ):
        save(aws, record)()
    assert caught.value.code is ErrorCode.STALE_WRITE
    assert len(seen) == 1


def test_a_broken_deployment_is_not_mistaken_for_a_busy_one(aws):
    call = prepared(aws, save)
    with (
        failing(aws, lambda operation: refused(operation, "AccessDeniedException")),
        pytest.raises(StoreRefusedError, match="AccessDenied"),
    ):
        call()


def test_items_left_unprocessed_are_sent_again(aws, monkeypatch):
    call = prepared(aws, save)
    client, sizes = aws.table.client, []
    write = client.batch_write_item

    def writes_the_first_alone(RequestItems):  # noqa: N803 - botocore's name
        (requests,) = RequestItems.values()
        sizes.append(len(requests))
        write(RequestItems={aws.table.name: requests[:1]})
        left = requests[1:]
        return {"UnprocessedItems": {aws.table.name: left} if left else {}}

    monkeypatch.setattr(client, "batch_write_item", writes_the_first_alone)
    call()
    assert sizes == [1, 4, 3, 2, 1, 1]  # the note, the index entries, the note again
    assert len(aws.by_address(TENANT, ADA, before=None, limit=9)) == 2


def test_items_never_processed_are_tried_later_and_show_nothing(aws, monkeypatch):
    call = prepared(aws, save)
    with monkeypatch.context() as patch:
        patch.setattr(
            aws.table.client,
            "batch_write_item",
            lambda RequestItems: {"UnprocessedItems": RequestItems},  # noqa: N803 - as above
        )
        with pytest.raises(StoreThrottledError):
            call()
    assert aws.by_mailbox(TENANT, BOX, before=None, limit=9) == []
    assert len(call()) == 3


def test_keys_left_unprocessed_are_read_again(aws, monkeypatch):
    prepared(aws, save)()
    client = aws.table.client
    read = client.batch_get_item

    def reads_the_first_alone(RequestItems):  # noqa: N803 - botocore's name
        ((table, asked),) = RequestItems.items()
        answer = read(RequestItems={table: {**asked, "Keys": asked["Keys"][:1]}})
        left = asked["Keys"][1:]
        return {**answer, "UnprocessedKeys": {table: {**asked, "Keys": left}} if left else {}}

    monkeypatch.setattr(client, "batch_get_item", reads_the_first_alone)
    asked = [name(text) for text in ("1", "2", "3")]
    assert len(aws.messages.copies_by_id(TENANT, BOX, asked)) == 3


def test_a_large_body_is_an_object_before_its_message_points_to_it(aws):
    call = prepared(aws, save)
    with (
        failing(aws, killed, only=frozenset({"PutObject"})),
        pytest.raises(KilledError),
    ):
        call()
    message_id = mails()[1].message.id
    assert aws.get_messages(TENANT, [message_id]) == {}
    call()
    assert aws.messages.get_body(TENANT, message_id) == mails()[1].body


def test_a_body_that_cannot_be_read_now_is_not_shown_as_empty(aws):
    prepared(aws, save)()
    message_id = mails()[1].message.id
    busy = failing(
        aws, lambda operation: refused(operation, "SlowDown"), only=frozenset({"GetObject"})
    )
    with busy, pytest.raises(StoreThrottledError):
        aws.messages.get_body(TENANT, message_id)
    for one in aws.clients.s3.list_objects_v2(Bucket=BUCKET)["Contents"]:
        aws.clients.s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    with pytest.raises(StoreThrottledError):
        aws.messages.get_body(TENANT, message_id)


@pytest.mark.parametrize("first_ends", [False, True])
def test_of_two_workers_of_a_mailbox_that_store_the_same_one_is_told_to_try_later(
    aws, monkeypatch, first_ends
):
    """Nobody erases anything; it is the note of the other that is gone, or is not its own."""
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, record.mailbox.id, record.mailbox.generation)
    add = CopyItems.add

    def dying(*_args, **_kwargs):
        raise KilledError

    def meanwhile(self, *args, **kwargs):
        with monkeypatch.context() as patched:
            patched.setattr(CopyItems, "add", add if first_ends else dying)
            with suppress(KilledError):
                aws.messages.save(fence, [a_new_copy("1")])
        return add(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(CopyItems, "add", meanwhile)
        with pytest.raises(StoreThrottledError, match="another worker of this mailbox"):
            aws.messages.save(fence, [a_new_copy("1")])
    added = aws.messages.save(fence, [a_new_copy("1")])
    assert added == (frozenset() if first_ends else {name("1")})
    assert not [item for item in aws.items() if item["sk"]["S"].startswith("writing#")]


def test_a_reconnect_met_half_way_is_read_again(aws, monkeypatch):
    record = connected(aws.mailboxes)
    torn = aws.items()
    aws.mailboxes.reconnect(record.mailbox, identity_of(record.mailbox), SLOT)
    query, answers = aws.table.client.query, []

    def torn_once(**asked):
        answer = query(**asked)
        if not answers:
            old = next(i for i in torn if i["sk"]["S"].endswith("#settings"))
            answer["Items"] = [
                old if i["sk"]["S"].endswith("#settings") else i for i in answer["Items"]
            ]
        answers.append(answer)
        return answer

    monkeypatch.setattr(aws.table.client, "query", torn_once)
    assert aws.mailboxes.get(TENANT, BOX).mailbox.generation == record.mailbox.generation + 1
    assert len(answers) == 2


def test_every_read_that_decides_is_consistent(aws):
    record = connected(aws.mailboxes)
    asked = []
    with listening(aws, "before-call", lambda name, params: asked.append((name, params["body"]))):
        aws.mailboxes.get(TENANT, BOX)
        aws.mailboxes.folders(TENANT, BOX)
        aws.mailboxes.find(TENANT, identity_of(record.mailbox))
        aws.messages.copies_by_id(TENANT, BOX, [name("1")])
        aws.messages.live_copies(TENANT, BOX)
        aws.backfills.get_backfill(TENANT, BOX, a_backfill().id)
        aws.backfills.get_chunk(TENANT, BOX, a_backfill().id, 0)
        aws.contacts.get_contact(TENANT, a_contact().id)
    assert len(asked) == 8
    assert all(b'"ConsistentRead": true' in body for _, body in asked)


def reconnect(stores, record):
    return lambda: stores.mailboxes.reconnect(record.mailbox, identity_of(record.mailbox), SLOT)


def finish_chunk(stores, record):
    backfill = start_backfill(stores, record)()
    chunk = stores.backfills.take_chunk(backfill, 0, owner="w", now=NOW, seconds=60)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    run = a_run(backfill_id=backfill.id)
    return lambda: stores.backfills.finish_chunk(fence, backfill, chunk, run, now=later(5))


@pytest.mark.parametrize("flow", [reconnect, finish_chunk], ids=lambda flow: flow.__name__)
def test_what_may_happen_once_happens_once_though_its_answer_was_lost(aws, flow):
    call = prepared(aws, flow)
    call()
    undisturbed = picture(aws)
    fresh(aws)
    call = prepared(aws, flow)
    with failing(aws, lost, after=True), pytest.raises(StoreThrottledError):
        call()
    assert picture(aws) == undisturbed
    with pytest.raises(ConflictError) as caught:
        call()
    assert caught.value.code in {ErrorCode.STALE_WRITE, ErrorCode.WRONG_STATE}
    assert picture(aws) == undisturbed
