"""Worlds in which mail leaves: by a submission server that counts, by Google's simulator and Microsoft's.

Each mail has a subject of its own, by which it is counted: a provider may give it another
Message-ID, and a defect may have it written twice, under two.
"""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from functools import cached_property
from typing import Any, ClassVar

from infra.simulators.kit.mailbox import NoSuchThingError
from infra.simulators.scripted_smtp import ScriptedSmtp
from shared import wiring_of_delivery
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mail_server import ImapGrant, Security
from shared.domain.sending import RecipientStatus, Send, SendStatus
from shared.ports.sending import MailSender
from shared.providers.gmail.sender import GmailSender
from shared.providers.imap.sending import ImapSender
from shared.providers.outlook.sender import OutlookSender
from tests.fakes.sender import FakePost
from tests.faults.accounts import AtGoogle, AtMicrosoft, AtProvider
from tests.faults.fingerprint_of_sends import disconnected, mails_stored, sends_in
from tests.faults.killpoints import Watched
from tests.faults.summary import ENDED_UNKNOWN, RECEIVED_TWICE, SENDS_TRIED
from tests.faults.wires import WatchedHttp, WatchedNetwork
from tests.faults.world import World

CLEO, KIM, LEE, EVE = (
    f"{name}@client.example" for name in ("cleo", "kim", "lee", "eve")
)  # fmt: skip
SENDS = ("drafts/send", "/send")
"""How a request ends after which somebody gets a mail."""


@dataclass
class Sending(World):
    """A world that knows who got which mail how often."""

    tally: Counter[str] = field(default_factory=Counter)
    sync_comes_after: ClassVar[timedelta] = timedelta(minutes=4)
    """Of a mail that is asked for; where its worker dies, before the next one comes."""

    def start(self, monkeypatch: Any) -> "Sending":
        super().start(monkeypatch)
        sender = self.sender()
        monkeypatch.setattr(wiring_of_delivery, "sender_of", lambda _provider: sender)
        return self

    @abstractmethod
    def sender(self) -> MailSender:
        """Return the way out, watched."""

    @abstractmethod
    def arrived(self) -> Iterable[tuple[str, bytes]]:
        """Yield each mail that a recipient got, as often as they did."""

    def got(self) -> Counter[tuple[str, str]]:
        """Return how often each recipient got the mail of a subject."""
        return Counter((recipient, _subject_of(raw)) for recipient, raw in self.arrived())

    def asked_for(self) -> list[Send]:
        """Return every mail that was asked for."""
        return sends_in(self.items())

    def minute(self) -> None:
        """Let the time pass to when a mail comes up, and a minute more."""
        ups = [at for one in self.asked_for() if (at := one.comes_up_at) is not None]
        self.clock.at = max(self.clock.at, min(ups, default=self.clock.at) - timedelta(minutes=1))
        super().minute()

    def was_taken(self) -> None:
        """Somebody has got a mail; raises where we are not to hear of it."""
        if self.facts.pop("is not heard", False):
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause="the answer was lost")

    # ---- what must be so in every end ----

    def wrongs(self) -> list[str]:
        """Return who got what they should not have, or did not get what they are said to have."""
        got, items = self.got(), self.items()
        sends, mails = sends_in(items), Counter(mails_stored(items))
        left = disconnected(items)
        told = [
            f"{who} got {what} {times} times" for (who, what), times in got.items() if times > 1
        ]
        twice = len(told)
        subjects = Counter(one.subject for one in sends)
        told += [
            f"{what} was written {times} times" for what, times in subjects.items() if times > 1
        ]
        told += [f"{who} got {what} of nobody" for who, what in got if what not in subjects]
        told += [f"{what} stands on its timeline twice" for what in subjects if mails[what] > 1]
        told += [
            f"{one.subject} was sent, and is on no timeline"
            for one in sends
            if one.status is SendStatus.SENT
            and not mails[one.subject]
            and one.mailbox_id not in left
        ]
        for send in sends:
            told += [f"{send.subject}, {send.status}: {one}" for one in _wrongs_of(send, got)]
        unknown = sum(
            send.status is SendStatus.UNKNOWN
            or any(one.status is RecipientStatus.UNKNOWN for one in send.recipients)
            for send in sends
        )
        self.tally.update({SENDS_TRIED: 1, RECEIVED_TWICE: twice, ENDED_UNKNOWN: unknown})
        return told

    def take_tally(self) -> dict[str, int]:
        """Return what was counted since the last time."""
        found = dict(self.tally)
        self.tally.clear()
        return found


