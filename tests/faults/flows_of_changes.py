"""The story of mail that is marked and thrown away here."""

from tests.faults.flows import box, connected, flow, sync
from tests.faults.world import World


def two_messages(world: World) -> None:
    """An imported mailbox, and the ids of two messages in its inbox."""
    connected(world)
    found = world.ask("GET", "/v1/messages", query={"mailbox_id": box(world)}, user="ann").json
    by_subject = {one["subject"]: one["id"] for one in found["items"]}
    world.facts["ids"] = [by_subject["Mail 1"], by_subject["Mail 2"]]


@flow(two_messages, rests=("sync",))
def mail_is_marked_and_trashed(world: World) -> None:
    first, second = world.facts["ids"]
    messages = f"/v1/mailboxes/{box(world)}/messages"
    both = {"ids": [first, second], "seen": True, "flagged": True}
    assert world.insist("PATCH", messages, body=both, user="ann").status == 202
    # Seen by nobody yet: what comes right after joins it.
    body = {"trashed": True, "flagged": False}
    assert world.insist("PATCH", f"{messages}/{second}", body=body, user="ann").status == 202
    # What is done there is told by the run that comes after it.
    world.collect()
    sync(world)
