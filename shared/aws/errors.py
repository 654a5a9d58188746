"""Which AWS errors mean what: the only file that reads an error code of theirs.

An answer that asks us to slow down, or none at all, is `StoreThrottledError`: time mends it, and
nobody's mailbox is to blame. One that does not let us in, whatever we ask, is `StoreRefusedError`:
the operator mends it, and no message is to blame. A failed condition is an answer and not an error.
Anything else is about what we asked, as a value too large: it stays what it is, so that the queue
retries it and the alarm rings.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError
from botocore.exceptions import ConnectionError as NotConnectedError

from shared.domain.errors import StoreRefusedError, StoreThrottledError


class UnknownFormError(Exception):
    """What was read was written by a newer version; the queue keeps the work until that one runs.

    The message is the form's number.
    """


_BUSY = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "OperationAborted",
        "OverLimit",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_REFUSED = frozenset(
    {
        # rights and credentials
        "AccessDenied",
        "AccessDeniedException",
        "AccountProblem",
        "AllAccessDisabled",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSecurity",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        # what there is not
        "AWS.SimpleQueueService.NonExistentQueue",
        "NoSuchBucket",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        # Secrets Manager's words for a key of KMS
        "DecryptionFailure",
        "EncryptionFailure",
        # KMS's own
        "DisabledException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidKeyUsageException",
        "NotFoundException",
    }
)
"""Whatever is asked; see "Common Errors" of each service's API reference, S3's "Error codes"."""
_ABOUT_A_KEY = ("KMS", "Kms")
"""`KMS.DisabledException` (S3), `KmsAccessDenied` (SQS), KMS's own `KMSInvalidStateException`."""
_CONFLICTS = frozenset({"TransactionConflictException", "TransactionInProgressException"})
_CONDITION_FAILED = "ConditionalCheckFailed"
_REASONS_THAT_PASS = frozenset(
    {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
)
_LEAST_SERVER_FAULT = 500


def code_of(error: ClientError) -> str:
    """Return the service's own code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _nothing(_: ClientError) -> bool:
    return False


@contextmanager
def our_errors(*, but: Callable[[ClientError], bool] = _nothing) -> Iterator[None]:
    """Raise `StoreThrottledError` for a service that is busy or out of reach.

    And `StoreRefusedError` for one that does not let us in. `but`: what the caller reads itself.
    """
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _BUSY or status >= _LEAST_SERVER_FAULT:
            raise StoreThrottledError(cause=code) from error
        if (code in _REFUSED or code.startswith(_ABOUT_A_KEY)) and not but(error):
            raise StoreRefusedError(cause=code) from error
        raise
    except (HTTPClientError, NotConnectedError, IncompleteReadError) as error:
        # No connection, none free, no answer in time, or one cut short.
        raise StoreThrottledError(cause=type(error).__name__) from error


def is_condition_failure(error: ClientError) -> bool:
    """Whether a single write was refused by its condition."""
    return code_of(error) == f"{_CONDITION_FAILED}Exception"


def is_conflict(error: ClientError) -> bool:
    """Whether a write met a transaction on the same item and may simply be sent again."""
    if code_of(error) in _CONFLICTS:
        return True
    reasons = _reasons(error)
    # A failed condition is decided, whatever else went wrong beside it.
    return _CONDITION_FAILED not in reasons and bool(_REASONS_THAT_PASS & set(reasons))


def failed_conditions(error: ClientError) -> frozenset[int]:
    """Return the positions of a cancelled transaction's items that their condition refused."""
    return frozenset(
        position for position, reason in enumerate(_reasons(error)) if reason == _CONDITION_FAILED
    )


def is_missing(error: ClientError) -> bool:
    """Whether the object or secret does not exist, or is on its way out."""
    code = code_of(error)
    if code == "InvalidRequestException":
        message = str(error.response.get("Error", {}).get("Message", ""))
        # Secrets Manager has no code of its own for a secret that is being deleted.
        return "deletion" in message or "deleted" in message
    return code in {"404", "NoSuchKey", "NotFound", "ResourceNotFoundException"}


def is_hidden(error: ClientError) -> bool:
    """Whether S3 does not say if the object exists.

    That is its answer for a missing one to a role that may not list the bucket, as ours may not; a
    role that lacks the right to read gets the same.
    """
    return code_of(error) == "AccessDenied"


def is_taken(error: ClientError) -> bool:
    """Whether a secret of that name exists already."""
    return code_of(error) == "ResourceExistsException"


def is_label_elsewhere(error: ClientError) -> bool:
    """Whether a secret's label is on another version than the one it was to be taken from.

    See UpdateSecretVersionStage, `RemoveFromVersionId`, in the Secrets Manager API reference.
    """
    return code_of(error) == "InvalidParameterException"


def _reasons(error: ClientError) -> list[str]:
    found = error.response.get("CancellationReasons", [])
    return [str(reason.get("Code", "None")) for reason in found]
