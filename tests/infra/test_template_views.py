"""The dashboard, the saved queries and the Contributor Insights rules speak of what exists, and find what they are for."""

import ast
import json
import re
import tomllib
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace

import pytest

from infra.lint_rules import of_type
from infra.local.expand import load
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
    StoreRefusedError,
)
from shared.domain.ledger import Counts
from shared.domain.mailbox import Provider
from shared.domain.run import Run, RunReason
from shared.observability import RUN_KEYS, Metric, log_event, log_trouble, logger
from shared.observability_of_runs import Work, log_raised, log_run, log_work
from shared.operations.receive_push import WordFate
from tests.infra.template_text import ROOT, TEMPLATE, translated

INFRA = ROOT / "infra"
QUERIES = dict(of_type(load(INFRA / "queries.yaml"), "AWS::Logs::QueryDefinition"))
RULES = dict(of_type(load(INFRA / "queries.yaml"), "AWS::CloudWatch::InsightRule"))
ALARMS = [
    properties["AlarmName"]["Fn::Sub"]
    for _, properties in of_type(load(INFRA / "alarms.yaml"), "AWS::CloudWatch::Alarm")
]
OURS = {"Stage": "dev", "ApiId": "a1", "CostAlarmDollarsAnHour": "2"}
AWS = {"Region": "eu-west-1", "AccountId": "123456789012", "Partition": "aws"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def filled_in(text):
    """What !Sub makes of a text."""
    values = OURS | {f"AWS::{name}": value for name, value in AWS.items()}
    return re.sub(r"\$\{([\w:]+)\}", lambda found: values[found[1]], text)


@cache
def widgets():
    ((_, dashboard),) = of_type(load(INFRA / "dashboard.yaml"), "AWS::CloudWatch::Dashboard")
    return json.loads(filled_in(dashboard["DashboardBody"]["Fn::Sub"]))["widgets"]


@cache
def log_groups():
    groups = of_type(translated(), "AWS::Logs::LogGroup")
    return {filled_in(properties["LogGroupName"]["Fn::Sub"]) for _, properties in groups}


def names_of(kind, key):
    return {filled_in(properties[key]["Fn::Sub"]) for _, properties in of_type(translated(), kind)}


# the dashboard


def test_the_dashboard_begins_with_every_alarm_then_how_old_mail_is_then_who_fails():
    kinds = [(one["type"], one["properties"].get("title", "")) for one in widgets()]
    assert kinds[0][0] == "text"
    assert kinds[1] == ("alarm", "Does something ring?")
    assert [title.partition("?")[0] for _, title in kinds[2:]].index("Is mail old") == 0
    shown = {arn.rpartition(":")[2] for arn in widgets()[1]["properties"]["alarms"]}
    assert shown == set(map(filled_in, ALARMS)), "an alarm without a place on the dashboard"


def test_widgets_are_beside_and_not_upon_each_other():
    places = [
        (one["y"] + down, one["x"] + right)
        for one in widgets()
        for down in range(one["height"])
        for right in range(one["width"])
    ]
    assert len(places) == len(set(places))
    assert max(column for _, column in places) < 24


def shown_metrics():
    for widget in widgets():
        for row in widget["properties"].get("metrics", []):
            if isinstance(row[0], str):
                namespace, name, *dimensions = [part for part in row if isinstance(part, str)]
                pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
                yield namespace, name, pairs


def test_each_metric_of_the_dashboard_is_written_by_somebody():
    of = {
        "FunctionName": names_of("AWS::Lambda::Function", "FunctionName"),
        "QueueName": names_of("AWS::SQS::Queue", "QueueName"),
        "TableName": names_of("AWS::DynamoDB::Table", "TableName"),
        "service": {"mailroom-dev"},
        "provider": set(Provider),
        "ApiId": {"a1"},
        "kind": {*WordFate, "sealed", "secrets"},
        "GlobalSecondaryIndexName": {"due", "mailbox_date"},
    }
    seen = list(shown_metrics())
    assert len(seen) > 80
    for namespace, name, dimensions in seen:
        assert namespace != "Mailroom" or name in set(Metric)
        assert all(value in of[key] for key, value in dimensions.items()), (name, dimensions)
    functions = {one["FunctionName"] for *_, one in seen if "FunctionName" in one}
    assert functions == of["FunctionName"], "a function without a place on the dashboard"
    queues = {one["QueueName"] for *_, one in seen if "QueueName" in one}
    assert queues == of["QueueName"], "a queue without a place on the dashboard"


def test_what_the_dashboard_asks_of_the_logs_names_groups_that_exist():
    asked = [one["properties"]["query"] for one in widgets() if one["type"] == "log"]
    assert asked
    for query in asked:
        assert set(re.findall(r"SOURCE '([^']+)'", query)) <= log_groups()


# the saved queries


def logged_elsewhere():
    """The events that are no run's, as the code names them, and the facts each call gives."""
    events, facts = set(), set()
    for path in [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "id", "")
            if isinstance(node, ast.Call) and name in {
                "log_event",
                "log_trouble",
                "_unless_refused",
            }:
                events |= {one.value for one in node.args if isinstance(one, ast.Constant)}
                facts |= {one.arg for one in node.keywords if one.arg}
    return events, facts


EVENTS, FACTS = logged_elsewhere()
OF_LOGS = {"@timestamp", "@log", "@message", "message", "level"}
OF_THE_API = {"status", "route", "integration_error", "latency_ms", "request_id"}
OF_REQUESTS = {"tenant_id", "mailbox_id", "backfill_id", "chunk", "send_id"}
WORDS = {
    *("fields", "filter", "sort", "limit", "stats", "by", "as", "and", "or", "in", "like", "desc"),
    *("count", "count_distinct", "sum", "max"),
}


def stages(query):
    text = QUERIES[query]["QueryString"]
    return [" ".join(stage.split()) for stage in re.split(r"\|(?![^/]*/\s*(?:\||$))", text)]


def unquoted(text):
    return re.sub(r'"[^"]*"|/[^/]+/', " ", text)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_logged(query):
    text = QUERIES[query]["QueryString"]
    words = set(re.findall(r"@?[a-z][\w.]*", unquoted(text)))
    named_here = set(re.findall(r" as (\w+)", text))
    known = {*RUN_KEYS, *FACTS, *OF_LOGS, *OF_THE_API, *OF_REQUESTS, "error", "cause", "code"}
    roots = {word if word.startswith("@") else word.partition(".")[0] for word in words}
    assert roots <= known | WORDS | named_here
    for told in re.findall(r'message (?:= |in )(\[[^\]]*\]|"\w+")', text):
        assert set(re.findall(r'"(\w+)"', told)) <= {"run", *EVENTS}
    for told in re.findall(r'code (?:= |in )(\[[^\]]*\]|"\w+")', text):
        assert set(re.findall(r'"(\w+)"', told)) <= set(ErrorCode)
    for told in re.findall(r'work (?:= |in )(\[[^\]]*\]|"\w+")', text):
        assert set(re.findall(r'"(\w+)"', told)) <= set(Work)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_looks_where_it_is_logged(query):
    groups = {filled_in(one["Fn::Sub"]) for one in QUERIES[query]["LogGroupNames"]}
    assert groups <= log_groups()
    assert re.fullmatch(r"mailroom-\$\{Stage\}/[a-z-]+", QUERIES[query]["Name"]["Fn::Sub"])


def test_every_function_s_deaths_and_refusals_are_looked_for():
    lambdas = {group for group in log_groups() if group.startswith("/aws/lambda/")}
    for query in ("Deaths", "NotLetIn"):
        groups = {filled_in(one["Fn::Sub"]) for one in QUERIES[query]["LogGroupNames"]}
        assert groups == lambdas


def field(line, name):
    value = line
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def finds(query, line):
    """Whether a line passes the query's filters: what of the language they use, in Python."""

    def value(name):
        return json.dumps(line) if name == "@message" else field(line, name)

    def ask(text):
        words = r'("[^"]*"|/[^/]+/|[@a-z][\w.]*|[\[\]()=>,]|\d+)'
        keep = {"and", "or", "in"}
        out = []
        for word in re.findall(words, text):
            if word[0] == "/":
                out.append(f"__LIKE__({word[1:-1]!r})")
            elif word == "=":
                out.append("==")
            elif word == "like":
                out.append("@")
            elif re.match(r"[@a-z]", word) and word not in keep:
                out.append(f"V({word!r})")
            else:
                out.append(word)
        return " ".join(out).replace("__LIKE__", "L")

    class Value:
        def __init__(self, held):
            self.held = held

        def __eq__(self, other):
            return self.held == other

        def __hash__(self):
            return hash(self.held)

        def __gt__(self, other):
            return self.held is not None and self.held > other

        def __matmul__(self, pattern):
            return re.search(pattern, str(self.held)) is not None

    names = {"V": lambda name: Value(value(name)), "L": lambda pattern: pattern}
    conditions = [one.removeprefix("filter ") for one in stages(query) if one.startswith("filter ")]
    return all(eval(ask(one), {"__builtins__": {}}, names) for one in conditions)


IDS = {"tenant_id": "acme", "mailbox_id": "MAILBOX"}


def run(code=None, reason=RunReason.SCHEDULE, **counts):
    return Run("acme", "MAILBOX", "R1", reason, NOW, NOW, Counts(**counts), code)


def failed(error, provider="gmail"):
    log_run(run(error.code), provider=provider, error=error)


HAPPENS = {
    "all is well": lambda: log_run(run(listed=1, stored=1), provider="gmail"),
    "google is away": lambda: failed(RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)),
    "access withdrawn": lambda: failed(ReconnectRequiredError(ErrorCode.GRANT_REVOKED)),
    "client refused": lambda: failed(ConfigurationError(ErrorCode.CLIENT_REJECTED)),
    "a bug": lambda: log_raised(Work.SYNC, ValueError(), ids=IDS, message_id="m"),
    "unreadable": lambda: log_run(run(listed=1, unreadable=1), provider="imap"),
    "missed": lambda: log_work(Work.AUDIT, outcome="done", ids=IDS, counts={"missing": 2}),
    "repaired": lambda: log_run(run(None, RunReason.REPAIR, listed=1, stored=1), provider="imap"),
    "in doubt": lambda: log_work(Work.SEND, outcome="unknown", ids=IDS | {"send_id": "SEND"}),
    "erased": lambda: log_work(Work.ERASURE, outcome="done", ids=IDS, seconds=30),
    "slow chunk": lambda: log_work(Work.CHUNK, outcome="done", ids=IDS, seconds=60),
    "not let in": lambda: log_trouble("request_failed", StoreRefusedError(), request_id="REQUEST"),
    "lost": lambda: log_event("dead_letter", kind="SyncRequest", **IDS),
    "not revoked": lambda: log_trouble(
        "grant_not_revoked", RetryLaterError(ErrorCode.RATE_LIMITED)
    ),
    "push refused": lambda: log_event("push_refused", provider="gmail", code="push_refused"),
    "tick": lambda: log_event("scheduled", queued=1, sends=0, changes=0),
    "untold": lambda: log_trouble("event_set_aside", KeyError(), sequence_number="1"),
}
NO_RUNS = {"not let in", "lost", "not revoked", "push refused", "tick", "untold"}
RUNS = HAPPENS.keys() - NO_RUNS
BAD = {"google is away", "access withdrawn", "client refused", "a bug"}
FINDS = {
    "OneMailbox": RUNS,
    "FailingMailboxes": BAD,
    "FailuresByCode": BAD,
    "StoppedMailboxes": {"access withdrawn"},
    "OurClients": {"client refused"},
    "Bugs": {"a bug"},
    "LostWork": {"lost"},
    "UnreadableMail": {"unreadable"},
    "MissedMail": {"missed", "repaired"},
    "OneMail": {"in doubt"},
    "DoubtfulSends": {"in doubt"},
    "Imports": {"slow chunk"},
    "SlowestRuns": {"erased", "slow chunk"},
    "Costliest": RUNS,
    "Erasures": {"erased"},
    "NotLetIn": {"not let in"},
    "GrantsLeft": {"not revoked"},
    "Push": {"push refused"},
    "UntoldEvents": {"untold"},
    "Schedule": {"tick", *BAD, "not let in", "not revoked", "untold"},
    "OneRequest": {"not let in"},
}
"""Those of the schedule by their level: its own groups hold none of the others' lines."""


