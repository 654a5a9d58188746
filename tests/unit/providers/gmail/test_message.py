"""How a message is read out of Gmail's JSON: whole, exact, and nothing taken for one that is none."""

import base64
import json
import random
from datetime import UTC, datetime

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.gmail import message

FIELDS = {
    "id": "1a",
    "threadId": "2b",
    "labelIds": ["INBOX", "UNREAD", "CATEGORY_UPDATES"],
    "historyId": str(2**64 - 1),
    "internalDate": "1795262400123",
}


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


@pytest.mark.parametrize("write", [json.dumps, lambda one: json.dumps(one, indent=2)])
@pytest.mark.parametrize("first", [True, False])
def test_every_field_is_read(write, first):
    raw = {"raw": encoded(b"From: a\r\n\r\nhi")}
    found = message.read(write({**raw, **FIELDS} if first else {**FIELDS, **raw}).encode())
    assert (found.provider_message_id, found.provider_thread_id) == ("1a", "2b")
    assert (found.raw, found.size) == (b"From: a\r\n\r\nhi", 13)
    assert found.received_at == datetime(2026, 11, 21, 12, 0, 0, 123_000, UTC)
    assert found.folder_ids == {"INBOX", "CATEGORY_UPDATES"}
    assert (found.flags.seen, found.flags.version) == (False, 2**64 - 1)


@pytest.mark.parametrize("size", [*range(8), 49_151, 49_152, 49_153, 98_304, 250_001])
@pytest.mark.parametrize("padding", ["=", "", "\\u003d"])
def test_any_bytes_of_any_length_come_back(size, padding):
    seed = 11
    print("seed", seed)
    raw = random.Random(seed).randbytes(size)
    text = encoded(raw).rstrip("=")
    count = -len(text) % 4
    body = json.dumps({**FIELDS, "raw": "@"}).replace("@", text + padding * count)
    assert message.read(body.encode()).raw == raw
    assert message.read(memoryview(body.encode())).raw == raw


@pytest.mark.parametrize(
    ("fields", "year"),
    [
        ({"internalDate": "-5"}, 1970),
        ({"internalDate": "9" * 18}, 9999),
        ({"internalDate": 0}, 1970),
    ],
)
def test_an_impossible_date_is_the_nearest_possible_one(fields, year):
    body = json.dumps({**FIELDS, "raw": "", **fields}).encode()
    assert message.read(body).received_at.year == year


def test_a_text_that_looks_like_the_field_is_not_taken_for_it():
    body = json.dumps({"snippet": '"raw": "AAAA"', **FIELDS, "raw": encoded(b"true")}).encode()
    assert message.read(body).raw == b"true"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<html>",
        b'{"id": "1", "raw": "AAAA',
        b'{"id": "1", "raw": "AAAA"',
        b'{"raw": "AAAA"}',
        b'{"id": "", "raw": "AAAA"}',
        b'{"id": 7, "raw": "AAAA"}',
        b'{"id": "1", "raw": "A"}',
        b'{"id": "1", "raw": "AA AA"}',
        b'{"id": "1", "raw": "A\\u0041AA"}',
        b'{"id": "1", "raw": "AAAA=AAA"}',
        b'{"id": "1", "historyId": "x", "raw": "AAAA"}',
        b'{"id": "1", "labelIds": "INBOX", "raw": "AAAA"}',
        b'{"id": "1", "labelIds": [7], "raw": "AAAA"}',
        b'{"id": "1", "internalDate": {}, "raw": "AAAA"}',
    ],
)
def test_what_is_no_message_is_not_understood(body):
    with pytest.raises(RetryLaterError) as caught:
        message.read(body)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
