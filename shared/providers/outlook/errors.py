"""Decides what Microsoft's refusals mean: one table for its sign-in and one for Graph.

The sign-in is judged by the OAuth `error`, as Microsoft asks for: numbers and texts may change
(learn.microsoft.com/entra/identity-platform/reference-error-codes). A number chooses better words
for the same refusal, and of a renewal it may only make milder what the `error` says: no number
parks a mailbox that its `error` would not park. Graph is judged by the `code`, in any case and at
any depth, then by the status (learn.microsoft.com/graph/errors); never by its message.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from shared.domain.errors import (
    ConfigurationError,
    CursorExpiredError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.providers.refusals import Becomes, configure, reconnect, refuse, retry

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,59}")
_NUMBER = re.compile(r"AADSTS(\d{3,9})\b")
_CHALLENGE = re.compile(r'\berror\s*=\s*"?insufficient_claims\b', re.IGNORECASE)
_DEEPEST = 8


class Moment(Enum):
    """When the sign-in refused: the same word means another thing to a mailbox that works."""

    CONNECTING = "connecting"
    RENEWING = "renewing"


@dataclass(frozen=True, slots=True)
class OAuthRow:
    """What one `error`, or one number, means at either moment."""

    connecting: Becomes
    renewing: Becomes

    def at(self, moment: Moment) -> Becomes:
        """Return the meaning at `moment`."""
        return self.connecting if moment is Moment.CONNECTING else self.renewing


def _expired(cause: str, _wish: float | None = None) -> MailroomError:
    return CursorExpiredError(ErrorCode.CURSOR_EXPIRED, cause=cause)


def _always(becomes: Becomes) -> OAuthRow:
    return OAuthRow(becomes, becomes)


_CLIENT = _always(configure(ErrorCode.CLIENT_REJECTED))
_SIGN_IN = _always(reconnect(ErrorCode.SIGN_IN_REQUIRED))
_BUSY = _always(retry(ErrorCode.PROVIDER_UNAVAILABLE))
_BLOCKED = _always(configure(ErrorCode.ACCESS_BLOCKED))
_ADMIN = _always(configure(ErrorCode.ADMIN_CONSENT_REQUIRED))
_DECLINED = OAuthRow(
    refuse(ErrorCode.CONSENT_DECLINED), reconnect(ErrorCode.GRANT_REVOKED, definitive=False)
)
_USED_UP = OAuthRow(refuse(ErrorCode.ATTEMPT_EXPIRED), reconnect(ErrorCode.GRANT_REVOKED))
_IDLE = OAuthRow(refuse(ErrorCode.ATTEMPT_EXPIRED), reconnect(ErrorCode.GRANT_EXPIRED))
_ENDED = OAuthRow(reconnect(ErrorCode.SIGN_IN_REQUIRED), reconnect(ErrorCode.GRANT_REVOKED))
_OTHER_KIND = OAuthRow(
    refuse(ErrorCode.ACCOUNT_NOT_SUPPORTED), configure(ErrorCode.ACCOUNT_NOT_SUPPORTED)
)

OAUTH_ERRORS: Mapping[str, OAuthRow] = {
    "access_denied": _DECLINED,
    "consent_required": OAuthRow(
        reconnect(ErrorCode.SCOPE_MISSING), reconnect(ErrorCode.GRANT_REVOKED)
    ),
    "interaction_required": _SIGN_IN,
    "login_required": _SIGN_IN,
    "invalid_grant": _USED_UP,
    "invalid_client": _CLIENT,
    "unauthorized_client": _CLIENT,
    "invalid_request": _CLIENT,
    "invalid_scope": _CLIENT,
    "invalid_resource": _CLIENT,
    "unsupported_grant_type": _CLIENT,
    "unsupported_response_type": _CLIENT,
    "server_error": _BUSY,
    "temporarily_unavailable": _BUSY,
}
"""What the sign-in's `error` means. One that is not here passes by itself."""

