"""What a release stores and sends, kept as samples that every later one has to read.

    python -m tests.contract.stores.forms 2026-11-22

writes the sample of a release. Samples are never changed and never taken away.
"""

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.api.paging import ListOf
from shared.aws import queues
from shared.aws.attempt_store import DynamoAttemptStore
from shared.aws.grant_holders import DynamoGrantHolders
from shared.aws.login_keys import _place, _suite
from shared.aws.oauth_clients import written_client
from shared.aws.relay import tick_event
from shared.domain.audit import Audit, Window
from shared.domain.change import Wanted
from shared.domain.cursor import Cursor
from shared.domain.errors import ContactMergedError, ErrorCode
from shared.domain.ids import Address, ContactId, MailboxId, OpeningId, ThreadId, UserId
from shared.domain.lease import Fence
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.mailbox import Provider, Watch
from shared.domain.message import Body
from shared.domain.opening import Opening
from shared.domain.policy import TenantPolicy
from shared.domain.run import RunReason
from shared.domain.schedule import SlotRange
from shared.domain.secret import Secret
from shared.domain.signature import Signature
from shared.domain.visibility import ThreadLevel
from shared.operations.access import KeptTokens
from shared.operations.access import _written as _written_login
from shared.ports.attempts import AccountGrant, Attempt
from shared.ports.queues import (
    AuditRequest,
    ChangesRequest,
    ChunkRequest,
    EraseRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
)
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from shared.ports.sign_in import OAuthClient
from shared.ports.stores import SyncOutcome
from shared.providers.gmail import position as gmail
from shared.providers.imap.position import Position as ImapPosition
from shared.providers.outlook.position import Position as OutlookPosition
from tests.fakes.backends import BUCKET, Stores, on_aws
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    NOW,
    OTHER_BOX,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_letter,
    a_new_copy,
    a_person,
    a_run,
    a_send,
    an_erasure,
    an_error,
    connected,
    identity_of,
    later,
    lease_of,
    merged_into,
    name,
    some_chunks,
    stands,
)

SAMPLES = Path(__file__).resolve().parents[2] / "payloads" / "forms"
USER = UserId("u1")
SEND, LETTER, BACKFILL = a_send(), a_letter(), a_backfill()
OPENING = Opening(OpeningId("01OPEN1"), USER, "Ticket 4711", NOW, later(3600))
ERASURE = a_person(addresses=(BOB,))
THREAD = ThreadId("t" * 26)
STATE = "a-state-of-128-random-bits"
ATTEMPT = Attempt(
    tenant_id=TENANT,
    user_id=USER,
    is_admin=True,
    provider=Provider.GMAIL,
    client_id="client-of-ours",
    redirect_uri="https://api.example/v1/oauth/gmail/callback",
    return_url="https://app.example/connected",
    kept=Secret("verifier-and-nonce"),
    cookie_digest="digest-of-a-cookie",
    expires_at=(NOW + timedelta(minutes=10)).replace(microsecond=0),
)
NOISE = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(3_000))
"""A body that is too large for the table, however it is packed."""
SERVER = ServerLogin(
    ServerSettings("imap.example.org", 993, Security.TLS, "ann"), Secret("not-a-real-password")
)
GRANTS = {
    "imap": ImapGrant(imap=SERVER, smtp=SERVER),
    "oauth": KeptTokens("client-of-ours", Secret("not-a-real-token")),
}
CLIENT = OAuthClient("client-of-ours", Secret("not-a-real-secret"), "directory", "topic")
TENANTS_KEY = X25519PrivateKey.from_private_bytes(bytes(range(32)))
"""Obviously no tenant's: what a login is sealed with, and KMS would wrap."""
NEWS = Address("bob+news@example.org")
PUSH_KEY, WATCH = "key-of-a-word", Watch("subscription-1", later(6 * 86_400))
ACCOUNT = AccountGrant(Provider.GMAIL, "client-of-ours", "1234567890")
IDS = (TENANT, MailboxId(BOX))
REQUESTS = {
    "sync": (queues.encode_sync, SyncRequest(*IDS, RunReason.SCHEDULE, None)),
    "sync asked for": (queues.encode_sync, SyncRequest(*IDS, RunReason.REQUESTED, "01RUN1")),
    "sync by push": (queues.encode_sync, SyncRequest(*IDS, RunReason.PUSH, None)),
    "plan": (queues.encode_plan, PlanRequest(*IDS, BACKFILL.id)),
    "audit": (queues.encode_audit, AuditRequest(*IDS, NOW)),
    "chunk": (queues.encode_chunk, ChunkRequest(*IDS, BACKFILL.id, 1)),
    "send": (queues.encode_send, SendRequest(*IDS, SEND.id)),
    "changes": (queues.encode_changes, ChangesRequest(*IDS)),
    "erase": (queues.encode_erasure, EraseRequest(TENANT, ERASURE.id)),
}
POSITIONS = {
    "gmail": gmail.Position(12_345, 1_772_366_400, 3, gmail.Walk(1, 2, 3, 4)),
    "imap": ImapPosition("INBOX", 7, 40, modseq=9, messages=12, uidnext=41, compared_at=1_772_366),
    "outlook": OutlookPosition("/me/delta?$deltatoken=x", 1_772_366_400, left=("AAMk=",)),
}
READ_CURSOR: dict[str, Callable[[Cursor], Any]] = {
    "gmail": gmail.read,
    "imap": ImapPosition.of,
    "outlook": OutlookPosition.of,
}
RANGES = [SlotRange("every-5#3#1", MailboxId("01A"), None)]
LIST = ListOf(TENANT, "GET /v1/contacts")


