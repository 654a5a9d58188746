"""A mailbox at the Google simulator beside our copies of it, reached as a real one would be.

Sign-in through the consent page, tokens that end and are renewed, the API over https; what waits
moves the simulator's clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, urlsplit

from infra.simulators.google import GoogleSimulator
from infra.simulators.kit.mailbox import Delivery
from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode
from shared.domain.ids import ProviderMessageId
from shared.domain.message import Copy, MissingMessage
from shared.domain.secret import Secret
from shared.ports.provider import OAuthGrant
from shared.ports.sign_in import OAuthClient, SignedIn
from shared.providers.gmail import labels
from shared.providers.gmail.adapter import GmailProvider
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.sender import GmailSender
from shared.providers.gmail.sign_in import GoogleSignIn
from shared.providers.http import Http
from tests.contract.moving_world import Held, MovingWorld
from tests.contract.provider_worlds import NOW, Followed, Theirs, number_of
from tests.contract.renewed_tokens import RenewedTokens
from tests.contract.simulators.google_world import Browser
from tests.fakes.known import a_copy

CLIENT = OAuthClient("one.apps.googleusercontent.com", Secret("obviously not a secret"))
CALLBACK = "http://localhost:9999/v1/oauth/gmail/callback"
OWNER, OTHER = "ada@gmail.example", "bob@gmail.example"


class AtGoogle(Theirs):
    """In the simulator, changed as its owner's mail program does."""

    marks_answered = False

    def __init__(self, mailbox) -> None:
        super().__init__()
        self.mailbox = mailbox

    def id_of(self, number: int) -> ProviderMessageId:
        return ProviderMessageId(self._places[number][1])

    def create_folder(self, name):
        self.mailbox.create_folder(name)

    def _delete_folder(self, name):
        self.mailbox.delete_folder(name)

    def _store(self, folder, raws, received_at, *, seen):
        return self.mailbox.deliver_all(
            [Delivery(raw, (folder,), received_at, seen) for raw in raws]
        )

    def _flag(self, folder, uid):
        self.mailbox.set_flags(uid, seen=True, flagged=True)

    def _expunge(self, folder, uid):
        self.mailbox.delete(uid)

    def _move(self, folder, uid, to):
        self.mailbox.move(uid, to)
        return uid


@dataclass
class KnownAll:
    """The port `KnownCopies` over a world's copies of the whole mailbox."""

    world: "GmailWorld"

    def in_folder(self) -> dict[ProviderMessageId, Copy]:
        return {
            name: one.copy for name, one in self.world.ours.items() if one.copy.removed_at is None
        }

    def of(self, ids) -> dict[ProviderMessageId, Copy]:
        return {name: self.world.ours[name].copy for name in ids if name in self.world.ours}


