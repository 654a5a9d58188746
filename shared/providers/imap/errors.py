"""Decides what a mail server's refusal means: one ordered table for IMAP and one for SMTP.

The order is the rule. What passes by itself comes first, because calling it a wrong password would
send a person to change a right one; then what a person must do elsewhere (app password, browser,
switching IMAP on); then credentials; and what no row knows is retried and never held definitive.
Sources: RFC 5530 and 3501 for IMAP codes, RFC 4954 and 3463 for SMTP; texts as seen in the wild.
"""

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imapclient import exceptions as imap_exceptions

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.providers.imap.grammar import GrammarError, StatusText
from shared.providers.refusals import Becomes, configure, reconnect, retry

_CAUSE_CHARACTERS = 300
EXPUNGED = "EXPUNGEISSUED"
"""The code of a refusal that says what was asked for is no longer there (RFC 5530)."""
_CREDENTIALS = frozenset({"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED"})


@dataclass(frozen=True, slots=True)
class ImapRow:
    """A row applies when the response code is one of `codes` or the text matches `words`."""

    becomes: Becomes
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None

    def applies(self, status: StatusText) -> bool:
        """Whether this row says what `status` means."""
        return status.code in self.codes or bool(self.words and self.words.search(status.text))


@dataclass(frozen=True, slots=True)
class SmtpRow:
    """A row applies when every part it names fits: reply code, enhanced code, text."""

    becomes: Becomes
    replies: frozenset[int] = frozenset()
    enhanced: re.Pattern[str] | None = None
    words: re.Pattern[str] | None = None

    def applies(self, reply: int, text: str) -> bool:
        """Whether this row says what the answer means."""
        return (
            (not self.replies or reply in self.replies)
            and (self.enhanced is None or bool(self.enhanced.search(text)))
            and (self.words is None or bool(self.words.search(text)))
        )


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_TOO_MANY = _words(
    r"(too many|maximum number of|exceeded.{0,20}number of).{0,30}"
    r"(connections?|sessions?|simultaneous logins?)\b"
)
_SLOW_DOWN = _words(
    r"bandwidth limits|rate limit|too many (failed|login attempts|attempts|requests|commands)"
    r"|too many .{0,20}fail|throttl|try again (later|in )|temporar(y|ily) (locked|blocked)"
)
_UNAVAILABLE = _words(
    r"temporar(y|ily)|server (is )?(busy|unavailable|error)|internal (server )?error"
    r"|system error|backend|maintenance|service unavailable|not available"
)
_APP_PASSWORD = _words(
    r"application[- ]specific password|app(lication)?[- ]?(specific )?password"
    r"|authorized code|authorization code|authcode|secure mail key|third[- ]party password"
)
_BROWSER = _words(
    r"web ?browser|web login required|log ?in (via|through|at) (the |your )?web|webalert"
)
_IMAP_OFF = _words(
    r"(enable|activate|turn on|switch on).{0,20}(imap|pop3?|protocol)"
    r"|imap( access| service| protocol)? (is |has been |not )?(currently )?"
    r"(disabled|not enabled|switched off|turned off|not activated|inactive|blocked|enabled for)"
    r"|not allowed to use imap|imap.{0,20}(deactivated|not permitted)"
)
_OAUTH_ONLY = _words(r"basic ?auth(entication)? (is )?(disabled|blocked)|oauth(2)? (is )?required")
_NEEDS_TLS = _words(r"only available under a layer|(must|need).{0,20}(starttls|tls|ssl|encrypt)")
_WRONG = _words(
    r"(invalid|incorrect|wrong|bad|unknown) (user ?name|user|login|password|credential|e-?mail)"
    r"|(credentials?|password|user ?name) (is |are |was )?(invalid|incorrect|wrong|rejected)"
    r"|(credentials?|password) (is |are |was )?not accepted"
    r"|(authentication|login|authorization|logon) (has )?failed|login failed|auth(entication)? fail"
    r"|login (denied|incorrect|fail)|authentication (failure|unsuccessful)"
)

_PASSING = frozenset({"UNAVAILABLE", "INUSE", "LIMIT", "THROTTLED", "OVERQUOTA"})

