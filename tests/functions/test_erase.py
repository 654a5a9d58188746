"""After an erasure what was erased is found nowhere: real handlers and real stores, on moto.

Words are planted wherever mail can carry one, found, erased, and looked for in everything AWS holds.
"""

import re
from datetime import timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import boto3
import pytest

from shared import wiring
from shared.aws.message_store import DynamoMessageStore
from shared.aws.queues import encode_chunk, encode_plan, encode_sync
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.explanations import explain
from shared.domain.ids import BackfillId, MailboxId, SendId, TenantId, new_ulid
from shared.domain.run import RunReason
from shared.domain.schedule import is_audit_minute
from shared.domain.sending import Recipient
from shared.mime.parse import MimeParser
from shared.ports.queues import ChunkRequest, PlanRequest, SyncRequest
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.deployment import context
from tests.fakes.values import a_send
from tests.functions.everything import everything, places_of
from tests.functions.moto_stack import WORKERS, sqs_event

EVE = "zebra-sender@client.example"
WORDS = (
    "zebra-sender", "zebra-name", "zebra-subject", "zebra-body", "zebra-large", "zebra-html",
    "zebra-attached", "zebra-filename", "zebra-streamed", "zebra-cc", "zebra-bcc", "zebra-id",
    "zebra-reply", "zebra-copied", "zebra-asked", "zebra-outgoing", "zebra-key", "zebra-request",
    "zebra-uploaded",
)  # fmt: skip
NOISE = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(12_000))


def mail(number, at, *, sender=EVE, to="ann@ours.example", large=False, streamed=False):
    """A mail with a planted word in every part of it."""
    made = EmailMessage()
    made["From"] = f"Zebra-Name <{sender}>"
    made["To"], made["Cc"] = to, "zebra-cc@client.example"
    made["Bcc"], made["Reply-To"] = "zebra-bcc@client.example", "zebra-reply@client.example"
    made["Subject"], made["Date"] = f"Zebra-Subject {number}", format_datetime(at)
    made["Message-ID"] = f"<zebra-id-{number}@client.example>"
    made.set_content("Zebra-Body" + (f" Zebra-Large {NOISE}" if large else ""))
    made.add_alternative("<p>Zebra-Html</p>", subtype="html")
    content = b"Zebra-Attached" + (b" Zebra-Streamed" * 400_000 if streamed else b"")
    made.add_attachment(content, maintype="text", subtype="x-z", filename="zebra-filename.txt")
    return made.as_bytes()


def fill(stack):
    """Connect Ann's mailbox and give it Eve's mail, in the backfill and by sync; return its id."""
    at = stack.clock.at
    for number in range(3):
        stack.server.deliver("INBOX", mail(number, at, large=number == 1), stack.clock.at)
        stack.clock.advance(minutes=1)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()
    uid = stack.server.deliver("INBOX", mail(3, at, streamed=True), stack.clock.at)
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()
    stack.server.mark_seen("INBOX", uid)
    stack.server.delete("INBOX", 1)
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")
    stack.work()
    send_to_eve(MailboxId(mailbox_id), stack.clock.at)
    return mailbox_id


def send_to_eve(mailbox_id, at):
    """Ask for a mail to her that waits, with its key and its content, and upload a file for another."""
    mailbox = wiring.mailboxes().get(TenantId("acme"), mailbox_id).mailbox
    send = a_send(
        mailbox_id=mailbox_id,
        generation=mailbox.generation,
        id=SendId(new_ulid(at)),
        recipients=(Recipient(EVE), Recipient("zebra-copied@client.example")),
        subject="Zebra-Asked",
        created_at=at,
        due_at=at + timedelta(days=1),
    )
    ref = SendRef(send.tenant_id, send.mailbox_id, send.id)
    wiring.outgoing().put(ref, b"Zebra-Outgoing")
    key = IdempotencyKey("zebra-key", "zebra-request")
    wiring.sends().create(send, key, SendCaps(9, 9, 9), now=at)
    upload = f"sending-uploads/acme/ann/{new_ulid(at)}"
    boto3.client("s3").put_object(Bucket="mailroom-test", Key=upload, Body=b"Zebra-Uploaded")


def plant_a_dead_letter(mailbox_id):
    """Put what is kept of a message that could not be read: an item, and the message as it came."""
    item = {"pk": f"acme#mailbox#{mailbox_id}", "sk": "letter#1", "cause": "zebra-letter"}
    boto3.client("dynamodb").put_item(
        TableName="mailroom-test", Item={name: {"S": value} for name, value in item.items()}
    )
    key = f"letters/acme/{mailbox_id}/1"
    boto3.client("s3").put_object(Bucket="mailroom-test", Key=key, Body=b"Zebra-Letter")
    assert len(places_of("zebra-letter")["zebra-letter"]) == 2


