"""Decides how a function's cold path is measured: fresh interpreters, with bytecode, paired.

Two figures for each function. Loading its handler is what a cold start always pays. Its adapters
load on first use, so the first request also pays for those its handler asks `wiring` for; no
request is sent to anybody. Each is paired with an empty function in an interpreter of its own.
"""

import ast
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.paths import REPOSITORY
from tests.performance.server import HOME

Figures = dict[str, Any]
RUNS = 7
API = ("connect_mailbox", "disconnect_mailbox", "manage_mailboxes", "read_mail")
AIM_API_MS, AIM_WORKER_MS = 300, 400
HEAVY_MS = 20
# Whatever the deployment gives them; nothing here is asked for over the network.
_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "MAILROOM_TABLE": "mailroom",
    "MAILROOM_BUCKET": "mailroom",
    "MAILROOM_SECRET_PREFIX": "mailroom",
    "MAILROOM_SYNC_QUEUE_URL": "https://sqs.invalid/1/sync",
    "MAILROOM_PLAN_QUEUE_URL": "https://sqs.invalid/1/plan",
    "MAILROOM_CHUNK_QUEUE_URL": "https://sqs.invalid/1/chunk",
    "POWERTOOLS_SERVICE_NAME": "mailroom",
    "POWERTOOLS_METRICS_NAMESPACE": "Mailroom",
}
_EMPTY = "def lambda_handler(event, context):\n    return None\n"
_TIMED = """
import time
started = time.perf_counter()
{statement}
loaded = time.perf_counter()
{use}
used = time.perf_counter()
print(loaded - started, used - started)
"""
_IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def measure() -> Figures:
    """Return milliseconds and ratios for every function."""
    empty = HOME / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    (empty / "empty_function.py").write_text(_EMPTY)
    names = sorted(path.parent.name for path in (REPOSITORY / "functions").glob("*/handler.py"))
    return {name: _one(name) for name in names}


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    return [
        (
            f"{name}: handler / and its adapters, ms",
            f"{one['handler_ms']:.0f} / {one['cold_path_ms']:.0f}"
            f" ({one['ratio_handler']:.1f} × / {one['ratio_cold_path']:.1f} × an empty function;"
            f" {', '.join(f'{module} {ms:.0f}' for module, ms in one['heavy'].items())})",
            f"≤ {AIM_API_MS if name in API else AIM_WORKER_MS}",
        )
        for name, one in figures.items()
    ]


def _one(name: str) -> Figures:
    statement = f"import functions.{name}.handler"
    code = _TIMED.format(statement=statement, use=_adapters(name))
    nothing = _TIMED.format(statement="import empty_function", use="")
    # The first writes the bytecode.
    _run(code)
    pairs = [(_run(nothing), _run(code)) for _ in range(RUNS)]
    return {
        "handler_ms": median(mine["handler"] for _, mine in pairs),
        "cold_path_ms": median(mine["cold_path"] for _, mine in pairs),
        "ratio_handler": median(
            (empty["process"] + mine["handler"]) / empty["process"] for empty, mine in pairs
        ),
        "ratio_cold_path": median(
            (empty["process"] + mine["cold_path"]) / empty["process"] for empty, mine in pairs
        ),
        "empty_process_ms": median(empty["process"] for empty, _ in pairs),
        "heavy": _heavy(code),
    }


def _adapters(name: str) -> str:
    """Return code that has `wiring` build what the handler asks it for without arguments."""
    tree = ast.parse((REPOSITORY / "functions" / name / "handler.py").read_text())
    asked = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and not node.args
        and not node.keywords
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "wiring"
    }
    calls = "\n".join(f"wiring.{one}()" for one in sorted(asked))
    return f"from shared import wiring\n{calls}"


def _run(code: str) -> dict[str, float]:
    """Return milliseconds inside a fresh interpreter, and of its whole life."""
    started = time.perf_counter()
    done = _python(["-c", code])
    process = time.perf_counter() - started
    handler, cold_path = (float(text) * 1000 for text in done.stdout.split())
    return {
        "handler": handler,
        "cold_path": cold_path,
        "process": process * 1000,
    }


def _heavy(code: str) -> dict[str, float]:
    """Return the packages whose own modules take long, in milliseconds."""
    spent: Counter[str] = Counter()
    for microseconds, module in _IMPORT_TIME.findall(
        _python(["-X", "importtime", "-c", code]).stderr
    ):
        spent[module.partition(".")[0]] += int(microseconds)
    return {name: us / 1000 for name, us in spent.most_common() if us / 1000 > HEAVY_MS}


def _python(arguments: list[str]) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join((str(REPOSITORY), str(Path(HOME) / "empty")))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MAILROOM_", "PYTHON"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**environment, **_ENVIRONMENT, "PYTHONPATH": path},
    )
