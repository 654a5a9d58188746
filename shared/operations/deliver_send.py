"""In which order one mail leaves, so that each recipient gets it at most once.

1. take the send: one worker at a time has it, each try has a number that every write names
2. in doubt, as somebody was about to hand it over and nobody wrote how that went: look for it, and
   never hand it over again unless the provider says that it was not sent
3. read its content, finished and bound by its digest, when it was asked for
4. prepare: whatever can be refused is refused here, and nobody has got anything
5. write that it is about to be handed over
6. hand it over, once
7. write who got it and who did not: from here on it is sent
8. file it: among the sent mail, on its timeline (`file_send`); then let go of its content

Dying before 5 repeats work that nobody saw; between 5 and 7 it is in doubt; after 7 only 8 is left.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.capabilities import CAPABILITIES
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    MailroomError,
    OutcomeUnknownError,
    RetryLaterError,
    SendRefusedError,
    StoreRefusedError,
    StoreThrottledError,
    UnreadableMessageError,
)
from shared.domain.lease import Fence
from shared.domain.mailbox import LatestError, Mailbox, Provider
from shared.domain.round_trip import LOOKED_FOR_AFTER_SECONDS
from shared.domain.run import RunReason
from shared.domain.send_outcomes import (
    DEATHS_BORNE,
    after_failure,
    after_sending,
    discarded,
    filed,
    found_sent,
    given_up,
    handing_over,
    in_doubt,
    looked_for_at,
    not_handed_over,
    unseen,
)
from shared.domain.sending import Send, SendKind, SendStatus
from shared.operations.access import Grants
from shared.operations.arrived_here import has_arrived_here
from shared.operations.file_send import LEFT_TO_SYNC, Filed, FilePorts, file_send, file_test
from shared.operations.time_left import END_SECONDS
from shared.ports.composer import Composer
from shared.ports.queues import SendRequest, SyncRequest, WorkQueues
from shared.ports.reading import MailReader
from shared.ports.sending import (
    Accepted,
    MailSender,
    Outgoing,
    OutgoingStore,
    SendRef,
    SendSession,
    SendStore,
    Sighting,
)

LEASE_MARGIN_SECONDS = 30
"""A try outlives its function by this much: past then nobody is at it any more."""
LONGEST_QUEUE_DELAY_SECONDS = 900


@dataclass(frozen=True, slots=True)
class SendReport:
    """What a try did, for the log."""

    before: SendStatus | None = None
    """None where nothing was to be done."""
    after: Send | None = None
    provider: Provider | None = None
    code: ErrorCode | None = None
    error: MailroomError | None = None
    """What stood in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverPorts:
    """What bringing a mail further needs from the world."""

    sends: SendStore
    outgoing: OutgoingStore
    reader: MailReader
    grants: Grants
    queues: WorkQueues
    sender_of: Callable[[Provider], MailSender]
    composer: Composer
    rng: random.Random
    filing: FilePorts


def deliver_send(request: SendRequest, *, ports: DeliverPorts) -> SendReport:
    """Bring one mail a try, or a look, further; every failure with a code ends on the send.

    What is raised is a bug or our own store; the send comes up again when this try's time is over.
    After some of these in a row it is put off instead, says so, and ends within a day.
    """
    ref = SendRef(request.tenant_id, request.mailbox_id, request.send_id)
    seconds = int(ports.filing.remaining_seconds()) + LEASE_MARGIN_SECONDS
    try:
        send = ports.sends.take(ref, now=ports.filing.clock.now(), seconds=seconds)
        record = ports.filing.mailboxes.get(request.tenant_id, request.mailbox_id)
        if record is None:
            return SendReport(code=ErrorCode.MAILBOX_NOT_FOUND)
        attempt = _Try(ref, send, record.mailbox, ports)
        error = attempt.make()
    except ConflictError as conflict:
        # Another worker's by now, cancelled, or of a mailbox that was disconnected.
        if conflict.code is ErrorCode.WRONG_STATE:
            # The latter: nobody will ever send it.
            ports.outgoing.delete(ref)
        return SendReport(code=conflict.code)
    return SendReport(
        send.status, attempt.send, record.mailbox.provider, error.code if error else None, error
    )


