"""What providers, and whoever plays one, are answered."""

import base64
from urllib.parse import quote

import pytest

from shared.api.push_routes import LONGEST_TOKEN, MOST_BYTES, answer_push
from shared.domain.errors import ErrorCode, RequestError, RetryLaterError
from shared.domain.mailbox import Provider


def event(provider="outlook", body="{}", query="", **given):
    return {
        "version": "2.0",
        "routeKey": f"POST /v1/push/{provider}",
        "rawQueryString": query,
        "headers": {"Authorization": "Bearer x"},
        "body": body,
        "isBase64Encoded": False,
    } | given


class Heard:
    def __init__(self, error=None):
        self.words, self.error = [], error

    def __call__(self, provider, headers, body):
        self.words.append((provider, headers, body))
        if self.error is not None:
            raise self.error


@pytest.fixture
def heard():
    return Heard()


@pytest.mark.parametrize(("provider", "status"), [("gmail", 204), ("outlook", 202)])
def test_a_word_is_handed_on_and_answered_as_its_provider_wants(heard, provider, status):
    answer = answer_push(event(provider, body="a word"), heard)
    assert (answer["statusCode"], answer["body"]) == (status, "")
    assert heard.words == [(Provider(provider), {"authorization": "Bearer x"}, b"a word")]
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"


def test_a_word_in_base64_is_read(heard):
    body = base64.b64encode(b'{"a":1}').decode()
    assert answer_push(event(body=body, isBase64Encoded=True), heard)["statusCode"] == 202
    answer_push(event(body="not base64!", isBase64Encoded=True), heard)
    assert [body for _, _, body in heard.words] == [b'{"a":1}', b""]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RequestError(ErrorCode.UNAUTHENTICATED), 401),
        (RequestError(ErrorCode.INVALID_REQUEST), 400),
        (RetryLaterError(ErrorCode.STORE_THROTTLED), 503),
    ],
)
def test_what_is_refused_says_nothing_but_so(error, status):
    answer = answer_push(event(), Heard(error))
    assert (answer["statusCode"], answer["body"]) == (status, "")


def test_a_bug_is_no_answer():
    with pytest.raises(ZeroDivisionError):
        answer_push(event(), Heard(ZeroDivisionError()))


def test_a_body_too_large_is_read_by_nobody(heard):
    assert answer_push(event(body="x" * (MOST_BYTES + 1)), heard)["statusCode"] == 413
    assert answer_push(event(body="x" * MOST_BYTES), heard)["statusCode"] == 202
    assert len(heard.words) == 1


def test_another_route_is_nobodys(heard):
    assert answer_push(event("imap"), heard)["statusCode"] == 404
    assert answer_push({}, heard)["statusCode"] == 404
    assert heard.words == []


WELCOME = "Validation: Testing client application reachability for subscription Request-Id: 1"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("validationToken=a-token", "a-token"),
        (f"validationToken={WELCOME.replace(' ', '%20').replace(':', '%3A')}", WELCOME),
        (f"validationToken={WELCOME.replace(' ', '+')}", WELCOME),
        ("validationToken=%C3%A9", "é"),
    ],
)
def test_graph_is_told_that_it_is_welcome(heard, query, said):
    answer = answer_push(event(query=query, body=""), heard)
    assert (answer["statusCode"], answer["body"]) == (200, said)
    assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
    assert heard.words == []


@pytest.mark.parametrize(
    "query",
    [
        "validationToken=a&validationToken=b",
        "validationToken=a&more=b",
        "more=b&validationToken=a",
        "validationToken=",
        f"validationToken={'x' * (LONGEST_TOKEN + 1)}",
        f"validationToken={'x' * 1_000_000}",
        "ValidationToken=a",
        "more=b",
        "&".join(f"a{number}=b" for number in range(100)),
    ],
)
def test_nothing_else_is_said_back(heard, query):
    answer = answer_push(event(query=query), heard)
    assert (answer["statusCode"], answer["body"]) == (400, "")
    assert heard.words == []


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a\r\nSet-Cookie: b=c"])
def test_what_is_said_back_is_text_and_in_no_header(heard, text):

    answer = answer_push(event(query=f"validationToken={quote(text)}"), heard)
    assert answer["body"] == text
    assert answer["headers"]["Content-Type"].startswith("text/plain")
    assert not any("\r" in value or "\n" in value for value in answer["headers"].values())


def test_gmail_asks_for_no_welcome(heard):
    assert answer_push(event("gmail", query="validationToken=a"), heard)["statusCode"] == 400