def _subject_of(raw: bytes) -> str:
    return str(message_from_bytes(raw, policy=default)["Subject"])


def _wrongs_of(send: Send, got: Counter[tuple[str, str]]) -> Iterator[str]:
    if send.comes_up_at is not None:
        yield "somebody still has to see to it"
    for one in send.recipients:
        times = got[one.address, send.subject]
        match one.status:
            case RecipientStatus.ACCEPTED if not times:
                yield f"{one.address} has it, and got nothing"
            case RecipientStatus.WAITING | RecipientStatus.REFUSED if times:
                yield f"{one.address} is {one.status}, and got it"
            case RecipientStatus.WAITING if send.status not in _NOBODY_GETS:
                yield f"{one.address} waits for ever"
        if times and send.status in _NOBODY_GETS:
            yield f"{one.address} got it"


_NOBODY_GETS = {SendStatus.CANCELLED, SendStatus.FAILED}


# ---- by submission ----


@dataclass
class Posts:
    """The counting server, for the whole run; what it says of a recipient is a world's to say."""

    world: "BySubmission | None" = None

    @cached_property
    def server(self) -> ScriptedSmtp:
        return ScriptedSmtp(security="none", recipients=self).__enter__()  # type: ignore[arg-type]

    def get(self, address: str) -> str | None:
        """Return the reply to RCPT, None for the good one."""
        assert self.world is not None
        return self.world.reply_to(address)

    def stop(self) -> None:
        if "server" in self.__dict__:
            self.server.__exit__(None, None, None)


@dataclass
class BySubmission(Sending):
    """A mailbox with a password: our own submission to a server that counts.

    The sent mail is in the folder of the server in memory. It is put there by us, as most servers
    want it, or by the server itself (`facts["keeps what it sends"]`).
    """

    posts: ClassVar[Posts] = Posts()

    def sender(self) -> MailSender:
        self.posts.world = self
        self.posts.server.taken.clear()
        return _Submitting(self)

    def arrived(self) -> Iterable[tuple[str, bytes]]:
        for one in self.posts.server.taken:
            for recipient in one.recipients:
                yield recipient, one.content

    def reply_to(self, address: str) -> str | None:
        """Return the server's reply to RCPT, None for the good one."""
        code, until = self.facts.get("refuses", {}).get(address, ("", None))
        return code if code and (until is None or self.clock.at < until) else None

    def was_taken(self) -> None:
        if "keeps what it sends" in self.facts:
            taken = self.posts.server.taken[-1].content
            self.server.deliver("Sent", taken, self.clock.at, seen=True)
        super().was_taken()

    def keep_more(self) -> Any:
        return list(self.posts.server.taken)

    def restore_more(self, kept: Any) -> None:
        self.posts.server.taken[:] = kept


@dataclass
class _Submitting:
    """The port `MailSender`."""

    world: BySubmission

    @contextmanager
    def open(self, grant: ImapGrant, *, seconds: float | None = None) -> Iterator["_Submission"]:
        world, side = self.world, grant.smtp
        port = world.posts.server.port
        here = replace(side.server, host="127.0.0.1", port=port, security=Security.NONE)
        grant = replace(grant, smtp=replace(side, server=here))
        network = WatchedNetwork(port, world.interrupter, world.was_taken)
        keeps = "keeps what it sends" in world.facts
        post = FakePost(world.server, saves_sent=keeps, now=world.clock.at)
        with ImapSender(network).open(grant, seconds=seconds) as leaving, post.open(grant) as sent:
            reads, effects = frozenset({"look_up"}), frozenset({"file"})
            yield _Submission(leaving, Watched(sent, world.interrupter, reads, effects))


