"""How the table is spoken to: one client for all stores, conflicts tried again, errors made ours.

PynamoDB's models and expressions say what is sent, botocore's client sends it: so that several
items of different shapes travel in one request, old values come back where they decide something,
and one client serves every store.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from botocore.config import Config
from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.connection.base import MetaTable
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws.clients import Clients
from shared.aws.errors import (
    UnknownFormError,
    failed_conditions,
    is_condition_failure,
    is_conflict,
    our_errors,
)
from shared.aws.tables import Item, Key
from shared.domain.errors import StoreThrottledError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        KeysAndAttributesTypeDef,
        QueryInputTypeDef,
        TransactWriteItemTypeDef,
        WriteRequestTypeDef,
    )

Raw = dict[str, Any]
"""An item as the service writes it: `{"pk": {"S": "…"}, …}`."""

FORM = "form"
"""The attribute of an item that code from before must not read: it would misread it, or write it
back without what it does not know. Items without it, which all are today, are of form 1."""

MOST_IN_TRANSACTION = 100
_MOST_IN_BATCH_READ = 100
_MOST_IN_BATCH_WRITE = 25
_TRIES = 8
_FIRST_DELAY_SECONDS = 0.02

ItemT = TypeVar("ItemT", bound=Item)
AnswerT = TypeVar("AnswerT")


class Table:
    """The table of one deployment. Safe to share between threads."""

    def __init__(
        self,
        name: str,
        *,
        clients: Clients | None = None,
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make the table's client.

        `clients` makes it, or one that is made for it; `attempts`: how often botocore sends a
        request that was throttled or lost.
        """
        self.name = name
        self._sleep = sleep
        # Only writes requests: its own client would come from a session of its own.
        self._connection = Connection()
        self._connection.add_meta_table(
            MetaTable(
                {
                    "TableName": name,
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                    "AttributeDefinitions": [
                        {"AttributeName": "pk", "AttributeType": "S"},
                        {"AttributeName": "sk", "AttributeType": "S"},
                    ],
                }
            )
        )
        # Made here and not on first use: creating a client is not thread-safe.
        client = (clients or Clients()).create(
            "dynamodb",
            Config(
                connect_timeout=3,
                read_timeout=10,
                max_pool_connections=50,
                retries={"mode": "standard", "total_max_attempts": attempts},
                # Requests are made here and by PynamoDB, and there are many.
                parameter_validation=False,
            ),
        )
        self.client = cast("DynamoDBClient", client)

    # ---- reading ----

    def get(self, shape: type[ItemT], key: Key) -> ItemT | None:
        """Return one item, consistently read."""
        found = self.get_raw(key)
        return shape.from_raw_data(found) if found else None

    def get_raw(self, key: Key, *, consistent: bool = True) -> Raw | None:
        """Return one item as it stands."""
        with our_errors():
            answer = self.client.get_item(
                TableName=self.name, Key=raw_key(key), ConsistentRead=consistent
            )
        found = cast("Raw | None", answer.get("Item"))
        return found and _known(found)

    def get_many(
        self, keys: Sequence[Key], *, consistent: bool = True, attributes: str = ""
    ) -> Iterator[Raw]:
        """Yield those items that exist, in any order; only `attributes` of them, where given."""
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), _MOST_IN_BATCH_READ):
            asked: KeysAndAttributesTypeDef = {
                "Keys": [raw_key(key) for key in unique[start : start + _MOST_IN_BATCH_READ]],
                "ConsistentRead": consistent,
            }
            if attributes:
                asked["ProjectionExpression"] = f"{attributes}, {FORM}"
            yield from self._get_batch(asked)

    def _get_batch(self, asked: "KeysAndAttributesTypeDef") -> Iterator[Raw]:
        left: Mapping[str, KeysAndAttributesTypeDef] = {self.name: asked}
        for tried in range(_TRIES):
            with our_errors():
                answer = self.client.batch_get_item(RequestItems=left)
            yield from map(_known, cast("list[Raw]", answer["Responses"].get(self.name, [])))
            left = cast("Mapping[str, KeysAndAttributesTypeDef]", answer.get("UnprocessedKeys", {}))
            if not left:
                return
            self._wait(tried)
        raise StoreThrottledError(cause="unprocessed keys")

    def query(
        self,
        pk: str,
        *,
        prefix: str = "",
        start: str = "",
        between: tuple[str, str] | None = None,
        index: tuple[str, str, str] | None = None,
        newest_first: bool = False,
        consistent: bool = True,
        page: int | None = None,
        attributes: str = "",
    ) -> Iterator[Raw]:
        """Yield a partition's items in key order.

        All, those with `prefix`, those from `start` on, or those `between`.

        `index`: an index's name and its two key attributes; never consistent. `page`: how many to
        read at once, for a caller that stops early.
        """
        name, pk_name, sk_name = index or ("", "pk", "sk")
        asked: QueryInputTypeDef = {
            "TableName": self.name,
            "KeyConditionExpression": f"{pk_name} = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": consistent and index is None,
        }
        values: Raw = {":pk": {"S": pk}}
        if between is not None:
            if between[0] > between[1]:
                return
            asked["KeyConditionExpression"] = (
                f"{pk_name} = :pk AND {sk_name} BETWEEN :low AND :high"
            )
            values |= {":low": {"S": between[0]}, ":high": {"S": between[1]}}
        elif prefix:
            asked["KeyConditionExpression"] = f"{pk_name} = :pk AND begins_with({sk_name}, :prefix)"
            values |= {":prefix": {"S": prefix}}
        elif start:
            asked["KeyConditionExpression"] = f"{pk_name} = :pk AND {sk_name} >= :start"
            values |= {":start": {"S": start}}
        asked["ExpressionAttributeValues"] = values
        if name:
            asked["IndexName"] = name
        if page is not None:
            asked["Limit"] = page
        if attributes:
            # An index has keys alone: who goes on from there reads the item itself.
            more = "" if index else f", {FORM}"
            asked["ProjectionExpression"] = attributes + more
        while True:
            with our_errors():
                answer = self.client.query(**asked)
            yield from map(_known, cast("list[Raw]", answer["Items"]))
            if not answer.get("LastEvaluatedKey"):
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    # ---- writing ----

    def update(
        self,
        key: Key,
        actions: Sequence[Action],
        condition: Condition | None = None,
        *,
        returning: Literal["NONE", "ALL_OLD", "ALL_NEW"] = "NONE",
    ) -> Raw | None:
        """Change one item; return the asked-for values, or None when the condition failed."""
        asked = self._operation(key, actions, condition)
        return self.update_raw({**asked, "ReturnValues": returning})

    def update_raw(self, asked: Raw) -> Raw | None:
        """As `update`, for a request written out by hand (without the table's name)."""
        try:
            answer = self._persist(
                lambda: self.client.update_item(**{**asked, "TableName": self.name})
            )
        except ClientError as error:
            if is_condition_failure(error):
                return None
            raise
        return _known(cast("Raw", answer.get("Attributes", {})))

    def put(self, item: Item, condition: Condition | None = None) -> bool:
        """Write one item whole; return whether the condition held."""
        operation = self.put_operation(item, condition)["Put"]
        try:
            self._persist(lambda: self.client.put_item(**cast("Any", operation)))
        except ClientError as error:
            if is_condition_failure(error):
                return False
            raise
        return True

    def write_many(self, requests: Sequence["WriteRequestTypeDef"]) -> None:
        """Put or delete without conditions, in batches; what was left unprocessed is sent again."""
        for start in range(0, len(requests), _MOST_IN_BATCH_WRITE):
            left = list(requests[start : start + _MOST_IN_BATCH_WRITE])
            for tried in range(_TRIES):
                with our_errors():
                    answer = self.client.batch_write_item(RequestItems={self.name: left})
                left = cast(
                    "list[WriteRequestTypeDef]",
                    answer.get("UnprocessedItems", {}).get(self.name, []),
                )
                if not left:
                    break
                self._wait(tried)
            else:
                raise StoreThrottledError(cause="unprocessed items")

    def transact(self, items: Sequence["TransactWriteItemTypeDef"]) -> frozenset[int]:
        """Write all or nothing; return the positions whose condition failed: none means written.

        A conflict with another transaction is tried again.
        """
        try:
            self._persist(lambda: self.client.transact_write_items(TransactItems=items))
        except ClientError as error:
            failed = failed_conditions(error)
            if not failed:
                raise
            return failed
        return frozenset()

    def check_operation(self, key: Key, condition: Condition) -> "TransactWriteItemTypeDef":
        """Return the part of a transaction that changes nothing and must hold."""
        return cast(
            "TransactWriteItemTypeDef", {"ConditionCheck": self._operation(key, None, condition)}
        )

    def update_operation(
        self, key: Key, actions: Sequence[Action], condition: Condition | None = None
    ) -> "TransactWriteItemTypeDef":
        """Return the part of a transaction that changes one item."""
        return cast(
            "TransactWriteItemTypeDef", {"Update": self._operation(key, actions, condition)}
        )

    def put_operation(
        self, item: Item, condition: Condition | None = None
    ) -> "TransactWriteItemTypeDef":
        """Return the part of a transaction that writes one item whole."""
        asked = self._operation(Key(item.pk, item.sk), None, condition)
        asked["Item"] = item.serialize()
        del asked["Key"]
        return cast("TransactWriteItemTypeDef", {"Put": asked})

    def delete_operation(
        self, key: Key, condition: Condition | None = None
    ) -> "TransactWriteItemTypeDef":
        """Return the part of a transaction that deletes one item."""
        return cast("TransactWriteItemTypeDef", {"Delete": self._operation(key, None, condition)})

    def _operation(
        self, key: Key, actions: Sequence[Action] | None, condition: Condition | None
    ) -> Raw:
        return self._connection.get_operation_kwargs(
            self.name, key.pk, key.sk, actions=actions, condition=condition
        )

    def _persist(self, send: Callable[[], AnswerT]) -> AnswerT:
        """Send until no transaction is in the way."""
        for tried in range(_TRIES):
            with our_errors():
                try:
                    return send()
                except ClientError as error:
                    if not is_conflict(error):
                        raise
            self._wait(tried)
        raise StoreThrottledError(cause="transaction conflicts")

    def _wait(self, tried: int) -> None:
        # Full jitter: workers that met each other once must not meet again.
        self._sleep(random.uniform(0.0, _FIRST_DELAY_SECONDS * 2**tried))  # noqa: S311 - jitter


def _known(raw: Raw) -> Raw:
    """Return an item as it is; raises `UnknownFormError` for one of a newer version's.

    Whoever asked ends with it, and its queue keeps the request until that version runs again.
    """
    if FORM in raw:
        raise UnknownFormError(str(raw[FORM]))
    return raw


def raw_key(key: Key) -> Raw:
    """Return a key as the service writes it."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