def lines_of(caplog):
    caplog.set_level("INFO", logger="mailroom")
    told = {}
    for name, happen in HAPPENS.items():
        caplog.clear()
        happen()
        told[name] = json.loads(logger().registered_handler.format(caplog.records[-1]))
    return told


def test_each_query_finds_just_what_it_is_for(caplog):
    told = lines_of(caplog)
    for query, expected in FINDS.items():
        assert {name for name, line in told.items() if finds(query, line)} == expected, query
    assert set(FINDS) | {"Deaths", "ApiErrors"} == set(QUERIES)


@pytest.mark.parametrize(
    "line",
    [
        "2026-03-01T00:00:00Z 52fdfc07-2182-454f-963f Task timed out after 120.00 seconds",
        "RequestId: 52fdfc07 Error: Runtime exited with error: signal: killed\nRuntime.ExitError",
        "[ERROR] Runtime.ImportModuleError: Unable to import module",
    ],
)
def test_a_function_that_ends_without_a_word_is_found(line):
    assert finds("Deaths", {"text": line})


def test_errors_of_the_api_s_own_log_are_found():
    assert finds("ApiErrors", {"status": "502"})
    assert not finds("ApiErrors", {"status": "404"})


# the rules


def contributors(rule, lines):
    """What CloudWatch would rank: the keys of each line that passes, and how much it adds."""
    body = json.loads(filled_in(rule["RuleBody"]["Fn::Sub"]))
    part = SimpleNamespace(**body["Contribution"])
    found = {}
    for line in lines:
        if all(passes(one, field(line, one["Match"].removeprefix("$."))) for one in part.Filters):
            keys = tuple(field(line, key.removeprefix("$.")) for key in part.Keys)
            value = getattr(part, "ValueOf", None)
            amount = field(line, value.removeprefix("$.")) if value else 1
            found[keys] = found.get(keys, 0) + amount
    return found


