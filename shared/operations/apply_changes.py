"""In which order what people did with mail here reaches its provider.

1. take the mailbox's pending changes: one worker at a time has them, for a stated time
2. read what is pending as it is by now: later wishes have joined the earlier ones
3. have the provider do it; it says of each message what became of it
4. settle each on condition that nobody wished more, and the provider said nothing more, since 2
5. look again until nothing is left; then the mailbox is no longer among what is due

Dying anywhere repeats what was done without harm: flags are set once more, and what was moved under
another id is gone from where it was, and sync finds it where it is. Until 4 the copy shows what is
wanted; what is given up is shown as the provider has it.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import starmap

from shared.domain.change import Change, ChangeFate, ChangeOutcome
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    MailroomError,
    StoreRefusedError,
    StoreThrottledError,
)
from shared.domain.failure import PATIENT_DELAY_SECONDS, RetryAt, backoff_seconds, decide
from shared.domain.folders import Folder, is_wanted
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.mailbox import LatestError, Mailbox, MailboxStatus, Provider
from shared.domain.message import Copy, Pending
from shared.domain.pending import acknowledged, given_up
from shared.domain.run import RunReason
from shared.operations.access import Grants
from shared.operations.time_left import END_SECONDS, MARGIN_SECONDS, our_time_is_up
from shared.ports.changing import ChangeSession, ChangeStore, ChangesTurn, MailChanger, Settled
from shared.ports.clock import Clock
from shared.ports.queues import ChangesRequest, SyncRequest, WorkQueues
from shared.ports.stores import MailboxRecord, MailboxStore

BATCH = 50
"""Copies asked for and settled together; before, it is seen whether anybody wants them still."""
LEASE_MARGIN_SECONDS = 30
"""A turn outlives its function by this much: past then nobody is at it any more."""
GIVEN_UP_AFTER = timedelta(days=1)
OURS = frozenset(
    {
        ErrorCode.CHANGE_REFUSED,
        ErrorCode.CHANGE_NOT_MADE_IN_TIME,
        ErrorCode.FOLDER_NOT_FOUND,
    }
)
"""Outbound errors that changes alone bring, and so end."""
_MOST_ROUNDS = 20
"""Of those that a turn looks again because more was wished for, or said, meanwhile."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What becomes of one copy, and as what it counts."""

    fate: ChangeFate
    settled: Settled
    code: ErrorCode | None = None


