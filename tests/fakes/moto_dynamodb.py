"""DynamoDB as moto plays it, made as atomic as the real one: one request at a time.

moto reads an item, changes a copy and puts it back; two threads that add to one item's set at once
would lose one of both additions, which DynamoDB never does
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithItems.html, atomic updates).
"""

import threading

from moto.dynamodb.responses import DynamoHandler

_LOCK = threading.RLock()
_call_action = DynamoHandler.call_action


def _one_at_a_time(handler):
    with _LOCK:
        return _call_action(handler)


def make_atomic() -> None:
    """Hold for every mock of this process."""
    DynamoHandler.call_action = _one_at_a_time
