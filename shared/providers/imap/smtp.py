"""Decides how a login to a submission server is tried: encrypted first, and nothing is sent."""

import base64
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.domain.errors import ConfigurationError, ErrorCode, MailroomError, RetryLaterError
from shared.domain.mail_server import Security, ServerLogin
from shared.providers.imap import errors, grammar
from shared.providers.imap.securing import Upgrade, connect
from shared.providers.network import Connection, Network

_READY = 220
_LOGGED_IN = 235
_GO_ON = 334
_LONGEST_LINE = 8_192
_MOST_LINES = 200
"""In one reply; the longest are lists of what a server can do."""


def log_in_and_leave(login: ServerLogin, network: Network, *, seconds: float) -> None:
    """Log in and quit within `seconds`; raises the errors of `MailProvider`."""
    client = log_in(login, network, seconds=seconds)
    try:
        client.docmd("QUIT")
    except (MailroomError, smtplib.SMTPException, ValueError):
        # The verdict is in; how the server takes leave does not change it.
        return
    finally:
        client.connection.close()


def log_in(login: ServerLogin, network: Network, *, seconds: float) -> "GuardedSmtp":
    """Return a client that is logged in within `seconds`; raises the errors of `MailProvider`.

    The caller closes its connection.
    """
    for text in (login.server.username, login.password.reveal()):
        grammar.refuse_controls(text.encode())
    connection = connect(login, network, seconds=seconds)
    try:
        client = GuardedSmtp(connection)
        with library_errors():
            _dialogue(client, login, network)
    except BaseException:  # boundary: whatever ended it, the socket is closed and it goes on
        connection.close()
        raise
    return client


@contextmanager
def library_errors() -> Iterator[None]:
    """Raise what smtplib meets as an error of the domain."""
    try:
        yield
    except smtplib.SMTPException as error:
        raise errors.from_library(error) from error
    except (ValueError, IndexError) as error:
        # smtplib reads answers it does not expect with no more care than this.
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=str(error)[:200]) from error


def _dialogue(client: "GuardedSmtp", login: ServerLogin, network: Network) -> None:
    code, text = client.reply()
    if code != _READY:
        raise errors.from_smtp_reply(code, text)
    _introduce(client)
    if login.server.security is Security.STARTTLS:
        if not client.has_extn("starttls"):
            raise RetryLaterError(ErrorCode.TLS_NOT_OFFERED, cause="no STARTTLS")
        _start_tls(client, login, network)
        _introduce(client)
    if not client.has_extn("auth"):
        raise _without_auth(login)
    _authenticate(client, login)


def _introduce(client: "GuardedSmtp") -> None:
    """Say EHLO, or HELO to a server that does not know it.

    One that is too busy for EHLO would tell after HELO of nothing that it can do, as one that can
    do nothing.
    """
    code, text = client.ehlo()
    if 400 <= code < 500:  # noqa: PLR2004  # transient by RFC 5321, 4.2.1
        raise errors.from_smtp_reply(code, text.decode("utf-8", "replace"))
    if not 200 <= code < 300:  # noqa: PLR2004  # done, by the same
        code, text = client.helo()
        if not 200 <= code < 300:  # noqa: PLR2004  # as above
            raise smtplib.SMTPHeloError(code, text)


def _start_tls(client: "GuardedSmtp", login: ServerLogin, network: Network) -> None:
    context: Any = Upgrade(network, login)
    try:
        client.starttls(context=context)
    except smtplib.SMTPResponseException as error:
        raise RetryLaterError(ErrorCode.TLS_FAILED, cause=f"{error.smtp_code}") from error


def _without_auth(login: ServerLogin) -> MailroomError:
    if login.server.security is Security.NONE:
        return ConfigurationError(ErrorCode.ENCRYPTION_REQUIRED, cause="no AUTH in clear")
    return ConfigurationError(ErrorCode.SMTP_DISABLED, cause="no AUTH offered")


def _authenticate(client: "GuardedSmtp", login: ServerLogin) -> None:
    """Log in by PLAIN or LOGIN; smtplib's own way refuses what is not ASCII."""
    offered = client.esmtp_features["auth"].upper().split()
    username, password = login.server.username.encode(), login.password.reveal().encode()
    if "PLAIN" in offered:
        steps = [f"AUTH PLAIN {_base64(b'%c%b%c%b' % (0, username, 0, password))}"]
    elif "LOGIN" in offered:
        steps = ["AUTH LOGIN", _base64(username), _base64(password)]
    else:
        raise ConfigurationError(ErrorCode.OAUTH_REQUIRED, cause="no password mechanism")
    for position, step in enumerate(steps, start=1):
        code, text = client.command(step)
        if code != (_LOGGED_IN if position == len(steps) else _GO_ON):
            raise errors.from_smtp_reply(code, text)


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode("ascii")


class GuardedSmtp(smtplib.SMTP):
    """smtplib over a guarded connection: replies are capped, whatever a server talks."""

    def __init__(self, connection: Connection) -> None:
        # Our own name would say where we run; an address literal says nothing (RFC 5321, 4.1.3).
        super().__init__(local_hostname="[127.0.0.1]")
        self.connection = connection
        # An address may have letters beyond ASCII where the server takes them (RFC 6531).
        self.command_encoding = "utf-8"
        self.sock = connection  # type: ignore[assignment]  # duck-typed socket
        self._host = connection.address

    def command(self, line: str) -> tuple[int, str]:
        """Write one command, never what would be two, and return its reply as `reply` does."""
        grammar.refuse_controls(line.encode())
        self.putcmd(line)
        return self.reply()

    def reply(self) -> tuple[int, str]:
        """Read a reply: its number, -1 for what has none, and its lines."""
        code, text = self.getreply()
        return code, text.decode("utf-8", "replace")

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply as smtplib does, of as many lines as any server has use for."""
        lines: list[bytes] = []
        while len(lines) < _MOST_LINES:
            line = self.connection.readline(_LONGEST_LINE)
            if line[-1:] != b"\n":
                raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="an endless line")
            lines.append(line[4:].strip())
            if line[3:4] != b"-" or not line[:3].isdigit():
                code = int(line[:3]) if line[:3].isdigit() else -1
                return code, b"\n".join(lines)
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="an endless reply")
