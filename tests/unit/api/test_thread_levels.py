"""How much others see of one thread: said by those whose mailbox it is, and it holds at once everywhere."""

from dataclasses import replace

import pytest

from shared.domain.ids import ThreadId
from shared.domain.mailbox import EVERYONE, MailboxKind, Visibility
from shared.domain.message import StoredAttachment
from shared.domain.threads import ThreadLevel, least_of_all
from tests.fakes.mail import add_contact, add_mailbox, message_of, store

PART = StoredAttachment("a.pdf", "application/pdf", 3, digest="d")
ADMIN = {"user": "root", "roles": "admin"}


@pytest.fixture
def mail(app):
    box = add_mailbox(app.world, "ANN", address="ann@ours.example")
    add_contact(app.world, "c1", "cleo@client.example")
    return store(app.world, box, message_of("a", subject="Secret", attachments=(PART,)))


def of(mail):
    return f"/v1/threads/{mail.thread_id}/visibility"


def say(app, mail, level, **who):
    return app.ask("PUT", of(mail), body={"level": level}, **who)


def sees(app, mail, user="bob"):
    """How much they see of it, which is the same wherever they look."""
    message = app.ask("GET", f"/v1/messages/{mail.id}", user=user)
    thread = app.ask("GET", f"/v1/threads/{mail.thread_id}", user=user)
    link = app.ask("GET", f"/v1/messages/{mail.id}/attachments/0", user=user)
    timeline = app.ask("GET", "/v1/contacts/c1/messages", user=user).json["items"]
    shown = [one for one in timeline if one["id"] == mail.id]
    if message.status == 404:
        assert (thread.status, link.status, shown) == (404, 404, [])
        return "nothing"
    in_thread = [one for one in thread.json["items"] if one["id"] == mail.id]
    (alike,) = {one["subject"] for one in (message.json, *in_thread, *shown)}
    assert (link.status == 200) == (message.json["text"] is not None)
    return "full" if link.status == 200 else "subject" if alike else "metadata"


def test_it_holds_at_once_wherever_the_thread_is_shown_and_to_nobody_else(app, mail):
    bobs = add_mailbox(app.world, "BOB", owner="bob")
    other = store(app.world, bobs, message_of("b", sender="cleo@client.example"))
    assert sees(app, mail) == "metadata"
    for level in ("private", "metadata", "subject", "full"):
        answer = say(app, mail, level)
        assert (answer.status, answer.json) == (
            200, {"mailbox_id": "ANN", "level": level, "is_whole": True, "others": []}
        )  # fmt: skip
        assert say(app, mail, level).json == answer.json
        assert sees(app, mail) == ("nothing" if level == "private" else level)
        assert sees(app, mail, user="ann") == "full"
        assert sees(app, other, user="ann") == "metadata"
        assert app.ask("GET", of(mail)).json["items"] == [answer.json]
        # The mailbox itself stays closed, however open one of its threads is.
        assert app.ask("GET", "/v1/messages", user="cyd").json["items"] == []
    for _ in range(2):
        assert app.ask("DELETE", of(mail)).status == 204
        assert sees(app, mail) == "metadata"
        assert app.ask("GET", of(mail)).json["items"][0]["level"] is None


@pytest.mark.parametrize(
    "who",
    [{"user": "bob"}, ADMIN, {"user": "ann", "roles": "admin", "tenant": "other"}],
    ids=["colleague", "admin", "stranger"],
)
def test_for_all_others_there_is_no_such_thread(app, mail, who):
    before = repr(app.world.threads)
    for answer in (
        say(app, mail, "full", **who),
        app.ask("DELETE", of(mail), **who),
        app.ask("GET", of(mail), **who),
    ):
        assert (answer.status, answer.json["code"]) == (404, "thread_not_found")
    unknown = app.ask("PUT", f"/v1/threads/t{'a' * 24}/visibility", body={"level": "full"}, **who)
    assert unknown.text == say(app, mail, "full", **who).text
    assert repr(app.world.threads) == before


def test_who_opened_a_mailbox_decides_nothing_in_it(app, mail):
    reason = {"reason": "Ticket 4711: a lost order"}
    assert app.ask("POST", "/v1/mailboxes/ANN/openings", body=reason, **ADMIN).status == 201
    assert app.ask("GET", f"/v1/messages/{mail.id}", **ADMIN).json["text"]
    assert say(app, mail, "full", **ADMIN).status == 404


def test_of_a_shared_mailbox_it_is_its_owners_and_of_administrators_who_read_it(app):
    box = add_mailbox(
        app.world,
        "TEAM",
        kind=MailboxKind.SHARED,
        visibility=Visibility.FULL,
        granted_to=EVERYONE,
    )
    add_contact(app.world, "c1", "cleo@client.example")
    mail = store(app.world, box, message_of("a", subject="Secret", attachments=(PART,)))
    assert say(app, mail, "metadata", user="bob").status == 404
    assert say(app, mail, "metadata", **ADMIN).status == 200
    assert (sees(app, mail), sees(app, mail, user="ann")) == ("metadata", "full")
    found = app.ask("GET", "/v1/messages?subject=secret", user="bob").json["items"]
    assert found == []
    assert say(app, mail, "subject").status == 200
    refused = say(app, mail, "private")
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "level")
    assert sees(app, mail) == "subject"


