"""The contract of `SignIn` and `AccountReader`: the fakes', Google's and Microsoft's at the simulators."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    ReconnectRequiredError,
    RequestError,
)
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.provider import OAuthGrant
from shared.ports.sign_in import OAuthClient
from tests.contract import gmail_world, outlook_world
from tests.fakes.sign_in import OURS, FakeAccounts

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclass
class Case:
    """A provider with two accounts, a product registered there, and somebody at a browser."""

    sign_in: Any
    reader: Any
    client: OAuthClient
    callback: str
    people: tuple[str, str]
    come_back: Callable[[str, str], dict[str, str]]
    """Opens a page as an account's owner and allows; an empty name declines."""
    end_grant: Callable[[str], None]
    now: Callable[[], datetime]

    def begin(self, **more):
        return self.sign_in.begin(self.client, redirect_uri=self.callback, **more)

    def complete(self, page, answer, *, client=None, redirect_uri=None):
        return self.sign_in.complete(
            client or self.client,
            page.kept,
            answer,
            redirect_uri=redirect_uri or self.callback,
            now=self.now(),
        )

    def sign_in_as(self, who=None):
        page = self.begin()
        return self.complete(page, self.come_back(page.url, who or self.people[0]))


@dataclass
class Fixed:
    """The port `AccessTokens` over one token."""

    token: Secret

    def current(self):
        return self.token

    def renewed(self, refused):
        raise ReconnectRequiredError(ErrorCode.GRANT_REVOKED)


@contextmanager
def fake(provider) -> Iterator[Case]:
    accounts = FakeAccounts(provider)
    people = ("ada@one.example", "bob@two.example")
    for one in people:
        accounts.add(one)

    def end_grant(address):
        ended = accounts.subjects[address]
        accounts.grants = {t: grant for t, grant in accounts.grants.items() if grant[0] != ended}

    yield Case(
        accounts,
        accounts,
        OURS,
        f"https://api.example/v1/oauth/{provider}/callback",
        people,
        lambda url, who: accounts.allow(url, who) if who else accounts.deny(url),
        end_grant,
        lambda: NOW,
    )


@contextmanager
def at_google(certificates) -> Iterator[Case]:
    with gmail_world.at_google(certificates) as world:
        simulator = world.simulator

        def come_back(url, who):
            how = {"account": who} if who else {"action": "deny"}
            return gmail_world.come_back(simulator, url, **how)

        yield Case(
            world.sign_in,
            world.provider,
            gmail_world.CLIENT,
            gmail_world.CALLBACK,
            (gmail_world.OWNER, gmail_world.OTHER),
            come_back,
            simulator.revoke_grants,
            simulator.clock.now,
        )


@contextmanager
def at_microsoft(certificates) -> Iterator[Case]:
    with outlook_world.at_microsoft(certificates) as world:

        def come_back(url, who):
            how = {"account": who} if who else {"decision": "cancel"}
            return outlook_world.come_back(url, **how)

        yield Case(
            world.sign_in,
            world.provider,
            outlook_world.CLIENT,
            outlook_world.CALLBACK,
            (outlook_world.OWNER, outlook_world.PERSONAL),
            come_back,
            world.simulator.revoke_grants,
            world.simulator.clock.now,
        )


@pytest.fixture(params=["fake gmail", "fake outlook", "google", "microsoft"])
def case(request, certificates):
    worlds = {
        "fake gmail": lambda: fake(Provider.GMAIL),
        "fake outlook": lambda: fake(Provider.OUTLOOK),
        "google": lambda: at_google(certificates),
        "microsoft": lambda: at_microsoft(certificates),
    }
    with worlds[request.param]() as made:
        yield made


def refusal(call, *given, **more):
    with pytest.raises(MailroomError) as refused:
        call(*given, **more)
    return refused.value


def test_a_page_bears_a_state_nobody_guesses_and_nothing_of_what_is_kept(case):
    page, other = case.begin(), case.begin()
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["state"] == [page.state]
    assert asked["redirect_uri"] == [case.callback]
    assert asked["client_id"] == [case.client.client_id]
    assert asked["code_challenge_method"] == ["S256"]
    assert page.state != other.state
    assert len(page.state) >= 22
    assert page.kept.reveal() not in page.url
    assert case.client.client_secret.reveal() not in page.url + page.kept.reveal()


