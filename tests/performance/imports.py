"""Decides how a function's cold path is measured: fresh interpreters, with bytecode, paired.

Two figures for each function. Loading its handler is what a cold start always pays. Its adapters
load on first use, so the first request also pays for those its handler asks `wiring` for; no
request is sent to anybody. All from files like those that are deployed, in rounds that go through
every function, with an empty function in an interpreter of its own before each.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.paths import REPOSITORY
from infra.tasks import artifact
from tests.performance.server import HOME

Figures = dict[str, Any]
ROUNDS = 7
API = (
    "complete_connection",
    "connect_mailbox",
    "disconnect_mailbox",
    "manage_mailboxes",
    "preview_backfill",
    "read_mail",
    "send_message",
    "serve_page",
)
AIM_API_MS, AIM_WORKER_MS = 300, 400
HEAVY_MS = 20
PAGE = REPOSITORY / "infra" / "deploy.md"
BEGIN = "<!-- written by `uv run poe bench imports --write` -->"
END = "<!-- end of what is written -->"
_PARTS = ("handler_ms", "cold_path_ms")
WIRING = {path.stem for path in (REPOSITORY / "shared").glob("wiring*.py")}
# Whatever the deployment gives them; nothing here is asked for over the network.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "MAILROOM_TABLE": "mailroom",
    "MAILROOM_BUCKET": "mailroom",
    "MAILROOM_SECRET_PREFIX": "mailroom",
    "MAILROOM_SYNC_QUEUE_URL": "https://sqs.invalid/1/sync",
    "MAILROOM_PLAN_QUEUE_URL": "https://sqs.invalid/1/plan",
    "MAILROOM_CHUNK_QUEUE_URL": "https://sqs.invalid/1/chunk",
    "MAILROOM_ERASE_QUEUE_URL": "https://sqs.invalid/1/erase",
    "MAILROOM_EVENT_BUS": "mailroom",
    "MAILROOM_REDIRECT_URL": "https://api.invalid",
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
_NOTHING = _TIMED.format(statement="import empty_function", use="")
_IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def measure() -> Figures:
    """Return, for every function, the milliseconds it takes over an empty one."""
    bundle = HOME / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir(parents=True)
    artifact.for_this_machine(bundle)
    (bundle / "empty_function.py").write_text(_EMPTY)
    names = sorted(path.parent.name for path in (REPOSITORY / "functions").glob("*/handler.py"))
    code = {name: _code(name) for name in names}
    for one in code.values():
        # Once unmeasured: the machine reads the files.
        _milliseconds(bundle, one)
    over: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            empty, _ = _milliseconds(bundle, _NOTHING)
            handler, cold_path = _milliseconds(bundle, code[name])
            over[name].append((handler - empty, cold_path - empty))
    return {
        name: {
            "handler_ms": _spread([handler for handler, _ in over[name]]),
            "cold_path_ms": _spread([cold_path for _, cold_path in over[name]]),
            "heavy": _heavy(bundle, code[name]),
        }
        for name in names
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    return [
        (
            f"{name}, ms over an empty function: loaded / with its adapters (median; least)",
            f"{one['handler_ms']['median']:.0f} / {one['cold_path_ms']['median']:.0f}"
            f" ({one['handler_ms']['least']:.0f} / {one['cold_path_ms']['least']:.0f})",
            f"≤ {AIM_API_MS if name in API else AIM_WORKER_MS}",
        )
        for name, one in figures.items()
    ]


def table(figures: Figures, weight: artifact.Weight, machine: str) -> str:
    """Return what infra/deploy.md says of the artifact and of its functions' cold starts."""
    megabytes = {
        "unpacked": weight.unpacked,
        "as an archive": weight.packed,
        "of it our own code, with bytecode": weight.own,
        **{f"of it {name}": size for name, size in weight.parts[:6]},
    }
    lines = ["| the artifact, for Lambda | MB |", "| --- | --- |"]
    lines += [f"| {what} | {size / 1e6:.1f} |" for what, size in megabytes.items()]
    lines += ["", "| function | handler, ms | with its adapters, ms | aim, ms |"]
    lines += ["| --- | --- | --- | --- |"]
    for name, one in figures.items():
        shown = (f"{one[part]['least']:.0f}–{one[part]['median']:.0f}" for part in _PARTS)
        aim = AIM_API_MS if name in API else AIM_WORKER_MS
        lines.append(f"| {name} | {' | '.join(shown)} | ≤ {aim} |")
    lines += ["", f"Least and median of {ROUNDS}, {machine}."]
    return "\n".join(lines)


def write(figures: Figures, machine: str) -> None:
    """Put the table into infra/deploy.md, between its marks."""
    with tempfile.TemporaryDirectory() as folder:
        weight = artifact.weight_of(artifact.for_lambda(Path(folder)))
    head, mark, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise SystemExit(f"{PAGE.name} has no marks for the table")
    text = f"{head}{BEGIN}\n{table(figures, weight, machine)}\n{END}{tail}"
    PAGE.write_text(text, encoding="utf-8")


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "least": min(values)}


def _code(name: str) -> str:
    return _TIMED.format(statement=f"import functions.{name}.handler", use=adapters(name))


def adapters(name: str) -> str:
    """Return code that builds what the handler asks of `wiring` without arguments."""
    tree = ast.parse((REPOSITORY / "functions" / name / "handler.py").read_text())
    asked = {
        f"{node.func.value.id}.{node.func.attr}()"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and not node.args
        and not node.keywords
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in WIRING
    }
    modules = sorted({one.partition(".")[0] for one in asked})
    return "\n".join([*(f"from shared import {one}" for one in modules), *sorted(asked)])


def _milliseconds(bundle: Path, code: str) -> tuple[float, float]:
    """Return what loading took inside a fresh interpreter, and what it took with the adapters."""
    handler, cold_path = (float(text) * 1000 for text in _python(bundle, "-c", code).stdout.split())
    return handler, cold_path


def _heavy(bundle: Path, code: str) -> dict[str, float]:
    """Return the packages whose own modules take long, in milliseconds."""
    spent: Counter[str] = Counter()
    told = _python(bundle, "-X", "importtime", "-c", code).stderr
    for microseconds, module in _IMPORT_TIME.findall(told):
        spent[module.partition(".")[0]] += int(microseconds)
    return {name: us / 1000 for name, us in spent.most_common() if us / 1000 > HEAVY_MS}


def _python(bundle: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "MAILROOM_", "PYTHON"))
    }
    return subprocess.run(
        # Without the environment's own packages: those of the bundle are meant.
        [sys.executable, "-S", *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=bundle,
        env={**environment, **ENVIRONMENT, "PYTHONPATH": str(bundle)},
    )
