"""The contract of `SignatureStore`."""

from shared.domain.ids import TenantId, UserId
from shared.domain.signature import Signature
from tests.fakes.values import OTHER_TENANT, TENANT

ANN, BOB = UserId("ann"), UserId("b#b")
FULL = Signature("Ann Miller\nACME", "<b>Ann</b> \N{PARTY POPPER}")


def test_a_user_has_none_at_first(stores):
    assert stores.signatures.get_signature(TENANT, ANN) is None


def test_each_has_their_own_which_the_last_put_decides(stores):
    stores.signatures.put_signature(TENANT, ANN, Signature("old", "<b>old</b>"))
    for user, signature in ((ANN, FULL), (BOB, Signature("Bob"))):
        stores.signatures.put_signature(TENANT, user, signature)
    assert stores.signatures.get_signature(TENANT, ANN) == FULL
    assert stores.signatures.get_signature(TENANT, BOB) == Signature("Bob")
    assert stores.signatures.get_signature(OTHER_TENANT, ANN) is None
    # No text of one can name another's.
    assert stores.signatures.get_signature(TenantId(f"{TENANT}#user"), ANN) is None


def test_one_that_is_deleted_is_gone_and_the_others_stay(stores):
    for user in (ANN, BOB):
        stores.signatures.put_signature(TENANT, user, FULL)
    for _ in range(2):
        stores.signatures.delete_signature(TENANT, ANN)
    assert stores.signatures.get_signature(TENANT, ANN) is None
    assert stores.signatures.get_signature(TENANT, BOB) == FULL


def test_the_largest_fits(stores):
    large = Signature("\N{PARTY POPPER}" * 2_000, "\N{PARTY POPPER}" * 10_000)
    stores.signatures.put_signature(TENANT, ANN, large)
    assert stores.signatures.get_signature(TENANT, ANN) == large
