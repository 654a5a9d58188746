"""Whatever happens at Gmail, in whatever order, our copies end where the mailbox is.

A random owner changes the mailbox between random pages of random sizes, in sessions that come and
go, with an expired history now and then; the end is compared with the simulator's own store.
"""

import random

import pytest

from shared.domain.errors import CursorExpiredError
from shared.domain.folders import is_active
from shared.providers.gmail import labels
from tests.contract.provider_worlds import NOW

ROUNDS, CHANGES = 12, 8
FOLDERS = ["INBOX", "SENT", "Deals", "Deals/Won", "SPAM", "TRASH", "DRAFT", ""]


def change(world, rng, numbers):
    mail = world.theirs.mailbox
    held = [one.id for one in mail.messages()]
    if not held or rng.random() < 0.3:
        world.theirs.deliver(
            next(numbers), folder=rng.choice(FOLDERS[:-1]), seen=rng.random() < 0.5
        )
        return
    name = rng.choice(held)
    match rng.randrange(6):
        case 0:
            mail.delete(name)
        case 1:
            mail.trash(name)
        case 2:
            mail.move(name, rng.choice(FOLDERS))
        case 3:
            mail.set_flags(name, seen=rng.random() < 0.5, flagged=rng.random() < 0.5)
        case 4:
            mail.change_labels(name, add=["Deals"], remove=["INBOX", "TRASH", "SPAM"])
        case 5:
            mail.change_labels(name, add=["INBOX", "CATEGORY_SOCIAL"], remove=["TRASH", "Deals"])


def follow_by_default(world, cursor, limit, pages):
    with world.session() as session:
        look = session.look(
            {labels.ALL.id: cursor}, lambda folder: is_active(folder, None), now=NOW
        )
        if not look.changed:
            return cursor
        try:
            return world.take_in(session, labels.ALL, cursor, limit=limit, pages=pages).cursor
        except CursorExpiredError:
            return world.take_in(session, labels.ALL, None, limit=limit, pages=pages).cursor


def in_scope(folders) -> bool:
    return not folders & {"TRASH", "SPAM", "DRAFT"}


@pytest.mark.parametrize("seed", range(30))
def test_our_copies_end_where_the_mailbox_is(gmail, seed):
    print("seed", seed)
    rng = random.Random(seed)
    gmail.simulator.limits.user_units = 10**9
    numbers = iter(range(10_000))
    for name in ("Deals", "Deals/Won"):
        gmail.theirs.create_folder(name)
    cursor = None
    for _ in range(ROUNDS):
        for _ in range(rng.randrange(CHANGES)):
            change(gmail, rng, numbers)
        if rng.random() < 0.1:
            gmail.theirs.mailbox.forget_history()
        cursor = follow_by_default(gmail, cursor, rng.choice([1, 2, 5, 100]), rng.choice([1, 2, 9]))
    while True:
        before, cursor = cursor, follow_by_default(gmail, cursor, 5, 100)
        if cursor == before:
            break
    truth = {name: folders for name, folders in gmail.truth().items() if in_scope(folders)}
    assert gmail.alive() == truth
    flags = {
        one.id: ("STARRED" in one.folders, one.seen) for one in gmail.theirs.mailbox.messages()
    }
    ours = {
        name: (gmail.ours[name].copy.flags.flagged, gmail.ours[name].copy.flags.seen)
        for name in truth
    }
    assert ours == {name: flags[name] for name in truth}
