"""Settings, contacts, connecting and backfills through the handlers, on in-memory stores."""

from dataclasses import replace

import pytest

from shared.api.app import STATUS_BY_CODE
from shared.domain.errors import (
    ConfigurationError,
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    StoreRefusedError,
    UnreadableMessageError,
)
from shared.domain.ids import UserId
from shared.domain.mail_server import Verdict
from shared.domain.mailbox import MailboxKind, MailboxStatus, Readers
from tests.fakes.deployment import http_event
from tests.fakes.mail import FOLDERS, add_mailbox

LOGIN = {"host": "imap.example.org", "username": "ann@ours.example", "password": "not-a-real-one"}
CONNECT = {
    "address": "Ann@Ours.example",
    "imap": LOGIN,
    "smtp": {**LOGIN, "host": "smtp.example.org"},
    "backfill_days": 30,
}


class ScriptedServers:
    def __init__(self, imap=None, smtp=None):
        self.imap = imap or Verdict(folders=FOLDERS)
        self.smtp = smtp or Verdict()
        self.logins = []

    def test_imap(self, login):
        self.logins.append(login)
        return self.imap

    def test_smtp(self, login):
        self.logins.append(login)
        return self.smtp


# ---- connect ----


def test_connecting_answers_201_with_the_mailbox_and_no_password(app):
    app.tester = ScriptedServers()
    answer = app.ask("POST", "/v1/mailboxes", body=CONNECT)
    assert answer.status == 201, answer.text
    body = answer.json
    assert (body["status"], body["address"], body["owner_user_id"]) == (
        "active", "ann@ours.example", "ann"
    )  # fmt: skip
    assert answer.headers["Location"] == f"/v1/mailboxes/{body['id']}"
    assert "not-a-real-one" not in answer.text


@pytest.mark.parametrize(
    ("chosen", "visibility"),
    [
        ({}, "metadata"),
        ({"kind": "personal"}, "metadata"),
        ({"kind": "shared", "granted_to": []}, "full"),
        ({"kind": "shared", "granted_to": ["bob"], "visibility": None}, "full"),
        ({"kind": "shared", "granted_to": "everyone", "visibility": "subject"}, "subject"),
        ({"kind": "personal", "visibility": "full"}, "full"),
    ],
)
def test_a_shared_mailbox_is_to_be_read_unless_its_owner_says_otherwise(app, chosen, visibility):
    app.tester = ScriptedServers()
    answer = app.ask("POST", "/v1/mailboxes", body={**CONNECT, **chosen}, roles="admin")
    assert (answer.status, answer.json["visibility"]) == (201, visibility)
    assert answer.json["granted_to"] == chosen.get("granted_to")
    assert (len(app.queues.syncs), len(app.queues.plans)) == (1, 1)
    login = app.tester.logins[0]
    assert (login.server.port, login.server.security) == (993, "tls")


def test_a_test_gives_a_verdict_on_each_side_and_stores_nothing(app):
    app.tester = ScriptedServers(smtp=Verdict(ErrorCode.TLS_EXPIRED))
    body = {"imap": LOGIN, "smtp": {**LOGIN, "username": "else"}}
    answer = app.ask("POST", "/v1/mailboxes/test", body=body)
    assert answer.status == 200
    assert answer.json["imap"]["ok"] is True
    assert answer.json["imap"]["folders"][0] == {
        "id": "INBOX", "name": "Inbox", "role": "inbox", "selectable": True
    }  # fmt: skip
    assert answer.json["smtp"]["code"] == "tls_expired"
    assert [warning["code"] for warning in answer.json["warnings"]] == ["accounts_differ"]
    assert not app.world.mailboxes


def test_connecting_with_a_failed_test_is_422_with_both_verdicts(app):
    app.tester = ScriptedServers(imap=Verdict(ErrorCode.LOGIN_REJECTED))
    answer = app.ask("POST", "/v1/mailboxes", body=CONNECT)
    assert (answer.status, answer.json["code"]) == (422, "connection_test_failed")
    assert answer.json["imap"]["code"] == "login_rejected"
    assert answer.json["smtp"]["ok"] is True
    assert not app.world.mailboxes
    assert not app.secrets.secrets


