"""Telling others is interrupted at every call it makes, and every event is told, as if it never had been.

The stream's records are what a life of a mailbox left in it: connected, imported, new mail sent and
received, read, deleted, sent from here, in trouble, disconnected. Lambda delivers a batch again from
where the function says, or all of it where it died. Whoever drops repeats by their key is left with
the undisturbed story, and finds the events of each thing in the order of their versions.
"""

from collections import defaultdict

import pytest
from botocore.config import Config
from moto.events.models import EventsBackend

from functions.publish_events.handler import lambda_handler as publish_events
from shared import wiring_of_events
from shared.aws.event_bus import EventBridgeBus
from tests.fakes.bus import FakeEvents
from tests.fakes.table_stream import TableStream
from tests.faults import killpoints
from tests.faults.driver import Step, Undisturbed, points
from tests.faults.flows import box, one_message, sync
from tests.faults.killpoints import Interruption, Kind
from tests.faults.world import World, a_world, kept_clients

BATCH = 6
TIMES = 4
"""So often a batch comes at most that is interrupted once."""


class Heard(World):
    """A world whose stream is told on a bus that keeps what it hears."""

    def start(self, monkeypatch):
        super().start(monkeypatch)
        self.stream = TableStream(self.clock.now).follow(monkeypatch)
        self.events = FakeEvents()
        client = kept_clients().create("events", Config())
        monkeypatch.setattr(EventsBackend, "put_events", lambda _, events: self._put(events))
        self.interrupter.listen(client)
        clients = type("Clients", (), {"events": client})()
        bus = EventBridgeBus("mailroom-test", clients, sleep=lambda _: None)
        monkeypatch.setattr(wiring_of_events, "bus", lambda: bus)
        monkeypatch.setitem(killpoints.THROTTLE_CODES, "events", "ThrottlingException")
        return self

    def stop(self):
        self.interrupter.unlisten(kept_clients().create("events", Config()))
        super().stop()

    def _put(self, events):
        return self.events.put_events(Entries=events)["Entries"]

    def tell(self, records):
        """Hand over batches until each was taken; return how often one had to come again."""
        left, again = list(records), 0
        while left:
            batch, before = left[:BATCH], len(left)
            answer = self.invoke(publish_events, {"Records": batch})
            numbers = [one["dynamodb"]["SequenceNumber"] for one in batch]
            if answer is None:
                done = 0
            elif failed := answer["batchItemFailures"]:
                done = numbers.index(failed[0]["itemIdentifier"])
            else:
                done = len(batch)
            left = left[done:]
            again += done < len(batch)
            assert again <= TIMES, f"{before} records are left, and nothing goes on"
        return again


@pytest.fixture(scope="module")
def world(places):
    with pytest.MonkeyPatch.context() as monkeypatch, a_world(monkeypatch, Heard) as made:
        yield made


@pytest.fixture(scope="module")
def records(world):
    """What a mailbox's life left in the stream, as far as the filters let it through."""
    one_message(world)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain()
    uid = world.deliver(7)
    sync(world)
    world.drain()
    world.server.mark_seen("INBOX", uid)
    world.deliver(8, folder="Sent", From="ann@ours.example", To="cleo@client.example")
    sync(world)
    world.drain()
    world.server.delete("INBOX", uid)
    sync(world)
    world.drain()
    world.server.password = "another"
    sync(world)
    world.drain()
    assert world.ask("DELETE", f"/v1/mailboxes/{box(world)}").status == 204
    return world.stream.take()


@pytest.fixture(scope="module")
def undisturbed(world, records):
    world.interrupter.arm()
    assert world.tell(records) == 0
    told = world.events.told()
    assert [event_type for event_type, _ in told] == [
        "mailbox.connected", "backfill.finished", "message.received", "message.changed",
        "message.sent", "message.changed", "mailbox.reconnect_required", "mailbox.disconnected",
    ]  # fmt: skip
    return told, Undisturbed((Step(None, 0),), {}, tuple(world.interrupter.calls))


def once(told):
    """What is left of a story once repeats are dropped, in the order of its first tellings."""
    kept = {}
    for event_type, detail in told:
        assert kept.setdefault(detail["key"], (event_type, detail)) == (event_type, detail)
    return list(kept.values())


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_events_survive_a_death_at_any_call(world, records, undisturbed, kind):
    story, before = undisturbed
    assert points(kind, before)
    for at in points(kind, before):
        world.events.put.clear()
        world.interrupter.arm(Interruption(kind, at))
        world.tell(records)
        assert world.interrupter.fired
        assert once(world.events.told()) == story


def test_events_of_one_thing_are_in_the_order_of_their_versions(undisturbed):
    story, _ = undisturbed
    versions = defaultdict(list)
    for _, detail in story:
        versions[detail.get("provider_message_id", detail["mailbox_id"])].append(
            int(detail["version"])
        )
    assert len(versions) > 2
    assert all(numbers == sorted(set(numbers)) for numbers in versions.values())
