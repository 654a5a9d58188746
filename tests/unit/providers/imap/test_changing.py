"""What is believed of where moved messages went."""

import pytest

from shared.providers.imap import grammar
from shared.providers.imap.changing import _places_told
from shared.providers.imap.wire import Answer


def told(*arguments: bytes, tagged: bool = False, asked=(3, 4, 9)):
    lines = [b"* OK [COPYUID %s] moved" % one for one in arguments]
    answer = Answer(b"M1", [[one] for one in lines])
    if tagged:
        answer = Answer(b"M1", [], grammar.status_text(lines[0].replace(b"*", b"M1")))
    return _places_told([answer], asked)


@pytest.mark.parametrize("tagged", [True, False])
def test_new_numbers_are_read_in_order_whichever_response_tells_them(tagged):
    assert told(b"7 3:4,9 21:23", tagged=tagged) == {3: (7, 21), 4: (7, 22), 9: (7, 23)}


def test_only_what_was_asked_for_is_believed():
    assert told(b"7 2,3 20:21") == {3: (7, 21)}


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b"7",
        b"7 3:4",
        b"7 3:4 21",
        b"0 3 21",
        b"4294967296 3 21",
        b"x 3 21",
        b"7 * 21",
        b"7 1:4294967295 1:4294967295",
    ],
)
def test_what_cannot_be_read_tells_nothing(arguments):
    assert told(arguments) == {}
