"""What becomes of each fault of Gmail's: the stated outcome, and nothing lost or doubled after it.

Each test ends with our copies compared to the simulator's own store.
"""

import base64
from datetime import timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import (
    ConfigurationError,
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.folders import is_active
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.gmail import labels
from tests.contract.gmail_world import CLIENT, at_google
from tests.contract.provider_worlds import NOW, in_memory, raw_mail

GET = r"^GET /gmail/v1/users/[^/]+/messages/[0-9a-f]+$"
BATCH = r"^POST /batch/gmail/v1$"
HISTORY = r"^GET /gmail/v1/users/[^/]+/history$"


def arm(world, fault, **more):
    world.simulator.faults.arm(fault, **more)


def catch_up(world, cursor):
    """Follow to the end and hold what we have against the simulator's store."""
    world.simulator.faults.clear()
    told = world.follow(cursor)
    assert world.alive() == world.truth()
    assert len(world.fetched) == len(set(world.fetched)), "something was fetched twice"
    return told


def asked(world, route=""):
    return [one for one in world.simulator.log.entries(route=route) if not one.batch]


# ---- refusals ----

REFUSALS = [
    ("rate_limit_403", {}, RetryLaterError, ErrorCode.RATE_LIMITED),
    ("user_rate_limit_403", {}, RetryLaterError, ErrorCode.RATE_LIMITED),
    ("rate_limit_429", {}, RetryLaterError, ErrorCode.RATE_LIMITED),
    ("user_rate_limit_429", {}, RetryLaterError, ErrorCode.RATE_LIMITED),
    ("concurrent_429", {}, RetryLaterError, ErrorCode.TOO_MANY_CONNECTIONS),
    ("daily_limit_403", {}, RetryLaterError, ErrorCode.DAILY_LIMIT_REACHED),
    ("domain_policy_403", {}, ConfigurationError, ErrorCode.ACCESS_BLOCKED),
    ("api_disabled_403", {}, ConfigurationError, ErrorCode.API_NOT_ENABLED),
    ("mail_not_enabled_400", {}, ConfigurationError, ErrorCode.PROVIDER_API_DISABLED),
    ("insufficient_scope_403", {}, ReconnectRequiredError, ErrorCode.SCOPE_MISSING),
    ("backend_error", {"status": 500}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("backend_error", {"status": 502}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("backend_error", {"status": 503}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("backend_error", {"status": 504}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("html", {"status": 502}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("html", {"status": 403}, RetryLaterError, ErrorCode.PROVIDER_UNAVAILABLE),
    ("html", {"status": 200}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("broken_json", {}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("not_an_object", {}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("empty_body", {}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("redirect", {}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("cut_body", {}, RetryLaterError, ErrorCode.CONNECTION_DROPPED),
    ("huge_body", {}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
    ("gzip_bomb", {"mebibytes": 64}, RetryLaterError, ErrorCode.ANSWER_NOT_UNDERSTOOD),
]


@pytest.mark.parametrize(("fault", "more", "kind", "code"), REFUSALS)
def test_a_poll_that_is_refused_says_why_and_the_next_one_misses_nothing(
    gmail, fault, more, kind, code
):
    gmail.theirs.deliver(1)
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(2)
    arm(gmail, fault, times=None, route=HISTORY, **more)
    with pytest.raises(kind) as caught:
        gmail.has_changed(cursor)
    assert caught.value.code is code
    assert "gmail.example" not in str(caught.value)
    catch_up(gmail, cursor)


@pytest.mark.parametrize(
    ("fault", "more", "kind", "code"),
    # A batch of one large text has no parts, and alone a message may be as large.
    [row for row in REFUSALS if row[0] != "huge_body"],
)
def test_a_fetch_that_is_refused_for_good_says_why_and_the_next_one_misses_nothing(
    gmail, fault, more, kind, code
):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1, 2, 3)
    route = f"{GET}|{BATCH}" if gmail.simulator.faults.kinds[fault].whole else GET
    arm(gmail, fault, times=None, route=route, **more)
    with pytest.raises(kind) as caught:
        gmail.follow(cursor)
    assert caught.value.code is code
    catch_up(gmail, cursor)


def test_a_named_pause_is_handed_on(gmail):
    gmail.theirs.deliver(1)
    cursor = gmail.follow(None).cursor
    for fault, more, seconds in (
        ("rate_limit_429", {"retry_after": 77}, 77),
        ("user_rate_limit_429", {"seconds": 900}, 900),
        ("backend_error", {"status": 503, "retry_after": 5}, 5),
    ):
        arm(gmail, fault, route=HISTORY, **more)
        with pytest.raises(RetryLaterError) as caught:
            gmail.has_changed(cursor)
        assert abs(caught.value.retry_after_seconds - seconds) <= 2


def test_a_slow_answer_ends_at_the_sessions_deadline(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1)
    arm(gmail, "slow", seconds=5, route=HISTORY)
    with (
        pytest.raises(RetryLaterError) as caught,
        gmail.provider.open(gmail.grant, seconds=0.3) as session,
    ):
        session.look({labels.ALL.id: cursor}, lambda _one: True, now=NOW)
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT
    catch_up(gmail, cursor)


# ---- batches ----


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("rate_limit_403", {}),
        ("rate_limit_429", {"retry_after": 3}),
        ("concurrent_429", {}),
        ("backend_error", {"status": 500}),
        ("backend_error", {"status": 503}),
        ("broken_json", {}),
        ("empty_body", {}),
        ("html", {"status": 502}),
        ("invalid_credentials_401", {}),
    ],
)
def test_only_the_parts_that_failed_are_asked_for_again(gmail, fault, more):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(60))
    arm(gmail, fault, times=3, after=5, route=GET, **more)
    gmail.simulator.log.clear()
    told = gmail.follow(cursor)
    assert sorted(told.added) == list(range(60))
    assert len(gmail.simulator.log.entries(route="messages.get")) == 63
    assert len(asked(gmail, "messages.get")) == 3
    assert len(asked(gmail, "batch")) == 2
    catch_up(gmail, cursor)


def test_a_part_that_fails_again_is_waited_for_longer_each_time(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1)
    began = gmail.simulator.clock.now()
    arm(gmail, "backend_error", times=4, route=GET)
    assert gmail.follow(cursor).added == [1]
    waited = (gmail.simulator.clock.now() - began).total_seconds()
    assert 15 <= waited < 20
    catch_up(gmail, cursor)


def test_a_pause_that_is_too_long_to_sit_out_is_raised(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1, 2)
    arm(gmail, "user_rate_limit_429", route=GET, seconds=600)
    with pytest.raises(RetryLaterError) as caught:
        gmail.follow(cursor)
    assert caught.value.retry_after_seconds > 590
    # What came in the same batch had been handed over.
    assert [one.copy for one in gmail.ours.values()] != []
    catch_up(gmail, cursor)


@pytest.mark.parametrize(
    "fault",
    [
        "batch_parts_missing",
        "batch_parts_reordered",
        "batch_without_content_ids",
        "batch_part_garbled",
        "batch_part_doubled",
    ],
)
def test_however_a_batch_is_garbled_each_message_comes_once(gmail, fault):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(20))
    arm(gmail, fault)
    assert sorted(gmail.follow(cursor).added) == list(range(20))
    catch_up(gmail, cursor)


def test_a_batch_without_names_still_tells_what_is_gone(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(5))
    arm(gmail, "batch_without_content_ids")
    arm(gmail, "delete_on_get", after=2)
    assert len(gmail.follow(cursor).added) == 4
    catch_up(gmail, cursor)


def test_what_was_listed_and_is_not_found_once_is_asked_for_before_it_is_taken_for_gone(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1, 2, 3)
    arm(gmail, "not_found_404", times=2, route=GET)
    assert sorted(gmail.follow(cursor).added) == [1, 2, 3]


def test_a_batch_that_is_refused_as_a_whole_is_tried_again(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(5))
    arm(gmail, "status", times=2, route=BATCH, status=503)
    assert sorted(gmail.follow(cursor).added) == list(range(5))
    catch_up(gmail, cursor)


@pytest.mark.parametrize("after_bytes", [-1, 300, 9_000])
def test_what_a_batch_that_is_cut_did_not_bring_is_asked_for_alone(gmail, after_bytes):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(30))
    arm(gmail, "cut_body", route=BATCH, after_bytes=after_bytes)
    gmail.follow(cursor)
    catch_up(gmail, cursor)


# ---- messages that fail ----

POISON = [
    ("backend_error", {"status": 500}),
    ("backend_error", {"status": 503}),
    ("broken_json", {}),
    ("empty_body", {}),
    ("not_an_object", {}),
    ("html", {"status": 200}),
    ("html", {"status": 403}),
    ("status", {"status": 400}),
    ("status", {"status": 451}),
]


def fetched(world, names):
    """What a session brings of `names`, and which of them are missing why."""
    with world.session() as session:
        got = list(session.fetch(labels.ALL, names))
    came = {one.provider_message_id for one in got if isinstance(one, FetchedMessage)}
    missing = {
        one.provider_message_id: one.reason for one in got if isinstance(one, MissingMessage)
    }
    assert len(came) + len(missing) == len(got)
    return came, missing


@pytest.mark.parametrize(("fault", "more"), POISON)
@pytest.mark.parametrize("others", [1, 60])
def test_a_message_gmail_fails_on_for_ever_is_named_and_the_others_come(gmail, fault, more, others):
    gmail.theirs.deliver(*range(others + 1))
    names = [gmail.theirs.id_of(one) for one in range(others + 1)]
    arm(gmail, fault, times=None, route=rf"/messages/{names[0]}$", **more)
    began = gmail.simulator.clock.now()
    assert fetched(gmail, names) == (set(names[1:]), {names[0]: "failing"})
    assert (gmail.simulator.clock.now() - began).total_seconds() < 20
    assert len(gmail.simulator.log.entries(route="messages.get")) == others + 1 + 4


@pytest.mark.parametrize(
    ("fault", "more"),
    [("cut_body", {"after_bytes": 60}), ("gzip_bomb", {}), ("huge_body", {"mebibytes": 140})],
)
def test_a_message_whose_answer_breaks_off_whenever_it_is_asked_for_is_failing(gmail, fault, more):
    gmail.theirs.deliver(*range(4))
    names = [gmail.theirs.id_of(one) for one in range(4)]
    route = rf"/messages/{names[2]}$"
    arm(gmail, "backend_error", times=1, route=route)
    arm(gmail, fault, times=None, route=route, **more)
    assert fetched(gmail, names) == ({*names} - {names[2]}, {names[2]: "failing"})


def test_several_that_fail_are_waited_for_together(gmail):
    gmail.theirs.deliver(*range(50))
    names = [gmail.theirs.id_of(one) for one in range(50)]
    for name in names[10:20]:
        arm(gmail, "backend_error", times=None, route=rf"/messages/{name}$")
    began = gmail.simulator.clock.now()
    came, missing = fetched(gmail, names)
    assert (came, set(missing)) == ({*names} - {*names[10:20]}, {*names[10:20]})
    assert (gmail.simulator.clock.now() - began).total_seconds() < 20


@pytest.mark.parametrize("count", [1, 2, 30])
def test_where_nothing_comes_it_is_gmail_that_fails_and_no_message(gmail, count):
    gmail.theirs.deliver(*range(count))
    arm(gmail, "backend_error", times=None, route=GET)
    gmail.simulator.log.clear()
    with pytest.raises(RetryLaterError) as caught:
        fetched(gmail, [gmail.theirs.id_of(one) for one in range(count)])
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert len(asked(gmail, "messages.get")) <= 12


def test_an_outage_amid_a_call_names_no_message_as_failing(gmail):
    gmail.theirs.deliver(*range(100))
    arm(gmail, "backend_error", times=None, after=50, route=GET)
    names = [gmail.theirs.id_of(one) for one in range(100)]
    came = []
    with pytest.raises(RetryLaterError), gmail.session() as session:
        came.extend(session.fetch(labels.ALL, names[:50]))
        came.extend(session.fetch(labels.ALL, names[50:]))
    assert [one.provider_message_id for one in came] == names[:50]


def test_what_came_before_a_refusal_was_handed_over(gmail):
    gmail.theirs.deliver(*range(60))
    names = [gmail.theirs.id_of(one) for one in range(60)]
    arm(gmail, "domain_policy_403", times=None, route=rf"/messages/{names[55]}$")
    came = []
    with pytest.raises(ConfigurationError), gmail.session() as session:
        for one in session.fetch(labels.ALL, names):
            came.append(one.provider_message_id)
    assert came == names[:55]


def test_a_quota_that_is_spent_is_no_messages_fault(gmail):
    gmail.theirs.deliver(*range(5))
    names = [gmail.theirs.id_of(one) for one in range(5)]
    arm(gmail, "rate_limit_429", times=None, route=rf"/messages/{names[3]}$")
    came = []
    with pytest.raises(RetryLaterError) as caught, gmail.session() as session:
        for one in session.fetch(labels.ALL, names):
            came.append(one.provider_message_id)
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert came == [*names[:3], names[4]]


def test_one_asked_for_by_itself_is_failing_where_the_session_brought_others(gmail):
    gmail.theirs.deliver(1, 2)
    bad, good = gmail.theirs.id_of(1), gmail.theirs.id_of(2)
    arm(gmail, "backend_error", times=None, route=rf"/messages/{bad}$")
    with gmail.session() as session:
        (one,) = session.fetch(labels.ALL, [good])
        assert isinstance(one, FetchedMessage)
        assert list(session.fetch(labels.ALL, [bad])) == [MissingMessage(bad, "failing")]


# ---- tokens ----


def test_a_token_that_ends_amid_a_walk_is_renewed_and_the_walk_goes_on(gmail):
    gmail.theirs.deliver(*range(7))
    gmail.simulator.clock.advance(3_500)
    gmail.grant.tokens.tokens = gmail.sign_in.renew(
        CLIENT, gmail.grant.tokens.tokens.kept, now=gmail.simulator.clock.now()
    )
    told = gmail.follow(None, limit=2, pages=2)
    gmail.simulator.clock.advance(4_000)
    told = gmail.follow(told.cursor, limit=2)
    assert gmail.grant.tokens.renewals == 1
    catch_up(gmail, told.cursor)


def test_a_refused_token_is_renewed_once_and_the_request_repeated(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(3))
    for route in (HISTORY, BATCH):
        arm(gmail, "status", route=route, status=401)
    assert sorted(gmail.follow(cursor).added) == [0, 1, 2]
    assert gmail.grant.tokens.renewals == 2
    catch_up(gmail, cursor)


def test_a_token_that_is_refused_twice_is_a_doubt_not_a_verdict(gmail):
    cursor = gmail.follow(None).cursor
    arm(gmail, "invalid_credentials_401", times=None)
    with pytest.raises(ReconnectRequiredError) as caught:
        gmail.follow(cursor)
    assert (caught.value.code, caught.value.definitive) == (ErrorCode.GRANT_REVOKED, False)
    catch_up(gmail, cursor)


def test_a_grant_that_is_revoked_amid_a_run_stops_it_with_the_cursor_kept(gmail):
    gmail.theirs.deliver(*range(6))
    first = gmail.follow(None, limit=2, pages=1)
    gmail.simulator.revoke_grants("ada@gmail.example")
    gmail.simulator.clock.advance(4_000)
    with pytest.raises(ReconnectRequiredError) as caught:
        gmail.follow(first.cursor, limit=2)
    assert (caught.value.code, caught.value.definitive) == (ErrorCode.GRANT_REVOKED, True)
    gmail.sign_in_again()
    catch_up(gmail, first.cursor)


# ---- history ----


def test_an_expired_history_is_told_and_then_the_gap_is_filled(gmail):
    gmail.theirs.create_folder("Deals")
    gmail.theirs.deliver(*range(10))
    cursor = gmail.follow(None).cursor
    gmail.theirs.delete(0, 1)
    gmail.theirs.move(2, "Deals")
    gmail.theirs.flag(3)
    gmail.theirs.deliver(20, 21)
    gmail.theirs.mailbox.trash(gmail.theirs.id_of(4))
    gmail.theirs.mailbox.forget_history()
    with gmail.session() as session:
        look = session.look({labels.ALL.id: cursor}, _by_default, now=NOW)
        assert look.changed == {labels.ALL.id}
        with pytest.raises(CursorExpiredError) as caught:
            session.changes(labels.ALL, cursor, None, since=None, limit=9, now=NOW)
        assert caught.value.code is ErrorCode.CURSOR_EXPIRED
        told = gmail.take_in(session, labels.ALL, None, limit=4)
    truth = gmail.truth()
    in_trash = gmail.theirs.id_of(4)
    assert truth.pop(in_trash) == {"TRASH"}
    assert gmail.alive() == truth
    flags = gmail.ours[gmail.theirs.id_of(3)].copy.flags
    assert (flags.seen, flags.flagged) == (True, True)
    assert len(gmail.fetched) == 12, "what we hold is not fetched again"
    assert not gmail.has_changed(told.cursor)


def test_a_label_is_compared_too_when_history_is_gone(gmail):
    gmail.theirs.create_folder("Deals")
    gmail.theirs.deliver(1, 2)
    cursor = gmail.follow(None).cursor
    gmail.theirs.mailbox.change_labels(gmail.theirs.id_of(1), add=["Deals"])
    gmail.theirs.mailbox.change_labels(gmail.theirs.id_of(2), remove=["INBOX"])
    gmail.theirs.mailbox.forget_history()
    with pytest.raises(CursorExpiredError):
        gmail.follow(cursor)
    catch_up(gmail, None)
    assert gmail.alive()[gmail.theirs.id_of(2)] == {"archive"}


@pytest.mark.parametrize("fault", ["history_duplicated", "history_reordered"])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_records_that_come_twice_or_in_another_order_end_where_the_mailbox_does(
    gmail, fault, limit
):
    gmail.theirs.create_folder("Deals")
    gmail.theirs.deliver(*range(5))
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(10, 15))
    gmail.theirs.move(0, "Deals")
    gmail.theirs.delete(1, 11)
    gmail.theirs.flag(2)
    gmail.theirs.move(10, "Deals")
    arm(gmail, fault, times=None)
    told = gmail.follow(cursor, limit=limit)
    assert gmail.ours[gmail.theirs.id_of(2)].copy.flags.flagged
    catch_up(gmail, told.cursor)


def test_a_page_of_history_without_records_is_not_taken_for_its_end(gmail):
    gmail.simulator.limits.user_units = 10**9
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(501))
    arm(gmail, "history_empty_page")
    told = gmail.follow(cursor, limit=600)
    # The records of that page were never shown; those of the next one were.
    assert told.added == [500]


def test_a_message_that_is_deleted_or_moved_between_its_record_and_its_fetch_ends_as_it_is(gmail):
    gmail.theirs.create_folder("Deals")
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(*range(9))
    arm(gmail, "delete_on_get", times=2)
    arm(gmail, "trash_on_get", times=1, after=3)
    arm(gmail, "move_on_get", times=2, after=5)
    told = gmail.follow(cursor)
    assert len(told.added) <= 7
    catch_up(gmail, told.cursor)


def test_a_label_that_is_renamed_keeps_its_id_and_one_that_is_deleted_leaves_its_mail(gmail):
    gmail.theirs.create_folder("Deals")
    gmail.theirs.deliver(1, folder="Deals")
    cursor = gmail.follow(None).cursor
    deals = gmail.folders()["Deals"]
    gmail.theirs.mailbox.rename_folder("Deals", "Won")
    assert gmail.folders()["Won"].id == deals.id
    gmail.theirs.mailbox.delete_folder("Won")
    assert "Won" not in gmail.folders()
    told = catch_up(gmail, cursor)
    assert set(gmail.alive().values()) == {frozenset({"archive"})}
    assert not gmail.has_changed(told.cursor)


# ---- listings ----


def test_a_page_token_that_is_no_longer_taken_begins_the_listing_again(gmail):
    gmail.simulator.limits.user_units = 10**9
    gmail.theirs.deliver(*range(1_100))
    arm(gmail, "page_token_expired", after=1)
    told = gmail.follow(None, limit=300)
    assert told.added == list(range(1_100))
    catch_up(gmail, told.cursor)


def test_page_tokens_that_are_never_taken_are_not_understood(gmail):
    gmail.simulator.limits.user_units = 10**9
    gmail.theirs.deliver(*range(600))
    arm(gmail, "page_token_expired", times=None)
    with pytest.raises(RetryLaterError) as caught:
        gmail.follow(None)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
    catch_up(gmail, None)


def test_a_walk_goes_on_in_another_session_after_a_day_and_after_changes(gmail):
    gmail.theirs.deliver(*range(40))
    cursor = gmail.follow(None, limit=7, pages=2).cursor
    gmail.simulator.clock.advance(86_400 * 2)
    gmail.theirs.delete(0, 13, 14, 39)
    gmail.theirs.deliver(100, 101)
    told = gmail.follow(cursor, limit=7)
    catch_up(gmail, told.cursor)


def test_a_walk_over_many_years_hands_out_each_message_once(gmail):
    days = [1, 10, 300, 364, 365, 366, 367, 400, 700, 800, 2_000, 9_000]
    for number, ago in enumerate(days):
        gmail.theirs.deliver(number, received_at=NOW - timedelta(days=ago))
    told = gmail.follow(None, limit=2)
    assert sorted(told.added) == list(range(len(days)))
    catch_up(gmail, told.cursor)


def test_an_arrival_while_a_window_is_listed_is_in_the_window_or_in_the_news(gmail):
    gmail.simulator.limits.user_units = 10**9
    gmail.theirs.deliver(*range(700))
    position = gmail.position()
    arrived = []

    def deliver_amid(call):
        response = answer(call)
        if call.route == "messages.list" and not arrived:
            arrived.append(True)
            gmail.theirs.deliver(900)
        return response

    answer = gmail.simulator.service.answer
    gmail.simulator.service.answer = deliver_amid
    window = gmail.window(since=NOW - timedelta(days=1), upto=position)
    told = gmail.follow(position)
    assert set(window) | set(told.added) == {*range(700), 900}


def test_an_empty_mailbox_takes_no_more_than_a_listing_costs(gmail):
    with gmail.session() as session:
        page = session.changes(
            labels.ALL, None, _Nothing(), since=NOW - timedelta(days=9), limit=9, now=NOW
        )
        assert session.units <= 11
    assert page.added == ()


# ---- what is ours ----


def _by_default(folder) -> bool:
    return is_active(folder, None)


def test_trash_spam_and_drafts_are_neither_fetched_nor_kept_unless_they_are_active(gmail):
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(1, folder="SPAM")
    gmail.theirs.deliver(2, folder="TRASH")
    gmail.theirs.deliver(3, folder="DRAFT")
    gmail.theirs.deliver(4, folder="SENT")
    for begin in (cursor, None):
        with gmail.session() as session:
            session.look({labels.ALL.id: begin}, _by_default, now=NOW)
            gmail.take_in(session, labels.ALL, begin)
        assert {one.number for one in gmail.ours.values()} == {4}
    with gmail.session() as session:
        session.look({}, lambda _one: True, now=NOW)
        gmail.take_in(session, labels.ALL, None)
    assert gmail.alive() == gmail.truth()


def test_what_leaves_the_trash_or_spam_is_fetched_and_what_goes_there_is_gone(gmail):
    gmail.theirs.deliver(1, 2)
    gmail.theirs.deliver(3, folder="SPAM")
    mail = gmail.theirs.mailbox
    with gmail.session() as session:
        session.look({}, _by_default, now=NOW)
        cursor = gmail.take_in(session, labels.ALL, None).cursor
    mail.trash(gmail.theirs.id_of(1))
    mail.change_labels(gmail.theirs.id_of(3), add=["INBOX"], remove=["SPAM"])
    with gmail.session() as session:
        session.look({labels.ALL.id: cursor}, _by_default, now=NOW)
        cursor = gmail.take_in(session, labels.ALL, cursor).cursor
    assert set(gmail.alive()) == {gmail.theirs.id_of(2), gmail.theirs.id_of(3)}
    mail.change_labels(gmail.theirs.id_of(1), add=["INBOX"], remove=["TRASH"])
    with gmail.session() as session:
        session.look({labels.ALL.id: cursor}, _by_default, now=NOW)
        gmail.take_in(session, labels.ALL, cursor)
    assert gmail.alive() == gmail.truth()
    assert len(gmail.fetched) == 3, "what lives again was not fetched again"


@pytest.mark.parametrize("archive", [True, False])
def test_of_a_mailbox_with_few_active_folders_only_their_mail_is_fetched(gmail, archive):
    for name in ("Deals", "Lists"):
        gmail.theirs.create_folder(name)
    for number, folder in enumerate(["INBOX", "SENT", "Deals", "Lists", "SPAM", "DRAFT"] * 4):
        gmail.theirs.deliver(number, folder=folder)
    gmail.theirs.mailbox.move(gmail.theirs.id_of(0), "")
    gmail.theirs.mailbox.change_labels(gmail.theirs.id_of(2), add=["Lists"])
    chosen = {"INBOX", gmail.folders()["Lists"].id, *(["archive"] if archive else [])}
    truth = {name: at for name, at in gmail.truth().items() if at & chosen}
    for take in ("sync", "window"):
        with gmail.session() as session:
            session.look({}, lambda one: one.id in chosen, now=NOW)
            if take == "sync":
                gmail.take_in(session, labels.ALL, None, limit=3)
                continue
            upto = session.baseline(labels.ALL, now=NOW)
            window = session.list_window(labels.ALL, since=NOW - timedelta(days=1), upto=upto)
            assert set(window) == set(truth)
            assert list(window) == sorted(window, reverse=True)
    assert gmail.alive() == truth
    assert len(gmail.fetched) == len(truth) == (9 if archive else 8)


def test_a_mark_on_a_message_we_do_not_hold_fetches_nothing(gmail):
    gmail.theirs.deliver(1, 2)
    cursor = gmail.position()
    gmail.theirs.flag(1)
    gmail.theirs.delete(2)
    told = gmail.follow(cursor)
    assert (told.added, told.changed) == ([], {})
    assert gmail.fetched == []


# ---- costs ----


def test_an_idle_poll_is_one_request_of_two_units(gmail):
    gmail.theirs.deliver(1, 2)
    cursor = gmail.follow(None).cursor
    folders = gmail.look({labels.ALL.id: cursor}).folders
    gmail.simulator.log.clear()
    with gmail.session() as session:
        look = session.look(
            {labels.ALL.id: cursor}, _by_default, folders=folders, last_look_at=NOW, now=NOW
        )
        assert (session.requests, session.units) == (1, 2)
    assert (look.folders, look.changed) == (folders, frozenset())
    (entry,) = gmail.simulator.log.entries()
    assert (entry.route, entry.cost) == ("history.list", 2)


@pytest.mark.parametrize("minutes", [5, 15, 30, 60, 90, 1_440])
def test_labels_are_listed_at_least_once_an_hour_however_often_a_mailbox_is_polled(gmail, minutes):
    cursor = gmail.follow(None).cursor
    folders = gmail.look({labels.ALL.id: cursor}).folders
    gmail.theirs.create_folder("Deals")
    gmail.simulator.log.clear()
    before = at = NOW + timedelta(minutes=7)
    for _ in range(max(1, 60 // minutes)):
        before, at = at, at + timedelta(minutes=minutes)
        with gmail.session() as session:
            folders = session.look(
                {labels.ALL.id: cursor}, _by_default, folders=folders, last_look_at=before, now=at
            ).folders
    assert "Deals" in {one.name for one in folders}
    assert len(asked(gmail, "labels.list")) == 1


def test_labels_are_listed_where_nobody_knows_when_they_last_were(gmail):
    cursor = gmail.follow(None).cursor
    folders = gmail.look({labels.ALL.id: cursor}).folders
    gmail.theirs.create_folder("Deals")
    with gmail.session() as session:
        look = session.look({labels.ALL.id: cursor}, _by_default, folders=folders, now=NOW)
    assert "Deals" in {one.name for one in look.folders}
    assert look.changed == frozenset()


def test_a_cursor_is_settled_but_while_the_mailbox_is_listed(gmail):
    gmail.theirs.deliver(*range(5))
    with gmail.session() as session:
        assert session.is_settled(session.baseline(labels.ALL, now=NOW))
        assert session.is_settled(Cursor("gmail", 99, "{}")), "nobody is to wait for that one"
    under_way = gmail.follow(None, limit=2, pages=1)
    with gmail.session() as session:
        assert not session.is_settled(under_way.cursor)
    told = gmail.follow(under_way.cursor, limit=2)
    with gmail.session() as session:
        assert session.is_settled(told.cursor)


def test_what_a_look_was_told_is_not_asked_again(gmail):
    gmail.theirs.deliver(1)
    cursor = gmail.follow(None).cursor
    gmail.theirs.deliver(2)
    gmail.simulator.log.clear()
    with gmail.session() as session:
        session.look({labels.ALL.id: cursor}, _by_default, now=NOW)
        gmail.take_in(session, labels.ALL, cursor)
        assert (session.requests, session.units) == (3, 23)
    assert [one.route for one in asked(gmail)] == ["history.list", "labels.list", "batch"]


def test_a_quiet_mailboxs_cursor_is_moved_on_once_a_day(gmail):
    gmail.theirs.deliver(1)
    cursor = gmail.follow(None).cursor
    gmail.theirs.flag(1)
    # History ids also grow for what no record tells.
    arm(gmail, "history_empty_page", times=None)
    assert not gmail.has_changed(cursor)
    gmail.now = NOW + timedelta(days=1, seconds=1)
    assert gmail.has_changed(cursor)
    told = gmail.follow(cursor)
    assert not gmail.has_changed(told.cursor)
    assert told.cursor != cursor


# ---- messages ----


def test_a_message_comes_byte_for_byte_with_its_thread_and_labels(gmail):
    cursor = gmail.follow(None).cursor
    raw = raw_mail(1).replace(b"hello", "grüße ÿ\x00 ".encode("latin-1") + bytes(range(128, 256)))
    name = gmail.theirs.mailbox.deliver(raw, folders=["INBOX", "STARRED"])
    with gmail.session() as session:
        page = session.changes(labels.ALL, cursor, _Nothing(), since=None, limit=9, now=NOW)
        (one,) = session.fetch(labels.ALL, page.added)
    assert isinstance(one, FetchedMessage)
    assert (one.provider_message_id, one.raw) == (name, raw)
    assert one.provider_thread_id
    assert one.folder_ids == {"INBOX"}
    assert (one.flags.seen, one.flags.flagged) == (False, True)


@pytest.mark.parametrize("size", [0, 1, 2, 49_149, 49_152, 65_536 * 3, 20_000_000])
def test_any_size_comes_whole(gmail, size):
    cursor = gmail.follow(None).cursor
    raw = raw_mail(1) + base64.b64encode(bytes(size))[:size]
    gmail.theirs.mailbox.deliver(raw)
    with gmail.session() as session:
        page = session.changes(labels.ALL, cursor, _Nothing(), since=None, limit=9, now=NOW)
        (one,) = session.fetch(labels.ALL, page.added)
    assert one.raw == raw


def test_ids_that_are_gone_or_never_were_are_missing(gmail):
    gmail.theirs.deliver(1)
    name = gmail.theirs.id_of(1)
    gmail.theirs.delete(1)
    with gmail.session() as session:
        got = list(session.fetch(labels.ALL, [name, "00000000000000ff"]))
    assert got == [MissingMessage(name, "gone"), MissingMessage("00000000000000ff", "gone")]


def test_the_account_is_read_from_the_mailbox_itself(gmail):
    assert gmail.provider.address(gmail.grant) == "ada@gmail.example"


def test_only_a_grant_of_googles_opens(gmail):
    with pytest.raises(TypeError), gmail.provider.open(in_memory().grant):
        pass


def test_history_ids_beyond_63_bits_are_numbers_to_us(certificates):
    with at_google(certificates) as world:
        world.simulator.add_user("zoe@gmail.example", history_start=2**64 - 10_000)
        from shared.ports.provider import OAuthGrant
        from tests.contract.gmail_world import AtGoogle, sign_in_as
        from tests.contract.renewed_tokens import RenewedTokens

        signed_in = sign_in_as(world.simulator, world.sign_in, "zoe@gmail.example")
        world.grant = OAuthGrant(
            RenewedTokens(world.sign_in, CLIENT, signed_in.tokens, world.simulator.clock)
        )
        world.theirs = AtGoogle(world.simulator.mail("zoe@gmail.example"))
        world.theirs.deliver(1)
        cursor = world.follow(None).cursor
        world.theirs.flag(1)
        assert world.follow(cursor).changed[1].version > 2**63


class _Nothing:
    def in_folder(self):
        return {}

    def of(self, ids):
        return {}
