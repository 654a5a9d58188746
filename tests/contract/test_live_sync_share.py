"""New mail beside a large import, at a provider that counts: a minute's quota has room for both."""

from collections import deque
from dataclasses import replace
from datetime import timedelta

from shared.domain.backfill import BackfillState
from shared.domain.mailbox import StoredMail
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.operations.contacts import NewContact, put_contact
from shared.ports.queues import SyncRequest
from tests.contract.provider_worlds import NOW
from tests.contract.test_gmail_operations import Imported
from tests.fakes.clock import FixedClock
from tests.unit.operations.machine import ADA

OLD = 800
QUOTA = 6_000
STEP_SECONDS = 5


class Busy:
    """A mailbox that gets a mail a minute while a year of it is imported."""

    def __init__(self, gmail, *, units_per_minute, store=StoredMail.ALL):
        gmail.simulator.limits.user_units = QUOTA
        for number in range(OLD):
            received_at = NOW - timedelta(days=30, minutes=number)
            gmail.theirs.deliver(number, received_at=received_at)
        self.gmail = gmail
        self.imported = Imported(gmail, days=0)
        self.machine = self.imported.machine
        boxes, place = self.machine.world.mailboxes, self.imported.place
        boxes[place] = replace(boxes[place], store=store, contacts_since=self.machine.clock.now())
        self.machine.gmail_units_per_minute = units_per_minute
        self.machine.clock.advance(60)
        gmail.simulator.clock.advance(60)
        self.backfill = self.imported.begin(365)
        self.waiting = deque()
        self.new = 0

    def step(self, second):
        """Let some seconds pass, then do what is due, as the queues would hand it out."""
        queues, clock = self.machine.queues, self.machine.clock
        clock.advance(STEP_SECONDS)
        self.gmail.simulator.clock.advance(STEP_SECONDS)
        delays = queues.delays[:]
        for delay, request in zip(delays, queues.take_chunks(), strict=True):
            self.waiting.append((clock.now() + timedelta(seconds=delay), request))
        for _ in range(len(self.waiting)):
            due, request = self.waiting.popleft()
            if due <= clock.now():
                self.machine.run_chunk(request)
            else:
                self.waiting.append((due, request))
        if second % 60 == 0:
            self.new += 1
            self.gmail.theirs.deliver(OLD + self.new, received_at=clock.now())
            return self.machine.sync(SyncRequest(*self.imported.place, RunReason.SCHEDULE))
        return None

    @property
    def state(self):
        stored = self.machine.world.backfills[self.imported.place]
        return stored[self.backfill.id].state

    def run(self):
        """Return every poll's report until the import is done."""
        polls = []
        for second in range(0, 3_600, STEP_SECONDS):
            if (report := self.step(second)) is not None:
                polls.append(report)
            if self.state is BackfillState.DONE:
                return polls
        raise AssertionError("the import does not end")

    def refusals(self):
        """What the quota refused, also where it was waited for."""
        return [one for one in self.gmail.simulator.log.entries() if one.status in {403, 429}]


def test_every_new_mail_comes_at_its_poll_while_an_import_runs(gmail):
    busy = Busy(gmail, units_per_minute=QUOTA)
    polls = busy.run()
    assert len(polls) >= 3
    assert [poll.run.counts.stored for poll in polls] == [1] * len(polls)
    assert busy.refusals() == []
    assert len(busy.imported.held) == OLD + busy.new


def test_an_import_that_kept_no_room_would_be_refused(gmail):
    """That the test above can fail: with a pace for twice the quota it does."""
    busy = Busy(gmail, units_per_minute=2 * QUOTA)
    busy.run()
    assert busy.refusals()


def test_of_contacts_mail_each_header_counts_beside_the_mail(gmail):
    busy = Busy(gmail, units_per_minute=QUOTA, store=StoredMail.CONTACTS_ONLY)
    machine = busy.machine
    machine.parser = MimeParser()
    ann = NewContact("ann", "Ann", ["ann@customer.example"], {})
    put_contact(ADA, ann, contacts=machine.contacts, clock=FixedClock(NOW - timedelta(days=1)))
    polls = busy.run()
    assert [poll.run.counts.stored for poll in polls] == [1] * len(polls)
    assert busy.refusals() == []
    assert len(busy.imported.held) == OLD + busy.new
