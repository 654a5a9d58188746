"""Decides whom TLS trusts, how long an encrypted stream may take, and what its failures mean.

Trust is the system's authorities plus a file of the operator's, by no environment variable: what
is set for another program must not decide who may read a token.
"""

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared.domain.errors import ErrorCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""
_WRONG_NAME = frozenset({62, 64})
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""


def verifying_context(extra_ca_file: str | None = None) -> ssl.SSLContext:
    """Return a client's context: verified certificates and names, TLS 1.2 or newer.

    `extra_ca_file`: a PEM file of authorities to trust besides the system's. Takes some 17 ms.
    """
    # Without arguments it would look at SSL_CERT_FILE and SSL_CERT_DIR.
    paths = ssl.get_default_verify_paths()
    context = ssl.create_default_context(
        cafile=paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None,
        capath=paths.openssl_capath if Path(paths.openssl_capath).is_dir() else None,
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if extra_ca_file:
        context.load_verify_locations(cafile=extra_ca_file)
    return context


def metered_context(extra_ca_file: str | None = None) -> ssl.SSLContext:
    """Return a `verifying_context` for HTTP/1.1 whose sockets are `MeteredSocket`."""
    context = verifying_context(extra_ca_file)
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = MeteredSocket
    return context


def code_of(error: OSError) -> ErrorCode:
    """Return what a failure of a handshake, or of the stream after it, means."""
    match error:
        case ssl.SSLCertVerificationError(verify_code=int(code)) if code in _WRONG_NAME:
            return ErrorCode.TLS_WRONG_NAME
        case ssl.SSLCertVerificationError(verify_code=code) if code == _EXPIRED:
            return ErrorCode.TLS_EXPIRED
        case ssl.SSLCertVerificationError():
            return ErrorCode.TLS_UNTRUSTED
        case TimeoutError():
            return ErrorCode.CONNECTION_TIMED_OUT
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ConnectionError():
            return ErrorCode.CONNECTION_DROPPED
        case _:
            return ErrorCode.TLS_FAILED


class Meter:
    """Bounds what streams take in time, all together, and counts their bytes inside TLS."""

    def __init__(
        self,
        *,
        seconds: float,
        stall_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds
        self._stall_seconds = stall_seconds
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, negative after it."""
        return self._ends_at - self._monotonic()

    def wait_seconds(self) -> float:
        """Return how long one read or write may block; raises TimeoutError past the deadline."""
        left = self.seconds_left
        if left <= 0:
            raise TimeoutError
        return min(left, self._stall_seconds)


class MeteredSocket(ssl.SSLSocket):
    """Heeds a meter before each read and write: a timeout of its own starts anew at each byte."""

    meter: Meter | None = None

    def recv_into(
        self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0
    ) -> int:
        """See `socket.recv_into`."""
        if self.meter is None:
            return super().recv_into(buffer, nbytes, flags)
        self.settimeout(self.meter.wait_seconds())
        count = super().recv_into(buffer, nbytes, flags)
        self.meter.bytes_in += count
        return count

    def send(self, data: "ReadableBuffer", flags: int = 0) -> int:
        """See `socket.send`; `sendall` calls it again for what is left."""
        if self.meter is None:
            return super().send(data, flags)
        self.settimeout(self.meter.wait_seconds())
        count = super().send(data, flags)
        self.meter.bytes_out += count
        return count
