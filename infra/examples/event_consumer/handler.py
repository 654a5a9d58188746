"""How a listener takes events that come twice, late, in any order: each once, no state twice.

Two kinds of events, two ways. What something is done for, as new mail, is done in one transaction
with a note of the event's key: told again, it is not done again. What only says how something is
now, as a mailbox's trouble, is written where no later version is: whatever comes late changes
nothing. Here the one counts new mail, the other keeps each mailbox's health, of sync (inbound) and
of sending (outbound) apart: that the one is well again says nothing of the other.
"""

import json
import os
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

KEPT_SECONDS = 8 * 86_400
"""Longer than an event can come again: a day in the stream, one at EventBridge, four in SQS."""

DIRECTIONS = ("inbound", "outbound")


def lambda_handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take what the queue brings; name what is to come again."""
    client, table = boto3.client("dynamodb"), os.environ["TABLE"]
    failed = []
    for record in event["Records"]:
        told = json.loads(record["body"])
        try:
            take(told["detail-type"], told["detail"], client=client, table=table)
        except ClientError:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def take(event_type: str, detail: dict[str, Any], *, client: Any, table: str) -> None:
    """Take one event; what was taken before changes nothing. Unknown types are somebody else's."""
    mailbox = {"pk": {"S": f"{detail['tenant_id']}#{detail['mailbox_id']}"}}
    if event_type == "message.received":
        _once(detail["key"], mailbox, client=client, table=table)
    elif event_type.startswith("mailbox."):
        _newest(event_type, detail, mailbox, client=client, table=table)


def _once(key: str, mailbox: dict[str, Any], *, client: Any, table: str) -> None:
    expires = {"N": str(int(time.time()) + KEPT_SECONDS)}
    note = {
        "TableName": table,
        "Item": {"pk": {"S": f"event#{key}"}, "expires_at": expires},
        "ConditionExpression": "attribute_not_exists(pk)",
    }
    work = {
        "TableName": table,
        "Key": mailbox,
        "UpdateExpression": "ADD new_mail :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    try:
        client.transact_write_items(TransactItems=[{"Put": note}, {"Update": work}])
    except client.exceptions.TransactionCanceledException as error:
        reasons = error.response["CancellationReasons"]
        if reasons[0]["Code"] != "ConditionalCheckFailed":
            raise


def _newest(
    event_type: str,
    detail: dict[str, Any],
    mailbox: dict[str, Any],
    *,
    client: Any,
    table: str,
) -> None:
    values = {
        ":health": {"S": event_type},
        ":code": {"S": detail.get("code") or ""},
        # As text of one length, since a number of this size is more than DynamoDB's numbers hold.
        ":version": {"S": detail["version"].zfill(40)},
    }
    # Trouble is of one direction; connected, disconnected or to be connected again are both.
    for way in [detail["direction"]] if "direction" in detail else DIRECTIONS:
        names = {f"#{name}": f"{name}_{way}" for name in ("health", "code", "version")}
        try:
            client.update_item(
                TableName=table,
                Key=mailbox,
                UpdateExpression="SET #health = :health, #code = :code, #version = :version",
                ConditionExpression="attribute_not_exists(#version) OR #version < :version",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
            )
        except client.exceptions.ConditionalCheckFailedException:
            # Something later is known already, or this very event.
            continue
