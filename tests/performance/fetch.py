"""Decides how our import is measured beside mbsync's plain download of the same mailbox.

And beside a download that imaplib makes and drops, which tells what Python and TLS take of it. All
over TLS from the same server, each as a process of its own on the same processor, the server on
another; by turns, so that whatever else the machine does meets all; medians of the rounds. mbsync
writes into a fresh folder, in memory where the system has such a place, and never waits for a disk
(`FSync no`): writing 20,000 files to a real one would take it several times as long, and we are
compared with its download.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.paths import REPOSITORY
from tests.performance.fetch_child import STAGES
from tests.performance.memory import peak_megabytes
from tests.performance.server import (
    CLIENT_CPU,
    HOME,
    HOST,
    PASSWORD,
    MeasuredMailbox,
    measured_mailbox,
    on_cpu,
)
from tests.performance.synthetic_mail import OWNER

Figures = dict[str, Any]
AIM_RATIO = 1.0
AIM_MEGABYTES = 256


class MeasurementError(Exception):
    """A figure would be wrong: something other than the whole mailbox was taken in."""


def measure(messages: int, pairs: int) -> Figures:
    """Return the figures of `pairs` interleaved runs, and where our time goes."""
    with measured_mailbox(messages) as mailbox:
        # Once unmeasured: the server fills its caches for both.
        _ours(mailbox, "fetch")
        mbsync(mailbox)
        ours: list[Figures] = []
        theirs: list[Figures] = []
        bare: list[Figures] = []
        for _ in range(pairs):
            theirs.append(mbsync(mailbox))
            ours.append(_ours(mailbox, "pack"))
            bare.append(_child(mailbox, "bare_child"))
        stages = {stage: _ours(mailbox, stage) for stage in STAGES[:-1]}
    mine, other, least = _medians(ours), _medians(theirs), _medians(bare)
    return {
        "messages": mailbox.messages,
        "mailbox_bytes": mailbox.bytes,
        "pairs": pairs,
        "ours": mine,
        "mbsync": other,
        "bare": least,
        "ratio_wall": _ratio("seconds", theirs, ours),
        "ratio_cpu": _ratio("cpu_seconds", theirs, ours),
        "ratio_wall_bare": _ratio("seconds", theirs, bare),
        "ratio_wall_to_bare": _ratio("seconds", bare, ours),
        "microseconds_cpu_each": {
            name: one["cpu_seconds"] / mailbox.messages * 1e6
            for name, one in {**stages, "pack": mine}.items()
        },
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    ours, theirs, count = figures["ours"], figures["mbsync"], figures["messages"]
    each = figures["microseconds_cpu_each"]
    return [
        (
            "fetch + parse + encode, messages/s, against mbsync's download",
            f"{figures['ratio_wall']:.2f} × ({count / ours['seconds']:,.0f}"
            f" : {count / theirs['seconds']:,.0f})",
            f"≥ {AIM_RATIO}",
        ),
        (
            "the same, against imaplib's download, dropped",
            f"{figures['ratio_wall_to_bare']:.2f} ×",
            "",
        ),
        (
            "imaplib's download, dropped, against mbsync's",
            f"{figures['ratio_wall_bare']:.2f} × ({count / figures['bare']['seconds']:,.0f})",
            "",
        ),
        (
            "processor time, mbsync's against ours",
            f"{figures['ratio_cpu']:.2f} × ({theirs['cpu_seconds']:.2f} s"
            f" : {ours['cpu_seconds']:.2f} s)",
            "",
        ),
        (
            "peak memory, ours and mbsync's",
            f"{ours['peak_megabytes']:.0f} MB : {theirs['peak_megabytes']:.0f} MB",
            f"< {AIM_MEGABYTES} MB",
        ),
        (
            "bytes received, of the mailbox's",
            f"{ours['bytes_received'] / figures['mailbox_bytes']:.2f} ×",
            "",
        ),
        ("round trips a thousand messages", f"{ours['round_trips'] / count * 1000:.1f}", ""),
        ("packed bytes a message", f"{ours['packed_bytes'] / count:,.0f}", ""),
        (
            "µs of processor a message: fetch / with parse / with packing",
            " / ".join(f"{each[stage]:.0f}" for stage in STAGES),
            "",
        ),
    ]


def _ours(mailbox: MeasuredMailbox, stage: str) -> Figures:
    return _child(mailbox, "fetch_child", "--stage", stage)


def _child(mailbox: MeasuredMailbox, module: str, *options: str) -> Figures:
    command = [sys.executable, "-m", f"tests.performance.{module}"]
    command += [str(mailbox.port), str(mailbox.authority), *options]
    with on_cpu(CLIENT_CPU):
        done = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE)
    figures: Figures = json.loads(done.stdout)
    if figures["messages"] != mailbox.messages:
        raise MeasurementError(f"{figures['messages']} of {mailbox.messages} messages")
    return figures


def mbsync(mailbox: MeasuredMailbox) -> Figures:
    """Download the mailbox once and return what it took."""
    # Where there is memory to write to, the disk does not count against it.
    memory = Path("/dev/shm")
    target = (memory if memory.is_dir() else HOME) / f"mailroom-mbsync-{os.getpid()}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    settings = target / "mbsyncrc"
    settings.write_text(_mbsync_settings(mailbox, target))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    peak = 0.0
    with on_cpu(CLIENT_CPU):
        process = subprocess.Popen(
            ["mbsync", "--quiet", "--config", str(settings), "--all"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    while process.poll() is None:
        peak = max(peak, peak_megabytes(process.pid))
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = process.stderr.read() if process.stderr else ""
    got = sum(1 for part in ("cur", "new") for _ in target.glob(f"*/{part}/*"))
    shutil.rmtree(target)
    if process.returncode != 0 or got != mailbox.messages:
        raise MeasurementError(f"mbsync: {got} of {mailbox.messages} messages. {said}")
    return {
        "seconds": seconds,
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "peak_megabytes": peak,
    }


def _mbsync_settings(mailbox: MeasuredMailbox, target: Path) -> str:
    return f"""FSync no
IMAPStore far
Host {HOST}
Port {mailbox.port}
User {OWNER}
Pass {PASSWORD}
SSLType IMAPS
SystemCertificates no
CertificateFile {mailbox.authority}

MaildirStore near
Path {target}/
Inbox {target}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
SyncState *
"""


def _ratio(key: str, theirs: list[Figures], ours: list[Figures]) -> float:
    """Return how many times as much they took as we, pair by pair."""
    return median(their[key] / our[key] for their, our in zip(theirs, ours, strict=True))


def _medians(runs: list[Figures]) -> Figures:
    return {key: median(run[key] for run in runs) for key in runs[0]}
