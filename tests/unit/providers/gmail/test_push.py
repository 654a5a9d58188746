"""Which pushes of Pub/Sub are believed (threat T17), and what is read of one that is."""

import base64
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from infra.simulators.google.signing import Signer
from infra.simulators.google.world import World
from infra.simulators.kit.clock import Clock
from infra.simulators.kit.store import Store
from shared.domain.errors import ErrorCode, RequestError, RetryLaterError
from shared.ports.push import Notice
from shared.providers.gmail.certificates import ASKED_AGAIN_SECONDS, KEPT_SECONDS, Certificates
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.push import GmailPush
from shared.providers.http import Answer

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
AUDIENCE, SENDER = "https://api.example.org/v1/push/gmail", "push@ours.iam.gserviceaccount.com"
ADDRESS = "Ada@gmail.example"


class Keys:
    """Google's certificates, over what stands for HTTPS; counts who asks."""

    def __init__(self):
        self._store = Store("")
        self.signer = Signer(World(self._store, Clock(self._store)))
        self.key = self.signer._key
        self.asked = 0
        self.answer = Answer(200, {}, json.dumps(self.signer.certificates()).encode())

    def until(self, seconds):
        assert seconds <= 5
        return SimpleNamespace(send=self._send)

    def _send(self, method, url, **_):
        assert (method, url) == ("GET", GoogleEndpoints().certificates)
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture(scope="module")
def reader(keys):
    return GmailPush(keys, audience=AUDIENCE, senders=[SENDER], now=lambda: NOW)


def claims(**changes):
    at = int(NOW.timestamp())
    right = {
        "aud": AUDIENCE,
        "azp": "1",
        "email": SENDER,
        "email_verified": True,
        "exp": at + 3600,
        "iat": at,
        "iss": "https://accounts.google.com",
        "sub": "1",
    }
    return {name: value for name, value in (right | changes).items() if value is not ...}


def signed(keys, body=None, *, key=None, algorithm="RS256", kid=None):
    key = key or keys.key
    header = {"alg": algorithm, "kid": kid or keys.key.kid}
    return jwt.encode(header, body or claims(), key, algorithms=[algorithm])


def pushed(said=None, **message):
    data = {"emailAddress": ADDRESS, "historyId": 7} if said is None else said
    text = base64.b64encode(json.dumps(data).encode()).decode()
    return json.dumps({"message": {"data": text, "messageId": "1", **message}}).encode()


def read(reader, token, body=None):
    return reader.read({"authorization": f"Bearer {token}"}, pushed() if body is None else body)


def refused(reader, headers, body=None):
    with pytest.raises(RequestError) as refusal:
        reader.read(headers, pushed() if body is None else body)
    assert ADDRESS not in str(refusal.value)
    return refusal.value.code


def test_a_push_in_a_known_name_for_us_names_whose_mailbox_changed(reader, keys):
    assert read(reader, signed(keys)) == (Notice(ADDRESS),)
    assert read(reader, signed(keys, claims(iss="accounts.google.com"))) == (Notice(ADDRESS),)


