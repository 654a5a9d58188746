"""The contract of `RateLimits`: as much at once as a burst, then as much as comes back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.domain.errors import StoreThrottledError
from shared.domain.ids import UserId
from shared.domain.rate_limits import RATES, Act, Rate
from tests.fakes.faults import failing, throttled
from tests.fakes.values import NOW, OTHER_TENANT, TENANT, later

RATE = Rate(burst=3, seconds_each=10.0)
ANN, BOB = UserId("ann#1"), UserId("bob")


def take(stores, at=0.0, *, tenant=TENANT, user=ANN, act=Act.SYNC, rate=RATE):
    return stores.rates.take(tenant, user, act, rate, now=later(at))


def test_a_burst_is_let_through_and_then_one_as_often_as_it_comes_back(stores):
    assert [take(stores) for _ in range(3)] == [None] * 3
    assert take(stores) == pytest.approx(10.0)
    assert take(stores, 4) == pytest.approx(6.0)
    assert take(stores, 9.9) == pytest.approx(0.1)
    # Who was refused has taken nothing.
    assert [take(stores, 10), take(stores, 20)] == [None, None]
    assert take(stores, 20) == pytest.approx(10.0)


def test_what_was_not_asked_for_comes_back_up_to_a_burst_and_no_further(stores):
    for _ in range(3):
        take(stores)
    assert [take(stores, 20) for _ in range(2)] == [None, None]
    assert take(stores, 20) == pytest.approx(10.0)
    assert [take(stores, 9999) for _ in range(3)] == [None] * 3
    assert take(stores, 9999) == pytest.approx(10.0)


def test_what_takes_the_room_of_several_waits_until_there_is_that_much(stores):
    assert take(stores, rate=RATE.of(2)) is None
    assert take(stores, rate=RATE.of(2)) == pytest.approx(10.0)
    assert take(stores) is None
    assert take(stores, 20, rate=RATE.of(3)) == pytest.approx(10.0)
    assert take(stores, 30, rate=RATE.of(3)) is None
    assert take(stores, 30) == pytest.approx(10.0)


def test_everybody_and_everything_has_a_bucket_of_its_own(stores):
    for _ in range(3):
        take(stores)
    assert take(stores) is not None
    for other in ({"user": BOB}, {"user": None}, {"tenant": OTHER_TENANT}, {"act": Act.CONNECT}):
        assert take(stores, **other) is None


def test_however_many_ask_at_once_no_more_are_let_through(stores):
    rate = Rate(burst=7, seconds_each=10.0)
    with ThreadPoolExecutor(8) as pool:
        let = list(pool.map(lambda _: take(stores, rate=rate), range(30)))
    assert let.count(None) == 7
    assert {round(one) for one in let if one is not None} == {10}


def test_a_request_costs_one_small_write_and_in_a_burst_two(aws):
    asked = []
    aws.table.client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: asked.append(model.name)
    )
    for expected in (["UpdateItem"], ["UpdateItem"] * 2, ["UpdateItem"] * 2):
        take(aws)
        assert asked == expected
        asked.clear()
    take(aws)
    assert asked == ["UpdateItem", "UpdateItem", "GetItem"]
    (item,) = aws.items()
    assert len(str(item)) < 300
    assert int(item["expires_at"]["N"]) == int(NOW.timestamp()) + 30 + 86_400


def test_a_busy_table_is_said_to_be_busy(aws):
    with failing(aws, throttled), pytest.raises(StoreThrottledError):
        take(aws)


def test_one_users_burst_leaves_their_colleagues_most_of_what_the_tenant_may():
    for of_user, of_tenant in RATES.values():
        assert of_tenant.burst >= 3 * of_user.burst
        assert of_tenant.seconds_each * 3 <= of_user.seconds_each
