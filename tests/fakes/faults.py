"""Trouble between us and AWS: before a request arrives, after it was carried out, or instead."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fakes.backends import Stores

Effect = str
"""The name of an API operation, such as `UpdateItem`."""
WRITES = frozenset(
    {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "PutObject"}
)


class KilledError(BaseException):
    """The process ends here."""


def throttled(operation: Effect) -> ClientError:
    return refused(operation, "ProvisionedThroughputExceededException")


def refused(operation: Effect, code: str, *reasons: str) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": ""},
        "CancellationReasons": [{"Code": reason} for reason in reasons],
    }
    return ClientError(answer, operation)


def lost(_: Effect) -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="https://dynamodb")


def killed(_: Effect) -> KilledError:
    return KilledError()


@contextmanager
def listening(stores: Stores, when: str, heard: Callable[[Effect, dict], None]) -> Iterator[None]:
    """Call `heard` at every request; `when`: `before-call` or `after-call`."""
    assert stores.table is not None
    assert stores.clients is not None

    def handler(model, params=None, **_):
        heard(model.name, params or {})

    clients = (stores.table.client, stores.clients.s3)
    for client in clients:
        client.meta.events.register_first(when, handler)
    try:
        yield
    finally:
        for client in clients:
            client.meta.events.unregister(when, handler)


@contextmanager
def asked_twice(stores: Stores, operation: Effect) -> Iterator[None]:
    """Lose the answer to the first such request on its way, so that botocore asks again by itself."""
    assert stores.table is not None
    asked: list[int] = []

    def once_more(attempts, **_):
        asked.append(attempts)
        return 0 if len(asked) == 1 else None

    event, events = f"needs-retry.dynamodb.{operation}", stores.table.client.meta.events
    events.register_first(event, once_more)
    try:
        yield
    finally:
        events.unregister(event, once_more)
    assert asked[:2] == [1, 2], "nothing was asked again"


@contextmanager
def failing(
    stores: Stores,
    error: Callable[[Effect], BaseException],
    *,
    at: int | None = None,
    only: frozenset[str] = WRITES,
    after: bool = False,
) -> Iterator[list[Effect]]:
    """Raise at the write numbered `at` (None: at every one), before or after it is carried out."""
    seen: list[Effect] = []

    def heard(operation: Effect, _: dict) -> None:
        if operation in only:
            seen.append(operation)
            if at is None or len(seen) - 1 == at:
                raise error(operation)

    with listening(stores, "after-call" if after else "before-call", heard):
        yield seen