def test_an_account_keeps_its_subject_and_shares_it_with_nobody(case):
    owner, other = case.people
    first, again, somebody = (case.sign_in_as(who) for who in (owner, owner, other))
    assert first.subject == again.subject
    assert first.subject != somebody.subject
    assert not any(part in first.subject for part in (owner, owner.partition("@")[0], "@"))


def test_what_is_kept_tells_the_tokens_again_and_no_other_text_does(case):
    tokens = case.sign_in_as().tokens
    assert case.sign_in.tokens(tokens.kept) == tokens
    assert timedelta(0) < tokens.expires_at - case.now() <= timedelta(days=1)
    for text in ("", "{}", "no json"):
        with pytest.raises(ValueError, match=r"."):
            case.sign_in.tokens(Secret(text))


def test_tokens_open_the_account_that_signed_in(case):
    for who in case.people:
        grant = OAuthGrant(Fixed(case.sign_in_as(who).tokens.access_token))
        assert case.reader.address(grant) == who


def test_who_declines_is_told_so_without_anything_redeemed(case):
    page = case.begin()
    answer = case.come_back(page.url, "")
    error = refusal(case.complete, page, answer)
    assert (type(error), error.code) == (RequestError, ErrorCode.CONSENT_DECLINED)


def test_a_code_is_good_once(case):
    page = case.begin()
    answer = case.come_back(page.url, case.people[0])
    case.complete(page, answer)
    assert refusal(case.complete, page, answer).code is ErrorCode.ATTEMPT_EXPIRED


def test_another_state_redeems_nothing(case):
    page = case.begin()
    answer = case.come_back(page.url, case.people[0])
    for state in ("", "x", page.state + "x"):
        assert isinstance(refusal(case.complete, page, {**answer, "state": state}), RequestError)
    assert case.complete(page, answer).subject


def test_a_code_of_another_attempt_does_not_fit(case):
    page, other = case.begin(), case.begin()
    answer = case.come_back(page.url, case.people[0])
    theirs = case.come_back(other.url, case.people[1])
    error = refusal(case.complete, page, {**answer, "code": theirs["code"]})
    assert isinstance(error, RequestError)


def test_a_code_is_for_its_redirect_uri_alone(case):
    page = case.begin()
    answer = case.come_back(page.url, case.people[0])
    assert refusal(case.complete, page, answer, redirect_uri="https://evil.example/")


def test_a_wrong_secret_is_ours_to_mend_and_nobody_s_else(case):
    wrong = replace(case.client, client_secret=Secret("another one that is not real"))
    page = case.begin()
    answer = case.come_back(page.url, case.people[0])
    for error in (
        refusal(case.complete, page, answer, client=wrong),
        refusal(case.sign_in.renew, wrong, case.sign_in_as().tokens.kept, now=case.now()),
    ):
        assert (type(error), error.code) == (ConfigurationError, ErrorCode.CLIENT_REJECTED)


def test_a_renewal_brings_another_token_for_the_same_account(case):
    before = case.sign_in_as().tokens
    after = case.sign_in.renew(case.client, before.kept, now=case.now())
    assert after.access_token != before.access_token
    assert case.reader.address(OAuthGrant(Fixed(after.access_token))) == case.people[0]
    once_more = case.sign_in.renew(case.client, after.kept, now=case.now())
    assert case.sign_in.tokens(once_more.kept) == once_more


def test_a_grant_that_ended_is_its_owner_s_to_renew(case):
    kept = case.sign_in_as().tokens.kept
    case.end_grant(case.people[0])
    error = refusal(case.sign_in.renew, case.client, kept, now=case.now())
    assert isinstance(error, ReconnectRequiredError)
    assert case.sign_in_as().tokens.kept != kept


def test_withdrawing_a_grant_twice_or_a_dead_one_is_no_error(case):
    kept = case.sign_in_as().tokens.kept
    case.sign_in.revoke(case.client, kept)
    case.sign_in.revoke(case.client, kept)
    other = case.sign_in_as(case.people[1]).tokens.kept
    case.end_grant(case.people[1])
    case.sign_in.revoke(case.client, other)


def test_where_an_administrator_approves_is_an_address_or_nothing(case):
    url = case.sign_in.admin_consent_url(case.client, redirect_uri=case.callback)
    assert url is None or url.startswith("https://")
