"""The story of an answer that shows two conversations to be one."""

from tests.faults.flows import connected, flow, sync
from tests.faults.world import World

FIRST, SECOND, THIRD = "<f@client.example>", "<s@client.example>", "<t@client.example>"


def answers_apart(world: World) -> None:
    """An answer to what has not come, and what its own answer is to."""
    connected(world)
    world.deliver(21, **{"Message-ID": FIRST})
    world.deliver(23, **{"Message-ID": THIRD, "In-Reply-To": SECOND})
    sync(world)
    world.drain()


@flow(answers_apart)
def threads_join(world: World) -> None:
    world.deliver(22, **{"Message-ID": SECOND, "In-Reply-To": FIRST, "References": FIRST})
    world.deliver(24, **{"Message-ID": "<l@client.example>", "References": f"{SECOND} {THIRD}"})
    sync(world)
