"""Decides what a poll, a message and a tick are counted to consume of all that is billed.

The real handlers run on moto, as many mailboxes in one invocation as a full batch holds; what they
ask AWS for is counted by service, the table's share priced in units as in `units`, and what they
print is what CloudWatch Logs takes in. Nothing here is a time: the counts are the same everywhere.
"""

import io
import json
import os
from collections import Counter
from contextlib import closing, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from infra.tasks.cost import BATCH, MEASURED
from tests.performance.units import AIM_IDLE, FAKE_ACCOUNT, Meter
from tests.performance.units import measure as measure_units

Figures = dict[str, Any]
PRINTED_BY_LAMBDA = 330
"""Bytes of START, END and REPORT that Lambda adds to each invocation; in lack of an account, those of
the examples in its documentation."""
_TICKS = 5
"""In so many minutes each of the mailboxes is due once."""
_AS_DEPLOYED = {
    "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
    "POWERTOOLS_SERVICE_NAME": "mailroom-prod",
}


class NotAsExpectedError(Exception):
    """The work did something other than what is to be counted."""


def measure(messages: int) -> Figures:
    """Return what each kind of work consumes, for one mailbox, message or tick."""
    os.environ.update({**FAKE_ACCOUNT, **_AS_DEPLOYED})
    stored = measure_units(messages)["stored"]
    # After the account: botocore reads it when a client is made.
    import pytest
    from moto import mock_aws

    printed = io.StringIO()
    with mock_aws(), pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        found = _Deployment(patch, printed).count()
    found["imported message"] = {
        "write_units": round(sum(stored["written"].values()), 2),
        "read_units": round(sum(stored["read"].values()), 2),
        "s3_puts": round(stored["objects"], 2),
    }
    return found


