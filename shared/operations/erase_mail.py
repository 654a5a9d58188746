"""In which order an erasure is carried out, so that `done` is true whenever it is said.

1. not before everybody is over who might still write what is to go
2. one worker at a time: a lease
3. page by page: counted in the receipt, then deleted. Dying between the two counts nothing twice,
   because the receipt says up to where it has counted
4. short of time: queued again, to be carried on
5. a look that finds nothing ends it
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.erasure import Erasure, ErasureKind, ErasureState
from shared.domain.errors import ConflictError
from shared.domain.ids import new_ulid
from shared.ports.clock import Clock
from shared.ports.erasures import ErasureStore, MailEraser
from shared.ports.queues import EraseRequest, WorkQueues
from shared.ports.secrets import SecretStore

MARGIN_SECONDS = 30.0
"""A page is not begun with less: enough to delete one, and to say so."""
LEASE_MARGIN_SECONDS = 30
LONGEST_QUEUE_DELAY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class EraseReport:
    """What became of a request, for the log."""

    kind: str
    """`done`, `continued` (sent again), `waiting` or `dropped`."""
    erasure: Erasure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasePorts:
    """What carrying out an erasure needs from the world."""

    erasures: ErasureStore
    eraser: MailEraser
    secrets: SecretStore
    queues: WorkQueues
    clock: Clock
    remaining_seconds: Callable[[], float]


def erase_mail(request: EraseRequest, *, ports: ErasePorts) -> EraseReport:
    """Carry an erasure on, to its end or as far as the time reaches.

    What is raised is a bug or our own store; the queue delivers the request again.
    """
    erasure = ports.erasures.get_erasure(request.tenant_id, request.erasure_id)
    if erasure is None or erasure.state is ErasureState.DONE:
        return EraseReport("dropped")
    now = ports.clock.now()
    if now < erasure.settles_at:
        wait = int((erasure.settles_at - now).total_seconds()) + 1
        ports.queues.send_erasure(request, delay_seconds=min(wait, LONGEST_QUEUE_DELAY_SECONDS))
        return EraseReport("waiting", erasure)
    owner = new_ulid(now)
    try:
        erasure = ports.erasures.take_erasure(
            erasure,
            owner=owner,
            now=now,
            seconds=int(ports.remaining_seconds()) + LEASE_MARGIN_SECONDS,
        )
        return _carry_on(request, erasure, owner, ports)
    except ConflictError:
        # Another one is at it, or has ended it; whose request comes again if that one dies.
        return EraseReport("dropped", erasure)


def _carry_on(
    request: EraseRequest, erasure: Erasure, owner: str, ports: ErasePorts
) -> EraseReport:
    if erasure.kind is ErasureKind.MAILBOX and erasure.mailbox_id is not None:
        # A reconnect that was under way may have stored one after the disconnecting deleted it.
        ports.secrets.delete(erasure.tenant_id, erasure.mailbox_id)
    while ports.remaining_seconds() > MARGIN_SECONDS:
        page = ports.eraser.next_page(erasure)
        if page is None:
            ended = ports.erasures.finish_erasure(erasure, owner, now=ports.clock.now())
            return EraseReport("done", ended)
        erasure = ports.erasures.count_erased(erasure, owner, page)
        ports.eraser.erase(erasure, page, now=ports.clock.now())
    ports.erasures.leave_erasure(erasure, owner)
    ports.queues.send_erasure(request)
    return EraseReport("continued", erasure)
