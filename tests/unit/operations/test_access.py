"""How a mailbox's access tokens are renewed: stored before use, once, and never over a newer grant."""

import json
import threading
from dataclasses import dataclass, field

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.operations.access import Grants, KeptTokens, keep_grant
from shared.ports.sign_in import OAuthClient
from tests.fakes.clock import FixedClock
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.sign_in import OURS, FakeAccounts, InMemoryOAuthClients
from tests.fakes.values import BOX, TENANT, a_mailbox

MAILBOX = a_mailbox(provider=Provider.GMAIL, subject="sub-1", imap=None, smtp=None)
BACK = "https://api.example/v1/oauth/gmail/callback"


@dataclass
class Accounts(FakeAccounts):
    """Refresh tokens rotate, as Microsoft's; with `strict` the old one is dead at once."""

    strict: bool = False
    renewals: int = 0
    meanwhile: list = field(default_factory=list)

    def renew(self, client, kept, *, now):
        tokens = super().renew(client, kept, now=now)
        self.renewals += 1
        held = json.loads(tokens.kept.reveal())
        old, held["refresh"] = held["refresh"], f"rotated-{next(self.numbers)}"
        self.grants[held["refresh"]] = self.grants[old]
        if self.strict:
            del self.grants[old]
        while self.meanwhile:
            self.meanwhile.pop()()
        return type(tokens)(tokens.access_token, tokens.expires_at, Secret(json.dumps(held)))


@dataclass
class World:
    accounts: Accounts = field(default_factory=lambda: Accounts(Provider.GMAIL))
    secrets: InMemorySecretStore = field(default_factory=InMemorySecretStore)
    clients: InMemoryOAuthClients = field(default_factory=InMemoryOAuthClients)
    clock: FixedClock = field(default_factory=FixedClock)

    def __post_init__(self):
        self.accounts.add("ada@ours.example", "sub-1")
        self.sign_in()

    @property
    def grants(self) -> Grants:
        """What one worker has."""
        return Grants(self.secrets, lambda _provider: self.accounts, self.clients, self.clock)

    def sign_in(self, client=OURS):
        page = self.accounts.begin(client, redirect_uri=BACK)
        answer = self.accounts.allow(page.url, "ada@ours.example")
        signed_in = self.accounts.complete(
            client, page.kept, answer, redirect_uri=BACK, now=self.clock.now()
        )
        kept = KeptTokens(client.client_id, signed_in.tokens.kept)
        keep_grant(MAILBOX, kept, secrets=self.secrets)
        return kept

    def tokens(self):
        return self.grants.of(MAILBOX).tokens

    @property
    def stored(self):
        document = json.loads(self.secrets.secrets[TENANT, BOX].reveal())
        return json.loads(document["oauth"]["kept"])


@pytest.fixture
def world():
    return World()


def test_a_token_that_lasts_is_used_as_it_is(world):
    assert world.tokens().current().reveal() == world.stored["access"]
    assert world.accounts.renewals == 0


def test_one_that_runs_out_is_renewed_and_stored_before_it_is_used(world):
    tokens = world.tokens()
    world.clock.advance(minutes=56)
    fresh = tokens.current().reveal()
    assert fresh == world.stored["access"]
    assert world.stored["refresh"].startswith("rotated")
    assert tokens.current().reveal() == fresh
    assert world.accounts.renewals == 1


def test_a_token_that_cannot_be_stored_is_not_used(world, monkeypatch):
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    busy = RetryLaterError(ErrorCode.STORE_THROTTLED)

    def refuse(*_given, **_named):
        raise busy

    monkeypatch.setattr(world.secrets, "replace", refuse)
    with pytest.raises(RetryLaterError):
        tokens.current()


@pytest.mark.parametrize("strict", [False, True])
def test_who_dies_before_storing_a_rotated_grant_costs_at_most_one_sign_in(
    world, strict, monkeypatch
):
    world.accounts.strict = strict
    world.clock.advance(minutes=60)

    def die(*_given, **_named):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(world.secrets, "replace", die)
        world.tokens().current()
    if strict:
        with pytest.raises(ReconnectRequiredError) as caught:
            world.tokens().current()
        assert (caught.value.code, caught.value.definitive) == (ErrorCode.GRANT_REVOKED, True)
        assert world.accounts.renewals == 1, "a dead grant was tried again and again"
        world.sign_in()
    assert world.tokens().current().reveal() == world.stored["access"]
    assert world.accounts.is_alive(Secret(json.dumps(world.stored)))


