"""Who may finish a sign-in: the person who began it, and nobody else who holds its URL.

A callback alone proves nothing. The link to a provider's consent page can be sent to somebody else,
whose mailbox would then be connected for the sender; so the code is redeemed only for the browser
that began (it brings the attempt's cookie), or for the user who began (a front end sends the code
with their token). Decision record 0010 has the whole of it.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.connecting import Attempt, Outcome
from shared.domain.errors import (
    AttemptFailedError,
    ConfigurationError,
    ConflictError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.ids import MailboxId
from shared.domain.mailbox import Provider
from shared.domain.return_urls import sent_back
from shared.domain.visibility import Viewer
from shared.operations.authorize_connection import digest_of
from shared.operations.connect_account import AccountPorts, client_of, connect_account
from shared.ports.attempts import AttemptStore

CONNECTED, CONFIRM = "connected", "confirm"
TO_CONFIRM = ("state", "code", "iss")
"""What a front end hands back to us. All else in a callback is for the adapter's words alone, or,
as Microsoft's `client_info`, says who somebody is without any proof."""
REDEEMING_LASTS = timedelta(seconds=30)
"""As long as a function that redeems can live; one that took longer has died."""
_ASK_AGAIN_SECONDS = 0.5
_TIMES_ASKED = 40


class AdminConsentRequiredError(ConfigurationError):
    """An administrator has to approve first; tells where."""

    def __init__(self, admin_consent_url: str, *, cause: str = "") -> None:
        super().__init__(ErrorCode.ADMIN_CONSENT_REQUIRED, cause=cause)
        self.admin_consent_url = admin_consent_url


@dataclass(frozen=True, slots=True)
class CompletePorts:
    """What it takes to finish a sign-in."""

    attempts: AttemptStore
    account: AccountPorts
    wait: Callable[[float], None]
    """Sleeps for some seconds."""
    sync_minutes: int = 5


@dataclass(frozen=True, slots=True)
class SentBack:
    """Where a browser goes after the callback, and what there is to log of it."""

    url: str
    attempt: Attempt
    outcome: Outcome | None = None
    """None: nothing is decided yet, the front end has to confirm it."""
    error: BaseException | None = None
    """What was met just now; a repeated callback meets nothing."""
    is_news: bool = False
    """Whether it was decided by this callback, and not before."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A mailbox that a sign-in connected."""

    mailbox_id: MailboxId
    is_new: bool
    is_news: bool
    """Whether it was connected by this request, and not before."""


def answer_callback(
    provider: Provider,
    answer: Mapping[str, str],
    cookies: Sequence[str],
    *,
    request_id: str,
    ports: CompletePorts,
) -> SentBack | None:
    """Return where to send a browser that comes from a provider, or None for one of no attempt.

    - over, or being redeemed: told the outcome again
    - with the cookie of the attempt, or with an error: finished here
    - with a code and without the cookie: nothing is redeemed; the front end gets the code in the
      fragment, which no server and no Referer sees, and confirms it with its user's token

    `request_id`: goes along with a failure, for people to quote: a redirect has no body to say it.
    Raises `StoreThrottledError` alone.
    """
    state = answer.get("state", "")
    attempt = ports.attempts.get(state) if state else None
    if attempt is None:
        return None
    if attempt.provider is not provider:
        # One provider's answer at the other's address (RFC 9700, 4.4): nothing is used up.
        refused = RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="another provider's callback")
        outcome = _outcome_of(refused, attempt)
        return SentBack(_back(attempt, outcome, request_id), attempt, outcome, refused)
    if not attempt.is_over(ports.account.begin.clock.now()) and not _is_from_browser_of(
        attempt, cookies
    ):
        if "error" not in answer:
            return SentBack(_to_confirm(attempt, answer), attempt)
        # Whoever sent them: an error redeems nothing, and must not be made to.
        answer = {name: value for name, value in answer.items() if name != "code"}
    viewer = Viewer(attempt.tenant_id, attempt.user_id, is_admin=attempt.is_admin)
    ended = _finish_once(viewer, state, attempt, answer, ports)
    url = _back(attempt, ended.outcome, request_id)
    return SentBack(url, attempt, ended.outcome, ended.error, is_news=ended.is_news)


