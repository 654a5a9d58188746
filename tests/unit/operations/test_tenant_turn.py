"""How a tenant with many imports leaves workers to a tenant with one, however unfair the queue is."""

import queue
import threading
from collections import Counter
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillState
from shared.domain.connecting import Wishes
from shared.domain.errors import ErrorCode
from shared.domain.ids import TenantId, UserId
from shared.domain.visibility import Viewer
from shared.operations.connect_mailbox import ConnectPolicy, ConnectRequest, connect_mailbox
from shared.operations.maintain_mailboxes import release_lost_chunks
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import Machine, login, mail

NOW = FixedClock().now()
GREEDY, SMALL = TenantId("greedy"), TenantId("small")
WORKERS = 4
CHUNKS = 6
FETCH = FakeSession.fetch


class Worker(threading.Thread):
    """One invocation: it tells when it begins to fetch, and fetches when it is let go on."""

    def __init__(self, stack, request):
        super().__init__(daemon=True)
        self.stack, self.request = stack, request
        self.may_fetch = threading.Event()

    def run(self):
        try:
            self.stack.machine.run_chunk(self.request)
        finally:
            self.stack.events.put("ended")

    def go_on(self):
        self.may_fetch.set()
        assert self.stack.events.get(timeout=10) == "ended"


def fetch_when_told(session, folder, ids):
    worker = threading.current_thread()
    worker.stack.events.put("begun")
    assert worker.may_fetch.wait(10)
    yield from FETCH(session, folder, ids)


class Stack:
    """Workers at one queue that is first come, first served; a chunk takes a minute."""

    def __init__(self, monkeypatch, *, most_of_a_tenant):
        monkeypatch.setattr("shared.operations.plan_backfill.CHUNK_SIZE", 2)
        monkeypatch.setattr(FakeSession, "fetch", fetch_when_told)
        server = FakeMailServer.with_folders("INBOX")
        for number in range(2 * CHUNKS):
            at = NOW - timedelta(days=1, minutes=number)
            server.deliver("INBOX", mail(number, at), at)
        self.machine = Machine(server)
        self.machine.chunks_of_a_tenant = most_of_a_tenant
        self.events = queue.Queue()
        self.most_at_work = Counter()

    def imports(self, tenant, mailboxes):
        for number in range(mailboxes):
            address = f"{number}@{tenant}.example"
            machine = self.machine
            connect_mailbox(
                Viewer(tenant, UserId("ada")),
                ConnectRequest(address, login(), login(), Wishes(backfill_days=30)),
                tester=machine.tester,
                mailboxes=machine.mailboxes,
                backfills=machine.backfills,
                secrets=machine.secrets,
                queues=machine.queues,
                clock=machine.clock,
                policy=ConnectPolicy(),
            )
        for request in self.machine.queues.take_plans():
            self.machine.plan(request)

    def minute(self):
        at_work = []
        while self.machine.queues.chunks and len(at_work) < WORKERS:
            worker = Worker(self, self.machine.queues.chunks.pop(0))
            worker.start()
            if self.events.get(timeout=10) == "begun":
                at_work.append(worker)
        for tenant, number in Counter(one.request.tenant_id for one in at_work).items():
            self.most_at_work[tenant] = max(number, self.most_at_work[tenant])
        self.machine.clock.advance(minutes=1)
        for worker in at_work:
            worker.go_on()
        release_lost_chunks(
            mailboxes=self.machine.mailboxes,
            backfills=self.machine.backfills,
            queues=self.machine.queues,
            clock=self.machine.clock,
        )

    def backfills(self, tenant):
        return [
            backfill
            for (of, _mailbox), stored in self.machine.world.backfills.items()
            for backfill in stored.values()
            if of == tenant
        ]

    def minutes_until_done(self, tenant):
        for minutes in range(500):
            if all(one.state is BackfillState.DONE for one in self.backfills(tenant)):
                return minutes
            self.minute()
        raise AssertionError("an import never ends")


@pytest.fixture
def stack(monkeypatch):
    return lambda most_of_a_tenant: Stack(monkeypatch, most_of_a_tenant=most_of_a_tenant)


def minutes_of_a_small_tenant(stack, *, beside):
    stack.imports(GREEDY, beside)
    stack.minute()
    stack.imports(SMALL, 1)
    return stack.minutes_until_done(SMALL)


def test_a_small_tenants_import_is_as_fast_beside_a_greedy_tenants_as_alone(stack):
    alone = minutes_of_a_small_tenant(stack(2), beside=0)
    assert minutes_of_a_small_tenant(stack(2), beside=12) == alone
    # What it would be if one tenant could take every worker.
    assert minutes_of_a_small_tenant(stack(WORKERS), beside=12) > 5 * alone


def test_a_tenant_never_has_more_chunks_at_work_than_it_may_and_all_its_imports_end(stack):
    one = stack(2)
    one.imports(GREEDY, 5)
    minutes = one.minutes_until_done(GREEDY)
    assert one.most_at_work == {GREEDY: 2}
    # Every worker it may have was at work in every minute but a few.
    assert minutes <= 5 * CHUNKS / 2 * 1.5
    for backfill in one.backfills(GREEDY):
        assert backfill.counts.balances
        assert (backfill.counts.listed, backfill.code) == (backfill.planned, None)


def test_an_import_that_waits_for_its_turn_says_so_and_until_when(stack):
    one = stack(2)
    one.imports(GREEDY, 5)
    one.minute()
    now = one.machine.clock.now()
    waiting = [each for each in one.backfills(GREEDY) if each.state is BackfillState.WAITING]
    assert len(waiting) >= 3
    assert {backfill.code for backfill in waiting} == {ErrorCode.WAITING_FOR_TURN}
    assert all(now <= backfill.waiting_until <= now + timedelta(minutes=1) for backfill in waiting)


def test_requests_that_wait_for_a_turn_do_not_become_more(stack):
    one = stack(2)
    one.imports(GREEDY, 12)
    for _ in range(20):
        one.minute()
        waits = len(one.machine.queues.chunks)
        assert waits <= 12 * 2
        # Each was delivered twice, as queues may.
        one.machine.queues.chunks += one.machine.queues.chunks
    one.minutes_until_done(GREEDY)
    assert one.most_at_work == {GREEDY: 2}


def test_a_worker_that_dies_holds_up_its_tenant_no_longer_than_a_worker_lives(stack):
    one = stack(1)
    one.imports(GREEDY, 2)
    slots = one.machine.slots.inner
    slots.take_slot(GREEDY, owner="dead", most=1, now=one.machine.clock.now(), seconds=130)
    one.minute()
    one.minute()
    assert not one.most_at_work
    one.minutes_until_done(GREEDY)
