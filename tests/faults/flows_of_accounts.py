"""The stories of accounts at Google and Microsoft: what differs from a mailbox with a password."""

from tests.faults.accounts import AN_ACCESS_TOKEN_LASTS, AtGoogle, AtMicrosoft, AtProvider
from tests.faults.flows import box, flow, sync
from tests.faults.world import World

BOTH = (AtGoogle, AtMicrosoft)


# ---- where flows begin ----


def one_message(world: AtProvider) -> None:
    """As little mail in the account as there can be an import of."""
    world.deliver(1)
    world.clock.advance(minutes=5)


def connected(world: AtProvider) -> None:
    """An imported mailbox, in sync."""
    for number in (1, 2, 3):
        world.deliver(number)
    world.deliver(4, folder="Sent", From="ann@ours.example", To="cleo@client.example")
    world.clock.advance(minutes=5)
    world.facts["box"] = world.sign_in(backfill_days=7)
    world.drain()
    world.poll()


# ---- stories ----


@flow(one_message, kinds=BOTH)
def sign_in(world: AtProvider) -> None:
    world.sign_in(backfill_days=7)


@flow(connected, kinds=BOTH)
def sync_of_an_account(world: AtProvider) -> None:
    """Mail comes, is read, moves and goes; and the access token is over by then."""
    world.clock.advance(AN_ACCESS_TOKEN_LASTS.total_seconds())
    ids = {one.internet_message_id.strip("<>"): one.id for one in world.mailbox.messages()}
    world.deliver(5)
    world.mailbox.set_flags(ids["1@client.example"], seen=True, flagged=True)
    world.mailbox.move(ids["2@client.example"], world.folder_named("Sent"))
    world.mailbox.delete(ids["3@client.example"])
    sync(world)


@flow(connected, kinds=BOTH)
def sign_in_again(world: AtProvider) -> None:
    """The grant was withdrawn; the mailbox waits for its owner, who signs in again."""
    world.place.simulator.revoke_grants("ann@ours.example")
    world.clock.advance(AN_ACCESS_TOKEN_LASTS.total_seconds())
    world.sign_in(mailbox_id=box(world))


@flow(connected, kinds=BOTH)
def disconnect_an_account(world: World) -> None:
    assert world.insist("DELETE", f"/v1/mailboxes/{box(world)}").status == 204
