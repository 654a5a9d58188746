"""Dead letters over HTTP: what they say, who is told, and what replaying answers."""

from dataclasses import replace

import pytest

from shared.domain.backfill import Backfill, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind, message_letter_id, work_letter_id
from shared.domain.errors import ErrorCode
from shared.domain.ids import BackfillId, ProviderMessageId, RunId, UserId
from shared.domain.lease import Fence
from shared.domain.mailbox import MailboxKind, MailboxStatus, Readers
from tests.fakes.mail import INBOX, START, add_mailbox

LETTERS = "/v1/mailboxes/MB1/dead-letters"


@pytest.fixture
def box(app):
    return add_mailbox(app.world, "MB1")


def noted(app, box, name="INBOX.1.7", **changes):
    letter = DeadLetter(
        tenant_id=box.tenant_id,
        mailbox_id=box.id,
        id=message_letter_id(ProviderMessageId(name)),
        kind=LetterKind.MESSAGE,
        code=ErrorCode.KILLED_ITS_READER,
        generation=box.generation,
        first_seen_at=START,
        last_seen_at=START,
        run_id=RunId("R1"),
        folder_id=INBOX,
        provider_message_id=ProviderMessageId(name),
    )
    fence = Fence(box.tenant_id, box.id, box.generation)
    return app.letters.note(fence, replace(letter, **changes))


def test_a_letter_says_what_happened_who_acts_and_what_to_do(app, box):
    letter = noted(app, box, size=9, received_at=START, raw_size=9)
    found = app.ask("GET", f"{LETTERS}/{letter.id}")
    assert found.status == 200, found.text
    assert found.json == {
        "id": letter.id, "mailbox_id": "MB1", "kind": "message", "state": "open",
        "code": "killed_its_reader", "acts": "operator",
        "message": "A message ended the program that read it, twice, and was given up.",
        "fix": "Mend the reader with the raw message, then replay it; it stays at the provider.",
        "first_seen_at": "2026-02-01T09:00:00Z", "last_seen_at": "2026-02-01T09:00:00Z",
        "attempts": 1, "run_id": "R1", "folder_id": "INBOX", "provider_message_id": "INBOX.1.7",
        "received_at": "2026-02-01T09:00:00Z", "size": 9, "raw_size": 9, "raw_missing": None,
        "raw_missing_message": None, "backfill_id": None, "chunk": None,
        "replay_backfill_id": None, "replayed_at": None,
    }  # fmt: skip
    assert app.ask("GET", LETTERS).json == {"items": [found.json], "next": None}


def test_a_letter_without_a_raw_message_says_why(app, box):
    letter = noted(app, box, raw_missing=ErrorCode.MESSAGE_GONE)
    found = app.ask("GET", f"{LETTERS}/{letter.id}").json
    assert (found["raw_size"], found["raw_missing"]) == (None, "message_gone")
    assert found["raw_missing_message"].startswith("A message was deleted at the provider")


def test_a_list_goes_on_where_it_ended_and_no_token_is_anothers(app, box):
    add_mailbox(app.world, "MB2")
    letters = {noted(app, box, f"INBOX.1.{number}").id for number in range(5)}
    found, token = [], ""
    while token is not None:
        query = {"limit": "2"} | ({"next": token} if token else {})
        page = app.ask("GET", LETTERS, query=query).json
        found += [item["id"] for item in page["items"]]
        last, token = token, page["next"]
    assert len(found) == 5
    assert set(found) == letters
    elsewhere = app.ask("GET", "/v1/mailboxes/MB2/dead-letters", query={"limit": "2", "next": last})
    assert (elsewhere.status, elsewhere.json["code"]) == (400, "invalid_page_token")


