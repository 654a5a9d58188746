"""The roles of template.yaml, in force over the handlers that run on moto.

What a handler asks AWS for is held against its function's role, before moto sees it: a right that
is missing refuses the request as AWS would, and fails the test at its end, whatever the handler
made of the refusal. What the tests themselves ask for is nobody's and is not looked at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from infra.lint_access import allowed
from infra.lint_rules import statement_list
from tests.infra.template_text import translated, written

_TRANSACTED = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
}
_S3 = {
    "HeadObject": ("s3:GetObject",),
    "CopyObject": ("s3:PutObject", "s3:GetObject"),
    "CreateMultipartUpload": ("s3:PutObject",),
    "UploadPart": ("s3:PutObject",),
    "UploadPartCopy": ("s3:PutObject", "s3:GetObject"),
    "CompleteMultipartUpload": ("s3:PutObject",),
    "ListObjectsV2": ("s3:ListBucket",),
    "ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "DeleteObjects": ("s3:DeleteObject",),
}
"""The rights an operation takes where they do not bear its name, as AWS's reference has them."""
_SECRETS = "!Sub arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:"


class Use(NamedTuple):
    """What was asked of whose role, the resource as a statement of the template would write it."""

    role: str
    action: str
    resource: str


_acting: list[str] = []
refused: list[Use] = []
"""What no statement allows, since the last `forget`."""


@contextmanager
def acting_as(function: str) -> Iterator[None]:
    """Have what is asked meanwhile, in whatever thread, asked in the name of a function's role."""
    _acting.append("".join(map(str.capitalize, function.split("_"))) + "Role")
    try:
        yield
    finally:
        _acting.pop()


def function_of(handler: Any) -> str:
    """Return the function that a handler is of."""
    return str(handler.__module__).split(".")[1]


def watch(client: Any) -> Any:
    """Return a client of the product, each of whose requests is held against a role."""
    service = client.meta.service_model.service_name
    client.meta.events.register(f"provide-client-params.{service}", _ask)
    return client


def forget() -> None:
    """Begin anew with what was refused."""
    refused.clear()


def _ask(params: dict[str, Any], model: Any, **_: Any) -> None:
    if not _acting:
        return
    role = _acting[-1]
    for action, resource in _asked(model.service_model.service_name, model.name, params):
        if not any(
            granted == action and fnmatchcase(resource, pattern)
            for granted, pattern in _grants()[role]
        ):
            refused.append(Use(role, action, resource))
            words = f"{role} may not {action} on {resource}"
            answer = {"Error": {"Code": "AccessDeniedException", "Message": words}}
            raise ClientError(answer, model.name)


def _asked(service: str, operation: str, params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rights a request takes, and on what."""
    match service:
        case "dynamodb" if operation == "TransactWriteItems":
            for item in params["TransactItems"]:
                for kind in item:
                    yield _TRANSACTED[kind], "!GetAtt Table.Arn"
        case "dynamodb":
            index = params.get("IndexName")
            where = f"!Sub ${{Table.Arn}}/index/{index}" if index else "!GetAtt Table.Arn"
            yield f"dynamodb:{operation}", where
        case "s3":
            keys = [one["Key"] for one in params.get("Delete", {}).get("Objects", ())]
            keys += [params["Key"]] if "Key" in params else []
            for action in _S3.get(operation, (f"s3:{operation}",)):
                of_source = action == "s3:GetObject" and "CopySource" in params
                for key in [params["CopySource"]["Key"]] if of_source else keys:
                    yield action, f"!Sub ${{Bucket.Arn}}/{key}"
                if not keys:
                    yield action, "!GetAtt Bucket.Arn"
        case "sqs":
            name = params["QueueUrl"].rpartition("-")[2].capitalize()
            yield f"sqs:{operation.removesuffix('Batch')}", f"!GetAtt {name}Queue.Arn"
        case "secretsmanager":
            name = params.get("SecretId") or params["Name"]
            place = "mailroom-${Stage}" + str(name).removeprefix("mailroom-test")
            yield f"secretsmanager:{operation}", _SECRETS + place
        case "lambda":
            own = "schedule_sync"
            place = (
                f"lambda:${{AWS::Region}}:${{AWS::AccountId}}:function:mailroom-${{Stage}}-{own}"
            )
            yield "lambda:InvokeFunction", "!Sub arn:${AWS::Partition}:" + place
        case "kms":
            place = "kms:${AWS::Region}:${AWS::AccountId}:key/${LoginKeyId}"
            yield f"kms:{operation}", "!Sub arn:${AWS::Partition}:" + place
        case _:
            yield f"{service}:{operation}", "nothing a test here knows of"


@cache
def _grants() -> dict[str, list[tuple[str, str]]]:
    grants: dict[str, list[tuple[str, str]]] = {}
    for role, statement in allowed(translated()):
        grants.setdefault(role, []).extend(
            (action, written(resource))
            for action in statement_list(statement["Action"])
            for resource in statement_list(statement["Resource"])
        )
    return grants
