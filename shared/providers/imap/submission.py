"""Decides how a mail is handed to a submission server, and from when on it may have been taken.

Everything is asked before the content: the size, the sender, each recipient. The content ends with
a line of one dot, and until that line is written nobody gets anything (RFC 5321, 4.1.1.4). From
then on only a reply tells: without one the outcome is unknown.
"""

import re
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import idna

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    OutcomeUnknownError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)
from shared.ports.sending import Accepted, Outgoing
from shared.providers.imap import smtp_errors
from shared.providers.imap.smtp import GuardedSmtp, library_errors
from shared.providers.imap.smtp_errors import Place

STEP_SECONDS = 60.0
"""For the reply to one command. Servers ask others about a recipient before they answer."""
CONTENT_SECONDS = 300.0
"""For writing the content."""
VERDICT_SECONDS = 600.0
"""For the reply to it: giving up early doubles mail (RFC 5321, 4.5.3.2.6)."""
LEAST_VERDICT_SECONDS = 120.0
"""Of these, before the content is begun and before it is ended: with less, nobody gets it yet."""
LEAST_STEP_SECONDS = LEAST_VERDICT_SECONDS + STEP_SECONDS
"""Before another recipient is asked for: with less, that one gets the mail in the next try."""
_CHUNK = 64 << 10
_GO_ON, _CLOSING = 354, 421
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_UNWRITABLE = re.compile(r"[\x00-\x20\x7f<>\ud800-\udfff]")
_DOTS = re.compile(rb"^\.", re.MULTILINE)


class Submission:
    """One mail at a time over a logged-in client. Not thread-safe."""

    def __init__(self, client: GuardedSmtp) -> None:
        self._client = client
        self._has_begun = False
        self._refused: dict[str, MailroomError] = {}

    def begin(self, mail: Outgoing) -> None:
        """Ask for everything but the content; nobody has got anything, whatever is raised.

        Raises what `SendSession.prepare` does.
        """
        _refuse_bare_line_ends(mail.content)
        sender = _in_envelope(mail.sender)
        recipients = {one: _in_envelope(one) for one in mail.recipients}
        self._refused = {}
        options = self._options(mail, sender, recipients)
        if self._has_begun:
            self._command(Place.MAIL, "RSET")
        self._has_begun = True
        self._command(Place.MAIL, " ".join([f"MAIL FROM:<{sender}>", *options]), about=mail.sender)
        with self._telling_of_each():
            for recipient, address in recipients.items():
                if recipient in self._refused:
                    continue
                if self._left() < LEAST_STEP_SECONDS:
                    self._refused[recipient] = _too_late(Place.RCPT)
                    continue
                try:
                    self._command(Place.RCPT, f"RCPT TO:<{address}>", about=recipient)
                except _OfOneError as refusal:
                    self._refused[recipient] = refusal.error
            if all(one in self._refused for one in mail.recipients):
                raise _of_all(self._refused)

    def finish(self, mail: Outgoing) -> Accepted:
        """Hand over the content of what `begin` asked for; raises what `SendSession.send` does."""
        self._has_begun = False
        with self._telling_of_each():
            self._require_time(Place.DATA)
            with library_errors():
                self._within(STEP_SECONDS)
                code, text = self._client.command("DATA")
            if code != _GO_ON:
                raise smtp_errors.from_reply(Place.DATA, code, text)
            self._within(CONTENT_SECONDS)
            content = stuffed(mail.content)
            for start in range(0, len(content), _CHUNK):
                self._client.connection.sendall(content[start : start + _CHUNK])
            self._require_time(Place.DOT)
            self._within(VERDICT_SECONDS)
            code, text = self._end_content()
            if 400 <= code < 600:  # noqa: PLR2004  # a refusal, by RFC 5321, 4.2.1
                raise smtp_errors.from_reply(Place.DOT, code, text)
        if not 200 <= code < 300:  # noqa: PLR2004  # done, by the same
            raise self._unknown(f"a reply of {code}")
        return Accepted(refused=self._refused)

    def _end_content(self) -> tuple[int, str]:
        try:
            self._client.connection.sendall(b".\r\n")
            return self._client.reply()
        except (MailroomError, smtplib.SMTPException, ValueError) as error:
            raise self._unknown(str(error)[:200]) from error

    def _unknown(self, cause: str) -> OutcomeUnknownError:
        return OutcomeUnknownError(cause=cause, refused=self._refused)

    @contextmanager
    def _telling_of_each(self) -> Iterator[None]:
        """Let what stands in everybody's way tell who was refused by themselves before."""
        try:
            yield
        except (SendRefusedError, RetryLaterError) as error:
            error.refused = self._refused
            raise

    def _options(self, mail: Outgoing, sender: str, recipients: Mapping[str, str]) -> list[str]:
        """Return what follows the sender; raises where the server cannot carry the mail."""
        client, size = self._client, len(mail.content)
        options: list[str] = []
        if client.has_extn("size"):
            most = client.esmtp_features["size"]
            # Nothing, or nought, is no limit that was told (RFC 1870, 3).
            if most.isdecimal() and 0 < int(most) < size:
                raise SendRefusedError(
                    ErrorCode.MAIL_TOO_LARGE, cause=f"{size} bytes, and {most} are taken"
                )
            options.append(f"SIZE={size}")
        if not mail.content.isascii():
            if not client.has_extn("8bitmime"):
                raise SendRefusedError(ErrorCode.MAIL_REFUSED, cause="no 8BITMIME")
            options.append("BODY=8BITMIME")
        header = mail.content.partition(b"\r\n\r\n")[0]
        beyond = [one for one, address in recipients.items() if not address.isascii()]
        if not client.has_extn("smtputf8"):
            if not sender.isascii() or not header.isascii():
                raise _no_smtputf8()
            self._refused = {one: _no_smtputf8() for one in beyond}
        elif beyond or not sender.isascii() or not header.isascii():
            options.append("SMTPUTF8")
        return options

    def _command(self, place: Place, line: str, *, about: str = "") -> None:
        with library_errors():
            self._within(STEP_SECONDS)
            code, text = self._client.command(line)
        if 200 <= code < 300:  # noqa: PLR2004  # done, by RFC 5321, 4.2.1
            return
        error = smtp_errors.from_reply(place, code, text, about=about)
        is_of_one = isinstance(error, SendRefusedError | RetryLaterError)
        if place is Place.RCPT and is_of_one and code != _CLOSING:
            raise _OfOneError(error)
        raise error

    def _require_time(self, place: Place) -> None:
        if self._left() < LEAST_VERDICT_SECONDS:
            raise _too_late(place)

    def _left(self) -> float:
        return self._client.connection.seconds_left

    def _within(self, seconds: float) -> None:
        self._client.connection.begin_exchange(seconds)