def test_only_an_administrator_connects_a_shared_mailbox(app):
    app.tester = ScriptedServers()
    shared = {**CONNECT, "kind": "shared", "granted_to": "everyone"}
    assert app.ask("POST", "/v1/mailboxes", body=shared).json["code"] == "admin_required"
    assert app.ask("POST", "/v1/mailboxes", body=shared, roles="[admin]").status == 201


@pytest.mark.parametrize(
    ("chosen", "fields"),
    [
        ({"kind": "shared"}, {"granted_to"}),
        ({"kind": "shared", "granted_to": None}, {"granted_to"}),
        ({"kind": "shared", "granted_to": "all"}, {"granted_to"}),
        ({"kind": "shared", "granted_to": {"bob": True}}, {"granted_to"}),
        ({"kind": "shared", "granted_to": ["bob", 7]}, {"granted_to"}),
        ({"kind": "shared", "granted_to": ["bob", ""]}, {"granted_to"}),
        ({"kind": "shared", "granted_to": ["b\n"]}, {"granted_to"}),
        ({"kind": "shared", "granted_to": [str(n) for n in range(201)]}, {"granted_to"}),
        ({"granted_to": []}, {"granted_to"}),
        ({"granted_to": "everyone"}, {"granted_to"}),
    ],
)
def test_who_reads_a_shared_mailbox_has_to_be_said_and_of_no_other(app, chosen, fields):
    app.tester = ScriptedServers()
    answer = app.ask("POST", "/v1/mailboxes", body={**CONNECT, **chosen}, roles="admin")
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert {one["field"] for one in answer.json["errors"]} == fields
    assert not app.world.mailboxes


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"imap": {**LOGIN, "port": 0}}, "imap.port"),
        ({"imap": {**LOGIN, "port": 65536}}, "imap.port"),
        ({"imap": {**LOGIN, "port": "993"}}, "imap.port"),
        ({"imap": {**LOGIN, "host": "a\r\nb"}}, "imap.host"),
        ({"imap": {**LOGIN, "host": "user@host"}}, "imap.host"),
        ({"imap": {**LOGIN, "host": "x" * 254}}, "imap.host"),
        ({"imap": {**LOGIN, "username": "a\0b"}}, "imap.username"),
        ({"imap": {**LOGIN, "password": "a\r\nLOGOUT"}}, "imap.password"),
        ({"imap": {**LOGIN, "password": ""}}, "imap.password"),
        ({"imap": {**LOGIN, "security": "ssl"}}, "imap.security"),
        ({"imap": {**LOGIN, "hots": "x"}}, "imap.hots"),
        ({"imap": {"host": "x", "username": "y"}}, "imap.password"),
        ({"imap": "x"}, "imap"),
        ({"backfill_days": 366}, "backfill_days"),
        ({"backfill_days": -1}, "backfill_days"),
        ({"address": "nobody"}, "address"),
        ({"display_name": "a\nBcc: x"}, "display_name"),
        ({"kind": "mine"}, "kind"),
        ({"tenant_id": "other"}, "tenant_id"),
    ],
)
def test_connecting_refuses_what_no_mail_server_should_be_told(app, change, field):
    app.tester = ScriptedServers()
    answer = app.ask("POST", "/v1/mailboxes", body={**CONNECT, **change})
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert "not-a-real-one" not in answer.text
    assert not app.tester.logins


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "1", "null", '"x"', "\ud800", "[" * 5000, '{"imap":' * 2000]
)
def test_a_body_that_is_no_object_is_the_callers_mistake(app, body):
    answer = app.ask("POST", "/v1/mailboxes", body=body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")


def test_another_content_type_is_415(app):
    answer = app.ask("POST", "/v1/mailboxes/test", body="x", headers={"content-type": "text/plain"})
    assert (answer.status, answer.json["code"]) == (415, "invalid_request")


@pytest.mark.parametrize("body", ["////", "!", "gA=="])
def test_a_body_that_is_not_text_is_refused(app, body):
    event = http_event("POST", "/v1/mailboxes/test", claims={"sub": "ann", "tenant_id": "acme"})
    event.update(body=body, isBase64Encoded=True)
    assert app.handle(event).status == 400


def test_reconnecting_and_disconnecting(app):
    app.tester = ScriptedServers()
    mailbox_id = app.ask("POST", "/v1/mailboxes", body=CONNECT).json["id"]
    preview = app.ask("GET", f"/v1/mailboxes/{mailbox_id}/disconnection").json
    assert preview == {
        "mailbox_id": mailbox_id, "address": "ann@ours.example", "primary_of": [],
        "open_backfills": 1, "queued_sends": 0, "sent_lately_by": [], "more_sends": False,
    }  # fmt: skip
    gone = app.ask("DELETE", f"/v1/mailboxes/{mailbox_id}")
    assert (gone.status, gone.text) == (204, "")
    assert app.ask("DELETE", f"/v1/mailboxes/{mailbox_id}").status == 204
    assert app.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["status"] == "disconnected"
    logins = {"imap": LOGIN, "smtp": LOGIN}
    back = app.ask("POST", f"/v1/mailboxes/{mailbox_id}/reconnect", body=logins)
    assert (back.status, back.json["status"]) == (200, "active")
    other = {**LOGIN, "username": "somebody@else.example"}
    wrong = app.ask(
        "POST", f"/v1/mailboxes/{mailbox_id}/reconnect", body={"imap": other, "smtp": other}
    )
    assert (wrong.status, wrong.json["code"]) == (409, "wrong_mailbox")


def test_a_mailbox_whose_mail_is_kept_out_is_not_connected(app):
    app.tester = ScriptedServers()
    named = {"addresses": ["ann@ours.example"], "confirm": ["ann@ours.example"]}
    erase = {**named, "keeps_out": "all_mail"}
    assert app.ask("POST", "/v1/erasures", body=erase, roles="[admin]").status == 202
    refused = app.ask("POST", "/v1/mailboxes", body=CONNECT)
    assert (refused.status, refused.json["code"]) == (409, "address_kept_out")
    assert (refused.json["acts"], app.secrets.secrets) == ("tenant_admin", {})
    assert app.ask("GET", "/v1/mailboxes").json["items"] == []


# ---- settings ----


def test_settings_that_are_left_out_stay(app):
    add_mailbox(app.world, "MB1")
    answer = app.ask("PATCH", "/v1/mailboxes/MB1", body={"display_name": " Ann at work "})
    assert (answer.status, answer.json["display_name"]) == (200, "Ann at work")
    answer = app.ask(
        "PATCH", "/v1/mailboxes/MB1", body={"reply_to": "a@ours.example", "purpose": "support"}
    )
    assert answer.json["display_name"] == "Ann at work"
    assert app.ask("PATCH", "/v1/mailboxes/MB1", body={"reply_to": None}).json["reply_to"] is None
    assert not app.queues.syncs


def test_other_folders_or_another_cadence_ask_for_a_run(app):
    add_mailbox(app.world, "MB1")
    answer = app.ask("PATCH", "/v1/mailboxes/MB1", body={"active_folders": ["Sent", "Trash"]})
    assert answer.json["active_folders"] == ["Sent", "Trash"]
    app.ask("PATCH", "/v1/mailboxes/MB1", body={"sync_minutes": 15})
    assert len({request.run_id for request in app.queues.syncs}) == 1
    assert len(app.queues.syncs) == 2
    answer = app.ask("PATCH", "/v1/mailboxes/MB1", body={"active_folders": None})
    assert answer.json["active_folders"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"active_folders": ["Nowhere"]}, "active_folders"),
        ({"active_folders": ["Parent"]}, "active_folders"),
        ({"active_folders": []}, "active_folders"),
        ({"sync_minutes": 7}, "sync_minutes"),
        ({"sync_minutes": True}, "sync_minutes"),
        ({"sync_minutes": "5"}, "sync_minutes"),
        ({"sync_minutes": 5.0}, "sync_minutes"),
        ({"reply_to": "nobody"}, "reply_to"),
        ({"status": "active"}, "status"),
        ({"visibility": "all"}, "visibility"),
    ],
)
def test_settings_that_cannot_be_are_named(app, body, field):
    add_mailbox(app.world, "MB1")
    answer = app.ask("PATCH", "/v1/mailboxes/MB1", body=body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (400, field)


def test_an_administrator_cannot_open_a_personal_mailbox_by_its_settings(app):
    add_mailbox(app.world, "BOB", owner="bob")
    for change in ({"visibility": "full"}, {"owner_user_id": "ann"}):
        answer = app.ask("PATCH", "/v1/mailboxes/BOB", body=change, roles="[admin]")
        assert answer.status == 400
    assert (
        app.ask("PATCH", "/v1/mailboxes/BOB", body={"purpose": "sales"}, roles="admin").status
        == 200
    )
    assert (
        app.ask("PATCH", "/v1/mailboxes/BOB", body={"visibility": "full"}, user="bob").status == 200
    )


def test_a_shared_mailbox_is_changed_by_administrators(app):
    add_mailbox(app.world, "TEAM", kind=MailboxKind.SHARED)
    assert app.ask("PATCH", "/v1/mailboxes/TEAM", body={"visibility": "full"}).status == 403
    change = {"visibility": "full", "owner_user_id": "bob"}
    answer = app.ask("PATCH", "/v1/mailboxes/TEAM", body=change, roles="[admin]")
    assert (answer.json["visibility"], answer.json["owner_user_id"]) == ("full", "bob")


def test_whom_a_shared_mailbox_is_granted_to_is_changed_by_administrators(app):
    add_mailbox(app.world, "TEAM", kind=MailboxKind.SHARED)
    add_mailbox(app.world, "ANN")

    def grant(to, box="TEAM", **who):
        return app.ask("PATCH", f"/v1/mailboxes/{box}", body={"granted_to": to}, **who)

    assert grant(["ann"]).json["code"] == "admin_required"
    assert grant(["bob", "cyd", "bob"], roles="admin").json["granted_to"] == ["bob", "cyd"]
    assert grant(None, roles="admin").json["granted_to"] == ["bob", "cyd"]
    assert app.ask("GET", "/v1/mailboxes/TEAM", user="bob").status == 200
    assert grant(["bob"], user="bob").json["code"] == "admin_required"
    assert grant([], roles="admin").json["granted_to"] == []
    assert app.ask("GET", "/v1/mailboxes/TEAM", user="bob").status == 404
    assert grant([], user="bob").json["code"] == "mailbox_not_found"
    assert grant("everyone", roles="admin").json["granted_to"] == "everyone"
    assert app.ask("GET", "/v1/mailboxes/TEAM", user="bob").status == 200
    assert grant(["bob"], box="ANN").json["errors"][0]["field"] == "granted_to"


def test_a_primary_is_each_users_own(app):
    add_mailbox(app.world, "TEAM", kind=MailboxKind.SHARED, granted_to=Readers((UserId("bob"),)))
    assert app.ask("PUT", "/v1/mailboxes/TEAM/primary").json["is_primary"] is True
    assert app.ask("GET", "/v1/mailboxes/TEAM", user="bob").json["is_primary"] is False
    add_mailbox(app.world, "BOB", owner="bob")
    others = app.ask("PUT", "/v1/mailboxes/BOB/primary", roles="admin")
    assert (others.status, others.json["code"]) == (403, "owner_required")
    others = app.ask("PUT", "/v1/mailboxes/TEAM/primary", user="root", roles="admin")
    assert (others.status, others.json["code"]) == (403, "owner_required")
    add_mailbox(app.world, "OLD", status=MailboxStatus.DISCONNECTED)
    gone = app.ask("PUT", "/v1/mailboxes/OLD/primary").json
    assert (gone["code"], gone["detail"]) == ("wrong_state", "The mailbox is disconnected.")
    synced = app.ask("POST", "/v1/mailboxes/OLD/sync").json
    assert synced["detail"] == "Only an active mailbox is synced, and this one is `disconnected`."


def test_sync_now_is_202_and_not_doubled(app):
    add_mailbox(app.world, "MB1")
    first, second = (app.ask("POST", "/v1/mailboxes/MB1/sync") for _ in range(2))
    assert first.status == 202
    assert first.json == second.json


def test_the_life_of_a_backfill(app):
    add_mailbox(app.world, "MB1")
    started = app.ask("POST", "/v1/mailboxes/MB1/backfills", body={"days": 30})
    assert (started.status, started.json["state"]) == (201, "planning")
    path = f"/v1/mailboxes/MB1/backfills/{started.json['id']}"
    assert app.ask("GET", path).json == started.json
    assert app.ask("GET", "/v1/mailboxes/MB1/backfills").json["items"] == [started.json]
    assert app.ask("POST", f"{path}/pause").json["state"] == "paused"
    assert app.ask("POST", f"{path}/resume").json["state"] == "planning"
    second = app.ask("POST", "/v1/mailboxes/MB1/backfills", body={"days": 7}).json
    assert second["detail"] == "Another import of this mailbox is not over yet."
    assert app.ask("POST", f"{path}/cancel").json["state"] == "cancelled"
    resumed = app.ask("POST", f"{path}/resume")
    assert (resumed.status, resumed.json["detail"]) == (
        409, "The import is `cancelled`: there is nothing to resume."
    )  # fmt: skip
    for days in (0, 366, "30", 1.5, None):
        answer = app.ask("POST", "/v1/mailboxes/MB1/backfills", body={"days": days})
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, "days")


