"""A mailbox's aliases: who adds and removes them, and that nothing is sent from one that is not verified."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.operations.aliases import MOST_ALIASES, verify_alias
from tests.fakes.mail import add_mailbox

MAIL = {"to": [{"address": "cleo@client.example"}], "text": "Hello"}


@pytest.fixture
def box(app):
    return add_mailbox(app.world, "ANN", address="ann@ours.example")


def add(app, box, address="Sales@ours.example", user="ann", name="Sales", **who):
    body = {"address": address, "display_name": name}
    return app.ask("POST", f"/v1/mailboxes/{box.id}/aliases", body=body, user=user, **who)


def remove(app, box, address, user="ann", **who):
    return app.ask("DELETE", f"/v1/mailboxes/{box.id}/aliases/{address}", user=user, **who)


def shown(app, box):
    return app.ask("GET", f"/v1/mailboxes/{box.id}", user="ann").json["aliases"]


def send(app, box, key, sender="sales@ours.example"):
    body = {**MAIL, "mailbox_id": box.id, "from": {"address": sender}}
    return app.ask("POST", "/v1/sends", body=body, user="ann", headers={"idempotency-key": key})


def verify(app, box):
    verify_alias(
        box.tenant_id, box.id, "SALES@ours.example", at=app.clock.now(), mailboxes=app.mailboxes
    )


def test_nothing_but_a_test_is_sent_from_an_alias_until_it_is_verified(app, box):
    answer = add(app, box)
    assert answer.status == 201
    alias = {"address": "Sales@ours.example", "display_name": "Sales", "verified_at": None}
    assert answer.json == alias
    assert shown(app, box) == [alias]
    assert (send(app, box, "1").status, send(app, box, "1").json["code"]) == (
        403,
        "sender_not_verified",
    )
    test = app.ask(
        "POST", f"/v1/mailboxes/{box.id}/test-messages", body={"from": "sales@OURS.example"},
        user="ann", headers={"idempotency-key": "t"},
    )  # fmt: skip
    assert (test.status, test.json["from"]) == (202, "Sales@ours.example")
    verify(app, box)
    assert send(app, box, "1").status == 202
    assert shown(app, box)[0]["verified_at"]


def test_added_again_it_is_renamed_and_stays_verified(app, box):
    add(app, box)
    verify(app, box)
    assert add(app, box, "sales@OURS.example", name="Ours Sales").json["verified_at"]
    (alias,) = shown(app, box)
    assert (alias["address"], alias["display_name"]) == ("Sales@ours.example", "Ours Sales")


def test_one_that_is_removed_is_gone_and_added_again_is_not_verified(app, box):
    add(app, box)
    verify(app, box)
    assert remove(app, box, "sales%40ours.example").status == 204
    assert shown(app, box) == []
    assert remove(app, box, "sales@ours.example").json["code"] == "alias_not_found"
    verify(app, box)
    assert shown(app, box) == []
    assert add(app, box).json["verified_at"] is None


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("ANN@ours.example", "invalid_request"),
        ("no address", "invalid_request"),
        ("a@b.example\r\nBcc: eve@elsewhere.example", "invalid_request"),
        ("d\u00f6rte@ours.example", "address_not_supported"),
    ],
)
def test_what_cannot_be_one_is_refused_with_its_field(app, box, address, code):
    answer = add(app, box, address)
    assert (answer.status, answer.json["code"]) == (400, code)
    assert [one["field"] for one in answer.json["errors"]] == ["address"]
    assert shown(app, box) == []


def test_a_mailbox_has_so_many_and_no_more(app, box):
    for number in range(MOST_ALIASES):
        assert add(app, box, f"a{number}@ours.example").status == 201
    assert add(app, box).status == 400
    assert len(shown(app, box)) == MOST_ALIASES


def test_who_may_not_change_the_mailbox_may_not_change_its_aliases(app, box):
    add(app, box)
    for other in ({"user": "bob"}, {"tenant": "other"}):
        assert add(app, box, "b@ours.example", **other).status == 404
        assert remove(app, box, "sales@ours.example", **other).status == 404
    assert len(shown(app, box)) == 1


def test_who_is_overtaken_tries_again_and_loses_nothing(app, box, monkeypatch):
    save = type(app.mailboxes).save_settings
    overtaken = []

    def late(store, mailbox):
        if not overtaken:
            overtaken.append(mailbox)
            stands = app.world.mailboxes[box.tenant_id, box.id]
            save(store, replace(stands, reply_to="desk@ours.example"))
            raise ConflictError(ErrorCode.VERSION_CONFLICT)
        return save(store, mailbox)

    monkeypatch.setattr(type(app.mailboxes), "save_settings", late)
    assert add(app, box).status == 201
    stands = app.world.mailboxes[box.tenant_id, box.id]
    assert (len(stands.aliases), stands.reply_to) == (1, "desk@ours.example")
