"""The words for each code of a limit that is set here, besides those of sending.

What happened, whose move it is, what to do.
"""

from collections.abc import Mapping

from shared.domain.errors import Acts, ErrorCode

LIMITS: Mapping[ErrorCode, tuple[str, Acts, str]] = {
    ErrorCode.MAILBOX_LIMIT_REACHED: (
        "Your organisation has as many mailboxes connected as it may have.",
        Acts.TENANT_ADMIN,
        "Disconnect one that is no longer needed, or ask the operator to raise the limit.",
    ),
    ErrorCode.IMPORT_LIMIT_REACHED: (
        "Your organisation has begun as many imports today as it may begin in a day.",
        Acts.TIME,
        "Try again when Retry-After says; a mailbox can be connected without an import meanwhile.",
    ),
    ErrorCode.LOOP_STOPPED: (
        "This mailbox was worked for far more often in an hour than its mail can need.",
        Acts.OPERATOR,
        "Nothing is lost: it rests until the hour ends. The operator's runbook says where to look.",
    ),
}
