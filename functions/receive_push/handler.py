"""HTTP: providers tell of changes; whoever is meant is asked to sync.

Reads no secret and no mailbox: of the table it is let in to who listens, and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared import wiring, wiring_of_push
from shared.api.push_routes import answer_push
from shared.domain.errors import MailroomError, RequestError
from shared.domain.mailbox import Provider
from shared.observability import Metric, count, log_event, log_trouble
from shared.operations.receive_push import receive_push


def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Answer a provider at once; what it tells of is looked at by a run."""
    return answer_push(event, _hear)


def _hear(provider: Provider, headers: Mapping[str, str], body: bytes) -> None:
    try:
        fates = receive_push(
            provider,
            wiring_of_push.reader(provider).read(headers, body),
            store=wiring_of_push.push_store(),
            queues=wiring.queues(),
            clock=wiring.clock(),
        )
    except RequestError as error:
        # Whoever sends it chooses how often: one short line.
        log_event("push_refused", provider=provider, code=error.code)
        count({Metric.PUSH_REFUSED: 1}, provider=provider)
        raise
    except MailroomError as error:
        log_trouble("push_failed", error, provider=provider)
        raise
    log_event("push", provider=provider, fates={str(fate): n for fate, n in fates.items()})
    for fate, number in fates.items():
        count({Metric.PUSH_HEARD: number}, provider=provider, kind=fate)
