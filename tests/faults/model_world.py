"""One mailbox's whole world in which anybody may act at any time: people, provider, workers, clock."""

import random
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from shared.domain import ids
from shared.domain.backfill import MAX_DAYS, OPEN, BackfillState
from shared.domain.connecting import Wishes
from shared.domain.errors import ConflictError, ErrorCode, MailroomError, RequestError
from shared.domain.folders import is_active
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider, RunState
from shared.domain.run import RunReason
from shared.domain.schedule import Cadence
from shared.domain.secret import Secret
from shared.operations import ingest, look_again, plan_backfill, sync_mailbox
from shared.operations.begin_mailbox import Account, BeginPorts, begin_life, begin_mailbox
from shared.operations.keep_watch import Watching
from shared.operations.mailbox_settings import SettingsChange, change_settings
from shared.operations.maintain_mailboxes import release_lost_chunks
from shared.operations.receive_push import receive_push
from shared.operations.record_dead_letter import record_dead_letter
from shared.operations.request_sync import request_sync
from shared.operations.schedule_sync import schedule_sync
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.ports.push import Notice
from shared.ports.queues import ChunkRequest, PlanRequest, SyncRequest
from tests.fakes.attempts import InMemoryGrantHolders
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.parser import PlainParser
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.push import InMemoryPushStore, PasswordsAsGrants, Telling
from tests.fakes.queues import RecordingTickRelay
from tests.fakes.sends import InMemorySendStore
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryBackfillStore,
    InMemoryContactStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
)
from tests.faults.model_owners import Owner
from tests.faults.model_provider import TroubledProvider
from tests.faults.model_queues import Letter, UnorderedQueues
from tests.faults.model_workers import WELL, Death, Fate, Ported, Worker, seconds_left
from tests.unit.operations.machine import ADA, OWN_ADDRESS, TENANT, Machine, mail, no_sign_in

SMALL = (
    (sync_mailbox, "PAGE_SIZE", 3),
    (sync_mailbox, "MESSAGES_PER_RUN", 7),
    (plan_backfill, "CHUNK_SIZE", 4),
    (ingest, "BATCH_MESSAGES", 2),
    (ingest, "FEW", 1),
    (look_again, "_PAGE_SIZE", 3),
)
"""So that a few messages are several pages, batches and chunks."""
SECONDS = {SyncRequest: 120, PlanRequest: 300, ChunkRequest: 300}
"""How long each function may run."""
A_REQUEST_SECONDS = 29
TOPIC = "projects/p/topics/mailroom"
LONGEST_REST_MINUTES = 3_000


@contextmanager
def small_and_seeded(seed: int):
    """Make every size small, and let ids depend on the seed alone."""
    with ExitStack() as stack:
        seeded = SimpleNamespace(randbits=random.Random(seed).getrandbits)
        stack.enter_context(patch.object(ids, "secrets", seeded))
        for module, name, value in SMALL:
            stack.enter_context(patch.object(module, name, value))
        yield


class KillingParser(PlainParser):
    """Dies of a message with `X-Test: kills`."""

    def parse(self, message):
        if b"X-Test: kills" in message.raw:
            raise Death("the reader")
        return super().parse(message)


@dataclass(frozen=True)
class Work:
    """A worker and the letter it was given; None for what nobody sends again."""

    worker: Worker
    letter: Letter | None = None


