"""How a provider's word becomes at most one run, and nothing else.

The word names a mailbox's key; tenant and mailbox come from our own record of who listens to it.
When a run begins is written first, then it is asked for: whoever dies between the two has lost a
hint, which the next word or the next poll makes good, while a flood of words that came the other
way round would be a flood of runs.
"""

import hmac
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from math import ceil

from shared.domain.errors import RetryLaterError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Provider
from shared.domain.push import digest_of, key_of_word, run_after
from shared.domain.run import RunReason
from shared.ports.clock import Clock
from shared.ports.push import Listener, Notice, PushStore
from shared.ports.queues import SyncRequest, WorkQueues

MOST_NOTICES = 100
"""Of one request, that are looked up: each costs a read."""
MOST_IN_VAIN = 10
"""Of one request, that may be nobody's before the rest is left out: anybody may make them up, while
a provider has few, of watches that could not be ended."""
_TRIES = 3


class WordFate(StrEnum):
    """What became of a word, for one mailbox it is about."""

    ASKED = "asked"
    UNDER_WAY = "under_way"
    """A run that will see it was asked for before."""
    UNKNOWN = "unknown"
    """No mailbox listens to it, or to that watch: one of before a disconnect or a renewal."""
    REFUSED = "refused"
    """It does not prove that it is the provider's."""
    LEFT_OUT = "left_out"
    """One of too many in a request, or of one that is for the most part made up."""


def receive_push(
    provider: Provider,
    notices: Sequence[Notice],
    *,
    store: PushStore,
    queues: WorkQueues,
    clock: Clock,
) -> Counter[WordFate]:
    """Ask for a run of every mailbox that the notices are about; return what became of them.

    Raises `RetryLaterError` for what could not be asked for; the provider then comes again, and
    what was asked for already is not asked for twice.
    """
    fates: Counter[WordFate] = Counter()
    lost: RetryLaterError | None = None
    # One that came twice in a request is one.
    told = list(dict.fromkeys(notices))
    for number, notice in enumerate(told):
        in_vain = fates[WordFate.UNKNOWN] + fates[WordFate.REFUSED]
        if number >= MOST_NOTICES or in_vain >= MOST_IN_VAIN:
            fates[WordFate.LEFT_OUT] = len(told) - number
            break
        listeners = store.listeners(provider, key_of_word(provider, notice.key))
        if not listeners:
            fates[WordFate.UNKNOWN] += 1
        for listener in listeners:
            try:
                fates[_hear(listener, notice, store=store, queues=queues, clock=clock)] += 1
            except RetryLaterError as error:
                # One tenant's trouble keeps nobody else waiting.
                lost = error
    if lost is not None:
        raise lost
    return fates


def _hear(
    listener: Listener, notice: Notice, *, store: PushStore, queues: WorkQueues, clock: Clock
) -> WordFate:
    if not _is_proved(listener, notice):
        return WordFate.REFUSED
    if listener.watch and notice.watch and listener.watch != notice.watch:
        return WordFate.UNKNOWN
    known = listener
    for _ in range(_TRIES):
        now = clock.now()
        at = run_after(known.asked.get(notice.ends), now)
        if at is None:
            return WordFate.UNDER_WAY
        if store.ask(known, renews=notice.ends, run_at=at):
            _send(known, notice, at, now, store=store, queues=queues)
            return WordFate.ASKED
        # Another word came first, and its run may not see what this one is about.
        found = store.listeners(known.provider, known.key)
        mine = [one for one in found if (one.tenant_id, one.mailbox_id) == _who(known)]
        if not mine:
            return WordFate.UNKNOWN
        (known,) = mine
    # As many came at once as we tried, and each of them asked for a run.
    return WordFate.UNDER_WAY


def _send(
    listener: Listener,
    notice: Notice,
    at: datetime,
    now: datetime,
    *,
    store: PushStore,
    queues: WorkQueues,
) -> None:
    request = SyncRequest(*_who(listener), RunReason.PUSH, watch_ends=notice.ends)
    try:
        queues.send_syncs([request], delay_seconds=ceil((at - now).total_seconds()))
    except RetryLaterError:
        # Else the provider's next try would be taken for one whose run is on its way.
        asked = replace(listener, asked={**listener.asked, notice.ends: at})
        store.ask(asked, renews=notice.ends, run_at=None)
        raise


def _is_proved(listener: Listener, notice: Notice) -> bool:
    if listener.proof is None:
        # Only a whole request that is proved gives words without a proof of their own.
        return notice.proof is None
    if notice.proof is None:
        return False
    return hmac.compare_digest(listener.proof, digest_of(notice.proof))


def _who(listener: Listener) -> tuple[TenantId, MailboxId]:
    return listener.tenant_id, listener.mailbox_id
