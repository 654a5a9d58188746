"""How a table's stream reaches a function on one machine: as Lambda's own reader delivers it.

Runs in ministack's interpreter, in place of its reader, which does not know `batchItemFailures` and
so loses what a function asks to be given again, never halves a batch, holds up every queue while a
function runs, and forgets on a restart what nobody has read yet while it remembers how far it was.
What was delivered is forgotten at once: a day of images would make every save slow.

Uses private names of ministack 1.5.33, which is pinned; tests/infra/test_table_streams.py and the
end-to-end tests prove the whole.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from ministack.core.responses import (  # type: ignore[import-not-found]
    _request_account_id,
    _request_region,
)
from ministack.services import dynamodb, lambda_svc  # type: ignore[import-not-found]

LOOK_SECONDS = 0.2
RETRY_SECONDS = 1.0
_STATE = "mailroom_streams"

log = logging.getLogger("mailroom.streams")

Record = dict[str, Any]
Mapping = dict[str, Any]


def follow() -> None:
    """Deliver streams from now on, and keep with each save what was not delivered."""
    vars(lambda_svc)["_poll_dynamodb_streams"] = lambda: False
    _keep_with_each_save()
    threading.Thread(target=Reader().run, daemon=True, name="streams").start()


class Reader:
    """Reads every stream that a function is mapped to, one batch of each at a time."""

    def __init__(self) -> None:
        self._most: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._forgetting = threading.Lock()
        # How many records were forgotten, and which, must be of one instant in a saved copy.
        os.register_at_fork(
            before=self._forgetting.acquire,
            after_in_parent=self._forgetting.release,
            after_in_child=self._forgetting.release,
        )

    def run(self) -> None:
        """Deliver for ever."""
        while True:
            if not any(dynamodb._stream_records._data.values()):  # noqa: SLF001
                # What was delivered is forgotten, so there is nobody to be asked about.
                time.sleep(LOOK_SECONDS)
                continue
            try:
                came_further = [self._deliver(*one) for one in list(_mappings())]
            except Exception:  # boundary: what one mapping meets must not stop the others for good
                log.exception("a stream could not be read")
                came_further = []
            if not any(came_further):
                time.sleep(LOOK_SECONDS)

    def _deliver(self, account: str, region: str, mapping: Mapping) -> bool:
        """Deliver the next batch of a mapping. Returns whether it came further."""
        tokens = _request_account_id.set(account), _request_region.set(region)
        try:
            return self._next_batch(mapping)
        finally:
            _request_account_id.reset(tokens[0])
            _request_region.reset(tokens[1])

    def _next_batch(self, mapping: Mapping) -> bool:
        name = mapping["UUID"]
        table = mapping["EventSourceArn"].split("/")[1]
        function, _ = lambda_svc._get_func_record_for_qualifier(  # noqa: SLF001
            mapping["FunctionName"], mapping.get("Qualifier")
        )
        waits = self._not_before.get(name, 0.0) > time.monotonic()
        if function is None or waits or table not in dynamodb._tables:  # noqa: SLF001
            return False
        position = self._position(mapping, table)
        size = self._most.get(name, int(mapping.get("BatchSize", 100)))
        records = dynamodb.stream_records_since(table, position, size)
        if not records:
            return False
        if not _wanted(records, mapping):
            self._move(name, table, position + len(records))
            return True
        # Gathered as Lambda does, so that a burst is one call here too.
        time.sleep(int(mapping.get("MaximumBatchingWindowInSeconds", 0)))
        records = dynamodb.stream_records_since(table, position, size)
        wanted = _wanted(records, mapping)
        answer = lambda_svc._execute_function(function, {"Records": wanted})  # noqa: SLF001
        failed = _failed(wanted, answer)
        if failed is None:
            self._most.pop(name, None)
            self._move(name, table, position + len(records))
            return True
        if failed > 0:
            # From there on it is delivered again.
            self._move(name, table, position + records.index(wanted[failed]))
        elif _is_old(wanted[0], mapping):
            self._give_up(mapping, function, wanted[0], answer)
            self._move(name, table, position + records.index(wanted[0]) + 1)
        elif mapping.get("BisectBatchOnFunctionError") and len(records) > 1:
            self._most[name] = (len(records) + 1) // 2
        self._not_before[name] = time.monotonic() + RETRY_SECONDS
        return failed > 0

    @staticmethod
    def _position(mapping: Mapping, table: str) -> int:
        positions = lambda_svc._dynamodb_stream_positions  # noqa: SLF001
        start = int(dynamodb.stream_start_position(table))
        if mapping["UUID"] not in positions:
            latest = mapping.get("StartingPosition", "LATEST") == "LATEST"
            positions[mapping["UUID"]] = (
                int(dynamodb.stream_end_position(table)) if latest else start
            )
        return max(int(positions[mapping["UUID"]]), start)

    def _move(self, name: str, table: str, position: int) -> None:
        with self._forgetting:
            positions = lambda_svc._dynamodb_stream_positions  # noqa: SLF001
            positions[name] = position
            readers = [
                one["UUID"]
                for one in list(lambda_svc._esms._data.values())  # noqa: SLF001
                if f":table/{table}/stream/" in _arn(one)
            ]
            start = int(dynamodb.stream_start_position(table))
            passed = min(int(positions.get(one, start)) for one in readers) - start
            if passed > 0:
                del dynamodb._stream_records[table][:passed]  # noqa: SLF001
                dynamodb._stream_trimmed[table] = start + passed  # noqa: SLF001

    @staticmethod
    def _give_up(mapping: Mapping, function: Any, record: Record, answer: Any) -> None:
        lambda_svc._send_ddb_stream_failure_record(  # noqa: SLF001
            mapping, function, [record], _arn(mapping), answer, "MaxRecordAgeExceeded"
        )


def _mappings() -> Iterator[tuple[str, str, Mapping]]:
    """The mappings that read a table's stream and are switched on, with whose they are."""
    for account, region, mapping in lambda_svc._iter_all_esms():  # noqa: SLF001
        is_on = str(mapping.get("Enabled", True)).lower() != "false"
        if is_on and ":dynamodb:" in _arn(mapping) and "/stream/" in _arn(mapping):
            yield account, region, mapping


