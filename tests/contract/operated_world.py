"""A provider's world behind a mailbox that is connected: its operations, and our copies of it."""

from dataclasses import replace
from types import SimpleNamespace

from shared.domain.mailbox import Provider
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.operations.preview_backfill import preview_backfill
from shared.operations.start_backfill import start_backfill
from shared.ports.queues import AuditRequest, SyncRequest
from tests.contract.provider_worlds import NOW
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.machine import ADA, Machine


class Operated:
    """What is connected and nothing more: `machine.drain()` works off what that asks for."""

    def __init__(self, there, provider: Provider, *, days: int, **settings) -> None:
        self.there = there
        self.machine = Machine(FakeMailServer.with_folders("INBOX"))
        self.machine.clock.at = NOW
        self.machine.grants = SimpleNamespace(of=lambda _mailbox: there.grant)
        box = self.machine.connect(days=days, **settings)
        self.place = (box.tenant_id, box.id)
        boxes = self.machine.world.mailboxes
        boxes[self.place] = replace(boxes[self.place], provider=provider)
        self.machine.server = there.provider

    @property
    def copies(self):
        return self.machine.world.copies.get(self.place, {})

    @property
    def live(self):
        return {name: one for name, one in self.copies.items() if one.removed_at is None}

    @property
    def held(self):
        """In which folders each message lies, as we have it."""
        return {name: set(one.folder_ids) for name, one in self.live.items()}

    def begin(self, days):
        """Start an import and plan it."""
        backfill = start_backfill(
            ADA,
            self.place[1],
            days,
            mailboxes=self.machine.mailboxes,
            backfills=self.machine.backfills,
            queues=self.machine.queues,
            clock=self.machine.clock,
        )
        for request in self.machine.queues.take_plans():
            self.machine.plan(request)
        return backfill

    def extend(self, days):
        """Import further back, to the end; return the backfill."""
        self.machine.clock.advance(1)
        backfill = self.begin(days)
        self.machine.drain()
        return self.machine.world.backfills[self.place][backfill.id]

    def preview(self):
        return preview_backfill(
            ADA,
            self.place[1],
            mailboxes=self.machine.mailboxes,
            backfills=self.machine.backfills,
            contacts=self.machine.contacts,
            policies=self.machine.policies,
            grants=self.machine.grants,
            provider_of=lambda _provider: self.machine.server,
            parser=MimeParser(),
            clock=self.machine.clock,
            gmail_units_per_minute=6_000,
        )

    def poll(self):
        self.machine.clock.advance(minutes=5)
        self.machine.queues.send_syncs([SyncRequest(*self.place, RunReason.SCHEDULE)])
        self.machine.drain()
        return self.machine.reports[-1]

    def audit(self):
        """Audit, and work off what that asks for."""
        self.machine.clock.advance(minutes=1)
        report = self.machine.audit(AuditRequest(*self.place, self.machine.clock.now()))
        self.machine.drain()
        return report.audit

    def walk(self, audits=32):
        """Audit for a month."""
        found = []
        for _ in range(audits):
            self.machine.clock.advance(days=1)
            found.append(self.audit())
        return found
