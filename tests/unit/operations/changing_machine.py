"""A `Machine` in which people mark and move mail, and a worker makes that at the fake provider.

The killer stands before each change the provider makes, too.
"""

from contextlib import contextmanager
from dataclasses import dataclass

from shared.domain.errors import MailroomError
from shared.domain.ids import MessageId
from shared.operations.apply_changes import ChangePorts, apply_changes
from shared.operations.request_changes import AskedChange, RequestPorts, request_changes
from shared.operations.sweep_outbound import sweep_changes
from shared.ports.queues import ChangesRequest
from tests.fakes.changes import InMemoryChangeStore
from tests.fakes.reading import InMemoryMailReader
from tests.unit.operations.machine import ADA, TENANT, Death, Guarded, Killer, Machine

EFFECTS = {"wish", "take", "settle", "rest", "finish"}


class GuardedChanges(Guarded):
    def __getattr__(self, name: str):
        attribute = getattr(self.inner, name)
        return self.killer.guard(f"changes.{name}", attribute) if name in EFFECTS else attribute


@dataclass
class Changer:
    """The fake server, opened to change mail; each change passes the killer."""

    machine: "ChangingMachine"

    @contextmanager
    def open(self, grant, *, seconds=None):
        with self.machine.server.open(grant, seconds=seconds) as session:
            self.session = session
            yield self

    def apply(self, changes):
        machine = self.machine
        machine.asked.append(list(changes))
        for number, change in enumerate(changes):
            if number in machine.breaks_at:
                raise machine.breaks_at.pop(number)
            make = machine.killer.guard(
                "provider.apply", lambda one: next(self.session.apply([one]))
            )
            told = make(change)
            if machine.meanwhile:
                machine.meanwhile.pop(0)()
            yield told


class ChangingMachine(Machine):
    def __init__(self, server, killer: Killer | None = None) -> None:
        super().__init__(server, killer)
        self.changes = GuardedChanges(InMemoryChangeStore(self.world), self.killer)
        self.reader = InMemoryMailReader(self.world)
        self.asked: list = []
        """What the provider was asked for, session by session."""
        self.breaks_at: dict[int, MailroomError] = {}
        """Before which change a session breaks, once."""
        self.meanwhile: list = []
        """What happens after a change was made and before anybody is told, one by one."""
        self.change_reports: list = []

    @property
    def box(self):
        (box,) = self.world.mailboxes.values()
        return box

    def message_id(self, subject: str) -> MessageId:
        (found,) = [one.id for one in self.world.messages.values() if one.subject == subject]
        return found

    def copies(self, subject: str) -> list:
        """All copies of a message that live."""
        message_id = self.message_id(subject)
        live = self.live_copies(self.box.id).values()
        return [one for one in live if one.message_id == message_id]

    def copy(self, subject: str):
        (copy,) = self.copies(subject)
        return copy

    def folder_id(self, name: str):
        states = self.world.folders[TENANT, self.box.id].values()
        return next(state.folder.id for state in states if state.folder.name == name)

    def ask(self, *subjects: str, viewer=ADA, mailbox_id=None, **asked):
        if "folder" in asked:
            asked["folder_id"] = self.folder_id(asked.pop("folder"))
        ports = RequestPorts(
            mailboxes=self.mailboxes,
            reader=self.reader,
            changes=self.changes,
            queues=self.guarded_queues,
            clock=self.clock,
        )
        wanted = [AskedChange(self.message_id(one), **asked) for one in subjects]
        return request_changes(viewer, mailbox_id or self.box.id, wanted, ports=ports)

    def apply(self, request):
        report = apply_changes(
            request,
            ports=ChangePorts(
                changes=self.changes,
                mailboxes=self.mailboxes,
                grants=self.grants,
                changer_of=lambda _provider: Changer(self),
                queues=self.guarded_queues,
                clock=self.clock,
                rng=self.rng,
                remaining_seconds=lambda: self.seconds_left,
            ),
        )
        self.change_reports.append(report)
        return report

    def work(self):
        """Do what the queue of changes holds, once, and nothing else; return the reports."""
        return [self.apply(request) for request in self.queues.take_changes()]

    def apply_again(self):
        """Give the mailbox's changes to a worker now, whatever the queue holds; return the report.

        None where they are not to be had.
        """
        self.queues.take_changes()
        report = self.apply(ChangesRequest(TENANT, self.box.id))
        return report if report.provider else None

    def drain(self) -> None:
        for _ in range(100):
            super().drain()
            requests = self.queues.take_changes()
            if not requests:
                return
            for request in requests:
                try:
                    self.apply(request)
                except Death:
                    self.clock.advance(minutes=7)
                    self.apply(request)
        raise AssertionError("changes do not come to rest")

    def sweep(self, minutes: int = 20) -> None:
        """Let the minutely tick run, and work off what it finds."""
        for _ in range(minutes):
            self.tick(1)
            sweep_changes(
                now=self.clock.now(),
                changes=self.changes,
                queues=self.queues,
                remaining_seconds=lambda: 50.0,
            )
            self.drain()

    def there(self, name: str) -> dict[str, tuple[bool, bool]]:
        """Seen and flagged of what a folder at the provider holds, by subject."""
        mails = self.server.folders[name].mails.values()
        return {
            one.raw.split(b"Subject: ")[1].split(b"\r\n")[0].decode(): (
                one.flags.seen,
                one.flags.flagged,
            )
            for one in mails
        }