def put_contacts(stack):
    put = {"name": "Zebra-Name", "addresses": [EVE]}
    assert stack.ask("PUT", "/v1/contacts/eve", body=put).status == 200
    put = {"name": "Both", "addresses": [EVE, "both@client.example"]}
    assert stack.ask("PUT", "/v1/contacts/both", body=put).status == 200


def ask(stack, *, roles="[admin]", **body):
    answer = stack.ask("POST", "/v1/erasures", body=body, roles=roles)
    assert answer.status == 202, answer.text
    return answer.json["id"]


def ask_for_box(stack, mailbox_id):
    return ask(stack, mailbox_id=mailbox_id, confirm=["ann@ours.example"])


def ask_for_eve(stack, keeps_out="stored_mail"):
    return ask(stack, addresses=[EVE], keeps_out=keeps_out, confirm=[EVE])


def receipt_of(stack, erasure_id):
    receipt = stack.ask("GET", f"/v1/erasures/{erasure_id}", roles="[admin]").json
    assert receipt["state"] == "done"
    return receipt


def late_work(mailbox_id):
    """Work of every kind that somebody might send again days later."""
    tenant, box = TenantId("acme"), MailboxId(mailbox_id)
    return {
        "sync": encode_sync(SyncRequest(tenant, box, RunReason.SCHEDULE)),
        "plan": encode_plan(PlanRequest(tenant, box, BackfillId("01BF"))),
        "chunk": encode_chunk(ChunkRequest(tenant, box, BackfillId("01BF"), 0)),
    }


def without_receipts():
    """All there is but for the erasures themselves and what they keep out."""
    return sorted((place, text) for place, text in everything() if "#erasures" not in place)


@pytest.fixture
def planted(stack):
    """A mailbox full of planted words, every one of which is found."""
    mailbox_id = fill(stack)
    found = places_of(*WORDS)
    assert [word for word, places in found.items() if not places] == []
    kinds = {place.split()[0] for places in found.values() for place in places}
    assert kinds == {"table", "object"}
    return mailbox_id


# ---- a mailbox ----


def test_of_an_erased_mailbox_no_word_is_found_anywhere(stack, planted):
    assert places_of("not-a-real-one")["not-a-real-one"] == [
        place for place, _ in everything() if place.startswith("secret")
    ]
    plant_a_dead_letter(planted)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    erasure_id = ask_for_box(stack, planted)
    stack.work()
    stack.erase()
    words = (*WORDS, "zebra-letter", "not-a-real-one", "ann@ours.example")
    assert places_of(*words) == {word: [] for word in words}
    receipt = receipt_of(stack, erasure_id)
    assert (receipt["erased"]["messages"], receipt["erased"]["bodies"]) == (4, 1)
    assert receipt["erased"]["copies"] >= 4
    assert receipt["erased"]["attachments"] == 4
    assert receipt["erased"]["runs"] >= 3
    assert (receipt["erased"]["dead_letters"], receipt["erased"]["raw_messages"]) == (1, 1)
    # All that names it is its receipt; what its messages were is a key for a few minutes more.
    left = [place for place, text in everything() if planted in text]
    assert all("#erasures" in place for place in left)
    assert [place for place, _ in everything() if place.startswith(("object", "secret"))] == []
    assert {re.sub(r"[a-z2-7]{24,}|\d+$", "…", place) for place, _ in without_receipts()} <= {
        # How many chunks the tenant has at work: a number, and no longer whose.
        "table acme#chunk-slots …",
        # How often a mailbox was connected, and how many imports were begun in a day.
        "table acme#mailboxes places",
        "table acme#imports 2026-03-…",
        # To how many recipients the tenant sent in a day.
        "table acme#sent 2026-03-…",
        "table acme#thread#… message#…",
    }


def test_late_work_brings_nothing_of_an_erased_mailbox_back(stack, planted):
    ask_for_box(stack, planted)
    stack.erase()
    before, logins = without_receipts(), stack.server.logins
    for kind, body in late_work(planted).items():
        assert WORKERS[kind](sqs_event(body), context()) == {"batchItemFailures": []}
        stack.bury(body)
    for _ in range(6):
        assert stack.tick()["queued"] == 0
        stack.sweep()
    stack.work()
    assert without_receipts() == before
    assert stack.server.logins == logins


