"""An administrator is let in to somebody's mailbox for a while, and everybody concerned knows."""

import pytest

from shared.domain.ids import UserId
from shared.domain.mailbox import MailboxKind, Readers
from tests.fakes.mail import add_contact, add_mailbox, message_of, store

REASON = "Ticket 4711: an order is missing"
OPENINGS = "/v1/mailboxes/ANN/openings"


@pytest.fixture
def mail(app):
    box = add_mailbox(app.world, "ANN", address="ann@ours.example")
    add_contact(app.world, "c1", "cleo@client.example")
    return store(app.world, box, message_of("a", subject="Secret"))


def opened(app, user="root", **body):
    body = {"reason": REASON, **body}
    return app.ask("POST", OPENINGS, body=body, user=user, roles="admin")


def reads(app, mail, user="root", roles="admin"):
    """Whether they see the mail as its owner does, in every place it is shown."""
    found = {
        "message": app.ask("GET", f"/v1/messages/{mail.id}", user=user, roles=roles),
        "thread": app.ask("GET", f"/v1/threads/{mail.thread_id}", user=user, roles=roles),
        "timeline": app.ask("GET", "/v1/contacts/c1/messages", user=user, roles=roles),
        "search": app.ask("GET", "/v1/messages?mailbox_id=ANN", user=user, roles=roles),
    }
    seen = {name for name, answer in found.items() if "Secret" in answer.text}
    assert seen in (set(), set(found)), seen
    return bool(seen)


def test_it_is_open_to_who_opened_it_for_as_long_as_was_asked(app, mail):
    assert not reads(app, mail)
    answer = opened(app, minutes=30)
    assert answer.status == 201, answer.text
    assert reads(app, mail)
    assert not reads(app, mail, user="root2")
    # The role may be gone before the time is up.
    assert not reads(app, mail, roles=None)
    app.clock.advance(minutes=29)
    assert reads(app, mail)
    app.clock.advance(minutes=1)
    assert not reads(app, mail)
    assert reads(app, mail, user="ann", roles=None)


def test_its_owner_and_administrators_are_told_and_nobody_else(app, mail):
    name = opened(app).json["id"]
    told = {
        "id": name,
        "opened_by": "root",
        "reason": REASON,
        "opened_at": "2026-03-01T12:00:00Z",
        "ends_at": "2026-03-01T13:00:00Z",
    }
    for who in ({"user": "ann"}, {"user": "root2", "roles": "admin"}):
        assert app.ask("GET", OPENINGS, **who).json == {"items": [told], "next": None}
        assert app.ask("GET", "/v1/mailboxes/ANN", **who).json["openings"] == [told]
    assert app.ask("GET", OPENINGS, user="bob").json["code"] == "mailbox_not_found"
    app.clock.advance(minutes=61)
    assert app.ask("GET", "/v1/mailboxes/ANN").json["openings"] == []
    assert app.ask("GET", OPENINGS).json["items"] == [told]


def test_who_a_shared_mailbox_is_granted_to_is_not_told(app):
    granted = Readers((UserId("bob"),))
    add_mailbox(app.world, "ANN", kind=MailboxKind.SHARED, granted_to=granted)
    assert opened(app).status == 201
    assert app.ask("GET", "/v1/mailboxes/ANN", user="bob").json["openings"] is None
    assert app.ask("GET", OPENINGS, user="bob").json["code"] == "admin_required"


@pytest.mark.parametrize("who", [{"user": "ann"}, {"user": "root2", "roles": "admin"}])
def test_it_is_ended_before_its_time_by_its_owner_or_an_administrator(app, mail, who):
    name = opened(app).json["id"]
    assert app.ask("DELETE", f"{OPENINGS}/{name}", user="bob").status == 404
    app.clock.advance(minutes=5)
    assert app.ask("DELETE", f"{OPENINGS}/{name}", **who).status == 204
    assert not reads(app, mail)
    ended = app.ask("GET", OPENINGS).json["items"]
    assert [one["ends_at"] for one in ended] == ["2026-03-01T12:05:00Z"]
    app.clock.advance(minutes=5)
    assert app.ask("DELETE", f"{OPENINGS}/{name}", **who).status == 204
    assert app.ask("GET", OPENINGS).json["items"] == ended
    unknown = app.ask("DELETE", f"{OPENINGS}/01NOSUCH", **who)
    assert (unknown.status, unknown.json["code"]) == (404, "opening_not_found")
    assert opened(app).status == 201


def test_asked_again_for_the_same_reason_it_is_the_same_opening(app, mail):
    first = opened(app, minutes=10)
    app.clock.advance(minutes=5)
    assert opened(app, minutes=60).json == first.json
    other = opened(app, reason="Another reason for it")
    assert (other.status, other.json["code"]) == (409, "wrong_state")
    assert opened(app, user="root2").json["id"] != first.json["id"]
    assert len(app.ask("GET", OPENINGS).json["items"]) == 2
    app.clock.advance(minutes=6)
    assert opened(app, reason="Another reason for it").status == 201