IMAP_LOGIN: tuple[ImapRow, ...] = (
    ImapRow(retry(ErrorCode.TOO_MANY_CONNECTIONS), words=_TOO_MANY),
    ImapRow(retry(ErrorCode.PROVIDER_UNAVAILABLE), codes=frozenset({"UNAVAILABLE", "SERVERBUG"})),
    ImapRow(retry(ErrorCode.PROVIDER_UNAVAILABLE), codes=frozenset({"INUSE"})),
    ImapRow(retry(ErrorCode.RATE_LIMITED), codes=frozenset({"LIMIT", "THROTTLED"})),
    ImapRow(retry(ErrorCode.MAILBOX_FULL), codes=frozenset({"OVERQUOTA"})),
    ImapRow(configure(ErrorCode.ENCRYPTION_REQUIRED), codes=frozenset({"PRIVACYREQUIRED"})),
    ImapRow(configure(ErrorCode.CONTACT_ADMIN), codes=frozenset({"CONTACTADMIN", "NOPERM"})),
    ImapRow(reconnect(ErrorCode.BROWSER_LOGIN_REQUIRED), codes=frozenset({"WEBALERT"})),
    ImapRow(retry(ErrorCode.RATE_LIMITED), words=_SLOW_DOWN),
    ImapRow(reconnect(ErrorCode.APP_PASSWORD_REQUIRED), words=_APP_PASSWORD),
    ImapRow(reconnect(ErrorCode.BROWSER_LOGIN_REQUIRED), words=_BROWSER),
    ImapRow(configure(ErrorCode.IMAP_DISABLED), words=_IMAP_OFF),
    ImapRow(configure(ErrorCode.OAUTH_REQUIRED), words=_OAUTH_ONLY),
    ImapRow(configure(ErrorCode.ENCRYPTION_REQUIRED), words=_NEEDS_TLS),
    ImapRow(reconnect(ErrorCode.LOGIN_REJECTED), codes=_CREDENTIALS),
    ImapRow(retry(ErrorCode.PROVIDER_UNAVAILABLE), words=_UNAVAILABLE),
    # Words without a code may be a stock phrase for any trouble: right to show, not to park on.
    ImapRow(reconnect(ErrorCode.LOGIN_REJECTED, definitive=False), words=_WRONG),
)
"""What a refused login, or a BYE in its place, means; the first row that applies."""

_REFUSED = frozenset({530, 534, 535, 538, 454, 550, 553, 554})
SMTP_LOGIN: tuple[SmtpRow, ...] = (
    SmtpRow(retry(ErrorCode.TOO_MANY_CONNECTIONS), words=_TOO_MANY),
    SmtpRow(retry(ErrorCode.TOO_MANY_CONNECTIONS), replies=frozenset({432})),
    SmtpRow(
        retry(ErrorCode.RATE_LIMITED),
        replies=frozenset({421, 450, 451, 452}),
        enhanced=re.compile(r"\b4\.7\.\d+"),
    ),
    SmtpRow(retry(ErrorCode.RATE_LIMITED), words=_SLOW_DOWN),
    SmtpRow(retry(ErrorCode.RATE_LIMITED), words=_words(r"sending limit exceeded")),
    SmtpRow(retry(ErrorCode.MAILBOX_FULL), enhanced=re.compile(r"\b[45]\.2\.2\b")),
    SmtpRow(
        configure(ErrorCode.SMTP_DISABLED),
        words=_words(r"smtpclientauthentication is disabled|smtp(?: auth)? (?:is )?disabled"),
    ),
    SmtpRow(reconnect(ErrorCode.APP_PASSWORD_REQUIRED), enhanced=re.compile(r"\b5\.7\.9\b")),
    SmtpRow(reconnect(ErrorCode.BROWSER_LOGIN_REQUIRED), enhanced=re.compile(r"\b5\.7\.14\b")),
    SmtpRow(reconnect(ErrorCode.APP_PASSWORD_REQUIRED), words=_APP_PASSWORD),
    SmtpRow(reconnect(ErrorCode.BROWSER_LOGIN_REQUIRED), words=_BROWSER),
    SmtpRow(configure(ErrorCode.OAUTH_REQUIRED), words=_OAUTH_ONLY),
    SmtpRow(configure(ErrorCode.SENDER_NOT_ALLOWED), enhanced=re.compile(r"\b5\.7\.60\b")),
    SmtpRow(
        configure(ErrorCode.ENCRYPTION_REQUIRED),
        replies=frozenset({530, 538}),
        words=_words(r"starttls|encrypt|\btls\b|5\.7\.11"),
    ),
    # Wanting authentication after it was given is the server's own muddle about the security level.
    SmtpRow(configure(ErrorCode.ENCRYPTION_REQUIRED), replies=frozenset({530})),
    SmtpRow(
        retry(ErrorCode.PROVIDER_UNAVAILABLE),
        replies=frozenset({421, 450, 451, 452, 454}),
    ),
    SmtpRow(reconnect(ErrorCode.LOGIN_REJECTED), replies=frozenset({535})),
    SmtpRow(reconnect(ErrorCode.LOGIN_REJECTED, definitive=False), replies=_REFUSED, words=_WRONG),
    SmtpRow(configure(ErrorCode.CONTACT_ADMIN), replies=frozenset({550, 553, 554})),
)
"""What a refusal on the way to an authenticated session means; the first row that applies."""


