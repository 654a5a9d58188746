"""Requests in, answers out, on in-memory stores: the contract of every read route."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.api.paging import ListOf
from shared.domain.audit import Audit, Window
from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.contents import Invite, Moment, Picture
from shared.domain.errors import ErrorCode
from shared.domain.ids import MessageId, RunId, TenantId, UserId
from shared.domain.ledger import Counts
from shared.domain.mailbox import (
    EVERYONE,
    LatestError,
    MailboxKind,
    MailboxStatus,
    Readers,
    Visibility,
)
from shared.domain.message import StoredAttachment
from shared.domain.run import Run, RunReason
from shared.ports.stores import TimelineEntry
from tests.fakes.deployment import http_event
from tests.fakes.mail import SENT, START, add_contact, add_mailbox, message_of, store
from tests.fakes.values import a_backfill


def test_a_run_names_the_messages_that_could_not_be_read_and_why(app):
    box = add_mailbox(app.world, "MB1")
    run = Run(
        box.tenant_id,
        box.id,
        RunId("01JN0000000000000000000000"),
        RunReason.SCHEDULE,
        START,
        START,
        Counts(listed=4, stored=1, unreadable=2, gone=1),
        ledger={
            "stored": ("INBOX.1.1",),
            "unreadable:message_malformed": ("INBOX.1.2",),
            "unreadable:killed_its_reader": ("INBOX.1.3",),
            "gone": ("INBOX.1.4",),
        },
    )
    app.world.runs[box.tenant_id, box.id] = {run.id: run}
    found = app.ask("GET", f"/v1/mailboxes/MB1/runs/{run.id}").json
    assert (found["unreadable"], found["message"]) == (
        2,
        "Messages: 1 stored, 2 unreadable, 1 gone before they were read.",
    )
    assert found["unreadable_messages"] == [
        {"provider_message_id": "INBOX.1.2", "reason": "message_malformed"},
        {"provider_message_id": "INBOX.1.3", "reason": "killed_its_reader"},
    ]
    (listed,) = app.ask("GET", "/v1/mailboxes/MB1/runs").json["items"]
    assert listed == {key: found[key] for key in found if key != "unreadable_messages"}


def test_health_needs_no_token(app):
    answer = app.handle(http_event("GET", "/v1/health"))
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


def test_without_claims_nothing_is_read(app):
    answer = app.handle(http_event("GET", "/v1/mailboxes"))
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_mailbox_reads_as_the_contract_says(app):
    add_mailbox(app.world, "MB1")
    app.mailboxes.set_primary("acme", "ann", "MB1")
    answer = app.ask("GET", "/v1/mailboxes/MB1")
    assert answer.status == 200
    body = answer.json
    assert set(body) >= {
        "id",
        "provider",
        "address",
        "display_name",
        "reply_to",
        "kind",
        "purpose",
        "owner_user_id",
        "status",
        "is_primary",
        "active_folders",
        "visibility",
        "create_contacts",
        "backfill_days",
        "allow_untrusted_certificate",
        "connected_at",
        "last_synced_at",
        "next_run_at",
        "late_since",
        "latest_error",
        "completeness",
    }
    assert body["is_primary"] is True
    assert body["latest_error"] == {"inbound": None, "outbound": None, "push": None}
    assert body["connected_at"] == "2026-02-01T09:00:00Z"
    assert "password" not in answer.text


def test_a_mailbox_says_how_complete_it_is(app):
    add_mailbox(app.world, "MB1")
    assert app.ask("GET", "/v1/mailboxes/MB1").json["completeness"] is None
    app.world.audits["acme", "MB1"] = Audit("acme", "MB1", START, START)
    assert app.ask("GET", "/v1/mailboxes/MB1").json["completeness"] is None
    repair = a_backfill(
        "01RE",
        tenant_id="acme",
        mailbox_id="MB1",
        kind=BackfillKind.REPAIR,
        state=BackfillState.RUNNING,
        counts=Counts(listed=2, stored=1, gone=1),
    )
    app.world.backfills["acme", "MB1"] = {repair.id: repair}
    app.world.audits["acme", "MB1"] = Audit(
        tenant_id="acme",
        mailbox_id="MB1",
        asked_at=START,
        checked_at=START,
        windows=(Window(START), Window(START, START)),
        listed=9,
        stored=5,
        ledgered=1,
        missing=2,
        under_way=1,
        repair_id=repair.id,
    )
    shown = app.ask("GET", "/v1/mailboxes/MB1").json["completeness"]
    assert shown == {
        "checked_at": "2026-02-01T09:00:00Z",
        "windows": [
            {"since": "2026-02-01T09:00:00Z", "before": None},
            {"since": "2026-02-01T09:00:00Z", "before": "2026-02-01T09:00:00Z"},
        ],
        "listed": 9,
        "stored": 5,
        "ledgered": 2,
        "missing": 1,
        "repaired": 1,
        "under_way": 1,
        "extra": 0,
        "mended": 0,
        "folders_left_out": 0,
        "repair_id": "01RE",
        "whole_mailbox_checked_at": None,
    }
    (listed,) = app.ask("GET", "/v1/mailboxes").json["items"]
    assert listed["completeness"] == shown
    assert app.ask("GET", "/v1/mailboxes/MB1/backfills").json["items"] == []
    kept = app.ask("GET", "/v1/mailboxes/MB1/backfills/01RE").json
    assert (kept["id"], kept["kind"]) == ("01RE", "repair")


def test_a_latest_error_says_whose_move_it_is(app):
    box = add_mailbox(app.world, "MB1")
    error = LatestError(ErrorCode.LOGIN_REJECTED, START, START, 2, None, START)
    app.world.mailboxes["acme", "MB1"] = replace(box, inbound_error=error)
    inbound = app.ask("GET", "/v1/mailboxes/MB1").json["latest_error"]["inbound"]
    assert set(inbound) == {
        "code",
        "message",
        "acts",
        "fix",
        "first_seen_at",
        "last_seen_at",
        "count",
        "next_retry_at",
        "run_id",
    }
    assert (inbound["code"], inbound["acts"], inbound["count"]) == ("login_rejected", "user", 2)


@pytest.mark.parametrize(
    ("status", "next_retry_at", "is_still_tried"),
    [
        (MailboxStatus.ACTIVE, START, True),
        (MailboxStatus.ACTIVE, None, False),
        (MailboxStatus.RECONNECT_REQUIRED, START, False),
    ],
)
def test_a_doubt_that_is_still_tried_sends_nobody_to_reconnect(
    app, status, next_retry_at, is_still_tried
):
    box = add_mailbox(app.world, "MB1")
    error = LatestError(ErrorCode.GRANT_REVOKED, START, START, 1, None, next_retry_at)
    app.world.mailboxes["acme", "MB1"] = replace(box, status=status, inbound_error=error)
    fix = app.ask("GET", "/v1/mailboxes/MB1").json["latest_error"]["inbound"]["fix"]
    assert fix.endswith("Reconnect the mailbox.")
    assert fix.startswith("Mailroom still tries again by itself") is is_still_tried


def test_others_personal_mailboxes_are_hidden_but_from_administrators(app):
    add_mailbox(app.world, "MINE")
    add_mailbox(app.world, "BOBS", owner="bob")
    team = Readers((UserId("ann"),))
    add_mailbox(app.world, "TEAM", owner="bob", kind=MailboxKind.SHARED, granted_to=team)
    add_mailbox(app.world, "THEIRS", owner="bob", kind=MailboxKind.SHARED)
    listed = [box["id"] for box in app.ask("GET", "/v1/mailboxes").json["items"]]
    assert listed == ["MINE", "TEAM"]
    for hidden in ("BOBS", "THEIRS"):
        assert app.ask("GET", f"/v1/mailboxes/{hidden}").status == 404
    all_of_them = app.ask("GET", "/v1/mailboxes", roles="[admin]").json["items"]
    assert [box["id"] for box in all_of_them] == ["BOBS", "MINE", "TEAM", "THEIRS"]
    assert [box["granted_to"] for box in all_of_them] == [None, None, ["ann"], []]
    assert app.ask("GET", "/v1/mailboxes/TEAM").json["recovery_note"] is None
    assert app.ask("GET", "/v1/mailboxes/TEAM", roles=["admin"]).json["recovery_note"] == "ask Ann"


def test_folders_say_which_are_synced(app):
    add_mailbox(app.world, "MB1")
    items = app.ask("GET", "/v1/mailboxes/MB1/folders").json["items"]
    assert {item["id"]: item["active"] for item in items} == {
        "INBOX": True, "Sent": True, "Trash": False, "Parent": False
    }  # fmt: skip


@pytest.fixture
def mail(app):
    """Cleo wrote to Ann's own mailbox, to Bob's and to a team's."""
    ann = add_mailbox(app.world, "ANN", address="ann@ours.example")
    bob = add_mailbox(app.world, "BOB", owner="bob", address="bob@ours.example")
    add_contact(app.world, "crm:1", "cleo@client.example", "c.leo@client.example")
    first = store(app.world, ann, message_of("a", minutes=1))
    second = store(
        app.world, bob, message_of("b", minutes=2, subject="Secret", to=("bob@ours.example",))
    )
    third = store(app.world, ann, message_of("c", minutes=3, sender="c.leo@client.example"))
    return app, {"a": first.id, "b": second.id, "c": third.id}


