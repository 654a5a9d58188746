"""Decides what Graph's refusals mean where mail is sent; what is not here is as for all of Graph.

Codes are those of Exchange (learn.microsoft.com/exchange/client-developer/web-service-reference/
responsecode) and of its watch over personal accounts, which names a limit of its own for each of
messages, recipients and hours, with a twin in `ShowTierUpgrade` for accounts that could pay.
"""

from collections.abc import Iterable

from shared.domain.errors import ErrorCode, MailroomError
from shared.providers.outlook import errors
from shared.providers.outlook.errors import GraphRow
from shared.providers.outlook.graph import Reply
from shared.providers.refusals import Becomes, configure, reconnect, refuse_mail, retry

_TWIN = "showtierupgrade"
_SERVER_ERROR = 500
_REQUEST_TIMED_OUT = 408


def _row(becomes: Becomes, *codes: str, statuses: Iterable[int] = ()) -> GraphRow:
    return GraphRow(becomes, codes=frozenset(codes), statuses=frozenset(statuses))


SENDING: tuple[GraphRow, ...] = (
    _row(configure(ErrorCode.SENDER_NOT_ALLOWED), "errorsendasdenied"),
    _row(
        refuse_mail(ErrorCode.MAIL_TOO_LARGE),
        "errormessagesizeexceeded",
        "errorattachmentsizelimitexceeded",
        # Too large a request, which is our own doing unless its text alone is.
        statuses={413},
    ),
    _row(refuse_mail(ErrorCode.RECIPIENT_REJECTED), "errorinvalidrecipients"),
    # This very mail, as spam.
    _row(refuse_mail(ErrorCode.MAIL_REFUSED), "errormessageblocked"),
    # Blocked until its owner answers a question at the web site; reading goes on.
    _row(
        reconnect(ErrorCode.BROWSER_LOGIN_REQUIRED),
        "errormessagesubmissionblocked",
        "erroraccountsuspend",
    ),
    _row(
        retry(ErrorCode.SENDING_LIMIT_REACHED),
        "errorexceededmessagelimit",
        "errorexceededmaxrecipientlimit",
        "errorexceededmaxrecipientlimitblock",
        "errorsubmissionquotaexceeded",
    ),
    _row(retry(ErrorCode.RATE_LIMITED), "errorexceededhourlymessagelimit", "errormessagethrottled"),
)
"""What an error of Graph means where mail is sent; the first row that applies."""

_OURS = ("errormimecontentinvalid", "errormimecontentinvalidbase64string")
"""We wrote what Exchange cannot read: a bug, no matter of the writer's."""


def failure(reply: Reply) -> MailroomError:
    """Return the error an answer means; raises ValueError where we sent what is no mail."""
    codes = tuple(code.removesuffix(_TWIN) for code in errors.codes_of(reply.body))
    for code in codes:
        if code in _OURS:
            raise ValueError(f"Graph: {code}")
    plain = reply.failure()
    for row in SENDING:
        if row.applies(reply.status, codes):
            return row.becomes(plain.cause, reply.retry_after)
    return plain


def is_settled(reply: Reply) -> bool:
    """Whether a refusal leaves no doubt that nothing was sent.

    What fails in the middle may have done so after the mail was on its way: a server error is no
    refusal (RFC 9110, 15.6), unless it is one of those that Exchange gives before it begins.
    """
    codes = tuple(code.removesuffix(_TWIN) for code in errors.codes_of(reply.body))
    if any(row.applies(reply.status, codes) for row in (*SENDING, *errors.BEFORE_WORK)):
        return True
    return 400 <= reply.status < _SERVER_ERROR and reply.status != _REQUEST_TIMED_OUT  # noqa: PLR2004