# ---- contacts ----


def test_a_contact_comes_and_goes(app):
    body = {"name": "Cleo", "addresses": ["Cleo@Client.example", "cleo@client.example"]}
    put = app.ask("PUT", "/v1/contacts/crm:42@x", body=body)
    assert (put.status, put.json["addresses"], put.json["version"]) == (
        200,
        ["cleo@client.example"],
        1,
    )
    assert app.ask("GET", "/v1/contacts/crm%3A42%40x").json == put.json
    assert (
        app.ask("PUT", "/v1/contacts/crm:42@x", body=body, headers={"if-match": '"1"'}).json[
            "version"
        ]
        == 2
    )
    late = {**body, "name": "Late"}
    stale = app.ask("PUT", "/v1/contacts/crm:42@x", body=late, headers={"if-match": '"1"'})
    assert (stale.status, stale.json["code"]) == (409, "version_conflict")
    assert (
        app.ask("PUT", "/v1/contacts/crm:42@x", body=body, headers={"if-match": "x"}).status == 400
    )
    assert app.ask("DELETE", "/v1/contacts/crm:42@x").status == 204
    assert app.ask("DELETE", "/v1/contacts/crm:42@x").json["code"] == "contact_not_found"


def test_a_merged_contact_says_which_it_is_now(app):
    for name in ("crm:42@x", "old"):
        body = {"name": name, "addresses": [f"{name[:3]}@client.example"]}
        assert app.ask("PUT", f"/v1/contacts/{name}", body=body).status == 200
    path, body = "/v1/contacts/crm%3A42%40x/merge", {"from": "old", "from_version": 1}
    stale = app.ask("POST", path, body=body, headers={"if-match": '"2"'})
    assert (stale.status, stale.json["code"]) == (409, "version_conflict")
    stale = app.ask("POST", path, body={**body, "from_version": 2})
    assert (stale.status, stale.json["code"]) == (409, "version_conflict")
    merged = app.ask("POST", path, body=body, headers={"if-match": '"1"'})
    assert (merged.status, merged.json["merged"]) == (200, ["old"])
    assert merged.json["addresses"] == ["crm@client.example", "old@client.example"]
    assert app.ask("POST", path, body=body, headers={"if-match": '"1"'}).json == merged.json
    assert app.ask("GET", "/v1/contacts").json["items"] == [merged.json]
    put = {"name": "Old"}
    for method, rest, given in (
        ("GET", "", None), ("GET", "/messages", None), ("DELETE", "", None), ("PUT", "", put),
        ("POST", "/merge", {"from": "crm:42@x"}),
    ):  # fmt: skip
        gone = app.ask(method, f"/v1/contacts/old{rest}", body=given)
        assert (gone.status, gone.json["code"]) == (410, "contact_merged")
        assert gone.json["merged_into"] == "crm:42@x"
    batch = app.ask("POST", "/v1/contacts/batch", body={"contacts": [{"id": "old", "name": "Old"}]})
    (result,) = batch.json["items"]
    assert (result["error"]["code"], result["error"]["merged_into"]) == (
        "contact_merged",
        "crm:42@x",
    )
    for wrong in ({}, {"from": ""}, {"from": "crm:42@x"}, {**body, "from_version": 0}):
        assert app.ask("POST", path, body=wrong).status in {400, 404}
    assert app.ask("GET", "/v1/contacts/crm:42@x").json == merged.json


