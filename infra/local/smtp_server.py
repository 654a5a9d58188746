"""Decides what the demo's submission server does with mail: to Dovecot, else into a folder.

Mail for a user of the demo's Dovecot, or an alias of one, is appended to that Inbox as it came,
with a line on top; all other mail is kept as files in ``outbox`` and goes nowhere, so that a demo
never writes to a real person. A sender may only use the address logged in with and its aliases, as
most providers demand. No copy is put among the sent mail, as most servers put none.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import threading
import time
import weakref
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from infra.local.mail_ports import choose_ports, loopback_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from infra.local.certificates import ServerCertificate
    from infra.local.dovecot import DovecotServer

START_SECONDS = 10.0
_MOST_BYTES = 25 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SmtpPorts:
    """Where it listens: ``starttls`` refuses AUTH before STARTTLS, ``tls`` is implicit TLS."""

    starttls: int
    tls: int


class SubmissionServer:
    """A submission server whose users and deliveries are those of a Dovecot.

    Args:
        root: folder for the ports and the outbox.
        dovecot: where local mail goes, and whose users may log in; it must run to deliver.
        certificate: shown to clients; Dovecot's good one when left out.
    """

    def __init__(
        self, root: Path, dovecot: DovecotServer, *, certificate: ServerCertificate | None = None
    ) -> None:
        self.root = root.absolute()
        self._dovecot = dovecot
        self._certificate = certificate
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()
        self._delivery = _Delivery(dovecot, self.root / "outbox")

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

    def add_alias(self, alias: str, user: str) -> None:
        """Give a user another address, to write from and to get mail at."""
        self._delivery.aliases[alias.lower()] = user

    @property
    def ports(self) -> SmtpPorts:
        """Where the server listens, as chosen by the last start."""
        return SmtpPorts(**json.loads((self.root / "ports.json").read_text()))

    @property
    def outbox(self) -> list[bytes]:
        """Mail for people elsewhere, in the order it was accepted."""
        return [path.read_bytes() for path in sorted((self.root / "outbox").glob("*.eml"))]

    def lose_answers(self, count: int) -> None:
        """Deliver the next mails and hang up in place of saying so, as a broken line does."""
        self._delivery.answers_to_lose = count

    @property
    def is_running(self) -> bool:
        """Whether this object's server accepts connections."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Listen in a thread of its own.

        Raises:
            OSError: a port was taken between choosing it and listening.
        """
        (self.root / "outbox").mkdir(parents=True, exist_ok=True)
        # Without a handler, logging prints aiosmtpd's remarks into the terminal of `poe up`.
        logging.getLogger("mail.log").addHandler(logging.NullHandler())
        ports = SmtpPorts(**choose_ports(self.root / "ports.json", ("starttls", "tls")))
        (self.root / "ports.json").write_text(json.dumps(asdict(ports)))
        ready: _Ready = _Ready()
        self._thread = threading.Thread(
            target=self._run, args=(ports, ready), name="submission-server", daemon=True
        )
        self._thread.start()
        if not ready.event.wait(START_SECONDS):
            raise TimeoutError("the submission server did not start")
        if ready.error is not None:
            raise ready.error

    def stop(self) -> None:
        """Close the listening sockets and every session."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_SECONDS)
        self._loop = self._thread = None

    def _run(self, ports: SmtpPorts, ready: _Ready) -> None:
        loop = self._loop = asyncio.new_event_loop()
        try:
            servers = loop.run_until_complete(self._listen(loop, ports))
        except OSError as error:
            ready.error = error
            ready.event.set()
            loop.close()
            return
        ready.event.set()
        loop.run_forever()
        loop.run_until_complete(_close(servers, self._sessions))
        loop.close()

    async def _listen(
        self, loop: asyncio.AbstractEventLoop, ports: SmtpPorts
    ) -> list[asyncio.Server]:
        certificate = self._certificate or self._dovecot.certificates.good
        tls = certificate.server_context()
        login = _Login(self._dovecot.users)

        def session(*, starttls: bool) -> SMTP:
            made = SMTP(
                self._delivery,
                loop=loop,
                hostname="submission.mailroom.example",
                ident="Mailroom demo",
                data_size_limit=_MOST_BYTES,
                enable_SMTPUTF8=True,
                tls_context=tls if starttls else None,
                require_starttls=starttls,
                # On implicit TLS aiosmtpd does not see the TLS; handle_MAIL demands the login.
                auth_require_tls=starttls,
                authenticator=login,
            )
            self._sessions.add(made)
            return made

        servers: list[asyncio.Server] = []
        for host in loopback_addresses():
            plain = await loop.create_server(lambda: session(starttls=True), host, ports.starttls)
            secure = await loop.create_server(
                lambda: session(starttls=False), host, ports.tls, ssl=tls
            )
            servers += [plain, secure]
        return servers


class _Ready:
    """Says once that the thread listens, or why not."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: OSError | None = None


class _Login:
    """Takes the passwords of Dovecot's users, as they are at that moment."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def __call__(
        self, _server: Any, session: Any, _envelope: Any, _mechanism: str, data: object
    ) -> AuthResult:
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        user = data.login.decode("utf-8", "replace")
        password = data.password.decode("utf-8", "replace")
        if self._users.get(user) != password:
            # Left unhandled, aiosmtpd answers `535 5.7.8 Authentication credentials invalid`.
            return AuthResult(success=False, handled=False)
        session.user = user
        return AuthResult(success=True)


class _Delivery:
    """aiosmtpd's hooks: who may send as whom, and where a message goes."""

    def __init__(self, dovecot: DovecotServer, outbox: Path) -> None:
        self._dovecot = dovecot
        self._outbox = outbox
        self._numbers = itertools.count()
        self.answers_to_lose = 0
        self.aliases: dict[str, str] = {}

    async def handle_MAIL(  # noqa: N802 - aiosmtpd finds the hook by this name
        self, _server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        if self._user_of(address).lower() != session.user.lower():
            return "550 5.7.60 Client does not have permissions to send as this sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd finds the hook by this name
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        recipients = list(dict.fromkeys(address.lower() for address in envelope.rcpt_tos))
        raw = _with_trace(session.user, envelope.content)
        # IMAP blocks; in the loop it would hold up every other session.
        await asyncio.to_thread(self._deliver, recipients, raw)
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            server.transport.abort()
        return "250 2.0.0 OK, queued"

    def _deliver(self, recipients: list[str], raw: bytes) -> None:
        local = {user.lower(): user for user in self._dovecot.users}
        users = dict.fromkeys(self._user_of(recipient).lower() for recipient in recipients)
        for user in users:
            if user in local:
                self._dovecot.mail(local[user]).deliver(raw)
        if any(user not in local for user in users):
            name = f"{time.time_ns():020d}-{next(self._numbers):04d}.eml"
            (self._outbox / name).write_bytes(raw)

    def _user_of(self, address: str) -> str:
        """Return whose an address is; its own where it is nobody's alias."""
        return self.aliases.get(address.lower(), address)


def _with_trace(user: str, raw: bytes) -> bytes:
    return f"Received: from {user} by submission.mailroom.example (demo)\r\n".encode() + raw


async def _close(servers: list[asyncio.Server], sessions: Iterable[SMTP]) -> None:
    for server in servers:
        server.close()
    for session in sessions:
        if session.transport is not None:
            session.transport.close()
    # Sessions hold tasks that would be reported as destroyed while pending.
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
