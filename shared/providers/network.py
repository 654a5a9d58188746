"""Decides how a socket to a user-named host is opened: the one guarded way.

No other module opens a socket; `tls` alone imports ssl beside it.
The name is resolved once, every address it has is checked, and the connection goes to a checked
address while TLS verifies the name: a second answer of the resolver (DNS rebinding) has no
effect. Whatever the host then does, silence or a byte a second, ends at a deadline. All failures
leave as errors of the domain.
"""

import functools
import io
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    RequestError,
    RetryLaterError,
)
from shared.providers import addresses
from shared.providers.host_names import canonical_name
from shared.providers.tls import code_of, verifying_context

MAIL_PORTS = frozenset({143, 465, 587, 993, 2525})
"""IMAP and submission. Not 25: that is for servers among themselves, and clouds block it."""
LOGIN_BYTES = 1 << 20
"""What a server may send before it is trusted with a session: a flood must not fill the memory."""
_BUFFER_BYTES = 65_536

Resolver = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a name; raises OSError or UnicodeError like `socket.getaddrinfo`."""
Socket = socket.socket
Dialer = Callable[[str, int, float], socket.socket]
"""Connects to an address and port within seconds; raises OSError."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """What the operator permits beyond public hosts, mail's ports and verified TLS."""

    allow_private_hosts: bool = False
    extra_ports: frozenset[int] = frozenset()
    extra_ca_file: str | None = None
    """A PEM file of authorities to trust besides the public ones."""
    allow_untrusted_certificates: bool = False
    """Whether a mailbox's own setting to skip verification is heeded."""
    allow_plaintext: bool = False
    refused_networks: tuple[addresses.Network, ...] = ()
    """Public ranges of our own, which a user-named host must not lie in."""


class Connection:
    """A byte stream to a checked address, with deadlines. Not thread-safe.

    Raises `RetryLaterError` with `connection_timed_out` or `connection_dropped`; an end of stream
    counts as dropped.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        name: str,
        address: str,
        monotonic: Callable[[], float],
        ends_at: float,
    ) -> None:
        self._socket = sock
        self._name = name
        self._monotonic = monotonic
        self._ends_at = ends_at
        self._stall_seconds = ends_at
        self._exchange_ends_at = ends_at
        self._reader = io.BufferedReader(_Raw(self._receive), _BUFFER_BYTES)
        self._taken = 0
        self._allowance: int | None = LOGIN_BYTES
        self.address = address
        """The address connected to."""
        self.encrypted = False
        self.writes = 0
        """How often something was sent, which is how often an answer was waited for."""
        self.bytes_in = 0
        self.bytes_out = 0

    def set_session_limits(self, *, seconds: float, stall_seconds: float) -> None:
        """Let the stream last `seconds` from now and be silent `stall_seconds` at a time.

        To be called after a login; the cap on bytes received ends too.
        """
        self._ends_at = self._exchange_ends_at = self._monotonic() + seconds
        self._stall_seconds = stall_seconds
        self._allowance = None

    def begin_exchange(self, seconds: float) -> None:
        """Bound what follows, up to the next call, by `seconds`: a host may drip bytes."""
        self._exchange_ends_at = min(self._ends_at, self._monotonic() + seconds)

    def sendall(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._socket.settimeout(self._wait_seconds())
            self._socket.sendall(data)
        except OSError as error:
            raise _stream_error(error) from error
        self.writes += 1
        self.bytes_out += len(data)

    def readline(self, limit: int = -1) -> bytes:
        """Return a line with its end, or `limit` bytes of it."""
        line = self._reader.readline(limit)
        self._taken += len(line)
        if not line or (line[-1:] != b"\n" and len(line) != limit):
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause="end of stream")
        return line

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        data = self._reader.read(size)
        self._taken += len(data)
        if len(data) != size:
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause="end of stream in a literal")
        return data

    def makefile(self, mode: str = "rb") -> "Connection":
        """Return the stream itself, which is all that smtplib and imaplib ask of a file."""
        del mode
        return self

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt from here on. Refused when the host sent anything ahead in clear (threat T28)."""
        if self.bytes_in != self._taken:
            raise RetryLaterError(
                ErrorCode.PROTOCOL_VIOLATION, cause="bytes before the TLS handshake"
            )
        try:
            self._socket.settimeout(self._wait_seconds())
            self._socket = context.wrap_socket(self._socket, server_hostname=self._name)
        except OSError as error:
            raise _tls_error(error) from error
        self.encrypted = True

    def settimeout(self, seconds: float | None) -> None:
        """Ignore a library's own idea of a timeout; the deadlines here hold."""

    def shutdown(self, how: int) -> None:
        """Close; libraries call this before `close`."""
        del how
        self.close()

    def close(self) -> None:
        """Close without waiting for the host."""
        self._socket.close()

    @property
    def seconds_left(self) -> float:
        """How long the stream may still last; none, or less, when it may not."""
        return self._ends_at - self._monotonic()

    def _wait_seconds(self) -> float:
        left = min(self._exchange_ends_at, self._ends_at) - self._monotonic()
        if left <= 0:
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="deadline passed")
        return min(left, self._stall_seconds)

    def _receive(self, buffer: memoryview) -> int:
        try:
            self._socket.settimeout(self._wait_seconds())
            count = self._socket.recv_into(buffer)
        except OSError as error:
            raise _stream_error(error) from error
        self.bytes_in += count
        if self._allowance is not None and self.bytes_in > self._allowance:
            raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="a flood before the login")
        return count