OAUTH_NUMBERS: Mapping[int, OAuthRow] = {
    # no consent yet, or no longer
    65001: OAuthRow(reconnect(ErrorCode.SCOPE_MISSING), reconnect(ErrorCode.GRANT_REVOKED)),
    65004: _DECLINED,
    90094: _ADMIN,
    90095: _ADMIN,
    # a second factor is wanted now
    50074: _SIGN_IN,
    50076: _SIGN_IN,
    50079: _SIGN_IN,
    # conditional access; the grant lives on, and works again once an administrator allows it
    50158: _BLOCKED,
    53000: _BLOCKED,
    53001: _BLOCKED,
    53002: _BLOCKED,
    53003: _BLOCKED,
    530032: _BLOCKED,
    # not assigned to the application
    50105: _BLOCKED,
    # switched off, or locked for a while: an administrator's, and the grant may live on
    50057: _BLOCKED,
    50053: _BLOCKED,
    # a wrong password, typed at the sign-in
    50126: _SIGN_IN,
    # idle for too long; of a code: too old
    70008: _IDLE,
    700082: _IDLE,
    # revoked, or the password was changed
    50173: _ENDED,
    50132: _ENDED,
    50133: _ENDED,
    # a policy of how often one signs in, or a session that ended
    70043: _SIGN_IN,
    50089: _SIGN_IN,
    70000: _USED_UP,
    54005: _USED_UP,
    # the registration
    700016: _always(configure(ErrorCode.CLIENT_MISSING)),
    7000215: _CLIENT,
    7000222: _CLIENT,
    50011: _CLIENT,
    # another directory, another kind of account, or an application of one directory
    50020: _OTHER_KIND,
    50034: _OTHER_KIND,
    50194: _OTHER_KIND,
    9002332: _OTHER_KIND,
    # Too many identical requests: our doing, which says nothing of the grant.
    50196: _always(retry(ErrorCode.RATE_LIMITED)),
}
"""Words for a refusal whose `error` is known; providers' numbers as of 2026."""


def from_oauth(answer: Mapping[str, object], moment: Moment) -> MailroomError:
    """Return what the sign-in's error answer means, by redirect or from the token endpoint."""
    error = answer.get("error")
    row = OAUTH_ERRORS.get(error) if isinstance(error, str) else None
    numbers = _numbers(answer)
    cause = " ".join(["sign-in:", _word(error), *map(str, numbers)])
    if row is None:
        return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=cause)
    plain = row.at(moment)(cause)
    if isinstance(plain, RetryLaterError):
        return plain
    for number in numbers:
        if number in OAUTH_NUMBERS:
            worded = OAUTH_NUMBERS[number].at(moment)(cause)
            return plain if _is_harsher(worded, plain, moment) else worded
    return plain


def _is_harsher(worded: MailroomError, plain: MailroomError, moment: Moment) -> bool:
    """Whether a number would park a mailbox that the `error` does not park."""
    parks = isinstance(worded, ReconnectRequiredError)
    return moment is Moment.RENEWING and parks and not isinstance(plain, ReconnectRequiredError)


def _numbers(answer: Mapping[str, object]) -> tuple[int, ...]:
    """Return the AADSTS numbers, which a redirect has only in its text."""
    codes = answer.get("error_codes")
    if isinstance(codes, list):
        found = tuple(code for code in codes if isinstance(code, int))
        if found:
            return found[:_DEEPEST]
    text = answer.get("error_description")
    return tuple(map(int, _NUMBER.findall(text)[:1])) if isinstance(text, str) else ()


@dataclass(frozen=True, slots=True)
class GraphRow:
    """Applies to one of `codes` (lower case) with any status, or to one of `statuses`."""

    becomes: Becomes
    codes: frozenset[str] = frozenset()
    statuses: frozenset[int] = frozenset()

    def applies(self, status: int, codes: Sequence[str]) -> bool:
        """Whether this row says what the answer means."""
        return status in self.statuses or any(code in self.codes for code in codes)


SCOPE_CODES = frozenset(
    {
        "erroraccessdenied",
        "accessdenied",
        "authorization_requestdenied",
        "errorinsufficientpermissionsinaccesstoken",
        "insufficientprivileges",
    }
)
_BAD_REQUEST, _UNAUTHORIZED = 400, 401
_THROTTLED = GraphRow(
    retry(ErrorCode.RATE_LIMITED),
    codes=frozenset(
        {"applicationthrottled", "toomanyrequests", "activitylimitreached", "errorserverbusy"}
    ),
    # 509 is "bandwidth limit exceeded" (learn.microsoft.com/graph/errors).
    statuses=frozenset({429, 509}),
)
_FULL = GraphRow(
    retry(ErrorCode.MAILBOX_FULL),
    codes=frozenset({"errorquotaexceeded", "quotalimitreached"}),
    statuses=frozenset({507}),
)
BEFORE_WORK = (_THROTTLED, _FULL)
"""Refusals that Exchange gives before it does anything."""
GRAPH: tuple[GraphRow, ...] = (
    GraphRow(
        _expired,
        codes=frozenset(
            {
                "syncstatenotfound",
                "syncstateinvalid",
                "resyncrequired",
                "resyncchangesapplydifferences",
                "resyncchangesuploaddifferences",
                "errorinvalidsyncstatedata",
            }
        ),
    ),
    GraphRow(
        configure(ErrorCode.PROVIDER_API_DISABLED),
        # A mailbox without a licence, on the organisation's own server, or none at all.
        codes=frozenset({"mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi"}),
    ),
    _THROTTLED,
    GraphRow(
        retry(ErrorCode.PROVIDER_UNAVAILABLE),
        codes=frozenset(
            {
                "mailboxintransit",
                "errormailboxmoveinprogress",
                "errormailboxstoreunavailable",
                "errorinternalservertransienterror",
                "errortimeoutexpired",
                "serviceunavailable",
                "servicenotavailable",
                "generalexception",
                "resourcelocked",
            }
        ),
        statuses=frozenset({408, 423, 500, 502, 503, 504}),
    ),
    _FULL,
    GraphRow(_expired, statuses=frozenset({410})),
    # A token that was just renewed is refused again: much speaks for a dead grant, not everything.
    GraphRow(
        reconnect(ErrorCode.GRANT_REVOKED, definitive=False),
        statuses=frozenset({_UNAUTHORIZED}),
    ),
    # The same answer is given for a permission that is missing and by a policy of an organisation.
    GraphRow(reconnect(ErrorCode.SCOPE_MISSING, definitive=False), codes=SCOPE_CODES),
    GraphRow(configure(ErrorCode.ACCESS_BLOCKED), statuses=frozenset({403})),
)
"""What an error of Graph means; the first row that applies."""


