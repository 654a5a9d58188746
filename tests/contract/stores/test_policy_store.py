"""The contract of `PolicyStore`."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.policy import Automated, Folding, TenantPolicy
from tests.fakes.values import OTHER_TENANT, TENANT

POLICY = TenantPolicy(
    own_domains=("ours.example", "*.ours.example"),
    blocklist=("*@*.ads.example", "jörg@spam.example"),
    automated=Automated.SKIP,
    plus_tags=Folding.FOLD,
    dots=Folding.FOLD,
)


def test_a_tenant_that_chose_nothing_keeps_nothing_out(stores):
    assert stores.policies.get_policy(TENANT) == TenantPolicy()


def test_what_is_put_is_read_back_with_its_version_and_is_nobody_else_s(stores):
    first = stores.policies.put_policy(TENANT, POLICY, expected_version=None)
    assert first == replace(POLICY, version=1)
    assert stores.policies.get_policy(TENANT) == first
    assert stores.policies.get_policy(OTHER_TENANT) == TenantPolicy()
    second = stores.policies.put_policy(TENANT, TenantPolicy(), expected_version=None)
    assert second == stores.policies.get_policy(TENANT) == TenantPolicy(version=2)


@pytest.mark.parametrize("wrong", [0, 2])
def test_a_version_expected_is_the_one_replaced(stores, wrong):
    first = stores.policies.put_policy(TENANT, POLICY, expected_version=0)
    with pytest.raises(ConflictError) as caught:
        stores.policies.put_policy(TENANT, TenantPolicy(), expected_version=wrong)
    assert caught.value.code is ErrorCode.VERSION_CONFLICT
    assert stores.policies.get_policy(TENANT) == first
    changed = stores.policies.put_policy(TENANT, TenantPolicy(), expected_version=1)
    assert changed.version == 2


def test_a_put_whose_answer_was_lost_may_be_repeated(stores):
    first = stores.policies.put_policy(TENANT, POLICY, expected_version=0)
    assert stores.policies.put_policy(TENANT, POLICY, expected_version=0) == first


def test_the_largest_policy_fits(stores):
    many = tuple(f"address-{number:04}@{'x' * 10}.example" for number in range(1_000))
    put = stores.policies.put_policy(TENANT, TenantPolicy(blocklist=many), expected_version=0)
    assert stores.policies.get_policy(TENANT) == put
