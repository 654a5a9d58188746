"""One mailbox's whole world in memory: operations over fakes, driven by the queues until all is quiet.

A `Killer` stands before every side effect and can end the process at any of them.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime

from shared.domain.connecting import Wishes
from shared.domain.dead_letter import DeadLetter
from shared.domain.ids import LetterId, MailboxId, TenantId, UserId
from shared.domain.mail_server import Security, ServerLogin, ServerSettings, Verdict
from shared.domain.mailbox import Mailbox
from shared.domain.schedule import AS_WISHED
from shared.domain.secret import Secret
from shared.domain.visibility import Viewer
from shared.operations.access import Grants
from shared.operations.audit_mailbox import AuditPorts, AuditReport, audit_mailbox
from shared.operations.connect_mailbox import ConnectPolicy, ConnectRequest, connect_mailbox
from shared.operations.disconnect_mailbox import disconnect_mailbox
from shared.operations.maintain_mailboxes import release_lost_chunks
from shared.operations.plan_backfill import plan_backfill
from shared.operations.reconnect_mailbox import ReconnectRequest, reconnect_mailbox
from shared.operations.replay_dead_letters import (
    Replay,
    ReplayPorts,
    replay_dead_letter,
    replay_dead_letters,
)
from shared.operations.run_backfill_chunk import ChunkPorts, run_backfill_chunk
from shared.operations.schedule_sync import schedule_sync
from shared.operations.sync_mailbox import sync_mailbox
from shared.ports.queues import AuditRequest, SyncRequest
from tests.fakes.attempts import InMemoryGrantHolders
from tests.fakes.audits import InMemoryAuditStore
from tests.fakes.clock import FixedClock
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.parser import PlainParser
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.provider import FakeMailServer
from tests.fakes.push import InMemoryPushStore
from tests.fakes.queues import RecordingTickRelay, RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.sends import InMemoryOutgoingStore, InMemorySendStore
from tests.fakes.slots import InMemoryChunkSlots
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryBackfillStore,
    InMemoryContactStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

TENANT = TenantId("acme")
ADA = Viewer(TENANT, UserId("ada"))
OWN_ADDRESS = "ada@acme.example"

EFFECTS = [
    "claim",
    "keep",
    "let_end",
    "forget",
    "ask",
    "create",
    "reserve_",
    "place_",
    "save_",
    "disconnect",
    "reconnect",
    "request_run",
    "take",
    "mark_",
    "finish_",
    "fail_",
    "add_folders",
    "set_",
    "note",
    "keep_",
    "put",
    "start_",
    "raise_",
    "give_",
    "save",
    "remove_",
    "send_",
    "delete",
    "write",
    "cancel",
]


class Death(BaseException):
    """The process ended here. Not an Exception: nothing may catch it."""


@dataclass
class Killer:
    """Counts side effects; dies before (or after) number `at`."""

    at: int | None = None
    after: bool = False
    count: int = 0
    seen: list[str] = field(default_factory=list)
    ends: Callable[..., BaseException] = Death

    def guard(self, name: str, effect: Callable):
        def guarded(*args, **kwargs):
            number = self.count
            self.count += 1
            self.seen.append(name)
            if number == self.at and not self.after:
                raise self.ends(name)
            result = effect(*args, **kwargs)
            if number == self.at:
                raise self.ends(name)
            return result

        return guarded


@dataclass
class Guarded:
    """A port whose side effects pass the killer."""

    inner: object
    killer: Killer

    def __getattr__(self, name: str):
        attribute = getattr(self.inner, name)
        if name == "listen" or any(name.startswith(prefix) for prefix in EFFECTS):
            return self.killer.guard(f"{type(self.inner).__name__}.{name}", attribute)
        return attribute


class AcceptingTester:
    """A tester that finds whatever the fake server has."""

    def __init__(self, server: FakeMailServer) -> None:
        self.server = server
        self.imap = self.smtp = None

    def test_imap(self, login: ServerLogin) -> Verdict:
        if self.imap is not None:
            return Verdict(self.imap)
        return Verdict(folders=tuple(f.folder for f in self.server.folders.values()))

    def test_smtp(self, login: ServerLogin) -> Verdict:
        return Verdict(self.smtp)


def login(host: str = "imap.acme.example", password: str = "not-a-real-password") -> ServerLogin:
    return ServerLogin(ServerSettings(host, 993, Security.TLS, OWN_ADDRESS), Secret(password))


def no_sign_in(provider):
    raise AssertionError(f"nobody signs in at {provider} here")


class Machine:
    """Everything around one fake mail server."""

    def __init__(self, server: FakeMailServer, killer: Killer | None = None) -> None:
        self.server = server
        self.killer = killer or Killer()
        self.clock = FixedClock()
        self.world = World()
        self.queues = RecordingWorkQueues()
        self.secret_store = InMemorySecretStore()
        self.tester = AcceptingTester(server)
        self.parser = PlainParser()
        self.rng = random.Random(1)
        self.seconds_left = 100.0
        self.gmail_units_per_minute = 6_000
        self.chunks_of_a_tenant = 10
        self.reports = []
        self.audit_reports = []
        guard = lambda inner: Guarded(inner, self.killer)  # noqa: E731
        self.push = guard(InMemoryPushStore(self.world))
        self.watching = None
        self.cadence = AS_WISHED
        self.mailboxes = guard(InMemoryMailboxStore(self.world))
        self.backfills = guard(InMemoryBackfillStore(self.world))
        self.slots = guard(InMemoryChunkSlots())
        self.audits = guard(InMemoryAuditStore(self.world))
        self.messages = guard(InMemoryMessageStore(self.world))
        self.attachments = guard(InMemoryAttachmentStore(self.world))
        self.letters = guard(InMemoryDeadLetterStore(self.world))
        self.policies = guard(InMemoryPolicyStore(self.world))
        self.sends = guard(InMemorySendStore(self.world))
        self.contacts = guard(InMemoryContactStore(self.world))
        self.secrets = guard(self.secret_store)
        self.grants = Grants(self.secrets, no_sign_in, None, self.clock)
        self.holders = guard(InMemoryGrantHolders())
        self.guarded_queues = guard(self.queues)

    # what people do

    def connect(self, *, days: int = 30, **settings) -> Mailbox:
        request = ConnectRequest(
            OWN_ADDRESS,
            login(),
            login("smtp.acme.example"),
            Wishes(backfill_days=days, **settings),
        )
        return connect_mailbox(
            ADA,
            request,
            tester=self.tester,
            mailboxes=self.mailboxes,
            backfills=self.backfills,
            secrets=self.secrets,
            queues=self.guarded_queues,
            clock=self.clock,
            policy=ConnectPolicy(),
        )

    def reconnect(self, mailbox_id: MailboxId, password: str = "another-false-password") -> Mailbox:
        return reconnect_mailbox(
            ADA,
            mailbox_id,
            ReconnectRequest(login(password=password), login(password=password)),
            tester=self.tester,
            mailboxes=self.mailboxes,
            secrets=self.secrets,
            queues=self.guarded_queues,
            policy=ConnectPolicy(),
        )

    def disconnect(self, mailbox_id: MailboxId) -> None:
        disconnect_mailbox(
            ADA,
            mailbox_id,
            mailboxes=self.mailboxes,
            backfills=self.backfills,
            sends=InMemorySendStore(self.world),
            outgoing=InMemoryOutgoingStore(self.world),
            grants=self.grants,
            holders=self.holders,
            push=self.push,
            provider_of=lambda _provider: self.server,
            clock=self.clock,
        )

    def replay(
        self, mailbox_id: MailboxId, letter_id: LetterId | None = None, viewer=ADA, **named
    ) -> Replay:
        ports = ReplayPorts(
            mailboxes=self.mailboxes,
            backfills=self.backfills,
            letters=self.letters,
            queues=self.guarded_queues,
            clock=self.clock,
        )
        if letter_id is None:
            return replay_dead_letters(viewer, mailbox_id, ports=ports, **named)
        return replay_dead_letter(viewer, mailbox_id, letter_id, ports=ports)

    # what functions do

    def sync(self, request: SyncRequest, *, asked_at: datetime | None = None):
        report = sync_mailbox(
            request,
            mailboxes=self.mailboxes,
            messages=self.messages,
            attachments=self.attachments,
            letters=self.letters,
            contacts=self.contacts,
            policies=self.policies,
            sends=self.sends,
            backfills=self.backfills,
            grants=self.grants,
            queues=self.guarded_queues,
            provider_of=lambda _provider: self.server,
            parser=self.parser,
            clock=self.clock,
            rng=self.rng,
            remaining_seconds=lambda: self.seconds_left,
            gmail_units_per_minute=self.gmail_units_per_minute,
            asked_at=asked_at,
            cadence=self.cadence,
            watching=self.watching,
        )
        self.reports.append(report)
        return report

    def plan(self, request) -> None:
        plan_backfill(
            request,
            mailboxes=self.mailboxes,
            messages=self.messages,
            backfills=self.backfills,
            contacts=self.contacts,
            policies=self.policies,
            grants=self.grants,
            queues=self.guarded_queues,
            provider_of=lambda _provider: self.server,
            clock=self.clock,
            rng=self.rng,
        )

    def audit(self, request: AuditRequest) -> AuditReport:
        report = audit_mailbox(
            request,
            ports=AuditPorts(
                mailboxes=self.mailboxes,
                messages=self.messages,
                audits=self.audits,
                backfills=self.backfills,
                grants=self.grants,
                queues=self.guarded_queues,
                provider_of=lambda _provider: self.server,
                clock=self.clock,
                rng=self.rng,
            ),
        )
        self.audit_reports.append(report)
        return report

    def run_chunk(self, request) -> None:
        ports = ChunkPorts(
            mailboxes=self.mailboxes,
            backfills=self.backfills,
            slots=self.slots,
            messages=self.messages,
            attachments=self.attachments,
            letters=self.letters,
            contacts=self.contacts,
            policies=self.policies,
            sends=self.sends,
            grants=self.grants,
            queues=self.guarded_queues,
            provider_of=lambda _provider: self.server,
            parser=self.parser,
            clock=self.clock,
            rng=self.rng,
            remaining_seconds=lambda: self.seconds_left,
            gmail_units_per_minute=self.gmail_units_per_minute,
            chunks_of_a_tenant=self.chunks_of_a_tenant,
        )
        self.reports.append(run_backfill_chunk(request, ports=ports))

    def drain(self) -> None:
        """Work the queues off as Lambda would: a consumer that dies has its message delivered again."""
        for _ in range(500):
            work = [(self.sync, request) for request in self.queues.take_syncs()]
            work += [(self.plan, request) for request in self.queues.take_plans()]
            work += [(self.audit, request) for request in self.queues.take_audits()]
            work += [(self.run_chunk, request) for request in self.queues.take_chunks()]
            if not work:
                return
            for consume, request in work:
                try:
                    consume(request)
                except Death:
                    self.clock.advance(minutes=7)
                    consume(request)
        message = "the queues do not come to rest"
        raise AssertionError(message)

    def tick(self, minutes: int = 6) -> None:
        """Let the schedule and the sweeper run for some minutes, and work off what they queue."""
        for _ in range(minutes):
            self.clock.advance(minutes=1)
            for job in (
                lambda: schedule_sync(
                    at=self.clock.now(),
                    mailboxes=self.mailboxes,
                    queues=self.guarded_queues,
                    relay=RecordingTickRelay(),
                    remaining_seconds=lambda: self.seconds_left,
                ),
                lambda: release_lost_chunks(
                    mailboxes=self.mailboxes,
                    backfills=self.backfills,
                    queues=self.guarded_queues,
                    clock=self.clock,
                ),
            ):
                try:
                    job()
                except Death:
                    job()
            # They come in a minute that a mailbox's id gives; what they do is tested by itself.
            self.queues.take_audits()
            self.drain()

    # what is seen

    def letters_of(self, mailbox_id: MailboxId) -> list[DeadLetter]:
        """Return what stands, oldest first."""
        stored = self.world.letters.get((TENANT, mailbox_id), {}).values()
        return sorted(stored, key=lambda letter: (letter.first_seen_at, letter.kind, letter.id))

    def live_copies(self, mailbox_id: MailboxId) -> dict:
        return {
            name: copy
            for name, copy in self.world.copies.get((TENANT, mailbox_id), {}).items()
            if copy.removed_at is None
        }

    def fingerprint(self) -> dict:
        """Everything people can see, without ids and times that differ from life to life."""
        boxes = sorted(self.world.mailboxes.values(), key=lambda box: box.id)
        return {
            "mailboxes": [(box.address, box.status, box.inbound_error) for box in boxes],
            "copies": sorted(
                (name, copy.message_id, copy.flags.seen, copy.removed_at is None)
                for box in boxes
                for name, copy in self.world.copies.get((TENANT, box.id), {}).items()
            ),
            "messages": sorted(
                (message.id, message.subject, message.direction, len(message.copies))
                for message in self.world.messages.values()
            ),
            "index": sorted(
                (address, message_id)
                for (_, address), entries in self.world.index.items()
                for _, message_id in entries
            ),
            "cursors": sorted(
                (folder_id, state.cursor, state.gone_at is None)
                for box in boxes
                for folder_id, state in self.world.folders.get((TENANT, box.id), {}).items()
            ),
            "backfills": [
                (backfill.state, backfill.chunks, backfill.done, backfill.counts.settled)
                for box in boxes
                for backfill in self.world.backfills.get((TENANT, box.id), {}).values()
            ],
            "secrets": len(boxes),
        }


def mail(
    number: int,
    at: datetime,
    *,
    sender: str = "kim@customer.example",
    to: str = OWN_ADDRESS,
    extra: str = "",
) -> bytes:
    return (
        f"From: {sender}\r\nTo: {to}\r\nSubject: Message {number}\r\n"
        f"Date: {format_datetime(at)}\r\nMessage-ID: <{number}@customer.example>\r\n{extra}\r\nText {number}\r\n"
    ).encode()


def busy_server(clock_at: datetime, count: int = 12) -> FakeMailServer:
    """A server with mail of several ages in two folders, and some in the trash."""
    server = FakeMailServer.with_folders("INBOX", "Sent", "Trash")
    for number in range(count):
        at = clock_at - timedelta(days=number * 4 + 1)
        server.deliver(
            "INBOX" if number % 3 else "Sent", mail(number, at), at, seen=number % 2 == 0
        )
    server.deliver("Trash", mail(900, clock_at), clock_at)
    return server