def from_imap_login(status: StatusText) -> MailroomError:
    """Return what a refused login means; an unknown refusal is doubtful, never definitive."""
    cause = _cause(f"{status.kind} [{status.code}] {status.text}")
    for row in IMAP_LOGIN:
        if row.applies(status):
            error = row.becomes(cause)
            is_credentials = error.code is ErrorCode.LOGIN_REJECTED
            # A BYE or a BAD is not an answer to the password, whatever its words are.
            return error if not is_credentials or status.kind == "NO" else _unusable(status, cause)
    if status.kind == "NO":
        return ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, cause=cause, definitive=False)
    return _unusable(status, cause)


def from_imap_command(status: StatusText) -> MailroomError:
    """Return what a command refused after the login means: never a wrong password."""
    cause = _cause(f"{status.kind} [{status.code}] {status.text}")
    for row in IMAP_LOGIN:
        if row.applies(status):
            error = row.becomes(cause)
            if isinstance(error, RetryLaterError):
                return error
    if status.kind == "NO":
        return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause)
    return _unusable(status, cause)


def is_about_now(status: StatusText) -> bool:
    """Whether a refusal says nothing of what was asked for, only that now is not the time.

    What has neither such a code nor such words may be about either, SERVERBUG with its stock phrase
    included: servers meet their bugs in single messages.
    """
    passing_words = (_TOO_MANY, _SLOW_DOWN, _UNAVAILABLE)
    return status.code in _PASSING or (
        status.code != "SERVERBUG" and any(words.search(status.text) for words in passing_words)
    )


@contextmanager
def unreadable_is_a_violation() -> Iterator[None]:
    """Raise `protocol_violation` where an answer breaks the grammar.

    The adapter's one door: further in, only what can go on without the answer heeds it.
    """
    try:
        yield
    except GrammarError as error:
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=_cause(str(error))) from error


def from_smtp_reply(reply: int, text: str) -> MailroomError:
    """Return what an SMTP refusal means; an unknown 4xx passes, an unknown 5xx is doubtful."""
    cause = _cause(f"{reply} {text}")
    for row in SMTP_LOGIN:
        if row.applies(reply, text):
            return row.becomes(cause)
    if 400 <= reply < 500:  # noqa: PLR2004  # transient by RFC 5321, 4.2.1
        return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause)
    if reply in _REFUSED:
        return ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, cause=cause, definitive=False)
    return RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=cause)


LIBRARY: tuple[tuple[type[Exception], Becomes], ...] = (
    (smtplib.SMTPServerDisconnected, retry(ErrorCode.CONNECTION_DROPPED)),
    (smtplib.SMTPNotSupportedError, configure(ErrorCode.SMTP_DISABLED)),
    (smtplib.SMTPException, retry(ErrorCode.PROTOCOL_VIOLATION)),
    (imap_exceptions.LoginError, reconnect(ErrorCode.LOGIN_REJECTED, definitive=False)),
    (imap_exceptions.ProtocolError, retry(ErrorCode.PROTOCOL_VIOLATION)),
    (imap_exceptions.CapabilityError, retry(ErrorCode.PROTOCOL_VIOLATION)),
    (imap_exceptions.IllegalStateError, retry(ErrorCode.PROTOCOL_VIOLATION)),
    (imap_exceptions.InvalidCriteriaError, retry(ErrorCode.PROTOCOL_VIOLATION)),
    (imap_exceptions.IMAPClientReadOnlyError, retry(ErrorCode.PROVIDER_UNAVAILABLE)),
    (imap_exceptions.IMAPClientAbortError, retry(ErrorCode.CONNECTION_DROPPED)),
    (imap_exceptions.IMAPClientError, retry(ErrorCode.PROTOCOL_VIOLATION)),
)
"""What the libraries' exceptions mean where no server line explains them; the first that fits."""


def from_library(error: Exception) -> MailroomError:
    """Return what an exception of imapclient or smtplib means."""
    if isinstance(error, smtplib.SMTPResponseException):
        return from_smtp_reply(error.smtp_code, _text(error.smtp_error))
    for kind, becomes in LIBRARY:
        if isinstance(error, kind):
            return becomes(_cause(str(error)))
    raise TypeError("not an exception of a mail library") from error


def _unusable(status: StatusText, cause: str) -> MailroomError:
    dropped = status.kind == "BYE"
    code = ErrorCode.CONNECTION_DROPPED if dropped else ErrorCode.PROTOCOL_VIOLATION
    return RetryLaterError(code, cause=cause)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _cause(text: str) -> str:
    """Return a server's words for the log: short and printable (threat T25)."""
    return "".join(c if c.isprintable() else "·" for c in text[:_CAUSE_CHARACTERS])
