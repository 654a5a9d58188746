"""Decides how the demo's and the tests' real IMAP server runs: one Dovecot inside one folder.

Mail, ports and passwords stay in that folder, so a server that was stopped or killed comes back
on the same ports with the same mail, UIDs and UIDVALIDITY. Nothing outside it is touched, save a
folder for the sockets in /tmp while the server runs from a path that is too long for Dovecot.

A trap for tests: Dovecot takes a connection whose two addresses are equal for a secure one. A
client that connects to 127.0.0.1 may log in without TLS; one that connects to 127.0.0.2 may not.

    python -m infra.local.dovecot --ensure
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from infra.local.certificates import CertificateSet, ServerCertificate, ensure_certificates
from infra.local.dovecot_install import ensure_installed, version_of
from infra.local.dovecot_mail import StoredMail
from infra.local.dovecot_place import command_line, place_of
from infra.local.dovecot_settings import DovecotSettings, MailFormat, accounts_here, render
from infra.local.mail_ports import choose_ports, loopback_addresses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class DovecotError(Exception):
    """Dovecot did not start; the text is what it logged."""


@dataclass(frozen=True, slots=True)
class DovecotPorts:
    """Where an instance listens: ``starttls`` asks for STARTTLS, ``tls`` is implicit TLS."""

    starttls: int
    tls: int


class DovecotServer:
    """One Dovecot whose whole life is in the folder ``root``.

    Args:
        root: made when absent; holds mail, ports, passwords, certificates and the log.
        users: password by user name; names may be addresses.
        ports: asked for; else those of the last run when still free, else free ones.
        certificate: shown to clients; else the good one of ``root/certificates``.
        mail_format: how mail lies on disk.
        max_connections: simultaneous sessions of one user from one address; one more is refused
            with ``[LIMIT]``.
    """

    def __init__(
        self,
        root: Path,
        users: Mapping[str, str],
        *,
        ports: DovecotPorts | None = None,
        certificate: ServerCertificate | None = None,
        mail_format: MailFormat = "mdbox",
        max_connections: int = 50,
    ) -> None:
        self.root = root.absolute()
        self.users = dict(users)
        self.addresses = loopback_addresses()
        self._wanted_ports = ports
        self._certificate = certificate
        self._mail_format: MailFormat = mail_format
        self._max_connections = max_connections
        self._place = place_of(self.root)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- life ----

    @property
    def certificates(self) -> CertificateSet:
        """The authority to trust and the certificates it signed, made on first use."""
        return ensure_certificates(self.root / "certificates")

    @property
    def ports(self) -> DovecotPorts:
        """Where the server listens, as chosen by the last start."""
        return DovecotPorts(**json.loads((self.root / "ports.json").read_text()))

    @property
    def log(self) -> str:
        """All that this instance has logged so far."""
        path = self.root / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int | None:
        """Of the master process, while one of this very instance is alive, whoever started it."""
        try:
            pid = int((self._place.run / "master.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if self._is_ours(pid) else None

    @property
    def is_running(self) -> bool:
        """Whether a process of this very instance is alive, whoever started it."""
        return self.pid is not None

    def start(self) -> None:
        """Start, replacing an instance that an earlier, killed run left behind.

        Raises:
            DovecotError: it refused its settings or was not listening within 20 seconds.
        """
        program = ensure_installed()
        self.stop()
        self._lay_out()
        ports = self._choose_ports()
        self._write("ports.json", json.dumps(asdict(ports)))
        for user in self.users:
            self._write_user(user)
        self._write("dovecot.conf", render(self._settings(ports), version_of(program)))
        command = [str(program), "-c", str(self._place.home / "dovecot.conf")]
        # Into a file: the daemon keeps what it inherits open, so a pipe would never end.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, check=False
            )
            said.seek(0)
            if done.returncode != 0:
                raise DovecotError(f"{said.read()}{self.log[-2000:]}")
        deadline = time.monotonic() + START_SECONDS
        while not all(self._greets(port) for port in (ports.starttls, ports.tls)):
            if time.monotonic() > deadline:
                self.stop()
                raise DovecotError(f"not listening after {START_SECONDS} s:\n{self.log[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop this instance if it runs; its mail and ports stay."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            # It deletes its pid file first and closes its ports later: ask the process.
            while self._is_ours(pid) and time.monotonic() < deadline:
                time.sleep(0.02)
            if self._is_ours(pid):
                os.kill(pid, signal.SIGKILL)
        self._place.tidy()

    # ---- users ----

    def add_user(self, user: str, password: str) -> None:
        """Let ``user`` log in with ``password`` from now on; also changes a password.

        Raises:
            DovecotError: the server runs and does not take the password within a few seconds.
        """
        self.users[user] = password
        self._write_user(user)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_running and not self.mail(user).can_log_in():
            if time.monotonic() > deadline:
                raise DovecotError(f"{user} cannot log in:\n{self.log[-2000:]}")
            time.sleep(0.1)

    def remove_user(self, user: str) -> None:
        """Delete the user and the mail; sessions that are open stay open."""
        self.users.pop(user, None)
        (self.root / "users" / user).unlink(missing_ok=True)
        shutil.rmtree(self.root / "mail" / user, ignore_errors=True)

    def mail_directory(self, user: str) -> Path:
        """Return the folder that holds the user's mail in the format of this server."""
        return self.root / "mail" / user / self._mail_format

    # ---- mail ----

    def mail(self, user: str) -> StoredMail:
        """Return the user's mailbox, to change behind the product's back as another client does."""
        return StoredMail(
            host="127.0.0.1",
            port=self.ports.tls,
            user=user,
            password=self.users[user],
            tls=self.certificates.client_context(),
        )

    # ---- inside ----

    def _settings(self, ports: DovecotPorts) -> DovecotSettings:
        certificate = self._certificate
        if certificate is None:
            good = self.certificates.good
            folder = self._place.home / "certificates"
            certificate = ServerCertificate(folder / good.certificate.name, folder / good.key.name)
        return DovecotSettings(
            home=self._place.home,
            run=self._place.run,
            addresses=self.addresses,
            starttls_port=ports.starttls,
            tls_port=ports.tls,
            certificate=certificate,
            mail_format=self._mail_format,
            max_connections=self._max_connections,
        )

    def _lay_out(self) -> None:
        self._place.prepare()
        for name in ("state", "mail", "users"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self._give_to_mail_account(self.root / "mail")
        # Left by a kill, its number may be anybody's by now, and Dovecot would refuse to start.
        (self._place.run / "master.pid").unlink(missing_ok=True)

    def _give_to_mail_account(self, folder: Path) -> None:
        accounts = accounts_here()
        if accounts.privileged:
            shutil.chown(folder, accounts.mail, accounts.mail_group)

    def _choose_ports(self) -> DovecotPorts:
        if self._wanted_ports is not None:
            return self._wanted_ports
        return DovecotPorts(**choose_ports(self.root / "ports.json", ("starttls", "tls")))

    def _write(self, name: str, text: str) -> None:
        """Replace a file at once, so that no reader and no kill sees half of it."""
        target = self.root / name
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new.")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        # Dovecot takes a file of the same size and the same second for the same file.
        before = int(target.stat().st_mtime) if target.exists() else 0
        moment = max(int(time.time()), before + 1)
        os.utime(temporary, (moment, moment))
        Path(temporary).replace(target)

    def _write_user(self, user: str) -> None:
        # Base64, because the format has no way to write a colon inside a password. A file each,
        # because Dovecot looks whether a file changed only once a second.
        secret = base64.b64encode(self.users[user].encode()).decode()
        self._write(f"users/{user}", f"{user}:{{PLAIN.b64}}{secret}::::::\n")
        home = self.root / "mail" / user
        home.mkdir(mode=0o700, exist_ok=True)
        self._give_to_mail_account(home)

    def _is_ours(self, pid: int) -> bool:
        # After a reboot the number may belong to anybody: only our own command line counts.
        return str(self._place.home / "dovecot.conf") in command_line(pid)

    def _greets(self, port: int) -> bool:
        try:
            with socket.create_connection((self.addresses[-1], port), timeout=1):
                return True
        except OSError:
            return False


def main() -> None:
    """Install Dovecot when it is absent, and print where it is."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--ensure", action="store_true", required=True, help="install if absent")
    parser.parse_args()
    program = ensure_installed()
    major, minor = version_of(program)
    print(f"Dovecot {major}.{minor} at {program}")


if __name__ == "__main__":
    main()