def test_a_refused_token_is_renewed_and_another_threads_news_is_taken(world):
    tokens = world.tokens()
    refused = tokens.current()
    first = tokens.renewed(refused)
    assert first != refused
    assert tokens.renewed(refused) == first
    assert world.accounts.renewals == 1


def test_whoever_reads_what_another_worker_renewed_renews_nothing(world):
    mine, theirs = world.tokens(), world.tokens()
    world.clock.advance(minutes=60)
    assert mine.current() == theirs.current()
    assert world.accounts.renewals == 1


@pytest.mark.parametrize("strict", [False, True])
def test_two_renewals_at_once_end_on_one_stored_grant_that_lives(world, strict):
    world.accounts.strict = strict
    mine, theirs = world.tokens(), world.tokens()
    world.clock.advance(minutes=60)
    world.accounts.meanwhile.append(lambda: others.append(try_token(theirs)))
    others = []
    last = mine.current()
    assert world.accounts.is_alive(Secret(json.dumps(world.stored)))
    assert last.reveal() == world.stored["access"]
    assert others[0] in {last.reveal(), "retried later"}


def try_token(tokens):
    try:
        return tokens.current().reveal()
    except ReconnectRequiredError:
        return "retried later"


def test_threads_of_one_worker_renew_once(world):
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    found = []
    threads = [threading.Thread(target=lambda: found.append(tokens.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == world.accounts.renewals == 1


def test_a_renewal_that_a_reconnect_overtakes_goes_on_with_the_new_grant(world):
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    world.accounts.meanwhile.append(world.sign_in)
    token = tokens.current().reveal()
    assert token == world.stored["access"]
    assert not world.stored["refresh"].startswith("rotated")


def test_a_dead_grant_that_was_reconnected_meanwhile_is_not_held_against_the_mailbox(world):
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    world.accounts.grants.clear()
    world.sign_in()
    assert tokens.current().reveal() == world.stored["access"]


def test_a_dead_grant_is_told_as_the_provider_said(world):
    tokens = world.tokens()
    world.accounts.grants.clear()
    with pytest.raises(ReconnectRequiredError) as caught:
        tokens.renewed(tokens.current())
    assert (caught.value.code, caught.value.definitive) == (ErrorCode.GRANT_REVOKED, True)


def test_a_renewal_brings_nothing_back_after_a_disconnect(world):
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    world.accounts.meanwhile.append(lambda: world.secrets.delete(TENANT, BOX))
    with pytest.raises(ReconnectRequiredError) as caught:
        tokens.current()
    assert not caught.value.definitive
    assert world.secrets.secrets == {}


def test_a_client_secret_that_was_just_renewed_is_read_anew(world):
    renewed = OAuthClient(OURS.client_id, Secret("renewed"))
    real = world.clients.usable

    def remembered(tenant_id, provider, *, anew=False):
        return real(tenant_id, provider) if anew else [OURS]

    world.clients.usable = remembered
    world.clients.operators[Provider.GMAIL] = renewed
    world.accounts.secrets[OURS.client_id] = renewed.client_secret
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    assert tokens.current().reveal() == world.stored["access"]


def test_a_client_secret_that_is_wrong_is_the_operators_and_keeps_the_grant(world):
    world.accounts.secrets[OURS.client_id] = Secret("another")
    tokens = world.tokens()
    before = world.stored
    world.clock.advance(minutes=60)
    with pytest.raises(ConfigurationError) as caught:
        tokens.current()
    assert caught.value.code is ErrorCode.CLIENT_REJECTED
    assert world.stored == before


def test_a_grant_is_renewed_by_the_client_it_was_given_to_and_by_no_other(world):
    own = OAuthClient("tenants-own", Secret("of the tenant"))
    world.clients.tenants[TENANT, Provider.GMAIL] = own
    tokens = world.tokens()
    world.clock.advance(minutes=60)
    assert tokens.current().reveal() == world.stored["access"]
    world.clients.operators.clear()
    world.clock.advance(minutes=60)
    with pytest.raises(ConfigurationError) as caught:
        tokens.current()
    assert caught.value.code is ErrorCode.CLIENT_MISSING