WRONG = {
    "another audience": {"aud": "https://elsewhere.example"},
    "no audience": {"aud": ...},
    "several audiences": {"aud": [AUDIENCE, "https://elsewhere.example"]},
    "another sender": {"email": "push@theirs.iam.gserviceaccount.com"},
    "no sender": {"email": ...},
    "not verified": {"email_verified": False},
    "verified in words": {"email_verified": "true"},
    "nothing of verified": {"email_verified": ...},
    "another issuer": {"iss": "https://accounts.google.com.elsewhere.example"},
    "no issuer": {"iss": ...},
    "over": {"iat": NOW.timestamp() - 7200, "exp": NOW.timestamp() - 3600},
    "never over": {"exp": ...},
    "not yet": {"iat": NOW.timestamp() + 3600, "exp": NOW.timestamp() + 7200},
    "since ever": {"iat": ...},
    "an end in words": {"exp": "tomorrow"},
    "an end that is none": {"exp": None},
    "an end that is a list": {"exp": [1]},
    "an endless end": {"exp": float("inf"), "iat": float("nan")},
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_token_of_google_s_that_says_something_else_proves_nothing(reader, keys, wrong):
    token = signed(keys, claims(**WRONG[wrong]))
    code = refused(reader, {"authorization": f"Bearer {token}"})
    assert code is ErrorCode.UNAUTHENTICATED


def forged(keys):
    other = RSAKey.generate_key(2048)
    certificate = next(iter(keys.signer.certificates().values()))
    whole = signed(keys)
    head, body, signature = whole.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    deep = base64.urlsafe_b64encode(b'{"kid":' + b"[" * 4000).decode().rstrip("=")
    with_secret = jwt.encode(
        {"alg": "HS256", "kid": keys.key.kid},
        claims(),
        # The public key as a shared secret: the classic confusion.
        OctKey.import_key(certificate.replace("-", "_")),
        algorithms=["HS256"],
    )
    return {
        "another key by the same name": signed(keys, key=other),
        "another key": signed(keys, key=other, kid="theirs"),
        "a shared secret": with_secret,
        "unsigned": f"{unsigned}.{body}.",
        "without its signature": f"{head}.{body}.",
        "another's body": f"{head}.{signed(keys, claims(aud='x')).split('.')[1]}.{signature}",
        "cut": whole[:-5],
        "two parts": f"{head}.{body}",
        "too deep": f"{deep}.{body}.{signature}",
        "nonsense": "a.b.c",
        "not ASCII": "\u00e9.\u00e9.\u00e9",
        "huge": "a" * 9000,
        "empty": "",
    }


def test_a_token_that_google_did_not_sign_proves_nothing(reader, keys):
    for what, token in forged(keys).items():
        code = refused(reader, {"authorization": f"Bearer {token}"})
        assert code is ErrorCode.UNAUTHENTICATED, what


def test_without_a_token_nothing_is_believed(reader, keys):
    for headers in ({}, {"authorization": ""}, {"authorization": f"Basic {signed(keys)}"}):
        assert refused(reader, headers) is ErrorCode.UNAUTHENTICATED


def test_where_no_audience_or_sender_is_set_nobody_is_believed(keys):
    for given in ({"audience": "", "senders": [SENDER]}, {"audience": AUDIENCE, "senders": []}):
        token = signed(keys, claims(aud=given["audience"], email=SENDER))
        nobody = GmailPush(keys, now=lambda: NOW, **given)
        assert refused(nobody, {"authorization": f"Bearer {token}"}) is ErrorCode.UNAUTHENTICATED


def test_a_minute_between_two_clocks_is_no_forgery(keys):
    for ahead in (timedelta(minutes=-4), timedelta(minutes=64)):
        there = GmailPush(keys, audience=AUDIENCE, senders=[SENDER], now=lambda at=NOW + ahead: at)
        assert read(there, signed(keys)) == (Notice(ADDRESS),)


def test_either_alphabet_of_base64_is_read_and_padding_is_not_missed(reader, keys):
    said = json.dumps({"emailAddress": ADDRESS, "historyId": "7", "x": "\u00ff\u00fe>>???"})
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for text in (encode(said.encode()).decode(), encode(said.encode()).decode().rstrip("=")):
            assert read(reader, signed(keys), pushed(data=text)) == (Notice(ADDRESS),)


@pytest.mark.parametrize(
    "body",
    [
        pushed({}),
        pushed({"emailAddress": 1}),
        pushed({"emailAddress": ""}),
        pushed({"emailAddress": "a" * 400}),
        pushed([]),
        pushed(data="{"),
        pushed(data="a"),
        pushed(data=None),
        pushed(data={}),
    ],
)
def test_what_gmail_did_not_publish_is_taken_and_says_nothing(reader, keys, body):
    assert read(reader, signed(keys), body) == ()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"message": 1}', b"\xff", b"[" * 9000])
def test_what_pub_sub_did_not_write_is_refused(reader, keys, body):
    headers = {"authorization": f"Bearer {signed(keys)}"}
    assert refused(reader, headers, body) is ErrorCode.INVALID_REQUEST


# ---- Google's keys ----


class Watch:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def asked_of():
    keys, watch = Keys(), Watch()
    return keys, watch, Certificates(keys, GoogleEndpoints(), monotonic=watch)


def test_keys_are_asked_for_once_an_hour(asked_of):
    keys, watch, certificates = asked_of
    for at in (0, 10, KEPT_SECONDS - 1, KEPT_SECONDS, KEPT_SECONDS + 10):
        watch.now = at
        assert keys.key.kid in certificates.holding(keys.key.kid)
    assert keys.asked == 2


def test_a_flood_of_unknown_keys_asks_google_once_a_minute(asked_of):
    keys, watch, certificates = asked_of
    for second in range(int(ASKED_AGAIN_SECONDS) * 2):
        watch.now = float(second)
        certificates.holding(f"made up {second}")
        certificates.holding(["no", "text"])
    assert keys.asked == 2


def test_an_outage_of_google_s_costs_nothing_while_a_key_is_held(asked_of):
    keys, watch, certificates = asked_of
    certificates.holding(keys.key.kid)
    watch.now = KEPT_SECONDS * 3
    for answer in (
        RetryLaterError(ErrorCode.CONNECTION_FAILED),
        Answer(503, {}, b""),
        Answer(200, {}, b"<html>"),
        Answer(200, {}, b"{}"),
    ):
        keys.answer = answer
        watch.now += KEPT_SECONDS
        assert keys.key.kid in certificates.holding(keys.key.kid)


def test_without_any_key_the_push_is_to_come_again(asked_of):
    keys, _, certificates = asked_of
    keys.answer = Answer(503, {}, b"")
    for _ in range(2):
        with pytest.raises(RetryLaterError):
            certificates.holding(keys.key.kid)
    reader = GmailPush(keys, audience=AUDIENCE, senders=[SENDER], now=lambda: NOW)
    with pytest.raises(RetryLaterError):
        read(reader, signed(keys))
