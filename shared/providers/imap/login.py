"""Decides how an IMAP session begins: encrypted first, then greeted, then logged in.

imapclient and imaplib hold the dialogue up to the login; this gives them a guarded connection and
reads what the server's last line meant. Their own account of a failure is not used: they call a
dropped socket, a BYE and a wrong password alike a login error.
"""

import imaplib
import logging

import imapclient

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    RetryLaterError,
)
from shared.domain.mail_server import Security, ServerLogin
from shared.providers.imap import errors, grammar
from shared.providers.imap.securing import Upgrade, connect
from shared.providers.imap.wire import Wire
from shared.providers.network import Connection, Network

LONGEST_GREETING_LINE = 65_536
"""Bytes in a line before and during the login."""

# imapclient logs usernames at debug level; nothing of a session belongs in a log.
logging.getLogger("imapclient").setLevel(logging.WARNING)


class Session:
    """An authenticated session: its wire and what the server can do."""

    def __init__(self, wire: Wire, capabilities: frozenset[bytes]) -> None:
        self.wire = wire
        self.capabilities = capabilities

    def can(self, capability: bytes) -> bool:
        """Whether the server offers `capability` after the login."""
        return capability in self.capabilities


def open_session(
    login: ServerLogin, network: Network, *, seconds: float
) -> tuple[Session, Connection]:
    """Log in within `seconds` and return the session with its connection.

    Raises the errors of `MailProvider`; the connection is closed then.
    """
    connection = connect(login, network, seconds=seconds)
    try:
        return _log_in(login, network, connection), connection
    except BaseException:  # boundary: whatever ended it, the socket is closed and it goes on
        connection.close()
        raise


def _log_in(login: ServerLogin, network: Network, connection: Connection) -> Session:
    dialogue = _Dialogue(connection)
    try:
        client = _Client(dialogue)
        if client.imap.state != "NONAUTH":
            # PREAUTH would skip STARTTLS and the password alike: somebody else's session (T26).
            raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="PREAUTH")
        if login.server.security is Security.STARTTLS:
            if "STARTTLS" not in client.imap.capabilities:
                raise RetryLaterError(ErrorCode.TLS_NOT_OFFERED, cause="no STARTTLS")
            _start_tls(client, network, login)
        _authenticate(client, login)
        capabilities = frozenset(client.capabilities())
    except imaplib.IMAP4.error as error:
        raise _meaning(dialogue, error) from error
    except RetryLaterError as error:
        said = grammar.status_text(dialogue.last_line)
        if error.code is ErrorCode.CONNECTION_DROPPED and said and said.kind == "BYE":
            # imaplib does not heed a BYE where it waits to go on with AUTHENTICATE.
            raise errors.from_imap_login(said) from error
        raise
    except (ValueError, KeyError, IndexError) as error:
        # imaplib reads lines it does not expect with no more care than this.
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=str(error)) from error
    return Session(Wire(connection), capabilities)


def _start_tls(client: "_Client", network: Network, login: ServerLogin) -> None:
    try:
        client.starttls(Upgrade(network, login))
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        raise RetryLaterError(ErrorCode.TLS_FAILED, cause=str(error)[:200]) from error


def _authenticate(client: "_Client", login: ServerLogin) -> None:
    username, password = login.server.username, login.password.reveal()
    for text in (username, password):
        grammar.refuse_controls(text.encode())
    offered = client.imap.capabilities
    is_plain_text = (username + password).isascii()
    if "LOGINDISABLED" not in offered and (is_plain_text or "AUTH=PLAIN" not in offered):
        # imaplib quotes the password and not the username, and knows ASCII only.
        client.imap.quoted_login(username, password)
    elif "AUTH=PLAIN" in offered:
        client.plain_login(username, password)
    elif login.server.security is Security.NONE:
        raise ConfigurationError(ErrorCode.ENCRYPTION_REQUIRED, cause="LOGINDISABLED")
    else:
        raise ConfigurationError(ErrorCode.OAUTH_REQUIRED, cause="no password mechanism")


def _meaning(dialogue: "_Dialogue", error: imaplib.IMAP4.error) -> MailroomError:
    """Return what the server's last line meant, or `error` where it said nothing usable."""
    status = grammar.status_text(dialogue.last_line)
    if status is None or status.kind in {"OK", "PREAUTH"}:
        return RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=str(error)[:200])
    if dialogue.has_sent_login or status.kind == "BYE":
        return errors.from_imap_login(status)
    return errors.from_imap_command(status)


class _Dialogue:
    """A connection that remembers the last line read and whether credentials have been sent."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.last_line = b""
        self.has_sent_login = False


class _GuardedImap4(imaplib.IMAP4):
    """imaplib over a guarded connection: capped lines and literals, no control characters out."""

    def __init__(self, dialogue: _Dialogue) -> None:
        self._dialogue = dialogue
        super().__init__()

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        """Take the open connection in place of making one."""
        del timeout
        self.host, self.port = host, port
        self.sock = self._dialogue.connection  # type: ignore[assignment]  # duck-typed socket

    def read(self, size: int) -> bytes:
        """Read a literal, which has no business in a login's answers beyond a few bytes."""
        if size > LONGEST_GREETING_LINE:
            raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=f"a literal of {size} bytes")
        return self._dialogue.connection.read(size)

    def readline(self) -> bytes:
        """Read a line and remember it."""
        line = self._dialogue.connection.readline(LONGEST_GREETING_LINE)
        if line[-1:] != b"\n":
            raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="an endless line")
        self._dialogue.last_line = line
        return line

    def send(self, data: bytes) -> None:  # type: ignore[override]  # bytes is all it is given
        """Write one command line, and never what would be two."""
        grammar.refuse_controls(data.removesuffix(b"\r\n"))
        self._dialogue.connection.sendall(data)

    def shutdown(self) -> None:
        """Close."""
        self._dialogue.connection.close()

    def quoted_login(self, username: str, password: str) -> None:
        """Log in with both arguments quoted, in UTF-8 where they are not ASCII."""
        self._dialogue.has_sent_login = True
        arguments = (grammar.quoted(text.encode()) for text in (username, password))
        kind, data = self._simple_command("LOGIN", *arguments)
        if kind != "OK":
            raise self.error(data[-1])
        self.state = "AUTH"

    def _get_capabilities(self) -> None:
        """Take what the greeting said of capabilities, which saves a round trip, or ask."""
        told = self.untagged_responses.pop("CAPABILITY", None)
        if told and isinstance(told[-1], bytes) and not self._tls_established:
            self.capabilities = tuple(told[-1].decode("ascii", "replace").upper().split())
            return
        super()._get_capabilities()  # type: ignore[misc]


class _Client(imapclient.IMAPClient):  # type: ignore[misc]  # imapclient ships no types
    """imapclient on a guarded imaplib."""

    def __init__(self, dialogue: _Dialogue) -> None:
        self._dialogue = dialogue
        super().__init__("", ssl=False)
        # imapclient sets imaplib's debug level to 5, which triples the cost of everything read.
        self.imap.debug = 0
        self.normalise_times = False

    def _create_IMAP4(self) -> _GuardedImap4:  # noqa: N802  # imapclient's name
        self.imap = _GuardedImap4(self._dialogue)
        return self.imap

    def plain_login(self, identity: str, password: str) -> None:
        """Log in by SASL PLAIN, which carries UTF-8."""
        self._dialogue.has_sent_login = True
        super().plain_login(identity, password)