def test_without_the_operators_leave_nobody_is_let_in(app, mail):
    app.are_openings_allowed = False
    answer = opened(app)
    assert (answer.status, answer.json["code"]) == (403, "openings_off")
    assert app.ask("GET", OPENINGS).json["items"] == []
    assert not reads(app, mail)
    # Whoever may not know of the mailbox does not learn of it by this.
    assert app.ask("POST", OPENINGS, body={"reason": REASON}, user="bob").status == 404


@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ({"user": "ann"}, 403, "admin_required"),
        ({"user": "ann", "roles": "admin"}, 409, "wrong_state"),
        ({"user": "bob"}, 404, "mailbox_not_found"),
        ({"user": "root", "roles": "admin", "tenant": "other"}, 404, "mailbox_not_found"),
    ],
)
def test_only_an_administrator_opens_what_is_not_theirs_to_read(app, mail, who, status, code):
    answer = app.ask("POST", OPENINGS, body={"reason": REASON}, **who)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert app.world.openings == {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "because"},
        {"reason": " " * 20},
        {"reason": "x" * 501},
        {"reason": "a reason\0of mine"},
        {"reason": REASON, "minutes": 0},
        {"reason": REASON, "minutes": 61},
        {"reason": REASON, "minutes": "60"},
    ],
)
def test_a_reason_and_an_end_are_required(app, mail, body):
    answer = app.ask("POST", OPENINGS, body=body, user="root", roles="admin")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert app.world.openings == {}


def test_it_makes_nothing_the_administrators_own(app, mail):
    opened(app)
    primary = app.ask("PUT", "/v1/mailboxes/ANN/primary", user="root", roles="admin")
    assert (primary.status, primary.json["code"]) == (403, "owner_required")
    change = app.ask(
        "PATCH", "/v1/mailboxes/ANN", body={"visibility": "full"}, user="root", roles="admin"
    )
    assert change.status == 400


def test_an_administrator_who_lets_anybody_in_by_the_settings_is_recorded_too(app):
    add_mailbox(app.world, "ANN", kind=MailboxKind.SHARED, owner="ann")

    def change(body, user="root"):
        """Return what is recorded of it, if anything."""
        before = app.ask("GET", OPENINGS, user="ann").json["items"]
        app.clock.advance(minutes=1)
        answer = app.ask("PATCH", "/v1/mailboxes/ANN", body=body, user=user, roles="admin")
        assert answer.status == 200, answer.text
        items = app.ask("GET", OPENINGS, user="root2", roles="admin").json["items"]
        new = items[: len(items) - len(before)]
        assert all((one["opened_by"], one["ends_at"]) == (user, None) for one in new)
        return [one["reason"] for one in new]

    said = "Changed {}. By that these see more of its mail: {}."
    assert change({"granted_to": ["bob"]}) == [said.format("granted_to", "bob")]
    assert change({"granted_to": ["bob", "root"]}) == [said.format("granted_to", "root")]
    assert change({"visibility": "full"}) == [said.format("visibility", "bob, root")]
    assert change({"granted_to": ["cleo"], "visibility": "subject"}) == [
        said.format("granted_to, visibility", "cleo")
    ]
    # Two who grant each other leave a record each.
    assert change({"granted_to": ["root"]}, user="root2") == [said.format("granted_to", "root")]
    assert change({"granted_to": "everyone"}) == [said.format("granted_to", "everyone")]
    for body in ({"granted_to": ["bob"]}, {"granted_to": []}, {"visibility": "full"}):
        assert change(body) == [], "nobody sees more"
    many = [f"u{number:03}" for number in range(200)]
    (reason,) = change({"granted_to": many})
    assert reason == said.format("granted_to", ", ".join(many[:20]) + " and 180 others")
    standing = app.ask("GET", OPENINGS, user="ann").json["items"][0]
    refused = app.ask("DELETE", f"{OPENINGS}/{standing['id']}", user="root", roles="admin")
    assert (refused.status, refused.json["code"]) == (409, "wrong_state")


def test_who_is_made_its_owner_by_an_administrator_is_recorded(app):
    add_mailbox(app.world, "ANN", kind=MailboxKind.SHARED, owner="ann")
    app.ask("PATCH", "/v1/mailboxes/ANN", body={"owner_user_id": "bob"}, user="root", roles="admin")
    (told,) = app.ask("GET", OPENINGS, user="bob").json["items"]
    assert told["reason"] == "Changed owner_user_id. By that these see more of its mail: bob."
    assert told["opened_by"] == "root"
    assert app.ask("GET", OPENINGS, user="ann").status == 404


def test_what_the_owner_of_a_personal_mailbox_gives_away_is_theirs_to_give(app, mail):
    app.ask("PATCH", "/v1/mailboxes/ANN", body={"owner_user_id": "bob"}, user="ann")
    assert app.ask("GET", OPENINGS, user="bob").json["items"] == []


def test_what_is_logged_of_it_is_ids_and_times(app, mail, caplog):
    name = opened(app).json["id"]
    app.ask("DELETE", f"{OPENINGS}/{name}")
    lines = [vars(record) for record in caplog.records]
    assert [(one["message"], one["user_id"], one["opening_id"]) for one in lines] == [
        ("mailbox_opened", "root", name),
        ("opening_ended", "ann", name),
    ]
    assert REASON not in str(lines)
