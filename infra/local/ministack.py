"""Starting and stopping ministack, the emulator that everything local runs on."""

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from infra.local import ports, processes, venvs
from infra.local.clients import FALSE_CREDENTIALS, REGION
from infra.local.paths import REPOSITORY, Paths

_START_SECONDS = 60.0
_STOP_SECONDS = 600.0
"""As long as the launcher gives its last save."""

# All that a function may learn of the host, so that it cannot depend on a developer's machine.
_INHERITED = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")


class EmulatorNotStartedError(Exception):
    """ministack ended or stayed silent; the message names its log."""


class Ministack:
    """One ministack process with its state under `paths.root`."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Its address. Valid after `start`."""
        return f"http://{ports.LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start on the remembered port and wait until it answers.

        What a killed stack of the same folder left running is ended first: two of them would
        write one state. Raises EmulatorNotStartedError.
        """
        self.end_leftovers()
        self._close()
        shutil.rmtree(self.paths.temporary, ignore_errors=True)
        self.paths.create()
        interpreter = venvs.ministack_python(self.paths)
        functions = venvs.functions_python(self.paths)
        self.port = ports.claim(self.paths, "aws")
        log = self.paths.logs / "ministack.log"
        with log.open("wb") as stream:
            self._process = subprocess.Popen(
                [
                    *(str(interpreter), "-m", "infra.local.launcher"),
                    *("--functions-python", str(functions), "--root", str(self.paths.root)),
                ],
                cwd=REPOSITORY,
                env=self._environment(),
                # Open for as long as we live: its end tells ministack to save and end too.
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to a whole process group; ministack must end after its clients.
                start_new_session=True,
            )
        self._wait_until_healthy(log)

    def stop(self) -> None:
        """Ask it to end and wait until its state is saved. Does nothing when it is not running."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
            self._close()
        self.end_leftovers()
        shutil.rmtree(self.paths.temporary, ignore_errors=True)

    def kill(self) -> None:
        """`kill -9` it and its functions, as a power cut would: for tests of recovery."""
        processes.kill(processes.emulators(self.paths))
        processes.kill(processes.workers(self.paths))
        if self._process is not None:
            self._process.wait(30)
            self._close()

    def end_leftovers(self) -> None:
        """End processes of this stack that nobody waits for any more; let ministack save first."""
        processes.end(processes.emulators(self.paths), within=_STOP_SECONDS)
        processes.end(processes.workers(self.paths), within=1.0)

    def save(self) -> None:
        """Return once all that was written before is saved. It would be by itself, a bit later."""
        request = urllib.request.Request(f"{self.endpoint}/_mailroom/save", method="POST")
        with urllib.request.urlopen(request, timeout=_STOP_SECONDS):
            return

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def _close(self) -> None:
        if self._process is not None:
            self._process.poll()
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process = None

    def _environment(self) -> dict[str, str]:
        given = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return (
            given
            | FALSE_CREDENTIALS
            | {
                "BIND_HOST": ports.LOOPBACK,
                # What a role does not permit fails here as on AWS.
                "AUTH": "true",
                "GATEWAY_PORT": str(self.port),
                "MINISTACK_REGION": REGION,
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self.paths.state / "current"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self.paths.objects),
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                "LOG_LEVEL": "WARNING",
                "TMPDIR": str(self.paths.temporary),
                "HOME": str(self.paths.temporary),
                "TZ": "UTC",
                "PYTHONUNBUFFERED": "1",
                "POWERTOOLS_TRACE_DISABLED": "true",
                # Functions are unpacked for each worker; bytecode written there would be lost work.
                "PYTHONDONTWRITEBYTECODE": "1",
            }
        )

    def _wait_until_healthy(self, log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.alive():
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        why = "did not answer" if self.alive() else "ended"
        self.kill()
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
        raise EmulatorNotStartedError(f"ministack {why}; see {log}\n{tail}")