def test_a_batch_names_what_was_refused_and_takes_the_rest(app):
    contacts = [
        {"id": "a", "name": "A", "addresses": ["a@client.example"]},
        {"id": "b#", "name": "B"},
        {"id": "c", "name": "C", "addresses": ["nobody"]},
        {"id": "a", "name": "again"},
    ]
    items = app.ask("POST", "/v1/contacts/batch", body={"contacts": contacts}).json["items"]
    assert [item["ok"] for item in items] == [True, False, False, False]
    assert [item["error"] and item["error"]["errors"][0]["field"] for item in items] == [
        None, "id", "addresses.0", "id"
    ]  # fmt: skip
    assert len(app.world.contacts) == 1
    many = [{"id": str(n), "name": "x"} for n in range(101)]
    assert app.ask("POST", "/v1/contacts/batch", body={"contacts": many}).status == 400
    assert app.ask("POST", "/v1/contacts/batch", body={"contacts": []}).status == 400


@pytest.mark.parametrize(
    ("contact", "field", "words"),
    [
        ({"name": "a\nb"}, "name", "This must not hold control characters or line breaks."),
        ({"name": ""}, "name", "This must not be empty."),
        ({"name": " "}, "name", "This must not be empty."),
        ({"name": 1}, "name", "This must be a text."),
        ({}, "name", "This is required."),
        ({"name": "A", "addresses": "a@client.example"}, "addresses", "This must be a list."),
        ({"name": "A", "attributes": {"a": None}}, "attributes.a", "This must be a text."),
        ({"name": "A", "addres": []}, "addres", "This field is not known."),
    ],
)
def test_a_batch_takes_what_a_single_one_takes_and_refuses_the_same(app, contact, field, words):
    single = app.ask("PUT", "/v1/contacts/bad", body=contact)
    assert (single.status, single.json["errors"]) == (400, [{"field": field, "message": words}])
    contacts = [{"id": "good", "name": "Good"}, {"id": "bad", **contact}]
    answer = app.ask("POST", "/v1/contacts/batch", body={"contacts": contacts})
    assert answer.status == 200
    good, bad = answer.json["items"]
    assert (good["ok"], good["id"]) == (True, "good")
    assert (bad["ok"], bad["id"], bad["error"]["code"]) == (False, "bad", "invalid_request")
    assert bad["error"]["errors"] == single.json["errors"]


