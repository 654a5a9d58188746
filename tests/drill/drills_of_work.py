"""Alarms that work itself causes: workers that stop, fail or are not let in, and what it costs."""

from datetime import UTC, datetime

from shared.aws.queues import (
    encode_changes,
    encode_chunk,
    encode_erasure,
    encode_plan,
    encode_sync,
)
from shared.domain.ids import new_ulid
from shared.domain.run import RunReason
from shared.ports.queues import (
    ChangesRequest,
    ChunkRequest,
    EraseRequest,
    PlanRequest,
    SyncRequest,
)
from tests.drill.run import Drill

NEWER = '{"v": 99, "kind": "of a release that is not out yet"}'
"""What no worker of this release reads."""

_TICK = 70
"""Seconds of a period that a tick a minute fills."""


def _harmless(kind, encode, *more):
    """Work for what does not exist, which is done at once."""
    return lambda: encode(kind("drill", new_ulid(datetime.now(UTC)), *more))


REQUESTS = {
    "sync": _harmless(SyncRequest, encode_sync, RunReason.REQUESTED),
    "plan": _harmless(PlanRequest, encode_plan, "01HZZZZZZZZZZZZZZZZZZZZZZZ"),
    "chunk": _harmless(ChunkRequest, encode_chunk, "01HZZZZZZZZZZZZZZZZZZZZZZZ", 0),
    "outbound": _harmless(ChangesRequest, encode_changes),
    "erase": lambda: encode_erasure(EraseRequest("drill", new_ulid(datetime.now(UTC)))),
}


def _old(queue, function):
    """A message waits, as nobody takes it."""

    def cause(ground):
        ground.mapping(function, queue, enabled=False)
        ground.put(queue, REQUESTS[queue]())

    return Drill(
        f"{queue}-queue-old",
        f"`{function}` is stopped while work waits",
        cause,
        lambda ground: ground.mapping(function, queue, enabled=True),
        lane=queue,
        period=3,
        threshold=3,
    )


def _buried(queue, *, letters=None, alarm=None, says=None):
    """A request of a newer release: five workers fail of it, then it is a dead letter."""

    def cause(ground):
        ground.hurry(queue)
        ground.put(queue, NEWER)

    def mend(ground):
        ground.calm(queue)
        ground.purge(letters or f"{queue}-dead-letters")

    return Drill(
        alarm or f"{queue}-dead-letters",
        says or f"a request of a newer release is in the {queue} queue",
        cause,
        mend,
        lane=queue,
        period=5,
    )


def _disabled(alarm, schedule):
    return Drill(
        alarm,
        f"the schedule `{schedule}` is disabled",
        lambda ground: ground.schedule(schedule, enabled=False),
        lambda ground: ground.schedule(schedule, enabled=True),
        lane=schedule,
        period=_TICK,
    )


def _tick_fails(ground):
    ground.break_function("schedule_sync")
    ground.start("schedule_sync")


def _tick_works(ground):
    ground.mend_function("schedule_sync")
    ground.purge("schedule-dead-letters")


def _refused(ground):
    ground.take_right("read_mail", "ReadTable")
    ground.ask("GET", "/v1/mailboxes")


def _server_errors(ground):
    ground.break_function("read_mail")
    for _ in range(5):
        ground.ask("GET", "/v1/mailboxes")


def _looping(ground):
    ground.set_function("sync_mailbox", MAILROOM_RUNS_OF_MAILBOX_AN_HOUR="3")


def _press(ground):
    ground.mailboxes.ask_all([ground.mailboxes.imap("looping")])


def _busy(ground):
    for _ in range(20):
        ground.put("sync", REQUESTS["sync"]())


WORK = (
    _disabled("schedule-silent", "schedule_sync"),
    Drill(
        "schedule-dead-letters",
        "`schedule_sync` is deployed so that it cannot work; a tick fails three times",
        _tick_fails,
        _tick_works,
        lane="schedule_sync",
    ),
    _disabled("maintenance-silent", "maintain_mailboxes"),
    _old("sync", "sync_mailbox"),
    _buried("sync"),
    _buried(
        "sync",
        alarm="work-lost",
        says="five workers in a row fail of one request",
    ),
    _old("plan", "plan_backfill"),
    _buried("plan"),
    _old("chunk", "run_backfill_chunk"),
    _buried("chunk"),
    _old("outbound", "deliver_outbound"),
    _buried("outbound"),
    _old("erase", "erase_mail"),
    _buried("erase"),
    Drill(
        "store-refused",
        "`read_mail` loses the right to read the table",
        _refused,
        lambda ground: ground.give_right("ReadTable"),
        lane="read_mail",
    ),
    Drill(
        "api-server-errors",
        "`read_mail` is deployed so that it cannot work",
        _server_errors,
        lambda ground: ground.mend_function("read_mail"),
        lane="read_mail",
    ),
)

LAST = (
    Drill(
        "loop-stopped",
        "a program presses sync now again and again; more than 3 runs are a loop",
        _looping,
        lambda ground: ground.mend_function("sync_mailbox"),
        again=_press,
        lane="sync",
    ),
    Drill(
        "cost-high",
        "`sync_mailbox` is called without end",
        _busy,
        again=_busy,
        lane="sync",
        period=5,
        # Of 75 ms in each of three times five seconds: the schedule's polls come once a minute.
        threshold=0.000001,
    ),
)