class ModelWorld(Machine):
    """What the operations run in, and what can happen to them."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(owner.server)
        self.owner = owner
        self.owner.server.password = "password 1"
        self.teller = Telling(owner.server, owner.provider, OWN_ADDRESS, self.clock)
        tells = owner.provider is not Provider.IMAP
        self.provider = TroubledProvider(self.teller if tells else owner.server, self.clock)
        self.server = self.provider
        self.post = UnorderedQueues(self.clock)
        self.queues = self.guarded_queues = Ported(self.post)
        self.imports = InMemoryBackfillStore(self.world)
        self.backfills = Ported(self.imports)
        self.mailboxes = Ported(InMemoryMailboxStore(self.world))
        self.messages = Ported(InMemoryMessageStore(self.world))
        self.attachments = Ported(InMemoryAttachmentStore(self.world))
        self.letters = Ported(InMemoryDeadLetterStore(self.world))
        self.policies = Ported(InMemoryPolicyStore(self.world))
        self.contacts = Ported(InMemoryContactStore(self.world))
        self.secrets = Ported(self.secret_store)
        self.holders = Ported(InMemoryGrantHolders())
        self.grants = PasswordsAsGrants(self.secrets, no_sign_in, None, self.clock)
        self.push = Ported(InMemoryPushStore(self.world))
        self.watching = Watching(self.push, lambda _box, _client: TOPIC, frozenset(Provider))
        self.cadence = Cadence(pushed=10)
        self.words: list[Notice] = []
        """What the provider has said and nobody has heard yet."""
        self.parser = KillingParser()
        self.frozen: list[Work] = []
        self.deaths = 0
        self.numbers = 0
        self.arrived: set[ProviderMessageId] = set()
        """Since all was at rest."""
        self.has_rested = False
        self.failed: set[ProviderMessageId] = set()
        """What the provider ever failed on."""

    @property
    def seconds_left(self) -> float:
        return seconds_left(self.clock.now(), 100.0)

    @seconds_left.setter
    def seconds_left(self, _seconds: float) -> None:
        """It is the clock's to say."""

    # who is at work

    def start(self, worker: Worker, fate: Fate = WELL, letter: Letter | None = None) -> None:
        self._run(Work(worker, letter), fate)

    def resume(self, number: int, fate: Fate = WELL) -> None:
        work = self.frozen.pop(number % len(self.frozen))
        if self.clock.now() > work.worker.deadline and not work.worker.outlives:
            work.worker.end()
            self._judge(work)
        else:
            self._run(work, fate)

    def kill(self, number: int) -> None:
        work = self.frozen.pop(number % len(self.frozen))
        work.worker.end()
        self._judge(work)

    def _run(self, work: Work, fate: Fate) -> None:
        work.worker.run(fate)
        if work.worker.is_over:
            self._judge(work)
        else:
            self.frozen.append(work)

    def _judge(self, work: Work) -> None:
        """See how a worker ended: what may not be is the test's failure."""
        error = work.worker.error
        if isinstance(error, Death):
            self.deaths += 1
        elif isinstance(error, MailroomError):
            passes = error.code in {ErrorCode.STORE_THROTTLED, ErrorCode.CONNECTION_TIMED_OUT}
            is_told = work.letter is None and isinstance(error, ConflictError | RequestError)
            if not (passes or is_told):
                raise error
        elif error is not None:
            raise error
        elif work.letter is not None:
            self.post.done_with(work.letter)

    # what functions do

    def deliver(self, letter: Letter, fate: Fate = WELL) -> None:
        request, now = letter.request, self.clock.now()
        consumers: dict[type, Callable] = {
            SyncRequest: self.sync,
            PlanRequest: self.plan,
            ChunkRequest: self.run_chunk,
        }
        consume = consumers[type(request)] if self.post.hand_out(letter) else self._bury(letter)
        deadline = now + timedelta(seconds=SECONDS[type(request)])
        worker = Worker(type(request).__name__, lambda: consume(request), deadline)
        worker.outlives = isinstance(request, SyncRequest)
        self.start(worker, fate, letter)

    def _bury(self, letter: Letter) -> Callable:
        return lambda request: record_dead_letter(
            request,
            sent_at=letter.sent_at,
            mailboxes=self.mailboxes,
            backfills=self.backfills,
            letters=self.letters,
            sends=InMemorySendStore(self.world),
            clock=self.clock,
        )

    def listen(self) -> None:
        """Take what the provider has to say by now; it is on its way."""
        if self.owner.provider is not Provider.IMAP:
            self.words += self.teller.words()

    def hear(self, number: int, *, again: bool = False, fate: Fate = WELL) -> None:
        """Have one of the words come in, perhaps of long ago; `again`: it comes once more later."""
        if not self.words:
            return
        place = number % len(self.words)
        word = self.words[place] if again else self.words.pop(place)
        provider = self.owner.provider
        self._in_time(
            "push",
            10,
            lambda: receive_push(
                provider, [word], store=self.push, queues=self.queues, clock=self.clock
            ),
            fate,
        )

    def schedule(self, fate: Fate = WELL) -> None:
        at = self.clock.now()
        self._in_time(
            "schedule",
            50,
            lambda: schedule_sync(
                at=at,
                mailboxes=self.mailboxes,
                queues=self.queues,
                relay=Ported(RecordingTickRelay()),
                remaining_seconds=lambda: self.seconds_left,
            ),
            fate,
        )

    def sweep(self, fate: Fate = WELL) -> None:
        self._in_time("sweep", 240, lambda: release_lost_chunks(**self._import_ports()), fate)

    def _in_time(self, name: str, seconds: int, job: Callable[[], object], fate: Fate) -> None:
        deadline = self.clock.now() + timedelta(seconds=seconds)
        self.start(Worker(name, job, deadline), fate)

    # what the mailbox's person does

    def person(self, name: str, job: Callable[[], object], fate: Fate = WELL) -> None:
        self._in_time(name, A_REQUEST_SECONDS, job, fate)

    def begin(self, days: int, fate: Fate = WELL) -> None:
        ports = BeginPorts(self.mailboxes, self.backfills, self.secrets, self.queues, self.clock)
        login = self._login()
        server = login.server if self.owner.provider is Provider.IMAP else None
        account = Account(self.owner.provider, OWN_ADDRESS, imap=server)
        wishes, grant = Wishes(backfill_days=days), ImapGrant(login, login)
        self.person(
            "connect",
            lambda: begin_mailbox(ADA, account, wishes, grant, sync_minutes=5, ports=ports),
            fate,
        )

    def begin_again(self, fate: Fate = WELL) -> None:
        box = self.box.id

        def job():
            record = self.mailboxes.get(TENANT, box)
            grant = ImapGrant(self._login(), self._login())
            begin_life(record.mailbox, grant, mailboxes=self.mailboxes, secrets=self.secrets)
            self.queues.send_syncs([SyncRequest(TENANT, box, RunReason.CONNECTED)])

        self.person("reconnect", job, fate)

    def end(self, fate: Fate = WELL) -> None:
        box = self.box.id
        self.person("disconnect", lambda: self.disconnect(box), fate)

    def choose(self, chosen: tuple[FolderId, ...] | None, fate: Fate = WELL) -> None:
        box, change = self.box.id, SettingsChange(active_folders=chosen)
        self.person(
            "choose folders",
            lambda: change_settings(
                ADA, box, change, openings=InMemoryOpeningStore(), **self._box_ports()
            ),
            fate,
        )

    def ask_for_sync(self, fate: Fate = WELL) -> None:
        box = self.box.id
        self.person("sync now", lambda: request_sync(ADA, box, **self._box_ports()), fate)

    def import_days(self, days: int, fate: Fate = WELL) -> None:
        box = self.box.id
        self.person("import", lambda: start_backfill(ADA, box, days, **self._import_ports()), fate)

    def change_import(self, action: BackfillAction, fate: Fate = WELL) -> None:
        found = self.imports.list_backfills(TENANT, self.box.id)
        if found:
            given = (ADA, self.box.id, found[0].id, action)
            self.person(action, lambda: change_backfill(*given, **self._import_ports()), fate)

    def _box_ports(self):
        return {"mailboxes": self.mailboxes, "queues": self.queues, "clock": self.clock}

    def _import_ports(self):
        return {**self._box_ports(), "backfills": self.backfills}

    def _login(self) -> ServerLogin:
        server = ServerSettings("imap.acme.example", 993, Security.TLS, OWN_ADDRESS)
        return ServerLogin(server, Secret(self.owner.server.password))

    # what happens at the provider

    def arrive(
        self,
        folder: FolderId,
        *,
        days_old: float = 0,
        extra: str = "",
        again: bool = False,
        label: FolderId | None = None,
    ) -> None:
        """Let a message arrive; `again`: one that has been elsewhere; `label`: another, at Gmail."""
        self.numbers += 0 if again and self.numbers else 1
        at = self.clock.now() - timedelta(days=days_old)
        name = self.owner.deliver(folder, mail(self.numbers, at, extra=extra), at)
        self.arrived.add(name)
        if label and self.owner.provider is Provider.GMAIL:
            self.owner.add_label(name, label)

    def move(self, name: ProviderMessageId, to: FolderId) -> None:
        before = self.owner.messages()
        if before[name].folder_ids == {to}:
            return
        self.owner.move(name, to)
        moved = self.owner.messages().keys() - before.keys()
        if self.owner.provider is not Provider.GMAIL:
            self.arrived |= moved or {name}

    def rename(self, folder: FolderId) -> None:
        """Give a folder a name that no other one ever had."""
        self.numbers += 1
        before = self.owner.messages().keys()
        self.owner.rename_folder(folder, f"Renamed {self.numbers}")
        self.arrived |= self.owner.messages().keys() - before

    def revoke(self) -> None:
        count = int(self.owner.server.password.split()[1]) + 1
        self.owner.server.password = f"password {count}"

    # coming to rest

    def rest(self, *, finish: bool) -> None:
        """Stop every fault, let who is at work finish or die, and wait until all is quiet."""
        self.provider.troubles.clear()
        self.owner.server.failing.clear()
        # Whatever was said and is not heard yet never will be: polls alone bring it all.
        self.listen()
        self.words.clear()
        while self.frozen:
            if finish:
                self.resume(0)
            else:
                self.kill(0)
        self._until_quiet()
        # A day later, so that what is compared once a day has been.
        self.clock.advance(days=1)
        self._until_quiet()

    def _until_quiet(self) -> None:
        self._be_connected()
        quiet = 0
        for _ in range(LONGEST_REST_MINUTES):
            self.clock.advance(minutes=1)
            seen = len(self.reports)
            self.schedule()
            self.sweep()
            for letter in self.post.visible():
                self.deliver(letter)
            self._be_connected()
            ended = {report.kind for report in self.reports[seen:]}
            if self.post.letters or self._is_importing():
                quiet = 0
            elif ended:
                quiet = quiet + 1 if ended == {"idle"} else 0
            if quiet == 2:
                return
        raise AssertionError(f"no rest: {self.post.letters}, {self.state}, {self.box}")

    def _be_connected(self) -> None:
        """The person does what the mailbox asks for, as often as it takes."""
        if not self.world.mailboxes or self.box.status is MailboxStatus.CONNECTING:
            self.begin(30)
        elif self.box.status is MailboxStatus.DISCONNECTED:
            self.end()
            self.begin_again()
        elif self.box.status is MailboxStatus.RECONNECT_REQUIRED:
            self.begin_again()
        for backfill in self.imports.list_backfills(TENANT, self.box.id)[:1]:
            if backfill.state in {BackfillState.PAUSED, BackfillState.FAILED}:
                self.change_import(BackfillAction.RESUME)

    def _is_importing(self) -> bool:
        found = self.imports.list_backfills(TENANT, self.box.id)
        return any(one.state in OPEN for one in found)

    def import_whole(self) -> None:
        """Import back to the date floor, as far as it goes."""
        age = self.clock.now() - self.box.history_from
        self.import_days(min(MAX_DAYS, age.days + 1))

    # what stands

    @property
    def box(self) -> Mailbox:
        (box,) = self.world.mailboxes.values()
        return box

    @property
    def state(self) -> RunState:
        (state,) = self.world.run_states.values()
        return state

    @property
    def copies(self):
        return self.world.copies.get((TENANT, self.box.id), {})

    def active(self) -> frozenset[FolderId]:
        chosen = self.box.active_folders
        return frozenset(one.id for one in self.owner.folders() if is_active(one, chosen))
