"""Mailboxes whose changes wait for somebody are queued again; nothing holds up what else is due."""

import pytest

from shared.domain.change import Wanted
from shared.domain.errors import RetryLaterError, StoreThrottledError
from shared.domain.ids import MailboxId
from shared.domain.lease import Fence
from shared.operations.sweep_outbound import sweep_changes
from shared.ports.queues import ChangesRequest
from tests.fakes.changes import InMemoryChangeStore, shard_of
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.stores import InMemoryMailboxStore, InMemoryMessageStore, World
from tests.fakes.values import NOW, TENANT, a_new_copy, connected, later, name

BOXES = [MailboxId(f"B{number}") for number in range(8)]


class Waiting:
    """Eight mailboxes, in all shards, each with a change pending."""

    def __init__(self) -> None:
        world = World()
        self.mailboxes, self.changes = InMemoryMailboxStore(world), InMemoryChangeStore(world)
        self.messages, self.queues = InMemoryMessageStore(world), RecordingWorkQueues()
        self.seconds_left = 50.0
        for box in BOXES:
            record = connected(self.mailboxes, id=box, address=f"{box}@acme.example")
            fence = Fence(TENANT, box, record.mailbox.generation)
            self.messages.save(fence, [a_new_copy("1", mailbox_id=box)])
            self.changes.wish(record.mailbox, {name("1"): Wanted(flagged=True)}, now=NOW)

    def sweep(self, at, **more) -> int:
        ports = {"changes": self.changes, "queues": self.queues, **more}
        return sweep_changes(now=at, remaining_seconds=lambda: self.seconds_left, **ports)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_what_nobody_has_seen_to_for_a_minute_is_queued_again(waiting):
    assert [waiting.sweep(later(seconds)) for seconds in (59, 61)] == [0, 8]
    assert sorted(waiting.queues.take_changes(), key=str) == [
        ChangesRequest(TENANT, box) for box in BOXES
    ]
    # As long as its worker may be alive, nobody else is sent for.
    waiting.changes.take(TENANT, BOXES[0], now=later(130), seconds=60)
    assert [waiting.sweep(later(seconds)) for seconds in (181, 191)] == [7, 8]


def test_a_tick_queues_a_bounded_number_of_each_shard(waiting):
    assert waiting.sweep(later(61), most=1) == len({shard_of(box) for box in BOXES})


def test_a_shard_that_cannot_be_read_holds_up_no_other_and_is_said_at_the_end(waiting, monkeypatch):
    read = waiting.changes.due

    def due(shard, **more):
        if shard == 0:
            raise StoreThrottledError(cause="busy")
        return read(shard, **more)

    monkeypatch.setattr(waiting.changes, "due", due)
    with pytest.raises(RetryLaterError):
        waiting.sweep(later(61))
    assert len(waiting.queues.changes) == sum(shard_of(box) != 0 for box in BOXES) > 0


def test_a_tick_that_has_no_time_left_leaves_them_to_the_next(waiting):
    waiting.seconds_left = 14.0
    assert waiting.sweep(later(61)) == 0