def fill(stores: Stores) -> None:
    """Write at least one of everything."""
    record = connected(stores.mailboxes)
    lease = lease_of(stores.mailboxes, record)
    copies = [
        replace(a_new_copy("1", addresses=(ADA, BOB, NEWS)), provider_thread="theirs"),
        a_new_copy("2", root="mail-1", body=Body(NOISE, None)),
    ]
    stores.messages.save(lease.fence, copies)
    run = a_run(ledger={"unreadable": ("9",)}, code=ErrorCode.PROVIDER_UNAVAILABLE)
    stores.mailboxes.finish_run(
        lease.fence,
        SyncOutcome(
            {"f1nbox": a_folder()}, NOW, run, inbound_error=an_error(), failures=1, due_slot=SLOT
        ),
    )
    stores.mailboxes.set_primary(TENANT, USER, BOX)
    stores.backfills.create_backfill(BACKFILL)
    stores.backfills.put_chunks(BACKFILL, some_chunks(BACKFILL, 2))
    stores.slots.take_slot(TENANT, owner="worker", most=1, now=NOW, seconds=60)
    audit = Audit(TENANT, BOX, NOW, NOW, (Window(NOW),), repair_id=BACKFILL.id)
    stores.audits.save_audit(Fence(TENANT, BOX, record.run_state.generation), audit)
    one, other = (
        stores.contacts.put_contact(a_contact(text, *addresses), expected_version=None)
        for text, addresses in (("c1", (BOB,)), ("c2", ("bob@else.example",)))
    )
    merged_into(stores, one, other)
    stores.attachments.put(TENANT, iter([b"abc"]), holder=f"{BOX}/1", limit=9)
    stores.letters.note(lease.fence, LETTER)
    stores.letters.keep_raw(TENANT, BOX, LETTER.id, iter([b"raw"]), limit=9)
    stores.letters.note_raw(lease.fence, LETTER.id, size=3, missing=None)
    stores.policies.put_policy(TENANT, TenantPolicy(), expected_version=None)
    stores.signatures.put_signature(TENANT, USER, Signature("Ann", "<b>Ann</b>"))
    box = stands(stores.mailboxes, record.mailbox).mailbox
    box = stores.openings.save_with(replace(box, openings=(OPENING,)), OPENING)
    caps = SendCaps(mailbox_a_day=100, tenant_a_day=1000, mailbox_a_minute=50)
    stores.sends.create(SEND, IdempotencyKey("0" * 64, "body"), caps, now=NOW)
    stores.outgoing.put(SendRef(TENANT, BOX, SEND.id), b"Subject: Offer\r\n\r\nDear Cleo")
    stores.changes.wish(box, {name("1"): Wanted(seen=False)}, now=NOW)
    stores.erasures.begin_person(ERASURE, ERASURE.keeps_out, require=lambda: None)
    closed = connected(stores.mailboxes, id=OTHER_BOX, address="left@acme.example").mailbox
    stores.mailboxes.disconnect(TENANT, OTHER_BOX, identity_of(closed))
    of_mailbox = an_erasure(mailbox_id=OTHER_BOX)
    stores.erasures.begin_mailbox(of_mailbox, stands(stores.mailboxes, closed))
    stores.threads.set_level(TENANT, THREAD, BOX, ThreadLevel.PRIVATE)
    DynamoAttemptStore(stores.table).add(STATE, ATTEMPT)
    DynamoGrantHolders(stores.table).hold(ACCOUNT, TENANT, BOX)
    record = stands(stores.mailboxes, record.mailbox)
    stores.push.listen(record, PUSH_KEY, proof="digest", until=later(9))
    stores.push.keep(record, PUSH_KEY, WATCH, renew_at=later(5), until=later(9))