def test_a_contact_of_a_batch_that_is_none_is_refused_by_itself(app):
    contacts = [None, {"name": "no id"}, {"id": 7, "name": "x"}, {"id": "..", "name": "dots"}]
    items = app.ask("POST", "/v1/contacts/batch", body={"contacts": contacts}).json["items"]
    assert [(item["ok"], item["id"]) for item in items] == [
        (False, ""), (False, ""), (False, ""), (False, "..")
    ]  # fmt: skip
    assert all(item["error"]["errors"][0]["field"] == "id" for item in items[1:])


def test_contacts_are_listed_in_pages(app):
    for name in "abc":
        app.ask("PUT", f"/v1/contacts/{name}", body={"name": name})
    first = app.ask("GET", "/v1/contacts?limit=2").json
    assert [item["id"] for item in first["items"]] == ["a", "b"]
    second = app.ask("GET", "/v1/contacts", query={"limit": 2, "next": first["next"]}).json
    assert [item["id"] for item in second["items"]] == ["c"]
    assert second["next"] is None


# ---- errors ----


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, cause="secret /etc/x"), 409),
        (ConfigurationError(ErrorCode.IMAP_DISABLED, cause="secret /etc/x"), 502),
        (StoreRefusedError(cause="secret /etc/x"), 500),
        (RetryLaterError(ErrorCode.STORE_THROTTLED, cause="secret /etc/x"), 503),
        (CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause="secret /etc/x"), 503),
        (UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED, cause="secret /etc/x"), 422),
        (ConflictError(ErrorCode.LEASE_HELD, cause="secret /etc/x"), 409),
        (RequestError(ErrorCode.HOST_NOT_ALLOWED, cause="secret /etc/x"), 422),
        (MailroomError(ErrorCode.INTERNAL, cause="secret /etc/x"), 500),
        (RuntimeError("secret /etc/x"), 500),
        (KeyError("secret /etc/x"), 500),
    ],
)
def test_no_error_tells_its_cause(app, monkeypatch, error, status, caplog):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(app.mailboxes, "list_mailboxes", fail)
    answer = app.ask("GET", "/v1/mailboxes")
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) == {"status", "code", "detail", "acts", "fix", "request_id"}
    assert "secret" not in answer.text
    assert ("Retry-After" in answer.headers) == isinstance(error, RetryLaterError)
    logged = [str(vars(record)) for record in caplog.records]
    assert ("secret" in str(logged)) == (isinstance(error, MailroomError) and status >= 500)