class _Deployment:
    """The product on moto, and who counts what is asked for it."""

    def __init__(self, patch: Any, printed: io.StringIO) -> None:
        from shared import wiring
        from shared.aws.clients import clients_of_process
        from tests.fakes.backends import table_definition
        from tests.fakes.clock import FixedClock
        from tests.functions.moto_stack import Stack, client

        self.stack = Stack(clock=FixedClock()).start(patch)
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        patch.setenv("MAILROOM_LOGIN_KEY", key)
        self._patch = patch
        self._printed = printed
        self._asked: Counter[str] = Counter()
        self._table = wiring.table()
        indexes = table_definition()["GlobalSecondaryIndexes"]
        self._meter = Meter(self._table.client, self._table.name, indexes)
        clients = clients_of_process()
        for one in (clients.secrets_manager, clients.kms, clients.sqs):
            one.meta.events.register("before-call", self._hear)

    def _hear(self, model: Any, **_: Any) -> None:
        self._asked[model.service_model.service_name] += 1

    def count(self) -> Figures:
        """Return the figures."""
        with closing(self._meter):
            alone = self._counted(self._ticks, 1, _TICKS)
            boxes = [
                self.stack.connect(address=f"user{number}@ours.example", backfill_days=0)
                for number in range(BATCH)
            ]
            self.stack.work()
            self._poll(boxes)
            idle = self._counted(lambda: self._poll(boxes), BATCH, 1)
            ticks = self._counted(self._ticks, 1, _TICKS)
            if (waiting := len(self.stack.bodies("sync"))) != BATCH:
                raise NotAsExpectedError(f"{waiting} of {BATCH} asked for")
            self._seal()
            self._poll(boxes)
            sealed = self._counted(lambda: self._poll(boxes), BATCH, 1)
            self.stack.deliver(1)
            news = self._counted(lambda: self._poll(boxes[:1]), 1, 1)
            word = self._counted(self._heard_of(boxes[0]), 1, 1)
        added = {name: round((ticks[name] - alone[name]) / BATCH, 3) for name in alone}
        # The fewer are due, the fewer go into one request; a full one takes ten.
        added["queue_requests"] = 0.1
        return {
            "tick that finds nobody": {
                name: round(value / _TICKS, 2) for name, value in alone.items()
            },
            "tick, each mailbox it finds": added,
            "idle poll, a secret each": idle,
            "idle poll, sealed": sealed,
            "run that brings one message": news,
            "a provider's word that asks for a run": word,
        }

    def _counted(self, work: Any, of: int, invocations: int) -> Figures:
        self._meter.reset()
        self._asked.clear()
        self._printed.seek(0)
        self._printed.truncate()
        work()
        logs = len(self._printed.getvalue().encode()) + invocations * PRINTED_BY_LAMBDA
        figures = {
            "write_units": sum(self._meter.written.values()),
            "read_units": sum(self._meter.read.values()),
            "secret_requests": self._asked["secretsmanager"],
            "key_requests": self._asked["kms"],
            "queue_requests": self._asked["sqs"],
            "log_bytes": logs,
        }
        return {name: round(value / of, 2) for name, value in figures.items()}

    def _poll(self, boxes: list[str]) -> None:
        from functions.sync_mailbox.handler import lambda_handler
        from shared.aws.queues import encode_sync
        from shared.domain.ids import MailboxId, TenantId
        from shared.domain.run import RunReason
        from shared.ports.queues import SyncRequest
        from tests.fakes.deployment import context
        from tests.functions.moto_stack import sqs_event

        self.stack.clock.advance(minutes=5)
        bodies = [
            encode_sync(SyncRequest(TenantId("acme"), MailboxId(box), RunReason.SCHEDULE))
            for box in boxes
        ]
        answer = lambda_handler(sqs_event(*bodies, sent_at=self.stack.clock.at), context())
        if answer != {"batchItemFailures": []}:
            raise NotAsExpectedError(answer)

    def _heard_of(self, box: str) -> Any:
        """Return what tells of a change in a mailbox, for which somebody listens by then."""
        from functions.receive_push.handler import lambda_handler
        from shared import wiring, wiring_of_push
        from shared.aws.push_store import DynamoPushStore
        from shared.domain.ids import MailboxId, TenantId
        from shared.domain.mailbox import Provider
        from shared.domain.push import key_of_mailbox
        from shared.ports.push import Notice
        from tests.fakes.deployment import context, http_event

        record = wiring.mailboxes().get(TenantId("acme"), MailboxId(box))
        if record is None:
            raise NotAsExpectedError(box)
        # One of Gmail's: only what its words are like differs, and that is checked without AWS.
        record = replace(record, mailbox=replace(record.mailbox, provider=Provider.GMAIL))
        key, until = key_of_mailbox(record.mailbox), self.stack.clock.at + timedelta(days=6)
        if not DynamoPushStore(self._table).listen(record, key, proof=None, until=until):
            raise NotAsExpectedError(key)
        notice = Notice(record.mailbox.address)
        reader = SimpleNamespace(read=lambda _headers, _body: [notice])
        self._patch.setattr(wiring_of_push, "reader", lambda _provider: reader)
        word = http_event("POST", "/v1/push/gmail", body={"message": {}})

        def tell() -> None:
            lambda_handler(word, context())
            if len(self.stack.bodies("sync")) != 1:
                raise NotAsExpectedError("no run was asked for")

        return tell

    def _ticks(self) -> None:
        for _ in range(_TICKS):
            self.stack.tick()

    def _seal(self) -> None:
        from shared import config, wiring
        from tests.functions.moto_stack import forget_adapters

        self._patch.setenv("MAILROOM_CREDENTIAL_STORE", "sealed")
        config.settings.cache_clear()
        forget_adapters()
        # The same client, whose requests are priced.
        self._patch.setattr(wiring, "table", lambda: self._table)


def write(figures: Figures) -> None:
    """Put the figures to where `poe cost` takes them from."""
    found = {"on": f"{datetime.now(UTC):%Y-%m-%d}", "figures": figures}
    MEASURED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    return [
        (
            what,
            ", ".join(f"{name} {value:g}" for name, value in consumed.items()),
            f"≤ {AIM_IDLE} written" if what.startswith("idle") else "",
        )
        for what, consumed in figures.items()
    ]