def _arn(mapping: Mapping) -> str:
    return str(mapping.get("EventSourceArn", ""))


def _wanted(records: list[Record], mapping: Mapping) -> list[Record]:
    wanted: list[Record] = lambda_svc._apply_filter_criteria(records, mapping)  # noqa: SLF001
    return wanted


def _failed(records: list[Record], answer: dict[str, Any]) -> int | None:
    """The place of the first record that is to come again, or None where all are done."""
    body = answer.get("body")
    if answer.get("error") or answer.get("throttle"):
        return 0
    told = body.get("batchItemFailures") if isinstance(body, dict) else None
    numbers = {str(one.get("itemIdentifier")) for one in told or ()}
    places = [
        place
        for place, record in enumerate(records)
        if record["dynamodb"]["SequenceNumber"] in numbers
    ]
    # One that names no record of the batch has all of it again, as on AWS.
    return min(places, default=0) if numbers else None


def _is_old(record: Record, mapping: Mapping) -> bool:
    most = int(mapping.get("MaximumRecordAgeInSeconds", -1))
    age = time.time() - float(record["dynamodb"]["ApproximateCreationDateTime"])
    return 0 < most < age


def _keep_with_each_save() -> None:
    save, load = dynamodb.get_state, dynamodb.load_persisted_state

    def saved() -> dict[str, Any]:
        return {
            **save(),
            _STATE: {
                "records": dynamodb._stream_records,  # noqa: SLF001
                "trimmed": dynamodb._stream_trimmed,  # noqa: SLF001
                "number": dynamodb._stream_seq_counter,  # noqa: SLF001
            },
        }

    def loaded(data: dict[str, Any]) -> None:
        load(data)
        if kept := (data or {}).get(_STATE):
            dynamodb._stream_records.update(kept["records"])  # noqa: SLF001
            dynamodb._stream_trimmed.update(kept["trimmed"])  # noqa: SLF001
            vars(dynamodb)["_stream_seq_counter"] = kept["number"]

    vars(dynamodb)["get_state"] = saved
    vars(dynamodb)["load_persisted_state"] = loaded
