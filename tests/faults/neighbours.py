"""A world with two mailboxes of one tenant, each with a server of its own, and with mail nobody can read.

A message with `X-Torn` in it is refused by the parser until `facts["mended"]`.
"""

import pickle
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from shared import wiring
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.mime.parse import MimeParser
from tests.fakes.provider import FakeMailServer
from tests.faults.killpoints import WatchedMail
from tests.faults.world import World

ANN, BOB = "ann", "bob"


@dataclass
class Neighbours(World):
    """Ann's mailbox is at `server`, Bob's at `other`."""

    other: FakeMailServer = field(default_factory=lambda: FakeMailServer.with_folders("INBOX"))

    def start(self, monkeypatch: Any) -> "Neighbours":
        super().start(monkeypatch)
        mail = WatchedMail(_ByLogin(self), self.interrupter)
        monkeypatch.setattr(wiring, "provider_of", lambda _provider: mail)
        parser = _Parser(self)
        monkeypatch.setattr(wiring, "parser", lambda: parser)
        return self

    def keep_more(self) -> bytes:
        return pickle.dumps(self.other)

    def restore_more(self, kept: Any) -> None:
        self.other = pickle.loads(kept)

    def theirs(self) -> Any:
        others = {uid: mail.flags for uid, mail in self.other.folders["INBOX"].mails.items()}
        return {ANN: super().theirs(), BOB: others}

    def connect_each(self, **wishes: Any) -> None:
        """Connect both and import what they hold; note their ids, and let both be polled."""
        for user in (ANN, BOB):
            login = {"host": "imap.example.org", "username": user, "password": f"secret-of-{user}"}
            address = f"{user}@ours.example"
            self.facts[user] = self.connect(
                address=address, imap=login, smtp=login, backfill_days=7, **wishes
            )
        self.drain()
        self.poll()


@dataclass
class _ByLogin:
    """The port `MailProvider`, with the server of whoever logs in."""

    world: Neighbours

    def open(self, grant: Any, *, seconds: float | None = None) -> AbstractContextManager[Any]:
        world = self.world
        server = world.server if grant.imap.server.username == ANN else world.other
        return server.open(grant, seconds=seconds)


class _Parser(MimeParser):
    """The real one, before and after it was mended."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def parse(self, message: Any) -> Any:
        if "mended" not in self.world.facts and b"X-Torn" in (message.raw or b""):
            raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED)
        return super().parse(message)
