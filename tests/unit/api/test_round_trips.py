"""Asking for a test message, and how far it came: who may, once, from which address."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default

import pytest

from shared.domain.folders import FolderRole
from shared.domain.ids import SendId
from shared.domain.mailbox import Alias, MailboxKind, MailboxStatus, Readers
from shared.domain.sending import Arrival
from shared.ports.sending import SendRef
from tests.fakes.mail import add_mailbox

ADMIN = {"user": "root", "roles": "admin"}


@pytest.fixture
def box(app):
    box = add_mailbox(app.world, "ANN", address="ann@ours.example")
    aliases = (Alias("sales@ours.example", "Sales", app.clock.now()), Alias("ceo@ours.example"))
    return changed(app, replace(box, aliases=aliases))


def changed(app, box):
    app.world.mailboxes[box.tenant_id, box.id] = box
    return box


def ask(app, box, body=None, *, key="k", user="ann", **who):
    target = f"/v1/mailboxes/{box.id}/test-messages"
    headers = {"idempotency-key": key} if key else {}
    return app.ask("POST", target, body=body or {}, headers=headers, user=user, **who)


def read(app, box, name, user="ann", **who):
    return app.ask("GET", f"/v1/mailboxes/{box.id}/test-messages/{name}", user=user, **who)


def test_it_goes_from_the_mailbox_to_itself_and_names_itself(app, box):
    answer = ask(app, box)
    assert answer.status == 202
    shown = answer.json
    assert (shown["state"], shown["stands_at"], shown["cause"]) == ("waiting", "taken", None)
    assert [one["step"] for one in shown["steps"]] == [
        "queued", "taken", "accepted", "filed", "came_back",
    ]  # fmt: skip
    ((ref, content),) = app.world.outgoing.items()
    mail = message_from_bytes(content, policy=default)
    assert (mail["From"], mail["To"]) == (box.address, box.address)
    assert mail["X-Mailroom-Test"] == shown["id"] == ref.send_id
    assert mail["Auto-Submitted"] == "auto-generated"
    ((request, delay),) = app.queues.sends
    assert (request.send_id, delay) == (shown["id"], 0)
    (send,) = app.ask("GET", f"/v1/mailboxes/{box.id}/sends").json["items"]
    assert (send["id"], send["kind"]) == (shown["id"], "test")


def test_repeated_with_its_key_it_is_the_same_and_says_how_far_it_came(app, box):
    first = ask(app, box).json
    app.clock.advance(seconds=30)
    name = SendRef(box.tenant_id, box.id, SendId(first["id"]))
    app.sends.note_arrival(name, Arrival(app.clock.now(), FolderRole.SPAM))
    again = ask(app, box).json
    assert again["id"] == first["id"]
    assert again["state"] == "succeeded"
    assert again["came_back_to"] == "spam"
    assert again == read(app, box, first["id"]).json
    assert len(app.queues.sends) == 1
    assert ask(app, box, {"from": "sales@ours.example"}).json["code"] == "key_reused"
    assert ask(app, box, key="").status == 400


def test_what_does_not_come_back_says_so_in_words(app, box):
    name = SendId(ask(app, box).json["id"])
    sends = app.world.sends[box.tenant_id, box.id]
    sends[name] = replace(sends[name], accepted_at=app.clock.now())
    app.clock.advance(minutes=11)
    shown = read(app, box, name).json
    assert (shown["state"], shown["stands_at"]) == ("stopped", "came_back")
    assert shown["cause"]["code"] == "test_not_back"
    assert "spam" in shown["cause"]["fix"]


def test_it_goes_from_a_verified_alias_to_that(app, box):
    shown = ask(app, box, {"from": "Sales@ours.example"}).json
    assert shown["from"] == "sales@ours.example"
    (content,) = app.world.outgoing.values()
    mail = message_from_bytes(content, policy=default)
    assert mail["To"] == mail["From"] == "Sales <sales@ours.example>"
    assert ask(app, box, {"from": "eve@elsewhere.example"}, key="2").json["code"] == (
        "sender_not_verified"
    )


def test_only_who_may_send_from_it_may_ask_and_who_sees_the_send_may_read(app, box):
    assert ask(app, box, user="bob").status == 404
    assert ask(app, box, **ADMIN).json["code"] == "owner_required"
    assert app.world.outgoing == {}
    name = ask(app, box).json["id"]
    assert read(app, box, name, user="bob").status == 404
    assert read(app, box, name, **ADMIN).status == 404
    assert read(app, box, name, tenant="other").status == 404
    assert read(app, box, "01ARZ3NDEKTSV4RRFFQ69G5FB9").json["code"] == "send_not_found"
    changed(app, replace(box, kind=MailboxKind.SHARED, granted_to=Readers(("bob",))))
    assert ask(app, box, key="2", user="bob").status == 202
    assert read(app, box, name, user="bob").status == 200


def test_a_mailbox_that_cannot_send_now_says_so(app, box):
    changed(app, replace(box, status=MailboxStatus.RECONNECT_REQUIRED))
    assert ask(app, box).json["code"] == "wrong_state"
    assert app.world.outgoing == {}


def test_a_mail_that_is_no_test_is_not_shown_as_one(app, box):
    mail = {"to": [{"address": "cleo@client.example"}], "text": "Hello", "mailbox_id": box.id}
    headers = {"idempotency-key": "m"}
    name = app.ask("POST", "/v1/sends", body=mail, user="ann", headers=headers).json["id"]
    assert read(app, box, name).json["code"] == "send_not_found"
