"""How a run has its provider tell of changes: made and renewed beside its own work, never instead.

It has an access token at hand, so that no further function reads secrets. The right to ask is taken
by a write first: of runs that come together one asks, and one that dies of it leaves the next try
to a later run. Whatever the provider answers, the run goes on: polling needs no watch.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.domain.errors import ConflictError, ErrorCode, MailroomError, StoreThrottledError
from shared.domain.mailbox import Mailbox, Provider, PushState, Watch
from shared.domain.push import (
    LISTED_AFTER_END,
    TRIED_AGAIN_AFTER,
    WATCHED_FOR,
    digest_of,
    is_due,
    is_watchable,
    key_of_mailbox,
    new_proof,
    renewed_at,
)
from shared.domain.secret import Secret
from shared.operations.end_watch import is_for_others
from shared.ports.provider import Grant, MailSession, OAuthGrant
from shared.ports.push import PushStore, WatchedSession, WatchTarget
from shared.ports.stores import MailboxRecord


@dataclass(frozen=True, slots=True)
class Watching:
    """What it takes to be told."""

    store: PushStore
    place_of: Callable[[Mailbox, str], str]
    """Where a mailbox's provider is to tell, for the client of that id; empty: nowhere."""
    providers: frozenset[Provider]
    """Those by which this deployment can be reached."""

    def is_for(self, provider: Provider) -> bool:
        """Whether mailboxes of the provider are watched at all."""
        return provider in self.providers and is_watchable(provider)

    def let_end(self, record: MailboxRecord, now: datetime) -> MailboxRecord:
        """Note that the watch is to be renewed at once, and return the record with that."""
        self.store.let_end(record, now=now)
        state = record.run_state
        return replace(record, run_state=replace(state, push=replace(state.push, renew_at=now)))


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What became of asking a provider to tell of changes: `push` as it stands after it."""

    push: PushState
    error: MailroomError | None = None
    """Why it does not; asked again within the hour."""

    @property
    def is_new(self) -> bool:
        """Whether a watch was made of which nothing was heard yet."""
        return self.error is None and self.push.heard_at is None


def keep_watch(
    record: MailboxRecord,
    grant: Grant,
    session: MailSession,
    *,
    watching: Watching,
    now: datetime,
) -> WatchReport | None:
    """Make or renew the mailbox's watch where that is due; None where nothing was asked.

    To be called before the mailbox is looked at: what comes after the look is then told of. Raises
    `StoreThrottledError`, and nothing else that has a code.
    """
    before = record.run_state.push
    if not (
        watching.is_for(record.mailbox.provider)
        and is_due(before, now)
        and isinstance(grant, OAuthGrant)
        and isinstance(session, WatchedSession)
    ):
        return None
    if not watching.store.claim(record, again_at=now + TRIED_AGAIN_AFTER):
        return None
    try:
        place = watching.place_of(record.mailbox, grant.client_id)
        if not place:
            return None
        push = _asked(record, session, place, store=watching.store, now=now)
    except StoreThrottledError:
        raise
    except MailroomError as error:
        return WatchReport(before, error)
    return WatchReport(push)


def _asked(
    record: MailboxRecord, session: WatchedSession, place: str, *, store: PushStore, now: datetime
) -> PushState:
    mailbox, before = record.mailbox, record.run_state.push
    until, key, held = now + WATCHED_FOR, key_of_mailbox(mailbox), before.watch
    watch: Watch | None = None
    if held is not None and before.heard_at is not None and held.expires_at > now:
        watch = session.extend(held.name, until=until)
    elif held is not None and mailbox.provider is not Provider.GMAIL:
        # It is over, or nothing came of it: perhaps it leads nowhere, or is another sign-in's.
        # Gmail has one for each address, whoever made it, and the next takes its place.
        with suppress(MailroomError):
            session.unwatch(held.name)
    if watch is None:
        state, proof = _proof_for(mailbox, key)
        # First who listens: the first word may come before the provider's answer.
        if not store.listen(record, key, proof=proof, until=until + LISTED_AFTER_END):
            raise ConflictError(ErrorCode.STALE_WRITE, cause="no longer to be watched")
        watch = session.watch(WatchTarget(place, until, state))
    renew_at = renewed_at(mailbox.provider, watch, now)
    ends = watch.expires_at + LISTED_AFTER_END
    if not store.keep(record, key, watch, renew_at=renew_at, until=ends):
        # Disconnected meanwhile: nobody would end it later.
        if not is_for_others(mailbox, store):
            session.unwatch(watch.name)
        raise ConflictError(ErrorCode.STALE_WRITE, cause="no longer to be watched")
    is_new = held is None or held.name != watch.name
    return PushState(watch, renew_at, None if is_new else before.heard_at)


def _proof_for(mailbox: Mailbox, key: str) -> tuple[Secret | None, str | None]:
    """Return what the provider is given to say back, and the digest of what proves it."""
    if mailbox.provider is not Provider.OUTLOOK:
        return None, None
    proof = new_proof()
    return Secret(f"{key}.{proof.reveal()}"), digest_of(proof)
