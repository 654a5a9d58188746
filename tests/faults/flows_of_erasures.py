"""The stories of erasing: what was planted is found nowhere in the end, and others' mail is whole."""

from typing import Any

from tests.faults.flows import ask_for_mail, flow, large_mail
from tests.faults.neighbours import ANN, BOB, Neighbours
from tests.functions.everything import places_of

ZEBRA = "zebra@client.example"
PERSON, MAILBOX = ("zebra",), ("only-ann", f"secret-of-{ANN}")
"""Words that a person's mail has wherever it is, and those that Ann's mailbox alone has."""


# ---- where flows begin ----


def both_connected(world: Neighbours) -> None:
    """Mail of one person in two mailboxes, some of it in both, beside other mail; all imported."""
    zebra = {"From": f"Zebra <{ZEBRA}>"}
    world.deliver(1, **zebra, Subject="Only-Ann")
    world.deliver(2, **zebra, Subject="Only-Ann", **{"X-Torn": "yes"})
    world.deliver(3)
    shared = large_mail(4).replace(b"cleo@", b"zebra@").replace(b"file", b"zebra file")
    for server in (world.server, world.other):
        server.deliver("INBOX", shared, world.clock.at)
    world.other.deliver("INBOX", large_mail(5), world.clock.at)
    world.clock.advance(minutes=30)
    world.connect_each()
    for name in (ANN, BOB):
        ask_for_mail(world, world.facts[name], ZEBRA, f"secret-of-{name}@client.example")
    ask_for_mail(world, world.facts[BOB], "cleo@client.example")
    for name, addresses in (("Zebra", [ZEBRA]), ("Both", [ZEBRA, "cleo@client.example"])):
        put = {"name": name, "addresses": addresses}
        assert world.ask("PUT", f"/v1/contacts/{name.lower()}", body=put).status == 200
    assert all(places_of(*PERSON, *MAILBOX).values()), "each is found before"


# ---- stories ----


@flow(both_connected, kinds=(Neighbours,))
def erase_a_mailbox(world: Neighbours) -> None:
    world.facts["words"] = MAILBOX
    _erase(world, mailbox_id=world.facts[ANN], confirm=[f"{ANN}@ours.example"])


@flow(both_connected, kinds=(Neighbours,))
def erase_a_person(world: Neighbours) -> None:
    world.facts["words"] = PERSON
    _erase(world, addresses=[ZEBRA], confirm=[ZEBRA], keeps_out="stored_mail")


def _erase(world: Neighbours, **body: Any) -> None:
    assert world.insist("POST", "/v1/erasures", body=body, roles="[admin]").status == 202
