"""Decides how a row of a provider's error table makes the error it stands for.

Which refusal means what is each provider's own table; what a meaning is made of is the same in all.
"""

from typing import Protocol

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
)


class Becomes(Protocol):
    """Makes the error of a cause for the log and of the provider's wish for a pause in seconds."""

    def __call__(self, cause: str, wish: float | None = None, /) -> MailroomError:
        """Return the error; only one that is retried has room for the wish."""
        ...


def retry(code: ErrorCode) -> Becomes:
    """Return what passes by itself."""
    return lambda cause, wish=None: RetryLaterError(code, cause=cause, retry_after_seconds=wish)


def reconnect(code: ErrorCode, *, definitive: bool = True) -> Becomes:
    """Return what the mailbox's owner mends; where not `definitive`, it is retried first."""
    return lambda cause, _wish=None: ReconnectRequiredError(
        code, cause=cause, definitive=definitive
    )


def configure(code: ErrorCode) -> Becomes:
    """Return what a setting mends, at the provider or here."""
    return lambda cause, _wish=None: ConfigurationError(code, cause=cause)


def refuse_mail(code: ErrorCode) -> Becomes:
    """Return what whoever wrote a mail has to change; nobody gets it as it is."""
    return lambda cause, _wish=None: SendRefusedError(code, cause=cause)


def refuse(code: ErrorCode) -> Becomes:
    """Return what the caller is refused."""
    return lambda cause, _wish=None: RequestError(code, cause=cause)