def test_a_timeline_holds_all_addresses_newest_first_and_cuts_down_what_is_others(mail):
    app, ids = mail
    items = app.ask("GET", "/v1/contacts/crm:1/messages").json["items"]
    assert [item["id"] for item in items] == [ids["c"], ids["b"], ids["a"]]
    bobs = items[1]
    assert (bobs["access"], bobs["subject"], bobs["snippet"]) == ("metadata", None, None)
    hidden = dict.fromkeys(("folder_id", "seen", "flagged", "pending"))
    assert bobs["mailboxes"] == [{"mailbox_id": "BOB", **hidden}]
    assert items[0]["subject"] == "Offer"
    assert items[0]["contacts"] == ["crm:1"]
    assert items[0]["from"] == [{"address": "c.leo@client.example", "name": "Cleo"}]


def test_an_address_of_several_contacts_is_said_to_be_ambiguous_until_that_is_decided(mail):
    app, ids = mail
    twin = {"name": "Leo", "addresses": ["cleo@client.example", "leo@client.example"]}

    def shown(*contacts):
        pages = [app.ask("GET", f"/v1/contacts/{one}/messages").json["items"] for one in contacts]
        pages.append([app.ask("GET", f"/v1/messages/{ids['a']}").json])
        (found,) = {
            (tuple(one["contacts"]), repr(one["ambiguous"]))
            for page in pages
            for one in page
            if one["id"] == ids["a"]
        }
        assert all(ids["a"] in [one["id"] for one in page] for page in pages)
        return found

    undecided = repr([{"address": "cleo@client.example", "contacts": ["crm:1", "crm:2"]}])
    assert shown("crm:1") == (("crm:1",), "[]")
    assert app.ask("PUT", "/v1/contacts/crm:2", body=twin).status == 200
    assert shown("crm:1", "crm:2") == (("crm:1", "crm:2"), undecided)
    (c,) = [
        one
        for one in app.ask("GET", "/v1/contacts/crm:1/messages").json["items"]
        if one["id"] == ids["c"]
    ]
    assert (c["contacts"], c["ambiguous"]) == (["crm:1"], [])
    decided = {**twin, "addresses": ["leo@client.example"]}
    assert app.ask("PUT", "/v1/contacts/crm:2", body=decided).status == 200
    assert shown("crm:1") == (("crm:1",), "[]")
    assert app.ask("PUT", "/v1/contacts/crm:2", body=twin).status == 200
    assert app.ask("POST", "/v1/contacts/crm:2/merge", body={"from": "crm:1"}).status == 200
    assert shown("crm:2") == (("crm:2",), "[]")
    items = app.ask("GET", "/v1/contacts/crm:2/messages").json["items"]
    assert [one["id"] for one in items] == [ids["c"], ids["b"], ids["a"]]


