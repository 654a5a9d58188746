"""Which failures exist, and who acts on each.

MailroomError
├── ReconnectRequiredError   the user acts          scope: mailbox
├── ConfigurationError       an operator or admin   scope: mailbox or tenant
├── RetryLaterError          time acts              scope: run
├── CursorExpiredError       the system acts        scope: folder
├── UnreadableMessageError   nobody acts            scope: message
├── SendRefusedError         the writer acts        scope: send
├── OutcomeUnknownError      time or the writer     scope: send
├── ConflictError            somebody else won      scope: write
└── RequestError             the caller acts        scope: request

Anything else is a bug: not caught, retried by the queue, and alarmed. What a person reads of each
is in `explanations`; what a server said stays in `cause`, which goes to the log and never to a
person or a store.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import ClassVar

from shared.domain.ids import Address, ContactId


class Acts(StrEnum):
    """Whose move it is."""

    USER = "user"
    TENANT_ADMIN = "tenant_admin"
    OPERATOR = "operator"
    PROVIDER = "provider"
    TIME = "time"


class ErrorCode(StrEnum):
    """The closed set of causes a caller or an engineer can meet."""

    # ReconnectRequired
    GRANT_REVOKED = "grant_revoked"
    GRANT_EXPIRED = "grant_expired"
    SCOPE_MISSING = "scope_missing"
    SIGN_IN_REQUIRED = "sign_in_required"
    LOGIN_REJECTED = "login_rejected"
    APP_PASSWORD_REQUIRED = "app_password_required"
    BROWSER_LOGIN_REQUIRED = "browser_login_required"
    # Configuration
    CLIENT_REJECTED = "client_rejected"
    CLIENT_MISSING = "client_missing"
    API_NOT_ENABLED = "api_not_enabled"
    ADMIN_CONSENT_REQUIRED = "admin_consent_required"
    ACCESS_BLOCKED = "access_blocked"
    PROVIDER_API_DISABLED = "provider_api_disabled"
    IMAP_DISABLED = "imap_disabled"
    SMTP_DISABLED = "smtp_disabled"
    OAUTH_REQUIRED = "oauth_required"
    CONTACT_ADMIN = "contact_admin"
    ENCRYPTION_REQUIRED = "encryption_required"
    SENDER_NOT_ALLOWED = "sender_not_allowed"
    PUSH_REFUSED = "push_refused"
    STORE_REFUSED = "store_refused"
    # RetryLater
    RATE_LIMITED = "rate_limited"
    DAILY_LIMIT_REACHED = "daily_limit_reached"
    SENDING_LIMIT_REACHED = "sending_limit_reached"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    MAILBOX_FULL = "mailbox_full"
    HOST_NOT_FOUND = "host_not_found"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_TIMED_OUT = "connection_timed_out"
    CONNECTION_DROPPED = "connection_dropped"
    PROTOCOL_VIOLATION = "protocol_violation"
    ANSWER_NOT_UNDERSTOOD = "answer_not_understood"
    TLS_UNTRUSTED = "tls_untrusted"
    TLS_WRONG_NAME = "tls_wrong_name"
    TLS_EXPIRED = "tls_expired"
    TLS_NOT_OFFERED = "tls_not_offered"
    TLS_FAILED = "tls_failed"
    FOLDER_UNAVAILABLE = "folder_unavailable"
    MESSAGE_UNAVAILABLE = "message_unavailable"
    TAKING_STOCK = "taking_stock"
    WAITING_FOR_TURN = "waiting_for_turn"
    LOOP_STOPPED = "loop_stopped"
    STORE_THROTTLED = "store_throttled"
    # CursorExpired
    CURSOR_EXPIRED = "cursor_expired"
    UIDVALIDITY_CHANGED = "uidvalidity_changed"
    # UnreadableMessage
    MESSAGE_MALFORMED = "message_malformed"
    MESSAGE_TOO_LARGE = "message_too_large"
    MESSAGE_GONE = "message_gone"
    NOT_HANDED_OVER = "not_handed_over"
    KILLED_ITS_READER = "killed_its_reader"
    KEPT_OUT = "kept_out"
    CONTACT_UNKNOWN = "contact_unknown"
    # SendRefused
    RECIPIENT_REJECTED = "recipient_rejected"
    RECIPIENT_FULL = "recipient_full"
    ADDRESS_NOT_SUPPORTED = "address_not_supported"
    MAIL_TOO_LARGE = "mail_too_large"
    MAIL_REFUSED = "mail_refused"
    CONTENT_MISSING = "content_missing"
    NOT_SENT_IN_TIME = "not_sent_in_time"
    MAILBOX_DISCONNECTED = "mailbox_disconnected"
    # what becomes of a change, and is raised by nobody
    CHANGE_REFUSED = "change_refused"
    CHANGE_NOT_MADE_IN_TIME = "change_not_made_in_time"
    # OutcomeUnknown
    OUTCOME_UNKNOWN = "outcome_unknown"
    # what becomes of a test message, and is raised by nobody
    TEST_NOT_BACK = "test_not_back"
    # Conflict
    KEY_REUSED = "key_reused"
    TOO_LATE = "too_late"
    LEASE_HELD = "lease_held"
    STALE_WRITE = "stale_write"
    ALREADY_CONNECTED = "already_connected"
    VERSION_CONFLICT = "version_conflict"
    WRONG_STATE = "wrong_state"
    # Request
    INVALID_REQUEST = "invalid_request"
    INVALID_PAGE_TOKEN = "invalid_page_token"
    CONNECTION_TEST_FAILED = "connection_test_failed"
    HOST_NOT_ALLOWED = "host_not_allowed"
    PORT_NOT_ALLOWED = "port_not_allowed"
    ADMIN_REQUIRED = "admin_required"
    OWNER_REQUIRED = "owner_required"
    OPENINGS_OFF = "openings_off"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    MAILBOX_NOT_FOUND = "mailbox_not_found"
    MESSAGE_NOT_FOUND = "message_not_found"
    THREAD_NOT_FOUND = "thread_not_found"
    CONTACT_NOT_FOUND = "contact_not_found"
    CONTACT_MERGED = "contact_merged"
    BACKFILL_NOT_FOUND = "backfill_not_found"
    RUN_NOT_FOUND = "run_not_found"
    ERASURE_NOT_FOUND = "erasure_not_found"
    ATTACHMENT_NOT_FOUND = "attachment_not_found"
    DEAD_LETTER_NOT_FOUND = "dead_letter_not_found"
    RAW_MESSAGE_NOT_FOUND = "raw_message_not_found"
    OPENING_NOT_FOUND = "opening_not_found"
    SEND_NOT_FOUND = "send_not_found"
    UPLOAD_NOT_FOUND = "upload_not_found"
    FOLDER_NOT_FOUND = "folder_not_found"
    NO_TRASH_FOLDER = "no_trash_folder"
    ALIAS_NOT_FOUND = "alias_not_found"
    SENDER_NOT_VERIFIED = "sender_not_verified"
    NO_MAILBOX_TO_SEND_FROM = "no_mailbox_to_send_from"
    SEND_LIMIT_REACHED = "send_limit_reached"
    MAILBOX_LIMIT_REACHED = "mailbox_limit_reached"
    IMPORT_LIMIT_REACHED = "import_limit_reached"
    TOO_MANY_REQUESTS = "too_many_requests"
    WRONG_MAILBOX = "wrong_mailbox"
    ADDRESS_KEPT_OUT = "address_kept_out"
    CONSENT_DECLINED = "consent_declined"
    ATTEMPT_EXPIRED = "attempt_expired"
    ATTEMPT_NOT_YOURS = "attempt_not_yours"
    ACCOUNT_NOT_SUPPORTED = "account_not_supported"
    RETURN_URL_NOT_ALLOWED = "return_url_not_allowed"
    # a bug
    INTERNAL = "internal"
    WORK_GIVEN_UP = "work_given_up"


class MailroomError(Exception):
    """A failure with a code from the closed set. `cause` is for the log alone."""

    def __init__(self, code: ErrorCode, *, cause: str = "") -> None:
        super().__init__(f"{code}: {cause}" if cause else str(code))
        self.code = code
        self.cause = cause


class ReconnectRequiredError(MailroomError):
    """The user's login or grant no longer works.

    `definitive` is false when the server's words leave a doubt; then `failure.decide` retries
    first.
    """

    def __init__(self, code: ErrorCode, *, cause: str = "", definitive: bool = True) -> None:
        super().__init__(code, cause=cause)
        self.definitive = definitive


class ConfigurationError(MailroomError):
    """A setting at the provider or in the deployment stands in the way; retried slowly."""


class RetryLaterError(MailroomError):
    """Time will mend it. `retry_after_seconds` is the provider's own wish where it has one.

    `refused`: for a mail, why some recipients were refused before, by address, as in `Accepted`.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        cause: str = "",
        retry_after_seconds: float | None = None,
        refused: Mapping[str, MailroomError] | None = None,
    ) -> None:
        super().__init__(code, cause=cause)
        self.retry_after_seconds = retry_after_seconds
        self.refused = refused or {}


