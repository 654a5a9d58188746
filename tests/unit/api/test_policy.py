"""The tenant's policy through the handlers, on in-memory stores."""

from dataclasses import replace

import pytest

from shared.domain.message import StoredAttachment
from tests.fakes.mail import add_contact, add_mailbox, message_of, store

POLICY = {
    "own_domains": ["Ours.example"],
    "blocklist": ["*@Spam.example", "news-*@shop.example"],
    "automated": "skip",
    "plus_tags": "fold",
    "dots": "keep",
}
SHOWN = {
    **POLICY,
    "own_domains": ["ours.example"],
    "blocklist": ["spam.example", "news-*@shop.example"],
    "version": 1,
}


def put(app, body=POLICY, *, if_match=None, **who):
    headers = {"if-match": if_match} if if_match else {}
    return app.ask("PUT", "/v1/policy", body=body, headers=headers, **{"roles": "admin", **who})


def test_before_it_is_chosen_nothing_is_kept_out(app):
    assert app.ask("GET", "/v1/policy").json == {
        "own_domains": [], "blocklist": [], "automated": "store", "plus_tags": "keep",
        "dots": "keep", "version": 0,
    }  # fmt: skip


def test_an_administrator_changes_it_and_every_user_of_the_tenant_alone_reads_it(app):
    assert put(app).json == SHOWN
    assert app.ask("GET", "/v1/policy").json == SHOWN
    assert app.ask("GET", "/v1/policy", tenant="other").json["version"] == 0
    assert put(app, {}).json["blocklist"] == [], "what is left out is as before the first"


def test_nobody_else_changes_it(app):
    answer = put(app, roles="")
    assert (answer.status, answer.json["code"]) == (403, "admin_required")
    assert app.ask("GET", "/v1/policy").json["version"] == 0


