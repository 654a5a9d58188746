"""What a Gmail cursor holds, through its stored form and whatever else may stand there."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError
from shared.providers.gmail import position
from shared.providers.gmail.position import Position, Walk

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "at",
    [
        Position(1, 2),
        Position(2**64 - 1, 1_795_262_400),
        Position(7, 8, entries=3),
        Position(7, 8, walk=Walk()),
        Position(7, 8, walk=Walk(1_735_689_600, 1_736_000_000, 2**63 + 5, 2**63 + 1)),
    ],
)
def test_a_position_comes_back_as_it_was(at):
    assert position.read(Cursor.decode(at.cursor().encode())) == at


@pytest.mark.parametrize(
    "cursor",
    [
        Cursor("imap", 1, '{"history_id":1,"taken_at":2}'),
        Cursor("gmail", 2, '{"history_id":1,"taken_at":2}'),
        *(
            Cursor("gmail", 1, text)
            for text in (
                "",
                "7",
                "null",
                "[]",
                "{}",
                "{",
                '{"history_id":"1","taken_at":2}',
                '{"history_id":1}',
                '{"history_id":1,"taken_at":2,"more":3}',
                '{"history_id":1,"taken_at":2,"walk":7}',
                '{"history_id":1,"taken_at":2,"walk":{"begin":"x"}}',
                '{"history_id":1,"taken_at":2,"walk":{"window":7}}',
            )
        ),
    ],
)
def test_anything_else_is_an_expired_cursor(cursor):
    with pytest.raises(CursorExpiredError):
        position.read(cursor)


def test_a_position_is_old_after_a_day():
    at = Position.at(7, NOW)
    assert not at.is_old(NOW + timedelta(hours=23))
    assert at.is_old(NOW + timedelta(days=1))