def test_an_administrator_sees_no_more_of_anothers_mail(mail):
    app, ids = mail
    items = app.ask("GET", "/v1/contacts/crm:1/messages", roles="admin").json["items"]
    assert items[1]["subject"] is None
    whole = app.ask("GET", f"/v1/messages/{ids['b']}", roles="admin").json
    assert (whole["text"], whole["html"], whole["subject"]) == (None, None, None)
    assert app.ask("GET", "/v1/messages?mailbox_id=BOB", roles="admin").json["items"] == []


def test_a_message_of_another_that_is_with_no_contact_does_not_exist(mail):
    app, ids = mail
    del app.world.contacts["acme", "crm:1"]
    assert app.ask("GET", f"/v1/messages/{ids['b']}").json["code"] == "message_not_found"
    assert app.ask("GET", f"/v1/messages/{ids['a']}").status == 200


def test_a_timeline_is_the_same_in_pages_of_any_size(mail):
    app, ids = mail
    for limit in (1, 2, 3):
        found, token = [], None
        while True:
            query = {"limit": limit} | ({"next": token} if token else {})
            page = app.ask("GET", "/v1/contacts/crm:1/messages", query=query).json
            found += [item["id"] for item in page["items"]]
            token = page["next"]
            if token is None:
                break
        assert found == [ids["c"], ids["b"], ids["a"]], limit