class _Submission:
    """Our own submission, and in place of IMAP the server in memory."""

    def __init__(self, leaving: Any, sent: Any) -> None:
        self.prepare, self.send = leaving.prepare, leaving.send
        self.look_up, self.file = sent.look_up, sent.file
        self.sent_folder, self.discard = sent.sent_folder, sent.discard


# ---- at providers ----


@dataclass
class _AtProvider(Sending, AtProvider):
    """What both have in common."""

    def theirs(self) -> Any:
        """Return what the account holds; what was sent by its subject, each copy and draft of it."""
        found = [
            (self.subject_of(one), [*one.folders, one.seen])
            for one in self.mailbox.messages()
            if not self.is_thrown_away(one)
        ]
        return sorted(found), self.is_let_in()

    @abstractmethod
    def subject_of(self, message: Any) -> str:
        """Return what a message in the account is called in every life."""

    def is_thrown_away(self, message: Any) -> bool:
        """Whether a mail lies where what is deleted goes, be it for ever or not."""
        return False


@dataclass
class ByGmail(_AtProvider, AtGoogle):
    """Gmail; recipients are other accounts there. It gives each mail a Message-ID of its own."""

    def sender(self) -> MailSender:
        http, endpoints = self.place.http, self.place.endpoints
        return GmailSender(_watched(self, http), endpoints)  # type: ignore[arg-type]

    def subject_of(self, message: Any) -> str:
        return _subject_of(self.mailbox.raw(message.id))

    def add_people(self) -> None:
        for one in (CLEO, KIM, LEE, EVE):
            self.place.simulator.add_user(one)

    def arrived(self) -> Iterable[tuple[str, bytes]]:
        for recipient in (CLEO, KIM, LEE, EVE):
            try:
                mail = self.place.simulator.mail(recipient)
            except NoSuchThingError:
                continue
            for one in mail.messages():
                yield recipient, mail.raw(one.id)


@dataclass
class ByGraph(_AtProvider, AtMicrosoft):
    """Outlook; who gets what is counted where Exchange's transport hands it over.

    Sync comes late: should it be first, it stores what Exchange writes of its own copy, which has
    nobody in Bcc, and other names.
    """

    sync_comes_after: ClassVar[timedelta] = timedelta(minutes=45)

    def sender(self) -> MailSender:
        self._delivered.clear()
        http, endpoints = self.place.http, self.place.endpoints
        return OutlookSender(_watched(self, http), endpoints)  # type: ignore[arg-type]

    def subject_of(self, message: Any) -> str:
        own = {one.internet_message_id: one.subject for one in self.asked_for()}
        return own.get(message.internet_message_id, message.internet_message_id)

    def add_people(self) -> None:
        """They have no accounts."""

    def arrived(self) -> Iterable[tuple[str, bytes]]:
        for one in self.place.simulator.delivered:
            yield one.recipient, one.raw

    def is_thrown_away(self, message: Any) -> bool:
        # Deleted once more, as nobody heard that it was, a draft goes from one to the other.
        places = ("deleteditems", "recoverableitemsdeletions")
        return set(message.folders) <= {self.mailbox.folder_id(one) for one in places}

    def keep_more(self) -> Any:
        return super().keep_more(), self.place.simulator.delivered

    def restore_more(self, kept: Any) -> None:
        more, delivered = kept
        super().restore_more(more)
        self._delivered[:] = delivered

    @property
    def _delivered(self) -> list[Any]:
        found: list[Any] = self.place.simulator._world.transport.delivered
        return found


@dataclass
class _FarEnd:
    """What a world has to say at its provider's requests."""

    world: Sending

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    def is_busy(self, request: str) -> bool:
        return "is busy" in self.world.facts and request.endswith(SENDS)

    def was_done(self, request: str) -> None:
        if request.endswith(SENDS):
            self.world.was_taken()


def _watched(world: Sending, http: Any) -> WatchedHttp:
    return WatchedHttp(http, world.interrupter, _FarEnd(world))
