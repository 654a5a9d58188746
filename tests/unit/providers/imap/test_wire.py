import io

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.imap.wire import LARGEST_LITERAL, Wire


class Scripted:
    """A connection whose other side has said everything already."""

    def __init__(self, said: bytes) -> None:
        self._said = io.BytesIO(said)
        self.readline, self.read = self._said.readline, self._said.read
        self.sent = b""

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def begin_exchange(self, seconds: float) -> None:
        """Time does not matter here."""


def test_a_response_reaches_whoever_waits_for_it_with_whatever_it_comes():
    said = b"* 2 FETCH (UID 2)\r\n* 1 FETCH (UID 1)\r\nM1 OK\r\n* 3 FETCH (UID 3)\r\nM2 OK\r\n"
    wire = Wire(Scripted(said))
    first, second = [], []
    pending = wire.send([b"UID FETCH 1 (UID)"], on_untagged=first.append)
    later = wire.send([b"UID FETCH 2:3 (UID)"], on_untagged=second.append)
    wire.collect(pending)
    assert [b"* 2 FETCH (UID 2)"] in second
    wire.collect(later)
    assert second == [[b"* 2 FETCH (UID 2)"], [b"* 1 FETCH (UID 1)"], [b"* 3 FETCH (UID 3)"]]
    assert first == second[:2]


def test_batches_of_one_reader_give_it_a_response_once():
    wire = Wire(Scripted(b"* 2 FETCH (UID 2)\r\nM1 OK\r\nM2 OK\r\n"))
    got = []
    pending = [wire.send([b"NOOP"], on_untagged=got.append) for _ in range(2)]
    for one in pending:
        wire.collect(one)
    assert got == [[b"* 2 FETCH (UID 2)"]]


def test_what_is_under_way_is_read_before_the_next_exchange():
    wire = Wire(Scripted(b"* A\r\nM1 OK\r\n* B\r\nM2 NO [X] why\r\n"))
    got = []
    wire.send([b"NOOP"], on_untagged=got.append)
    (answer,) = wire.exchange([b"NOOP"])
    assert got == [[b"* A"]]
    assert answer.untagged == [[b"* B"]]
    assert (answer.ok, answer.refusal.code) == (False, "X")


@pytest.mark.parametrize(
    "said",
    [
        b"M1 MAYBE\r\n",
        b"M1 \r\n",
        b"M9 OK\r\n",
        b"+ go on\r\n",
        b"\r\n",
        b"*\r\n",
        b"* X {%d}\r\n" % (LARGEST_LITERAL + 1),
        b"* X {99999999999}\r\n",
    ],
)
def test_what_no_server_may_say_is_a_violation(said):
    with pytest.raises(RetryLaterError) as caught:
        Wire(Scripted(said)).exchange([b"NOOP"])
    assert caught.value.code is ErrorCode.PROTOCOL_VIOLATION


def test_a_literal_is_read_whole_whatever_is_in_it():
    wire = Wire(Scripted(b"* X {12}\r\nM1 OK\r\n* BYE {0}\r\n (y)\r\nM1 OK\r\n"))
    (answer,) = wire.exchange([b"NOOP"])
    assert answer.untagged == [[b"* X {12}", b"M1 OK\r\n* BYE", b" {0}", b"", b" (y)"]]