def test_the_raw_message_is_its_readers_alone(app, box):
    letter = noted(app, box, raw_size=9)
    raw = f"{LETTERS}/{letter.id}/raw"
    link = app.ask("GET", raw).json
    assert letter.id in link["url"]
    assert (link["size"], link["expires_at"]) == (9, "2026-03-01T12:05:00Z")
    # An administrator sees that there is a letter, and may replay it, and reads nobody's mail.
    admin = {"user": "root", "roles": "[admin]"}
    assert app.ask("GET", f"{LETTERS}/{letter.id}", **admin).status == 200
    refused = app.ask("GET", raw, **admin)
    assert (refused.status, refused.json["code"]) == (404, "raw_message_not_found")
    assert app.ask("POST", f"{LETTERS}/{letter.id}/replay", **admin).status == 202
    # Another user learns nothing, not even that there is such a mailbox.
    for method, target in (
        ("GET", LETTERS),
        ("GET", raw),
        ("POST", f"{LETTERS}/replay"),
        ("POST", f"{LETTERS}/{letter.id}/replay"),
    ):
        stranger = app.ask(method, target, user="bob")
        assert (stranger.status, stranger.json["code"]) == (404, "mailbox_not_found")


def test_a_replay_is_taken_on_and_can_be_followed(app, box):
    letters = {noted(app, box, f"INBOX.1.{number}").id for number in range(2)}
    answer = app.ask("POST", f"{LETTERS}/replay")
    assert answer.status == 202, answer.text
    assert set(answer.json["queued"]) == letters
    assert (answer.json["blocked"], answer.json["next"]) == ([], None)
    assert len(app.queues.chunks) == 1
    backfill_id = answer.json["backfill_id"]
    replay = app.ask("GET", f"/v1/mailboxes/MB1/backfills/{backfill_id}").json
    assert (replay["state"], replay["kind"], replay["listed"]) == ("running", "replay", 2)
    # It is no import: nobody asked for days of history.
    assert app.ask("GET", "/v1/mailboxes/MB1/backfills").json["items"] == []
    for item in app.ask("GET", LETTERS).json["items"]:
        assert (item["state"], item["replay_backfill_id"]) == ("replaying", backfill_id)
        assert item["replayed_at"]


def test_nothing_to_replay_is_no_error(app, box):
    answer = app.ask("POST", f"{LETTERS}/replay")
    nothing = {"queued": [], "blocked": [], "backfill_id": None, "next": None}
    assert (answer.status, answer.json) == (202, nothing)


@pytest.mark.parametrize("status", [MailboxStatus.DISCONNECTED, MailboxStatus.RECONNECT_REQUIRED])
def test_a_mailbox_that_reads_no_mail_replays_none(app, status):
    box = add_mailbox(app.world, "MB1", status=status)
    letter = noted(app, box)
    for target in (f"{LETTERS}/replay", f"{LETTERS}/{letter.id}/replay"):
        answer = app.ask("POST", target)
        assert (answer.status, answer.json["code"]) == (409, "wrong_state")
        assert status in answer.json["detail"]
    assert app.ask("GET", LETTERS).json["items"]


def test_of_a_shared_mailbox_its_readers_see_the_letters_and_administrators_replay(app):
    box = add_mailbox(
        app.world, "MB1", kind=MailboxKind.SHARED, granted_to=Readers((UserId("bob"),))
    )
    letter = noted(app, box)
    assert app.ask("GET", LETTERS, user="bob").json["items"]
    assert app.ask("GET", LETTERS, user="cyd").json["code"] == "mailbox_not_found"
    refused = app.ask("POST", f"{LETTERS}/{letter.id}/replay", user="bob")
    assert (refused.status, refused.json["code"]) == (403, "admin_required")


def test_an_import_in_the_way_is_named(app, box):
    at = START
    failed = Backfill(
        box.tenant_id, box.id, BackfillId("BF1"), 7, at, BackfillState.FAILED, at, box.generation
    )
    other = replace(failed, id=BackfillId("BF2"), state=BackfillState.RUNNING)
    app.world.backfills[box.tenant_id, box.id] = {one.id: one for one in (failed, other)}
    letter = noted(
        app, box, id=work_letter_id(LetterKind.PLAN, failed.id), kind=LetterKind.PLAN,
        provider_message_id=None, backfill_id=failed.id,
    )  # fmt: skip
    answer = app.ask("POST", f"{LETTERS}/{letter.id}/replay")
    assert (answer.status, answer.json["code"]) == (409, "wrong_state")
    assert "Another import" in answer.json["detail"]