def test_a_run_that_is_at_work_meanwhile_is_over_before_anything_goes(stack, planted, monkeypatch):
    """The mailbox is closed and erased while a run is between fetching and storing."""
    session_of = stack.server.open
    stack.server.deliver("INBOX", mail(9, stack.clock.at, large=True), stack.clock.at)

    def interrupted(grant, *, seconds=None):
        ask_for_box(stack, planted)
        return session_of(grant, seconds=seconds)

    monkeypatch.setattr(stack.server, "open", interrupted)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    (body,) = stack.bodies("sync")
    WORKERS["sync"](sqs_event(body), context())
    assert places_of("zebra-id-9")["zebra-id-9"] == [], "its fence is gone"
    stack.erase()
    assert places_of(*WORDS) == {word: [] for word in WORDS}


def test_asking_for_the_erasure_again_changes_nothing(stack, planted):
    erasure_id = ask_for_box(stack, planted)
    stack.erase()
    receipt = receipt_of(stack, erasure_id)
    assert ask_for_box(stack, planted) == erasure_id
    assert stack.erase() == 0
    assert receipt_of(stack, erasure_id) == receipt


def test_the_account_may_be_connected_anew_and_begins_from_nothing(stack, planted):
    ask_for_box(stack, planted)
    stack.erase()
    again = stack.connect(backfill_days=30)
    stack.work()
    assert again != planted
    assert len(stack.ask("GET", f"/v1/messages?mailbox_id={again}").json["items"]) == 3


# ---- a person ----


def test_of_an_erased_person_no_word_is_found_anywhere(stack, planted):
    put_contacts(stack)
    stack.deliver(99)
    stack.work()
    erasure_id = ask_for_eve(stack)
    stack.erase()
    assert places_of(*WORDS) == {word: [] for word in WORDS}
    receipt = receipt_of(stack, erasure_id)
    erased = receipt["erased"]
    assert (erased["messages"], erased["contacts"], erased["bodies"]) == (4, 2, 1)
    assert stack.ask("GET", "/v1/contacts/eve").status == 404
    assert stack.ask("GET", "/v1/contacts/both").json["addresses"] == ["both@client.example"]
    assert "zebra" not in stack.ask("GET", "/v1/erasures", roles="[admin]").text


def test_mail_of_others_stays_and_the_mailbox_goes_on(stack, planted):
    stack.deliver(50)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    ask_for_eve(stack)
    stack.erase()
    stack.deliver(51)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    items = stack.ask("GET", f"/v1/messages?mailbox_id={planted}").json["items"]
    assert [item["subject"] for item in items] == ["Mail 51", "Mail 50"]


@pytest.mark.parametrize("keeps_out", ["stored_mail", "all_mail"])
def test_an_erased_person_is_not_imported_again(stack, planted, keeps_out):
    erasure_id = ask_for_eve(stack, keeps_out)
    stack.erase()
    # All is listed again, as after an expired cursor, and imported again.
    stack.server.renumber("INBOX")
    answer = stack.ask("POST", f"/v1/mailboxes/{planted}/backfills", body={"days": 365})
    assert answer.status == 201, answer.text
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    assert places_of(*WORDS) == {word: [] for word in WORDS}
    counts = stack.ask("GET", f"/v1/mailboxes/{planted}/runs").json["items"]
    assert any("erased" in str(run["skipped"]) for run in counts)
    # What arrives later is stored as ever, or never.
    stack.server.deliver("INBOX", mail(10, stack.clock.advance(minutes=9)), stack.clock.at)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    assert bool(places_of("zebra-id-10")["zebra-id-10"]) is (keeps_out == "stored_mail")
    assert places_of("zebra-large")["zebra-large"] == []
    assert receipt_of(stack, erasure_id)["keeps_out"] == keeps_out


@pytest.mark.parametrize("keeps_out", ["stored_mail", "all_mail"])
def test_what_arrives_while_an_erasure_waits_is_as_what_arrives_later(stack, planted, keeps_out):
    ask_for_eve(stack, keeps_out)
    stack.server.deliver("INBOX", mail(10, stack.clock.advance(minutes=1)), stack.clock.at)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    stack.erase()
    assert bool(places_of("zebra-id-10")["zebra-id-10"]) is (keeps_out == "stored_mail")
    assert places_of("zebra-large", "zebra-id-1@") == {"zebra-large": [], "zebra-id-1@": []}


