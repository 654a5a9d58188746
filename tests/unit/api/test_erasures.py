"""Who may have whose mail erased, what is in place when the answer says so, and what the receipt says."""

import pytest

from functions.erase_mail.handler import lambda_handler as erase_mail
from shared import wiring
from shared.aws.queues import encode_erasure
from shared.domain.erasure import SETTLE_SECONDS, ErasureState
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import MailboxKind
from shared.domain.secret import Secret
from tests.fakes.deployment import context
from tests.fakes.erasures import InMemoryMailEraser
from tests.fakes.mail import add_contact, add_mailbox, message_of, store
from tests.functions.moto_stack import sqs_event

ACME = TenantId("acme")
CLEO, BOB = "cleo@client.example", "bob@client.example"


@pytest.fixture
def ann(app, monkeypatch):
    """Ann's mailbox, with mail of two people."""
    eraser = InMemoryMailEraser(app.world)
    monkeypatch.setattr(wiring, "mail_eraser", lambda: eraser)
    box = add_mailbox(app.world, "ANN")
    for number in range(4):
        store(app.world, box, message_of(f"{number}", minutes=number))
    store(app.world, box, message_of("of bob", sender=BOB))
    app.secrets.put(ACME, box.id, Secret("not-a-real-one"))
    return box


def ask(app, *, confirm, mailbox_id=None, addresses=None, keeps_out=None, **who):
    body = {
        "mailbox_id": mailbox_id, "addresses": addresses, "keeps_out": keeps_out, "confirm": confirm,
    }  # fmt: skip
    body = {name: value for name, value in body.items() if value is not None}
    return app.ask("POST", "/v1/erasures", body=body, **who)


def of_ann(app, confirm="ann@ours.example", **who):
    return ask(app, mailbox_id="ANN", confirm=[confirm], **who)


def of_cleo(app, *, keeps_out="stored_mail", **who):
    who = {"roles": "[admin]"} | who
    return ask(app, addresses=[CLEO], keeps_out=keeps_out, confirm=[CLEO], **who)


def work(app):
    """Let what is queued come due and be carried out."""
    app.clock.advance(SETTLE_SECONDS)
    bodies = [encode_erasure(request) for request, _ in app.queues.take_erasures()]
    assert erase_mail(sqs_event(*bodies), context()) == {"batchItemFailures": []}


def code(answer):
    return answer.status, answer.json["code"]


# ---- a mailbox ----


def test_a_mailbox_is_closed_gone_and_then_erased(app, ann):
    answer = of_ann(app)
    assert answer.status == 202, answer.text
    shown = answer.json
    assert (shown["kind"], shown["state"], shown["mailbox_id"]) == ("mailbox", "running", "ANN")
    assert shown["done_at"] is shown["backups_until"] is shown["keeps_out"] is None
    assert app.secrets.secrets == {}
    assert app.ask("GET", "/v1/mailboxes/ANN").status == 404
    assert app.ask("GET", "/v1/mailboxes").json["items"] == []
    ((_, delay),) = app.queues.erasures
    assert delay == SETTLE_SECONDS
    assert len(app.world.messages) == 5, "whoever may still write has not ended"
    work(app)
    assert app.world.messages == {}
    receipt = app.ask("GET", f"/v1/erasures/{shown['id']}").json
    assert (receipt["state"], receipt["done_at"]) == ("done", "2026-03-01T12:06:00Z")
    assert receipt["backups_until"] == "2026-04-05T12:06:00Z"
    assert (receipt["erased"]["messages"], receipt["erased"]["copies"]) == (5, 5)


@pytest.mark.parametrize("confirm", ["", "bob@ours.example", "ANN", "yes"])
def test_a_mailbox_is_erased_only_by_its_name_typed_again(app, ann, confirm):
    answer = of_ann(app, confirm)
    assert answer.status == 400, answer.text
    assert "confirm" in answer.text
    assert app.ask("GET", "/v1/mailboxes/ANN").status == 200
    assert len(app.secrets.secrets) == 1
    assert app.queues.erasures == []


def test_a_name_typed_again_may_be_written_otherwise(app, ann):
    assert of_ann(app, "Ann@Ours.Example").status == 202


def test_a_personal_mailbox_is_its_owners_and_administrators_to_erase(app, ann):
    assert code(of_ann(app, user="bob")) == (404, "mailbox_not_found")
    assert of_ann(app, user="bob", roles="[admin]").status == 202


