"""What it takes to log in to one side (IMAP or SMTP) of a mailbox."""

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.folders import Folder
from shared.domain.secret import Secret


class Security(StrEnum):
    """How a connection to a mail server is encrypted (RFC 8314)."""

    TLS = "tls"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how to reach a mail server."""

    host: str
    port: int
    security: Security
    username: str


@dataclass(frozen=True, slots=True)
class ServerLogin:
    """Server settings with the password that goes with them."""

    server: ServerSettings
    password: Secret
    allow_untrusted_certificate: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the test of one side ended: `code` is None when it is fine."""

    code: ErrorCode | None = None
    folders: tuple[Folder, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether this side can be used."""
        return self.code is None


@dataclass(frozen=True, slots=True)
class ImapGrant:
    """What the user permitted for an IMAP mailbox: both sides' logins."""

    imap: ServerLogin
    smtp: ServerLogin
