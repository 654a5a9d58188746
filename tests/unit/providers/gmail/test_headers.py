"""What Gmail tells of a header, decoded, hides no address that the parser reads in it as it was sent."""

import json

import pytest
from hypothesis import given, settings

from infra.simulators.google.letters import decoded
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.gmail import headers
from tests.unit.providers.test_naming import LINES, PEOPLE, participants


@settings(max_examples=500, deadline=None)
@given(sender=LINES, recipients=LINES)
def test_no_name_that_was_decoded_hides_whom_the_parser_reads(sender, recipients):
    sent = f"From: {sender}\r\nTo: {recipients}\r\n".encode()
    told = headers.written([("From", decoded(sender)), ("To", decoded(recipients))])
    assert participants(told) >= participants(sent) & PEOPLE


def test_a_field_is_one_line_and_a_name_is_a_name():
    said = [
        {"name": "Subject", "value": "one\r\nBcc: two@x.example"},
        {"name": "Bad\r\nName", "value": "x"},
        {"name": "To", "value": 7},
        {"value": "x"},
    ]
    body = {"id": "1a", "sizeEstimate": 9, "payload": {"headers": said}}
    one = headers.read(json.dumps(body).encode())
    assert one.header == b"Subject: one Bcc: two@x.example\r\n"
    assert (one.size, one.raw) == (9, None)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"id": "1", "payload": []}', b'{"id": "1", "payload": {"headers": "x"}}'],
)
def test_what_is_no_message_is_not_understood(body):
    with pytest.raises(RetryLaterError) as caught:
        headers.read(body)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
