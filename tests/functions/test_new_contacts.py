"""Contacts of unknown senders, made by the real handlers in the real stores, one or many at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from shared import wiring
from shared.aws.queues import encode_sync
from shared.domain.ids import Address, MailboxId, TenantId
from shared.domain.new_contacts import id_of_sender
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.provider import FakeMailServer
from tests.functions.everything import places_of
from tests.functions.import_under_way import ALL_WELL, deliver

TENANT = TenantId("acme")
DAN = {"From": "Dan Deal <dan@client.example>"}
DAN_ID = id_of_sender(TENANT, Address("dan@client.example"))
TOGETHER = 6


@pytest.fixture
def stack(stack):
    stack.mailbox_id = stack.connect(backfill_days=30, create_contacts=True)
    stack.work()
    return stack


def sync_request(mailbox_id):
    return encode_sync(SyncRequest(TENANT, MailboxId(mailbox_id), RunReason.SCHEDULE))


def sync(stack):
    stack.clock.advance(minutes=5)
    assert deliver(stack, "sync", sync_request(stack.mailbox_id)) == ALL_WELL
    stack.work()


def contacts(stack):
    return stack.ask("GET", "/v1/contacts").json["items"]


def addresses(stack):
    return sorted(address for one in contacts(stack) for address in one["addresses"])


def latest_run(stack):
    return stack.ask("GET", f"/v1/mailboxes/{stack.mailbox_id}/runs").json["items"][0]


def test_a_stranger_who_writes_is_a_contact_with_a_timeline_and_the_run_says_so(stack):
    stack.deliver(1, **DAN)
    stack.deliver(2, **DAN)
    sync(stack)
    (made,) = contacts(stack)
    assert (made["id"], made["name"]) == (DAN_ID, "Dan Deal")
    assert (made["addresses"], made["made_from_mail"]) == (["dan@client.example"], True)
    run = latest_run(stack)
    assert (run["contacts_made"], run["contacts_put_off"]) == (1, 0)
    assert "Contacts made: 1." in run["message"]
    timeline = stack.ask("GET", f"/v1/contacts/{DAN_ID}/messages").json["items"]
    assert [one["subject"] for one in timeline] == ["Mail 2", "Mail 1"]


def test_an_import_makes_contacts_too(stack):
    stack.deliver(1, **DAN)
    stack.clock.advance(days=2)
    stack.mailbox_id = stack.connect(
        address="bob@ours.example",
        imap={"host": "imap.example.org", "username": "bob", "password": "not-a-real-one"},
        smtp={"host": "imap.example.org", "username": "bob", "password": "not-a-real-one"},
        backfill_days=30,
        create_contacts=True,
    )
    stack.work()
    assert addresses(stack) == ["dan@client.example"]


def test_mail_of_machines_of_ours_and_of_whom_the_policy_refuses_makes_none(stack):
    policy = {
        "own_domains": ["partner.example"],
        "blocklist": ["*.spam.example"],
        "automated": "store",
        "plus_tags": "keep",
        "dots": "keep",
    }
    assert stack.ask("PUT", "/v1/policy", body=policy, roles="[admin]").status == 200
    stack.deliver(1, From="news@client.example", **{"List-Unsubscribe": "<https://x.example>"})
    stack.deliver(2, From="eve@client.example", **{"Auto-Submitted": "auto-replied"})
    stack.deliver(3, From="no-reply@client.example")
    stack.deliver(4, From="ann+crm@ours.example")
    stack.deliver(5, From="x@partner.example", To="ann@ours.example, y@client.example")
    stack.deliver(6, From="x@a.spam.example")
    stack.deliver(7, From="Mail System <mailer-daemon@mx.example>", **{"Return-Path": "<>"})
    stack.deliver(8, folder="Sent", From="alias@client.example", To="cleo@client.example")
    sync(stack)
    assert contacts(stack) == []
    assert latest_run(stack)["contacts_made"] == 0
    assert latest_run(stack)["stored"] == 7


def test_a_mailbox_that_wants_none_makes_none_and_reads_nothing_for_it(stack, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "shared.aws.contact_store.DynamoContactStore.unknown_senders",
        lambda *args: asked.append(args),
    )
    body = {"create_contacts": False}
    assert stack.ask("PATCH", f"/v1/mailboxes/{stack.mailbox_id}", body=body).status == 200
    stack.deliver(1, **DAN)
    sync(stack)
    assert (asked, contacts(stack)) == ([], [])


# ---- never twice ----


def test_the_same_run_again_and_its_mail_again_change_nothing(stack, monkeypatch):
    stack.deliver(1, **DAN)
    sync(stack)
    (before,) = contacts(stack)
    stack.deliver(2, **DAN)
    sync(stack)
    stack.server.renumber("INBOX")
    sync(stack)
    assert contacts(stack) == [before]


def test_two_mailboxes_that_meet_one_stranger_at_one_moment_make_one_contact(stack, monkeypatch):
    servers = {"ann": stack.server, "bob": FakeMailServer.with_folders("INBOX", "Sent", "Trash")}
    by_login = SimpleNamespace(
        open=lambda grant, *, seconds=None: servers[grant.imap.server.username].open(
            grant, seconds=seconds
        )
    )
    monkeypatch.setattr(wiring, "provider_of", lambda _provider: by_login)
    login = {"host": "imap.example.org", "username": "bob", "password": "not-a-real-one"}
    bob = stack.connect(
        address="bob@ours.example", imap=login, smtp=login, backfill_days=0, create_contacts=True
    )
    stack.work()
    for number in range(TOGETHER):
        stack.server = servers["ann"]
        stack.deliver(number, From=f"P{number} <p{number}@client.example>")
        stack.server = servers["bob"]
        stack.deliver(100 + number, From=f"P{number} <p{number}@client.example>")
    stack.clock.advance(minutes=5)
    begin, pool = threading.Barrier(2), ThreadPoolExecutor(2)

    def run(mailbox_id):
        begin.wait(10)
        return deliver(stack, "sync", sync_request(mailbox_id))

    assert list(pool.map(run, [stack.mailbox_id, bob])) == [ALL_WELL] * 2
    made = contacts(stack)
    assert sorted(one["addresses"][0] for one in made) == [
        f"p{number}@client.example" for number in range(TOGETHER)
    ]
    assert {one["version"] for one in made} == {1}


# ---- what people decide ----


def test_a_deleted_contact_is_not_made_again_and_leaves_no_address(stack):
    stack.deliver(1, **DAN)
    sync(stack)
    assert stack.ask("DELETE", f"/v1/contacts/{DAN_ID}").status == 204
    stack.deliver(2, **DAN)
    sync(stack)
    assert contacts(stack) == []
    deleted = [place for place in places_of(DAN_ID)[DAN_ID] if "dan@" in place]
    assert deleted == []


def test_one_that_was_merged_stays_merged(stack):
    stack.deliver(1, **DAN)
    sync(stack)
    crm = {"name": "Daniel", "addresses": ["daniel@client.example"]}
    assert stack.ask("PUT", "/v1/contacts/crm-1", body=crm).status == 200
    merge = stack.ask("POST", "/v1/contacts/crm-1/merge", body={"from": DAN_ID})
    assert merge.json["merged"] == [DAN_ID]
    assert merge.json["made_from_mail"] is False
    stack.deliver(2, **DAN)
    sync(stack)
    (one,) = contacts(stack)
    assert one["id"] == "crm-1"
    assert len(stack.ask("GET", "/v1/contacts/crm-1/messages").json["items"]) == 2


def test_erasing_a_person_takes_the_contact_and_the_note_that_it_was_deleted(stack):
    stack.deliver(1, **DAN)
    stack.deliver(2, From="Eve <eve@client.example>")
    sync(stack)
    eve_id = id_of_sender(TENANT, Address("eve@client.example"))
    assert stack.ask("DELETE", f"/v1/contacts/{eve_id}").status == 204
    people = ["dan@client.example", "eve@client.example"]
    body = {"addresses": people, "confirm": people, "keeps_out": "stored_mail"}
    assert stack.ask("POST", "/v1/erasures", body=body, roles="[admin]").status == 202
    assert places_of(eve_id)[eve_id]
    stack.erase()
    (erasure,) = stack.ask("GET", "/v1/erasures", roles="[admin]").json["items"]
    assert (erasure["state"], erasure["erased"]["contacts"]) == ("done", 1)
    for word in (DAN_ID, eve_id, *people):
        assert places_of(word)[word] == []
    stack.clock.advance(minutes=1)
    stack.deliver(3, **DAN)
    sync(stack)
    assert addresses(stack) == ["dan@client.example"]


def test_past_a_days_contacts_mail_is_stored_and_the_run_says_who_is_put_off(stack, monkeypatch):
    monkeypatch.setattr("shared.operations.meet_senders.MOST_A_DAY", 2)
    stack.deliver(1, **DAN)
    sync(stack)
    for number in range(3):
        stack.deliver(10 + number, From=f"p{number}@flood.example")
    sync(stack)
    run = latest_run(stack)
    assert (run["stored"], run["contacts_made"], run["contacts_put_off"]) == (3, 0, 3)
    assert "3, as the day's contacts were made" in run["message"]
    stack.clock.advance(days=1)
    stack.deliver(20, From="p1@flood.example")
    sync(stack)
    assert addresses(stack) == ["dan@client.example", "p1@flood.example"]


# ---- where only contacts' mail is kept ----


def test_a_mailbox_of_contacts_mail_alone_keeps_what_makes_a_contact_and_no_machines_mail(stack):
    """The contact comes before the match: of who writes first, that first message is kept."""
    body = {"store": "contacts_only"}
    assert stack.ask("PATCH", f"/v1/mailboxes/{stack.mailbox_id}", body=body).status == 200
    stack.deliver(1, **DAN)
    stack.deliver(2, From="news@client.example", **{"List-Id": "<news.client.example>"})
    stack.deliver(3, From="ann+x@ours.example")
    sync(stack)
    assert addresses(stack) == ["dan@client.example"]
    run = latest_run(stack)
    assert (run["stored"], run["skipped"], run["contacts_made"]) == (1, {"no_contact": 2}, 1)
    timeline = stack.ask("GET", f"/v1/contacts/{DAN_ID}/messages").json["items"]
    assert [one["subject"] for one in timeline] == ["Mail 1"]
