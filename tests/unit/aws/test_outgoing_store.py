"""What becomes of a send's content that S3 does not let us see."""

from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from shared.aws.outgoing_store import S3OutgoingStore
from shared.aws.tables_of_sends import content_object_key
from shared.domain.errors import StoreRefusedError
from shared.domain.ids import MailboxId, SendId, TenantId
from shared.ports.sending import SendRef

REF = SendRef(TenantId("acme"), MailboxId("b1"), SendId("s1"))


def denied(operation):
    response = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    raise ClientError(response, operation)


def store_with(**s3):
    s3.setdefault("get_object", lambda **_: denied("GetObject"))
    return S3OutgoingStore("bucket", SimpleNamespace(s3=SimpleNamespace(**s3)))


def listing(*keys):
    return lambda **_: {"Contents": [{"Key": key, "Size": 1} for key in keys]}


def test_what_is_there_and_may_not_be_read_is_the_operators_to_mend():
    """Called missing, the mail would be given up for good and its content deleted."""
    store = store_with(list_objects_v2=listing(content_object_key(REF)))
    with pytest.raises(StoreRefusedError, match="AccessDenied"):
        store.get(REF, "")


def test_without_any_right_nothing_is_said_to_be_missing():
    store = store_with(list_objects_v2=lambda **_: denied("ListObjectsV2"))
    with pytest.raises(StoreRefusedError):
        store.get(REF, "")


# S3 says 403 of an object that is not there where a role may list only what begins like it.
@pytest.mark.parametrize("keys", [[], [content_object_key(REF) + "2"]])
def test_what_is_not_there_is_missing(keys):
    assert store_with(list_objects_v2=listing(*keys)).get(REF, "") is None
