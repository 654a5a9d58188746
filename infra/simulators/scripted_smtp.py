"""Decides what a submission server answers on its worst day: refusals, broken TLS, faults.

    with ScriptedSmtp("auth_app_password", certificates=certificates) as server:
        ...  # connect to server.host, server.port

With the scenario ``ok`` it takes any login and any mail; ``server.messages`` holds what came, and
``server.taken`` what it took, whether or not anybody was told: who got how many is counted there.
Sources of the replies: RFC 3463, 4954 and 5321, and texts seen from the providers named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.simulators.faults import FAULTS
from infra.simulators.wire import HungUpError, ScriptedServer, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.local.certificates import CertificateSet, ServerCertificate
    from infra.simulators.scripted_imap import Security

_DISABLED = (
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the {}."
    " Visit https://aka.ms/smtp_auth_disabled for more information."
)
REPLIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "greeting_busy": ("GREETING", ("421 4.7.0 Try again later, closing connection.",)),
    "greeting_refused": ("GREETING", ("554 5.7.1 No SMTP service for your address here",)),
    "ehlo_busy": ("EHLO", ("451 4.3.2 Too busy, try again later",)),
    "auth_failed": (
        "AUTH",
        (
            "535-5.7.8 Username and Password not accepted. For more information, go to",
            "535 5.7.8  https://support.google.com/mail/?p=BadCredentials",
        ),
    ),
    "auth_app_password": (
        "AUTH",
        (
            "534-5.7.9 Application-specific password required. For more information, go to",
            "534 5.7.9  https://support.google.com/mail/?p=InvalidSecondFactor",
        ),
    ),
    "auth_web_login": (
        "AUTH",
        (
            "534-5.7.14 <https://accounts.google.com/signin/continue> Please log in via your web",
            "534 5.7.14 browser and then try again.",
        ),
    ),
    "auth_disabled_tenant": (
        "AUTH",
        (_DISABLED.format("Tenant"),),
    ),
    "auth_disabled_mailbox": (
        "AUTH",
        (_DISABLED.format("Mailbox"),),
    ),
    "auth_needs_starttls": ("AUTH", ("530 5.7.0 Must issue a STARTTLS command first",)),
    "auth_required": ("AUTH", ("530 5.7.57 Client not authenticated to send mail.",)),
    "auth_temporary": ("AUTH", ("454 4.7.0 Temporary authentication failure",)),
    "auth_rate_limited": ("AUTH", ("421 4.7.0 Too many login attempts, try again later.",)),
    "auth_too_many_sessions": ("AUTH", ("432 4.3.2 Concurrent connections limit exceeded.",)),
    "sender_refused": (
        "MAIL",
        ("550 5.7.60 SMTP; Client does not have permissions to send as this sender",),
    ),
    "daily_limit": ("MAIL", ("550 5.4.5 Daily user sending limit exceeded.",)),
    "unknown_recipient": ("RCPT", ("550 5.1.1 The email account does not exist",)),
    "recipient_full": ("RCPT", ("452 4.2.2 The recipient's inbox is out of storage space",)),
    "recipient_temporary": ("RCPT", ("450 4.2.1 Try again later",)),
    "too_big": ("DOT", ("552 5.3.4 Message too big for system",)),
    "mailbox_full": ("DOT", ("552 5.2.2 Mailbox full",)),
    "policy": ("DOT", ("554 5.7.1 Message rejected as spam by content filtering",)),
    "data_temporary": ("DOT", ("451 4.3.0 Temporary system problem",)),
}
"""Where the reply comes (GREETING, EHLO, AUTH, MAIL, RCPT, DATA, DOT) and its lines."""

TLS_SCENARIOS = frozenset(
    {
        "starttls_stripped",
        "starttls_refused",
        "starttls_temporary",
        "starttls_injected",
        "starttls_no_handshake",
    }
)
SCENARIOS = frozenset({"ok", *REPLIES, *TLS_SCENARIOS, *FAULTS})
_GOOD: Mapping[str, str] = {
    "GREETING": "220 scripted.example ESMTP",
    "MAIL": "250 2.1.0 OK",
    "RCPT": "250 2.1.5 OK",
    "DATA": "354 Go ahead",
    "DOT": "250 2.0.0 OK, queued as 1",
    "AUTH": "235 2.7.0 Accepted",
    "RSET": "250 2.0.0 OK",
    "NOOP": "250 2.0.0 OK",
    "QUIT": "221 2.0.0 Bye",
}
FEATURES = ("SIZE 35882577", "8BITMIME", "ENHANCEDSTATUSCODES")
_CLOSES = "421"
_STILL_HERE = {"GREETING": b"220-Still here\r\n", "AUTH": b"235-Still here\r\n"}


@dataclass(slots=True)
class _Envelope:
    """What MAIL and RCPT have said so far."""

    sender: str = ""
    recipients: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Taken:
    """A mail the server took: from whom, for whom, and its content without the dots."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