def test_a_message_that_only_a_lost_run_stored_is_not_shown(mail):
    app, ids = mail
    del app.world.copies["acme", "ANN"]
    shown = [i["id"] for i in app.ask("GET", "/v1/contacts/crm:1/messages").json["items"]]
    assert shown == [ids["b"]]
    assert app.ask("GET", f"/v1/messages/{ids['a']}").status == 404


def test_what_was_deleted_at_the_provider_stays_on_the_timeline_and_leaves_the_search(app):
    ann = add_mailbox(app.world, "ANN")
    add_contact(app.world, "c1", "cleo@client.example")
    store(app.world, ann, message_of("gone"), removed=True)
    timeline = app.ask("GET", "/v1/contacts/c1/messages").json["items"]
    assert [item["mailboxes"] for item in timeline] == [[]]
    assert app.ask("GET", "/v1/messages?mailbox_id=ANN").json["items"] == []
    assert app.ask("GET", "/v1/messages?from=cleo@client.example").json["items"] == []


def test_the_same_mail_in_two_mailboxes_is_one(app):
    ann = add_mailbox(app.world, "ANN")
    team = add_mailbox(app.world, "TEAM", kind=MailboxKind.SHARED, visibility=Visibility.FULL)
    add_contact(app.world, "c1", "cleo@client.example")
    mail = message_of("both")
    store(app.world, ann, mail, seen=True)
    store(app.world, team, mail, later=timedelta(seconds=120))
    as_told = {"flagged": False, "pending": []}
    (item,) = app.ask("GET", "/v1/contacts/c1/messages").json["items"]
    assert item["mailboxes"] == [
        {"mailbox_id": "ANN", "folder_id": "INBOX", "seen": True, **as_told},
        {"mailbox_id": "TEAM", "folder_id": "INBOX", "seen": False, **as_told},
    ]
    between = store(app.world, ann, message_of("between", minutes=1))
    found, token = [], ""
    while token is not None:
        page = app.ask(
            "GET", "/v1/messages", query={"limit": 1, **({"next": token} if token else {})}
        ).json
        found += [i["id"] for i in page["items"]]
        token = page["next"]
    assert found == [mail.id, between.id]


def test_search_by_each_field(mail):
    app, ids = mail

    def found(target):
        return [item["id"] for item in app.ask("GET", target).json["items"]]

    assert found("/v1/messages") == [ids["c"], ids["a"]]
    assert found("/v1/messages?from=CLEO@client.example") == [ids["a"]]
    assert found("/v1/messages?to=ann@ours.example") == [ids["c"], ids["a"]]
    assert found("/v1/messages?subject=oFF") == [ids["c"], ids["a"]]
    assert found("/v1/messages?subject=nothing") == []
    assert found("/v1/messages?since=2026-02-01T09:02:00Z") == [ids["c"]]
    assert found("/v1/messages?until=2026-02-01T09:03:00Z") == [ids["a"]]
    assert found("/v1/messages?mailbox_id=ANN&folder=Sent") == []
    assert found("/v1/messages?mailbox_id=ANN&folder=INBOX") == [ids["c"], ids["a"]]