class _OfOneError(Exception):
    """One recipient was refused, and the others can still be asked for."""

    def __init__(self, error: MailroomError) -> None:
        super().__init__(str(error.code))
        self.error = error


def stuffed(content: bytes) -> bytes:
    """Return what is written between DATA and its last line: no line of it can be that one."""
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    return _DOTS.sub(b"..", content)


def _refuse_bare_line_ends(content: bytes) -> None:
    # One server's line end is not another's: what follows could be taken for a second mail (T31).
    if _BARE.search(content):
        raise RequestError(ErrorCode.INVALID_REQUEST, cause="a bare CR, LF or NUL in the content")


def _in_envelope(address: str) -> str:
    """Return an address as it is written in a command: its domain in ASCII, nothing around it."""
    local, at, domain = address.rpartition("@")
    if not local or not at or _UNWRITABLE.search(address):
        raise RequestError(ErrorCode.INVALID_REQUEST, cause="not an address for an envelope")
    if domain.isascii():
        return address
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except (idna.IDNAError, UnicodeError) as error:
        raise RequestError(ErrorCode.INVALID_REQUEST, cause="not a domain") from error


def _too_late(place: Place) -> RetryLaterError:
    return RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause=f"no time left for {place}")


def _no_smtputf8() -> SendRefusedError:
    return SendRefusedError(ErrorCode.ADDRESS_NOT_SUPPORTED, cause="no SMTPUTF8")


def _of_all(refused: Mapping[str, MailroomError]) -> MailroomError:
    """Return what it means that every recipient was refused: one for now, and it is tried again."""
    reasons = [one for one in refused.values() if isinstance(one, SendRefusedError)]
    if len(reasons) < len(refused):
        return next(one for one in refused.values() if isinstance(one, RetryLaterError))
    codes = {one.code for one in reasons}
    return SendRefusedError(
        codes.pop() if len(codes) == 1 else ErrorCode.RECIPIENT_REJECTED,
        cause=reasons[0].cause,
        reply=reasons[0].reply,
    )
