"""Worlds whose mailbox is an account at Google or Microsoft: real sign-in and adapter, their simulators.

A simulator listens for the whole run and keeps everything in one SQLite database, so a picture of
it is a copy of that. Its clock is the world's. The adapters are kept from life to life, as are
botocore's clients: they hold connections, and nothing of ours.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import boto3

from infra.simulators.google import GoogleSimulator
from infra.simulators.microsoft import MicrosoftSimulator
from shared import wiring, wiring_of_sign_ins
from shared.aws.oauth_clients import client_secret_name, written_client
from shared.domain.errors import ReconnectRequiredError
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.providers.gmail.adapter import GmailProvider
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.sign_in import GoogleSignIn
from shared.providers.http import Http
from shared.providers.outlook.adapter import OutlookProvider
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.sign_in import MicrosoftSignIn
from tests.contract import gmail_world, outlook_world
from tests.fakes.clock import FixedClock
from tests.fakes.deployment import http_event
from tests.faults.killpoints import Death, Watched, WatchedMail
from tests.faults.world import NAME, TIMES_TRIED, World

OWNER = "ann@ours.example"
CALLS = frozenset({"address"})
EFFECTS = frozenset({"complete", "renew", "revoke"})


class Place(ABC):
    """A provider's simulator, and our adapters to it, for the whole run."""

    provider: Provider
    simulator: Any

    def __init__(self, client: Any) -> None:
        self.client = client
        callback = f"https://api.example/v1/oauth/{self.provider}/callback"
        self.simulator.add_client(client.client_id, client.client_secret.reveal(), [callback])
        self.simulator.add_user(OWNER)
        self.empty = self.picture()

    @property
    def _service(self) -> Any:
        return self.simulator.service

    def picture(self) -> Any:
        """Return a copy of everything it holds."""
        random = getattr(self.simulator, "world", None)
        return self._service.store._connection.serialize(), random and random.random.getstate()

    def restore(self, picture: Any) -> None:
        """Hold what the picture holds, and nothing else."""
        rows, random = picture
        self._service.store._connection.deserialize(rows)
        if random:
            self.simulator.world.random.setstate(random)
        self._service.log.clear()
        self.forget_quota()

    def follow(self, clock: FixedClock) -> None:
        """Take a world's time for one's own."""
        self._service.clock.epoch = lambda: clock.at.timestamp()

    @abstractmethod
    def forget_quota(self) -> None:
        """Have nothing count against us that was asked in a time that is yet to come."""

    @abstractmethod
    def come_back(self, url: str) -> dict[str, str]:
        """Consent in a browser; return what the callback is asked with."""


class Google(Place):
    provider = Provider.GMAIL

    def __init__(self, certificates: Any) -> None:
        good = certificates.good
        self.simulator = GoogleSimulator(certificate=good.certificate, key=good.key).start()
        self.endpoints = endpoints = GoogleEndpoints.at(
            self.simulator.url, self.simulator.browser_url
        )
        self.http = http = Http(endpoints.origins, extra_ca_file=str(certificates.authority))
        self.mail = GmailProvider(http, endpoints)
        self.sign_in = GoogleSignIn(http, endpoints)
        super().__init__(gmail_world.CLIENT)

    def forget_quota(self) -> None:
        self.simulator.quota._used.clear()

    def come_back(self, url: str) -> dict[str, str]:
        return gmail_world.come_back(self.simulator, url, account=OWNER)


class Microsoft(Place):
    provider = Provider.OUTLOOK

    def __init__(self, certificates: Any) -> None:
        good = certificates.good
        self.simulator = MicrosoftSimulator(certificate=good.certificate, key=good.key).start()
        self.endpoints = endpoints = MicrosoftEndpoints(
            login=self.simulator.url, graph=self.simulator.url
        )
        self.http = http = Http([self.simulator.url], extra_ca_file=str(certificates.authority))
        self.mail = OutlookProvider(http, endpoints)
        self.sign_in = MicrosoftSignIn(http, endpoints)
        super().__init__(outlook_world.CLIENT)

    def forget_quota(self) -> None:
        throttle = self.simulator._world.throttle
        throttle._asked.clear()
        throttle._sent.clear()

    def come_back(self, url: str) -> dict[str, str]:
        return outlook_world.come_back(url, account=OWNER)


@dataclass
class Places:
    """Both simulators, started when they are first needed."""

    certificates: Any

    @cached_property
    def google(self) -> Google:
        return Google(self.certificates)

    @cached_property
    def microsoft(self) -> Microsoft:
        return Microsoft(self.certificates)

    def stop(self) -> None:
        for name in ("google", "microsoft"):
            if name in self.__dict__:
                getattr(self, name).simulator.stop()


@contextmanager
def places_of_run(certificates: Any) -> Iterator[None]:
    """Have the worlds of this module find their providers."""
    AtProvider.places = Places(certificates)
    try:
        yield
    finally:
        AtProvider.places.stop()


