"""Two workers at once, and one that dies: what belongs together is one thread all the same."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.contract.stores.test_joined_threads import A, B, C, D, fence_of
from tests.fakes.conversations import Mail, arriving, found
from tests.fakes.values import BOX, OTHER_BOX

MOST_CALLS = 60
OTHER = "another worker"


class DiedError(BaseException):
    """The worker is no more."""


@contextmanager
def before_call(stores, number, act):
    """Do something once, before the worker's call of that number; yield how many there were."""
    events = stores.table.client.meta.events
    lock, calls = threading.Lock(), [0]

    def called(**_):
        if threading.current_thread().name.startswith(OTHER):
            return
        with lock:
            calls[0] += 1
            is_it = calls[0] == number
        if is_it:
            act()

    events.register_first("before-call.dynamodb", called)
    try:
        yield calls
    finally:
        events.unregister("before-call.dynamodb", called)


LATE = replace(A, text="late", mailbox_id=OTHER_BOX)
PAIRS = {
    "a reply to a reply": ([A, B], [C]),
    "what it answers": ([C], [B, A]),
    "whose references begin late": ([A, B], [Mail("d@x", ("b@x", "c@x"), "c@x"), C]),
    "what joins two": ([A, B, C], [D]),
    "a reply to what never came": (
        [Mail("1@x", (), "l@x")],
        [Mail("2@x", ("a@x", "l@x"), "l@x"), A],
    ),
    "of one provider's thread": (
        [replace(A, provider_thread="p")],
        [Mail("e@x", provider_thread="p")],
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_two_workers_at_once_end_with_one_thread(aws, pair):
    first, second = PAIRS[pair]
    if pair != "of one provider's thread":
        second = [replace(mail, mailbox_id=OTHER_BOX) for mail in second]
    # With threads of its own, which are told by their name.
    pool = ThreadPoolExecutor(2, thread_name_prefix=OTHER)
    worker = replace(aws.messages, _workers=ThreadPoolExecutor(2, thread_name_prefix=OTHER))
    ran = 0
    for number in range(1, MOST_CALLS):
        # A tenant of its own each time: nothing is left of the last.
        tenant = f"t{pair}{number}"
        fences = {box: fence_of(aws, box, tenant) for box in (BOX, OTHER_BOX)}
        new = [arriving(mail, tenant_id=tenant) for mail in first]
        other = [arriving(mail, tenant_id=tenant) for mail in second]
        fence = fences[second[0].mailbox_id]
        with before_call(
            aws, number, lambda f=fence, o=other: pool.submit(worker.save, f, o).result()
        ) as calls:
            aws.messages.save(fences[BOX], new)
        if calls[0] < number:
            break
        ran += 1
        assert len(found(aws, [*new, *other], tenant_id=tenant)) == 1, number
    assert ran > 5


@pytest.mark.parametrize("pair", PAIRS)
def test_a_worker_that_died_anywhere_is_made_up_for_by_the_next(aws, pair):
    first, second = PAIRS[pair]

    def die():
        raise DiedError

    ran = 0
    for number in range(1, MOST_CALLS):
        tenant = f"t{pair}{number}"
        fence = fence_of(aws, BOX, tenant)
        new = [arriving(mail, tenant_id=tenant) for mail in first]
        other = [arriving(mail, tenant_id=tenant) for mail in second]
        died = False
        with before_call(aws, number, die):
            try:
                aws.messages.save(fence, new)
            except DiedError:
                died = True
        if not died:
            break
        ran += 1
        aws.messages.save(fence, other)
        aws.messages.save(fence, new)
        assert len(found(aws, [*new, *other], tenant_id=tenant)) == 1, number
    assert ran > 5
