"""When a CloudWatch alarm rings: its state from its definition and the metrics, as AWS decides it.

The emulator's own rule looks at one metric by name alone: it knows no dimensions, no missing data,
no number of periods that must breach, no metric math. Here an alarm of `infra/alarms.yaml` goes
off where it would on AWS, except that it is looked at each second and not each minute.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

import ast
import operator
import re
import statistics
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

OK: Final = "OK"
ALARM: Final = "ALARM"
UNKNOWN: Final = "INSUFFICIENT_DATA"

Alarm = Mapping[str, Any]
"""An alarm as DescribeAlarms shows it."""


class Metric(NamedTuple):
    """One metric: a name says nothing without namespace and dimensions."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]


Read = Callable[[Metric, str, float, float], float | None]
"""Reads one statistic of a metric over the seconds from an instant up to another; None if empty."""


class UnsupportedAlarmError(Exception):
    """The alarm asks for something that only AWS can work out; the message says what."""


_BREACHES: Final[dict[str, Callable[[float, float], bool]]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(alarm: Alarm, read: Read, *, now: float, measured_since: float) -> str:
    """Return the state `alarm` has at `now`, an instant in epoch seconds.

    `measured_since` is when metrics began to be kept: that nothing was measured before it says
    nothing. Raises UnsupportedAlarmError.
    """
    breaches = _BREACHES.get(str(alarm["ComparisonOperator"]))
    if breaches is None:
        raise UnsupportedAlarmError(f"comparison {alarm['ComparisonOperator']}")
    period = period_of(alarm)
    missing = alarm.get("TreatMissingData") or "missing"
    periods: list[bool | None] = []
    undecided = 0
    for number in range(int(alarm["EvaluationPeriods"])):
        until = now - number * period
        value = _value(alarm, read, until - period, until)
        if value is not None:
            periods.append(breaches(value, float(alarm["Threshold"])))
        elif missing == "notBreaching":
            periods.append(False)
        elif missing == "breaching" and until - period >= measured_since:
            periods.append(True)
        else:
            undecided += 1
    wanted = int(alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"])
    return _state_of(periods, undecided, wanted, missing, str(alarm["StateValue"]))


def _state_of(
    periods: list[bool | None], undecided: int, wanted: int, missing: str, before: str
) -> str:
    """The state from which periods breached, `undecided` having had no data that counts."""
    breached = sum(1 for one in periods if one)
    if breached >= wanted:
        return ALARM
    if missing == "missing":
        if not periods:
            return UNKNOWN
        # What is there speaks for what is not.
        return ALARM if undecided and breached == len(periods) else OK
    # The undecided ones could still bring it about, so what was said before stands.
    return before if undecided and breached + undecided >= wanted else OK


def period_of(alarm: Alarm) -> float:
    """Seconds of one of the alarm's periods."""
    periods = [
        given
        for query in alarm.get("Metrics") or [alarm]
        if (given := query.get("Period") or query.get("MetricStat", {}).get("Period"))
    ]
    return float(max(periods))


def _value(alarm: Alarm, read: Read, since: float, until: float) -> float | None:
    """What is compared with the threshold: one metric, or what metric math makes of several."""
    queries = alarm.get("Metrics")
    if not queries:
        statistic = alarm.get("ExtendedStatistic") or alarm["Statistic"]
        return read(_metric(alarm), str(statistic), since, until)
    values = {
        query["Id"]: read(_metric(given["Metric"]), str(given["Stat"]), since, until)
        for query in queries
        if (given := query.get("MetricStat")) is not None
    }
    expressions = {query["Id"]: query["Expression"] for query in queries if "Expression" in query}
    # An expression may use one that stands after it.
    for _ in expressions:
        for name, expression in expressions.items():
            values[name] = compute(expression, values)
    (shown,) = (query["Id"] for query in queries if query.get("ReturnData", True))
    return values[shown]


def _metric(given: Mapping[str, Any]) -> Metric:
    dimensions = {one["Name"]: one["Value"] for one in given.get("Dimensions") or []}
    return Metric(given["Namespace"], given["MetricName"], dimensions)


_OPERATORS: Final[dict[type[ast.AST], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_WHOLES: Final[dict[str, Callable[[list[float]], float]]] = {
    "MIN": min,
    "MAX": max,
    "SUM": sum,
    "AVG": statistics.fmean,
}
_SPELLINGS: Final = ((r"\bAND\b|&&", " and "), (r"\bOR\b|\|\|", " or "), (r"\^", "**"))


def compute(expression: str, values: Mapping[str, float | None]) -> float | None:
    """Return what metric math makes of one period's `values` by id; None where data is missing.

    Arithmetic, comparisons, AND, OR, IF, FILL with a number, and MIN, MAX, SUM, AVG over a list.
    Raises UnsupportedAlarmError.
    """
    text = expression
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    try:
        return _compute(ast.parse(text.strip(), mode="eval").body, values)
    except SyntaxError:
        raise UnsupportedAlarmError(f"expression {expression}") from None


def _compute(node: ast.expr, values: Mapping[str, float | None]) -> float | None:  # noqa: PLR0911 - a case each
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values.get(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _compute(operand, values)
            return None if value is None else -value
        case ast.BinOp(left=left, op=sign, right=right):
            return _applied(type(sign), _compute(left, values), _compute(right, values))
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return _applied(type(sign), _compute(left, values), _compute(right, values))
        case ast.BoolOp(op=sign, values=parts):
            found = [_compute(part, values) for part in parts]
            if None in found:
                return None
            return float(all(found) if isinstance(sign, ast.And) else any(found))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _called(name, arguments, values)
    raise UnsupportedAlarmError(f"expression {ast.unparse(node)}")


def _applied(sign: type[ast.AST], left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (sign is ast.Div and right == 0):
        return None
    if sign not in _OPERATORS:
        raise UnsupportedAlarmError(f"operator {sign.__name__}")
    return float(_OPERATORS[sign](left, right))


def _called(
    name: str, arguments: list[ast.expr], values: Mapping[str, float | None]
) -> float | None:
    match name, arguments:
        case "IF", [condition, then, otherwise]:
            chosen = _compute(condition, values)
            return None if chosen is None else _compute(then if chosen else otherwise, values)
        case "FILL", [filled, ast.Constant(value=int() | float() as number)]:
            value = _compute(filled, values)
            return float(number) if value is None else value
        case "MIN" | "MAX" | "SUM" | "AVG", [ast.List(elts=parts)]:
            found = [one for part in parts if (one := _compute(part, values)) is not None]
            return _WHOLES[name](found) if found else None
    raise UnsupportedAlarmError(f"function {name}")