class CursorExpiredError(MailroomError):
    """The provider no longer knows our cursor; the folder is listed again and compared."""


class UnreadableMessageError(MailroomError):
    """One message cannot be read; it is recorded with its reason and the run goes on."""


class SendRefusedError(MailroomError):
    """The provider takes a mail, or takes it for one recipient, from nobody: the writer acts.

    `reply`: the numbers of an SMTP reply, such as `550 5.1.1`. `refused`: why each recipient was,
    by address, where a provider says so of each.
    """

    def __init__(
        self,
        code: ErrorCode,
        *,
        cause: str = "",
        reply: str | None = None,
        refused: Mapping[str, MailroomError] | None = None,
    ) -> None:
        super().__init__(code, cause=cause)
        self.reply = reply
        self.refused = refused or {}


class OutcomeUnknownError(MailroomError):
    """A mail may have been taken without our being told; it is looked for, and not sent again.

    `refused`: why some recipients certainly do not get it, by address, as in `Accepted`.
    """

    CODE: ClassVar[ErrorCode] = ErrorCode.OUTCOME_UNKNOWN

    def __init__(
        self, *, cause: str = "", refused: Mapping[str, MailroomError] | None = None
    ) -> None:
        super().__init__(self.CODE, cause=cause)
        self.refused = refused or {}


