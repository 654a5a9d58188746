"""The words for each code that only sending and changing mail meet.

What happened, whose move it is, what to do.
"""

from collections.abc import Mapping

from shared.domain.errors import Acts, ErrorCode

_U, _T = Acts.USER, Acts.TIME
_AGAIN = "send it again"

SENDING: Mapping[ErrorCode, tuple[str, Acts, str]] = {
    ErrorCode.RECIPIENT_REJECTED: (
        "The mail server says there is no such recipient, or takes no mail for them.",
        _U,
        f"Check the address, then {_AGAIN} to it.",
    ),
    ErrorCode.RECIPIENT_FULL: (
        "The recipient's mailbox is full.",
        _U,
        f"Reach them another way, or {_AGAIN} later.",
    ),
    ErrorCode.ADDRESS_NOT_SUPPORTED: (
        "The mail server cannot send to an address with such letters before the @.",
        _U,
        "Use another address of the recipient.",
    ),
    ErrorCode.MAIL_TOO_LARGE: (
        "The mail is larger than the mail server takes.",
        _U,
        f"Make its attachments smaller or fewer, then {_AGAIN}.",
    ),
    ErrorCode.MAIL_REFUSED: (
        "The mail server refused the mail itself, as spam or by a rule of its own.",
        _U,
        f"Change its text, links or attachments and {_AGAIN}; else ask the provider's support.",
    ),
    ErrorCode.CONTENT_MISSING: (
        "What was to be sent is no longer there as it was written, so nothing was sent.",
        _U,
        "Write it again.",
    ),
    ErrorCode.NOT_SENT_IN_TIME: (
        "The mail could not be sent for a whole day, so it was given up.",
        _U,
        f"See what the mailbox's outbound error says, then {_AGAIN}.",
    ),
    ErrorCode.MAILBOX_DISCONNECTED: (
        "The mailbox was disconnected before the mail was sent.",
        _U,
        f"Connect the mailbox, then {_AGAIN}.",
    ),
    ErrorCode.OUTCOME_UNKNOWN: (
        "The connection broke while the mail was handed over: it may have been sent, or not.",
        _U,
        f"Ask the recipient, or look among the sent mail, before you {_AGAIN}.",
    ),
    ErrorCode.TEST_NOT_BACK: (
        "The test message was sent, and did not come back within ten minutes.",
        _U,
        "Look for it in the mailbox's spam folder, and for a rule that moves or forwards it.",
    ),
    ErrorCode.KEY_REUSED: (
        "This Idempotency-Key was used already for another request.",
        _U,
        "Use a new key for each mail, and the same one only to repeat a request unchanged.",
    ),
    ErrorCode.TOO_LATE: (
        "The mail is on its way already, or its fate is decided: it cannot be cancelled.",
        _U,
        "Look at its status.",
    ),
    ErrorCode.SEND_NOT_FOUND: (
        "There is no such mail on its way.",
        _U,
        "Check the id; what ended is forgotten after 90 days.",
    ),
    ErrorCode.UPLOAD_NOT_FOUND: (
        "An attachment was not uploaded, or is not what was announced.",
        _U,
        "Upload it again, with the size and digest that were announced.",
    ),
    ErrorCode.FOLDER_NOT_FOUND: (
        "The mailbox has no such folder.",
        _U,
        "Use a folder that the mailbox lists.",
    ),
    ErrorCode.NO_TRASH_FOLDER: (
        "The mailbox has no folder for trash.",
        _U,
        "Make a folder named Trash in your mail program, or move the message to another folder.",
    ),
    ErrorCode.CHANGE_REFUSED: (
        "The mail server does not let Mailroom change this message or move it there.",
        _U,
        "Change it in your mail program, or ask who manages the mailbox for the right to.",
    ),
    ErrorCode.CHANGE_NOT_MADE_IN_TIME: (
        "A change to a message could not be made for a whole day, so it was given up.",
        _U,
        "Make it again; if it stays so, make it in your mail program.",
    ),
    ErrorCode.ALIAS_NOT_FOUND: (
        "The mailbox has no such alias.",
        _U,
        "Use one that the mailbox lists, or add it first.",
    ),
    ErrorCode.SENDER_NOT_VERIFIED: (
        "This address is not the mailbox's own, and no alias that was verified.",
        _U,
        "Send from the mailbox's own address, or add and verify the alias first.",
    ),
    ErrorCode.NO_MAILBOX_TO_SEND_FROM: (
        "You have no mailbox to send from.",
        _U,
        "Name a mailbox, or connect one and make it your primary.",
    ),
    ErrorCode.SEND_LIMIT_REACHED: (
        "As many mails were sent as may be in this time.",
        _T,
        "Try again when Retry-After says; the operator can raise the limit.",
    ),
    ErrorCode.TOO_MANY_REQUESTS: (
        "There were too many requests of this kind in a short time.",
        _T,
        "Try again when Retry-After says.",
    ),
}