def test_searching_does_not_read_a_subject_the_viewer_may_not_see(app):
    team = add_mailbox(app.world, "TEAM", kind=MailboxKind.SHARED, owner="bob", granted_to=EVERYONE)
    store(app.world, team, message_of("x", subject="Merger", bcc=("hidden@client.example",)))
    assert len(app.ask("GET", "/v1/messages").json["items"]) == 1
    assert app.ask("GET", "/v1/messages?subject=merger").json["items"] == []
    assert app.ask("GET", "/v1/messages?to=hidden@client.example").json["items"] == []


def test_a_whole_message_with_safe_html_and_quoted_text(app):
    ann = add_mailbox(app.world, "ANN")
    text = "Yes.\n-- \nBob\n\nOn Tue, Ann <ann@ours.example> wrote:\n> Shall we?\n"
    start = Moment("2026-03-03T10:15:00", "Europe/Berlin")
    parts = (
        StoredAttachment("offer.pdf", "application/pdf", 9, digest="d1"),
        StoredAttachment("a.ics", "text/calendar", 9, seen=Invite("request", "u", starts=start)),
        StoredAttachment("a.png", "text/html", 9, digest="d2", seen=Picture("image/png")),
    )
    mail = message_of("w", attachments=parts)
    store(app.world, ann, mail, text=text, html='<p onclick="x()">Yes<script>1</script></p>')
    body = app.ask("GET", f"/v1/messages/{mail.id}").json
    assert body["text"] == "Yes.\n"
    assert body["signature"] == "-- \nBob\n\n"
    assert body["text"] + body["signature"] + body["quoted_text"] == text
    assert body["html"] == "<p>Yes</p>"
    assert body["content_security_policy"].startswith("default-src 'none'; img-src 'none';")
    assert body["attachments"][0] == {
        "n": 0, "filename": "offer.pdf", "content_type": "application/pdf", "picture_type": None, "size": 9,
        "inline": False, "content_id": None, "missing": None,
    }  # fmt: skip
    assert body["attachments"][2]["picture_type"] == "image/png"
    assert body["headers"] == {"list-id": "none"}
    assert body["kinds"] == ["calendar", "list"]
    assert body["calendar"]["starts"] == {
        "local": "2026-03-03T10:15:00",
        "time_zone": "Europe/Berlin",
        "at": "2026-03-03T09:15:00Z",
    }
    assert (body["calendar"]["method"], body["calendar"]["ends"]) == ("request", None)
    assert body["deliveries"] == []
    link = app.ask("GET", f"/v1/messages/{mail.id}/attachments/0").json
    assert link["url"].startswith("https://objects.invalid/acme/")
    assert "/d1?" in link["url"]
    assert "type=application%2Foctet-stream" in link["url"]
    picture = app.ask("GET", f"/v1/messages/{mail.id}/attachments/2").json
    assert "type=image%2Fpng" in picture["url"]
    assert link["expires_at"] == "2026-03-01T12:05:00Z"
    for n in ("1", "3", "x", "-1", "99999999"):
        assert app.ask("GET", f"/v1/messages/{mail.id}/attachments/{n}").status == 404


def test_a_thread_is_oldest_first(app):
    ann = add_mailbox(app.world, "ANN")
    one = store(app.world, ann, message_of("one", thread="t", minutes=1))
    two = store(app.world, ann, message_of("two", thread="t", minutes=2), folder=SENT)
    body = app.ask("GET", f"/v1/threads/{one.thread_id}").json
    assert [item["id"] for item in body["items"]] == [one.id, two.id]
    assert body["next"] is None
    target = f"/v1/threads/{one.thread_id}?limit=1"
    first = app.ask("GET", target).json
    last = app.ask("GET", target, query={"next": first["next"]}).json
    assert [item["id"] for item in first["items"] + last["items"]] == [one.id, two.id]
    assert last["next"] is None


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/v1/messages?limit=0", "limit"),
        ("/v1/messages?limit=x", "limit"),
        ("/v1/messages?from=nobody", "from"),
        ("/v1/messages?folder=INBOX", "mailbox_id"),
        ("/v1/messages?since=yesterday", "since"),
        ("/v1/messages?since=2026-02-01T09:00:00", "since"),
        ("/v1/messages?since=2026-02-02T09:00:00Z&until=2026-02-01T09:00:00Z", "until"),
        ("/v1/messages?until=9999-12-31T23:59:59-12:00", "until"),
        ("/v1/messages?until=9999-12-31T23:59:59-14:00", "until"),
        ("/v1/messages?since=0001-01-01T00:00:00%2B14:00", "since"),
        ("/v1/messages?since=1", "since"),
        ("/v1/messages?since=1767225600.5", "since"),
        ("/v1/messages?since=2026-02-01", "since"),
        ("/v1/messages?since=", "since"),
        ("/v1/messages?from=", "from"),
        ("/v1/messages?subject=", "subject"),
        ("/v1/messages?subject=%20", "subject"),
        ("/v1/messages?folder=", "mailbox_id"),
        ("/v1/messages?mailbox_id=MB1&folder=", "folder"),
        ("/v1/messages?mailbox_id=MB1&folder=Inbx", "folder"),
        ("/v1/messages?form=ann@x.example", "form"),
        ("/v1/messages?From=ann@x.example", "From"),
        ("/v1/mailboxes?limit=1", "limit"),
    ],
)
def test_bad_input_names_its_field(app, target, field):
    add_mailbox(app.world, "MB1")
    answer = app.ask("GET", target)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00"])