class _Raw(io.RawIOBase):
    """Lets `io.BufferedReader` do lines and counts in C over a receiving function."""

    def __init__(self, receive: Callable[[memoryview], int]) -> None:
        super().__init__()
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # narrower than Buffer
        return self._receive(buffer)


class Network:
    """Opens connections under one policy.

    Thread-safe; build it once, because loading authorities takes 17 ms.
    """

    def __init__(
        self,
        policy: NetworkPolicy,
        *,
        resolve: Resolver | None = None,
        dial: Dialer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._resolve = resolve or _system_addresses
        self._dial = dial or _dial
        self.monotonic = monotonic

    def connect(
        self, host: str, port: int, *, tls: bool, seconds: float, trust_any: bool = False
    ) -> Connection:
        """Return a connection to a user-named host, all of whose use must end within `seconds`.

        Raises `RequestError` (`host_not_allowed`, `port_not_allowed`) and `RetryLaterError`
        (`host_not_found`, `connection_*`, `tls_*`).
        """
        if port not in MAIL_PORTS | self.policy.extra_ports:
            raise RequestError(ErrorCode.PORT_NOT_ALLOWED, cause=f"port {port}")
        ends_at = self.monotonic() + seconds
        name, allowed = self._allowed_addresses(host, port, seconds)
        sock, address = self._dial_in_turn(allowed, port, ends_at)
        connection = Connection(
            sock, name=name, address=address, monotonic=self.monotonic, ends_at=ends_at
        )
        if tls:
            try:
                self.start_tls(connection, trust_any=trust_any)
            except MailroomError:
                connection.close()
                raise
        return connection

    def dial(self, host: str, port: int, *, seconds: float) -> socket.socket:
        """Return a plain socket to a host of the operator's choice: no address is refused.

        Never for a name a user gave. Raises `RetryLaterError` (`host_not_found`, `connection_*`).
        """
        ends_at = self.monotonic() + seconds
        found = list(dict.fromkeys(_within(seconds, functools.partial(self._resolve, host, port))))
        if not found:
            raise RetryLaterError(ErrorCode.HOST_NOT_FOUND, cause="no address")
        sock, _address = self._dial_in_turn(found, port, ends_at)
        return sock

    def start_tls(self, connection: Connection, *, trust_any: bool = False) -> None:
        """Encrypt `connection`.

        `trust_any` (a mailbox's setting) counts only where the policy permits it.
        """
        unverified = trust_any and self.policy.allow_untrusted_certificates
        connection.start_tls(self._unverifying_context if unverified else self._verifying_context)

    def require_plaintext_permitted(self) -> None:
        """Raise `ConfigurationError` unless the operator permits connections without encryption."""
        if not self.policy.allow_plaintext:
            raise ConfigurationError(ErrorCode.ENCRYPTION_REQUIRED, cause="plaintext not permitted")

    @functools.cached_property
    def _verifying_context(self) -> ssl.SSLContext:
        return verifying_context(self.policy.extra_ca_file)

    @functools.cached_property
    def _unverifying_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def _allowed_addresses(self, host: str, port: int, seconds: float) -> tuple[str, list[str]]:
        name = canonical_name(host)
        try:
            literal = addresses.literal_address(name)
        except ValueError as error:
            raise RequestError(
                ErrorCode.HOST_NOT_ALLOWED, cause="a number that is no address"
            ) from error
        if literal is not None:
            found = [literal]
        else:
            texts = _within(seconds, functools.partial(self._resolve, name, port))
            # A zone is ours to add, never a name server's; without it a link-local address is
            # refused as such.
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        if not found:
            raise RetryLaterError(ErrorCode.HOST_NOT_FOUND, cause="no address")
        # One bad address condemns the name: honest names do not mix inner and outer addresses.
        for address in found:
            if not addresses.is_allowed(
                address,
                private=self.policy.allow_private_hosts,
                refused=self.policy.refused_networks,
            ):
                raise RequestError(ErrorCode.HOST_NOT_ALLOWED, cause=f"address {address}")
        return name, list(dict.fromkeys(str(address) for address in found))

    def _dial_in_turn(
        self, allowed: Sequence[str], port: int, ends_at: float
    ) -> tuple[socket.socket, str]:
        failure: RetryLaterError | None = None
        for position, address in enumerate(allowed):
            left = ends_at - self.monotonic()
            if left <= 0:
                break
            try:
                # An equal share for each, so that a silent first address leaves time for the next.
                return self._dial(address, port, left / (len(allowed) - position)), address
            except TimeoutError as error:
                failure = RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause=str(error))
            except OSError as error:
                failure = RetryLaterError(ErrorCode.CONNECTION_FAILED, cause=str(error))
        raise failure or RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="no time left")


