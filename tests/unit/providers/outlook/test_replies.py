"""How one reply is read, whichever way it came."""

import base64

import pytest

from shared.domain.errors import ErrorCode, ReconnectRequiredError, RetryLaterError
from shared.domain.message import Flags
from shared.mime.parse import MimeParser
from shared.providers.outlook import apart
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.entries import read_entry
from shared.providers.outlook.graph import Graph, Reply

MIME = b"Subject: caf\xc3\xa9 \xff\xfe\r\n\r\n" + bytes(range(256))


@pytest.mark.parametrize(
    "body",
    [
        base64.b64encode(MIME).decode(),
        base64.urlsafe_b64encode(MIME).decode(),
        base64.urlsafe_b64encode(MIME).decode().rstrip("="),
        base64.b64encode(MIME).decode() + "\r\n",
    ],
)
def test_content_in_a_batch_is_base64_of_either_alphabet(body):
    assert Reply(200, body).content() == MIME


def test_content_that_stands_there_as_text_is_taken_as_it_is():
    assert Reply(200, "Subject: é\r\n\r\nhello").content() == "Subject: é\r\n\r\nhello".encode()


@pytest.mark.parametrize("body", [None, {}, [], "no content at all", "a*b", 7])
def test_content_that_is_neither_passes_by_itself(body):
    with pytest.raises(RetryLaterError) as caught:
        Reply(200, body).content()
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE


def test_a_reply_that_is_an_error_is_raised_as_one():
    for read in (Reply(401).content, Reply(401).object):
        with pytest.raises(ReconnectRequiredError):
            read()
    with pytest.raises(RetryLaterError):
        Reply(0).object()


@pytest.mark.parametrize(
    "link",
    [
        None,
        7,
        "",
        "https://graph.microsoft.com.evil.example/v1.0/me",
        "https://graph.microsoft.com@evil.example/v1.0/me",
        "https://graph.microsoft.com/beta/me",
        "https://graph.microsoft.com/v1.0",
        "https://graph.microsoft.com/v1.00/me",
        "http://graph.microsoft.com/v1.0/me",
        "//graph.microsoft.com/v1.0/me",
        "/v1.0/me",
    ],
)
def test_a_link_to_elsewhere_is_refused(link):
    graph = _graph()
    with pytest.raises(RetryLaterError) as caught:
        graph.relative(link)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
    assert "evil" not in str(caught.value)


def test_a_link_of_graphs_is_taken_as_a_batch_wants_it():
    link = "https://graph.microsoft.com/v1.0/me/mailFolders('x')/messages/delta?$deltatoken=a%2Bb"
    assert _graph().relative(link) == "/me/mailFolders('x')/messages/delta?$deltatoken=a%2Bb"


def _graph():
    return Graph(None, None, MicrosoftEndpoints())


# ---- a message in parts ----


def told(stored, attachments=()):
    return MimeParser().parse(apart.message(read_entry({"id": "a"}), stored, attachments))


def person(address, name=""):
    return {"emailAddress": {"address": address, "name": name}}


def test_a_header_is_as_it_was_sent_but_for_what_describes_another_body():
    parsed = told(
        {
            "internetMessageHeaders": [
                {"name": "From", "value": "Ann <ann@customer.example>"},
                {"name": "Subject", "value": "=?utf-8?B?Y2Fmw6k=?="},
                {"name": "Message-ID", "value": "<1@customer.example>"},
                {"name": "List-Id", "value": "<list.customer.example>"},
                {"name": "Content-Type", "value": "multipart/mixed; boundary=b"},
                {"name": "X-Bad\r\nBcc", "value": "x"},
                {"name": "X-Fold", "value": "a\r\nBcc: eve@evil.example"},
                None,
                {"name": 7, "value": 7},
            ],
            "subject": "not this one",
            "body": {"contentType": "html", "content": "<p>hé</p>"},
        }
    )
    assert parsed.subject == "café"
    assert parsed.html == "<p>hé</p>"
    assert {one.address for one in parsed.participants} == {"ann@customer.example"}
    assert parsed.headers["list-id"]


def test_a_header_that_was_never_sent_is_composed_of_what_graph_knows():
    parsed = told(
        {
            "subject": "grüße",
            "internetMessageId": "<1@customer.example>",
            "sentDateTime": "2026-11-21T10:00:00Z",
            "from": person("ann@customer.example", 'Ann "A." Smith'),
            "toRecipients": [person("bob@mail.example", "Bob, Jr"), person("carl@mail.example")],
            "ccRecipients": [person(""), None],
            "body": {"contentType": "text", "content": "hello"},
        }
    )
    assert parsed.subject == "grüße"
    assert parsed.text.strip() == "hello"
    assert parsed.sent_at is not None
    assert sorted(one.address for one in parsed.participants) == [
        "ann@customer.example",
        "bob@mail.example",
        "carl@mail.example",
    ]


def test_files_stay_there_messages_are_messages_and_links_are_left_out():
    parsed = told(
        {"subject": "s", "body": {"contentType": "text", "content": "x"}},
        [
            {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "id": "f",
                "name": "a.pdf",
                "contentType": "application/pdf",
                "size": 9,
                "isInline": False,
            },
            {"@odata.type": "#microsoft.graph.itemAttachment", "id": "i", "name": "Fwd", "size": 5},
            {"@odata.type": "#microsoft.graph.referenceAttachment", "id": "r", "name": "link"},
            {"name": "without an id"},
        ],
    )
    assert [(one.section, one.content_type) for one in parsed.attachments] == [
        ("f", "application/pdf"),
        ("i", "message/rfc822"),
    ]


@pytest.mark.parametrize("stored", [{}, {"body": None}, {"body": {"content": None}}, {"from": 7}])
def test_a_message_of_which_next_to_nothing_is_told_is_a_message(stored):
    one = apart.message(read_entry({"id": "a"}), {"subject": "s", **stored}, [])
    assert (one.flags, one.parts) == (Flags(), ())
