"""What the tenant's policy keeps out is fetched once, stored nowhere, and said by its reason."""

from dataclasses import replace

import pytest

from shared.api.schemas.mailboxes import RunShown
from shared.domain import ledger
from shared.domain.backfill import BackfillKind
from shared.domain.policy import Automated, TenantPolicy
from shared.domain.run import RunReason
from shared.operations.start_backfill import start_backfill
from shared.ports.queues import AuditRequest, SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.machine import ADA, TENANT, Killer, Machine, mail

POLICY = TenantPolicy(
    own_domains=("acme.example",), blocklist=("*@spam.example",), automated=Automated.SKIP
)
OUT = {
    "internal": {"sender": "bob@acme.example"},
    "blocked": {"sender": "eve@spam.example"},
    "automated": {"extra": "Precedence: bulk\r\n"},
}


class Filtered:
    """A mailbox of a tenant with a policy."""

    def __init__(self, killer=None):
        self.machine = Machine(FakeMailServer.with_folders("INBOX", "Sent"), killer)
        self.number = 0
        self.set(POLICY)

    def set(self, policy):
        self.machine.policies.put_policy(TENANT, policy, expected_version=None)

    def deliver(self, *, at=None, **said):
        self.number += 1
        at = at or self.machine.clock.now()
        extra = said.pop("extra", "") + "X-Attachment: words\r\n"
        self.machine.server.deliver("INBOX", mail(self.number, at, extra=extra, **said), at)

    def deliver_each(self):
        for said in ({}, *OUT.values()):
            self.deliver(**said)

    def connect(self, **wishes):
        self.box = self.machine.connect(**wishes)
        self.machine.drain()

    def sync(self):
        self.machine.clock.advance(minutes=30)
        request = SyncRequest(TENANT, self.box.id, RunReason.SCHEDULE)
        self.machine.queues.send_syncs([request])
        self.machine.drain()

    def import_(self):
        machine = self.machine
        start_backfill(
            ADA, self.box.id, 30, mailboxes=machine.mailboxes, backfills=machine.backfills,
            queues=machine.queues, clock=machine.clock,
        )  # fmt: skip
        machine.drain()

    @property
    def skipped(self):
        runs = self.machine.world.runs.get((TENANT, self.box.id), {}).values()
        return [dict(run.counts.skipped) for run in runs if run.counts.skipped]

    @property
    def backfills(self):
        return list(self.machine.world.backfills.get((TENANT, self.box.id), {}).values())


@pytest.fixture
def filtered():
    return Filtered()


ONE_EACH = dict.fromkeys(OUT, 1)


def test_a_sync_leaves_out_what_the_policy_says_and_keeps_nothing_of_it(filtered):
    filtered.connect(days=0)
    filtered.deliver_each()
    filtered.sync()
    assert filtered.skipped == [ONE_EACH]
    world = filtered.machine.world
    assert [one.subject for one in world.messages.values()] == ["Message 1"]
    assert len(world.attachments) == len(world.bodies) == 1
    assert {address for _, address in world.index} == {"kim@customer.example"}


def test_an_import_leaves_out_the_same(filtered):
    filtered.deliver_each()
    filtered.connect(days=30)
    assert filtered.skipped == [ONE_EACH]
    (backfill,) = filtered.backfills
    assert (backfill.counts.skipped, backfill.counts.stored) == (ONE_EACH, 1)
    assert len(filtered.machine.world.attachments) == 1


def test_what_machines_send_is_stored_unless_the_policy_says_otherwise(filtered):
    filtered.set(replace(POLICY, automated=Automated.STORE))
    filtered.connect(days=0)
    filtered.deliver_each()
    filtered.sync()
    assert filtered.skipped == [{"internal": 1, "blocked": 1}]


def test_a_run_says_in_words_why_it_left_something_out(filtered):
    filtered.deliver_each()
    filtered.connect(days=30)
    (run,) = (
        run
        for run in filtered.machine.world.runs[TENANT, filtered.box.id].values()
        if run.counts.skipped
    )
    assert RunShown.of(run).message == (
        "Messages: 1 stored, 1 left out as internal, 1 left out as blocked, "
        "1 left out as automated."
    )


def test_every_reason_to_skip_has_words_for_it():
    reasons = {
        value for name, value in vars(ledger).items() if name.isupper() and isinstance(value, str)
    }
    assert reasons == set(ledger.LEFT_OUT)


def test_the_policy_is_read_once_by_a_run_and_by_none_that_finds_nothing(filtered, monkeypatch):
    filtered.connect(days=0)
    reads = []
    get_policy = filtered.machine.policies.inner.get_policy

    def counted(tenant_id):
        reads.append(tenant_id)
        return get_policy(tenant_id)

    monkeypatch.setattr(filtered.machine.policies.inner, "get_policy", counted)
    filtered.sync()
    assert reads == []
    filtered.deliver_each()
    filtered.machine.server.deliver(
        "Sent", mail(99, filtered.machine.clock.now()), filtered.machine.clock.now()
    )
    filtered.sync()
    assert reads == [TENANT]


def test_no_audit_misses_what_was_left_out_however_long_ago(filtered):
    filtered.deliver_each()
    filtered.connect(days=30)
    for _ in range(40):
        filtered.deliver(**OUT["blocked"])
        filtered.sync()
        filtered.machine.clock.advance(days=1)
    fetched = len(filtered.machine.server.fetched)
    for _ in range(60):
        filtered.machine.clock.advance(days=1)
        filtered.sync()
        filtered.machine.audit(AuditRequest(TENANT, filtered.box.id, filtered.machine.clock.now()))
        filtered.machine.drain()
    audits = [report.audit for report in filtered.machine.audit_reports]
    assert {audit.missing for audit in audits} == {0}
    assert max(audit.ledgered for audit in audits) > 1, "the oldest were looked at too"
    assert audits[-1].whole_mailbox_checked_at is not None
    assert len(filtered.machine.server.fetched) == fetched
    assert [one.kind for one in filtered.backfills] == [BackfillKind.IMPORT]


def test_what_a_former_policy_left_out_comes_with_the_next_import(filtered):
    filtered.deliver_each()
    filtered.connect(days=30)
    filtered.set(TenantPolicy())
    filtered.sync()
    assert len(filtered.machine.world.messages) == 1
    filtered.import_()
    assert len(filtered.machine.world.messages) == 4


def test_a_narrower_policy_takes_nothing_away_that_is_stored(filtered):
    filtered.set(TenantPolicy())
    filtered.deliver_each()
    filtered.connect(days=30)
    filtered.set(POLICY)
    filtered.import_()
    assert len(filtered.machine.world.messages) == 4
    assert filtered.skipped == []


def test_dying_at_any_effect_leaves_out_the_same():
    def life(killer):
        filtered = Filtered(killer)
        filtered.deliver_each()
        filtered.connect(days=30)
        at = FixedClock().now()
        for said in ({}, *OUT.values()):
            filtered.deliver(at=at, **said)
        filtered.sync()
        # The sweeper sends what a death left unsent.
        filtered.machine.tick(40)
        return filtered.machine

    calm = life(Killer())
    begun = calm.killer.seen.index("InMemoryMailboxStore.take_lease")
    for at in range(begun, calm.killer.count):
        assert life(Killer(at=at)).fingerprint() == calm.fingerprint(), calm.killer.seen[at]
