"""Decides what a request of Graph's change notifications says, and leaves its proof to be compared.

Nothing signs a request without resource data: each entry brings back the `clientState` that its
subscription was made with, and that is all that tells Graph from anybody
(learn.microsoft.com/graph/change-notifications-delivery-webhooks).
"""

from collections.abc import Mapping, Sequence

import orjson

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.secret import Secret
from shared.ports.push import Notice

MOST_NOTICES = 1000
"""Of one request; Graph sends some tens together."""
_CLIENT_STATE_LENGTH = 128
_NAME_LENGTH = 100
_ENDING = frozenset({"subscriptionremoved", "reauthorizationrequired", "missed"})


class OutlookPush:
    """The `PushReader` of Outlook: of changes, and of what becomes of subscriptions."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[Notice]:
        """See `PushReader.read`; every notice has a proof, whether it is right or not."""
        del headers  # None of them proves anything.
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError:
            told = None
        value = told.get("value") if isinstance(told, dict) else None
        if not isinstance(value, list):
            raise RequestError(ErrorCode.INVALID_REQUEST, cause="push: no list of notifications")
        found = (_notice(one) for one in value[:MOST_NOTICES])
        return tuple(one for one in found if one is not None)


def _notice(entry: object) -> Notice | None:
    if not isinstance(entry, dict):
        return None
    state, name = entry.get("clientState"), entry.get("subscriptionId")
    if not isinstance(state, str) or not isinstance(name, str):
        return None
    key, dot, proof = state.partition(".")
    if not (key and dot and proof and name):
        return None
    if len(state) > _CLIENT_STATE_LENGTH or len(name) > _NAME_LENGTH:
        return None
    event = entry.get("lifecycleEvent")
    ends = isinstance(event, str) and event.lower() in _ENDING
    return Notice(key, Secret(proof), name, ends)
