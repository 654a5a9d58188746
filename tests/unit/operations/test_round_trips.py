"""A mail to the mailbox itself comes back through sync, and nothing is left of it but how it went."""

from types import SimpleNamespace

import pytest

from shared.domain.errors import (
    ErrorCode,
    RequestError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.folders import FolderRole
from shared.domain.ids import FolderId, SendId
from shared.domain.ledger import TEST_MESSAGE
from shared.domain.mailbox import Provider, StoredMail, own_addresses
from shared.domain.round_trip import LOOKED_FOR_AFTER_SECONDS, RoundTripState, Step
from shared.domain.run import RunReason
from shared.domain.sending import Arrival, SendKind, SendStatus
from shared.mime.compose import MimeComposer
from shared.operations.aliases import add_alias, remove_alias
from shared.operations.request_send import SendPorts
from shared.operations.round_trips import read_test, request_test
from shared.ports.queues import SyncRequest
from shared.ports.sending import IdempotencyKey, SendRef
from tests.unit.operations.machine import ADA, OWN_ADDRESS, TENANT, Death
from tests.unit.operations.sending_machine import NO_CAPS, SendingMachine

GMAIL, OUTLOOK, IMAP = Provider
WORLDS = [GMAIL, OUTLOOK, IMAP]
INBOX = FolderId("INBOX")


def ask(machine, sender=None, key="key"):
    ports = SendPorts(
        mailboxes=machine.mailboxes,
        messages=machine.messages,
        reader=None,
        write=SimpleNamespace(composer=MimeComposer()),
        sends=machine.sends,
        outgoing=machine.outgoing,
        queues=machine.guarded_queues,
        clock=machine.clock,
        caps=NO_CAPS,
        most_recipients=10,
    )
    return request_test(ADA, machine.box.id, sender, IdempotencyKey(key, "b"), ports=ports).send


def come_back(machine, folder="INBOX", own=OWN_ADDRESS):
    """Have what was sent to itself arrive, as the provider does it."""
    if machine.box.provider is GMAIL:
        # One message, under both labels.
        (kept,) = machine.sent_mail()
        machine.server.place(kept.id, frozenset({FolderId("SENT"), FolderId(folder)}))
        return
    (mail,) = machine.post.arrived[own]
    machine.server.deliver(folder, mail, machine.clock.now())


def seen(machine, send):
    return read_test(
        ADA,
        machine.box.id,
        send.id,
        mailboxes=machine.mailboxes,
        sends=machine.sends,
        clock=machine.clock,
    ).trip


def passed_by(machine) -> int:
    runs = [report.run for report in machine.reports if getattr(report, "run", None)]
    return sum(run.counts.skipped.get(TEST_MESSAGE, 0) for run in runs)


def crm(machine) -> tuple:
    """All that a mail leaves in the product."""
    world = machine.world
    return world.messages, world.copies, world.index, world.contacts, world.letters


@pytest.mark.parametrize("settings", [{}, {"store": StoredMail.CONTACTS_ONLY}])
@pytest.mark.parametrize("provider", WORLDS)
def test_it_comes_back_and_leaves_no_mail_no_contact_and_no_timeline(provider, settings):
    machine = SendingMachine(provider, create_contacts=True, **settings)
    untouched = repr(crm(machine))
    send = ask(machine)
    machine.drain()
    assert machine.stands(send).status is SendStatus.SENT
    assert seen(machine, send).stands_at is Step.CAME_BACK
    machine.clock.advance(seconds=30)
    come_back(machine)
    machine.tick(6)
    trip = seen(machine, send)
    assert (trip.state, trip.came_back_to) == (RoundTripState.SUCCEEDED, FolderRole.INBOX)
    assert all(one.at for one in trip.steps)
    assert trip.steps[4].seconds > 30
    assert repr(crm(machine)) == untouched
    # The copy among the sent mail and the one that came back are each accounted for.
    assert passed_by(machine) >= (1 if provider is GMAIL else 2)
    assert len(machine.post.arrived[OWN_ADDRESS]) == 1


def test_sync_is_asked_to_look_for_it_soon_and_not_only_with_the_next_poll():
    machine = SendingMachine()
    ask(machine)
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    run = SyncRequest(TENANT, machine.box.id, RunReason.REQUESTED)
    assert machine.queues.sync_delays == [*LOOKED_FOR_AFTER_SECONDS]
    assert machine.queues.take_syncs() == [run] * len(LOOKED_FOR_AFTER_SECONDS)


def test_asked_again_with_the_same_key_it_is_the_same_one():
    machine = SendingMachine()
    assert ask(machine).id == ask(machine).id != ask(machine, key="other").id


def test_another_address_than_its_own_is_refused():
    machine = SendingMachine()
    with pytest.raises(RequestError) as caught:
        ask(machine, "ceo@acme.example")
    assert caught.value.code is ErrorCode.SENDER_NOT_VERIFIED


def test_what_is_no_test_is_not_read_as_one():
    machine = SendingMachine()
    with pytest.raises(RequestError) as caught:
        seen(machine, machine.ask())
    assert caught.value.code is ErrorCode.SEND_NOT_FOUND


STRANGERS = b"From: eve@elsewhere.example\r\nTo: ada@acme.example\r\nMessage-ID: <e@e>\r\n"


def test_a_strangers_mail_that_names_a_test_is_mail_like_any_other():
    machine = SendingMachine()
    ordinary = machine.ask()
    machine.drain()
    before = len(machine.world.messages)
    for name in ("01ARZ3NDEKTSV4RRFFQ69G5FB0", ordinary.id.ljust(26, "0")):
        raw = STRANGERS.replace(b"<e@e>", f"<{name}@e>".encode())
        raw += f"X-Mailroom-Test: {name}\r\n\r\nBuy".encode()
        machine.server.deliver("INBOX", raw, machine.clock.now())
    machine.tick(6)
    assert len(machine.world.messages) == before + 2
    assert passed_by(machine) == 0


def test_a_send_that_is_no_test_makes_no_mail_one():
    machine = SendingMachine()
    name = SendId("01ARZ3NDEKTSV4RRFFQ69G5FB0")
    machine.ask(id=name)
    machine.drain()
    before = len(machine.world.messages)
    raw = STRANGERS + f"X-Mailroom-Test: {name}\r\n\r\nBuy".encode()
    machine.server.deliver("INBOX", raw, machine.clock.now())
    machine.tick(6)
    assert len(machine.world.messages) == before + 1


def test_no_other_mail_costs_a_read():
    machine = SendingMachine()
    machine.sends.get = None
    machine.server.deliver("INBOX", STRANGERS + b"\r\nBuy", machine.clock.now())
    machine.tick(6)
    assert len(machine.world.messages) == 1


def test_a_worker_that_writes_late_does_not_lose_that_it_came_back():
    machine = SendingMachine()
    send = ask(machine)
    ref = SendRef(TENANT, machine.box.id, send.id)
    (request,) = machine.queues.take_sends()
    write = machine.send_store.write
    arrival = Arrival(machine.clock.now(), FolderRole.INBOX)

    def late(after, *, now):
        machine.send_store.note_arrival(ref, arrival)
        write(after, now=now)

    machine.send_store.write = late
    machine.deliver(request)
    stands = machine.stands(send)
    assert (stands.status, stands.arrival) == (SendStatus.SENT, arrival)


def test_one_in_doubt_that_came_back_was_sent():
    machine = SendingMachine(saves_sent=False)
    machine.post.answers_lost = 1
    send = ask(machine)
    machine.drain()
    assert machine.stands(send).status is SendStatus.UNKNOWN
    come_back(machine)
    machine.tick(6)
    assert seen(machine, send).state is RoundTripState.SUCCEEDED
    machine.rest()
    stands = machine.stands(send)
    assert stands.status is SendStatus.SENT
    assert len(machine.post.arrived[OWN_ADDRESS]) == 1
    assert passed_by(machine) >= 1
    assert machine.world.messages == {}


def test_what_is_refused_stops_there_with_its_words():
    machine = SendingMachine()
    machine.post.failures["prepare"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = ask(machine)
    machine.drain()
    trip = seen(machine, send)
    assert (trip.state, trip.stands_at) == (RoundTripState.WAITING, Step.ACCEPTED)
    assert trip.code is ErrorCode.CONNECTION_FAILED


def again(step) -> None:
    """Do it, and once more where it was interrupted."""
    try:
        step()
    except (Death, StoreThrottledError):
        step()


def whole(machine) -> None:
    """Send one, and have it come back; whoever asked asks again where they had no answer."""
    again(lambda: ask(machine))
    again(machine.rest)
    if OWN_ADDRESS in machine.post.arrived:
        come_back(machine)
    again(lambda: machine.tick(12))
    again(machine.rest)


@pytest.mark.parametrize("how", ["before", "after", "lost"])
@pytest.mark.parametrize("provider", [GMAIL, IMAP])
def test_interrupted_at_any_side_effect_it_is_sent_once_comes_back_and_is_nobodys_mail(
    provider, how
):
    machine = SendingMachine(provider)
    machine.arm(-1, "before")
    whole(machine)
    effects = machine.killer.count
    assert "InMemorySendStore.note_arrival" in machine.killer.seen
    for at in range(effects):
        machine = SendingMachine(provider)
        machine.arm(at, how)
        whole(machine)
        where = f"{how} {at}: {machine.killer.seen[at : at + 1]}"
        (send,) = machine.world.sends[TENANT, machine.box.id].values()
        assert send.kind is SendKind.TEST, where
        arrived = len(machine.post.arrived.get(OWN_ADDRESS, ()))
        # Who died just before it was handed over leaves a doubt that only its return could end.
        assert arrived == 1 or (arrived == 0 and send.status is SendStatus.UNKNOWN), where
        assert (send.arrival is not None) == (arrived == 1), where
        assert machine.world.messages == {}, where
        assert machine.world.contacts == {}, where


# ---- aliases ----

SALES = "sales@acme.example"


def with_alias(machine) -> None:
    again(lambda: add_alias(ADA, machine.box.id, SALES, "Sales", mailboxes=machine.mailboxes))


def verified(machine):
    (alias,) = machine.mailbox().aliases
    return alias.verified_at


@pytest.mark.parametrize("settings", [{}, {"store": StoredMail.CONTACTS_ONLY}])
@pytest.mark.parametrize("provider", WORLDS)
def test_an_alias_is_verified_by_its_test_coming_back(provider, settings):
    machine = SendingMachine(provider, **settings)
    with_alias(machine)
    send = ask(machine, SALES)
    machine.rest()
    assert verified(machine) is None
    come_back(machine, own=SALES)
    machine.tick(6)
    assert verified(machine) is not None
    assert seen(machine, send).state is RoundTripState.SUCCEEDED
    assert SALES in own_addresses(machine.mailbox())
    assert machine.world.messages == {}


def test_a_server_that_puts_another_sender_in_its_place_verifies_nothing_and_it_is_said():
    machine = SendingMachine()
    with_alias(machine)
    send = ask(machine, SALES)
    machine.rest()
    (mail,) = machine.post.arrived[SALES]
    changed = mail.replace(b"<sales@acme.example>", b"<ada@acme.example>", 1)
    assert changed != mail
    machine.server.deliver("INBOX", changed, machine.clock.now())
    machine.tick(6)
    assert verified(machine) is None
    trip = seen(machine, send)
    assert (trip.state, trip.stands_at) == (RoundTripState.STOPPED, Step.CAME_BACK)
    assert trip.code is ErrorCode.SENDER_NOT_ALLOWED


def test_a_test_from_the_mailbox_itself_verifies_no_alias():
    machine = SendingMachine()
    with_alias(machine)
    ask(machine)
    machine.rest()
    come_back(machine)
    machine.tick(6)
    assert verified(machine) is None


def test_one_taken_away_meanwhile_does_not_come_back_with_its_test():
    machine = SendingMachine()
    with_alias(machine)
    send = ask(machine, SALES)
    machine.rest()
    remove_alias(ADA, machine.box.id, SALES, mailboxes=machine.mailboxes)
    come_back(machine, own=SALES)
    machine.tick(6)
    assert machine.mailbox().aliases == ()
    assert seen(machine, send).state is RoundTripState.SUCCEEDED


def of_alias(machine) -> None:
    with_alias(machine)
    again(lambda: ask(machine, SALES))
    again(machine.rest)
    if SALES in machine.post.arrived:
        come_back(machine, own=SALES)
    again(lambda: machine.tick(12))
    again(machine.rest)


@pytest.mark.parametrize("how", ["before", "after", "lost"])
def test_interrupted_at_any_side_effect_an_alias_is_verified_if_its_test_came_back(how):
    machine = SendingMachine()
    machine.arm(-1, "before")
    of_alias(machine)
    effects = machine.killer.count
    assert machine.killer.seen.count("InMemoryMailboxStore.save_settings") == 2
    for at in range(effects):
        machine = SendingMachine()
        machine.arm(at, how)
        of_alias(machine)
        where = f"{how} {at}: {machine.killer.seen[at : at + 1]}"
        arrived = len(machine.post.arrived.get(SALES, ()))
        assert arrived <= 1, where
        assert (verified(machine) is not None) == (arrived == 1), where
