"""A mailbox at the Microsoft simulator beside our copies of it, reached as a real one would be.

Sign-in by msal over https, tokens that end and are renewed, Graph over https; what waits moves the
simulator's clock.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import unescape
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from infra.simulators.kit.mailbox import Delivery
from infra.simulators.microsoft import MicrosoftSimulator
from shared.domain.errors import ErrorCode
from shared.domain.secret import Secret
from shared.ports.provider import OAuthGrant
from shared.ports.sign_in import OAuthClient, SignedIn
from shared.providers.http import Http
from shared.providers.outlook.adapter import OutlookProvider
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.sign_in import MicrosoftSignIn
from tests.contract.moving_world import MovingWorld
from tests.contract.provider_worlds import Theirs
from tests.contract.renewed_tokens import RenewedTokens

CLIENT = OAuthClient("11111111-2222-4333-8444-555555555555", Secret("obviously not a secret"))
CALLBACK = "http://localhost:9999/v1/oauth/outlook/callback"
OWNER, OTHER, PERSONAL = "ada@contoso.example", "bob@fabrikam.example", "eve@outlook.example"


class AtMicrosoft(Theirs):
    """In the simulator, changed as its owner's Outlook does."""

    marks_answered = False
    keeps_bytes = False

    def __init__(self, mailbox) -> None:
        super().__init__()
        self.mailbox = mailbox

    def create_folder(self, name):
        self.mailbox.create_folder(name)

    def _delete_folder(self, name):
        self.mailbox.delete_folder(_known(name))

    def _store(self, folder, raws, received_at, *, seen):
        return self.mailbox.deliver_all(
            [Delivery(raw, (_known(folder),), received_at, seen) for raw in raws]
        )

    def _flag(self, folder, uid):
        self.mailbox.set_flags(uid, seen=True, flagged=True)

    def _expunge(self, folder, uid):
        self.mailbox.delete(uid)

    def _move(self, folder, uid, to):
        self.mailbox.move(uid, _known(to))
        return uid


def _known(name: str) -> str:
    return {"INBOX": "inbox", "Sent": "sentitems"}.get(name, name)


@dataclass
class OutlookWorld(MovingWorld):
    """Microsoft's simulator, signed in to."""

    simulator: MicrosoftSimulator | None = None
    sign_in: MicrosoftSignIn | None = None
    http: Http | None = None
    endpoints: MicrosoftEndpoints | None = None

    wrong_code = ErrorCode.GRANT_REVOKED
    oldest_first = False
    compares_positions = False

    @property
    def wrong_grant(self) -> OAuthGrant:
        """One whose refresh token was revoked, and whose access token has ended."""
        other = sign_in_as(self.simulator, self.sign_in, OTHER)
        self.simulator.revoke_grants(OTHER)
        expired = RenewedTokens(self.sign_in, CLIENT, other.tokens, _Later(self.simulator.clock))
        return OAuthGrant(expired)

    @property
    def tokens(self) -> RenewedTokens:
        return self.grant.tokens

    def sign_in_again(self) -> None:
        """Take a new grant of the same owner's, as a reconnection does."""
        signed_in = sign_in_as(self.simulator, self.sign_in)
        self.grant = OAuthGrant(
            RenewedTokens(self.sign_in, CLIENT, signed_in.tokens, self.simulator.clock)
        )


@dataclass
class _Later:
    clock: object

    def now(self) -> datetime:
        return self.clock.now() + timedelta(days=1)


def sign_in_as(
    simulator: MicrosoftSimulator, sign_in: MicrosoftSignIn, address: str = OWNER, **options
) -> SignedIn:
    """Click through the consent and redeem what comes back."""
    page = sign_in.begin(CLIENT, redirect_uri=CALLBACK, **options)
    back = come_back(page.url, account=address)
    now = simulator.clock.now()
    return sign_in.complete(CLIENT, page.kept, back, redirect_uri=CALLBACK, now=now)


def come_back(url: str, *, account: str = OWNER, decision: str = "allow") -> dict[str, str]:
    """Open a sign-in's page in a browser, click, and return what the callback is asked with."""
    page = _browse(Request(url))
    if not isinstance(page, str):
        return page
    values = {"account": account, "decision": decision}
    while isinstance(page, str):
        form = re.search(r'<form method="post" action="([^"]*)"', page)
        assert form is not None, page[-600:]
        values["request"] = unescape(re.search(r'name="request" value="([^"]*)"', page)[1])
        url = urljoin(url, unescape(form[1]))
        page = _browse(Request(url, data=urlencode(values).encode()))
        # Where an administrator has to approve, there is nothing but going back.
        values["decision"] = "return"
    return page


class _Stay(HTTPRedirectHandler):
    def http_error_302(self, request, answer, *_):
        return answer


def _browse(request: Request) -> str | dict[str, str]:
    """Return a page, or what a redirect to us carries."""
    with build_opener(_Stay).open(request, timeout=20) as answer:
        if answer.status == 302:
            return dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        return answer.read().decode()


@contextmanager
def at_microsoft(certificates) -> Iterator[OutlookWorld]:
    """A world at a simulator of its own, signed in as its owner."""
    good = certificates.good
    simulator = MicrosoftSimulator(certificate=good.certificate, key=good.key).start()
    try:
        simulator.add_client(CLIENT.client_id, CLIENT.client_secret.reveal(), [CALLBACK])
        for address in (OWNER, OTHER, PERSONAL):
            simulator.add_user(address)
        http = Http(
            [simulator.url],
            extra_ca_file=str(certificates.authority),
            sleep=simulator.clock.advance,
        )
        endpoints = MicrosoftEndpoints(login=simulator.url, graph=simulator.url)
        sign_in = MicrosoftSignIn(http, endpoints)
        signed_in = sign_in_as(simulator, sign_in)
        tokens = RenewedTokens(sign_in, CLIENT, signed_in.tokens, simulator.clock)
        simulator.log.clear()
        yield OutlookWorld(
            OutlookProvider(http, endpoints),
            OAuthGrant(tokens),
            AtMicrosoft(simulator.mail(OWNER)),
            simulator=simulator,
            sign_in=sign_in,
            http=http,
            endpoints=endpoints,
        )
        assert simulator.failures == []
    finally:
        simulator.stop()