@dataclass
class GmailWorld(MovingWorld):
    """Google's simulator, signed in to.

    One cursor is that of the whole mailbox. The suite asks by folder: it is told what came to a
    folder of ours and what left it since it was last told of that one.
    """

    simulator: GoogleSimulator | None = None
    sign_in: GoogleSignIn | None = None
    sender: GmailSender | None = None
    told: dict[str, set[int]] = field(default_factory=dict)

    wrong_code = ErrorCode.GRANT_REVOKED
    compares_positions = False

    @property
    def wrong_grant(self) -> OAuthGrant:
        """One whose refresh token was revoked, and whose access token has ended."""
        other = sign_in_as(self.simulator, self.sign_in, OTHER)
        self.simulator.revoke_grants(OTHER)
        ended = replace(other.tokens, expires_at=self.simulator.clock.now())
        return OAuthGrant(RenewedTokens(self.sign_in, CLIENT, ended, self.simulator.clock))

    def sign_in_again(self) -> None:
        """Take a new grant of the same owner's, as a reconnection does."""
        signed_in = sign_in_as(self.simulator, self.sign_in)
        self.grant = OAuthGrant(
            RenewedTokens(self.sign_in, CLIENT, signed_in.tokens, self.simulator.clock)
        )

    def position(self, name="INBOX"):
        with self.session() as session:
            return session.baseline(labels.ALL, now=self.now)

    def look(self, cursors):
        (cursor,) = cursors.values()
        with self.session() as session:
            return session.look({labels.ALL.id: cursor}, lambda _one: True, now=self.now)

    def has_changed(self, cursor, name="INBOX"):
        return bool(self.look({labels.ALL.id: cursor}).changed)

    def followed(self, name="INBOX"):
        return labels.ALL

    def window(self, *, since, upto, before=None, name="INBOX"):
        with self.session() as session:
            names = session.list_window(labels.ALL, since=since, upto=upto, before=before)
            found = {one.provider_message_id: one for one in session.fetch(labels.ALL, names)}
        return [number_of(found[name]) for name in names]

    def follow(self, cursor, name="INBOX", *, since=None, limit=100, pages=1_000) -> Followed:
        with self.session() as session:
            heard = self.take_in(session, labels.ALL, cursor, since=since, limit=limit, pages=pages)
        here, before = self.numbers(name), self.told.get(name, set())
        self.told[name] = here
        # Told of already, where the suite asks again by the other folder's cursor.
        came = [one for one in dict.fromkeys([*heard.added, *sorted(here)]) if one in here - before]
        return replace(heard, added=came, removed=sorted(before - here))

    def take_in(self, session, folder, cursor, *, since=None, limit=100, pages=1_000) -> Followed:
        """Take in page after page within a session, as `sync_mailbox` and `ingest` do."""
        told = Followed(cursor or Cursor("", 0, ""))
        for _ in range(pages):
            page = session.changes(
                folder, cursor, KnownAll(self), since=since, limit=limit, now=self.now
            )
            assert len(page.added) <= limit
            assert page.removed == page.too_old == ()
            for one in self.fetch_all(session, page.added):
                if since is not None and one.received_at < since:
                    told.too_old += 1
                    continue
                self.keep(one)
                told.added.append(number_of(one))
            for name, folder_ids in page.placed.items():
                told.added.append(self.ours[name].number)
                self.place(name, folder_ids)
            for name, flags in page.flags.items():
                told.changed[self.ours[name].number] = flags
                self._flag(name, flags)
            told.cursor = cursor = Cursor.decode(page.next_cursor.encode())
            if not page.more:
                break
        self._mirror()
        return told

    def fetch_all(self, session, names):
        for one in session.fetch(labels.ALL, names):
            if isinstance(one, MissingMessage):
                assert one.reason == "gone"
                continue
            assert one.provider_message_id in names
            self.fetched.append(one.provider_message_id)
            yield one

    def keep(self, one) -> None:
        copy = a_copy(one.provider_message_id, one.flags, one.folder_ids)
        self.ours[one.provider_message_id] = Held(
            number_of(one), replace(copy, received_at=one.received_at)
        )

    def place(self, name, folder_ids) -> None:
        held = self.ours[name]
        if folder_ids:
            held.copy = replace(held.copy, folder_ids=folder_ids, removed_at=None)
        else:
            held.copy = replace(held.copy, removed_at=NOW)

    def truth(self) -> dict[ProviderMessageId, frozenset[str]]:
        """What the simulator's own store holds: every id with its folders, as we name them."""
        return {
            ProviderMessageId(one.id): labels.folder_ids(one.folders)
            for one in self.theirs.mailbox.messages()
        }

    def alive(self) -> dict[ProviderMessageId, frozenset[str]]:
        """What we hold and believe to be there, with its folders."""
        return {name: one.folder_ids for name, one in KnownAll(self).in_folder().items()}


def sign_in_as(
    simulator: GoogleSimulator, sign_in: GoogleSignIn, address: str = OWNER, **options
) -> SignedIn:
    """Click through the consent and redeem what comes back."""
    page = sign_in.begin(CLIENT, redirect_uri=CALLBACK, **options)
    back = come_back(simulator, page.url, account=address)
    now = simulator.clock.now()
    return sign_in.complete(CLIENT, page.kept, back, redirect_uri=CALLBACK, now=now)


def come_back(
    simulator, url: str, *, account: str = OWNER, action: str = "allow"
) -> dict[str, str]:
    """Open a sign-in's page in a browser, click, and return what the callback is asked with."""
    browser = Browser(simulator.browser_url)
    page = browser.open(**dict(parse_qsl(urlsplit(url).query)))
    assert page.status == 200, page.body
    return browser.arrived(browser.send(page, account=account, action=action))


@contextmanager
def at_google(certificates, **more) -> Iterator[GmailWorld]:
    """A world at a simulator of its own, signed in as its owner."""
    good = certificates.good
    with GoogleSimulator(certificate=good.certificate, key=good.key) as simulator:
        simulator.add_client(CLIENT.client_id, CLIENT.client_secret.reveal(), [CALLBACK])
        for address in (OWNER, OTHER):
            simulator.add_user(address)
        endpoints = GoogleEndpoints.at(simulator.url, simulator.browser_url)
        http = Http(
            endpoints.origins,
            extra_ca_file=str(certificates.authority),
            sleep=simulator.clock.advance,
            **more,
        )
        sign_in = GoogleSignIn(http, endpoints)
        signed_in = sign_in_as(simulator, sign_in)
        simulator.log.clear()
        yield GmailWorld(
            GmailProvider(http, endpoints),
            OAuthGrant(RenewedTokens(sign_in, CLIENT, signed_in.tokens, simulator.clock)),
            AtGoogle(simulator.mail(OWNER)),
            simulator=simulator,
            sign_in=sign_in,
            sender=GmailSender(http, endpoints),
        )
        assert simulator.service.failures == []
