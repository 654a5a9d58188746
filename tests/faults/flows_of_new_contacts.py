"""The stories of contacts that mail makes: each sender one, and none whom a person deleted."""

from shared.aws.queues import encode_sync
from shared.domain.ids import MailboxId, TenantId
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.faults.flows import flow, large_mail
from tests.faults.neighbours import ANN, BOB, Neighbours
from tests.faults.world import Waiting

# ---- where flows begin ----


def both_make_contacts(world: Neighbours) -> None:
    """Two mailboxes that make contacts, and one person known to the CRM."""
    world.clock.advance(minutes=30)
    world.connect_each(create_contacts=True)
    known = {"name": "Cleo", "addresses": ["cleo@client.example"]}
    assert world.ask("PUT", "/v1/contacts/crm-1", body=known).status == 200


def one_was_made(world: Neighbours) -> None:
    """As before, and a contact was made of somebody."""
    both_make_contacts(world)
    world.deliver(1, From="Dan <dan@client.example>")
    _sync_both(world)
    world.drain()


# ---- stories ----


@flow(both_make_contacts, kinds=(Neighbours,))
def strangers_write_to_both(world: Neighbours) -> None:
    world.deliver(1, From="Dan <dan@client.example>")
    world.deliver(2, From="News <news@client.example>", **{"List-Id": "<news.client.example>"})
    for server in (world.server, world.other):
        server.deliver("INBOX", large_mail(3).replace(b"cleo@", b"eve@"), world.clock.at)
        server.deliver("INBOX", large_mail(4), world.clock.at)
    _sync_both(world)


@flow(one_was_made, kinds=(Neighbours,))
def one_is_deleted_and_writes_again(world: Neighbours) -> None:
    # Dated before: how long a person asks in vain is another in each life.
    world.deliver(5, From="Dan <dan@client.example>")
    (made,) = [one for one in _contacts(world) if one["made_from_mail"]]
    answer = world.insist("DELETE", f"/v1/contacts/{made['id']}")
    # Who died after all was done learns that it is gone.
    assert answer.status in ({204, 404} if world.interrupter.fired else {204})
    _sync_both(world)


def _contacts(world: Neighbours) -> list[dict[str, object]]:
    found: list[dict[str, object]] = world.insist("GET", "/v1/contacts").json["items"]
    return found


def _sync_both(world: Neighbours) -> None:
    for user in (ANN, BOB):
        request = SyncRequest(TenantId("acme"), MailboxId(world.facts[user]), RunReason.SCHEDULE)
        world.waiting.append(Waiting("sync", encode_sync(request), world.clock.at))