def test_a_shared_mailbox_is_administrators_to_erase(app, ann):
    add_mailbox(app.world, "SALES", kind=MailboxKind.SHARED)
    asked = {"mailbox_id": "SALES", "confirm": ["sales@ours.example"]}
    assert code(ask(app, **asked)) == (403, "admin_required")
    assert ask(app, **asked, roles="[admin]").status == 202


def test_another_tenants_mailbox_is_not_found(app, ann):
    assert code(of_ann(app, tenant="other", roles="[admin]")) == (404, "mailbox_not_found")
    assert app.queues.erasures == []


def test_asking_again_answers_with_the_same_and_queues_what_may_be_lost(app, ann):
    first = of_ann(app).json
    app.queues.take_erasures()
    app.clock.advance(60)
    assert of_ann(app).json == first
    assert [delay for _, delay in app.queues.erasures] == [SETTLE_SECONDS - 60]
    work(app)
    assert of_ann(app).json["state"] == "done"
    assert app.queues.erasures == []


def test_asking_again_needs_the_same_right_and_the_same_name(app, ann):
    of_ann(app)
    app.queues.take_erasures()
    assert code(of_ann(app, user="bob")) == (404, "mailbox_not_found")
    assert of_ann(app, "else@ours.example").status == 400
    assert app.queues.erasures == []


def test_nothing_is_begun_that_nobody_would_carry_out(app, ann):
    app.queues.failure = RuntimeError("no queue")
    assert of_ann(app).status == 500
    assert of_cleo(app).status == 500
    assert app.world.erasures == {}
    assert app.ask("GET", "/v1/mailboxes/ANN").json["status"] == "disconnected"
    assert not wiring.messages().kept_out(ACME).covers([CLEO], app.clock.now())
    app.queues.failure = None
    assert of_ann(app).status == 202
    work(app)
    assert app.world.messages == {}


def test_who_was_reconnected_meanwhile_is_told_so_and_keeps_all(app, ann, monkeypatch):
    real = app.mailboxes.disconnect

    def reconnected(tenant_id, mailbox_id, identity):
        real(tenant_id, mailbox_id, identity)
        add_mailbox(app.world, "ANN")

    monkeypatch.setattr(app.mailboxes, "disconnect", reconnected)
    assert code(of_ann(app)) == (409, "stale_write")
    assert app.ask("GET", "/v1/mailboxes/ANN").status == 200
    assert app.ask("GET", "/v1/erasures", roles="[admin]").json["items"] == []


def test_what_comes_late_for_an_erased_mailbox_is_dropped(app, ann):
    late = [
        ("POST", "/v1/mailboxes/ANN/sync"),
        ("POST", "/v1/mailboxes/ANN/backfills"),
        ("DELETE", "/v1/mailboxes/ANN"),
        ("PUT", "/v1/mailboxes/ANN/primary"),
    ]
    of_ann(app)
    for method, target in late:
        body = {"days": 7} if target.endswith("backfills") else None
        assert app.ask(method, target, body=body).status == 404, target


# ---- a person ----


def test_a_person_is_kept_out_at_once_and_then_erased(app, ann):
    add_contact(app.world, "c1", CLEO)
    shown = of_cleo(app).json
    assert (shown["kind"], shown["mailbox_id"], shown["keeps_out"]) == (
        "person", None, "stored_mail",
    )  # fmt: skip
    assert wiring.messages().kept_out(ACME).covers([CLEO], app.clock.now())
    work(app)
    assert [one.internet_message_id for one in app.world.messages.values()] == [
        "<of bob@client.example>"
    ]
    receipt = app.ask("GET", f"/v1/erasures/{shown['id']}", roles="[admin]").json
    assert receipt["state"] == "done"
    assert (receipt["erased"]["messages"], receipt["erased"]["contacts"]) == (4, 1)
    assert app.ask("GET", "/v1/mailboxes/ANN").status == 200


def test_only_an_administrator_has_a_person_erased(app, ann):
    assert code(of_cleo(app, roles=None)) == (403, "admin_required")
    assert not wiring.messages().kept_out(ACME).covers([CLEO], app.clock.now())


def test_an_address_that_is_connected_here_is_a_mailbox_to_erase(app, ann):
    own = "Ann@ours.example"
    answer = ask(
        app, addresses=[CLEO, own], keeps_out="all_mail", confirm=[CLEO, own], roles="[admin]"
    )
    assert answer.status == 400
    assert [one["field"] for one in answer.json["errors"]] == ["addresses.1"]


@pytest.mark.parametrize("confirm", [[BOB], [CLEO, BOB], ["yes"]])
def test_a_person_is_erased_only_by_their_addresses_typed_again(app, ann, confirm):
    answer = ask(app, addresses=[CLEO], keeps_out="stored_mail", confirm=confirm, roles="[admin]")
    assert answer.status == 400
    assert app.queues.erasures == []


