"""What the roles of the stack are asked for: written down, and asked also where AWS itself acts.

ministack asks a role's policies about every request that a function makes. What AWS does in a
role's name without a request of ours it does without asking: it polls queues and streams, starts
what is scheduled, writes logs, reports what failed. Here those ask as well, so that a right that is
missing stops the same thing as on AWS, and every use is in one file, a line each:

    {"role": …, "action": …, "resource": …, "grants": […]}

`grants` are the resources of the statements that allow it, as they are written in the role; with
none it was refused. A use is written once for each statement it comes under.

Conditions are evaluated by ministack from what it knows of a request: not `dynamodb:LeadingKeys`,
and never `aws:SourceAccount`, which is a matter of who may take a role. X-Ray is not there at all.

Runs in ministack's interpreter and uses private names of ministack 1.5.33, which is pinned.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from ministack.core import iam_evaluator  # type: ignore[import-not-found]
from ministack.core.responses import get_account_id  # type: ignore[import-not-found]
from ministack.services import eventbridge, lambda_svc  # type: ignore[import-not-found]

_POLLING = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": (
        "dynamodb:DescribeStream",
        "dynamodb:GetRecords",
        "dynamodb:GetShardIterator",
    ),
}
"""What Lambda does with a source, by service, with the rights of the function it polls for."""
_STARTING = {
    "lambda": "lambda:InvokeFunction",
    "sqs": "sqs:SendMessage",
    "events": "events:PutEvents",
}
_LOGGING = ("logs:CreateLogStream", "logs:PutLogEvents")

log = logging.getLogger("mailroom.permissions")


def watch(file: Path) -> None:
    """Have every use of a role asked about and written to `file`, after what is in it already."""
    roles = _Roles(file)
    _watch_requests(roles)
    _ask_for_pollers(roles)
    _ask_for_schedules(roles)
    _ask_for_logs(roles)
    _ask_for_reports(roles)


class _Roles:
    """The policies of the stack's roles, and what they were asked."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()

    def may_all(self, role_arn: str, actions: Iterable[str], resource: str) -> bool:
        """Whether the role's policies let AWS do all of this in its name; each is asked about."""
        return False not in [self.may(role_arn, action, resource) for action in actions]

    def may(self, role_arn: str, action: str, resource: str) -> bool:
        """Whether the role's policies let AWS do this in its name."""
        account = role_arn.split(":")[4]
        policies = iam_evaluator._gather_role_policies(_name(role_arn), account)  # noqa: SLF001
        context = iam_evaluator.EvalContext(
            principal_arn=role_arn,
            principal_type="AssumedRole",
            principal_account=account,
            action=action,
            resource_arn=resource,
            region="",
        )
        allowed = bool(iam_evaluator.evaluate(context, policies).decision == "Allow")
        self.note(_name(role_arn), action, resource, policies, allowed=allowed)
        return allowed

    def note(
        self, role: str, action: str, resource: str, policies: list[Any], *, allowed: bool
    ) -> None:
        """Write a use down, once for the same grants; each refusal once for its resource."""
        grants = [
            pattern
            for statement in (one for policy in policies for one in policy)
            if statement.effect == "Allow" and action in statement.actions
            for pattern in statement.resources
            if iam_evaluator.fnmatch_iam_cs(resource, pattern)
        ]
        key = (role, action, *(sorted(grants) if allowed else (resource,)))
        with self._lock:
            if key in self._seen:
                return
            self._seen.add(key)
            use = {
                "role": role,
                "action": action,
                "resource": resource,
                "grants": grants if allowed else [],
            }
            with self._file.open("a") as stream:
                stream.write(json.dumps(use) + "\n")


def _watch_requests(roles: _Roles) -> None:
    """Write down what functions ask for themselves, links they signed among it."""
    enforce = iam_evaluator.enforce

    def watched(access_key: str, action: str, service: str, region: str, **more: Any) -> Any:
        refusal = enforce(access_key, action, service, region, **more)
        who = iam_evaluator.resolve_principal(access_key or "", get_account_id())
        if getattr(who, "type", "") == "AssumedRole" and who.policies is not None:
            resource = more.get("resource_arn", "*")
            name = who.arn.split("/")[1]
            roles.note(name, action, resource, who.policies, allowed=refusal is None)
        return refusal

    vars(iam_evaluator)["enforce"] = watched


def _ask_for_pollers(roles: _Roles) -> None:
    """Poll no queue and no stream that the function's role may not read."""
    all_mappings = lambda_svc._iter_all_esms  # noqa: SLF001

    def permitted() -> Iterator[tuple[str, str, dict[str, Any]]]:
        for account, region, mapping in all_mappings():
            source = mapping.get("EventSourceArn", "")
            function = lambda_svc._functions.get_scoped(  # noqa: SLF001
                account, region, mapping["FunctionName"]
            )
            role = ((function or {}).get("config") or {}).get("Role")
            actions = _POLLING.get((source.split(":") + [""] * 3)[2], ())
            if not role or roles.may_all(role, actions, source):
                yield account, region, mapping

    vars(lambda_svc)["_iter_all_esms"] = permitted


def _ask_for_schedules(roles: _Roles) -> None:
    """Start nothing by a schedule, and pass on no event, for which its role has no right."""
    invoke = eventbridge._invoke_target  # noqa: SLF001

    def permitted(target: dict[str, Any], *given: Any, **named: Any) -> Any:
        role, arn = target.get("RoleArn"), target.get("Arn", "")
        action = _STARTING.get((arn.split(":") + [""] * 3)[2])
        if role and action and not roles.may(role, action, arn):
            log.error("%s may not %s on %s", role, action, arn)
            return None
        return invoke(target, *given, **named)

    vars(eventbridge)["_invoke_target"] = permitted


def _ask_for_logs(roles: _Roles) -> None:
    """Write no line of a function whose role may not write to its log group."""
    emit: Callable[..., None] = lambda_svc._emit_lambda_logs  # noqa: SLF001

    def permitted(function: dict[str, Any], *given: Any, **named: Any) -> None:
        config = function.get("config") or function
        role, arn = config.get("Role", ""), config.get("FunctionArn", "")
        group = (config.get("LoggingConfig") or {}).get("LogGroup")
        place = ":".join(arn.split(":")[3:5])
        stream = f"arn:aws:logs:{place}:log-group:{group}:log-stream:function"
        if not role or not group or roles.may_all(role, _LOGGING, stream):
            emit(function, *given, **named)

    vars(lambda_svc)["_emit_lambda_logs"] = permitted


def _ask_for_reports(roles: _Roles) -> None:
    """Report no failed invocation to where the function's role may not."""
    route = lambda_svc._route_async_failure  # noqa: SLF001

    def permitted(target: str, function: str, *given: Any) -> None:
        config = (lambda_svc._functions.get(function) or {}).get("config") or {}  # noqa: SLF001
        action = _STARTING.get((target.split(":") + [""] * 3)[2])
        role = config.get("Role")
        if not role or not action or roles.may(role, action, target):
            route(target, function, *given)

    vars(lambda_svc)["_route_async_failure"] = permitted


def _name(role_arn: str) -> str:
    return role_arn.rsplit("/", 1)[-1]