def _system_addresses(name: str, port: int) -> list[str]:
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _family, _type, _proto, _canonical, sockaddr in answers]


def _within(seconds: float, resolve: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Return what `resolve` gives, or stop waiting: the system's resolver takes no timeout."""
    outcome: list[Sequence[str] | OSError | UnicodeError] = []

    def run() -> None:
        try:
            outcome.append(resolve())
        except (OSError, UnicodeError) as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True, name="resolve")
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="the resolver is silent")
    answer = outcome[0]
    if isinstance(answer, OSError | UnicodeError):
        raise RetryLaterError(_resolver_code(answer), cause=str(answer)) from answer
    return answer


def _resolver_code(error: OSError | UnicodeError) -> ErrorCode:
    if isinstance(error, UnicodeError) or error.errno in {socket.EAI_NONAME, socket.EAI_NODATA}:
        return ErrorCode.HOST_NOT_FOUND
    return ErrorCode.CONNECTION_FAILED


def _dial(address: str, port: int, seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.settimeout(seconds)
        sock.connect((address, port))
        # Commands are small and answered at once; waiting to fill a packet only costs time.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _stream_error(error: OSError) -> RetryLaterError:
    timed_out = isinstance(error, TimeoutError)
    code = ErrorCode.CONNECTION_TIMED_OUT if timed_out else ErrorCode.CONNECTION_DROPPED
    return RetryLaterError(code, cause=str(error))


def _tls_error(error: OSError) -> RetryLaterError:
    return RetryLaterError(code_of(error), cause=str(error))
