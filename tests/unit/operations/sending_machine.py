"""A mailbox that sends, in memory: the world of `machine`, people who get mail, and a worker.

Every side effect, those at the provider included, passes the killer, which ends the process at one
of them. `rest` lets time pass from one moment something is due to the next, until nothing is.
"""

import hashlib
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain.composing import Draft, NamedAddress
from shared.domain.errors import (
    ErrorCode,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.ids import FolderId, ProviderMessageId, SendId, UserId
from shared.domain.mail_server import Verdict
from shared.domain.mailbox import Mailbox, MailboxStatus, Provider
from shared.domain.message import FetchedMessage, Flags
from shared.domain.sending import Recipient, Send, SendKind
from shared.mime.compose import MimeComposer
from shared.mime.parse import MimeParser
from shared.operations.deliver_send import DeliverPorts, SendReport, deliver_send
from shared.operations.file_send import FilePorts, store_own
from shared.operations.sweep_outbound import sweep_sends
from shared.ports.queues import SendRequest
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.lasting_provider import LastingMailServer
from tests.fakes.provider import FakeMailServer
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.sender import FakePost, FakeSendSession
from tests.fakes.sends import InMemoryOutgoingStore, InMemorySendStore, ref_of
from tests.unit.operations.machine import (
    TENANT,
    AcceptingTester,
    Death,
    Guarded,
    Killer,
    Machine,
)

KIM, LEE, EVE = "kim@customer.example", "lee@customer.example", "eve@elsewhere.example"
NO_CAPS = SendCaps(1_000, 1_000, 1_000)
LOST_ANSWERS = {
    "prepare": RetryLaterError(ErrorCode.CONNECTION_DROPPED),
    "file": RetryLaterError(ErrorCode.CONNECTION_DROPPED),
    "discard": RetryLaterError(ErrorCode.CONNECTION_DROPPED),
}
"""What a provider's session says of a step that was taken and not answered; not so of sending."""
AT_THE_PROVIDER = {"send", *LOST_ANSWERS}


def throttled(name: str) -> StoreThrottledError:
    return StoreThrottledError(cause=name)


class LastingPost(FakePost):
    """One at whose provider a message keeps its id."""

    @contextmanager
    def open(self, grant, *, seconds=None):
        with super().open(grant, seconds=seconds):
            yield LastingSendSession(self)


class LastingSendSession(FakeSendSession):
    def file(self, mail, accepted):
        with self.post.step("file"):
            found = self._found(mail)
            assert found is not None, "the provider keeps it itself"
        kept = self.post.server.mails[found]
        return FetchedMessage(
            found,
            kept.received_at,
            len(kept.raw),
            kept.flags,
            raw=kept.raw,
            folder_ids=kept.folder_ids,
        )

    def sent_folder(self):
        return FolderId("SENT")

    def _add_to_sent(self, mail):
        self.post.server.deliver(FolderId("SENT"), mail.blind_copy, self.post.now, seen=True)

    def _found(self, mail):
        header = b"Message-ID: " + mail.internet_message_id.encode()
        found = [name for name, one in self.post.server.mails.items() if header in one.raw]
        return found[-1] if found else None


class LastingTester(AcceptingTester):
    def test_imap(self, login):
        return Verdict(folders=tuple(self.server.folders.values()))


class SendingMachine(Machine):
    """Around one mailbox that is connected and in sync."""

    def __init__(
        self,
        provider: Provider = Provider.IMAP,
        *,
        saves_sent: bool = False,
        **settings,
    ) -> None:
        keeps_ids = provider is not Provider.IMAP
        server = FakeMailServer.with_folders("INBOX", "Sent")
        if keeps_ids:
            server = LastingMailServer(labels=provider is Provider.GMAIL)
        super().__init__(server, Killer())
        self.parser = MimeParser()
        self.tester = (LastingTester if keeps_ids else AcceptingTester)(server)
        box = self.connect(days=30, **settings)
        self.box = replace(box, provider=provider)
        self.world.mailboxes[TENANT, box.id] = self.box
        post = LastingPost if keeps_ids else FakePost
        self.post = post(server, keeps_drafts=keeps_ids, saves_sent=keeps_ids or saves_sent)
        self.post.before, self.post.after = self.before_step, self.after_step
        self.send_store = InMemorySendStore(self.world)
        self.sends = Guarded(self.send_store, self.killer)
        self.outgoing_store = InMemoryOutgoingStore(self.world)
        self.outgoing = Guarded(self.outgoing_store, self.killer)
        self.send_reports: list[SendReport] = []
        self._at_work: list[int] = []
        self.drain()
        self.reports.clear()

    def arm(self, at: int, how: str) -> None:
        """Have the process end at the side effect of this number from here on, or an answer be lost."""
        self.killer.at, self.killer.after = at, how != "before"
        self.killer.ends = throttled if how == "lost" else Death
        self.killer.count, self.killer.seen = 0, []

    def before_step(self, step: str) -> None:
        if step in AT_THE_PROVIDER:
            killer = self.killer
            self._at_work = [killer.count]
            killer.count += 1
            killer.seen.append(step)
            if self._at_work != [killer.at]:
                return
            if not killer.after:
                raise killer.ends(step)
            if step == "send" and killer.ends is not Death:
                self.post.answers_lost = 1

    def after_step(self, step: str) -> None:
        if step in AT_THE_PROVIDER and self._at_work == [self.killer.at]:
            if self.killer.ends is not Death:
                raise LOST_ANSWERS[step]
            raise self.killer.ends(step)

    # what people do

    def ask(
        self, to: Iterable[str] = (KIM,), *, blind: Iterable[str] = (), number: int = 1, **changes
    ) -> Send:
        """Write a send down as a request of the API does, and queue it."""
        to, blind = tuple(to), tuple(blind)
        now = self.clock.now()
        draft = Draft(
            sender=NamedAddress(self.box.address, "Ada"),
            internet_message_id=f"<send-{number}@acme.example>",
            date=now,
            to=tuple(NamedAddress(one) for one in to),
            bcc=tuple(NamedAddress(one) for one in blind),
            subject=f"Offer {number}",
            text="Dear Kim,\n\nhere it is.\n",
        )
        content = MimeComposer().compose(draft)
        send = Send(
            tenant_id=TENANT,
            mailbox_id=self.box.id,
            id=SendId(f"01SEND{number}"),
            user_id=UserId("ada"),
            kind=SendKind.MESSAGE,
            internet_message_id=draft.internet_message_id,
            sender=self.box.address,
            recipients=tuple(Recipient(one) for one in (*to, *blind)),
            blind=blind,
            subject=draft.subject,
            digest=hashlib.sha256(content).hexdigest(),
            size=len(content),
            generation=self.world.run_states[TENANT, self.box.id].generation,
            created_at=now,
            due_at=now,
        )
        send = replace(send, **changes)
        self.outgoing_store.put(ref_of(send), content)
        self.send_store.create(send, IdempotencyKey(send.id, "same"), NO_CAPS, now=now)
        self.queues.send_sends([SendRequest(TENANT, self.box.id, send.id)])
        return send

    def ask_of_parked(self) -> Send:
        """Write one down that was asked for while the mailbox was active."""
        key = TENANT, self.box.id
        parked = self.world.mailboxes[key]
        self.world.mailboxes[key] = replace(parked, status=MailboxStatus.ACTIVE)
        send = self.ask()
        self.world.mailboxes[key] = parked
        return send

    def store_in(self, mailbox: Mailbox, raw: bytes) -> None:
        """Have a message in a mailbox's inbox, as sync takes it in."""
        found = FetchedMessage(
            ProviderMessageId("f-inbox.1.900"), self.clock.now(), len(raw), Flags(), raw=raw
        )
        folders = {
            state.folder.id: state.folder
            for state in self.mailboxes.folders(mailbox.tenant_id, mailbox.id)
        }
        store_own(found, folders[FolderId("f-inbox")], folders, mailbox, self.filing())

    # what functions do

    def filing(self) -> FilePorts:
        return FilePorts(
            mailboxes=self.mailboxes,
            messages=self.messages,
            attachments=self.attachments,
            letters=self.letters,
            contacts=self.contacts,
            policies=self.policies,
            parser=self.parser,
            clock=self.clock,
            remaining_seconds=lambda: self.seconds_left,
        )

    def deliver(self, request: SendRequest) -> SendReport:
        ports = DeliverPorts(
            sends=self.sends,
            outgoing=self.outgoing,
            reader=InMemoryMailReader(self.world),
            grants=self.grants,
            queues=self.guarded_queues,
            sender_of=lambda _provider: self.post,
            composer=MimeComposer(),
            rng=self.rng,
            filing=self.filing(),
        )
        self.post.now = self.clock.now()
        report = deliver_send(request, ports=ports)
        self.send_reports.append(report)
        return report

    def drain(self) -> None:
        """Work off what is queued, mails to be sent as well."""
        for _ in range(50):
            super().drain()
            waiting = self.queues.take_sends()
            if not waiting:
                return
            for request in waiting:
                try:
                    self.deliver(request)
                except (Death, StoreThrottledError):
                    self.deliver(request)
        message = "mails to be sent do not come to rest"
        raise AssertionError(message)

    def rest(self, *, until: timedelta = timedelta(days=2)) -> None:
        """Let time pass from one due moment to the next until nothing is due any more."""
        self.drain()
        end = self.clock.now() + until
        while (at := self._next_due()) is not None and at <= end:
            self.clock.at = max(self.clock.now(), at)
            sweep_sends(
                now=self.clock.now(),
                sends=self.send_store,
                queues=self.queues,
                remaining_seconds=lambda: 60.0,
            )
            self.drain()

    def _next_due(self) -> datetime | None:
        sends = self.world.sends.get((TENANT, self.box.id), {}).values()
        return min((send.comes_up_at for send in sends if send.comes_up_at), default=None)

    # what is seen

    def stands(self, send: Send) -> Send:
        stands = self.send_store.get(SendRef(TENANT, self.box.id, send.id))
        assert stands is not None
        return stands

    def sent_mail(self) -> list:
        """What is among the sent mail at the provider."""
        if isinstance(self.server, LastingMailServer):
            return [one for one in self.server.mails.values() if "SENT" in one.folder_ids]
        return list(self.server.folders["Sent"].mails.values())

    def mailbox(self):
        return self.world.mailboxes[TENANT, self.box.id]

    def fingerprint(self) -> dict:
        sends = self.world.sends.get((TENANT, self.box.id), {}).values()
        return {
            **super().fingerprint(),
            "sends": [
                (
                    send.id,
                    send.status,
                    [(one.address, one.status, one.code) for one in send.recipients],
                    send.code,
                    send.sent_at is not None,
                    send.message_id,
                    send.provider_message_id,
                    send.filed_at is not None,
                    send.draft,
                    send.comes_up_at,
                )
                for send in sends
            ],
            "arrived": {one: len(mails) for one, mails in self.post.arrived.items()},
            "drafts": len(self.post.drafts),
            "sent mail": len(self.sent_mail()),
            "is in trouble": self.mailbox().outbound_error is not None,
        }
