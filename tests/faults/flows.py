"""The stories that are interrupted. A new one is one function with `@flow` on it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from shared.aws.queues import encode_audit, encode_sync
from shared.domain.ids import MailboxId, TenantId
from shared.domain.message import Flags
from shared.domain.run import RunReason
from shared.ports.queues import AuditRequest, SyncRequest
from tests.faults.driver import REPEATABLE, Flow
from tests.faults.world import Waiting, World

FLOWS: list[Flow] = []
LOGIN = {"host": "imap.example.org", "username": "ann", "password": "not-a-real-one"}
LARGE = "A line of no consequence, number {}.\r\n"


def flow(
    prepare: Callable[[Any], None],
    *,
    rests: tuple[str, ...] = (),
    repeatable: frozenset[str] = frozenset(),
    kinds: tuple[type[World], ...] = (World,),
    doubtful: frozenset[str] = frozenset(),
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Add a flow that begins where `prepare` ends."""

    def add(act: Callable[[Any], None]) -> Callable[[Any], None]:
        for kind in kinds:
            name = act.__name__ if kind is World else f"{act.__name__}_{kind.__name__}"
            FLOWS.append(Flow(name, prepare, act, rests, REPEATABLE | repeatable, kind, doubtful))
        return act

    return add


# ---- where flows begin ----


def nothing_yet(world: World) -> None:
    """Mail at the provider: three messages in one folder, one in another."""
    world.deliver(1)
    world.deliver(2, **{"X-Note": "an ordinary one"})
    world.server.deliver("INBOX", large_mail(3), world.clock.at)
    world.deliver(4, folder="Sent", From="ann@ours.example", To="cleo@client.example")
    world.clock.advance(minutes=30)


def one_message(world: World) -> None:
    """As little mail at the provider as there can be an import of."""
    world.deliver(1)
    world.clock.advance(minutes=30)


def connected(world: World) -> None:
    """An imported mailbox, in sync."""
    nothing_yet(world)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain()
    world.poll()


def connected_from_now_on(world: World) -> None:
    """A mailbox without history, before its first sync."""
    world.facts["box"] = world.connect(backfill_days=0)
    world.clock.advance(minutes=3)
    world.deliver(5)
    world.deliver(6, folder="Sent", From="ann@ours.example", To="cleo@client.example")


def about_to_send(world: World) -> None:
    """An imported mailbox, with a mail that is to be sent in some days."""
    connected(world)
    ask_for_mail(world, box(world), "cleo@client.example")


def locked_out(world: World) -> None:
    """A mailbox whose password was changed, and which waits for the new one."""
    connected(world)
    world.server.password = "a-new-one"
    sync(world)
    world.drain()
    world.deliver(5)


def planned(world: World) -> None:
    """A mailbox whose first chunks wait in their queue."""
    nothing_yet(world)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain_but("chunk")


def unplanned(world: World) -> None:
    """A mailbox whose plan waits in its queue."""
    nothing_yet(world)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain_but("plan")


# ---- connecting ----


@flow(one_message)
def connect(world: World) -> None:
    _connect(world, backfill_days=7)


@flow(about_to_send)
def disconnect(world: World) -> None:
    assert world.insist("DELETE", f"/v1/mailboxes/{box(world)}").status == 204


@flow(locked_out)
def reconnect(world: World) -> None:
    login = {**LOGIN, "password": "a-new-one"}
    body = {"imap": login, "smtp": login}
    assert world.insist("POST", f"/v1/mailboxes/{box(world)}/reconnect", body=body).status == 200


# ---- sync ----


@flow(connected_from_now_on)
def first_sync(world: World) -> None:
    pass


@flow(connected)
def incremental_sync(world: World) -> None:
    world.deliver(7)
    world.server.deliver("INBOX", large_mail(8), world.clock.at)
    sync(world)


@flow(connected)
def flags_change(world: World) -> None:
    world.server.mark_seen("INBOX", 1)
    world.server.set_flags("INBOX", 2, Flags(flagged=True, answered=True))
    sync(world)


@flow(connected)
def a_message_moves(world: World) -> None:
    world.server.move("INBOX", 1, "Sent")
    sync(world)


@flow(connected)
def a_message_is_deleted(world: World) -> None:
    world.server.delete("INBOX", 2)
    world.server.move("Sent", 1, "Trash")
    sync(world)


@flow(connected)
def a_folder_comes_another_goes(world: World) -> None:
    world.server.create_folder("Projects")
    world.deliver(9, folder="Projects")
    world.server.delete_folder("Sent")
    sync(world)


@flow(connected)
def a_folder_is_renumbered(world: World) -> None:
    world.server.delete("INBOX", 1)
    world.server.renumber("INBOX")
    sync(world)


