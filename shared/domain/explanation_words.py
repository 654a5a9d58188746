"""The words for each code: what happened, whose move it is, what to do. Ours, one set per code."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.errors import Acts, ErrorCode
from shared.domain.limit_words import LIMITS
from shared.domain.sending_words import SENDING


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a person reads about a code: what happened, whose move it is, what to do."""

    message: str
    acts: Acts
    fix: str


_U, _A, _O, _P, _T = Acts.USER, Acts.TENANT_ADMIN, Acts.OPERATOR, Acts.PROVIDER, Acts.TIME
WAIT = "Nothing to do: Mailroom tries again by itself."
TEST_AGAIN = "Test again in a few minutes."
_PAIRS = "`tls` belongs to port 993 (IMAP) or 465 (SMTP), `starttls` to 143 or 587"
_CHECK_ID = "Check the id; it may belong to something that was removed."

EXPLANATIONS: Mapping[ErrorCode, Explanation] = {
    **{code: Explanation(*words) for code, words in {**SENDING, **LIMITS}.items()},
    ErrorCode.GRANT_REVOKED: Explanation(
        "Access to this mailbox was withdrawn, or its password was changed.",
        _U,
        "Reconnect the mailbox.",
    ),
    ErrorCode.GRANT_EXPIRED: Explanation(
        "Access to this mailbox has expired.", _U, "Reconnect the mailbox."
    ),
    ErrorCode.SCOPE_MISSING: Explanation(
        "A permission Mailroom needs was not given.", _U, "Reconnect and accept every permission."
    ),
    ErrorCode.SIGN_IN_REQUIRED: Explanation(
        "The provider wants this account's owner to sign in again, perhaps with a second factor.",
        _U,
        "Reconnect the mailbox and follow the provider's sign-in to its end.",
    ),
    ErrorCode.LOGIN_REJECTED: Explanation(
        "The mail server refused the username or password.",
        _U,
        "Check both, then reconnect. Some providers need an app password.",
    ),
    ErrorCode.APP_PASSWORD_REQUIRED: Explanation(
        "The provider wants an app password here, not the account's own password.",
        _U,
        "Create an app password in the provider's security settings and reconnect with it.",
    ),
    ErrorCode.BROWSER_LOGIN_REQUIRED: Explanation(
        "The provider blocked the login until the account's owner confirms it.",
        _U,
        "Sign in once at the provider's web site, follow its notice, then reconnect.",
    ),
    ErrorCode.CLIENT_REJECTED: Explanation(
        "The provider refused this product's own registration.",
        _O,
        "Renew the OAuth client's secret; mailboxes then go on by themselves.",
    ),
    ErrorCode.CLIENT_MISSING: Explanation(
        "This product is not registered with the provider, or no longer.",
        _O,
        "Store the OAuth client this mailbox was connected with; mailboxes then go on.",
    ),
    ErrorCode.API_NOT_ENABLED: Explanation(
        "The provider's mail API is not switched on for this product.",
        _O,
        "Switch it on in the project the OAuth client belongs to; mailboxes then go on.",
    ),
    ErrorCode.PUSH_REFUSED: Explanation(
        "The provider does not agree to tell of changes; the mailbox is polled.",
        _O,
        "Check what push was set up with: the topic and its rights, or the public URL.",
    ),
    ErrorCode.ADMIN_CONSENT_REQUIRED: Explanation(
        "The organisation requires an administrator's approval.",
        _A,
        "Ask an administrator to approve, then connect again.",
    ),
    ErrorCode.ACCESS_BLOCKED: Explanation(
        "A policy of the organisation keeps this product from the mailbox.",
        _A,
        "Ask the organisation's administrator to allow it for this account.",
    ),
    ErrorCode.PROVIDER_API_DISABLED: Explanation(
        "The provider's mail access is switched off for this account.",
        _A,
        "Ask the mail administrator to switch it on.",
    ),
    ErrorCode.IMAP_DISABLED: Explanation(
        "IMAP is switched off for this mailbox.",
        _U,
        "Switch IMAP on in the provider's settings, then test again.",
    ),
    ErrorCode.SMTP_DISABLED: Explanation(
        "Sending by SMTP is switched off for this mailbox.",
        _A,
        "Ask the mail administrator to allow authenticated SMTP, or connect the provider directly.",
    ),
    ErrorCode.OAUTH_REQUIRED: Explanation(
        "This provider no longer accepts passwords for mail programs.",
        _U,
        "Connect through the provider's own sign-in instead.",
    ),
    ErrorCode.CONTACT_ADMIN: Explanation(
        "The mail server says only its administrator can solve this.",
        _A,
        "Ask the mail administrator to check this account's permissions.",
    ),
    ErrorCode.ENCRYPTION_REQUIRED: Explanation(
        "The mail server accepts logins only over an encrypted connection.",
        _U,
        "Choose TLS or STARTTLS for this server.",
    ),
    ErrorCode.SENDER_NOT_ALLOWED: Explanation(
        "The mail server does not let this login send as this address.",
        _A,
        "Use the login's own address, or have the administrator allow it.",
    ),
    ErrorCode.RATE_LIMITED: Explanation("The provider asked us to slow down.", _T, WAIT),
    ErrorCode.DAILY_LIMIT_REACHED: Explanation(
        "This product has used up what the provider allows it in a day.",
        _O,
        "Raise the daily limit in the provider's console; mailboxes then go on by themselves.",
    ),
    ErrorCode.SENDING_LIMIT_REACHED: Explanation(
        "This account has sent as much as its provider lets it for now, often in a day.", _T, WAIT
    ),
    ErrorCode.TOO_MANY_CONNECTIONS: Explanation(
        "The mail server has too many connections for this mailbox.",
        _T,
        "It clears by itself; closing other mail programs helps.",
    ),
    ErrorCode.PROVIDER_UNAVAILABLE: Explanation(
        "The provider is unavailable for the moment.", _P, WAIT
    ),
    ErrorCode.MAILBOX_FULL: Explanation(
        "The mailbox is full.", _U, "Free some space or ask for a larger quota."
    ),
    ErrorCode.HOST_NOT_FOUND: Explanation(
        "No server was found under this host name.",
        _P,
        f"{WAIT} If the server has moved, reconnect with its new name.",
    ),
    ErrorCode.CONNECTION_FAILED: Explanation(
        "The mail server could not be reached.",
        _P,
        f"{WAIT} If the server has moved, reconnect with its new name and port.",
    ),
    ErrorCode.CONNECTION_TIMED_OUT: Explanation(
        "The mail server did not answer in time.",
        _P,
        f"{WAIT} If the server has moved, reconnect with its new name and port.",
    ),
    ErrorCode.CONNECTION_DROPPED: Explanation(
        "The mail server closed the connection before it had answered.", _P, WAIT
    ),
    ErrorCode.PROTOCOL_VIOLATION: Explanation(
        "The server's answer is not one a mail server gives.",
        _U,
        "Check host and port, and that the security setting fits the port.",
    ),
    ErrorCode.ANSWER_NOT_UNDERSTOOD: Explanation(
        "The provider's answer was not one that Mailroom understands.",
        _P,
        f"{WAIT} If it stays so, tell the operator the time and the run's id.",
    ),
    ErrorCode.TLS_UNTRUSTED: Explanation(
        "The mail server's certificate is not issued by an authority we trust.",
        _A,
        "Have the server's administrator install a certificate of a public authority.",
    ),
    ErrorCode.TLS_WRONG_NAME: Explanation(
        "The mail server's certificate is for another host name.",
        _U,
        "Use the host name the certificate names.",
    ),
    ErrorCode.TLS_EXPIRED: Explanation(
        "The mail server's certificate has expired.",
        _A,
        "Have the server's administrator renew it.",
    ),
    ErrorCode.TLS_NOT_OFFERED: Explanation(
        "The server does not offer STARTTLS, so the password was not sent.",
        _U,
        "Use TLS on its own port (993 for IMAP, 465 for SMTP).",
    ),
    ErrorCode.TLS_FAILED: Explanation(
        "No encrypted connection could be agreed on with the server.",
        _U,
        "Check that the port and the security setting belong together.",
    ),
    ErrorCode.FOLDER_UNAVAILABLE: Explanation(
        "The server lists a folder that it does not open.",
        _P,
        "The other folders go on; leave this one out of the active folders if it stays so.",
    ),
    ErrorCode.MESSAGE_UNAVAILABLE: Explanation(
        "The provider fails to hand over one message, and only that one.",
        _P,
        "Nothing to do: it is tried a few times more, then noted as unreadable; the rest goes on.",
    ),
    ErrorCode.TAKING_STOCK: Explanation(
        "Mailroom is still finding out what the mailbox holds.", _T, WAIT
    ),
    ErrorCode.WAITING_FOR_TURN: Explanation(
        "Imports of your organisation take turns, and others are at work now.", _T, WAIT
    ),
    ErrorCode.STORE_REFUSED: Explanation(
        "Mailroom may not use its own store, or cannot find it.",
        _O,
        "Restore the right, key, table or bucket that the log names; mailboxes then go on.",
    ),
    ErrorCode.STORE_THROTTLED: Explanation("Mailroom's own store is busy.", _T, WAIT),
    ErrorCode.CURSOR_EXPIRED: Explanation(
        "The provider keeps forgetting our place, and all has to be compared each time.",
        _P,
        "Nothing to do: it is compared every six hours until the provider keeps it for a day.",
    ),
    ErrorCode.UIDVALIDITY_CHANGED: Explanation(
        "The server keeps numbering a folder's messages anew, and all have to be read each time.",
        _P,
        "It is compared every six hours. Leave it out, or have your provider keep its UIDVALIDITY.",
    ),
    ErrorCode.MESSAGE_MALFORMED: Explanation(
        "A message could not be read.",
        _U,
        "Open it in a mail program: it stays at the provider. The run that met it names it.",
    ),
    ErrorCode.MESSAGE_TOO_LARGE: Explanation(
        "A message or an attachment is larger than the limit.",
        _U,
        "Open it in a mail program: it stays at the provider.",
    ),
    ErrorCode.MESSAGE_GONE: Explanation(
        "A message was deleted at the provider before it could be read.", _T, "Nothing to do."
    ),
    ErrorCode.NOT_HANDED_OVER: Explanation(
        "The provider names a message and does not hand it over, though asked again and again.",
        _P,
        "Replay it later, or open it in a mail program: it stays at the provider.",
    ),
    ErrorCode.KILLED_ITS_READER: Explanation(
        "A message ended the program that read it, twice, and was given up.",
        _O,
        "Mend the reader with the raw message, then replay it; it stays at the provider.",
    ),
    ErrorCode.KEPT_OUT: Explanation(
        "Not kept, because it names somebody whose mail was erased and is kept out.",
        _A,
        "Open it in a mail program: it stays at the provider. Or let them in, then replay it.",
    ),
    ErrorCode.CONTACT_UNKNOWN: Explanation(
        "Not kept: this mailbox stores contacts' mail alone, and whose this is could not be read.",
        _A,
        "Open it in a mail program: it stays at the provider. A replay reads it again from there.",
    ),
    ErrorCode.LEASE_HELD: Explanation("Another run is at work on this mailbox.", _T, WAIT),
    ErrorCode.STALE_WRITE: Explanation("Something newer was already written.", _T, WAIT),
    ErrorCode.ALREADY_CONNECTED: Explanation(
        "This mailbox is already connected.", _U, "Use the connected one, or disconnect it first."
    ),
    ErrorCode.VERSION_CONFLICT: Explanation(
        "Somebody else changed this in the meantime.", _U, "Read it again, then repeat the change."
    ),
    ErrorCode.WRONG_STATE: Explanation(
        "That is not possible in the present state.", _U, "Read the state again."
    ),
    ErrorCode.INVALID_REQUEST: Explanation(
        "The request is not valid.", _U, "See `errors` for the fields to correct."
    ),
    ErrorCode.INVALID_PAGE_TOKEN: Explanation(
        "This `next` token does not belong to this list.", _U, "Start the list again without it."
    ),
    ErrorCode.CONNECTION_TEST_FAILED: Explanation(
        "The mailbox was not connected, because its test failed.",
        _U,
        "See `imap` and `smtp` for the verdict on each side.",
    ),
    ErrorCode.HOST_NOT_ALLOWED: Explanation(
        "This host is not a public mail server.", _U, "Enter the public name of the mail server."
    ),
    ErrorCode.PORT_NOT_ALLOWED: Explanation(
        "This port is not one of mail's.", _U, "Use 993 or 143 for IMAP, 465 or 587 for SMTP."
    ),
    ErrorCode.ADMIN_REQUIRED: Explanation(
        "Only an administrator may do this.", _A, "Ask an administrator of your organisation."
    ),
    ErrorCode.OWNER_REQUIRED: Explanation(
        "Only those may do this whose mailbox it is.", _U, "Ask the mailbox's owner."
    ),
    ErrorCode.OPENINGS_OFF: Explanation(
        "Administrators cannot open other people's mailboxes here.",
        _O,
        "Ask the mailbox's owner; the operator may allow it (`AllowAdminOpenings`).",
    ),
    ErrorCode.OPENING_NOT_FOUND: Explanation("There is no such opening.", _U, _CHECK_ID),
    ErrorCode.UNAUTHENTICATED: Explanation(
        "The access token lacks a claim this product needs.",
        _O,
        "Issue tokens with `sub` (the user), `tenant_id` and, for administrators, `roles`; the"
        " operator may have chosen other names for the last two.",
    ),
    ErrorCode.NOT_FOUND: Explanation("There is nothing at this address.", _U, _CHECK_ID),
    ErrorCode.MAILBOX_NOT_FOUND: Explanation("There is no such mailbox.", _U, _CHECK_ID),
    ErrorCode.MESSAGE_NOT_FOUND: Explanation("There is no such message.", _U, _CHECK_ID),
    ErrorCode.THREAD_NOT_FOUND: Explanation("There is no such thread.", _U, _CHECK_ID),
    ErrorCode.CONTACT_NOT_FOUND: Explanation("There is no such contact.", _U, _CHECK_ID),
    ErrorCode.CONTACT_MERGED: Explanation(
        "This contact was merged into another.", _U, "Use the id it has now: see `merged_into`."
    ),
    ErrorCode.BACKFILL_NOT_FOUND: Explanation("There is no such backfill.", _U, _CHECK_ID),
    ErrorCode.RUN_NOT_FOUND: Explanation(
        "There is no such run.", _U, "A run appears once it has ended; try again shortly."
    ),
    ErrorCode.ERASURE_NOT_FOUND: Explanation("There is no such erasure.", _U, _CHECK_ID),
    ErrorCode.ATTACHMENT_NOT_FOUND: Explanation("There is no such attachment.", _U, _CHECK_ID),
    ErrorCode.DEAD_LETTER_NOT_FOUND: Explanation(
        "There is no such dead letter.",
        _U,
        "Read the list again: one that could be replayed is removed from it.",
    ),
    ErrorCode.RAW_MESSAGE_NOT_FOUND: Explanation(
        "No raw message can be had of this dead letter.",
        _U,
        "See `raw_missing` of the letter for why; without full access there is none either.",
    ),
    ErrorCode.WRONG_MAILBOX: Explanation(
        "This is another account than the one connected.",
        _U,
        "Reconnect with the same account, or connect this one as a new mailbox.",
    ),
    ErrorCode.ADDRESS_KEPT_OUT: Explanation(
        "All mail of this mailbox's address was erased and is kept out: none would be stored.",
        _A,
        "Ask an administrator to let the address in again where it was erased, then connect again.",
    ),
    ErrorCode.CONSENT_DECLINED: Explanation(
        "The mailbox was not connected, because the permission was declined.",
        _U,
        "Connect again and allow access.",
    ),
    ErrorCode.ATTEMPT_EXPIRED: Explanation(
        "This attempt to connect is over: it was used already, or took too long.",
        _U,
        "Connect again from the start.",
    ),
    ErrorCode.ATTEMPT_NOT_YOURS: Explanation(
        "This attempt to connect was begun by somebody else, or in another browser.",
        _U,
        "Connect again from the start, in one browser.",
    ),
    ErrorCode.ACCOUNT_NOT_SUPPORTED: Explanation(
        "This product does not take accounts of this kind or organisation.",
        _U,
        "Sign in with another account, or ask the operator to admit this kind.",
    ),
    ErrorCode.RETURN_URL_NOT_ALLOWED: Explanation(
        "This address is not one that people may be sent back to.",
        _O,
        "Use an address whose origin is on the operator's list.",
    ),
    ErrorCode.INTERNAL: Explanation(
        "Something went wrong on our side.", _O, "Quote the request id to support."
    ),
    ErrorCode.WORK_GIVEN_UP: Explanation(
        "A piece of this mailbox's work failed again and again, and was given up.",
        _O,
        "Mend the cause that the worker's log names, then replay it.",
    ),
}