@dataclass(slots=True)
class _Try:
    """One try: the send as it was written last."""

    ref: SendRef
    send: Send
    mailbox: Mailbox
    ports: DeliverPorts
    content: bytes | None = None

    def make(self) -> MailroomError | None:
        """Go as far as it gets; return what stood in the way, which is written down."""
        error = None
        if self.send.deaths >= DEATHS_BORNE:
            self._give_up()
        elif not self._is_put_off():
            error = self._ask_provider()
        self._come_back()
        return error

    def _ask_provider(self) -> MailroomError | None:
        try:
            grant = self.ports.grants.of(self.mailbox)
            sender = self.ports.sender_of(self.mailbox.provider)
            seconds = self.ports.filing.remaining_seconds() - END_SECONDS
            with sender.open(grant, seconds=seconds) as session:
                self._go_on(session)
        except (ConflictError, StoreThrottledError, StoreRefusedError):
            # Our own trouble is not the mail's.
            raise
        except MailroomError as error:
            self._fail(error)
            return error
        return None

    def _go_on(self, session: SendSession) -> None:
        if self.send.status in {SendStatus.FAILED, SendStatus.CANCELLED}:
            if self.send.draft is not None:
                session.discard(self.send.draft)
            self._write(discarded(self.send))
            return
        if self.send.in_doubt:
            self._look(session)
        if self.send.status is SendStatus.SENDING:
            self._hand_over(session)
        if self.send.sent_at is not None and self.send.status is not SendStatus.SENDING:
            self._clear_error()
            if self.send.filed_at is None:
                self._file(session)
            self._write(filed(self.send, now=self._now()))

    # ---- in doubt ----

    def _is_put_off(self) -> bool:
        """Whether there is nothing to ask a provider: not yet, or as it could not tell."""
        if not self.send.in_doubt or self.send.handed_over_at is None:
            return False
        now, look_at = self._now(), self._first_look(self.send.handed_over_at)
        if self.send.has_gone:
            self._write(in_doubt(self.send, OutcomeUnknownError(), look_at=now))
        elif now < look_at:
            self._write(looked_for_at(self.send, look_at))
        else:
            return False
        return True

    def _first_look(self, handed_over_at: datetime) -> datetime:
        seconds = CAPABILITIES[self.mailbox.provider].first_look_seconds
        return handed_over_at + timedelta(seconds=seconds)

    def _look(self, session: SendSession) -> None:
        """Find out about a mail in doubt; it is `sending` afterwards where it may be sent."""
        now, mail = self._now(), self._mail()
        sighting, accepted = session.look_up(mail or self._outgoing(b""), self.send.draft)
        if sighting is Sighting.UNSEEN and mail is not None and self._has_arrived(mail):
            sighting = Sighting.SENT
        match sighting:
            case Sighting.SENT:
                names_each = CAPABILITIES[self.mailbox.provider].refuses_singly
                self._note_sent(accepted or Accepted())
                self._write(
                    found_sent(self.send, names_each=names_each, now=now, rng=self.ports.rng)
                )
            case Sighting.NOT_SENT:
                self.send = not_handed_over(self.send)
            case Sighting.UNSEEN:
                self._write(unseen(self.send, now=now))

    def _has_arrived(self, mail: Outgoing) -> bool:
        if self.send.arrival is not None:
            return True
        filing = self.ports.filing
        with suppress(UnreadableMessageError):
            return has_arrived_here(
                self.send,
                mail.content,
                messages=filing.messages,
                reader=self.ports.reader,
                parser=filing.parser,
            )
        return False

    # ---- sending ----

    def _hand_over(self, session: SendSession) -> None:
        mail = self._mail()
        if mail is None:
            raise SendRefusedError(ErrorCode.CONTENT_MISSING, cause="not there, or not its digest")
        draft = session.prepare(mail, self.send.draft)
        leaving = handing_over(replace(self.send, draft=draft), now=self._now())
        self.ports.sends.write_handing_over(leaving, now=self._now())
        self.send = leaving
        try:
            if self.ports.filing.remaining_seconds() <= 0:
                # Frozen past it: another worker may be looking for it.
                raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="woken after its time")
            accepted = session.send(mail, draft)
        except OutcomeUnknownError as error:
            look_at = self._first_look(self._now())
            self._write(in_doubt(self.send, error, look_at=look_at))
            return
        except MailroomError:
            self._write(not_handed_over(self.send))
            raise
        self._note_sent(accepted)
        self._write(after_sending(self.send, accepted.refused, now=self._now(), rng=self.ports.rng))

    def _note_sent(self, accepted: Accepted) -> None:
        """Keep what its provider says of a sent mail, to be written with that it is sent."""
        send = self.send
        self.send = replace(
            send,
            draft=None,
            sent_as=accepted.internet_message_id or send.sent_as,
            provider_message_id=accepted.provider_message_id or send.provider_message_id,
            provider_thread_id=accepted.provider_thread_id or send.provider_thread_id,
        )

    # ---- afterwards ----

    def _file(self, session: SendSession) -> None:
        mail = self._mail()
        accepted = Accepted(
            provider_message_id=self.send.provider_message_id,
            internet_message_id=self.send.sent_as,
            provider_thread_id=self.send.provider_thread_id,
        )
        found = LEFT_TO_SYNC
        if self.send.kind is SendKind.TEST:
            self._have_it_looked_for()
            found = file_test(session, mail, accepted) if mail is not None else Filed()
        elif mail is not None:
            found = file_send(session, mail, accepted, self.mailbox, ports=self.ports.filing)
        if found.is_left_to_sync:
            self.ports.queues.send_syncs(
                [SyncRequest(self.ref.tenant_id, self.ref.mailbox_id, RunReason.REQUESTED)]
            )
        self.send = replace(
            self.send,
            provider_message_id=found.provider_message_id or self.send.provider_message_id,
            message_id=found.message_id,
        )

    def _have_it_looked_for(self) -> None:
        """Ask sync to look whether a test came back, some times: who sent it waits for that."""
        run = SyncRequest(self.ref.tenant_id, self.ref.mailbox_id, RunReason.REQUESTED)
        for seconds in LOOKED_FOR_AFTER_SECONDS:
            self.ports.queues.send_syncs([run], delay_seconds=seconds)

    # ---- what is written ----

    def _fail(self, error: MailroomError) -> None:
        was_tried = self.send.status is SendStatus.SENDING and not self.send.in_doubt
        after = after_failure(self.send, error, now=self._now(), rng=self.ports.rng)
        if was_tried and error.code is not ErrorCode.CONTENT_MISSING:
            self._note_error(error.code, after.next_try_at)
        self._write(after)

    def _give_up(self) -> None:
        """Leave it for an hour, or for good, instead of having one more worker die of it."""
        after = given_up(self.send, now=self._now())
        self._note_error(ErrorCode.INTERNAL, after.next_try_at)
        self._write(after)

    def _note_error(self, code: ErrorCode, next_retry_at: datetime | None) -> None:
        now = self._now()
        earlier = self.mailbox.outbound_error or LatestError(code, now, now, 0)
        self._note_outbound(earlier.again(code, now=now, run_id=None, next_retry_at=next_retry_at))

    def _clear_error(self) -> None:
        """Clear what was noted before this mail left; what came later it did not mend."""
        error, sent_at = self.mailbox.outbound_error, self.send.sent_at
        if error is not None and sent_at is not None and error.last_seen_at <= sent_at:
            self._note_outbound(None)

    def _note_outbound(self, error: LatestError | None) -> None:
        # Reconnected meanwhile: that began without an error.
        with suppress(ConflictError):
            mailbox = self.mailbox
            fence = Fence(mailbox.tenant_id, mailbox.id, mailbox.generation)
            self.ports.filing.mailboxes.note_outbound(fence, error)

    def _come_back(self) -> None:
        """See that somebody comes back to what was left in time, or let go of its content."""
        at = self.send.comes_up_at
        if at is None:
            self.ports.outgoing.delete(self.ref)
            return
        delay = max(0, int((at - self._now()).total_seconds()) + 1)
        if delay <= LONGEST_QUEUE_DELAY_SECONDS:
            request = SendRequest(self.ref.tenant_id, self.ref.mailbox_id, self.ref.send_id)
            self.ports.queues.send_sends([request], delay_seconds=delay)

    def _write(self, send: Send) -> None:
        self.ports.sends.write(send, now=self._now())
        self.send = send

    # ---- what it is made of ----

    def _mail(self) -> Outgoing | None:
        if self.content is None:
            self.content = self.ports.outgoing.get(self.ref, self.send.digest)
        return None if self.content is None else self._outgoing(self.content)

    def _outgoing(self, content: bytes) -> Outgoing:
        send = self.send
        return Outgoing(
            send_id=send.id,
            internet_message_id=send.internet_message_id,
            sender=send.sender,
            recipients=send.waiting,
            content=content,
            blind_copy=self.ports.composer.with_bcc(content, send.blind) if content else b"",
            provider_thread_id=send.provider_thread_id,
            handed_over_at=send.handed_over_at,
        )

    def _now(self) -> datetime:
        return self.ports.filing.clock.now()
