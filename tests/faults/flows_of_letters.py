"""The stories of dead letters that are replayed: each message is stored, each work done, no letter left."""

from shared.aws.queues import encode_sync
from shared.domain.ids import MailboxId, TenantId
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.faults.flows import box, flow, planned
from tests.faults.neighbours import Neighbours

TORN = {"X-Torn": "yes"}


# ---- where flows begin ----


def letters_of_messages(world: Neighbours) -> None:
    """Two messages nobody could read, one of which its provider no longer has; now they can be."""
    world.deliver(1)
    for number in (2, 3):
        world.deliver(number, **TORN)
    world.clock.advance(minutes=30)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain()
    world.server.delete("INBOX", 3)
    world.poll()
    assert len(letters(world)) == 2
    world.facts["mended"] = True


def letters_of_work(world: Neighbours) -> None:
    """A chunk and a sync that no retry could finish; the import has failed of it."""
    planned(world)
    chunk = next(one for one in world.waiting if one.queue == "chunk")
    world.waiting.remove(chunk)
    sync = SyncRequest(TenantId("acme"), MailboxId(box(world)), RunReason.SCHEDULE)
    world.clock.advance(minutes=5)
    world.bury(chunk.body, encode_sync(sync))
    world.drain()
    assert len(letters(world)) == 2


# ---- stories ----


@flow(letters_of_messages, kinds=(Neighbours,))
def replay_messages(world: Neighbours) -> None:
    _replay(world)


@flow(letters_of_work, kinds=(Neighbours,))
def replay_work(world: Neighbours) -> None:
    _replay(world)


def letters(world: Neighbours) -> list[str]:
    """The ids of a mailbox's dead letters."""
    listed = world.ask("GET", f"/v1/mailboxes/{box(world)}/dead-letters").json["items"]
    return [one["id"] for one in listed]


def _replay(world: Neighbours) -> None:
    answer = world.insist("POST", f"/v1/mailboxes/{box(world)}/dead-letters/replay")
    assert answer.status == 202, answer.text
