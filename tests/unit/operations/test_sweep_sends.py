"""What waits for its time is queued when it comes; nothing holds up what else is due."""

import pytest

from shared.domain.errors import ConflictError, ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.ids import MailboxId, SendId
from shared.domain.sending import SHARDS_OF_SENDS
from shared.operations.sweep_outbound import sweep_sends
from shared.ports.queues import SendRequest
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.sends import InMemorySendStore, shard_of
from tests.fakes.stores import InMemoryMailboxStore, World
from tests.fakes.values import NOW, TENANT, a_send, connected, later

CAPS = SendCaps(999, 9999, 999)


class Outbox:
    def __init__(self) -> None:
        world = World()
        self.mailboxes, self.sends = InMemoryMailboxStore(world), InMemorySendStore(world)
        self.queues = RecordingWorkQueues()
        self.seconds_left = 50.0

    def ask(self, box: str, *due_in: float) -> list[SendRef]:
        name = MailboxId(box)
        if self.mailboxes.get(TENANT, name) is None:
            connected(self.mailboxes, id=name, address=f"{name}@acme.example")
        refs = []
        for seconds in due_in:
            send = a_send(f"{box}{seconds:06}", mailbox_id=name, due_at=later(seconds))
            self.sends.create(send, IdempotencyKey(send.id, "b"), CAPS, now=NOW)
            refs.append(SendRef(TENANT, name, SendId(send.id)))
        return refs

    def sweep(self, at=NOW, **more) -> int:
        ports = {"sends": self.sends, "queues": self.queues}
        return sweep_sends(now=at, remaining_seconds=lambda: self.seconds_left, **ports | more)

    def queued(self) -> list[SendRef]:
        requests = self.queues.take_sends()
        assert {type(one) for one in requests} <= {SendRequest}
        return [SendRef(one.tenant_id, one.mailbox_id, one.send_id) for one in requests]


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def in_every_shard(outbox, *due_in) -> dict[int, list[SendRef]]:
    """Have sends waiting in each shard."""
    found: dict[int, list[SendRef]] = {}
    number = 0
    while len(found) < SHARDS_OF_SENDS:
        number += 1
        shard = shard_of(SendRef(TENANT, MailboxId(f"B{number}"), SendId("")))
        if shard not in found:
            found[shard] = outbox.ask(f"B{number}", *due_in)
    return found


def test_what_is_due_is_queued_from_every_shard_and_nothing_else(outbox):
    all_of_them = in_every_shard(outbox, 0, 60, 61)
    assert outbox.sweep(later(60)) == 2 * SHARDS_OF_SENDS
    assert sorted(outbox.queued(), key=str) == sorted(
        (ref for refs in all_of_them.values() for ref in refs[:2]), key=str
    )


def test_what_is_queued_again_is_taken_once(outbox):
    (ref,) = outbox.ask("B1", 0)
    assert (outbox.sweep(), outbox.sweep()) == (1, 1)
    assert outbox.queued() == [ref, ref]
    outbox.sends.take(ref, now=NOW, seconds=60)
    with pytest.raises(ConflictError) as caught:
        outbox.sends.take(ref, now=NOW, seconds=60)
    assert caught.value.code is ErrorCode.LEASE_HELD
    # As long as its worker may be alive, nobody else is sent for.
    assert (outbox.sweep(later(59)), outbox.sweep(later(60))) == (0, 1)


def test_a_tick_queues_a_bounded_number_of_each_shard_the_oldest_first(outbox):
    refs = outbox.ask("B1", 30, 20, 10, 0)
    assert outbox.sweep(later(60), most=3) == 3
    assert outbox.queued() == refs[:0:-1]


def test_one_mailboxs_thousands_leave_those_of_other_shards_alone(outbox):
    shards = in_every_shard(outbox, 50)
    crowded, *others = shards.values()
    outbox.ask(crowded[0].mailbox_id, *range(40))
    outbox.sweep(later(60), most=5)
    queued = outbox.queued()
    assert [ref for refs in others for ref in refs if ref not in queued] == []
    assert crowded[0] not in queued


def test_a_shard_that_cannot_be_read_holds_up_no_other_and_is_said_at_the_end(outbox, monkeypatch):
    in_every_shard(outbox, 0)
    read = outbox.sends.due

    def due(shard, **more):
        if shard == 0:
            raise StoreThrottledError(cause="busy")
        return read(shard, **more)

    monkeypatch.setattr(outbox.sends, "due", due)
    with pytest.raises(RetryLaterError):
        outbox.sweep()
    assert len(outbox.queued()) == SHARDS_OF_SENDS - 1


def test_a_tick_that_has_no_time_left_leaves_them_to_the_next(outbox):
    outbox.ask("B1", 0)
    outbox.seconds_left = 14.0
    assert outbox.sweep() == 0
    outbox.seconds_left = 16.0
    assert outbox.sweep() == 1