@pytest.mark.parametrize(
    "body",
    [
        {"confirm": ["x"]},
        {"addresses": [CLEO], "confirm": [CLEO]},
        {"keeps_out": "all_mail", "confirm": [CLEO]},
        {"mailbox_id": "ANN", "keeps_out": "all_mail", "confirm": ["ann@ours.example"]},
        {"mailbox_id": "ANN", "addresses": [CLEO], "keeps_out": "all_mail", "confirm": [CLEO]},
        {"mailbox_id": "ANN"},
        {"addresses": [], "keeps_out": "all_mail", "confirm": []},
        {"addresses": [CLEO] * 21, "keeps_out": "all_mail", "confirm": [CLEO]},
        {"addresses": ["no address"], "keeps_out": "all_mail", "confirm": ["no address"]},
    ],
)
def test_a_request_names_a_mailbox_or_a_person(app, ann, body):
    answer = app.ask("POST", "/v1/erasures", body=body, roles="[admin]")
    assert code(answer) == (400, "invalid_request"), answer.text
    assert app.queues.erasures == []


# ---- receipts ----


def test_a_receipt_says_nothing_of_anybody(app, ann):
    ids = [of_cleo(app).json["id"], of_ann(app).json["id"]]
    work(app)
    for one in ids:
        text = app.ask("GET", f"/v1/erasures/{one}", roles="[admin]").text
        assert not {word for word in ("cleo", "client", "ann@", "ours.example") if word in text}
        assert len(app.world.erasures[ACME, one].address_hashes) == 1


def test_a_receipt_is_for_who_asked_and_administrators(app, ann):
    target = f"/v1/erasures/{of_ann(app).json['id']}"
    assert app.ask("GET", target).status == 200
    assert app.ask("GET", target, user="bob", roles="[admin]").status == 200
    assert code(app.ask("GET", target, user="bob")) == (404, "erasure_not_found")
    assert code(app.ask("GET", target, tenant="other", roles="[admin]"))[0] == 404


def test_erasures_are_listed_for_administrators_in_pages(app, ann):
    ids = []
    for _ in range(5):
        ids.append(of_cleo(app).json["id"])
        app.clock.advance(1)
    assert code(app.ask("GET", "/v1/erasures")) == (403, "admin_required")
    found, token = [], None
    while True:
        query = {"limit": 2} | ({"next": token} if token else {})
        page = app.ask("GET", "/v1/erasures", query=query, roles="[admin]").json
        found += [one["id"] for one in page["items"]]
        token = page["next"]
        if token is None:
            break
    assert found == ids[::-1]
    assert app.ask("GET", "/v1/erasures", tenant="other", roles="[admin]").json["items"] == []


def test_a_person_is_let_in_again_when_the_erasure_is_done(app, ann):
    target = f"/v1/erasures/{of_cleo(app, keeps_out='all_mail').json['id']}"
    let_in = f"{target}/keeps_out"
    assert code(app.ask("DELETE", let_in, roles="[admin]")) == (409, "wrong_state")
    assert wiring.messages().kept_out(ACME).covers([CLEO], app.clock.now())
    work(app)
    assert code(app.ask("DELETE", let_in)) == (403, "admin_required")
    for _ in range(2):
        answer = app.ask("DELETE", let_in, roles="[admin]")
        assert (answer.status, answer.json["keeps_out"]) == (200, None)
    assert not wiring.messages().kept_out(ACME).covers([CLEO], app.clock.now())


def test_what_raises_is_delivered_again(app, ann, monkeypatch):
    of_cleo(app)
    app.clock.advance(SETTLE_SECONDS)
    ((request, _),) = app.queues.take_erasures()

    def broken(*_):
        raise RuntimeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(InMemoryMailEraser, "next_page", broken)
        answer = erase_mail(sqs_event(encode_erasure(request)), context())
        assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert erase_mail(sqs_event("{}"), context())["batchItemFailures"]
    app.clock.advance(minutes=30)
    assert erase_mail(sqs_event(encode_erasure(request)), context()) == {"batchItemFailures": []}
    assert {one.state for one in app.world.erasures.values()} == {ErasureState.DONE}


def test_erasing_a_mailbox_does_not_touch_anothers(app, ann):
    other = add_mailbox(app.world, "BOB", owner="bob")
    store(app.world, other, message_of("1", minutes=1))
    of_ann(app)
    work(app)
    assert list(app.world.messages)
    assert app.mailboxes.get(ACME, MailboxId("BOB")) is not None
