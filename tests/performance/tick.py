"""Decides how the schedule's own work is measured: processor time of a tick and of a poll's store.

The real adapters, clients and their signatures; only the wire is replaced, by answers as DynamoDB
and SQS give them. So what is missing is TLS and the waiting, which AWS's own latency decides.
"""

import hashlib
import json
import os
import time
import zlib
from datetime import UTC, datetime
from statistics import median
from typing import Any

from botocore.awsrequest import AWSRequest, AWSResponse

from shared.aws.clients import Clients
from shared.aws.mailbox_items import folder_item, settings_item, state_item
from shared.aws.mailbox_store import DynamoMailboxStore
from shared.aws.queues import SqsWorkQueues
from shared.aws.table import Table
from shared.domain.ids import MailboxId, new_ulid
from shared.domain.mailbox import MailboxStatus, RunState, identity_of
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.fakes.values import INBOX, SENT, TENANT, a_folder, a_mailbox
from tests.performance.units import FAKE_ACCOUNT

Figures = dict[str, Any]
ROUNDS = 9
_POLLS = 200
_OF_AN_INDEX_ITEM = 100
"""Bytes that DynamoDB adds to each item of an index."""
_PROJECTED = ("pk", "sk", "due_slot", "due_key", "mailbox_id", "not_before", "tenant_id")


def measure(mailboxes: int) -> Figures:
    """Return what it costs to read and queue `mailboxes`, and to store polls that found nothing."""
    os.environ.update(FAKE_ACCOUNT)
    clients = Clients()
    table = Table("mailroom", clients=clients)
    store = DynamoMailboxStore(table)
    queues = SqsWorkQueues({"sync": "https://sqs.eu-central-1.amazonaws.com/1/sync"}, clients)
    now = datetime.now(UTC)
    names = [MailboxId(new_ulid(now)) for _ in range(mailboxes)]
    page = [_index_item(name) for name in names]
    answers = _Answers(page)
    table.client.meta.events.register("before-send.dynamodb", answers.of_table)
    clients.sqs.meta.events.register("before-send.sqs", answers.of_queue)
    requests = [SyncRequest(TENANT, name, RunReason.SCHEDULE) for name in names]
    reading, sending, polling = [], [], []
    for _ in range(ROUNDS):
        reading.append(_processor(lambda: list(store.due("every-5#3#1"))))
        sending.append(_processor(lambda: queues.send_syncs(requests)))
        answers.of_poll(store)
        polling.append(_processor(lambda: [_idle_poll(store, now) for _ in range(_POLLS)]))
        answers.of_slot(page)
    return {
        "index_bytes": _bytes_of(page[0]) + _OF_AN_INDEX_ITEM,
        "read_us": median(reading) / mailboxes * 1e6,
        "send_us": median(sending) / mailboxes * 1e6,
        "idle_poll_store_ms": median(polling) / _POLLS * 1e3,
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    return [
        (
            "tick: µs of processor a mailbox, read from the index / queued",
            f"{figures['read_us']:.0f} / {figures['send_us']:.0f}",
            "",
        ),
        ("bytes of a mailbox in the due index", f"{figures['index_bytes']}", ""),
        (
            "idle poll: ms of processor for its three requests to the table",
            f"{figures['idle_poll_store_ms']:.2f}",
            "",
        ),
    ]


class _Answers:
    """What the wire would bring."""

    def __init__(self, page: list[dict[str, Any]]) -> None:
        self.of_slot(page)

    def of_slot(self, page: list[dict[str, Any]]) -> None:
        self.queries = [_body({"Items": page, "Count": len(page)})]

    def of_poll(self, store: DynamoMailboxStore) -> None:
        mailbox = a_mailbox(status=MailboxStatus.ACTIVE)
        record = [
            settings_item(mailbox, identity_of(mailbox)).serialize(),
            state_item(mailbox, RunState(due_slot="every-5#3#1")).serialize(),
        ]
        folders = [
            folder_item(TENANT, mailbox.id, a_folder(folder)).serialize()
            for folder in (INBOX, SENT)
        ]
        self.queries = [_body({"Items": items, "Count": 2}) for items in (record, folders)]

    def of_table(self, request: AWSRequest, **_: object) -> AWSResponse:
        if b"KeyConditionExpression" not in request.body:
            return _answer(request, _body({}))
        self.queries.append(self.queries.pop(0))
        return _answer(request, self.queries[-1])

    def of_queue(self, request: AWSRequest, **_: object) -> AWSResponse:
        taken = [
            {
                "Id": entry["Id"],
                "MessageId": "5fea7756-0ea4-451a-a703-a558b933e274",
                "MD5OfMessageBody": hashlib.md5(entry["MessageBody"].encode()).hexdigest(),
            }
            for entry in json.loads(request.body)["Entries"]
        ]
        return _answer(request, _body({"Successful": taken, "Failed": []}))


class _Stream:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, *_: object, **__: object) -> list[bytes]:
        return [self.body]


def _answer(request: AWSRequest, body: bytes) -> AWSResponse:
    headers = {
        "content-type": "application/x-amz-json-1.0",
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return AWSResponse(request.url, 200, headers, _Stream(body))


def _body(answer: object) -> bytes:
    return json.dumps(answer).encode()


def _index_item(name: MailboxId) -> dict[str, Any]:
    mailbox = a_mailbox(id=name)
    item = state_item(mailbox, RunState(due_slot="every-5#3#1")).serialize()
    return {key: value for key, value in item.items() if key in _PROJECTED}


def _bytes_of(item: dict[str, Any]) -> int:
    return sum(len(name) + sum(map(len, value.values())) for name, value in item.items())


def _idle_poll(store: DynamoMailboxStore, now: datetime) -> None:
    mailbox = a_mailbox()
    record = store.get(TENANT, mailbox.id)
    if record is None or len(store.folders(TENANT, mailbox.id)) != len((INBOX, SENT)):
        raise ValueError("the answers do not fit the requests")
    store.finish_idle(record, now=now)


def _processor(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
