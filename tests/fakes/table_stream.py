"""The table's stream on moto, as it is on AWS: a record for each item that a write changed, in order.

moto's own has records of what a cancelled transaction took back, and of writes that changed nothing.
Matching filters is Lambda's, as far as the template's go ("Control which events Lambda sends to your
function", docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html).
"""

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.responses import DynamoHandler

from infra.lint_rules import of_type
from shared.aws.stream_records import change_of
from shared.domain.events import events_of
from tests.infra.template_text import translated

READS = frozenset({"BatchGetItem", "CreateTable", "GetItem", "Query", "Scan"})

Record = dict[str, Any]


@dataclass
class TableStream:
    """Every change of every table from `follow` on."""

    now: Callable[[], datetime]
    records: list[Record] = field(default_factory=list)
    last: int = 100_000_000_000_000_000_000
    """The number of the last record."""

    def follow(self, monkeypatch: Any) -> "TableStream":
        answer = DynamoHandler.call_action

        def followed(handler: Any) -> Any:
            if handler.headers["X-Amz-Target"].rpartition(".")[2] in READS:
                return answer(handler)
            keys = list(dict.fromkeys(_keys(handler.params)))
            before = [_item(*key) for key in keys]
            try:
                return answer(handler)
            finally:
                for key, old in zip(keys, before, strict=True):
                    self._add(key, old, _item(*key))

        monkeypatch.setattr(DynamoHandler, "call_action", followed)
        return self

    def take(self) -> list[Record]:
        """Return what has come since the last time and passes the template's filters.

        They may let through what is not told, and must hold back nothing that is.
        """
        taken, self.records = self.records, []
        for record in taken:
            change = None if passes(record) else change_of(record)
            assert change is None or not events_of(change), record
        return [record for record in taken if passes(record)]

    def _add(self, key: tuple[str, str], old: Any, new: Any) -> None:
        if old == new:
            return
        self.last += 1
        images = {"OldImage": old, "NewImage": new}
        self.records.append(
            {
                "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
                "dynamodb": {
                    "ApproximateCreationDateTime": self.now().timestamp(),
                    "Keys": {"pk": {"S": key[0]}, "sk": {"S": key[1]}},
                    "SequenceNumber": str(self.last),
                    **{name: image for name, image in images.items() if image is not None},
                },
            }
        )


def passes(record: Record) -> bool:
    """Whether one of the template's filters lets a record through."""
    return any(_matches(record, pattern) for pattern in filters())


@cache
def filters() -> list[Any]:
    """The patterns of the template's stream."""
    (mapping,) = (
        properties
        for _, properties in of_type(translated(), "AWS::Lambda::EventSourceMapping")
        if "StreamArn" in json.dumps(properties["EventSourceArn"])
    )
    return [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]]


def _matches(value: Any, pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            _matches(value.get(name), wanted) for name, wanted in pattern.items()
        )
    return any(_is(value, wanted) for wanted in pattern)


def _is(value: Any, wanted: Any) -> bool:
    match wanted:
        case {"exists": True}:
            return value is not None
        case {"prefix": str(start)}:
            return isinstance(value, str) and value.startswith(start)
        case dict():
            raise AssertionError(f"{wanted}: not known here")
    return bool(value == wanted)


def _keys(asked: Any) -> Iterator[tuple[str, str]]:
    """Yield the key of every item a request names."""
    if isinstance(asked, list):
        for one in asked:
            yield from _keys(one)
    elif isinstance(asked, dict):
        if isinstance(pk := asked.get("pk"), dict) and isinstance(sk := asked.get("sk"), dict):
            yield pk["S"], sk["S"]
        else:
            for one in asked.values():
                yield from _keys(one)


def _item(pk: str, sk: str) -> Any:
    for backend in dynamodb_backends[DEFAULT_ACCOUNT_ID].values():
        for table in backend.tables.values():
            partition = table.items.get(DynamoType({"S": pk}), {})
            item = partition.get(DynamoType({"S": sk}))
            if item is not None:
                return _wire(copy.deepcopy(item.to_json()["Attributes"]))
    return None


def _wire(value: Any) -> Any:
    """An item as Lambda hands it over: bytes as text, sets in order."""
    match value:
        case {"B": bytes(content)}:
            return {"B": base64.b64encode(content).decode()}
        case {"SS": list(texts)}:
            return {"SS": sorted(texts)}
        case dict():
            return {name: _wire(one) for name, one in value.items()}
        case list():
            return [_wire(one) for one in value]
    return value
