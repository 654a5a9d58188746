"""Every flow, killed before and after each of its side effects, ends where the undisturbed one ends."""

from contextlib import suppress
from datetime import timedelta

import pytest

from shared.domain.errors import ConflictError
from shared.domain.mailbox import StoredMail
from shared.operations.contacts import NewContact, put_contact
from shared.ports.queues import AuditRequest
from tests.fakes.clock import FixedClock
from tests.unit.operations.machine import ADA, TENANT, Death, Killer, Machine, busy_server, mail

NOW = FixedClock().now()
WEEK = timedelta(days=7)


def connect_and_import(machine: Machine) -> None:
    try:
        machine.connect(days=40)
    except Death:
        # The person sees an error and presses the button again.
        with suppress(ConflictError):
            machine.connect(days=40)
    machine.drain()
    machine.tick(8)


def connect_then_mail_changes(machine: Machine) -> None:
    connect_and_import(machine)
    at = NOW + timedelta(hours=1)
    machine.server.deliver("INBOX", mail(100, at, extra="X-Attachment: a,b\r\n"), at)
    machine.server.move("INBOX", 2, "Sent")
    machine.server.delete("INBOX", 3)
    machine.server.mark_seen("INBOX", 1)
    machine.server.renumber("Sent")
    machine.tick(15)


def connect_disconnect(machine: Machine) -> None:
    connect_and_import(machine)
    (box,) = machine.world.mailboxes.values()
    try:
        machine.disconnect(box.id)
    except Death:
        machine.disconnect(box.id)
    machine.server.deliver("INBOX", mail(100, NOW), NOW)
    machine.tick(8)


def connect_disconnect_reconnect(machine: Machine) -> None:
    connect_disconnect(machine)
    (box,) = machine.world.mailboxes.values()
    try:
        machine.reconnect(box.id)
    except Death:
        machine.reconnect(box.id)
    machine.drain()
    machine.tick(8)


def import_then_lose_copies(machine: Machine) -> None:
    connect_and_import(machine)
    (box,) = machine.world.mailboxes.values()
    copies = machine.world.copies[box.tenant_id, box.id]
    for name in [name for name, copy in copies.items() if NOW - copy.received_at < WEEK]:
        del copies[name]
    for _ in range(6):
        machine.clock.advance(days=1)
        at = machine.clock.now()
        machine.queues.send_audits([AuditRequest(box.tenant_id, box.id, at)])
        machine.drain()
        machine.tick(5)
    assert len(copies) == len(machine.server.ids("INBOX") | machine.server.ids("Sent")) - 2


def contact_comes_after_their_mail(machine: Machine) -> None:
    add_contact(machine, "kim@customer.example")
    machine.clock.advance(minutes=5)
    try:
        machine.connect(days=40, store=StoredMail.CONTACTS_ONLY)
    except Death:
        with suppress(ConflictError):
            machine.connect(days=40, store=StoredMail.CONTACTS_ONLY)
    machine.drain()
    machine.tick(8)
    machine.server.deliver("INBOX", mail(100, NOW, sender="lee@client.example"), NOW)
    machine.server.deliver("INBOX", mail(101, NOW, sender="eve@elsewhere.example"), NOW)
    machine.tick(8)
    add_contact(machine, "lee@client.example")
    machine.tick(16)


def add_contact(machine: Machine, address: str) -> None:
    new = NewContact(address, "Somebody", [address], {})
    try:
        put_contact(ADA, new, contacts=machine.contacts, clock=machine.clock)
    except Death:
        # The CRM got no answer, and asks again.
        put_contact(ADA, new, contacts=machine.contacts, clock=machine.clock)


FLOWS = [
    connect_and_import,
    connect_then_mail_changes,
    connect_disconnect,
    connect_disconnect_reconnect,
    import_then_lose_copies,
    contact_comes_after_their_mail,
]


def undisturbed(flow) -> tuple[dict, int]:
    machine = Machine(busy_server(NOW))
    flow(machine)
    return machine.fingerprint(), machine.killer.count


@pytest.mark.parametrize("flow", FLOWS)
def test_running_again_changes_nothing(flow):
    machine = Machine(busy_server(NOW))
    flow(machine)
    first = machine.fingerprint()
    machine.tick(12)
    assert machine.fingerprint() == first


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("flow", FLOWS)
def test_dying_at_any_side_effect_loses_and_doubles_nothing(flow, after, monkeypatch):
    monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 3)
    expected, effects = undisturbed(flow)
    assert expected["copies"]
    differences = []
    for at in range(effects):
        machine = Machine(busy_server(NOW), Killer(at=at, after=after))
        flow(machine)
        machine.tick(8)
        if machine.fingerprint() != expected:
            differences.append((at, machine.killer.seen[at]))
        for run in machine.world.runs.get(
            (TENANT, next(iter(machine.world.mailboxes))[1]), {}
        ).values():
            assert run.counts.balances
    assert effects > 10
    assert differences == []


def test_after_disconnecting_no_secret_is_left():
    machine = Machine(busy_server(NOW))
    connect_disconnect(machine)
    (box,) = machine.world.mailboxes.values()
    assert machine.secret_store.get(TENANT, box.id) is None