def test_a_page_token_from_before_or_after_all_time_is_refused(mail, at):
    app, ids = mail
    entry = TimelineEntry(datetime.fromisoformat(at), ids["a"])
    token = ListOf(TenantId("acme"), "timeline/crm:1").entry_token(entry)
    answer = app.ask("GET", "/v1/contacts/crm:1/messages", query={"next": token})
    assert (answer.status, answer.json["code"]) == (400, "invalid_page_token")


@pytest.mark.parametrize(
    ("target", "list_name"),
    [
        ("/v1/contacts", "contacts"),
        ("/v1/contacts/crm:1/messages", "timeline/crm:1"),
        ("/v1/mailboxes/ANN/runs", "runs/ANN"),
    ],
)
def test_a_page_token_that_no_key_can_be_made_of_is_refused(mail, target, list_name):
    app, _ = mail
    pages = ListOf(TenantId("acme"), list_name)
    forged = MessageId("m" * 1_300)
    entry = TimelineEntry(START, forged)
    token = pages.entry_token(entry) if "messages" in target else pages.token(forged)
    answer = app.ask("GET", target, query={"next": token})
    assert (answer.status, answer.json["code"]) == (400, "invalid_page_token")


@pytest.mark.parametrize("damage", ["flip", "cut", "swap tenant", "other query", "other list", "x"])
def test_a_page_token_of_another_list_is_refused(mail, damage):
    app, _ = mail
    token = app.ask("GET", "/v1/messages?limit=1").json["next"]
    tenant, target = "acme", "/v1/messages"
    query = {"limit": 1, "next": token}
    match damage:
        case "flip":
            query["next"] = ("A" if token[5] != "A" else "B").join((token[:5], token[6:]))
        case "cut":
            query["next"] = token[:-1]
        case "swap tenant":
            tenant = "other"
        case "other query":
            query["subject"] = "x"
        case "other list":
            target = "/v1/contacts/crm:1/messages"
        case "x":
            query["next"] = "é" * 5
    answer = app.ask("GET", target, tenant=tenant, query=query)
    if damage == "swap tenant":
        assert answer.json["code"] == "invalid_page_token"
    assert (answer.status, answer.json["code"]) == (400, "invalid_page_token")


def test_a_preset_says_what_to_fill_in_and_what_is_needed_first(app):
    known = app.ask("GET", "/v1/presets?address=ann@gmail.com").json
    assert known["found"] is True
    assert known["imap"] == {
        "host": "imap.gmail.com",
        "port": 993,
        "security": "tls",
        "username": "ann@gmail.com",
    }
    assert known["app_password"] == "always"
    assert known["app_password_page"].startswith("https://")
    unknown = app.ask("GET", "/v1/presets?address=ann@nowhere.example")
    assert (unknown.status, unknown.json["found"], unknown.json["imap"]) == (200, False, None)
    assert app.ask("GET", "/v1/presets?address=nobody").json["errors"][0]["field"] == "address"
    assert app.ask("GET", "/v1/presets").json["errors"] == [
        {"field": "address", "message": "This is required."}
    ]
