"""Decides what becomes of the other requests when one of those sent side by side fails."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def side_by_side(
    pool: Executor, call: Callable[[Item], Answer], items: Iterable[Item]
) -> list[Answer]:
    """Return `call` of each item, in the items' order.

    Nothing runs on after this returns or raises: a write that is still under way would meet the
    caller's next attempt, or be frozen with the function and go out with another's work.

    Raises:
        Exception: What the first failing call in the items' order raised; calls not yet begun are
            not made.
    """
    calls = [pool.submit(call, item) for item in items]
    try:
        wait(calls, return_when=FIRST_EXCEPTION)
    finally:
        for one in calls:
            one.cancel()
        wait(calls)
    for one in calls:
        if not one.cancelled() and (error := one.exception()) is not None:
            raise error
    return [one.result() for one in calls]
