"""The contract of sign-ins under way and of the holders of grants."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.aws.attempt_store import DynamoAttemptStore
from shared.aws.grant_holders import DynamoGrantHolders
from shared.domain.connecting import Attempt, Outcome, Wishes
from shared.domain.errors import ErrorCode
from shared.domain.ids import FolderId, MailboxId, UserId
from shared.domain.mailbox import MailboxKind, Provider, Purpose, Readers, Visibility
from shared.domain.secret import Secret
from shared.ports.attempts import AccountGrant
from tests.fakes.attempts import InMemoryAttemptStore, InMemoryGrantHolders
from tests.fakes.faults import failing, lost
from tests.fakes.values import BOX, NOW, OTHER_BOX, OTHER_TENANT, TENANT

STATE = "a-state-of-128-random-bits"
ATTEMPT = Attempt(
    tenant_id=TENANT,
    user_id=UserId("ann"),
    is_admin=True,
    provider=Provider.GMAIL,
    client_id="client-of-ours",
    redirect_uri="https://api.example/v1/oauth/gmail/callback",
    return_url="https://app.example/connected?tab=1",
    kept=Secret("verifier-and-nonce"),
    cookie_digest="digest-of-a-cookie",
    expires_at=(NOW + timedelta(minutes=10)).replace(microsecond=0),
)
WISHES = Wishes(
    display_name="Ann",
    reply_to="ann@ours.example",
    kind=MailboxKind.SHARED,
    purpose=Purpose.SALES,
    backfill_days=30,
    active_folders=(FolderId("INBOX"),),
    create_contacts=True,
    visibility=Visibility.FULL,
    granted_to=Readers((UserId("cyd"),)),
    owner_user_id=UserId("bob"),
    recovery_note="Ask Bob",
)
GRANT = AccountGrant(Provider.GMAIL, "client-of-ours", "1234567890")


@pytest.fixture
def attempts(stores):
    return DynamoAttemptStore(stores.table) if stores.table else InMemoryAttemptStore()


@pytest.fixture
def holders(stores):
    return DynamoGrantHolders(stores.table) if stores.table else InMemoryGrantHolders()


@pytest.mark.parametrize(
    "attempt", [ATTEMPT, replace(ATTEMPT, mailbox_id=BOX, wishes=WISHES, is_admin=False)]
)
def test_an_attempt_is_found_by_its_state_alone(attempts, attempt):
    attempts.add(STATE, attempt)
    assert attempts.get(STATE) == attempt
    assert attempts.get(STATE.upper()) is None
    assert attempts.get("") is None


def test_an_attempt_is_taken_once(attempts):
    attempts.add(STATE, ATTEMPT)
    assert attempts.take(STATE, owner="one", now=NOW)
    assert not attempts.take(STATE, owner="two", now=NOW)
    assert attempts.take(STATE, owner="one", now=NOW)
    assert attempts.get(STATE).taken_at == NOW


def test_an_attempt_that_is_too_old_or_unknown_is_not_taken(attempts):
    attempts.add(STATE, ATTEMPT)
    assert not attempts.take(STATE, owner="one", now=ATTEMPT.expires_at)
    assert not attempts.take("else", owner="one", now=NOW)
    assert attempts.get("else") is None


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(mailbox_id=BOX),
        Outcome(code=ErrorCode.CONSENT_DECLINED, failure="RequestError"),
        Outcome(BOX, ErrorCode.ADMIN_CONSENT_REQUIRED, "ConfigurationError", "https://login"),
    ],
)
def test_how_it_ended_is_told_again_and_the_verifier_is_forgotten(attempts, outcome):
    attempts.add(STATE, ATTEMPT)
    attempts.take(STATE, owner="one", now=NOW)
    attempts.end(STATE, outcome)
    after = attempts.get(STATE)
    assert (after.outcome, after.kept) == (outcome, Secret(""))
    assert not attempts.take(STATE, owner="two", now=NOW)
    attempts.end("else", outcome)
    assert attempts.get("else") is None


def test_a_lost_answer_to_the_taking_does_not_lose_the_attempt(aws):
    attempts = DynamoAttemptStore(aws.table)
    attempts.add(STATE, ATTEMPT)
    with failing(aws, lost, at=0, after=True), pytest.raises(Exception, match="store_throttled"):
        attempts.take(STATE, owner="one", now=NOW)
    assert attempts.take(STATE, owner="one", now=NOW)


def test_what_is_stored_of_an_attempt_expires_and_shows_neither_state_nor_tenant_in_its_key(aws):
    attempts = DynamoAttemptStore(aws.table)
    attempts.add(STATE, ATTEMPT)
    (item,) = aws.items()
    assert STATE not in repr(item)
    assert TENANT not in item["pk"]["S"] + item["sk"]["S"]
    # Who comes back late is told so on the page they began from, for a day.
    assert int(item["expires_at"]["N"]) == int(ATTEMPT.expires_at.timestamp()) + 86_400
    assert attempts.get(STATE).expires_at == ATTEMPT.expires_at


def test_the_last_mailbox_on_a_grant_is_told_so(holders):
    assert not holders.is_held(GRANT)
    holders.hold(GRANT, TENANT, BOX)
    holders.hold(GRANT, TENANT, BOX)
    holders.hold(GRANT, OTHER_TENANT, BOX)
    holders.hold(GRANT, TENANT, OTHER_BOX)
    assert holders.release(GRANT, TENANT, BOX)
    assert holders.release(GRANT, OTHER_TENANT, BOX)
    assert holders.is_held(GRANT)
    assert not holders.release(GRANT, TENANT, OTHER_BOX)
    assert not holders.release(GRANT, TENANT, OTHER_BOX)
    assert not holders.is_held(GRANT)


@pytest.mark.parametrize(
    "other",
    [
        replace(GRANT, provider=Provider.OUTLOOK),
        replace(GRANT, client_id="client-of-theirs"),
        replace(GRANT, subject="987"),
        AccountGrant(Provider.GMAIL, "client-of-ours1", "234567890"),
    ],
)
def test_each_account_s_grant_to_each_client_is_counted_apart(holders, other):
    holders.hold(GRANT, TENANT, BOX)
    assert not holders.is_held(other)
    assert not holders.release(other, TENANT, BOX)
    assert holders.is_held(GRANT)


def test_a_mailbox_that_comes_while_the_last_one_goes_is_not_forgotten(aws, monkeypatch):
    holders = DynamoGrantHolders(aws.table)
    holders.hold(GRANT, TENANT, BOX)
    transact = aws.table.transact

    def somebody_comes(items):
        holders.hold(GRANT, TENANT, MailboxId("LATE"))
        return transact(items)

    monkeypatch.setattr(aws.table, "transact", somebody_comes)
    assert holders.release(GRANT, TENANT, BOX)
    assert holders.is_held(GRANT)


def test_who_holds_a_grant_is_written_nowhere_readable_and_goes_with_the_last(aws):
    holders = DynamoGrantHolders(aws.table)
    holders.hold(GRANT, TENANT, BOX)
    (item,) = aws.items()
    for text in (TENANT, BOX, GRANT.subject, GRANT.client_id):
        assert text not in repr(item)
    holders.release(GRANT, TENANT, BOX)
    assert aws.items() == []
