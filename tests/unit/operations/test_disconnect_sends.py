"""What waits to be sent when its mailbox is disconnected is cancelled, and is not revived."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.sending import Send, SendStatus
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.clock import FixedClock
from tests.fakes.sends import InMemoryOutgoingStore, InMemorySendStore
from tests.fakes.values import a_send
from tests.unit.operations.machine import TENANT, Killer, Machine, busy_server

NOW = FixedClock().now()


class Outbox:
    def __init__(self) -> None:
        self.machine = Machine(busy_server(NOW), Killer())
        self.box = self.machine.connect(days=0)
        self.sends = InMemorySendStore(self.machine.world)
        self.outgoing = InMemoryOutgoingStore(self.machine.world)

    def ask(self, text: str) -> SendRef:
        generation = self.machine.mailboxes.get(TENANT, self.box.id).mailbox.generation
        send = a_send(
            text, tenant_id=TENANT, mailbox_id=self.box.id, generation=generation, due_at=NOW
        )
        self.outgoing.put(SendRef(TENANT, self.box.id, send.id), b"x")
        self.sends.create(send, IdempotencyKey(text, "b"), SendCaps(99, 99, 99), now=NOW)
        return SendRef(TENANT, self.box.id, send.id)

    def take(self, ref: SendRef) -> Send:
        return self.sends.take(ref, now=NOW, seconds=60)

    def outcome(self, ref: SendRef) -> tuple[SendStatus, ErrorCode | None]:
        send = self.sends.get(ref)
        return send.status, send.code


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def test_what_waits_is_cancelled_and_what_is_being_sent_is_found_out(outbox):
    waits, taken = outbox.ask("1"), outbox.ask("2")
    mine = outbox.take(taken)
    for _ in range(2):
        outbox.machine.disconnect(outbox.box.id)
        assert outbox.outcome(waits) == (SendStatus.CANCELLED, ErrorCode.MAILBOX_DISCONNECTED)
        assert outbox.outcome(taken) == (SendStatus.SENDING, None)
    # Its worker was past the point of no return, and says so.
    sent = replace(mine, status=SendStatus.SENT, attempt_ends_at=None, filed_at=NOW)
    outbox.sends.write(sent, now=NOW)
    assert outbox.outcome(taken) == (SendStatus.SENT, None)


def test_the_content_of_what_is_cancelled_goes_also_where_somebody_died_before(outbox):
    waits, cancelled, taken = outbox.ask("1"), outbox.ask("2"), outbox.ask("3")
    outbox.take(taken)
    outbox.sends.cancel(cancelled, now=NOW, code=ErrorCode.MAILBOX_DISCONNECTED)
    outbox.machine.disconnect(outbox.box.id)
    assert set(outbox.machine.world.outgoing) == {taken}
    assert outbox.outcome(waits)[0] is SendStatus.CANCELLED


def test_connecting_it_again_revives_nothing(outbox):
    waits = outbox.ask("1")
    outbox.machine.disconnect(outbox.box.id)
    outbox.machine.reconnect(outbox.box.id)
    with pytest.raises(ConflictError):
        outbox.take(waits)
    assert outbox.outcome(waits) == (SendStatus.CANCELLED, ErrorCode.MAILBOX_DISCONNECTED)
    assert outbox.take(outbox.ask("2")).attempt == 1


def test_a_new_login_voids_nothing_that_waits(outbox):
    waits = outbox.ask("1")
    outbox.machine.reconnect(outbox.box.id)
    assert outbox.take(waits).status is SendStatus.SENDING


def test_one_that_is_taken_meanwhile_keeps_the_disconnecting_from_nothing(outbox, monkeypatch):
    refs = [outbox.ask(text) for text in "123"]
    listed = InMemorySendStore.of_mailbox

    def of_mailbox(store, *box):
        found = list(listed(store, *box))
        # Between the list and the cancelling somebody takes the first.
        store.world.sends[TENANT, outbox.box.id][refs[0].send_id] = replace(
            found[0], status=SendStatus.SENDING, attempt=1
        )
        yield from found

    monkeypatch.setattr(InMemorySendStore, "of_mailbox", of_mailbox)
    outbox.machine.disconnect(outbox.box.id)
    assert [outbox.outcome(ref)[0] for ref in refs] == [
        SendStatus.SENDING,
        SendStatus.CANCELLED,
        SendStatus.CANCELLED,
    ]
