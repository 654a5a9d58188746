"""How the template gets onto the emulator: as on AWS, then what the emulator drops.

CloudFormation in ministack 1.5.33 ignores three properties without a word: a table's
TimeToLiveSpecification, a function's ReservedConcurrentExecutions and an HTTP API's
CorsConfiguration. Each works when set by its own call, so each is set again after every
deployment.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from infra.local.bundle import Bundle
from infra.local.clients import client
from infra.local.expand import expand

if TYPE_CHECKING:
    from mypy_boto3_apigatewayv2.type_defs import CorsTypeDef

STACK: Final = "mailroom-local"
ARTIFACTS: Final = "mailroom-artifacts"
_DEADLINE_SECONDS = 180.0
_NOTHING_NEW = "didn't contain changes"

Template = dict[str, Any]


class DeploymentError(Exception):
    """The emulator refused the template or a resource; the message says which and why."""


def deploy(
    endpoint: str, *, template: Path, parameters: Mapping[str, str], bundle: Bundle
) -> dict[str, str]:
    """Bring the stack to what `template` says; return its outputs by name.

    Data stays: an existing stack is updated in place, and nothing happens when nothing changed.
    Raises DeploymentError.
    """
    # It complains at exit that nobody reads the statistics it keeps.
    logging.getLogger("samtranslator.metrics").setLevel(logging.ERROR)
    code = (ARTIFACTS, f"mailroom-{bundle.digest}.zip")
    expanded = expand(template, dict(parameters), code=code)
    text = json.dumps(expanded)
    template_key = f"template-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    _upload(endpoint, {code[1]: bundle.archive, template_key: text.encode()})
    if _change(endpoint, f"{endpoint}/{ARTIFACTS}/{template_key}", parameters):
        _wait(endpoint)
    _set_again(endpoint, expanded, parameters)
    return _outputs(endpoint)


def _upload(endpoint: str, files: Mapping[str, bytes]) -> None:
    """Put `files` into the bucket for artifacts, and drop what earlier deployments left there."""
    s3 = client("s3", endpoint)
    s3.create_bucket(Bucket=ARTIFACTS)
    present = {
        str(item["Key"]) for item in s3.list_objects_v2(Bucket=ARTIFACTS).get("Contents", [])
    }
    for key, content in files.items():
        if key not in present:
            s3.put_object(Bucket=ARTIFACTS, Key=key, Body=content)
    for key in present - set(files):
        s3.delete_object(Bucket=ARTIFACTS, Key=key)


def _change(endpoint: str, template_url: str, parameters: Mapping[str, str]) -> bool:
    """Begin the deployment. Returns False when there is nothing to change."""
    cloudformation = client("cloudformation", endpoint)
    created = cloudformation.create_change_set(
        StackName=STACK,
        ChangeSetName=f"up-{time.time_ns():x}",
        ChangeSetType="UPDATE" if _exists(endpoint) else "CREATE",
        TemplateURL=template_url,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )["Id"]

    def settled() -> str | None:
        found = cloudformation.describe_change_set(ChangeSetName=created)
        if found["Status"] == "FAILED" and _NOTHING_NEW in found.get("StatusReason", ""):
            return "unchanged"
        if found["Status"] == "FAILED":
            raise DeploymentError(found.get("StatusReason", "the change set failed"))
        return "ready" if found["Status"] == "CREATE_COMPLETE" else None

    outcome = _until(settled)
    if outcome == "unchanged":
        cloudformation.delete_change_set(ChangeSetName=created)
        return False
    cloudformation.execute_change_set(ChangeSetName=created)
    return True


def _exists(endpoint: str) -> bool:
    try:
        found = client("cloudformation", endpoint).describe_stacks(StackName=STACK)["Stacks"]
    except ClientError:
        return False
    return found[0]["StackStatus"] not in {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}


def _wait(endpoint: str) -> None:
    cloudformation = client("cloudformation", endpoint)

    def settled() -> str | None:
        status = str(cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"])
        return None if status.endswith("_IN_PROGRESS") else status

    status = _until(settled)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        events = cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]
        failures = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if "FAILED" in event.get("ResourceStatus", "")
        ]
        raise DeploymentError(f"deployment ended as {status}\n" + "\n".join(failures))


def _until(settled: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if outcome := settled():
            return outcome
        time.sleep(0.05)
    raise DeploymentError(f"not deployed after {_DEADLINE_SECONDS:.0f} s")


def _outputs(endpoint: str) -> dict[str, str]:
    stack = client("cloudformation", endpoint).describe_stacks(StackName=STACK)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def _set_again(endpoint: str, template: Template, parameters: Mapping[str, str]) -> None:
    """Set by API what the emulator's CloudFormation drops."""
    physical = {
        item["LogicalResourceId"]: item["PhysicalResourceId"]
        for item in client("cloudformation", endpoint).describe_stack_resources(StackName=STACK)[
            "StackResources"
        ]
    }
    for logical, resource in template["Resources"].items():
        properties = _resolved(resource.get("Properties", {}), template, parameters)
        if again := _AGAIN.get(resource["Type"]):
            again(endpoint, physical[logical], properties)


def _time_to_live(endpoint: str, name: str, properties: Template) -> None:
    wanted = properties.get("TimeToLiveSpecification")
    dynamodb = client("dynamodb", endpoint)
    if not wanted:
        return
    present = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    # Setting what is already set is an error, on AWS too.
    if present["TimeToLiveStatus"] != "ENABLED":
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _concurrency(endpoint: str, name: str, properties: Template) -> None:
    if (wanted := properties.get("ReservedConcurrentExecutions")) is not None:
        client("lambda", endpoint).put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=int(wanted)
        )


def _cors(endpoint: str, name: str, properties: Template) -> None:
    if wanted := properties.get("CorsConfiguration"):
        # SAM puts a list parameter in as the text it was given as.
        if isinstance(origins := wanted.get("AllowOrigins"), str):
            wanted = {**wanted, "AllowOrigins": origins.split(",")}
        client("apigatewayv2", endpoint).update_api(
            ApiId=name, CorsConfiguration=cast("CorsTypeDef", wanted)
        )


_AGAIN: Final[dict[str, Callable[[str, str, Template], None]]] = {
    "AWS::DynamoDB::Table": _time_to_live,
    "AWS::Lambda::Function": _concurrency,
    "AWS::ApiGatewayV2::Api": _cors,
}


def _resolved(value: Any, template: Template, parameters: Mapping[str, str]) -> Any:
    """`value` with every reference to a parameter replaced by it; other references stay."""
    if isinstance(value, list):
        return [_resolved(item, template, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in template.get("Parameters", {}):
        declared = template["Parameters"][value["Ref"]]
        text = str(parameters.get(value["Ref"], declared.get("Default", "")))
        return text.split(",") if "List" in declared["Type"] else text
    return {
        name: _resolved(item, template, parameters)
        for name, item in cast("Template", value).items()
    }
