"""Which answers of AWS mean "later", and which are bugs that must not be hidden."""

import botocore.exceptions
import pytest
from botocore.exceptions import ClientError

from shared.aws.errors import (
    failed_conditions,
    is_condition_failure,
    is_conflict,
    is_missing,
    our_errors,
)
from shared.domain.errors import StoreThrottledError


def an_error(code: str, status: int = 400, message: str = "", reasons: list[str] = ()):
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(response, "Operation")


def cancelled(*reasons):
    return an_error("TransactionCanceledException", reasons=list(reasons))


@pytest.mark.parametrize(
    "code",
    [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "SlowDown",
        "InternalServerError",
        "ServiceUnavailable",
        "RequestThrottled",
        "TransactionConflictException",
    ],
)
def test_a_busy_service_is_tried_later(code):
    with pytest.raises(StoreThrottledError) as caught, our_errors():
        raise an_error(code)
    assert caught.value.cause == code


def test_any_fault_of_the_server_is_tried_later():
    with pytest.raises(StoreThrottledError), our_errors():
        raise an_error("NeverHeardOf", 503)


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ValidationException", "ResourceNotFoundException"]
)
def test_what_no_time_mends_stays_what_it_is(code):
    with pytest.raises(ClientError), our_errors():
        raise an_error(code)


def about_connections() -> list[type]:
    exported = [one for one in vars(botocore.exceptions).values() if isinstance(one, type)]
    kinds = (
        botocore.exceptions.HTTPClientError,
        botocore.exceptions.ConnectionError,
        botocore.exceptions.IncompleteReadError,
    )
    return [one for one in exported if issubclass(one, kinds)]


@pytest.mark.parametrize("kind", about_connections(), ids=lambda kind: kind.__name__)
def test_no_answer_at_all_is_tried_later(kind):
    error = kind.__new__(kind)
    Exception.__init__(error, "no answer")
    with pytest.raises(StoreThrottledError), our_errors():
        raise error


def test_a_conflict_is_told_from_a_condition():
    assert is_conflict(cancelled("None", "TransactionConflict"))
    assert is_conflict(cancelled("ThrottlingError", "None"))
    assert is_conflict(an_error("TransactionConflictException"))
    assert not is_conflict(cancelled("None", "ConditionalCheckFailed"))
    assert not is_conflict(cancelled("ConditionalCheckFailed", "TransactionConflict"))
    assert not is_conflict(cancelled("ValidationError"))
    assert not is_conflict(an_error("ConditionalCheckFailedException"))


def test_failed_conditions_are_known_by_position():
    error = cancelled("None", "ConditionalCheckFailed", "TransactionConflict")
    assert failed_conditions(error) == {1}
    assert failed_conditions(an_error("ValidationException")) == frozenset()
    assert is_condition_failure(an_error("ConditionalCheckFailedException"))
    assert not is_condition_failure(error)


def test_a_missing_object_or_secret_is_told_from_a_refused_one():
    assert is_missing(an_error("NoSuchKey", 404))
    assert is_missing(an_error("InvalidRequestException", message="marked for deletion"))
    assert not is_missing(an_error("InvalidRequestException", message="malformed"))
    assert not is_missing(an_error("AccessDenied", 403))