@flow(connected)
def sync_now(world: World) -> None:
    world.deliver(7)
    answer = world.insist("POST", f"/v1/mailboxes/{box(world)}/sync")
    assert answer.status == 202
    world.facts["asked for"] = answer.json["run_id"]


@flow(connected)
def nothing_is_new(world: World) -> None:
    sync(world)


# ---- history ----


@flow(unplanned, rests=("chunk", "sync"))
def plan(world: World) -> None:
    pass


@flow(planned)
def chunks(world: World) -> None:
    pass


@flow(planned)
def pause_and_resume(world: World) -> None:
    change_import(world, "pause")
    world.drain_but()
    change_import(world, "resume")


@flow(planned, rests=("chunk",))
def cancel_an_import(world: World) -> None:
    change_import(world, "cancel")


@flow(connected, rests=("chunk",))
def extend_an_import(world: World) -> None:
    """The window becomes larger; what it had before is not fetched again."""
    body = {"days": 30}
    answer = world.insist("POST", f"/v1/mailboxes/{box(world)}/backfills", body=body)
    # Who died after all was done learns that it runs.
    assert answer.status in ({201, 409} if world.interrupter.fired else {201}), answer.text


# ---- audit ----


@flow(connected)
def audit(world: World) -> None:
    """A message we once stored is gone; the audit brings it back."""
    world.facts["audited"] = True
    world.lose_copy("f-inbox.1.2")
    request = AuditRequest(TenantId("acme"), MailboxId(box(world)), world.clock.at)
    world.waiting.append(Waiting("plan", encode_audit(request), world.clock.at))


# ---- contacts ----


@flow(connected)
def contact_is_put(world: World) -> None:
    for name, addresses in (("Cleo", ["cleo@client.example"]), ("Cleo B.", ["c@b.example"])):
        body = {"name": name, "addresses": addresses, "attributes": {"stage": "won"}}
        assert world.insist("PUT", "/v1/contacts/crm-1", body=body).status == 200


@flow(connected)
def contacts_are_merged(world: World) -> None:
    for name in ("crm-1", "crm-2"):
        body = {"name": "Cleo", "addresses": [f"{name}@client.example", "cleo@client.example"]}
        assert world.insist("PUT", f"/v1/contacts/{name}", body=body).status == 200
    merge = world.insist("POST", "/v1/contacts/crm-1/merge", body={"from": "crm-2"})
    assert merge.json["merged"] == ["crm-2"]


# ---- what flows share ----


def box(world: World) -> str:
    """The mailbox's id."""
    found: str = world.facts["box"]
    return found


def ask_for_mail(world: World, mailbox_id: str, *to: str) -> None:
    """Have a mail sent in some days."""
    body = {
        "mailbox_id": mailbox_id,
        "to": [{"address": one} for one in to],
        "subject": "Offer",
        "text": "Dear all",
        "send_at": (world.clock.at + timedelta(days=9)).isoformat(),
    }
    user = world.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["owner_user_id"]
    headers = {"Idempotency-Key": re.sub(r"[^a-z-]", "-", "-".join(to))}
    answer = world.ask("POST", "/v1/sends", body=body, headers=headers, user=user)
    assert answer.status == 202, answer.text


def change_import(world: World, action: str) -> None:
    """Have a person pause, resume or cancel the mailbox's import."""
    (one,) = world.insist("GET", f"/v1/mailboxes/{box(world)}/backfills").json["items"]
    target = f"/v1/mailboxes/{box(world)}/backfills/{one['id']}/{action}"
    assert world.insist("POST", target).status == 200


def sync(world: World) -> None:
    """Ask for a run as the schedule does."""
    request = SyncRequest(TenantId("acme"), MailboxId(box(world)), RunReason.SCHEDULE)
    world.waiting.append(Waiting("sync", encode_sync(request), world.clock.at))


def _connect(world: World, **wishes: Any) -> None:
    body = {"address": "ann@ours.example", "imap": LOGIN, "smtp": LOGIN, **wishes}
    answer = world.insist("POST", "/v1/mailboxes", body=body)
    # Who died after all was done learns that it was.
    expected = {201, 409} if world.interrupter.fired else {201}
    assert answer.status in expected, answer.text


def large_mail(number: int) -> bytes:
    """A message with a body that is an object, and an attachment."""
    text = "".join(LARGE.format(n**8 * number) for n in range(900))
    return (
        f"From: Cleo <cleo@client.example>\r\nTo: ann@ours.example\r\nSubject: Mail {number}\r\n"
        f"Message-ID: <{number}@client.example>\r\nDate: Sun, 01 Mar 2026 11:00:00 +0000\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
        "--b\r\nContent-Type: application/pdf\r\n"
        f'Content-Disposition: attachment; filename="{number}.pdf"\r\n\r\nfile {number}\r\n'
        "--b--\r\n"
    ).encode()
