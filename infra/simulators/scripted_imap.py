"""Decides what an IMAP server answers on its worst day: login refusals, broken TLS, faults.

    with ScriptedImap("gmail_app_password", certificates=certificates) as server:
        ...  # connect to server.host, server.port
        assert b"LOGIN" not in server.received_in_clear

With the scenario ``ok`` it lets anybody in and answers what a client needs to look around, from
``answers``. Sources of the refusals: RFC 5530, and texts seen from the providers named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from infra.simulators.faults import FAULTS
from infra.simulators.wire import HungUpError, ScriptedServer, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.local.certificates import CertificateSet, ServerCertificate

Security = Literal["tls", "starttls", "none"]

LOGIN_ANSWERS: Mapping[str, str] = {
    "gmail_invalid": "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)",
    "gmail_alert_invalid": "NO [ALERT] Invalid credentials (Failure)",
    "gmail_app_password": (
        "NO [ALERT] Application-specific password required:"
        " https://support.google.com/accounts/answer/185833 (Failure)"
    ),
    "gmail_web_login": (
        "NO [ALERT] Please log in via your web browser:"
        " https://support.google.com/mail/accounts/answer/78754 (Failure)"
    ),
    "gmail_too_many": "NO [ALERT] Too many simultaneous connections. (Failure)",
    "zoho_imap_off": (
        "NO [ALERT] You are yet to enable IMAP for your account."
        " Please contact your administrator (Failure)"
    ),
    "microsoft_login_failed": "NO LOGIN failed.",
    "microsoft_authenticate_failed": "NO AUTHENTICATE failed.",
    "qq_app_code": "NO Please using authorized code to login.",
    "qq_app_code_wrong": "NO Authorized code is incorrect",
    "dovecot_failed": "NO [AUTHENTICATIONFAILED] Authentication failed.",
    "cyrus_failed": "NO Login failed: authentication failure",
    "cyrus_needs_tls": "NO Login only available under a layer",
    "authorization_failed": "NO [AUTHORIZATIONFAILED] Not your mailbox",
    "expired": "NO [EXPIRED] That password isn't valid any more",
    "privacy_required": "NO [PRIVACYREQUIRED] Plaintext authentication disallowed",
    "contact_admin": "NO [CONTACTADMIN] Your account is suspended",
    "no_permission": "NO [NOPERM] Access denied",
    "unavailable": "NO [UNAVAILABLE] Temporary authentication failure.",
    "in_use": "NO [INUSE] Mailbox is locked by another session",
    "server_bug": "NO [SERVERBUG] Internal error occurred.",
    "limit": (
        "NO [LIMIT] Maximum number of connections from user+IP exceeded"
        " (mail_max_userip_connections=10)"
    ),
    "over_quota": "NO [OVERQUOTA] Mailbox is full",
    "unknown_refusal": "NO Not today",
    "bad": "BAD Error in IMAP command LOGIN: Unknown command.",
}
"""The tagged answer to LOGIN and AUTHENTICATE, by scenario."""

GREETINGS: Mapping[str, bytes] = {
    "bye": b"* BYE Going down for maintenance\r\n",
    "bye_unavailable": b"* BYE [UNAVAILABLE] Try again later\r\n",
    "bye_too_many": b"* BYE Too many connections from your address\r\n",
    "preauth": b"* PREAUTH IMAP4rev1 welcome, whoever you are\r\n",
}
"""What is said at once instead of ``* OK``; all but the last then hang up."""

TLS_SCENARIOS = frozenset(
    {"starttls_stripped", "starttls_refused", "starttls_injected", "starttls_no_handshake"}
)
BYE_AT_LOGIN: Mapping[str, bytes] = {
    "bye_at_login": b"* BYE Internal error occurred\r\n",
    "bye_bandwidth": b"* BYE Account exceeded command or bandwidth limits.\r\n",
}
SCENARIOS = frozenset({"ok", *LOGIN_ANSWERS, *GREETINGS, *BYE_AT_LOGIN, *TLS_SCENARIOS, *FAULTS})
CAPABILITIES = "IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UIDPLUS MOVE SPECIAL-USE"
_ANSWERS: Mapping[str, bytes] = {
    "LIST": (
        b'* LIST (\\HasNoChildren) "/" INBOX\r\n'
        b'* LIST (\\HasNoChildren \\Sent) "/" Sent\r\n'
        b'* LIST (\\HasNoChildren \\Junk) "/" Junk\r\n'
    ),
    "STATUS": b"* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7 UNSEEN 1)\r\n",
    "SELECT": (
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* 1 EXISTS\r\n* 0 RECENT\r\n"
        b"* OK [UIDVALIDITY 7] UIDs valid\r\n* OK [UIDNEXT 2] Predicted next UID\r\n"
    ),
    "SEARCH": b"* SEARCH 1\r\n",
    "FETCH": (
        b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "21-Nov-2026 10:00:00 +0000" RFC822.SIZE 17'
        b" BODY[] {17}\r\nSubject: hi\r\n\r\nhi)\r\n"
    ),
    "NAMESPACE": b'* NAMESPACE (("" "/")) NIL NIL\r\n',
    "ID": b'* ID ("name" "scripted")\r\n',
}
_STILL_HERE = b"* OK Still here\r\n"
_LITERAL = re.compile(rb"\{(\d+)(\+?)\}$")


class ScriptedImap(ScriptedServer):
    """A scripted IMAP server on a free loopback port; use it as a context manager.

    Args:
        scenario: one of SCENARIOS.
        at: where a fault of FAULTS strikes: ``accept`` (before TLS and greeting), ``greeting``,
            or instead of the answer to the command of that name (``login``, ``fetch``, …).
        certificates: needed for ``tls`` and ``starttls``.
        certificate: shown instead of the good one.
        security: implicit TLS, STARTTLS offered, or neither.
        host: the address listened on.
        capabilities: told to whoever asks; STARTTLS is added where offered.
        answers: untagged answers by command name, over those built in.
        refused: the tagged answer by command name, such as ``NO [OVERQUOTA] Full``; a literal of
            such a command is not asked for.
    """

    def __init__(
        self,
        scenario: str = "ok",
        *,
        at: str = "login",
        certificates: CertificateSet | None = None,
        certificate: ServerCertificate | None = None,
        security: Security = "tls",
        host: str = "127.0.0.1",
        capabilities: str = CAPABILITIES,
        answers: Mapping[str, bytes] | None = None,
        refused: Mapping[str, str] | None = None,
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
        self._capabilities = capabilities
        self._answers = {**_ANSWERS, **(answers or {})}
        self._refused = refused or {}
        super().__init__(self._converse, host=host)

    # ---- the conversation ----

    def _converse(self, wire: Wire) -> None:
        self._fault_at("ACCEPT", wire)
        if self._security == "tls" and self._context is not None:
            wire.start_tls(self._context)
        self._fault_at("GREETING", wire)
        wire.send(GREETINGS.get(self._scenario, b"* OK Scripted server ready\r\n"))
        if self._scenario in GREETINGS and self._scenario != "preauth":
            return
        while True:
            tag, name, rest = self._read_command(wire)
            self._fault_at(name, wire)
            if not self._answer(wire, tag, name, rest):
                return

    def _fault_at(self, place: str, wire: Wire) -> None:
        # A client may log in either way; a fault at the login means both.
        name = "LOGIN" if place == "AUTHENTICATE" else place
        if name == self._at:
            FAULTS[self._scenario](wire, _STILL_HERE)
            raise HungUpError

    def _read_command(self, wire: Wire) -> tuple[bytes, str, bytes]:
        line = wire.read_line()
        while found := _LITERAL.search(line):
            if not found[2] and line.split(b" ")[1].decode().upper() in self._refused:
                break
            if not found[2]:
                wire.send(b"+ Go on\r\n")
            line += b"\r\n" + wire.read_exactly(int(found[1])) + wire.read_line()
        tag, _, rest = line.partition(b" ")
        name, _, rest = rest.partition(b" ")
        if name.upper() == b"UID":
            name, _, rest = rest.partition(b" ")
        return tag, name.decode("ascii", "replace").upper(), rest

    def _answer(self, wire: Wire, tag: bytes, name: str, rest: bytes) -> bool:
        """Answer one command; False ends the session."""
        if name == "STARTTLS":
            return self._answer_starttls(wire, tag)
        if name in ("LOGIN", "AUTHENTICATE"):
            return self._answer_login(wire, tag, name, rest)
        if name == "LOGOUT":
            wire.send(b"* BYE Logging out\r\n" + tag + b" OK Logout completed.\r\n")
            return False
        untagged = self._answers.get("SELECT" if name == "EXAMINE" else name, b"")
        if name == "CAPABILITY":
            untagged = f"* CAPABILITY {self._capabilities_now(wire)}\r\n".encode()
        elif name == "IDLE":
            wire.send(b"+ idling\r\n")
            wire.read_line()
        status = self._refused.get(name, f"OK {name} completed.")
        wire.send(untagged + tag + f" {status}\r\n".encode())
        return True

    def _capabilities_now(self, wire: Wire) -> str:
        offered = self._security == "starttls" and not wire.is_secure
        if offered and self._scenario != "starttls_stripped":
            return f"{self._capabilities} STARTTLS LOGINDISABLED"
        return f"{self._capabilities} AUTH=PLAIN"

    def _answer_starttls(self, wire: Wire, tag: bytes) -> bool:
        if self._security != "starttls" or self._context is None or wire.is_secure:
            wire.send(tag + b" BAD Command unrecognized: STARTTLS\r\n")
            return True
        if self._scenario in ("starttls_stripped", "starttls_refused"):
            wire.send(tag + b" NO TLS is not available today\r\n")
            return True
        ready = tag + b" OK Begin TLS negotiation now.\r\n"
        if self._scenario == "starttls_injected":
            # One packet: what follows was never protected, and must not count as if it were.
            ready += b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n* OK [ALERT] Injected\r\n"
        wire.send(ready)
        if self._scenario == "starttls_no_handshake":
            wire.send(b"* OK Never mind, let us go on in clear\r\n")
            wire.hold()
        wire.start_tls(self._context)
        return True

    def _answer_login(self, wire: Wire, tag: bytes, name: str, rest: bytes) -> bool:
        if name == "AUTHENTICATE" and b" " not in rest:
            wire.send(b"+ \r\n")
            wire.read_line()
        if self._scenario in BYE_AT_LOGIN:
            wire.send(BYE_AT_LOGIN[self._scenario])
            return False
        answer = LOGIN_ANSWERS.get(self._scenario, f"OK [CAPABILITY {self._capabilities}] Hello")
        wire.send(tag + f" {answer}\r\n".encode())
        return True
