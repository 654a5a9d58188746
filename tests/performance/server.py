"""Decides where the measured mailbox lies: a Dovecot of its own, filled once and kept.

Filling takes longer than measuring, so the server's folder stays in `.local/performance` and is
filled anew only when another number of messages is asked for.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.local.dovecot import DovecotServer
from infra.local.dovecot_mail import Stored
from infra.local.paths import REPOSITORY
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.providers.imap.adapter import ImapProvider
from shared.providers.network import Network, NetworkPolicy
from tests.performance.synthetic_mail import FOLDERS, OWNER, generate

HOME = REPOSITORY / ".local" / "performance"
PASSWORD = "not-a-real-password"
HOST = "localhost"
CLIENT_CPU, SERVER_CPU = 0, 1
_FORMAT = 2
"""To be raised when the generator changes, so that a kept mailbox is filled anew."""
_APPEND_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class MeasuredMailbox:
    """Where the mailbox is and how to log in."""

    port: int
    authority: Path
    messages: int
    bytes: int

    def login(self) -> ServerLogin:
        """Return the login, by TLS, as production has it."""
        return ServerLogin(ServerSettings(HOST, self.port, Security.TLS, OWNER), Secret(PASSWORD))

    def provider(self) -> ImapProvider:
        """Return the adapter that the functions use, permitted to reach this machine."""
        policy = NetworkPolicy(
            allow_private_hosts=True,
            extra_ports=frozenset({self.port}),
            extra_ca_file=str(self.authority),
        )
        return ImapProvider(Network(policy))

    def grant(self) -> ImapGrant:
        """Return what a provider is opened with."""
        return ImapGrant(self.login(), self.login())


@contextmanager
def measured_mailbox(messages: int) -> Iterator[MeasuredMailbox]:
    """Yield a running server that holds `messages` messages; made on first use, kept after."""
    root = HOME / f"imap-{messages}"
    note = root / "filled.json"
    filled = json.loads(note.read_text()) if note.exists() else {}
    if filled.get("format") != _FORMAT:
        shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    server = DovecotServer(root, {OWNER: PASSWORD})
    with on_cpu(SERVER_CPU):
        server.start()
    try:
        if filled.get("format") != _FORMAT:
            print(f"Filling the mailbox with {messages} messages, once")
            filled = {"format": _FORMAT, "bytes": _fill(server, messages)}
            note.write_text(json.dumps(filled))
        yield MeasuredMailbox(
            server.ports.tls, server.certificates.authority, messages, filled["bytes"]
        )
    finally:
        server.stop()


def _fill(server: DovecotServer, messages: int) -> int:
    waiting: dict[str, list[Stored]] = {name: [] for name in FOLDERS}
    held = dict.fromkeys(FOLDERS, 0)
    total = 0
    mail = server.mail(OWNER)
    for made in generate(messages):
        waiting[made.folder].append((made.raw, made.flags, made.received_at))
        held[made.folder] += len(made.raw)
        total += len(made.raw)
        if held[made.folder] > _APPEND_BYTES:
            mail.append_many(made.folder, waiting[made.folder])
            waiting[made.folder], held[made.folder] = [], 0
    for folder, rest in waiting.items():
        mail.append_many(folder, rest)
    return total


@contextmanager
def on_cpu(number: int) -> Iterator[None]:
    """Have this process, and those it starts meanwhile, run on one processor where that can be."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    with suppress(OSError):
        # With fewer processors than asked for, all share what there is.
        os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