FIX_IN_TEST: Mapping[ErrorCode, str] = {
    ErrorCode.LOGIN_REJECTED: "Check both, then test again. Some providers need an app password.",
    ErrorCode.APP_PASSWORD_REQUIRED: (
        "Create an app password in the provider's security settings and test again with it."
    ),
    ErrorCode.BROWSER_LOGIN_REQUIRED: (
        "Sign in once at the provider's web site, follow its notice, then test again."
    ),
    ErrorCode.HOST_NOT_FOUND: "Check the spelling of the host name.",
    ErrorCode.CONNECTION_FAILED: "Check host name and port.",
    # What waits for a greeting that only comes encrypted, or the other way round, ends like this.
    ErrorCode.CONNECTION_TIMED_OUT: f"Check host name, port and security: {_PAIRS}.",
    ErrorCode.CONNECTION_DROPPED: f"Check port and security: {_PAIRS}. Else test again later.",
    ErrorCode.PROTOCOL_VIOLATION: f"Check host name, port and security: {_PAIRS}.",
    ErrorCode.TLS_FAILED: f"Check port and security: {_PAIRS}.",
    ErrorCode.ANSWER_NOT_UNDERSTOOD: TEST_AGAIN,
    ErrorCode.MESSAGE_UNAVAILABLE: TEST_AGAIN,
}
