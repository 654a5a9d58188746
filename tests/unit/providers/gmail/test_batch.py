"""How an HTTP batch is written, and how its answer is read whatever it looks like."""

import email
from email.policy import HTTP

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.gmail import batch
from shared.providers.http import Streamed
from shared.providers.room import Room

TYPE = {"content-type": "multipart/mixed; boundary=edge", "date": "Sat, 21 Nov 2026 12:00:00 GMT"}
IDS = ["a", "b", "c"]


def part(number, body=b"{}", status=200, end=b"\r\n", name="response-part-{}"):
    return end.join(
        [
            b"--edge",
            b"Content-Type: application/http",
            f"Content-ID: <{name.format(number)}>".encode(),
            b"",
            f"HTTP/1.1 {status} Said".encode(),
            b"Content-Type: application/json",
            b"",
            body,
            b"",
        ]
    )


def read(*pieces, headers=TYPE, asked=IDS, limit=1_000_000):
    streamed = Streamed(200, headers, iter(pieces))
    return [
        (one.asked, one.status, bytes(one.body).strip())
        for one in batch.parts(
            streamed, asked, limit=limit, room=Room(lambda: 1.0, large_bytes=1_000_000)
        )
    ]


def test_a_batch_is_a_multipart_of_requests():
    calls = [
        batch.Call("GET", "/gmail/v1/users/me/messages/1?format=raw"),
        batch.Call("POST", "/x", '{"a": 1}'),
    ]
    content_type, body = batch.request(calls)
    message = email.message_from_bytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=HTTP
    )
    one, other = message.iter_parts()
    assert one.get_content_type() == "application/http"
    assert one["content-id"] == "<part-0>"
    assert one.get_payload().startswith("GET /gmail/v1/users/me/messages/1?format=raw HTTP/1.1")
    assert other["content-id"] == "<part-1>"
    head, _, brought = other.get_payload().partition("\r\n\r\n")
    assert head.splitlines() == ["POST /x HTTP/1.1", "Content-Type: application/json"]
    assert brought.strip() == '{"a": 1}'


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_parts_come_in_their_own_order_however_the_answer_is_sliced(size, end):
    whole = part(2, b'{"2": "--edg"}', end=end) + part(0, b'{"0": 1}', 404, end=end)
    whole += b"--edge--" + end
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    assert read(*pieces) == [("c", 200, b'{"2": "--edg"}'), ("a", 404, b'{"0": 1}')]


def test_a_quoted_boundary_and_a_preamble_are_understood():
    headers = {"content-type": 'Multipart/Mixed; BOUNDARY="edge"; charset=x'}
    assert read(b"a preamble\r\n", part(1), b"--edge--", headers=headers) == [("b", 200, b"{}")]


def test_a_part_that_is_no_answer_is_passed_over_and_one_without_a_name_has_none():
    whole = b"--edge\r\n\r\nnonsense\r\n" + part(9) + part(0, name="other-{}") + part(1)
    assert read(whole + b"--edge--") == [
        ("", 200, b"{}"),
        ("", 200, b"{}"),
        ("b", 200, b"{}"),
    ]


def test_what_ends_early_has_only_its_whole_parts():
    assert read(part(0) + part(1)[:-10]) == [("a", 200, b"{}")]
    assert read(b"") == read(b"--edge--\r\n") == []


def test_parts_know_when_the_whole_was_written():
    streamed = Streamed(200, TYPE, iter([part(0) + b"--edge--\r\n"]))
    (one,) = batch.parts(streamed, IDS, limit=1_000, room=Room(lambda: 1.0, large_bytes=1_000_000))
    assert one.headers["date"] == TYPE["date"]
    assert one.headers["content-type"] == "application/json"


@pytest.mark.parametrize("content_type", ["application/json", "multipart/mixed", ""])
def test_what_is_no_batch_is_not_understood(content_type):
    with pytest.raises(RetryLaterError) as caught:
        read(b"<html>", headers={"content-type": content_type})
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD


def test_a_part_without_end_is_cut_off_and_many_long_ones_are_not():
    with pytest.raises(RetryLaterError) as caught:
        read(part(0)[:-2], *[b"x" * 1_000] * 20, limit=10_000)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
    long = [part(number, b"x" * 9_000) for number in range(3)]
    assert len(read(*long, b"--edge--", limit=10_000)) == 3