TOLD: dict[str, Callable[[Stores], Any]] = {
    "mailbox": lambda stores: stores.mailboxes.get(TENANT, BOX),
    "mailboxes": lambda stores: stores.mailboxes.list_mailboxes(TENANT),
    "folders": lambda stores: stores.mailboxes.folders(TENANT, BOX),
    "primary": lambda stores: stores.mailboxes.primary(TENANT, USER),
    "runs": lambda stores: stores.runs.list_runs(TENANT, BOX, limit=9, before=None),
    "backfills": lambda stores: stores.backfills.list_backfills(TENANT, BOX),
    "chunk": lambda stores: stores.backfills.get_chunk(TENANT, BOX, BACKFILL.id, 1),
    "audit": lambda stores: stores.audits.get_audit(TENANT, BOX),
    "messages": lambda stores: stores.get_messages(TENANT, ids_of(stores)),
    "bodies": lambda stores: [stores.messages.get_body(TENANT, one) for one in ids_of(stores)],
    "copies": lambda stores: stores.messages.copies_by_id(TENANT, BOX, [name("1"), name("2")]),
    "mail by address": lambda stores: stores.by_address(TENANT, BOB),
    "contacts": lambda stores: stores.contacts.list_contacts(TENANT, after=None, limit=9),
    "merged contact": lambda stores: merged(stores),
    "letter": lambda stores: stores.letters.get_letter(TENANT, BOX, LETTER.id),
    "policy": lambda stores: stores.policies.get_policy(TENANT),
    "signature": lambda stores: stores.signatures.get_signature(TENANT, USER),
    "opening": lambda stores: stores.openings.get_opening(TENANT, BOX, OPENING.id),
    "send": lambda stores: stores.sends.get(SendRef(TENANT, BOX, SEND.id)),
    "erasure": lambda stores: stores.erasures.get_erasure(TENANT, ERASURE.id),
    "erasure of a mailbox": lambda stores: stores.erasures.erasure_of(TENANT, OTHER_BOX),
    "settled": lambda stores: stores.audits.settled(TENANT, BOX),
    "holders": lambda stores: DynamoGrantHolders(stores.table).is_held(ACCOUNT),
    "thread": lambda stores: stores.threads.get_threads(TENANT, [THREAD]),
    "listeners": lambda stores: stores.push.listeners(Provider.IMAP, PUSH_KEY),
    "sign-in": lambda stores: DynamoAttemptStore(stores.table).get(STATE),
}
"""Every way to read what is stored, whose answers are compared."""


def merged(stores: Stores) -> Any:
    """Which contact the merged one is now."""
    try:
        return stores.contacts.get_contact(TENANT, ContactId("c2"))
    except ContactMergedError as error:
        return error.merged_into


def ids_of(stores: Stores) -> list[Any]:
    """The messages of the mailbox, by its index."""
    return sorted({entry.message_id for entry in stores.by_mailbox(TENANT, BOX)})


def plain(value: Any) -> Any:
    """A value as JSON, to be compared with what another release read."""
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    return json.loads(orjson.dumps(value, default=_plain, option=options))


def _plain(value: Any) -> Any:
    match value:
        case frozenset() | set():
            return sorted(map(str, value))
        case bytes():
            return value.hex()
        case Secret():
            return value.reveal()
    return str(value)


def sample() -> dict[str, Any]:
    """What the code of today writes, and what it reads of it."""
    with on_aws() as stores:
        fill(stores)
        s3 = stores.clients.s3
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        told = {what: plain(read(stores)) for what, read in TOLD.items()}
        return {
            "items": sorted(map(_written, stores.items()), key=lambda item: str(item)),
            "objects": {
                key: _text(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in keys
            },
            "told": told,
            "requests": {what: encode(one) for what, (encode, one) in REQUESTS.items()},
            "cursors": {what: one.cursor().encode() for what, one in POSITIONS.items()},
            "logins": {what: _written_login(one).reveal() for what, one in GRANTS.items()},
            "oauth client": written_client(CLIENT).reveal(),
            "sealed": _text(_suite().encrypt(b"sealed", TENANTS_KEY.public_key(), _place(*IDS))),
            "tick": tick_event(NOW, RANGES),
            "page token": LIST.token("c1"),
        }


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _written(item: dict[str, Any]) -> dict[str, Any]:
    return {key: {"B": _text(value["B"])} if "B" in value else value for key, value in item.items()}


def put_back(stores: Stores, written: dict[str, Any], form: str | None = None) -> None:
    """Fill an empty table and bucket with a sample; `form` is what each item says of itself."""
    for item in written["items"]:
        raw = {
            key: {"B": base64.b64decode(value["B"])} if "B" in value else value
            for key, value in item.items()
        }
        if form is not None:
            raw["form"] = {"N": form}
        stores.table.client.put_item(TableName=stores.table.name, Item=raw)
    for key, content in written["objects"].items():
        body = base64.b64decode(content)
        stores.clients.s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def main() -> None:
    """Write the sample of a release."""
    SAMPLES.mkdir(exist_ok=True)
    path = SAMPLES / f"{sys.argv[1]}.json"
    if path.exists():
        raise SystemExit(f"{path.name} is there: samples are not changed")
    path.write_text(json.dumps(sample(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