def test_two_who_change_it_at_once_do_not_undo_each_other(app):
    assert put(app, if_match='"0"').status == 200
    answer = put(app, {}, if_match='"0"')
    assert (answer.status, answer.json["code"]) == (409, "version_conflict")
    assert put(app, {}, if_match='"1"').json["version"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"own_domains": ["gmail.com"]}, "own_domains.0"),
        ({"own_domains": ["x.example"] * 201}, "own_domains"),
        ({"blocklist": ["ok.example", "*"]}, "blocklist.1"),
        ({"blocklist": "ads.example"}, "blocklist"),
        ({"automated": "drop"}, "automated"),
        ({"plus_tags": True}, "plus_tags"),
        ({"own_domain": []}, "own_domain"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(app, body, field):
    answer = put(app, body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [one["field"] for one in answer.json["errors"]] == [field]


# ---- stored mail ----

BOB, CLEO, EVE = "bob@ours.example", "cleo@client.example", "eve@spam.example"
PART = StoredAttachment("a.pdf", "application/pdf", 3, digest="d")


def stored(app, key, **said):
    box = app.mailboxes.get("acme", "MB1").mailbox
    message = message_of(key, attachments=(PART,), thread=key, **said)
    return store(app.world, box, replace(message, headers={})).id


def routes_of(app, message_id):
    """Each way of reading a message, and whether it is shown that way."""
    thread = app.world.messages["acme", message_id].thread_id
    lists = {
        "timeline": app.ask("GET", "/v1/contacts/all/messages"),
        "search": app.ask("GET", "/v1/messages"),
        "search by mailbox": app.ask("GET", "/v1/messages?mailbox_id=MB1"),
        "search by sender": app.ask("GET", f"/v1/messages?from={EVE}"),
        "thread": app.ask("GET", f"/v1/threads/{thread}"),
    }
    shown = {
        name: any(one["id"] == message_id for one in answer.json.get("items", ()))
        for name, answer in lists.items()
    }
    for name, path in (("message", ""), ("attachment", "/attachments/0")):
        answer = app.ask("GET", f"/v1/messages/{message_id}{path}")
        assert answer.status in {200, 404}
        shown[name] = answer.status == 200
    return shown


@pytest.fixture
def reading(app):
    add_mailbox(app.world, "MB1", address="ann@ours.example")
    add_contact(app.world, "all", BOB, CLEO, EVE)
    return app


@pytest.mark.parametrize(
    ("said", "headers", "policy"),
    [
        ({"sender": BOB}, {}, {"own_domains": ["ours.example"]}),
        ({"sender": EVE}, {}, {"blocklist": ["spam.example"]}),
        ({"sender": CLEO}, {"precedence": "bulk"}, {"automated": "skip"}),
    ],
)
def test_stored_mail_that_the_policy_keeps_out_is_nowhere_until_it_changes_back(
    reading, said, headers, policy
):
    box = reading.mailboxes.get("acme", "MB1").mailbox
    message = replace(message_of("out", attachments=(PART,), thread="one", **said), headers=headers)
    out = store(reading.world, box, message).id
    kept = stored(reading, "kept")
    before, other = routes_of(reading, out), routes_of(reading, kept)
    assert {name for name, is_shown in before.items() if not is_shown} <= {"search by sender"}
    assert put(reading, policy).status == 200
    assert not any(routes_of(reading, out).values())
    assert routes_of(reading, kept) == other
    unknown = message.id[:-1] + ("a" if message.id[-1] != "a" else "b")
    for path in ("", "/attachments/0"):
        answers = [reading.ask("GET", f"/v1/messages/{one}{path}") for one in (out, unknown)]
        same, theirs = ({**one.json, "request_id": ""} for one in answers)
        assert same == theirs
    assert put(reading, {}).status == 200
    assert routes_of(reading, out) == before


def test_a_thread_of_which_all_is_kept_out_is_unknown(reading):
    out = stored(reading, "out", sender=EVE)
    thread = reading.world.messages["acme", out].thread_id
    put(reading, {"blocklist": [EVE]})
    assert reading.ask("GET", f"/v1/threads/{thread}").json["code"] == "thread_not_found"


def test_whom_a_hidden_blind_copy_went_to_does_not_show_in_that_the_message_is_there(reading):
    theirs = add_mailbox(reading.world, "MB2", owner="bob", address=BOB)
    put(reading, {"own_domains": ["ours.example"]})
    ann = reading.mailboxes.get("acme", "MB1").mailbox
    sent = message_of("sent", sender="ann@ours.example", to=(BOB,), bcc=(CLEO,))
    received = replace(sent, participants=sent.participants[:-1])
    store(reading.world, theirs, received)
    store(reading.world, ann, sent)
    path = f"/v1/messages/{sent.id}"
    assert reading.ask("GET", path, user="ann").status == 200
    assert reading.ask("GET", path, user="bob").status == 404


def test_another_tenants_policy_hides_nothing(reading):
    out = stored(reading, "out", sender=EVE)
    put(reading, {"blocklist": [EVE]}, tenant="other")
    assert routes_of(reading, out)["message"]


# ---- which addresses are one ----


def seen_by(app, contact="kim"):
    """Whose mail is on a contact's timeline, whom each message is said to be with, and search."""
    items = app.ask("GET", f"/v1/contacts/{contact}/messages").json["items"]
    searched = app.ask("GET", "/v1/messages?from=kim@client.example").json["items"]
    return {
        "senders": {one["from"][0]["address"] for one in items},
        "contacts": {contact for one in items for contact in one["contacts"]},
        "ambiguous": {one["address"] for item in items for one in item["ambiguous"]},
        "search": {one["from"][0]["address"] for one in searched},
    }


KIM, NEWS, DOTTED = "kim@client.example", "kim+news@client.example", "k.im@gmail.com"


def test_a_choice_of_which_addresses_are_one_holds_at_once_in_both_directions(reading):
    for key, sender in (("a", KIM), ("b", NEWS), ("c", DOTTED)):
        stored(reading, key, sender=sender)
    add_contact(reading.world, "kim", KIM, "kim@gmail.com")
    add_contact(reading.world, "list", NEWS)
    kept = seen_by(reading)
    assert kept == {
        "senders": {KIM}, "contacts": {"kim"}, "ambiguous": set(), "search": {KIM}
    }  # fmt: skip
    put(reading, {"plus_tags": "fold"})
    assert seen_by(reading) == {
        "senders": {KIM, NEWS},
        "contacts": {"kim", "list"},
        "ambiguous": {KIM, NEWS},
        "search": {KIM, NEWS},
    }
    assert seen_by(reading, "list")["senders"] == {KIM, NEWS}
    put(reading, {"dots": "fold"})
    assert seen_by(reading)["senders"] == {KIM, DOTTED}
    put(reading, {})
    assert seen_by(reading) == kept


def test_names_are_shown_as_they_were_written(reading):
    put(reading, {"plus_tags": "fold", "dots": "fold"})
    out = stored(reading, "a", sender=NEWS)
    sender = reading.ask("GET", f"/v1/messages/{out}").json["from"][0]
    assert (sender["address"], sender["name"]) == (NEWS, "Cleo")
