"""People and their mailboxes in memory behind the port `MailSender`, with the faults a test asks for.

What arrives is counted: `arrived` holds every mail each recipient got, twice where it came twice.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    OutcomeUnknownError,
    RetryLaterError,
    SendRefusedError,
)
from shared.domain.folders import FolderRole
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mail_server import ImapGrant
from shared.domain.message import FetchedMessage
from shared.ports.sending import Accepted, Outgoing, Sighting
from tests.fakes.provider import FakeFolder, FakeMailServer, name_of

Hook = Callable[[str], None]


def _nothing(_step: str) -> None:
    return None


@dataclass
class FakePost:
    """A `MailSender` and everybody it reaches.

    `before` and `after` hear the name of each step (`open`, `prepare`, `send`, `look_up`, `file`,
    `discard`) and may raise: a fault, or the end of the process.
    """

    server: FakeMailServer = field(default_factory=lambda: FakeMailServer.with_folders("Sent"))
    """The mailbox it sends from; the sent mail is in its folder of that role."""
    keeps_drafts: bool = False
    """Whether what is prepared lies at the provider until it is sent, as at Gmail and Graph."""
    saves_sent: bool = False
    """Whether the provider puts what it took among the sent mail itself."""
    refusals: dict[str, MailroomError] = field(default_factory=dict)
    """Recipients it does not take mail for."""
    failures: dict[str, MailroomError] = field(default_factory=dict)
    """What a step ends with in place of being done."""
    answers_lost: int = 0
    """How many of the next mails are taken without our being told."""
    mails_lost: int = 0
    """How many of the next mails are not taken, which we are not told either."""
    before: Hook = _nothing
    after: Hook = _nothing
    arrived: dict[str, list[bytes]] = field(default_factory=dict)
    drafts: dict[str, Outgoing] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    @contextmanager
    def open(
        self, grant: ImapGrant, *, seconds: float | None = None
    ) -> Iterator["FakeSendSession"]:
        assert grant is not None
        self.seconds.append(seconds)
        with self.step("open"):
            if seconds is not None and seconds <= 0:
                raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT)
        yield FakeSendSession(self)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.before(name)
        self.steps.append(name)
        if name in self.failures:
            raise self.failures[name]
        yield
        self.after(name)

    def sent(self) -> FakeFolder | None:
        folders = self.server.folders.values()
        return next((one for one in folders if one.role is FolderRole.SENT), None)


@dataclass
class FakeSendSession:
    post: FakePost
    _prepared: str | None = None
    _refused: dict[str, MailroomError] = field(default_factory=dict)

    def prepare(self, mail: Outgoing, draft: str | None) -> str | None:
        post = self.post
        with post.step("prepare"):
            self._prepared = None
            self._refused = {
                one: post.refusals[one] for one in mail.recipients if one in post.refusals
            }
            if len(self._refused) == len(mail.recipients):
                raise self._all_refused()
            if post.keeps_drafts:
                draft = self._draft_of(mail)
                post.drafts[draft] = mail
            else:
                draft = None
            self._prepared = mail.internet_message_id
        return draft

    def _draft_of(self, mail: Outgoing) -> str:
        return f"draft of {mail.internet_message_id}"

    def _all_refused(self) -> MailroomError:
        reasons = list(self._refused.values())
        for one in reasons:
            if isinstance(one, RetryLaterError):
                return RetryLaterError(one.code, refused=self._refused)
        return SendRefusedError(reasons[0].code, refused=self._refused)

    def send(self, mail: Outgoing, draft: str | None) -> Accepted:
        post = self.post
        assert self._prepared == mail.internet_message_id, "nothing was prepared"
        assert (draft is not None) == post.keeps_drafts
        self._prepared = None
        with self._telling_of_each(), post.step("send"):
            if post.mails_lost:
                post.mails_lost -= 1
                raise OutcomeUnknownError(cause="the mail was lost", refused=self._refused)
            if draft is not None:
                del post.drafts[draft]
            for one in mail.recipients:
                if one not in self._refused:
                    post.arrived.setdefault(one, []).append(mail.content)
            if post.saves_sent:
                self._add_to_sent(mail)
            if post.answers_lost:
                post.answers_lost -= 1
                raise OutcomeUnknownError(cause="the answer was lost", refused=self._refused)
        return Accepted(refused=self._refused, provider_message_id=self._found(mail))

    @contextmanager
    def _telling_of_each(self) -> Iterator[None]:
        try:
            yield
        except (SendRefusedError, RetryLaterError) as error:
            error.refused = self._refused
            raise

    def look_up(self, mail: Outgoing, draft: str | None) -> tuple[Sighting, Accepted | None]:
        with self.post.step("look_up"):
            found = self._found(mail)
            if found is not None:
                return Sighting.SENT, Accepted(provider_message_id=found)
            if draft is not None and draft in self.post.drafts:
                return Sighting.NOT_SENT, None
        return Sighting.UNSEEN, None

    def file(self, mail: Outgoing, accepted: Accepted) -> FetchedMessage | None:
        assert accepted is not None
        with self.post.step("file"):
            if self._found(mail) is None and not self.post.saves_sent and self.post.sent():
                self._add_to_sent(mail)
            found, folder = self._found(mail), self.post.sent()
            if found is None or folder is None:
                return None
            kept = folder.mails[int(found.rpartition(".")[2])]
        return FetchedMessage(found, kept.received_at, len(kept.raw), kept.flags, raw=kept.raw)

    def sent_folder(self) -> FolderId | None:
        folder = self.post.sent()
        return folder.folder.id if folder else None

    def discard(self, draft: str) -> None:
        with self.post.step("discard"):
            self.post.drafts.pop(draft, None)

    def _add_to_sent(self, mail: Outgoing) -> None:
        folder = self.post.sent()
        if folder is not None:
            self.post.server.deliver(folder.name, mail.blind_copy, self.post.now, seen=True)

    def _found(self, mail: Outgoing) -> ProviderMessageId | None:
        folder = self.post.sent()
        if folder is None:
            return None
        header = b"Message-ID: " + mail.internet_message_id.encode()
        found = [uid for uid, one in folder.mails.items() if header in one.raw]
        return name_of(folder, found[-1]) if found else None
