"""What every provider must do of what people do with their mail here.

The truth is read back as a run reads it, through a listing of each folder.
"""

import pytest

from shared.domain.change import Change, ChangeFate, Wanted
from shared.domain.errors import ErrorCode, ReconnectRequiredError
from shared.domain.ids import FolderId, ProviderMessageId


class Here:
    """What is done here with the mail of a world."""

    def __init__(self, world) -> None:
        self.world = world

    def look(self, *folders: str) -> None:
        """Take in how the folders stand by now."""
        for name in folders or ("INBOX",):
            self.world.follow(None, name)

    def name(self, number: int) -> ProviderMessageId:
        return next(one for one, (known, _) in self.world.copies.items() if known == number)

    def flags(self, number: int):
        return self.world.copies[self.name(number)][1]

    def change(self, number: int, **wanted) -> Change:
        return self.of_id(self.name(number), **wanted)

    def of_id(self, name: ProviderMessageId, *, folder="INBOX", **wanted) -> Change:
        return Change(name, frozenset({self.world.folder(folder).id}), Wanted(**wanted))

    def apply(self, *changes: Change):
        with self.world.session() as session:
            told = list(session.apply(changes))
        assert sorted(name for name, _ in told) == sorted(
            one.provider_message_id for one in changes
        )
        return dict(told)

    def fates(self, *changes: Change):
        return [self.apply(*changes)[one.provider_message_id].fate for one in changes]


@pytest.fixture
def here(changing_world):
    return Here(changing_world)


def test_marks_are_set_and_taken_away_and_no_other_is_touched(here):
    here.world.theirs.deliver(1, 2, 3)
    here.world.theirs.flag(2)
    here.look()
    asked = [here.change(1, seen=True), here.change(2, seen=False), here.change(3, flagged=True)]
    outcomes = here.apply(*asked)
    assert {one.fate for one in outcomes.values()} == {ChangeFate.DONE}
    assert all(one.provider_message_id == name for name, one in outcomes.items())
    here.look()
    assert [(here.flags(n).seen, here.flags(n).flagged) for n in (1, 2, 3)] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    assert here.flags(2).answered == here.world.theirs.marks_answered
    # Again: it is so already.
    assert here.fates(*asked) == [ChangeFate.DONE] * 3


def test_a_moved_message_is_in_its_new_folder_alone_under_the_id_that_is_told(here):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, 2)
    here.look()
    deals = here.world.folder("Deals").id
    outcome = here.apply(here.change(1, move_to=deals, seen=True, flagged=True))[here.name(1)]
    assert outcome.fate is ChangeFate.DONE
    assert outcome.folder_ids == {deals}
    here.look("INBOX", "Deals")
    assert (here.world.numbers(), here.world.numbers("Deals")) == ({2}, {1})
    assert (here.flags(1).seen, here.flags(1).flagged) == (True, True)
    assert here.name(1) == outcome.provider_message_id


def test_moving_again_leaves_one_message_there(here):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1)
    here.look()
    asked = here.change(1, move_to=here.world.folder("Deals").id)
    here.apply(asked)
    # Whoever died before they noted the new id asks once more.
    assert here.fates(asked) in ([ChangeFate.DONE], [ChangeFate.GONE])
    here.look("INBOX", "Deals")
    assert (here.world.numbers(), here.world.numbers("Deals")) == (set(), {1})


def test_moving_to_where_it_is_does_nothing(here):
    here.world.theirs.deliver(1)
    here.look()
    inbox, name = here.world.folder().id, here.name(1)
    outcome = here.apply(here.change(1, move_to=inbox))[name]
    assert (outcome.fate, outcome.folder_ids) == (ChangeFate.DONE, {inbox})
    here.look()
    assert here.name(1) == name


def test_what_was_deleted_there_is_gone_and_holds_up_no_other(here):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(1, 2)
    here.look()
    deals = here.world.folder("Deals").id
    asked = [here.change(1, seen=True, move_to=deals), here.change(2, seen=True)]
    here.world.theirs.delete(1)
    assert here.fates(*asked) == [ChangeFate.GONE, ChangeFate.DONE]
    here.look()
    assert here.flags(2).seen


def test_a_folder_that_is_not_there_is_refused_for_that_message_alone(here):
    here.world.theirs.create_folder("Deals")
    deals = here.world.folder("Deals").id
    here.world.theirs.deliver(1, 2)
    here.look()
    here.world.theirs.delete_folder("Deals")
    outcomes = here.apply(here.change(1, move_to=deals), here.change(2, seen=True))
    refused = outcomes[here.name(1)]
    assert (refused.fate, refused.code) == (ChangeFate.REFUSED, ErrorCode.FOLDER_NOT_FOUND)
    assert outcomes[here.name(2)].fate is ChangeFate.DONE
    here.look()
    assert here.world.numbers() == {1, 2}


def test_many_are_changed_at_once(here):
    here.world.theirs.create_folder("Deals")
    here.world.theirs.deliver(*range(60))
    here.look()
    deals = here.world.folder("Deals").id
    moved = set(range(0, 60, 3))
    asked = [here.change(n, seen=True, move_to=deals if n in moved else None) for n in range(60)]
    outcomes = here.apply(*asked)
    assert {one.fate for one in outcomes.values()} == {ChangeFate.DONE}
    here.look("INBOX", "Deals")
    assert here.world.numbers("Deals") == moved
    assert all(here.flags(n).seen for n in range(60))


def test_a_dead_grant_is_raised_and_not_an_outcome(changing_world):
    world = changing_world
    asked = Change(ProviderMessageId("f.1.1"), frozenset({FolderId("f")}), Wanted(seen=True))
    with (
        pytest.raises(ReconnectRequiredError) as caught,
        world.session(world.wrong_grant) as session,
    ):
        list(session.apply([asked]))
    assert caught.value.code is world.wrong_code