@dataclass(slots=True)
class ChangesReport:
    """What a turn did, for the log."""

    provider: Provider | None = None
    """None where there was nothing to be done."""
    counts: Counter[ChangeFate] = field(default_factory=Counter)
    """Of copies; what was given up counts as refused, what is left for another turn as later."""
    error: MailroomError | None = None
    """What stood in the way of the whole mailbox."""
    code: ErrorCode | None = None
    """Why some were given up, or the whole mailbox waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePorts:
    """What making changes needs from the world."""

    changes: ChangeStore
    mailboxes: MailboxStore
    grants: Grants
    changer_of: Callable[[Provider], MailChanger]
    queues: WorkQueues
    clock: Clock
    rng: random.Random
    remaining_seconds: Callable[[], float]


def apply_changes(request: ChangesRequest, *, ports: ChangePorts) -> ChangesReport:
    """Make what is pending in one mailbox, as far as time goes.

    Every failure with a code ends here: what waits is tried again, for a day. What is raised is a
    bug or our own store; the mailbox comes up again when this turn's time is over.
    """
    place = request.tenant_id, request.mailbox_id
    seconds = int(ports.remaining_seconds()) + LEASE_MARGIN_SECONDS
    try:
        turn = ports.changes.take(*place, now=ports.clock.now(), seconds=seconds)
        record = ports.mailboxes.get(*place)
        if record is None:
            return ChangesReport()
        work = _Turn(turn, record.mailbox, ports, ChangesReport(record.mailbox.provider))
        work.make()
    except ConflictError:
        # Another worker's by now, or nothing is left.
        return ChangesReport()
    return work.report


@dataclass(slots=True)
class _Turn:
    """One worker's turn at a mailbox."""

    turn: ChangesTurn
    mailbox: Mailbox
    ports: ChangePorts
    report: ChangesReport
    needs_look: bool = False
    """Whether sync has something to find."""
    has_told: bool = False
    """Whether something was given up, and told."""
    is_over: bool = False
    """Whether the mailbox was disconnected, or connected anew, since this turn began."""
    _folders: dict[FolderId, Folder] | None = None
    """As they are when a batch is settled; so are those that were chosen."""
    _chosen: tuple[FolderId, ...] | None = None

    def make(self) -> None:
        """Go as far as it gets."""
        if self.mailbox.status is MailboxStatus.DISCONNECTED:
            self._each_batch(lambda copies: self._settle(map(self._void, copies)))
            return
        if self.mailbox.status is MailboxStatus.ACTIVE:
            self._make_active()
        else:
            # Nobody lets us in before its owner has reconnected it.
            self._put_off(timedelta(seconds=PATIENT_DELAY_SECONDS))
        self._clear()
        if self.needs_look:
            look = SyncRequest(self.mailbox.tenant_id, self.mailbox.id, RunReason.CONTINUED)
            self.ports.queues.send_syncs([look])

    def _make_active(self) -> None:
        try:
            grant = self.ports.grants.of(self.mailbox)
            changer = self.ports.changer_of(self.mailbox.provider)
            seconds = self.ports.remaining_seconds() - END_SECONDS
            with changer.open(grant, seconds=seconds) as session:
                self._each_batch(lambda copies: self._make_batch(session, copies))
        except (ConflictError, StoreThrottledError, StoreRefusedError):
            # Our own trouble is not the mailbox's.
            raise
        except MailroomError as error:
            if our_time_is_up(error, self.ports.remaining_seconds()):
                self._go_on_later()
                return
            self.report.error, self.report.code = error, error.code
            now = self.ports.clock.now()
            decision = decide(
                error, failures_before=self.turn.failures, now=now, rng=self.ports.rng
            )
            # What only a person can mend is told by sync, which meets the same.
            patient = timedelta(seconds=PATIENT_DELAY_SECONDS)
            self._put_off(decision.at - now if isinstance(decision, RetryAt) else patient)

    def _each_batch(self, take: Callable[[list[Copy]], None]) -> None:
        """Have `take` called with all that is pending, again while more is wished for."""
        for _ in range(_MOST_ROUNDS):
            del self.report.counts[ChangeFate.LATER]
            after: ProviderMessageId | None = None
            while True:
                copies, after = self.ports.changes.waiting(self.turn, after=after, limit=BATCH)
                if copies:
                    take(copies)
                if self.is_over or not self._has_time():
                    self._go_on_later()
                    return
                if after is None:
                    break
            if self.report.counts[ChangeFate.LATER]:
                seconds = backoff_seconds(self.turn.failures, self.ports.rng)
                self._rest(timedelta(seconds=seconds), self.turn.failures + 1)
                return
            going_on = self.ports.changes.finish(self.turn)
            if going_on is None:
                return
            self.turn = going_on
        self._go_on_later()

    # ---- one batch ----

    def _make_batch(self, session: ChangeSession, copies: list[Copy]) -> None:
        record = self._record()
        self.is_over = record is None or record.mailbox.generation != self.mailbox.generation
        if self.is_over:
            return
        self._folders = None
        void = [one for one in copies if self._pending(one).generation < self._first_generation]
        self._settle(map(self._void, void))
        wanted = {one.provider_message_id: one for one in copies if one not in void}
        outcomes: list[tuple[Copy, ChangeOutcome]] = []
        try:
            for name, outcome in session.apply([self._change(one) for one in wanted.values()]):
                outcomes.append((wanted[name], outcome))
        finally:
            # What is known before the session breaks is not asked for again.
            self._settle(starmap(self._after, outcomes))

    def _change(self, copy: Copy) -> Change:
        pending = self._pending(copy)
        return Change(copy.provider_message_id, pending.folder_ids, pending.wanted)

    def _after(self, copy: Copy, outcome: ChangeOutcome) -> _Step | None:
        """Return what becomes of a copy, or None where it has to wait."""
        match outcome.fate:
            case ChangeFate.DONE:
                return _Step(ChangeFate.DONE, self._done(copy, outcome))
            case ChangeFate.GONE:
                # Deleted there, or moved by somebody who died before they noted it.
                return _Step(ChangeFate.GONE, self._given_up(copy))
            case ChangeFate.REFUSED:
                return _Step(ChangeFate.REFUSED, self._given_up(copy), outcome.code)
            case ChangeFate.LATER:
                return self._unless_old(copy)

    def _unless_old(self, copy: Copy) -> _Step | None:
        if self.ports.clock.now() - self._pending(copy).asked_at < GIVEN_UP_AFTER:
            self.report.counts[ChangeFate.LATER] += 1
            return None
        return _Step(ChangeFate.REFUSED, self._given_up(copy), ErrorCode.CHANGE_NOT_MADE_IN_TIME)

    def _void(self, copy: Copy) -> _Step:
        """Return what becomes of what was wished for before the mailbox was disconnected."""
        return _Step(ChangeFate.REFUSED, Settled(copy, given_up(copy, now=self.ports.clock.now())))

    def _given_up(self, copy: Copy) -> Settled:
        self.needs_look = True
        # One that was on its way out of the trash may be where nothing is synced.
        is_there = self._is_wanted(self._pending(copy).folder_ids)
        return Settled(copy, given_up(copy, now=self.ports.clock.now(), is_there=is_there))

    def _done(self, copy: Copy, outcome: ChangeOutcome) -> Settled:
        now, name = self.ports.clock.now(), outcome.provider_message_id
        is_active = self._is_wanted(outcome.folder_ids)
        after = acknowledged(copy, outcome.folder_ids, is_active=is_active, now=now)
        if name == copy.provider_message_id:
            return Settled(copy, after)
        ended = given_up(copy, now=now, is_there=False)
        if name is None:
            self.needs_look = True
            return Settled(copy, ended)
        # Each folder counts its changes for itself: the first word from the new one is news.
        flags = replace(after.flags, version=0)
        return Settled(copy, ended, replace(after, provider_message_id=name, flags=flags))

    def _is_wanted(self, folder_ids: frozenset[FolderId] | None) -> bool:
        if folder_ids is None:
            return True
        if self._folders is None:
            # Not as they were when the turn began: of a folder that was taken out of the sync since
            # nobody would remove the copy any more.
            record = self._record()
            self._chosen = (record.mailbox if record else self.mailbox).active_folders
            states = self.ports.mailboxes.folders(self.mailbox.tenant_id, self.mailbox.id)
            self._folders = {state.folder.id: state.folder for state in states}
        return is_wanted(folder_ids, self._folders, self._chosen)

    def _settle(self, steps: Iterable[_Step | None]) -> None:
        by_name = {one.settled.before.provider_message_id: one for one in steps if one}
        settled = [one.settled for one in by_name.values()]
        # First: once settled, nobody would come back to tell it.
        self._tell([one.code for one in by_name.values() if one.code in OURS])
        for name in self.ports.changes.settle(self.turn, settled):
            step = by_name[name]
            self.report.counts[step.fate] += 1
            self.report.code = step.code or self.report.code

    @property
    def _first_generation(self) -> int:
        return self.turn.first_generation

    @staticmethod
    def _pending(copy: Copy) -> Pending:
        if copy.pending is None:
            raise AssertionError("only pending copies are waiting")
        return copy.pending

    # ---- how it ends ----

    def _has_time(self) -> bool:
        return self.ports.remaining_seconds() >= MARGIN_SECONDS

    def _go_on_later(self) -> None:
        self._rest(timedelta(), 0)
        request = ChangesRequest(self.mailbox.tenant_id, self.mailbox.id)
        self.ports.queues.send_changes([request])

    def _put_off(self, delay: timedelta) -> None:
        """Have all wait but what has waited for too long."""
        after: ProviderMessageId | None = None
        del self.report.counts[ChangeFate.LATER]
        while True:
            copies, after = self.ports.changes.waiting(self.turn, after=after, limit=BATCH)
            self._settle(map(self._unless_old, copies))
            if after is None:
                break
        self._rest(delay, self.turn.failures + 1)

    def _rest(self, delay: timedelta, failures: int) -> None:
        until = self.ports.clock.now() + delay
        self.ports.changes.rest(self.turn, until=until, failures=failures)

    def _tell(self, codes: Sequence[ErrorCode | None]) -> None:
        """Tell, as the mailbox's outbound error, why changes are given up.

        Trouble with sending stays in its place: it is whoever writes next who meets that.
        """
        before = self._outbound_error() if codes else None
        code = codes[-1] if codes else None
        if code is None or (before is not None and before.code not in OURS):
            return
        now = self.ports.clock.now()
        earlier = before or LatestError(code, now, now, 0)
        self._note(earlier.again(code, now=now, run_id=None, next_retry_at=None))
        self.has_told = True

    def _clear(self) -> None:
        """Let go of what was told of changes, once some were made and none given up."""
        is_told_of = self.mailbox.outbound_error is not None
        if self.has_told or not is_told_of or not self.report.counts[ChangeFate.DONE]:
            return
        before = self._outbound_error()
        if before is not None and before.code in OURS:
            self._note(None)

    def _outbound_error(self) -> LatestError | None:
        """Return it as it is by now: others send meanwhile."""
        record = self._record()
        return record.mailbox.outbound_error if record else None

    def _record(self) -> MailboxRecord | None:
        return self.ports.mailboxes.get(self.mailbox.tenant_id, self.mailbox.id)

    def _note(self, error: LatestError | None) -> None:
        fence = Fence(self.mailbox.tenant_id, self.mailbox.id, self.mailbox.generation)
        # Reconnected meanwhile: that began without an error.
        with suppress(ConflictError):
            self.ports.mailboxes.note_outbound(fence, error)