class ScriptedSmtp(ScriptedServer):
    """A scripted submission server on a loopback port; use it as a context manager.

    Args:
        scenario: one of SCENARIOS.
        at: where a fault of FAULTS strikes: ``accept`` (before TLS and greeting), ``greeting``,
            ``dot`` (after the message), or instead of the reply to the command of that name.
        certificates: needed for ``tls`` and ``starttls``.
        certificate: shown instead of the good one.
        security: implicit TLS, STARTTLS offered, or neither.
        host: the address listened on.
        port: listened on; 0 takes a free one.
        replies: lines by place (as in REPLIES), over those of the scenario.
        recipients: the reply to RCPT by address, in place of the good one.
        features: what EHLO tells beside AUTH and STARTTLS.
    """

    def __init__(
        self,
        scenario: str = "ok",
        *,
        at: str = "auth",
        certificates: CertificateSet | None = None,
        certificate: ServerCertificate | None = None,
        security: Security = "tls",
        host: str = "127.0.0.1",
        port: int = 0,
        replies: Mapping[str, str] | None = None,
        recipients: Mapping[str, str] | None = None,
        features: Sequence[str] = FEATURES,
    ) -> None:
        if scenario not in SCENARIOS:
            raise ValueError(f"no such scenario: {scenario}")
        shown = certificate or (certificates.good if certificates else None)
        if security != "none" and shown is None:
            raise ValueError(f"security {security} needs certificates")
        self._scenario = scenario
        self._at = at.upper() if scenario in FAULTS else ""
        self._security = security
        self._context = shown.server_context() if shown else None
        place, lines = REPLIES.get(scenario, ("", ()))
        given = {where: tuple(text.split("\n")) for where, text in (replies or {}).items()}
        self._replies = {place: lines, **given}
        self._recipients = recipients or {}
        self._told = features
        super().__init__(self._converse, host=host, port=port)
        self.messages: list[bytes] = []
        self.taken: list[Taken] = []

    def got(self, recipient: str) -> list[bytes]:
        """Return what was taken for a recipient, each mail as often as it was."""
        return [one.content for one in self.taken if recipient in one.recipients]

    # ---- the conversation ----

    def _converse(self, wire: Wire) -> None:
        self._fault_at("ACCEPT", wire)
        if self._security == "tls" and self._context is not None:
            wire.start_tls(self._context)
        self._reply(wire, "GREETING")
        envelope = _Envelope()
        while True:
            line = wire.read_line()
            name = line.split(b" ")[0].decode("ascii", "replace").upper()
            if name in ("EHLO", "HELO"):
                if name == "EHLO" and "EHLO" in self._replies:
                    self._reply(wire, "EHLO")
                    continue
                self._fault_at("EHLO", wire)
                wire.send(self._features(wire))
            elif name == "STARTTLS":
                self._starttls(wire)
            elif name == "AUTH":
                self._auth(wire, line)
            elif name in ("MAIL", "RCPT"):
                self._address(wire, name, _path(line), envelope)
            elif name == "DATA":
                self._data(wire, envelope)
            else:
                self._reply(wire, name)
                if name == "QUIT":
                    return

    def _fault_at(self, place: str, wire: Wire) -> None:
        if place == self._at:
            FAULTS[self._scenario](wire, _STILL_HERE.get(place, b"250-Still here\r\n"))
            raise HungUpError

    def _reply(self, wire: Wire, place: str) -> bool:
        """Send the reply of that place; True when it was the good one."""
        self._fault_at(place, wire)
        lines = self._replies.get(place)
        if lines is None:
            good = _GOOD.get(place, "502 5.5.2 Command not recognized")
            wire.send(good.encode() + b"\r\n")
            return True
        wire.send("".join(f"{line}\r\n" for line in lines).encode())
        if lines[0].startswith(_CLOSES) or place == "GREETING":
            wire.drop()
        return False

    def _features(self, wire: Wire) -> bytes:
        features = ["scripted.example", *self._told]
        offered = self._security == "starttls" and not wire.is_secure
        if offered and self._scenario != "starttls_stripped":
            features.append("STARTTLS")
        else:
            features.append("AUTH PLAIN LOGIN")
        lines = [f"250-{feature}" for feature in features[:-1]] + [f"250 {features[-1]}"]
        return "".join(f"{line}\r\n" for line in lines).encode()

    def _starttls(self, wire: Wire) -> None:
        self._fault_at("STARTTLS", wire)
        if self._security != "starttls" or self._context is None or wire.is_secure:
            wire.send(b"503 5.5.1 STARTTLS not offered\r\n")
            return
        if self._scenario in ("starttls_stripped", "starttls_refused"):
            wire.send(b"502 5.7.0 STARTTLS is not available\r\n")
            return
        if self._scenario == "starttls_temporary":
            wire.send(b"454 4.7.0 TLS not available due to temporary reason\r\n")
            return
        ready = b"220 2.0.0 Ready to start TLS\r\n"
        if self._scenario == "starttls_injected":
            # One packet: what follows was never protected, and must not count as if it were.
            ready += b"250-scripted.example\r\n250 AUTH PLAIN\r\n"
        wire.send(ready)
        if self._scenario == "starttls_no_handshake":
            wire.send(b"220 Never mind, let us go on in clear\r\n")
            wire.hold()
        wire.start_tls(self._context)

    def _auth(self, wire: Wire, line: bytes) -> None:
        words = line.split(b" ")
        if words[1:2] == [b"LOGIN"]:
            if len(words) < 3:  # noqa: PLR2004 - AUTH, LOGIN and perhaps the name at once
                wire.send(b"334 VXNlcm5hbWU6\r\n")
                wire.read_line()
            wire.send(b"334 UGFzc3dvcmQ6\r\n")
            wire.read_line()
        elif len(words) < 3:  # noqa: PLR2004 - AUTH, PLAIN and perhaps the credentials at once
            wire.send(b"334 \r\n")
            wire.read_line()
        self._reply(wire, "AUTH")

    def _address(self, wire: Wire, name: str, address: str, envelope: _Envelope) -> None:
        if name == "MAIL":
            envelope.sender, envelope.recipients = address, []
            self._reply(wire, name)
            return
        own = self._recipients.get(address)
        if own is None:
            is_good = self._reply(wire, name)
        else:
            is_good = own.startswith("2")
            wire.send(f"{own}\r\n".encode())
            if own.startswith(_CLOSES):
                wire.drop()
        if is_good:
            envelope.recipients.append(address)

    def _data(self, wire: Wire, envelope: _Envelope) -> None:
        if not self._reply(wire, "DATA"):
            return
        lines: list[bytes] = []
        while (line := wire.read_line()) != b".":
            lines.append(line.removeprefix(b"."))
        # Kept before the reply: the connection may break exactly here (scenario at="dot").
        content = b"".join(line + b"\r\n" for line in lines)
        self.messages.append(content)
        if "DOT" not in self._replies:
            self.taken.append(Taken(envelope.sender, tuple(envelope.recipients), content))
        self._reply(wire, "DOT")


def _path(line: bytes) -> str:
    """Return the address of MAIL or RCPT."""
    return line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")
