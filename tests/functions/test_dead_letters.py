"""A message nobody could read, from its strike to its replay, through the handlers and on moto's AWS."""

import json
from urllib.parse import urlsplit

import boto3
import pytest

from functions.sync_mailbox.handler import lambda_handler as sync_mailbox
from shared import wiring
from shared.aws.queues import encode_sync
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.ports.queues import SyncRequest
from tests.fakes.deployment import context
from tests.functions.moto_stack import sqs_event

POISON = "poison"


class Died(BaseException):
    """The process ended: not an Exception, so that nothing of ours catches it."""


class Parser(MimeParser):
    """The real one, but for messages of one subject."""

    raises: BaseException | None = None

    def parse(self, message):
        if self.raises is not None and POISON.encode() in (message.raw or b""):
            raise self.raises
        return super().parse(message)


@pytest.fixture
def parser(monkeypatch):
    made = Parser()
    monkeypatch.setattr(wiring, "parser", lambda: made)
    return made


def refuse(parser):
    parser.raises = UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED)


def objects(prefix):
    listed = boto3.client("s3").list_objects_v2(Bucket="mailroom-test", Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", [])]


def letters(stack, mailbox_id):
    return stack.ask("GET", f"/v1/mailboxes/{mailbox_id}/dead-letters").json["items"]


def subjects(stack):
    return sorted(item["subject"] for item in stack.ask("GET", "/v1/messages").json["items"])


def poll(stack, mailbox_id):
    stack.clock.advance(minutes=6)
    stack.tick()
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/sync")


def connected(stack, *deliver):
    mailbox_id = stack.connect()
    stack.work()
    for number in deliver:
        stack.deliver(number, **({"Subject": POISON} if number == 2 else {}))
    return mailbox_id


def test_it_is_listed_explained_had_raw_and_stored_once_it_can_be_read(stack, parser):
    refuse(parser)
    mailbox_id = connected(stack, 1, 2, 3)
    poll(stack, mailbox_id)
    stack.work()
    assert subjects(stack) == ["Mail 1", "Mail 3"]
    (letter,) = letters(stack, mailbox_id)
    assert (letter["code"], letter["state"], letter["acts"]) == (
        "message_malformed",
        "open",
        "user",
    )
    place = f"/v1/mailboxes/{mailbox_id}/dead-letters/{letter['id']}"
    link = stack.ask("GET", f"{place}/raw").json
    key = urlsplit(link["url"]).path.removeprefix("/").removeprefix("mailroom-test/")
    assert objects("letters/") == [key]
    raw = boto3.client("s3").get_object(Bucket="mailroom-test", Key=key)["Body"].read()
    assert b"Subject: poison" in raw
    assert len(raw) == letter["raw_size"] == link["size"]

    answer = stack.ask("POST", f"{place}/replay")
    assert answer.status == 202, answer.text
    stack.work()
    (again,) = letters(stack, mailbox_id)
    assert (again["attempts"], again["state"]) == (2, "open")
    assert objects("letters/") == [key]

    parser.raises = None
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/dead-letters/replay")
    stack.work()
    assert subjects(stack) == ["Mail 1", "Mail 3", POISON]
    assert letters(stack, mailbox_id) == []
    assert objects("letters/") == []
    assert stack.ask("GET", place).status == 404


def test_one_that_kills_the_worker_is_set_aside_and_the_others_are_not(stack, parser):
    mailbox_id = connected(stack, 1, 2, 3)
    parser.raises = Died()
    body = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    deaths = 0
    for _ in range(6):
        try:
            sync_mailbox(sqs_event(body), context())
        except Died:
            deaths += 1
            stack.clock.advance(minutes=20)
    # Once as one of many, then alone until it has its strikes.
    assert deaths == 3
    assert subjects(stack) == ["Mail 1", "Mail 3"]
    (letter,) = letters(stack, mailbox_id)
    assert (letter["code"], letter["acts"]) == ("killed_its_reader", "operator")
    assert letter["raw_size"]
    parser.raises = None
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/dead-letters/{letter['id']}/replay")
    stack.work()
    assert subjects(stack) == ["Mail 1", "Mail 3", POISON]
    assert letters(stack, mailbox_id) == []


def test_what_was_deleted_at_the_provider_meanwhile_is_read_from_what_was_kept(stack, parser):
    refuse(parser)
    mailbox_id = connected(stack, 2)
    poll(stack, mailbox_id)
    stack.work()
    assert len(letters(stack, mailbox_id)) == 1
    (uid,) = stack.server.folders["INBOX"].mails
    stack.server.delete("INBOX", uid)
    parser.raises = None
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/dead-letters/replay")
    stack.work()
    assert letters(stack, mailbox_id) == []
    assert objects("letters/") == []
    # A message that was removed there is kept here, and no longer among those in its folder.
    assert subjects(stack) == []


def test_very_many_are_replayed_page_by_page(stack, parser, monkeypatch):
    monkeypatch.setattr("shared.operations.replay_dead_letters.MOST_AT_ONCE", 1)
    parser.raises = UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED)
    mailbox_id = connected(stack, 2, 2)
    poll(stack, mailbox_id)
    stack.work()
    place = f"/v1/mailboxes/{mailbox_id}/dead-letters/replay"
    first = stack.ask("POST", place).json
    rest = stack.ask("POST", place, query={"next": first["next"]}).json
    assert [len(answer["queued"]) for answer in (first, rest)] == [1, 1]
    assert first["queued"] != rest["queued"]
    assert (rest["next"], rest["blocked"]) == (None, [])
    # Of another list, though its positions look alike.
    listed = stack.ask("GET", place.removesuffix("/replay"), query={"limit": "1"}).json["next"]
    refused = stack.ask("POST", place, query={"next": listed})
    assert (refused.status, refused.json["code"]) == (400, "invalid_page_token")


