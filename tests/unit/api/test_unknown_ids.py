"""Another tenant's id, one nobody has and one nobody could have: the same answer, byte for byte."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.tasks.openapi import CALLBACK, contract
from shared.domain.backfill import Backfill, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind, message_letter_id
from shared.domain.erasure import ErasureState
from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, ErasureId, OpeningId, ProviderMessageId, RunId, UserId
from shared.domain.lease import Fence
from shared.domain.ledger import Counts
from shared.domain.mailbox import Alias, MailboxKind, Visibility
from shared.domain.message import StoredAttachment
from shared.domain.opening import Opening
from shared.domain.run import Run, RunReason
from shared.domain.sending import SendKind
from tests.fakes.deployment import Deployment
from tests.fakes.mail import INBOX, START, add_contact, add_mailbox, message_of, store
from tests.fakes.values import a_send, an_erasure

LOGIN = {"host": "imap.example.org", "username": "else", "password": "not-a-real-one"}
BODIES = {
    ("PATCH", "/v1/mailboxes/{mailbox_id}"): {"purpose": "sales"},
    ("POST", "/v1/mailboxes/{mailbox_id}/reconnect"): {"imap": LOGIN, "smtp": LOGIN},
    ("POST", "/v1/mailboxes/{mailbox_id}/backfills"): {"days": 7},
    ("POST", "/v1/mailboxes/{mailbox_id}/openings"): {"reason": "Ticket 4711: a lost order"},
    ("PATCH", "/v1/mailboxes/{mailbox_id}/messages"): {"seen": True},
    ("PATCH", "/v1/mailboxes/{mailbox_id}/messages/{message_id}"): {"seen": True},
    ("POST", "/v1/mailboxes/{mailbox_id}/aliases"): {"address": "c@alias.example"},
    ("POST", "/v1/mailboxes/{mailbox_id}/test-messages"): {},
    ("POST", "/v1/contacts/{contact_id}/merge"): {"from": "theirs-too"},
    ("PUT", "/v1/threads/{thread_id}/visibility"): {"level": "subject"},
}
NOT_FOUND_NEVER = {("PUT", "/v1/contacts/{contact_id}"), CALLBACK}
"""Creates what is not there; has no tenant."""
ROUTES = sorted(
    (method.upper(), path)
    for path, operations in contract()["paths"].items()
    for method in operations
    if "{" in path and (method.upper(), path) not in NOT_FOUND_NEVER
)


def fill(app):
    """Give a tenant one of everything, all of it shared and open, and return the ids."""
    box = add_mailbox(
        app.world, "THEIRS", tenant="other", kind=MailboxKind.SHARED, visibility=Visibility.FULL
    )
    box = replace(box, aliases=(Alias("sales@alias.example"),))
    app.world.mailboxes[box.tenant_id, box.id] = box
    add_contact(app.world, "theirs", "cleo@client.example", tenant="other")
    add_contact(app.world, "theirs-too", "c.leo@client.example", tenant="other")
    parts = (StoredAttachment("a.pdf", "application/pdf", 1, digest="d"),)
    message = store(app.world, box, message_of("x", tenant="other", attachments=parts))
    backfill = Backfill(
        box.tenant_id,
        box.id,
        BackfillId("BF1"),
        7,
        START,
        BackfillState.RUNNING,
        START,
        generation=1,
    )
    app.backfills.create_backfill(backfill)
    run = Run(box.tenant_id, box.id, RunId("RUN1"), RunReason.SCHEDULE, START, START, Counts())
    app.world.runs[box.tenant_id, box.id] = {run.id: run}
    app.world.erasures[box.tenant_id, ErasureId("ERASED1")] = an_erasure(
        tenant_id=box.tenant_id, id=ErasureId("ERASED1"), state=ErasureState.DONE
    )
    opening = Opening(OpeningId("OPEN1"), UserId("root"), "Ticket 4711", START, START)
    app.openings.save_with(box, opening)
    name = ProviderMessageId("INBOX.1.1")
    letter = DeadLetter(
        box.tenant_id, box.id, message_letter_id(name), LetterKind.MESSAGE,
        ErrorCode.MESSAGE_MALFORMED, box.generation, START, START,
        folder_id=INBOX, provider_message_id=name, raw_size=1,
    )  # fmt: skip
    app.letters.note(Fence(box.tenant_id, box.id, box.generation), letter)
    send = a_send(tenant_id=box.tenant_id, mailbox_id=box.id, kind=SendKind.TEST)
    app.world.sends[box.tenant_id, box.id] = {send.id: send}
    return {
        "address": "sales@alias.example", "send_id": send.id, "letter_id": letter.id, "mailbox_id": box.id, "contact_id": "theirs", "message_id": message.id,
        "thread_id": message.thread_id, "backfill_id": "BF1", "run_id": "RUN1",
        "erasure_id": "ERASED1", "n": "0", "opening_id": opening.id,
    }  # fmt: skip


def answer(app, method, path, ids, tenant):
    target = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
    body = BODIES.get((method, path))
    if path.endswith("/messages") and method == "PATCH":
        body = {**body, "ids": [ids["message_id"]]}
    # A fragment would end the path, and another route would answer.
    target = target.replace("#", "%23")
    got = app.ask(
        method, target, body=body, tenant=tenant, roles="[admin]", headers={"idempotency-key": "k"}
    )
    return got.status, got.text, got.headers


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_a_foreign_id_answers_as_an_unknown_one(app, method, path):
    ids = fill(app)
    before = repr(app.world)
    foreign = answer(app, method, path, ids, "acme")
    unknown = answer(app, method, path, dict.fromkeys(ids, "m" + "a" * 48) | {"n": "0"}, "acme")
    assert foreign == unknown
    assert foreign[0] == 404
    assert repr(app.world) == before
    assert not app.queues.syncs
    assert not app.queues.chunks


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_the_same_id_is_found_by_its_own_tenant(app, method, path):
    ids = fill(app)
    status, text, _ = answer(app, method, path, ids, "other")
    if path.endswith(("/reconnect", "/backfill-preview")):
        assert status == 409, text  # it has no login
    elif (method, path) == ("POST", "/v1/mailboxes/{mailbox_id}/openings"):
        assert status == 409, text  # its owner reads it anyway
    elif (method, path) == ("POST", "/v1/mailboxes/{mailbox_id}/backfills"):
        assert status == 409, text  # one is open
    else:
        assert status < 300, text


KEY_LIKE = st.text(alphabet="abAB01#/.%_:-~@+= \u00e9\u2028", min_size=1, max_size=12)


@given(text=KEY_LIKE | st.text(alphabet="a0", min_size=65, max_size=3_000))
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_a_text_that_is_no_id_reaches_no_store(method, path, text):
    with pytest.MonkeyPatch.context() as monkeypatch:
        app = Deployment().install(monkeypatch)
        ids = fill(app)
        odd = dict.fromkeys(ids, text)
        status, body, _ = answer(app, method, path, odd, "acme")
        assert status == 404, body


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/messages"), ("DELETE", "")],
)
def test_no_key_is_made_of_a_text_that_is_no_contacts_id(app, method, path, monkeypatch):
    def unasked(*_):
        raise AssertionError("asked the store")

    monkeypatch.setattr(app.contacts, "get_contact", unasked, raising=True)
    monkeypatch.setattr(app.contacts, "delete_contact", unasked, raising=True)
    answer = app.ask(method, f"/v1/contacts/{'a' * 500}{path}")
    assert (answer.status, answer.json["code"]) == (404, "contact_not_found")