def test_a_wish_of_the_provider_becomes_retry_after(app, monkeypatch):
    def fail(*_, **__):
        raise RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=12.2)

    monkeypatch.setattr(app.mailboxes, "list_mailboxes", fail)
    assert app.ask("GET", "/v1/mailboxes").headers["Retry-After"] == "13"


def test_every_code_has_one_status():
    codes = list(ErrorCode)
    requests = codes[codes.index(ErrorCode.INVALID_REQUEST) : codes.index(ErrorCode.INTERNAL)]
    assert set(requests) == set(STATUS_BY_CODE)


def test_an_unknown_route_is_a_problem_too(app):
    answer = app.ask("GET", "/v1/nothing")
    assert (answer.status, answer.json["code"]) == (404, "not_found")


def test_a_change_that_races_is_merged(app, monkeypatch):
    add_mailbox(app.world, "MB1")
    real = app.mailboxes.save_settings
    calls: list[int] = []

    def race(mailbox):
        if not calls:
            calls.append(1)
            real(replace(mailbox, display_name="theirs"))
        return real(mailbox)

    monkeypatch.setattr(app.mailboxes, "save_settings", race)
    body = app.ask("PATCH", "/v1/mailboxes/MB1", body={"purpose": "billing"}).json
    assert (body["display_name"], body["purpose"]) == ("theirs", "billing")