def complete_attempt(
    viewer: Viewer, provider: Provider, answer: Mapping[str, str], *, ports: CompletePorts
) -> Completed:
    """Finish what a callback left to be confirmed, for the user who began it.

    Raises `RequestError` (`ATTEMPT_EXPIRED`; `ATTEMPT_NOT_YOURS`, which uses nothing up), and what
    `connect_account` raises; a failure that passes as `AttemptFailedError`.
    """
    state = answer.get("state", "")
    attempt = ports.attempts.get(state) if state else None
    if attempt is None:
        raise RequestError(ErrorCode.ATTEMPT_EXPIRED, cause="no such attempt")
    whose = (attempt.tenant_id, attempt.user_id, attempt.provider)
    if whose != (viewer.tenant_id, viewer.user_id, provider):
        raise RequestError(ErrorCode.ATTEMPT_NOT_YOURS, cause="another user or provider")
    ended = _finish_once(viewer, state, attempt, answer, ports)
    if ended.outcome.admin_consent_url:
        cause = getattr(ended.error, "cause", "")
        raise AdminConsentRequiredError(
            ended.outcome.admin_consent_url, cause=cause
        ) from ended.error
    if isinstance(ended.error, RetryLaterError):
        raise AttemptFailedError(ended.error.code, cause=ended.error.cause) from ended.error
    if ended.error is not None:
        raise ended.error
    if ended.outcome.code is not None or ended.outcome.mailbox_id is None:
        raise _error_of(ended.outcome)
    is_new = attempt.mailbox_id is None
    return Completed(ended.outcome.mailbox_id, is_new=is_new, is_news=ended.is_news)


@dataclass(frozen=True, slots=True)
class _Ended:
    outcome: Outcome
    error: BaseException | None = None
    is_news: bool = False


def _finish_once(
    viewer: Viewer,
    state: str,
    attempt: Attempt,
    answer: Mapping[str, str],
    ports: CompletePorts,
) -> _Ended:
    """Redeem and note the outcome, or learn it from whoever came first."""
    now = ports.account.begin.clock.now()
    if attempt.is_over(now) or not ports.attempts.take(state, owner=secrets.token_hex(8), now=now):
        return _Ended(_outcome_of_another(state, ports))
    error: BaseException | None = None
    try:
        mailbox = connect_account(
            viewer, attempt, answer, sync_minutes=ports.sync_minutes, ports=ports.account
        )
        outcome = Outcome(mailbox.id)
    except MailroomError as refused:
        error, outcome = refused, _outcome_of(refused, attempt, ports)
    except Exception as bug:  # boundary: the person waits for an answer; the caller logs it
        error, outcome = bug, Outcome(attempt.mailbox_id, ErrorCode.INTERNAL)
    with suppress(StoreThrottledError):
        # Only a second callback would read it; this one has its answer.
        ports.attempts.end(state, outcome)
    return _Ended(outcome, error, is_news=True)


def _outcome_of_another(state: str, ports: CompletePorts) -> Outcome:
    """Wait for the outcome of the one that came first: a double click shows only our answer."""
    for _ in range(_TIMES_ASKED):
        attempt = ports.attempts.get(state)
        if attempt is None:
            break
        if attempt.outcome is not None:
            return attempt.outcome
        now = ports.account.begin.clock.now()
        if attempt.taken_at is None or now - attempt.taken_at >= REDEEMING_LASTS:
            break
        ports.wait(_ASK_AGAIN_SECONDS)
    return Outcome(None, ErrorCode.ATTEMPT_EXPIRED, RequestError.__name__)


def _outcome_of(
    error: MailroomError, attempt: Attempt, ports: CompletePorts | None = None
) -> Outcome:
    url = ""
    if error.code is ErrorCode.ADMIN_CONSENT_REQUIRED and ports is not None:
        with suppress(MailroomError):
            client = client_of(attempt, ports.account.clients)
            sign_in = ports.account.sign_in_of(attempt.provider)
            url = sign_in.admin_consent_url(client, redirect_uri=attempt.redirect_uri) or ""
    return Outcome(attempt.mailbox_id, error.code, type(error).__name__, url)


def _error_of(outcome: Outcome) -> MailroomError:
    """Return the error an outcome tells of, so that a repeated request is answered alike."""
    kinds: dict[str, type[MailroomError]] = {
        kind.__name__: kind
        for kind in (
            ConfigurationError,
            ConflictError,
            ReconnectRequiredError,
            RequestError,
        )
    }
    kind = kinds.get(outcome.failure, AttemptFailedError)
    return kind(outcome.code or ErrorCode.INTERNAL, cause="ended so before")


def _is_from_browser_of(attempt: Attempt, cookies: Sequence[str]) -> bool:
    return any(hmac.compare_digest(digest_of(one), attempt.cookie_digest) for one in cookies)


def _to_confirm(attempt: Attempt, answer: Mapping[str, str]) -> str:
    found = {name: answer[name] for name in TO_CONFIRM if name in answer}
    query = {"mailroom_outcome": CONFIRM, "mailroom_provider": str(attempt.provider)}
    return sent_back(attempt.return_url, query, {"provider": str(attempt.provider), **found})


def _back(attempt: Attempt, outcome: Outcome, request_id: str) -> str:
    query = {
        "mailroom_outcome": str(outcome.code or CONNECTED),
        "mailroom_provider": str(attempt.provider),
    }
    if outcome.mailbox_id:
        query["mailbox_id"] = outcome.mailbox_id
    if outcome.code is not None:
        query["mailroom_request_id"] = request_id
    if outcome.admin_consent_url:
        query["mailroom_admin_consent_url"] = outcome.admin_consent_url
    return sent_back(attempt.return_url, query)