def test_where_several_mailboxes_of_theirs_hold_it_one_is_named(app, mail):
    second = add_mailbox(app.world, "ANN2")
    store(app.world, second, mail)
    refused = say(app, mail, "private")
    assert (refused.status, refused.json["errors"][0]["field"]) == (400, "mailbox_id")
    body = {"level": "private", "mailbox_id": "ANN"}
    assert app.ask("PUT", of(mail), body=body).status == 200
    # Of the copy that is hidden not even the mailbox is named; the other is as open as it was.
    shown = app.ask("GET", f"/v1/messages/{mail.id}", user="bob").json
    assert [one["mailbox_id"] for one in shown["mailboxes"]] == ["ANN2"]
    assert sees(app, mail) == "metadata"
    body["mailbox_id"] = "ANN2"
    assert app.ask("PUT", of(mail), body=body).status == 200
    assert sees(app, mail) == "nothing"
    assert app.ask("DELETE", f"{of(mail)}?mailbox_id=ANN").status == 204
    assert sees(app, mail) == "metadata"
    add_mailbox(app.world, "ANN3")
    for elsewhere in ("ANN3", "NOSUCH"):
        body["mailbox_id"] = elsewhere
        assert app.ask("PUT", of(mail), body=body).json["code"] == "thread_not_found"


def join(app, box, *mails):
    """Make their threads one, as the store does; return the root."""
    ids = sorted({one.thread_id for one in mails})
    known = app.threads.get_threads(box.tenant_id, ids)
    least = least_of_all(one.least for one in known.values())
    for one, record in known.items():
        members = frozenset(ids[1:]) if one == ids[0] else frozenset()
        joined = replace(record, root=ids[0], members=members, least=least)
        app.world.threads[box.tenant_id, one] = joined


def test_what_opens_a_thread_opens_nothing_that_is_joined_to_it_whenever_that_was(app, mail):
    box = app.world.mailboxes["acme", "ANN"]
    joined = store(app.world, box, message_of("b", attachments=(PART,)))
    later = store(app.world, box, message_of("c", attachments=(PART,)))
    join(app, box, mail, joined)
    answer = say(app, mail, "full").json
    assert answer["is_whole"] is False
    # The answer names what stays as it was, by the id it can be opened by.
    assert answer["others"] == [{"thread_id": joined.thread_id, "level": None}]
    join(app, box, mail, joined, later)
    assert [sees(app, one) for one in (mail, joined, later)] == ["full", "metadata", "metadata"]
    for one in answer["others"]:
        body = {"level": "full"}
        assert app.ask("PUT", f"/v1/threads/{one['thread_id']}/visibility", body=body).status == 200
    assert [sees(app, one) for one in (mail, joined, later)] == ["full", "full", "metadata"]
    (listed,) = app.ask("GET", of(mail)).json["items"]
    assert listed["others"] == [{"thread_id": later.thread_id, "level": None}]
    assert app.ask("DELETE", of(mail)).status == 204
    assert [sees(app, one) for one in (mail, joined)] == ["metadata", "full"]


def test_what_closes_a_thread_closes_all_that_is_joined_to_it_whenever_that_was(app, mail):
    box = replace(app.world.mailboxes["acme", "ANN"], visibility=Visibility.FULL)
    app.world.mailboxes["acme", "ANN"] = box
    before = store(app.world, box, message_of("b", attachments=(PART,)))
    later = store(app.world, box, message_of("c", attachments=(PART,)))
    join(app, box, mail, before)
    assert say(app, mail, "private").status == 200
    assert [sees(app, one) for one in (mail, before, later)] == ["nothing", "nothing", "full"]
    join(app, box, mail, before, later)
    assert sees(app, later) == "nothing"
    # What is said of another part opens no more than that allows.
    say(app, later, "full")
    assert sees(app, later) == "nothing"
    assert app.ask("DELETE", of(mail)).status == 204
    assert [sees(app, one) for one in (mail, before, later)] == ["full"] * 3


@pytest.mark.parametrize("body", [{}, {"level": None}, {"level": "open"}, {"levle": "full"}])
def test_what_is_no_level_is_refused(app, mail, body):
    answer = app.ask("PUT", of(mail), body=body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert app.threads.get_threads("acme", [ThreadId(mail.thread_id)])[mail.thread_id].levels == {}


def test_every_level_of_a_mailbox_is_one_of_a_thread():
    assert {*Visibility, "private"} == {*ThreadLevel}
