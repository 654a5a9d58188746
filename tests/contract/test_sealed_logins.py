"""What a sealed login gives away, to whom it opens, and what a key that fails makes of it."""

from dataclasses import replace

import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from moto import mock_aws

from shared.aws.clients import Clients
from shared.aws.login_keys import REMEMBERED_SECONDS, LoginKeys
from shared.aws.moving_secrets import Place
from shared.aws.sealed_secrets import BUSY_SECONDS, SealedSecretStore
from shared.aws.secret_store import SecretsManagerStore
from shared.aws.tables_of_logins import LoginItem, PairItem, login_key, pair_key
from shared.domain.errors import RetryLaterError, StoreRefusedError
from shared.domain.mailbox import MailboxStatus
from shared.domain.secret import Secret
from tests.contract.logins import Logins
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT

LOGIN = Secret("hunter2-hunter2")


@pytest.fixture
def logins():
    with mock_aws():
        yield Logins()


def heard(client):
    """The operations a client is asked for, from now on."""
    asked = []
    client.meta.events.register_first(
        "before-call", lambda model, **_: asked.append(model.name), unique_id="heard"
    )
    return asked


@pytest.fixture
def asked(logins):
    """What KMS is asked for."""
    yield heard(logins.clients.kms)
    logins.clients.kms.meta.events.unregister("before-call", unique_id="heard")


def test_nothing_of_a_login_or_of_a_private_key_is_in_the_table(logins):
    logins.sealed.put(TENANT, BOX, LOGIN)
    pages = logins.table.client.get_paginator("scan").paginate(TableName=logins.table.name)
    text = repr([item for page in pages for item in page["Items"]])
    assert "hunter2" not in text
    pair = logins.table.get(PairItem, pair_key(TENANT))
    private = logins.clients.kms.decrypt(
        CiphertextBlob=pair.wrapped, EncryptionContext=_context_of(logins, TENANT)
    )["Plaintext"]
    assert len(private) == 32
    assert private not in pair.wrapped
    # And it is the private one of the public one: what any other HPKE would open it with.
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    assert public == pair.public


def _context_of(logins, tenant_id):
    asked = []
    events = logins.clients.kms.meta.events
    events.register_first(
        "provide-client-params", lambda params, **_: asked.append(params), unique_id="context"
    )
    logins.keys().open(tenant_id, BOX, logins.table.get(LoginItem, login_key(TENANT, BOX)).sealed)
    events.unregister("provide-client-params", unique_id="context")
    (params,) = asked
    assert TENANT not in repr(params["EncryptionContext"])
    return params["EncryptionContext"]


@pytest.mark.parametrize(("tenant_id", "mailbox_id"), [(TENANT, OTHER_BOX), (OTHER_TENANT, BOX)])
def test_a_login_opens_for_the_mailbox_it_was_sealed_for_and_for_no_other(
    logins, tenant_id, mailbox_id
):
    logins.sealed.put(TENANT, BOX, LOGIN)
    logins.sealed.put(tenant_id, mailbox_id, Secret("theirs"))
    item = logins.table.get(LoginItem, login_key(TENANT, BOX))
    key = login_key(tenant_id, mailbox_id)
    logins.table.put(LoginItem(key.pk, key.sk, sealed=item.sealed, version=item.version))
    with pytest.raises(StoreRefusedError, match="does not open"):
        logins.sealed.get(tenant_id, mailbox_id)


def test_a_tenants_private_key_is_of_no_use_to_another_tenant(logins):
    for tenant_id in (TENANT, OTHER_TENANT):
        logins.sealed.put(tenant_id, BOX, LOGIN)
    theirs = logins.table.get(PairItem, pair_key(OTHER_TENANT))
    ours = pair_key(TENANT)
    logins.table.put(PairItem(ours.pk, ours.sk, public=theirs.public, wrapped=theirs.wrapped))
    with pytest.raises(StoreRefusedError, match="InvalidCiphertext"):
        logins.sealed_with(logins.keys()).get(TENANT, BOX)


def test_a_public_key_that_somebody_put_in_place_of_ours_is_refused(logins):
    logins.sealed.put(TENANT, BOX, LOGIN)
    another = X25519PrivateKey.generate().public_key().public_bytes_raw()
    logins.table.update(pair_key(TENANT), [PairItem.public.set(another)])
    with pytest.raises(StoreRefusedError, match="public key"):
        logins.sealed_with(logins.keys()).get(TENANT, BOX)


def test_a_damaged_login_is_our_trouble_and_no_missing_login(logins):
    logins.sealed.put(TENANT, BOX, LOGIN)
    for sealed in (b"", b"short", bytes(100)):
        logins.table.update(login_key(TENANT, BOX), [LoginItem.sealed.set(sealed)])
        with pytest.raises(StoreRefusedError, match="does not open"):
            logins.sealed.get(TENANT, BOX)


def test_to_seal_is_to_open_nothing(logins, asked):
    logins.at(Place.SEALED).put(TENANT, BOX, LOGIN)
    logins.at(Place.SEALED).put(TENANT, OTHER_BOX, LOGIN)
    logins.at(Place.SEALED).delete(TENANT, OTHER_BOX)
    assert asked == ["Encrypt"]


def test_without_a_sealed_login_no_key_is_asked_for(logins, asked):
    store = logins.at(Place.SECRETS)
    store.put(TENANT, BOX, LOGIN)
    read = store.get(TENANT, BOX)
    assert store.replace(TENANT, BOX, Secret("renewed"), version=read.version)
    store.delete(TENANT, BOX)
    assert asked == []


