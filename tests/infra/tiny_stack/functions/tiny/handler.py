"""The functions of the tiny stack: one answers HTTP, the others store what comes."""

import importlib.util
import json
import os

import boto3

dynamodb = boto3.client("dynamodb")
sqs = boto3.client("sqs")


def answer(event, _context):
    """Say who called, and what a function can see of the machine it runs on."""
    if event.get("rawPath") == "/v1/me/nothing":
        return {"statusCode": 204, "body": None}
    claims = event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
    seen = {
        "greeting": os.environ["GREETING"],
        "claims": claims,
        "sees_emulator": importlib.util.find_spec("ministack") is not None,
        "home": os.environ["HOME"],
    }
    return {"statusCode": 200, "body": json.dumps(seen)}


def store(event, _context):
    """Put an item for each message; a tick of the schedule brings none."""
    if event.get("read"):
        dynamodb.scan(TableName=os.environ["TABLE"])
    if event.get("send"):
        entries = [{"Id": "0", "MessageBody": event["send"]}]
        sqs.send_message_batch(QueueUrl=os.environ["QUEUE_URL"], Entries=entries)
    for record in event.get("Records", []):
        item = {"pk": {"S": record["body"]}}
        dynamodb.put_item(TableName=os.environ["TABLE"], Item=item)
    return {"batchItemFailures": []}


def hear(event, _context):
    """Put an item for each record of the stream; from one that has to wait on, none."""
    for record in event["Records"]:
        told = record["dynamodb"]["Keys"]["pk"]["S"]
        if told.endswith("kills") and not _is_there("go on"):
            raise SystemExit
        if told.endswith("waits") and not _is_there("go on"):
            number = record["dynamodb"]["SequenceNumber"]
            return {"batchItemFailures": [{"itemIdentifier": number}]}
        heard = {"pk": {"S": f"heard {told}"}}
        dynamodb.put_item(TableName=os.environ["TABLE"], Item=heard)
    return {"batchItemFailures": []}


def _is_there(name):
    return "Item" in dynamodb.get_item(TableName=os.environ["TABLE"], Key={"pk": {"S": name}})
