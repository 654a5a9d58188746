"""Decides what the benchmark prints: one table, results as ratios of what ran beside them.

    python -m tests.performance [part …] [--messages N] [--pairs N]

All parts run when none is named, but `e2e`, which starts a whole stack, and `scale`, which lasts
minutes. For `tick` and `scale`, N is how many mailboxes. The figures also go to
`.local/performance/latest.json`, a part at a time, so that one part can be measured anew alone.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.performance import (
    consumption,
    end_to_end,
    fetch,
    gmail,
    idle,
    imports,
    outlook,
    reading,
    scale,
    tick,
    units,
)
from tests.performance.server import HOME

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGES = 20_000
PARTS = (
    *("fetch", "idle", "units", "reading", "imports", "gmail", "outlook", "tick"),
    *("consumption", "scale", "e2e"),
)
_IDLE_PAIRS = 25
_ONLY_WHEN_NAMED = {"scale", "e2e"}
_FEWER = {
    "units": 400,
    "consumption": 400,
    "reading": 100_000,
    "gmail": 1_000,
    "outlook": 1_000,
    "e2e": 2_000,
}
"""Parts whose figures need other numbers of messages: fewer where each is slow."""
_MAILBOXES = {"tick": 5_000, "scale": scale.MAILBOXES}
"""Parts that are about mailboxes, and need no messages."""

Rows = list[tuple[str, str, str]]


def main() -> None:
    """Measure the named parts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--messages", type=int, help="in the mailbox, or mailboxes")
    parser.add_argument("--pairs", type=int, default=3, help="interleaved runs of `fetch`")
    parser.add_argument(
        "--write", action="store_true", help="`imports`, `consumption`: into infra/"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = options.parts or [part for part in PARTS if part not in _ONLY_WHEN_NAMED]
    if {"fetch", "e2e"} & set(parts) and not shutil.which("mbsync"):
        parser.error(
            "mbsync is not here (Debian: apt-get install isync; macOS: brew install isync)"
        )
    rows: Rows = []
    for part in parts:
        print(f"Measuring {part}", file=sys.stderr)
        usual = _MAILBOXES.get(part) or _FEWER.get(part, MESSAGES)
        messages = options.messages or usual
        figures, described = _measured(part, messages, options.pairs)
        _keep(part, figures)
        if part == "imports" and options.write:
            load = f"load {os.getloadavg()[0]:.0f}"
            imports.write(figures, f"{_machine()}, Python {platform.python_version()}, {load}")
        if part == "consumption" and options.write:
            consumption.write(figures)
        of_what = "mailboxes" if part in _MAILBOXES else "messages"
        about = "" if part == "imports" else f"{messages:,} {of_what}"
        rows += [("", "", ""), (part, about, "aim"), *described]
    _print(rows[1:])
    print(f"\n{_machine()}, Python {platform.python_version()}")


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}"


def _measured(part: str, messages: int, pairs: int) -> tuple[dict[str, Any], Rows]:
    runs: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[dict[str, Any]], Rows]]] = {
        "fetch": (lambda: fetch.measure(messages, pairs), fetch.rows),
        "idle": (lambda: idle.measure(messages, _IDLE_PAIRS), idle.rows),
        "units": (lambda: units.measure(messages), units.rows),
        "reading": (lambda: reading.measure(messages), reading.rows),
        "imports": (imports.measure, imports.rows),
        "gmail": (lambda: gmail.measure(messages), gmail.rows),
        "outlook": (lambda: outlook.measure(messages), outlook.rows),
        "consumption": (lambda: consumption.measure(messages), consumption.rows),
        "tick": (lambda: tick.measure(messages), tick.rows),
        "scale": (lambda: scale.measure(messages), scale.rows),
        "e2e": (lambda: end_to_end.measure(messages), end_to_end.rows),
    }
    measure, describe = runs[part]
    figures = measure()
    return figures, describe(figures)


def _keep(part: str, figures: dict[str, Any]) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    latest = HOME / "latest.json"
    known = json.loads(latest.read_text()) if latest.exists() else {}
    known[part] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "figures": figures,
    }
    latest.write_text(json.dumps(known, indent=2) + "\n")


def _print(rows: Rows) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for what, figure, aim in rows:
        print(f"{what:<{widths[0]}}  {figure:<{widths[1]}}  {aim}".rstrip())


if __name__ == "__main__":
    main()
