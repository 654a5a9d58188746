"""Decides which work the units are counted for: real sync runs on the real adapters, over moto."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, NoReturn

from shared.domain.erasure import KeptOut
from shared.domain.ids import MailboxId, RunId, TenantId
from shared.domain.ledger import Ledger
from shared.domain.mail_server import ImapGrant, ServerLogin
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.run import RunReason
from shared.domain.secret import Secret
from shared.mime.parse import MimeParser
from shared.operations.access import Grants, keep_grant
from shared.operations.gate import Gate
from shared.operations.ingest import Ingest
from shared.operations.note_dead_letters import DeadLetters
from shared.operations.outcomes import SyncReport
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.queues import SyncRequest
from tests.fakes.backends import TABLE, Stores, on_aws, table_definition
from tests.fakes.clock import FixedClock
from tests.fakes.provider import FakeMailServer
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.values import connected, lease_of
from tests.performance.synthetic_mail import OWNER, Made
from tests.performance.units import Figures, Meter

_NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class NotAsExpectedError(Exception):
    """The run did something other than what is to be priced."""


def run(mail: Sequence[Made], folders: Iterable[str]) -> Figures:
    """Return units a stored message, a message already stored, and an idle poll."""
    with on_aws() as stores, closing(_metered(stores)) as meter:
        if stores.clients is None:
            raise NotAsExpectedError("no clients")
        objects: Counter[str] = Counter()
        stores.clients.s3.meta.events.register(
            "before-call.s3", lambda model, **_: objects.update([model.name])
        )
        work = _Work(stores, folders)
        for one in mail:
            work.server.deliver(one.folder, one.raw, one.received_at, seen="\\Seen" in one.flags)
        meter.reset()
        while (report := work.sync()).kind == "done" and work.queues.take_syncs():
            pass
        if report.kind != "done" or work.live_copies() != len(mail):
            raise NotAsExpectedError(f"{report.kind}: {work.live_copies()} of {len(mail)}")
        stored = {
            "written": _each(meter.written, len(mail)),
            "read": _each(meter.read, len(mail)),
            "objects": sum(n for name, n in objects.items() if name != "HeadObject") / len(mail),
        }
        meter.reset()
        skipped_count = work.take_in_again()
        skipped = {
            "written": _each(meter.written, skipped_count),
            "read": _each(meter.read, skipped_count),
        }
        work.clock.advance(minutes=5)
        # The first poll after a run may still have something to end.
        work.sync()
        work.clock.advance(minutes=5)
        meter.reset()
        if work.sync().kind != "idle":
            raise NotAsExpectedError("the poll was not idle")
        idle = {"written": dict(meter.written), "read": dict(meter.read)}
    if not stored["written"] or not idle["written"]:
        raise NotAsExpectedError("nothing was priced")
    return {"messages": len(mail), "stored": stored, "skipped": skipped, "idle": idle}


def _metered(stores: Stores) -> Meter:
    if stores.table is None:
        raise NotAsExpectedError("no table")
    return Meter(stores.table.client, TABLE, table_definition()["GlobalSecondaryIndexes"])


class _Work:
    """One mailbox, its server in memory, its stores on moto."""

    def __init__(self, stores: Stores, folders: Iterable[str]) -> None:
        self.stores = stores
        self.server = FakeMailServer.with_folders(*folders)
        self.clock = FixedClock(_NOW)
        self.queues = RecordingWorkQueues()
        secrets = InMemorySecretStore()
        self.grants = Grants(secrets, _nobody_signs_in, None, self.clock)
        self.parser = MimeParser()
        record = connected(
            stores.mailboxes,
            address=OWNER,
            backfill_days=0,
            history_from=datetime(2000, 1, 1, tzinfo=UTC),
            active_folders=None,
        )
        self.mailbox: Mailbox = record.mailbox
        server = self.mailbox.imap
        if server is None:
            raise NotAsExpectedError("no server")
        login = ServerLogin(server, Secret("not-a-real-password"))
        keep_grant(self.mailbox, ImapGrant(login, login), secrets=secrets)

    def sync(self) -> SyncReport:
        """Run once, as the function does for one request."""
        tenant, mailbox = TenantId(self.mailbox.tenant_id), MailboxId(self.mailbox.id)
        self.clock.advance(seconds=1)
        return sync_mailbox(
            SyncRequest(tenant, mailbox, RunReason.SCHEDULE),
            mailboxes=self.stores.mailboxes,
            messages=self.stores.messages,
            attachments=self.stores.attachments,
            letters=self.stores.letters,
            contacts=self.stores.contacts,
            policies=self.stores.policies,
            sends=self.stores.sends,
            backfills=self.stores.backfills,
            grants=self.grants,
            queues=self.queues,
            provider_of=lambda _: self.server,
            parser=self.parser,
            clock=self.clock,
            rng=random.Random(1),
            remaining_seconds=lambda: 900.0,
        )

    def live_copies(self) -> int:
        """Return how many copies are stored."""
        return len(self.stores.messages.live_ids(self.mailbox.tenant_id, self.mailbox.id))

    def take_in_again(self) -> int:
        """Have every message listed once more, as a chunk delivered twice; return how many."""
        record = self.stores.mailboxes.get(self.mailbox.tenant_id, self.mailbox.id)
        if record is None:
            raise NotAsExpectedError("no mailbox")
        self.clock.advance(minutes=10)
        ledger = Ledger()
        lease = lease_of(self.stores.mailboxes, record, at=self.clock.now())
        session = _session(self.server)
        letters = DeadLetters(
            fence=lease.fence,
            run_id=RunId("again"),
            session=session,
            letters=self.stores.letters,
            now=self.clock.now,
            remaining_seconds=lambda: 900.0,
            kept_out=KeptOut,
        )
        ingest = Ingest(
            mailbox=record.mailbox,
            fence=lease.fence,
            session=session,
            parser=self.parser,
            messages=self.stores.messages,
            attachments=self.stores.attachments,
            ledger=ledger,
            remaining_seconds=lambda: 900.0,
            folders={fake.folder.id: fake.folder for fake in self.server.folders.values()},
            since=datetime(2000, 1, 1, tzinfo=UTC),
            dead_letters=letters,
            gate=Gate(record.mailbox.tenant_id, self.stores.messages, self.stores.policies),
            contacts=self.stores.contacts,
        )
        for name, fake in self.server.folders.items():
            ids = sorted(self.server.ids(name, since=datetime(2000, 1, 1, tzinfo=UTC)))
            for start in range(0, len(ids), 250):
                ingest.take_in(fake.folder, ids[start : start + 250])
        counts = ledger.counts()
        if counts.stored or not counts.already_stored:
            raise NotAsExpectedError("something was stored twice")
        self.clock.advance(minutes=10)
        return counts.already_stored


def _nobody_signs_in(provider: Provider) -> NoReturn:
    raise NotAsExpectedError(f"a sign-in at {provider}")


def _session(server: FakeMailServer) -> Any:
    with server.open("grant") as session:
        return session


def _each(units: Mapping[str, float], count: int) -> dict[str, float]:
    return {name: value / count for name, value in units.items() if value}
