"""What is read of Graph's notifications, and that nothing is believed before it is compared."""

import json

import pytest

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.secret import Secret
from shared.ports.push import Notice
from shared.providers.outlook.push import MOST_NOTICES, OutlookPush

ID = "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"


def entry(**changes):
    right = {
        "subscriptionId": ID,
        "subscriptionExpirationDateTime": "2026-11-28T10:00:00.0000000Z",
        "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
        "clientState": "ours.s3cret",
        "changeType": "created",
        "resource": "Users/x/Messages/y",
        "resourceData": {"id": "y"},
    }
    return {name: value for name, value in (right | changes).items() if value is not ...}


def read(*entries):
    return OutlookPush().read({}, json.dumps({"value": entries}).encode())


def test_each_entry_of_a_request_is_a_notice_with_its_proof():
    found = read(entry(), entry(clientState="another.one.with.dots", subscriptionId="b"))
    assert found == (
        Notice("ours", Secret("s3cret"), ID),
        Notice("another", Secret("one.with.dots"), "b"),
    )
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize(
    ("event", "ends"),
    [
        ("reauthorizationRequired", True),
        ("subscriptionRemoved", True),
        ("SubscriptionRemoved", True),
        ("missed", True),
        ("something new", False),
        (7, False),
    ],
)
def test_what_becomes_of_a_subscription_is_told_apart(event, ends):
    (notice,) = read(entry(lifecycleEvent=event, changeType=..., resource=..., resourceData=...))
    assert notice == Notice("ours", Secret("s3cret"), ID, ends)


@pytest.mark.parametrize(
    "odd",
    [
        {"clientState": ...},
        {"clientState": None},
        {"clientState": "no dot"},
        {"clientState": ".s3cret"},
        {"clientState": "ours."},
        {"clientState": "ours." + "x" * 124},
        {"clientState": ["ours.s3cret"]},
        {"subscriptionId": ...},
        {"subscriptionId": ""},
        {"subscriptionId": 7},
        {"subscriptionId": "x" * 101},
    ],
)
def test_an_entry_that_cannot_be_ours_is_left_out_and_the_others_count(odd):
    assert len(read(entry(**odd), entry(), 7, None, [])) == 1


def test_of_one_request_so_many_are_read_and_no_more():
    assert len(read(*[entry()] * (MOST_NOTICES + 5))) == MOST_NOTICES


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"value": {}}', b'{"value": "x"}', b"\xff", b"[" * 9000]
)
def test_what_graph_did_not_write_is_refused(body):
    with pytest.raises(RequestError) as refusal:
        OutlookPush().read({}, body)
    assert refusal.value.code is ErrorCode.INVALID_REQUEST
