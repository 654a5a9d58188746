"""The stories of who sees what: said by a person, whose request may die half way."""

from tests.faults.flows import box, connected, flow
from tests.faults.world import World


@flow(connected)
def let_in_and_out_again(world: World) -> None:
    """An administrator opens a mailbox, and its owner ends that."""
    openings = f"/v1/mailboxes/{box(world)}/openings"
    body = {"reason": "Ticket 4711: a lost order"}
    opened = world.insist("POST", openings, body=body, user="root", roles="[admin]")
    assert opened.status == 201, opened.text
    assert world.insist("DELETE", f"{openings}/{opened.json['id']}").status == 204


@flow(connected)
def a_thread_is_made_private(world: World) -> None:
    """And another one is, and is left to the mailbox again."""
    messages = world.insist("GET", "/v1/messages").json["items"]
    first, second = sorted({one["thread_id"] for one in messages})[:2]
    for thread_id in (first, second):
        level = f"/v1/threads/{thread_id}/visibility"
        assert world.insist("PUT", level, body={"level": "private"}).status == 200
    assert world.insist("DELETE", f"/v1/threads/{second}/visibility").status == 204
