"""The contract of `SecretStore`, which every place a login may be keeps, and how Secrets Manager's moods are met."""

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from shared.aws.clients import Clients
from shared.aws.secret_store import SecretsManagerStore, secret_name
from shared.domain.errors import ErrorCode, RetryLaterError, StoreRefusedError
from shared.domain.secret import Secret
from tests.contract.logins import PLACES, Logins
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT


@pytest.fixture(scope="module")
def clients() -> Clients:
    return Clients(attempts=1)


@pytest.fixture(params=["memory", *PLACES])
def store(request):
    if request.param == "memory":
        yield InMemorySecretStore()
    else:
        with mock_aws():
            yield PLACES[request.param](Logins())


def test_a_secret_is_read_back_replaced_and_deleted_for_good(store):
    assert store.get(TENANT, BOX) is None
    for text in ("hunter2", "naïve \U0001f511 ' \" \n"):
        store.put(TENANT, BOX, Secret(text))
        assert store.get(TENANT, BOX).secret == Secret(text)
    store.delete(TENANT, BOX)
    assert store.get(TENANT, BOX) is None
    store.delete(TENANT, BOX)
    store.put(TENANT, BOX, Secret("again"))
    assert store.get(TENANT, BOX).secret == Secret("again")


def test_a_text_that_is_put_again_is_another_version(store):
    store.put(TENANT, BOX, Secret("the same"))
    read = store.get(TENANT, BOX)
    store.put(TENANT, BOX, Secret("the same"))
    assert store.get(TENANT, BOX).version != read.version


def test_a_secret_belongs_to_one_mailbox_of_one_tenant(store):
    store.put(TENANT, BOX, Secret("a"))
    assert store.get(TENANT, OTHER_BOX) is None
    assert store.get(OTHER_TENANT, BOX) is None
    store.delete(OTHER_TENANT, BOX)
    assert store.get(TENANT, BOX).secret == Secret("a")


def test_a_secret_is_replaced_only_where_the_version_read_still_stands(store):
    store.put(TENANT, BOX, Secret("first"))
    read = store.get(TENANT, BOX)
    assert store.replace(TENANT, BOX, Secret("renewed"), version=read.version)
    assert store.get(TENANT, BOX).secret == Secret("renewed")
    assert not store.replace(TENANT, BOX, Secret("late"), version=read.version)
    assert store.get(TENANT, BOX).secret == Secret("renewed")


def test_a_reconnects_secret_is_never_overwritten_by_an_older_ones_renewal(store):
    store.put(TENANT, BOX, Secret("old grant"))
    read = store.get(TENANT, BOX)
    store.put(TENANT, BOX, Secret("new grant"))
    assert not store.replace(TENANT, BOX, Secret("old grant, renewed"), version=read.version)
    assert store.get(TENANT, BOX).secret == Secret("new grant")


def test_a_renewal_brings_no_deleted_secret_back(store):
    store.put(TENANT, BOX, Secret("a"))
    read = store.get(TENANT, BOX)
    store.delete(TENANT, BOX)
    assert not store.replace(TENANT, BOX, Secret("b"), version=read.version)
    assert store.get(TENANT, BOX) is None


def test_a_name_tells_no_tenant_and_can_be_no_other_mailboxes():
    names = {secret_name("p", tenant, BOX) for tenant in ("a", "A", "a/b", "a#", "ä", "\ud800")}
    assert len(names) == 6
    assert all(name.startswith("p/mailbox/") and name.endswith(BOX) for name in names)
    for strange in ("../x", "a/b", "", "a b", "é"):
        with pytest.raises(ValueError, match="mailbox id"):
            secret_name("p", TENANT, strange)


# ---- when the service is not well ----


@pytest.fixture
def answers():
    clients = Clients(attempts=1)
    with Stubber(clients.secrets_manager) as stub:
        yield stub, SecretsManagerStore("p", clients)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status"),
    [("ThrottlingException", 400), ("InternalServiceError", 500), ("Strange", 503)],
)
def test_a_busy_store_is_no_missing_secret(answers, code, status):
    stub, store = answers
    for method in ("get_secret_value", "put_secret_value", "delete_secret"):
        stub.add_client_error(method, code, http_status_code=status)
    for call in (
        lambda: store.get(TENANT, BOX),
        lambda: store.put(TENANT, BOX, Secret("x")),
        lambda: store.delete(TENANT, BOX),
    ):
        with pytest.raises(RetryLaterError) as caught:
            call()
        assert caught.value.code is ErrorCode.STORE_THROTTLED


def test_a_store_out_of_reach_is_tried_later(clients, monkeypatch):
    def hang(**_):
        raise ReadTimeoutError(endpoint_url="https://secretsmanager")

    monkeypatch.setattr(clients.secrets_manager, "get_secret_value", hang)
    with pytest.raises(RetryLaterError):
        SecretsManagerStore("p", clients).get(TENANT, BOX)


def test_a_secret_on_its_way_out_is_none_and_gives_way_to_a_new_one(answers):
    stub, store = answers
    leaving = "You can't perform this operation on the secret because it was marked for deletion."
    stub.add_client_error("get_secret_value", "InvalidRequestException", leaving)
    assert store.get(TENANT, BOX) is None
    stub.add_client_error("put_secret_value", "InvalidRequestException", leaving)
    stub.add_client_error("create_secret", "InvalidRequestException", "scheduled for deletion")
    stub.add_client_error("put_secret_value", "ResourceNotFoundException")
    stub.add_response("create_secret", {})
    store.put(TENANT, BOX, Secret("x"))


def test_two_who_create_at_once_both_succeed(answers):
    stub, store = answers
    stub.add_client_error("put_secret_value", "ResourceNotFoundException")
    stub.add_client_error("create_secret", "ResourceExistsException")
    stub.add_response("put_secret_value", {})
    store.put(TENANT, BOX, Secret("x"))


@pytest.mark.parametrize("code", ["AccessDeniedException", "DecryptionFailure"])
def test_a_refused_permission_or_a_disabled_key_is_our_fault_and_no_missing_secret(answers, code):
    stub, store = answers
    stub.add_client_error("get_secret_value", code)
    with pytest.raises(StoreRefusedError, match=code):
        store.get(TENANT, BOX)
