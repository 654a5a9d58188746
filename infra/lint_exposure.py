"""Who from outside our roles may reach what: policies of resources, invokers, readers of queues.

As in `infra.lint_rules`, a rule takes a translated template and returns what is wrong with it. The
rules for roles themselves, for routes and for stored data are in `infra.lint_access`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from infra.lint_access import allowed
from infra.lint_rules import of_type, statement_list, target

if TYPE_CHECKING:
    from collections.abc import Iterator

Template = dict[str, Any]

PARTITIONS: Final[dict[str, tuple[str, frozenset[str]]]] = {
    # Asked by whoever knows the address: it finds who listens, and marks that it was told.
    "ReceivePushRole": ("#push#*", frozenset()),
    # Answers HTTP and opens a login: all it writes are the buckets of rate limits.
    "PreviewBackfillRole": (
        "*#rates",
        frozenset({"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}),
    ),
}
"""Which partitions of the table a role is for, and what it may do in all of them."""

ACTIONS: Final = frozenset(
    {
        *("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem"),
        *("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"),
        "dynamodb:UpdateItem",
        *("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
        *("dynamodb:ListStreams", "events:PutEvents"),
        *("kms:Decrypt", "kms:Encrypt", "lambda:InvokeFunction"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
        *("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        *("s3:ListBucket", "s3:ListBucketMultipartUploads"),
        *("secretsmanager:CreateSecret", "secretsmanager:DeleteSecret"),
        *("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
        "secretsmanager:UpdateSecretVersionStage",
        *("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"),
        *("xray:PutTelemetryRecords", "xray:PutTraceSegments"),
    }
)
"""All that anything deployed may do: with data, and never with rights, settings or code."""

POLLING: Final = frozenset({"sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"})
"""What Lambda takes of a function's role to read a queue for it."""

_POLICIES: Final = (
    "AWS::Events::EventBusPolicy",
    "AWS::KMS::Key",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::SecretsManager::ResourcePolicy",
)


def roles_work_with_data_alone(template: Template) -> list[str]:
    """Who may change a role, a policy, a function or a key may do everything."""
    return [
        f"{role}: {action} is on no list"
        for role, statement in allowed(template)
        for action in statement_list(statement.get("Action", []))
        if action not in ACTIONS
    ]


def partitions_are_kept_apart(template: Template) -> list[str]:
    """Without its condition a role reaches the whole table, and nothing else would tell."""
    found = []
    for role, statement in allowed(template):
        partition, free = PARTITIONS.get(role, ("", frozenset()))
        given = statement.get("Condition", {}).get("ForAllValues:StringLike", {})
        keys = statement_list(given.get("dynamodb:LeadingKeys", []))
        found += [
            f"{role}: {action} on more than {partition}"
            for action in statement_list(statement.get("Action", []))
            if partition and action.lower().startswith("dynamodb:") and action not in free
            if keys != [partition]
        ]
    return found


def queues_are_read_by_their_function(template: Template) -> list[str]:
    """A mapping without all its rights is silent; whoever else reads a queue takes work from it."""
    readers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for role, statement in allowed(template):
        for resource in statement_list(statement.get("Resource", [])):
            readers[role, str(target(resource))] |= POLLING & set(
                statement_list(statement.get("Action", []))
            )
    functions = dict(of_type(template, "AWS::Lambda::Function"))
    queues = dict(of_type(template, "AWS::SQS::Queue"))
    wanted = {
        (str(target(functions[str(target(mapping["FunctionName"]))]["Role"])), queue)
        for _, mapping in of_type(template, "AWS::Lambda::EventSourceMapping")
        if (queue := str(target(mapping["EventSourceArn"]))) in queues
    }
    found = [
        f"{role}: lacks {', '.join(sorted(lacking))} on {queue}"
        for role, queue in sorted(wanted)
        if (lacking := POLLING - readers[role, queue])
    ]
    return found + [
        f"{role}: reads {queue}, of which it is no consumer"
        for (role, queue), actions in sorted(readers.items())
        if actions and (role, queue) not in wanted
    ]


def functions_are_invoked_by_ours_alone(template: Template) -> list[str]:
    """A service that serves everybody invokes for our API alone; nobody by a link of its own."""
    found = [f"{name}: a link for anybody" for name, _ in of_type(template, "AWS::Lambda::Url")]
    for name, properties in of_type(template, "AWS::Lambda::Permission"):
        if not str(properties.get("Principal")).endswith(".amazonaws.com"):
            found.append(f"{name}: invoked by {properties.get('Principal')}")
        elif "${AWS::AccountId}" not in json.dumps(
            [properties.get("SourceArn"), properties.get("SourceAccount")]
        ) and properties.get("SourceAccount") != {"Ref": "AWS::AccountId"}:
            found.append(f"{name}: for whomever {properties['Principal']} acts: no source of ours")
    return found


def stores_let_nobody_in(template: Template) -> list[str]:
    """A policy of a resource lets in whom no role names; a service only for our account."""
    found = []
    for name, statement in _resource_statements(template):
        if statement["Effect"] != "Allow":
            continue
        principal = json.dumps(statement.get("Principal"))
        condition = json.dumps(statement.get("Condition", {}))
        if "NotPrincipal" in statement or "Service" not in principal:
            found.append(f"{name}: lets in {principal}")
        elif "aws:SourceAccount" not in condition and "aws:SourceArn" not in condition:
            found.append(f"{name}: lets in {principal} for anybody")
    return found


def buckets_know_one_owner(template: Template) -> list[str]:
    """With access lists, an object could be shared past every policy."""
    return [
        f"{name}: objects may have access lists"
        for name, properties in of_type(template, "AWS::S3::Bucket")
        if properties.get("OwnershipControls")
        != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    ]


def _resource_statements(template: Template) -> Iterator[tuple[str, Template]]:
    for name, properties in of_type(template, *_POLICIES):
        document = properties.get("PolicyDocument") or properties.get("KeyPolicy") or {}
        given = properties.get("Statement") or document.get("Statement", [])
        for statement in statement_list(given):
            yield name, statement
