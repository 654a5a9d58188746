"""`poe up`, `poe down` and `poe token` as a newcomer runs them, each in a process of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from infra.local import lock, processes
from infra.local.paths import REPOSITORY, Paths

pytestmark = pytest.mark.stack


def run(paths, command, *arguments):
    """Returns what the command printed; fails when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", f"infra.local.{command}", *arguments, "--root", str(paths.root)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def left_running(paths):
    return [process for process in processes.running() if str(paths.root) in process.command]


@pytest.fixture
def paths(tmp_path):
    made = Paths.of(tmp_path)
    yield made
    run(made, "down", "--wipe")
    assert not left_running(made)
    assert not list(tmp_path.iterdir())


def described(paths):
    return json.loads(paths.description.read_text())


def test_up_describes_what_runs_and_down_leaves_nothing_running(paths):
    printed = run(paths, "up", "--empty", "--detach")
    stack = described(paths)
    opened = [line.split()[1] for line in printed.splitlines() if line.startswith("Open ")]
    assert opened == [stack["page"]] * 2, "first and last"
    with urllib.request.urlopen(stack["page"]) as answer:
        assert "<title>Mailroom</title>" in answer.read().decode()
    with urllib.request.urlopen(f"{stack['issuer']}/.well-known/openid-configuration") as answer:
        assert json.load(answer)["issuer"] == stack["issuer"]
    assert {"host", "port", "security", "username", "password"} <= set(stack["imap"])
    assert {"host", "port", "security", "username", "password"} <= set(stack["smtp"])
    assert "Already running" in run(paths, "up", "--empty")
    assert run(paths, "token", "--tenant", "t1", "--user", "u1").count(".") == 2
    assert "Stopped" in run(paths, "down")
    assert not left_running(paths)
    assert not paths.description.exists()


def test_up_recovers_after_everything_was_killed(paths):
    run(paths, "up", "--empty", "--detach")
    before = described(paths)
    os.kill(before["pid"], signal.SIGKILL)
    for process in left_running(paths):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    lock.wait_until_free(paths.lock, seconds=10)
    run(paths, "up", "--empty", "--detach")
    after = described(paths)
    assert after["pid"] != before["pid"]
    assert {**after, "pid": 0} == {**before, "pid": 0}


def test_the_emulator_saves_and_ends_when_whoever_watches_it_is_killed(paths):
    run(paths, "up", "--empty", "--detach")
    os.kill(described(paths)["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 30
    while processes.emulators(paths) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not processes.emulators(paths)


def test_ctrl_c_stops_cleanly(paths):
    command = [sys.executable, "-m", "infra.local.up", "--empty", "--root", str(paths.root)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if line.startswith("Running."):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert lines[-1] == "Stopped.\n"
