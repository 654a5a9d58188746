import random
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import (
    Acts,
    ConfigurationError,
    ConflictError,
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.explanations import explain, explain_in_test, explain_while_retried
from shared.domain.failure import Drop, Rebaseline, RetryAt, Stop, backoff_seconds, decide
from shared.domain.secret import Secret

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_code_says_what_happened_and_what_to_do(code):
    words = explain(code)
    assert words.message.endswith(".")
    assert words.fix.endswith(".")
    assert not re.search(r"[A-Z]{2,}_|Error\b|Traceback|None", words.message + words.fix)


@pytest.mark.parametrize("code", list(ErrorCode))
def test_nobody_is_sent_to_act_at_once_on_what_is_still_tried(code):
    words, plain = explain_while_retried(code), explain(code)
    assert (words.message, words.acts) == (plain.message, plain.acts)
    if plain.acts is Acts.USER:
        first, rest = words.fix.split(". ", 1)
        assert "tries again by itself" in first
        assert rest == plain.fix
    else:
        assert words.fix == plain.fix


@pytest.mark.parametrize("code", list(ErrorCode))
def test_a_first_test_promises_no_retry_and_no_reconnect(code):
    fix = explain_in_test(code).fix
    assert fix.endswith(".")
    assert "tries again" not in fix
    if code not in {ErrorCode.GRANT_REVOKED, ErrorCode.GRANT_EXPIRED, ErrorCode.SCOPE_MISSING}:
        assert "then reconnect" not in fix
        assert "reconnect with it" not in fix


def test_a_test_that_hangs_names_the_ports_of_each_security():
    fix = explain_in_test(ErrorCode.CONNECTION_TIMED_OUT).fix
    assert all(word in fix for word in ("tls", "starttls", "993", "465", "143", "587"))


@pytest.mark.parametrize(
    "code",
    [ErrorCode.CONNECTION_FAILED, ErrorCode.CONNECTION_TIMED_OUT, ErrorCode.HOST_NOT_FOUND],
)
def test_an_outage_of_a_mailbox_that_worked_is_not_its_users_to_mend(code):
    words = explain(code)
    assert words.acts is Acts.PROVIDER
    assert words.fix.startswith("Nothing to do: Mailroom tries again by itself.")


def test_no_two_codes_say_the_same():
    assert len({explain(code).message for code in ErrorCode}) == len(ErrorCode)


def ruling(error, failures=0, same=0):
    rng = random.Random(7)
    return decide(error, failures_before=failures, same_before=same, now=NOW, rng=rng)


def test_only_a_definitive_refusal_stops_a_mailbox():
    assert ruling(ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)) == Stop(
        ErrorCode.LOGIN_REJECTED
    )
    doubtful = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, definitive=False)
    assert [type(ruling(doubtful, n, n)) for n in range(5)] == [RetryAt] * 4 + [Stop]


def test_failures_of_another_kind_add_nothing_to_a_doubt():
    doubtful = ReconnectRequiredError(ErrorCode.GRANT_REVOKED, definitive=False)
    assert isinstance(ruling(doubtful, 50), RetryAt)


def test_another_worker_s_success_is_no_failure():
    assert ruling(ConflictError(ErrorCode.LEASE_HELD)) == Drop()


def test_an_expired_cursor_is_compared_again():
    assert ruling(CursorExpiredError(ErrorCode.UIDVALIDITY_CHANGED)) == Rebaseline(
        ErrorCode.UIDVALIDITY_CHANGED
    )


def test_a_setting_is_looked_at_again_slowly():
    assert ruling(ConfigurationError(ErrorCode.IMAP_DISABLED)).at >= NOW + timedelta(hours=1)


def test_what_the_operator_mended_is_noticed_soon_by_every_mailbox():
    for code in (ErrorCode.CLIENT_REJECTED, ErrorCode.CLIENT_MISSING):
        ruled = ruling(ConfigurationError(code))
        assert NOW + timedelta(minutes=10) <= ruled.at <= NOW + timedelta(minutes=12)


def test_the_provider_s_wish_is_kept_up_to_a_day():
    assert ruling(
        RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=600)
    ).at >= NOW + timedelta(minutes=10)
    assert ruling(
        RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=1e9)
    ).at <= NOW + timedelta(days=1, seconds=5)


def test_backoff_grows_has_jitter_and_an_end():
    delays = [backoff_seconds(n, random.Random(1)) for n in range(40)]
    assert delays == sorted(delays)
    assert 30 <= delays[0] <= 60
    assert len({backoff_seconds(3, random.Random(seed)) for seed in range(20)}) == 20


@given(st.integers(4, 29), st.integers())
def test_after_an_outage_of_hours_a_mailbox_is_tried_within_a_quarter_of_an_hour(failures, seed):
    assert 450 <= backoff_seconds(failures, random.Random(seed)) <= 900
    failing_for = sum(backoff_seconds(n, random.Random(seed)) for n in range(30))
    assert 3 * 3600 < failing_for < 7 * 3600


@given(st.integers(30, 10_000), st.integers())
def test_a_host_that_is_away_for_good_costs_a_try_an_hour(failures, seed):
    assert 1800 <= backoff_seconds(failures, random.Random(seed)) <= 3600


def test_a_secret_shows_itself_to_nobody_by_accident():
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {[secret]}"
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    assert secret != "hunter2"
    assert len({secret, Secret("hunter2")}) == 1
    assert secret.reveal() == "hunter2"