def test_a_private_key_is_unwrapped_once_an_hour(logins, asked):
    logins.sealed.put(TENANT, BOX, LOGIN)
    at = [0.0]
    store = logins.sealed_with(logins.keys(monotonic=lambda: at[0]))
    asked.clear()
    for seconds, times in ((0, 1), (REMEMBERED_SECONDS - 1, 1), (REMEMBERED_SECONDS, 2)):
        at[0] = seconds
        assert store.get(TENANT, BOX).secret == LOGIN
        assert asked == ["Decrypt"] * times


def test_two_who_make_a_tenants_pair_at_once_seal_with_the_same_one(logins):
    begun = []

    def first(model, **_):
        if model.name == "Encrypt" and not begun:
            begun.append(model)
            logins.sealed.put(TENANT, OTHER_BOX, LOGIN)

    events = logins.clients.kms.meta.events
    events.register_first("before-call", first, unique_id="first")
    logins.sealed_with(logins.keys()).put(TENANT, BOX, LOGIN)
    events.unregister("before-call", unique_id="first")
    assert begun
    for box in (BOX, OTHER_BOX):
        assert logins.sealed_with(logins.keys()).get(TENANT, box).secret == LOGIN


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDeniedException", 400, StoreRefusedError),
        ("DisabledException", 400, StoreRefusedError),
        ("KMSInvalidStateException", 400, StoreRefusedError),
        ("NotFoundException", 400, StoreRefusedError),
        ("ThrottlingException", 400, RetryLaterError),
        ("LimitExceededException", 400, RetryLaterError),
        ("KMSInternalException", 500, RetryLaterError),
        ("DependencyTimeoutException", 503, RetryLaterError),
    ],
)
def test_a_key_that_fails_is_no_missing_login_and_parks_nobody(logins, code, status, expected):
    logins.sealed.put(TENANT, BOX, LOGIN)
    clients = Clients(attempts=1)
    store = logins.sealed_with(LoginKeys(logins.table, logins.key_id, clients))
    with Stubber(clients.kms) as stub:
        for method, tenant_id in (("decrypt", TENANT), ("encrypt", OTHER_TENANT)):
            stub.add_client_error(method, code, http_status_code=status)
            with pytest.raises(expected):
                store.get(TENANT, BOX) if method == "decrypt" else store.put(tenant_id, BOX, LOGIN)


def test_a_move_brings_no_login_of_a_disconnected_mailbox_back(logins):
    logins.secrets.put(TENANT, BOX, LOGIN)
    logins.set_status(MailboxStatus.DISCONNECTED)
    assert logins.at(Place.SEALED).get(TENANT, BOX).secret == LOGIN
    assert logins.where() == {Place.SECRETS}
    logins.at(Place.SEALED).delete(TENANT, BOX)
    assert logins.where() == set()


@pytest.mark.parametrize("has_pair", [False, True])
def test_a_move_that_cannot_be_made_leaves_the_login_that_can_be_read(logins, has_pair):
    if has_pair:
        # Sealing then needs no key, and the copy that is written does not open.
        logins.sealed.put(TENANT, OTHER_BOX, LOGIN)
    logins.secrets.put(TENANT, BOX, LOGIN)
    clients = Clients(attempts=1)
    unusable = logins.sealed_with(LoginKeys(logins.table, logins.key_id, clients))
    with Stubber(clients.kms) as stub:
        for home in (Place.SEALED, Place.SEALED, Place.SECRETS, None):
            if home is Place.SEALED:
                method = "decrypt" if has_pair else "encrypt"
                stub.add_client_error(method, "DisabledException", http_status_code=400)
            logins.now += BUSY_SECONDS + 1
            store = replace(logins.at(home), sealed=unusable)
            assert store.get(TENANT, BOX).secret == LOGIN
        stub.assert_no_pending_responses()
    assert [type(error) for error in logins.failed] == [StoreRefusedError] * 2
    assert logins.where() == {Place.SECRETS}


def test_a_store_that_is_busy_when_a_login_moves_there_takes_it_from_nobody(logins):
    logins.sealed.put(TENANT, BOX, LOGIN)
    busy = SecretsManagerStore("mailroom-test", Clients(attempts=1))
    store = replace(logins.at(Place.SECRETS), secrets=busy)
    missing = {"service_error_code": "ResourceNotFoundException", "http_status_code": 400}
    with Stubber(busy.clients.secrets_manager) as stub:
        stub.add_client_error("get_secret_value", **missing)
        stub.add_client_error("create_secret", "ThrottlingException", http_status_code=400)
        assert store.get(TENANT, BOX).secret == LOGIN
    assert [error.code for error in logins.failed] == ["store_throttled"]


def test_tidying_up_deletes_no_login_of_who_connected_meanwhile(logins):
    logins.at(Place.SEALED).put(TENANT, BOX, LOGIN)

    class Late(SealedSecretStore):
        def settle_copy(self, *place):
            logins.at(None).delete(TENANT, BOX)
            logins.at(Place.SECRETS).put(TENANT, BOX, Secret("another"))
            return super().settle_copy(*place)

    late = Late(logins.table, logins.keys(), lambda: logins.now)
    replace(logins.at(Place.SEALED), sealed=late).get(TENANT, BOX)
    assert logins.at(None).get(TENANT, BOX).secret.reveal() == "another"


def test_who_may_only_read_leaves_a_login_where_it_is(logins):
    for place in Place:
        logins.at(place).put(TENANT, BOX, LOGIN)
        at_once = logins.where()
        for _ in range(2):
            assert logins.at(None).get(TENANT, BOX).secret == LOGIN
        assert logins.where() == at_once
        logins.at(place).delete(TENANT, BOX)
    with pytest.raises(ValueError, match="no store"):
        logins.at(None).put(TENANT, BOX, LOGIN)
