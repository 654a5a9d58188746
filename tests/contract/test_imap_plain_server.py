"""The whole way on a server that nobody made for us and that has none of the extensions: pymap."""

import pytest

from tests.contract.imap_world import World, mail


@pytest.fixture
def world(pymap_user) -> World:
    made = World(pymap_user, "plain")
    for number in range(3):
        made.stored.deliver(mail(number))
    return made


def test_mail_flags_and_deletions_follow_without_change_numbers(world):
    added, _, removed, cursor = world.sync(None)
    assert len(added) == len(world.stored.uids())
    assert removed == []
    uids = world.stored.uids()
    world.stored.set_flags([uids[0]], ["\\Seen", "\\Flagged"])
    world.stored.expunge([uids[1]])
    new = world.stored.deliver(mail("new"))
    added, flags, removed, cursor = world.sync(cursor)
    assert [int(name.rsplit(".", 1)[1]) for name in added] == [new]
    assert int(removed[0].rsplit(".", 1)[1]) == uids[1]
    assert any(one.flagged for one in flags.values())
    assert world.uids() == world.stored.uids()
    seen, round_trips = world.look({world.folder().id: cursor})
    assert seen.changed == frozenset()
    assert round_trips == 1


def test_ids_carry_the_servers_numbering(world):
    added, *_ = world.sync(None)
    assert {int(name.split(".")[1]) for name in added} == {world.stored.uid_validity()}
