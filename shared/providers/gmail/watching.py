"""Decides how Gmail is asked to publish a mailbox's changes, and no longer.

Every change is asked for, whatever its label: what is synced is chosen elsewhere and changes. A
mailbox has one watch for each Google project. One for a topic of before is refused to be replaced,
so it is ended first: both are this product's. Source:
developers.google.com/workspace/gmail/api/guides/push.
"""

from datetime import UTC, datetime

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mailbox import Watch
from shared.providers.gmail import errors, units
from shared.providers.gmail.api import GmailApi, json_content, object_of, whole_number
from shared.providers.http import Answer

_OK, _NO_CONTENT = 200, 204


def watch(api: GmailApi, topic: str) -> Watch:
    """Have changes published to `topic`, for a week as a rule; see `WatchedSession.watch`."""
    answer = _asked(api, topic)
    if answer.status != _OK:
        refusal = errors.from_watching(answer.status, answer.headers, answer.body)
        # The same words as for an account without Gmail, which refuses the rest too.
        if refusal.code is not ErrorCode.PROVIDER_API_DISABLED:
            raise refusal
        stop(api)
        answer = _asked(api, topic)
    if answer.status != _OK:
        raise errors.from_watching(answer.status, answer.headers, answer.body)
    milliseconds = whole_number(object_of(answer).get("expiration"))
    try:
        return Watch(topic, datetime.fromtimestamp(milliseconds / 1000, UTC))
    except (OverflowError, OSError, ValueError):
        raise RetryLaterError(
            ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a watch without a sensible end"
        ) from None


def stop(api: GmailApi) -> None:
    """End whatever watch this mailbox and project have; none is no error."""
    answer = api.ask("POST", "stop", cost=units.STOP)
    if answer.status not in (_OK, _NO_CONTENT):
        raise errors.from_api(answer.status, answer.headers, answer.body)


def _asked(api: GmailApi, topic: str) -> Answer:
    return api.ask("POST", "watch", cost=units.WATCH, content=json_content({"topicName": topic}))
