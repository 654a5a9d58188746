"""The search for canaries finds what leaked, however it was written down, and nothing that did not."""

import base64
import email.policy
import gzip
import json
from email.header import Header
from email.message import EmailMessage
from urllib.parse import urlencode

import pytest

from tests.e2e.canaries import search

CANARY = "cnry pä55/word+\"of=Ada's?"


def as_mail(value):
    message = EmailMessage(policy=email.policy.SMTP)
    message.set_content(f"before {value} after\n" * 3, cte="quoted-printable")
    return message.as_string()


def wrapped(value):
    return base64.encodebytes(b"x" * 40 + value.encode() + b"y" * 40).decode()


LEAKS = {
    "as it is": f"error: cannot log in with {CANARY}!",
    "in a line of JSON": json.dumps({"cause": CANARY}),
    "in JSON within JSON": json.dumps({"body": json.dumps({"cause": CANARY})}),
    "in JSON of bytes": json.dumps({"cause": str(CANARY.encode())}),
    "in JSON that keeps letters": json.dumps({"cause": CANARY}, ensure_ascii=False),
    "in a repr": repr({"password": CANARY}),
    "in a form": urlencode({"grant_type": "refresh_token", "value": CANARY}),
    "in a mail": as_mail(CANARY),
    "in base64": json.dumps({"raw": base64.b64encode(f"a{CANARY}b".encode()).decode()}),
    "in base64, elsewhere": base64.urlsafe_b64encode(f"ab{CANARY}".encode()).decode(),
    "in base64 with line breaks": wrapped(CANARY),
    "in base64 with escaped line breaks": json.dumps({"raw": wrapped(CANARY)}),
    "in hex": CANARY.encode().hex(),
    "in a header": Header(CANARY, "utf-8").encode(),
    "cut short": f"the server said: {CANARY[:14]}...",
}


@pytest.mark.parametrize("how", LEAKS)
def test_a_leak_is_found(how):
    places = {"a log": f"line\n{LEAKS[how]}\nline\n", "another": "nothing"}
    assert {(leak.canary, leak.place) for leak in search({"password": CANARY}, places)} == {
        ("password", "a log")
    }


def test_what_did_not_leak_is_not_found():
    places = {
        "a log": json.dumps({"code": "login_rejected", "password": "**********"}) * 100,
        "a hash": gzip.compress(CANARY.encode()).hex(),
        "another": "cnry cnry Ada's",
    }
    assert search({"password": CANARY}, places) == []