class ConflictError(MailroomError):
    """Another writer got there first; this one changes nothing.

    `words`: what a person reads instead of the code's own message, where we can say more.
    """

    def __init__(self, code: ErrorCode, *, cause: str = "", words: str = "") -> None:
        super().__init__(code, cause=cause or words)
        self.words = words


class RequestError(MailroomError):
    """The caller asked for something that cannot be done as asked."""

    def __init__(
        self,
        code: ErrorCode,
        *,
        cause: str = "",
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(code, cause=cause)
        self.fields = tuple(fields)


class ContactMergedError(RequestError):
    """The contact was merged: `merged_into` is the id of the one it is a part of now."""

    CODE: ClassVar[ErrorCode] = ErrorCode.CONTACT_MERGED

    def __init__(self, merged_into: ContactId, *, fields: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(self.CODE, fields=fields)
        self.merged_into = merged_into


class AddressFullError(RequestError):
    """An address has as many contacts as one may have, in all its spellings together."""

    def __init__(self, address: Address, most: int, *, field: str = "addresses") -> None:
        reason = (
            f"{most} contacts have this address already, whatever its tag; it may have no more."
        )
        super().__init__(ErrorCode.INVALID_REQUEST, fields=[(field, reason)])
        self.address = address
        self.most = most


class SendLimit(StrEnum):
    """Which cap of sends there is no room in."""

    MAILBOX_A_MINUTE = "mailbox_a_minute"
    MAILBOX_A_DAY = "mailbox_a_day"
    TENANT_A_DAY = "tenant_a_day"


class LimitReachedError(RequestError):
    """A cap of a while is reached; in `retry_after_seconds` there is room again.

    `limit`: of sends, which; of several the one that has room last.
    """

    def __init__(
        self, code: ErrorCode, *, retry_after_seconds: float, limit: SendLimit | None = None
    ) -> None:
        super().__init__(code, cause=limit or "")
        self.retry_after_seconds = retry_after_seconds
        self.limit = limit


class AttemptFailedError(MailroomError):
    """A sign-in met a failure that passes; the attempt is over, and nobody tries it again."""


class PreviewFailedError(MailroomError):
    """A provider asked for a caller failed in a way that passes; nobody asks it again."""


class StoreRefusedError(ConfigurationError):
    """Our own store refused us: a right is missing, a key disabled, a table or bucket not there."""

    CODE: ClassVar[ErrorCode] = ErrorCode.STORE_REFUSED

    def __init__(self, *, cause: str = "") -> None:
        super().__init__(self.CODE, cause=cause)


class StoreThrottledError(RetryLaterError):
    """Our own store asked us to slow down."""

    CODE: ClassVar[ErrorCode] = ErrorCode.STORE_THROTTLED

    def __init__(self, *, cause: str = "") -> None:
        super().__init__(self.CODE, cause=cause)
