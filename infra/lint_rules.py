"""Which mistakes in template.yaml are refused that neither cfn-lint nor a deployment notices.

Each rule takes a translated template (plain CloudFormation, see `infra.local.expand.translate`) and
returns what is wrong, one sentence per finding, naming the resource; an empty list is a pass.
`tests/infra` runs them all on our template and shows each of them a broken one. Rules about who
may do what are in `infra.lint_access`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Template = dict[str, Any]

API_TIMEOUT_SECONDS: Final = 29
"""HTTP APIs give up after 30 s; a function that ends by then still answers in its own words."""

VISIBILITY_FACTOR: Final = 6
"""AWS asks for six times the function's timeout, so that throttled batches are tried again before
their messages show up anew."""

STREAM_SECONDS: Final = 86_400
"""So long a table's stream keeps a record."""

_RATE: Final = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_AT: Final = re.compile(r"at\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\)")
_CRON: Final = re.compile(r"cron\(([^()]*)\)")
_MONTHS: Final = [
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN"),
    *("JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
]
_DAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
# (name, lowest, highest, names, further forms) per field, as EventBridge documents them.
_FIELDS: Final[tuple[tuple[str, int, int, list[str], str], ...]] = (
    ("minutes", 0, 59, [], r"$^"),
    ("hours", 0, 23, [], r"$^"),
    ("day of month", 1, 31, [], r"\?|L|(?:[1-9]|[12]\d|3[01])W|LW"),
    ("month", 1, 12, _MONTHS, r"$^"),
    ("day of week", 1, 7, _DAYS, r"\?|L|[1-7]L|[1-7]#[1-5]"),
    ("year", 1970, 2199, [], r"$^"),
)
_DAY_OF_MONTH, _DAY_OF_WEEK = 2, 4


def of_type(template: Template, *types: str) -> Iterator[tuple[str, Template]]:
    """Name and properties of every resource of the given types."""
    for name, resource in template["Resources"].items():
        if resource["Type"] in types:
            yield name, resource.get("Properties", {})


def target(reference: Any) -> str | None:
    """The resource a `Ref` or `Fn::GetAtt` points to, or None."""
    match reference:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return name
    return None


def schedules_are_valid(template: Template) -> list[str]:
    """`rate(1 minutes)` and a five-field cron deploy to an error that names no line."""
    return [
        f"{name}: {properties['ScheduleExpression']}: {problem}"
        for name, properties in of_type(template, "AWS::Scheduler::Schedule", "AWS::Events::Rule")
        if "ScheduleExpression" in properties
        and (problem := schedule_problem(properties["ScheduleExpression"]))
    ]


def schedule_problem(expression: str) -> str | None:
    """What is wrong with a schedule expression, or None."""
    if rate := _RATE.fullmatch(expression):
        count, unit = int(rate[1]), rate[2]
        if count < 1:
            return "a rate is at least 1"
        return None if (count == 1) is not unit.endswith("s") else "one minute, two minutes"
    if cron := _CRON.fullmatch(expression):
        return _cron_problem(cron[1].split(" "))
    return None if _AT.fullmatch(expression) else "neither rate(), cron() nor at()"


def _cron_problem(fields: list[str]) -> str | None:
    if len(fields) != len(_FIELDS):
        return f"{len(fields)} fields, cron has {len(_FIELDS)} (the last is the year)"
    if "?" not in (fields[_DAY_OF_MONTH], fields[_DAY_OF_WEEK]):
        return "one of day of month and day of week must be ?"
    for field, (name, lowest, highest, names, further) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _cron_part(part, lowest, highest, names, further):
                return f"{part!r} is no {name}"
    return None


def _cron_part(part: str, lowest: int, highest: int, names: list[str], further: str) -> bool:
    if re.fullmatch(further, part):
        return True
    span, _, step = part.partition("/")
    if "/" in part and not (step.isdigit() and int(step) > 0):
        return False
    if span == "*":
        return True
    ends = [
        names.index(end) + lowest if end in names else int(end) if end.isdigit() else -1
        for end in span.split("-")
    ]
    return len(ends) in {1, 2} and all(lowest <= end <= highest for end in ends)


def schedules_report_failure(template: Template) -> list[str]:
    """A tick that cannot be started, or whose function fails, must be seen somewhere."""
    caught = {
        target(properties["FunctionName"])
        for _, properties in of_type(template, "AWS::Lambda::EventInvokeConfig")
        if target(properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
    }
    found = []
    for name, properties in of_type(template, "AWS::Scheduler::Schedule"):
        started = properties["Target"]
        if "RetryPolicy" not in started:
            found.append(f"{name}: no RetryPolicy: the default retries for a day")
        if target(started.get("DeadLetterConfig", {}).get("Arn")) is None:
            found.append(f"{name}: no dead-letter queue for ticks that cannot be started")
        if target(started["Arn"]) not in caught:
            found.append(f"{name}: no OnFailure destination for ticks that fail")
    return found


def batches_report_failures(template: Template) -> list[str]:
    """Without the exact word, one bad message sends its whole batch back, good ones too."""
    return [
        f"{name}: FunctionResponseTypes is {given}, not ['ReportBatchItemFailures']"
        for name, properties in of_type(template, "AWS::Lambda::EventSourceMapping")
        if (given := properties.get("FunctionResponseTypes")) != ["ReportBatchItemFailures"]
    ]


def visibility_covers_timeout(template: Template) -> list[str]:
    """A message that reappears while its worker runs is worked on twice."""
    found = []
    functions, queues = _functions(template), _queues(template)
    for name, properties in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = str(target(properties["EventSourceArn"]))
        if queue not in queues:
            continue
        timeout = _at_most(template, functions[str(target(properties["FunctionName"]))]["Timeout"])
        window = properties.get("MaximumBatchingWindowInSeconds", 0)
        needed = VISIBILITY_FACTOR * timeout + window
        visibility = queues[queue].get("VisibilityTimeout", 30)
        if visibility < needed:
            found.append(f"{name}: {queue} hides a message for {visibility} s, not {needed} s")
    return found


def streams_lose_nothing(template: Template) -> list[str]:
    """What a stream's reader cannot take in a day is gone; given up before, it is in a queue."""
    found = []
    queues = _queues(template)
    for name, properties in of_type(template, "AWS::Lambda::EventSourceMapping"):
        if target(properties["EventSourceArn"]) in queues:
            continue
        failed = properties.get("DestinationConfig", {}).get("OnFailure", {})
        if target(failed.get("Destination")) not in queues:
            found.append(f"{name}: no queue for records that are given up")
        if not 0 < properties.get("MaximumRecordAgeInSeconds", -1) < STREAM_SECONDS:
            found.append(f"{name}: gives up no record before the stream has forgotten it")
        if properties.get("MaximumRetryAttempts", -1) != -1:
            found.append(f"{name}: an outage longer than its tries loses records")
        if not properties.get("BisectBatchOnFunctionError"):
            found.append(f"{name}: one record that kills its reader holds up its whole batch")
        if not properties.get("FilterCriteria", {}).get("Filters"):
            found.append(f"{name}: is called for every write")
    return found


def consumers_are_bounded(template: Template) -> list[str]:
    """Unbounded, one tenant's backfill takes every Lambda of the account and every session."""
    work = _queues(template).keys() - _dead_letter_queues(template)
    return [
        f"{name}: no ScalingConfig.MaximumConcurrency"
        for name, properties in of_type(template, "AWS::Lambda::EventSourceMapping")
        if target(properties["EventSourceArn"]) in work
        and not properties.get("ScalingConfig", {}).get("MaximumConcurrency")
    ]


def queues_have_dead_letters(template: Template) -> list[str]:
    """Work ends in a dead letter, not in silence: also not by outliving its queue's retention."""
    found = []
    queues, dead = _queues(template), _dead_letter_queues(template)
    for name, properties in queues.items():
        if name in dead:
            continue
        redrive = properties.get("RedrivePolicy", {})
        letters = target(redrive.get("deadLetterTargetArn"))
        if letters not in queues:
            found.append(f"{name}: no dead-letter queue")
            continue
        kept = properties.get("MessageRetentionPeriod", 345_600)
        tries = redrive["maxReceiveCount"] * properties.get("VisibilityTimeout", 30)
        if kept <= tries:
            found.append(f"{name}: keeps for {kept} s, but {tries} s pass before the last try ends")
        if queues[letters].get("MessageRetentionPeriod", 345_600) <= kept:
            found.append(f"{name}: its dead letters are kept no longer than itself keeps messages")
    return found


def own_queues_may_loop(template: Template) -> list[str]:
    """Lambda ends a function that fed its own queue about 16 times over, as a runaway."""
    found = []
    for name, properties in of_type(template, "AWS::Lambda::EventSourceMapping"):
        queue = target(properties["EventSourceArn"])
        function = str(target(properties["FunctionName"]))
        settings = _functions(template)[function]
        role = template["Resources"].get(str(target(settings["Role"])), {})
        may_send = any(
            queue in map(target, statement_list(statement["Resource"]))
            for policy in role.get("Properties", {}).get("Policies", [])
            for statement in policy["PolicyDocument"]["Statement"]
            if "sqs:SendMessage" in statement_list(statement["Action"])
        )
        if may_send and settings.get("RecursiveLoop") != "Allow":
            found.append(f"{name}: {function} feeds {queue} itself and lacks RecursiveLoop: Allow")
    return found


def self_invokers_may_loop(template: Template) -> list[str]:
    """As above, for a function that may invoke itself, which it does by name."""
    found = []
    for name, settings in _functions(template).items():
        role = template["Resources"].get(str(target(settings["Role"])), {})
        own_name = str(settings.get("FunctionName", {}).get("Fn::Sub"))
        invokes_itself = any(
            str(resource.get("Fn::Sub", "")).endswith(f":function:{own_name}")
            for policy in role.get("Properties", {}).get("Policies", [])
            for statement in policy["PolicyDocument"]["Statement"]
            if "lambda:InvokeFunction" in statement_list(statement["Action"])
            for resource in statement_list(statement["Resource"])
            if isinstance(resource, dict)
        )
        if invokes_itself and settings.get("RecursiveLoop") != "Allow":
            found.append(f"{name}: invokes itself and lacks RecursiveLoop: Allow")
    return found


def statement_list(value: Any) -> list[Any]:
    """An IAM element as a list: one item may stand alone."""
    return value if isinstance(value, list) else [value]


def functions_log_to_their_own_group(template: Template) -> list[str]:
    """A group that Lambda makes itself keeps logs for ever; a shared one hides whose line it is."""
    found, seen = [], set()
    groups = dict(of_type(template, "AWS::Logs::LogGroup"))
    for name, properties in _functions(template).items():
        group = target(properties.get("LoggingConfig", {}).get("LogGroup"))
        if group not in groups or group in seen:
            found.append(f"{name}: no log group of its own")
        seen.add(group)
    found += [
        f"{name}: no RetentionInDays"
        for name, properties in groups.items()
        if not properties.get("RetentionInDays")
    ]
    return found


def functions_are_alike(template: Template) -> list[str]:
    """One artifact: built by our rule, same runtime, traced, named after its folder."""
    found = []
    for name, properties in _functions(template).items():
        folder = folder_of(name)
        expected = {
            "Handler": f"functions.{folder}.handler.lambda_handler",
            "FunctionName": {"Fn::Sub": f"mailroom-${{Stage}}-{folder}"},
            "Runtime": "python3.13",
            "Architectures": ["arm64"],
            "TracingConfig": {"Mode": "Active"},
        }
        found += [
            f"{name}: {key} is {properties.get(key)!r}, not {value!r}"
            for key, value in expected.items()
            if properties.get(key) != value
        ]
        built = template["Resources"][name].get("Metadata", {})
        if built.get("BuildMethod") != "makefile" or built.get("ContextPath") != "infra":
            found.append(f"{name}: not built by infra/Makefile")
    return found


def folder_of(function: str) -> str:
    """`SyncMailboxFunction` → `sync_mailbox`, its folder in functions/."""
    words = re.findall(r"[A-Z][a-z]*", function.removesuffix("Function"))
    return "_".join(words).lower()


def _at_most(template: Template, value: Any) -> int:
    """A number, or the most that the parameter it refers to may be."""
    if (name := target(value)) is not None:
        return int(template["Parameters"][name]["MaxValue"])
    return int(value)


def _functions(template: Template) -> dict[str, Template]:
    return dict(of_type(template, "AWS::Lambda::Function"))


def _queues(template: Template) -> dict[str, Template]:
    return dict(of_type(template, "AWS::SQS::Queue"))


def _dead_letter_queues(template: Template) -> set[str | None]:
    """Where queues, schedules and streams put what they give up on."""
    queues = {
        target(properties.get("RedrivePolicy", {}).get("deadLetterTargetArn"))
        for properties in _queues(template).values()
    }
    schedules = {
        target(properties["Target"].get("DeadLetterConfig", {}).get("Arn"))
        for _, properties in of_type(template, "AWS::Scheduler::Schedule")
    }
    sources = {
        target(properties.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"))
        for _, properties in of_type(template, "AWS::Lambda::EventSourceMapping")
    }
    return queues | schedules | sources
