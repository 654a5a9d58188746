"""Decides what counts as a unit: sizes of items before and after, by the rules AWS bills by.

The real adapters write to moto, whose own report of capacity is a constant, so each request is
priced here. A write costs a unit for each kilobyte begun, of the larger of the item before and
after; twice that inside a transaction, its checks included; and as much again for every index whose
entry it changes, once to delete and once to put where the entry's key moves. What an index costs is
not doubled by a transaction: so it was measured at AWS (github.com/nubo-db/dynoxide/pull/188). A
refused condition costs what was there. A read costs a unit for each four kilobytes begun when consistent,
half when not.
"""

import os
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime
from math import ceil
from typing import Any

from tests.performance.synthetic_mail import FOLDERS, generate

Figures = dict[str, Any]
Item = dict[str, Any]
AIM_STORED, AIM_SKIPPED, AIM_IDLE = 8, 0.1, 3
_LAST_DAY = datetime(2026, 2, 20, tzinfo=UTC)
FAKE_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


class Meter:
    """Prices every request a DynamoDB client sends until it is closed.

    Parts that run in one process share a client, and the meter that came first would take all.
    """

    def __init__(self, client: Any, table: str, indexes: list[dict[str, Any]]) -> None:
        self._client = client
        self._table = table
        self._indexes = indexes
        self._lock = threading.Lock()
        self._asking = threading.local()
        self.reset()
        client.meta.events.register("before-parameter-build.dynamodb", self._before)
        client.meta.events.register("after-call.dynamodb", self._after)

    def close(self) -> None:
        """Price nothing any more."""
        self._client.meta.events.unregister("before-parameter-build.dynamodb", self._before)
        self._client.meta.events.unregister("after-call.dynamodb", self._after)

    def reset(self) -> None:
        """Begin at nothing."""
        self.written: Counter[str] = Counter()
        self.read: defaultdict[str, float] = defaultdict(float)

    def _before(self, params: Any, model: Any, context: Any, **_: Any) -> None:
        if getattr(self._asking, "busy", False):
            return
        context["meter"] = (
            params,
            [(key, kind, self._stored(key)) for key, kind in _writes(model.name, params)],
        )

    def _after(self, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        if "meter" not in context:
            return
        params, writes = context.pop("meter")
        factor = 2 if model.name == "TransactWriteItems" else 1
        units = 0
        for key, kind, before in writes:
            after = before if kind == "check" else self._stored(key)
            units += factor * max(1, ceil(max(size(before), size(after)) / 1024))
            units += sum(_index_units(index, before, after) for index in self._indexes)
        with self._lock:
            self.written[model.name] += units
            self.read[model.name] += _read_units(model.name, params, parsed)

    def _stored(self, key: Item) -> Item:
        self._asking.busy = True
        try:
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        finally:
            self._asking.busy = False
        found: Item = answer.get("Item", {})
        return found


def _writes(name: str, params: Any) -> list[tuple[Item, str]]:
    if name in {"UpdateItem", "DeleteItem"}:
        return [(params["Key"], "write")]
    if name == "PutItem":
        return [(_key_of(params["Item"]), "write")]
    if name == "BatchWriteItem":
        return [
            (
                _key_of(one["PutRequest"]["Item"])
                if "PutRequest" in one
                else one["DeleteRequest"]["Key"],
                "write",
            )
            for requests in params["RequestItems"].values()
            for one in requests
        ]
    if name == "TransactWriteItems":
        return [
            (_key_of(asked["Item"]) if "Item" in asked else asked["Key"],
             "check" if kind == "ConditionCheck" else "write")
            for part in params["TransactItems"]
            for kind, asked in part.items()
        ]  # fmt: skip
    return []


def _read_units(name: str, params: Any, parsed: Any) -> float:
    if name == "GetItem":
        return _price(size(parsed.get("Item", {})), params.get("ConsistentRead"))
    if name == "Query":
        return _price(sum(map(size, parsed.get("Items", []))), params.get("ConsistentRead"))
    if name != "BatchGetItem":
        return 0
    total = 0.0
    for table, asked in params["RequestItems"].items():
        found = parsed.get("Responses", {}).get(table, [])
        consistent = asked.get("ConsistentRead")
        total += sum(_price(size(item), consistent) for item in found)
        total += (len(asked["Keys"]) - len(found)) * _price(0, consistent)
    return total


def _price(bytes_read: int, consistent: bool | None) -> float:
    return max(1, ceil(bytes_read / 4096)) * (1.0 if consistent else 0.5)


def _key_of(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}


def _index_units(index: dict[str, Any], before: Item, after: Item) -> int:
    old, new = _entry(index, before), _entry(index, after)
    if old == new:
        return 0
    keys = [part["AttributeName"] for part in index["KeySchema"]]
    if old and new and all(old[key] == new[key] for key in keys):
        return ceil(max(size(old), size(new)) / 1024)
    return ceil(size(old) / 1024) + ceil(size(new) / 1024)


def _entry(index: dict[str, Any], item: Item) -> Item:
    keys = [part["AttributeName"] for part in index["KeySchema"]]
    if not all(key in item for key in keys):
        return {}
    kept = {"pk", "sk", *keys, *index["Projection"].get("NonKeyAttributes", ())}
    return {name: value for name, value in item.items() if name in kept}


def size(item: Item) -> int:
    """Return an item's bytes as AWS counts them: names and values, and little for nesting."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: Item) -> int:
    kind, content = next(iter(value.items()))
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            return len(content.lstrip("-").replace(".", "")) // 2 + 2
        case "SS":
            return sum(len(one.encode()) for one in content)
        case "L":
            return 3 + sum(1 + _value_size(one) for one in content)
        case "M":
            return 3 + size(content) + len(content)
        case _:
            return 1


def measure(messages: int) -> Figures:
    """Sync `messages` messages, once more, and poll idly; return units for each."""
    os.environ.update(FAKE_ACCOUNT)
    # After the account: botocore reads it when a client is made.
    from tests.performance.units_run import run

    return run(list(generate(messages, last_day=_LAST_DAY, days=30)), FOLDERS)


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    stored, skipped, idle = figures["stored"], figures["skipped"], figures["idle"]
    split = ", ".join(f"{name} {units:.2f}" for name, units in stored["written"].items())
    return [
        ("write units a stored message, all of the run counted", f"{sum(stored['written'].values()):.2f} ({split})", f"≤ {AIM_STORED}"),
        ("read units a stored message", f"{sum(stored['read'].values()):.2f}", ""),
        ("S3 objects written a stored message", f"{stored['objects']:.2f}", ""),
        ("write units a message already stored", f"{sum(skipped['written'].values()):.2f}", f"≤ {AIM_SKIPPED}"),
        ("read units a message already stored", f"{sum(skipped['read'].values()):.2f}", ""),
        ("write units an idle poll", f"{sum(idle['written'].values()):.0f}", f"≤ {AIM_IDLE}"),
        ("read units an idle poll", f"{sum(idle['read'].values()):.1f}", ""),
    ]  # fmt: skip
