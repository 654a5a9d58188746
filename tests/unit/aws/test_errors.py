"""Which answers of AWS mean "later", which are the operator's, and which are bugs not to be hidden."""

import botocore.exceptions
import botocore.session
import pytest
from botocore.exceptions import ClientError

from shared.aws.errors import (
    failed_conditions,
    is_condition_failure,
    is_conflict,
    is_missing,
    our_errors,
)
from shared.domain.errors import StoreRefusedError, StoreThrottledError


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
    "code",
    ["ValidationException", "EntityTooLarge", "ItemCollectionSizeLimitExceededException"],
)
def test_what_is_about_what_we_asked_stays_what_it_is(code):
    with pytest.raises(ClientError), our_errors():
        raise an_error(code)


@pytest.mark.parametrize(
    "code",
    ["AccessDeniedException", "ResourceNotFoundException", "NoSuchBucket", "ExpiredToken"],
)
def test_a_service_that_does_not_let_us_in_is_the_operators(code):
    with pytest.raises(StoreRefusedError) as caught, our_errors():
        raise an_error(code)
    assert caught.value.cause == code


def about_keys():
    """Every error of the services we use that is about a key of KMS, as botocore knows them."""
    session = botocore.session.get_session()
    models = [session.get_service_model(name) for name in ("sqs", "lambda", "s3", "dynamodb")]
    shapes = [model.shape_for(name) for model in models for name in model.shape_names]
    found = {shape.error_code for shape in shapes if shape.metadata.get("exception")}
    # In no model: S3 names its errors in its documentation alone.
    others = {"KMS.DisabledException", "KMS.KMSInvalidStateException", "DecryptionFailure"}
    return sorted({code for code in found if code.lower().startswith("kms")} | others)


@pytest.mark.parametrize("code", about_keys())
def test_a_key_that_cannot_be_used_is_the_operators_and_one_too_much_in_use_passes(code):
    kind = StoreThrottledError if "Throttl" in code else StoreRefusedError
    with pytest.raises(kind), our_errors():
        raise an_error(code)


def test_what_a_caller_reads_itself_is_left_to_it():
    with pytest.raises(ClientError), our_errors(but=is_missing):
        raise an_error("ResourceNotFoundException")
    with pytest.raises(StoreRefusedError), our_errors(but=is_missing):
        raise an_error("AccessDeniedException")


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