def passes(condition, value):
    if "In" in condition:
        return value in condition["In"]
    return value is not None and value > condition["GreaterThan"]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_what_cloudwatch_takes(name):
    body = json.loads(filled_in(RULES[name]["RuleBody"]["Fn::Sub"]))
    assert body["Schema"] == {"Name": "CloudWatchLogRule", "Version": 1}
    assert set(body["LogGroupNames"]) <= log_groups()
    assert len(body["Contribution"]["Keys"]) <= 4
    assert len(body["Contribution"]["Filters"]) <= 4
    assert body["AggregateOn"] == ("Sum" if "ValueOf" in body["Contribution"] else "Count")


def test_rules_rank_who_fails_and_who_is_busy(caplog):
    lines = list(lines_of(caplog).values())
    failing = contributors(RULES["FailingMailboxesRule"], lines * 2)
    assert failing == {
        ("acme", "MAILBOX", "sync", code): 2
        for code in ("provider_unavailable", "grant_revoked", "client_rejected", "internal")
    }
    busy = contributors(RULES["BusiestMailboxesRule"], lines)
    assert busy == {
        ("acme", "MAILBOX", "erasure"): 30_000,
        ("acme", "MAILBOX", "backfill_chunk"): 60_000,
    }


def test_the_nested_templates_are_given_what_they_ask_for():
    stacks = of_type(load(TEMPLATE), "AWS::CloudFormation::Stack")
    for _, properties in stacks:
        asked = load(ROOT / properties["TemplateURL"])["Parameters"]
        assert properties["Parameters"].keys() == asked.keys()


# what AWS bills


def test_the_budget_and_the_anomalies_count_what_every_deployment_is_tagged_with():
    costs = load(INFRA / "cost-alerts.yaml")
    ((_, budget),) = of_type(costs, "AWS::Budgets::Budget")
    ((_, monitor),) = of_type(costs, "AWS::CE::AnomalyMonitor")
    ((_, mail),) = of_type(costs, "AWS::CE::AnomalySubscription")
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:project$mailroom"]}
    spec = json.loads(monitor["MonitorSpecification"])
    assert spec == {"Tags": {"Key": "user:project", "Values": ["mailroom"]}}
    least = json.loads(mail["ThresholdExpression"]["Fn::Sub"].replace("${AnomalyDollars}", "10"))
    assert least["Dimensions"]["Values"] == ["10"]
    deployed = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    for stage in ("dev", "prod"):
        assert "project=mailroom" in deployed[stage]["deploy"]["parameters"]["tags"]