def from_graph(
    status: int,
    body: object,
    *,
    retry_after: float | None = None,
    wants_claims: bool = False,
) -> MailroomError:
    """Return what an error answer of Graph means; one that no row knows passes by itself.

    `body`: the decoded JSON, or anything else. `retry_after`: the provider's wish, in seconds.
    `wants_claims`: what the function of that name says of its headers.
    """
    codes = codes_of(body)
    cause = " ".join(["Graph:", str(status), *map(_word, codes[:2])])
    if wants_claims and status == _UNAUTHORIZED:
        cause = f"{cause} insufficient_claims"
        return ReconnectRequiredError(ErrorCode.SIGN_IN_REQUIRED, cause=cause, definitive=False)
    for row in GRAPH:
        if row.applies(status, codes):
            return row.becomes(cause, retry_after)
    # Server errors by RFC 9110, 15.6.
    failing = status >= 500  # noqa: PLR2004
    code = ErrorCode.PROVIDER_UNAVAILABLE if failing else ErrorCode.ANSWER_NOT_UNDERSTOOD
    return RetryLaterError(code, cause=cause, retry_after_seconds=retry_after)


def from_subscribing(status: int, body: object, otherwise: MailroomError) -> MailroomError:
    """Return what it means that Graph does not tell of changes; `otherwise`: by `from_graph`.

    There a wrong request is a wrong URL: Graph asked it, and it did not answer as it should.
    """
    if status == _BAD_REQUEST and otherwise.code is ErrorCode.ANSWER_NOT_UNDERSTOOD:
        cause = " ".join(["Graph:", str(status), *map(_word, codes_of(body)[:2])])
        return ConfigurationError(ErrorCode.PUSH_REFUSED, cause=cause)
    return otherwise


def wants_claims(headers: Mapping[str, str]) -> bool:
    """Whether an answer asks for a claim that only its owner's next sign-in can bring.

    The grant lives; a renewal does not satisfy a policy of the organisation
    (learn.microsoft.com/entra/identity-platform/claims-challenge). `headers`: by lower-case names,
    or found by any case.
    """
    return _CHALLENGE.search(headers.get("www-authenticate", "")) is not None


def codes_of(body: object) -> tuple[str, ...]:
    """Return the error codes in `body`, lower case, the outermost first, nested ones too."""
    codes: list[str] = []
    inner = body.get("error") if isinstance(body, dict) else None
    for _ in range(_DEEPEST):
        if not isinstance(inner, dict):
            break
        named = {str(key).lower(): value for key, value in inner.items()}
        if isinstance(named.get("code"), str):
            codes.append(str(named["code"]).lower())
        inner = named.get("innererror")
    return tuple(codes)


@contextmanager
def where_there_is_no_cursor() -> Iterator[None]:
    """Raise a refusal that speaks of one as what passes by itself: there is none to give up."""
    try:
        yield
    except CursorExpiredError as error:
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=error.cause) from error


def unusable(what: str) -> RetryLaterError:
    """Return the error for an answer that is not what Microsoft answers: HTML, or half of JSON."""
    return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=f"unusable answer: {what}")


def _word(text: object) -> str:
    """Return a reason word for the log; anything else it could be is kept out of it."""
    return text if isinstance(text, str) and _WORD.fullmatch(text) else "(other)"