def test_of_what_nobody_can_read_nothing_of_an_erased_person_is_kept_again(
    stack, planted, monkeypatch
):
    """It has its letters, by sync and by import; that is all there is of it."""
    ask_for_eve(stack, "all_mail")
    stack.erase()
    monkeypatch.setattr(MimeParser, "parse", refuse)
    stack.server.renumber("INBOX")
    stack.deliver(50)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.ask("POST", f"/v1/mailboxes/{planted}/backfills", body={"days": 365})
    stack.work()
    assert places_of(*WORDS) == {word: [] for word in WORDS}
    letters = stack.ask("GET", f"/v1/mailboxes/{planted}/dead-letters").json["items"]
    missing = sorted(str(letter["raw_missing"]) for letter in letters)
    assert missing == ["None", "kept_out", "kept_out", "kept_out"], "another's is kept"
    told = {letter["raw_missing_message"] for letter in letters if not letter["raw_size"]}
    assert told == {explain(ErrorCode.KEPT_OUT).message}


def refuse(_parser, _message):
    raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED)


def test_who_is_let_in_again_is_imported_again(stack, planted):
    erasure_id = ask_for_eve(stack, "all_mail")
    stack.erase()
    target = f"/v1/erasures/{erasure_id}/keeps_out"
    assert stack.ask("DELETE", target, roles="[admin]").status == 200
    stack.server.renumber("INBOX")
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    assert places_of("zebra-body")["zebra-body"]


def test_an_audit_brings_back_nobody_who_was_let_in_and_an_import_does(stack):
    """The provider lists Eve's mail all the time; whether audits passed it meanwhile is no matter."""
    for number in range(3):
        stack.server.deliver("INBOX", mail(number, stack.clock.at), stack.clock.at)
        stack.clock.advance(minutes=1)
    mailbox_id = stack.connect(backfill_days=30)
    stack.work()
    erasure_id = ask_for_eve(stack, "all_mail")
    stack.erase()
    target = f"/v1/erasures/{erasure_id}/keeps_out"
    assert stack.ask("DELETE", target, roles="[admin]").status == 200
    stack.clock.advance(minutes=1)
    while not is_audit_minute(MailboxId(mailbox_id), stack.clock.at + timedelta(minutes=1)):
        stack.clock.advance(minutes=1)
    stack.tick()
    stack.work()
    shown = stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").json["completeness"]
    assert (shown["listed"], shown["ledgered"], shown["missing"]) == (3, 3, 0)
    assert places_of("zebra-body")["zebra-body"] == []
    answer = stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/backfills", body={"days": 365})
    assert answer.status == 201, answer.text
    stack.work()
    assert places_of("zebra-body")["zebra-body"]


def test_a_run_at_work_when_a_person_is_erased_leaves_nothing(stack, planted, monkeypatch):
    """The run had read whom to keep out, and stores Eve's mail after the erasure was asked for."""
    stack.server.deliver("INBOX", mail(9, stack.clock.at), stack.clock.at)
    kept_out = DynamoMessageStore.kept_out

    def then_asked(self, tenant_id):
        before = kept_out(self, tenant_id)
        if not asked:
            asked.append(ask_for_eve(stack))
        return before

    asked = []
    monkeypatch.setattr(DynamoMessageStore, "kept_out", then_asked)
    stack.ask("POST", f"/v1/mailboxes/{planted}/sync")
    stack.work()
    assert places_of("zebra-id-9")["zebra-id-9"], "it was stored all the same"
    stack.erase()
    assert places_of(*WORDS) == {word: [] for word in WORDS}


def test_another_tenants_mail_of_the_same_person_stays(stack, planted):
    theirs = stack.ask(
        "POST",
        "/v1/mailboxes",
        tenant="other",
        body={
            "address": "ann@ours.example",
            "imap": {"host": "imap.example.org", "username": "ann", "password": "x"},
            "smtp": {"host": "imap.example.org", "username": "ann", "password": "x"},
            "backfill_days": 30,
        },
    ).json["id"]
    stack.work()
    before = len(
        stack.ask("GET", f"/v1/messages?mailbox_id={theirs}", tenant="other").json["items"]
    )
    ask_for_eve(stack)
    ask_for_box(stack, planted)
    stack.erase()
    places = {place for places in places_of(*WORDS).values() for place in places}
    assert places
    assert all("other" in place for place in places)
    listed = stack.ask("GET", f"/v1/messages?mailbox_id={theirs}", tenant="other").json["items"]
    assert len(listed) == before > 0
    assert stack.ask("GET", f"/v1/messages/{listed[0]['id']}", tenant="other").status == 200
