"""moto made quick answers as moto does as it comes, and leaves the same table."""

import random
from itertools import chain

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.fakes.quick_moto import as_it_comes, make_quick

TABLE = "quick"
SCHEMA = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "due")
    ],
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by_due",
            "KeySchema": [
                {"AttributeName": "due", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]},
        }
    ],
}
VALUES = [
    {"S": "a word"}, {"N": "7"}, {"B": b"\x00\xff"}, {"BOOL": True}, {"NULL": True},
    {"SS": ["a", "b"]}, {"NS": ["1", "2"]}, {"BS": [b"x", b"y"]},
    {"L": [{"S": "one"}, {"M": {"deep": {"B": b"z"}}}]}, {"M": {"m": {"N": "1"}}},
]  # fmt: skip
UPDATES = [
    ("SET #v = :v", {":v"}), ("SET v2 = :v REMOVE v3 ADD n :one", {":v", ":one"}),
    ("SET #v = if_not_exists(#v, :v), n = if_not_exists(n, :one) + :one", {":v", ":one"}),
    ("ADD tags :set", {":set"}), ("DELETE tags :set", {":set"}), ("REMOVE l[0]", set()),
    ("SET l = list_append(l, :list)", {":list"}), ("SET #m.inner = :v", {":v"}),
    ("SET #v = :v, #v = :v", {":v"}), ("SET #v = :v SET n = :one", {":v", ":one"}),
    ("SET pk = :v", {":v"}), ("ADD #v :one", {":one"}), ("SET", set()), ("REMOVE due", set()),
]  # fmt: skip
CONDITIONS = [
    None, ("attribute_not_exists(pk)", set()), ("attribute_exists(pk) AND n < :one", {":one"}),
    ("NOT contains(tags, :a) OR #v = :v", {":a", ":v"}), ("size(sk) > :one", {":one"}),
]  # fmt: skip


def requests(seed):
    """Yield operations with their arguments: some are refused, for each reason there is."""
    rng = random.Random(seed)

    def key():
        return {"pk": {"S": rng.choice("ab")}, "sk": {"S": f"k#{rng.randrange(5)}"}}

    def item():
        more = {name: rng.choice(VALUES) for name in ("v", "v2", "n", "m") if rng.random() < 0.5}
        kept = {"tags": {"SS": ["a"]}, "l": {"L": [{"S": "x"}]}, "due": {"S": rng.choice("xy")}}
        large = {"much": {"S": "x" * 409_000}} if rng.random() < 0.03 else {}
        return key() | kept | more | large

    def expressions(condition, update=None):
        text = " ".join(one[0] for one in (condition, update) if one)
        used = set(chain.from_iterable(one[1] for one in (condition, update) if one))
        values = {
            ":v": rng.choice(VALUES), ":one": {"N": "1"}, ":a": {"S": "a"},
            ":set": {"SS": ["b"]}, ":list": {"L": [rng.choice(VALUES)]},
        }  # fmt: skip
        found = {"ConditionExpression": condition[0]} if condition else {}
        found |= {"UpdateExpression": update[0]} if update else {}
        names = {name: name[1:] for name in ("#v", "#m") if name in text}
        found |= {"ExpressionAttributeNames": names} if names else {}
        return found | (
            {"ExpressionAttributeValues": {name: values[name] for name in sorted(used)}}
            if used
            else {}
        )

    def write():
        condition = rng.choice(CONDITIONS)
        match rng.choice(["Put", "Update", "Update", "Delete", "ConditionCheck"]):
            case "Put":
                return "Put", {"Item": item(), **expressions(condition)}
            case "Update":
                return "Update", {"Key": key(), **expressions(condition, rng.choice(UPDATES))}
            case "Delete":
                return "Delete", {"Key": key(), **expressions(condition)}
            case _:
                return "ConditionCheck", {
                    "Key": key(),
                    **expressions(condition or CONDITIONS[1]),
                }

    for _ in range(150):
        kind, asked = write()
        old = rng.choice(["NONE", "ALL_OLD"])
        if kind == "ConditionCheck":
            writes = [
                {kind: {"TableName": TABLE, **asked}} for kind, asked in (write(), write(), write())
            ]
            yield "transact_write_items", {"TransactItems": writes}
            continue
        if kind == "Update":
            old = rng.choice([old, "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
        yield f"{kind.lower()}_item", {"TableName": TABLE, "ReturnValues": old, **asked}
        yield "get_item", {"TableName": TABLE, "Key": key()}
        yield "query", {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :p AND begins_with(sk, :k)",
            "ExpressionAttributeValues": {":p": {"S": "a"}, ":k": {"S": "k#"}},
            "Limit": rng.randrange(1, 6), "ScanIndexForward": rng.random() < 0.5,
            "ReturnConsumedCapacity": rng.choice(["NONE", "TOTAL"]),
        }  # fmt: skip
        yield "query", {
            "TableName": TABLE, "IndexName": "by_due", "KeyConditionExpression": "due = :d",
            "ExpressionAttributeValues": {":d": {"S": "x"}},
        }  # fmt: skip
        yield "batch_get_item", {
            "RequestItems": {
                TABLE: {"Keys": [{"pk": {"S": "a"}, "sk": {"S": f"k#{n}"}} for n in range(4)],
                        "ProjectionExpression": "sk, v, l[0]"}
            }
        }  # fmt: skip


def answers(seed):
    """Return each answer, and in the end the whole table."""
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(TableName=TABLE, **SCHEMA)
        found = []
        for operation, asked in [*requests(seed), ("scan", {"TableName": TABLE})]:
            try:
                answer = getattr(client, operation)(**asked)
            except ClientError as refusal:
                answer = refusal.response
            except Exception as trouble:  # boundary: moto's own mistakes must stay the same, too
                answer = {"raised": repr(trouble)}
            answer.pop("ResponseMetadata", None)
            found.append((operation, asked, answer))
        return found


@pytest.mark.parametrize("seed", range(3))
def test_moto_made_quick_answers_as_it_does_when_it_comes(seed):
    make_quick()
    quick = answers(seed)
    with as_it_comes():
        slow = answers(seed)
    for one, other in zip(quick, slow, strict=True):
        assert one == other
    refused = {answer["Error"]["Code"] for _, _, answer in quick if "Error" in answer}
    assert {"ConditionalCheckFailedException", "TransactionCanceledException"} <= refused
