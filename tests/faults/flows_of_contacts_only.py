"""The stories of a mailbox of contacts' mail alone: what is passed by, and what comes later."""

from tests.faults.flows import flow, sync
from tests.faults.world import World

EVE = "eve@elsewhere.example"


def connected_to_contacts(world: World) -> None:
    """An imported mailbox, in sync, with mail of a contact and of somebody else."""
    put_contact(world, "crm-1", "cleo@client.example")
    world.clock.advance(minutes=10)
    world.deliver(1)
    world.deliver(2, From=EVE)
    world.deliver(3, folder="Sent", From="ann@ours.example", To=EVE)
    world.clock.advance(minutes=30)
    world.facts["box"] = world.connect(backfill_days=7, store="contacts_only")
    world.drain()
    world.poll()
    assert messages(world) == 1


@flow(connected_to_contacts)
def history_of_an_added_address(world: World) -> None:
    """The contact comes while a message of theirs does, and the search after both."""
    world.deliver(4, From=EVE)
    sync(world)
    put_contact(world, "crm-2", EVE)
    world.clock.advance(minutes=3)
    sync(world)


def put_contact(world: World, name: str, address: str) -> None:
    """Have the CRM put a contact."""
    body = {"name": "Somebody", "addresses": [address]}
    assert world.insist("PUT", f"/v1/contacts/{name}", body=body).status == 200


def messages(world: World) -> int:
    """How many are stored."""
    return sum(item["sk"]["S"].startswith("message#") for item in world.items())
