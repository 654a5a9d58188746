"""What becomes of a body that its message's item names and that is not found."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from shared.aws.bodies import BodyObjects
from shared.domain.errors import StoreRefusedError, StoreThrottledError
from shared.domain.ids import MessageId, TenantId


def bodies_answering(code, status):
    def get_object(**_):
        response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise ClientError(response, "GetObject")

    return BodyObjects("bucket", SimpleNamespace(s3=SimpleNamespace(get_object=get_object)))


# A role that may read objects and not list them is told 403 of what is not there.
@pytest.mark.parametrize(("code", "status"), [("NoSuchKey", 404), ("AccessDenied", 403)])
def test_a_body_that_is_not_there_is_asked_for_again(code, status):
    with pytest.raises(StoreThrottledError) as raised:
        bodies_answering(code, status).get(TenantId("acme"), MessageId("m1"), b"\0" * 32)
    assert code in raised.value.cause


def test_a_bucket_that_is_not_there_is_the_operators():
    with pytest.raises(StoreRefusedError):
        bodies_answering("NoSuchBucket", 404).get(TenantId("acme"), MessageId("m1"), b"\0" * 32)