@dataclass
class AtProvider(World, ABC):
    """A deployment whose user's mailbox is at a provider with a sign-in."""

    places: ClassVar[Places]

    @property
    @abstractmethod
    def place(self) -> Place:
        """Where the account is."""

    def start(self, monkeypatch: Any) -> "AtProvider":
        super().start(monkeypatch)
        place = self.place
        place.restore(place.empty)
        place.follow(self.clock)
        sign_in = Watched(place.sign_in, self.interrupter, frozenset(), EFFECTS)
        reader = Watched(place.mail, self.interrupter, CALLS)
        mail = WatchedMail(place.mail, self.interrupter)
        monkeypatch.setattr(wiring, "provider_of", lambda _provider: mail)
        monkeypatch.setattr(wiring_of_sign_ins, "sign_in", lambda _provider: sign_in)
        monkeypatch.setattr(wiring_of_sign_ins, "account_reader", lambda _provider: reader)
        monkeypatch.setattr(wiring_of_sign_ins, "sign_in_policy", lambda _api_id: self.sign_ins)
        monkeypatch.setattr(wiring_of_sign_ins, "time", SimpleNamespace(sleep=self.clock.advance))
        boto3.client("secretsmanager").create_secret(
            Name=client_secret_name(NAME, place.provider),
            SecretString=written_client(place.client).reveal(),
        )
        return self

    def keep_more(self) -> Any:
        return self.place.picture()

    def restore_more(self, kept: Any) -> None:
        self.place.restore(kept)

    # ---- the person ----

    def sign_in(self, **wishes: Any) -> str:
        """Sign in as often as it takes, and return the mailbox's id."""
        for _ in range(TIMES_TRIED):
            outcome = self._try_to_sign_in(wishes)
            if outcome.get("mailroom_outcome") == "connected":
                return outcome["mailbox_id"]
            if outcome.get("mailroom_outcome") == "already_connected":
                # Who died after all was done learns that it was.
                assert self.interrupter.fired
                return ""
            assert self.interrupter.fired, outcome
            self.failures += 1
            self.new_process()
            self.clock.advance(minutes=1)
        raise AssertionError(f"signed in {TIMES_TRIED} times in vain")

    def _try_to_sign_in(self, wishes: dict[str, Any]) -> dict[str, str]:
        with suppress(Death):
            body = {
                "provider": str(self.place.provider), "return_url": "https://app.example/", **wishes
            }  # fmt: skip
            begun = self.ask("POST", "/v1/mailboxes/authorize", body=body)
            if begun.status != 200:
                return {"status": str(begun.status), "text": begun.text}
            query = self.place.come_back(begun.json["authorize_url"])
            path = f"/v1/oauth/{self.place.provider}/callback"
            cookies = [begun.cookies[0].split(";")[0]]
            back = self.handle(http_event("GET", path, query=query, cookies=cookies))
            return dict(parse_qsl(urlsplit(back.headers.get("Location", "")).query))
        return {}

    # ---- the account ----

    @property
    def mailbox(self) -> Any:
        """The account's mailbox, to change as its owner's own program does."""
        return self.place.simulator.mail(OWNER)

    def deliver_raw(self, raw: bytes, folder: str = "INBOX") -> str:
        """Have a message arrive; return its id."""
        place = self.folder_named(folder)
        found: str = self.mailbox.deliver(raw, folders=(place,), received_at=self.clock.at)
        return found

    def folder_named(self, name: str) -> str:
        """Return what the provider calls one of the usual folders."""
        return name

    def theirs(self) -> Any:
        mail = {
            one.internet_message_id: [*one.folders, one.seen] for one in self.mailbox.messages()
        }
        return {"mail": mail, "somebody may still come in": self.is_let_in()}

    @abstractmethod
    def is_let_in(self) -> bool:
        """Whether any grant of the account's to us is alive."""

    def read_secret(self, text: str) -> Any:
        """Return whether a grant opens the account: its text is another one in every life."""
        document = json.loads(text)
        if "oauth" not in document:
            return text
        before = self.keep_more()
        kept = Secret(document["oauth"]["kept"])
        try:
            self.place.sign_in.renew(self.place.client, kept, now=self.clock.at)
        except ReconnectRequiredError:
            return "opens nothing"
        finally:
            self.restore_more(before)
        return "opens the account"


@dataclass
class AtGoogle(AtProvider):
    """A Gmail mailbox."""

    @property
    def place(self) -> Place:
        return self.places.google

    def is_let_in(self) -> bool:
        rows = self.place.simulator.world.store.rows(
            "SELECT token FROM refresh_tokens WHERE address = ? AND ended = ''", OWNER
        )
        return bool(rows)


@dataclass
class AtMicrosoft(AtProvider):
    """An Outlook mailbox."""

    @property
    def place(self) -> Place:
        return self.places.microsoft

    def folder_named(self, name: str) -> str:
        return {"INBOX": "inbox", "Sent": "sentitems"}.get(name, name)

    def is_let_in(self) -> bool:
        """Microsoft has no way to withdraw one application's grant: it is nobody's to compare."""
        return True


AN_ACCESS_TOKEN_LASTS = timedelta(minutes=61)