def test_a_lost_replay_is_sent_again_by_the_sweeper(stack, parser):
    refuse(parser)
    mailbox_id = connected(stack, 2)
    poll(stack, mailbox_id)
    stack.work()
    parser.raises = None
    stack.ask("POST", f"/v1/mailboxes/{mailbox_id}/dead-letters/replay")
    assert len(stack.bodies("chunk")) == 1
    sent = 0
    for _ in range(7):
        stack.clock.advance(minutes=1)
        sent += stack.sweep()["sent"]
    assert sent >= 1
    stack.work()
    assert subjects(stack) == [POISON]
    assert letters(stack, mailbox_id) == []


def test_a_request_that_cannot_be_read_stays_in_its_queue_and_is_logged_without_its_text(
    stack, caplog
):
    mailbox_id = stack.connect()
    stack.work()
    body = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    newer = json.dumps({**json.loads(body), "v": 99})
    answer = stack.bury("not json: hunter2", body, newer)
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in (0, 2)]
    }
    assert [letter["kind"] for letter in letters(stack, mailbox_id)] == ["sync"]
    lines = [line for line in caplog.records if line.message == "dead_letter_unreadable"]
    assert [line.message_id for line in lines] == ["message-0", "message-2"]
    assert "hunter2" not in repr([vars(line) for line in caplog.records])


def test_a_poll_that_was_given_up_is_asked_for_again(stack):
    mailbox_id = connected(stack, 1)
    body = encode_sync(SyncRequest(TenantId("acme"), MailboxId(mailbox_id), RunReason.SCHEDULE))
    stack.bury(body)
    (letter,) = letters(stack, mailbox_id)
    place = f"/v1/mailboxes/{mailbox_id}/dead-letters/{letter['id']}"
    assert stack.ask("GET", f"{place}/raw").json["code"] == "raw_message_not_found"
    assert stack.ask("POST", f"{place}/replay").json["queued"] == [letter["id"]]
    assert letters(stack, mailbox_id) == []
    stack.work()
    assert subjects(stack) == ["Mail 1"]
