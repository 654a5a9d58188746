"""Requests sent side by side all end before their caller goes on."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.aws.side_by_side import side_by_side


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def test_answers_come_in_the_order_of_the_items(pool):
    assert side_by_side(pool, lambda n: n * n, range(10)) == [n * n for n in range(10)]
    assert side_by_side(pool, str, []) == []


def test_a_failure_waits_for_what_is_under_way(pool):
    failed, ended, begun = threading.Event(), [], []

    def call(n: int) -> None:
        begun.append(n)
        if n == 0:
            failed.set()
            raise LookupError(n)
        failed.wait(10)
        ended.append(n)

    with pytest.raises(LookupError):
        side_by_side(pool, call, range(100))
    assert sorted(begun) == sorted([0, *ended])
    seen = list(begun)
    pool.submit(int).result(10)
    assert begun == seen, "something began after the call"
