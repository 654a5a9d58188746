"""What Microsoft does when it does not answer as asked, each to its outcome, and nothing lost after."""

import pytest

from shared.domain.errors import (
    ConfigurationError,
    CursorExpiredError,
    ErrorCode,
    ReconnectRequiredError,
    RetryLaterError,
)
from shared.domain.message import FetchedMessage, MissingMessage
from tests.contract.outlook_world import CLIENT, OWNER
from tests.contract.provider_worlds import NOW, number_of

DELTA = r"/messages/delta$"
BATCH = r"/\$batch$"
CONTENT = r"/\$value$"


@pytest.fixture
def followed(outlook):
    """A world with ten messages taken in, and one more there."""
    outlook.theirs.deliver(*range(10))
    cursor = outlook.follow(None).cursor
    outlook.theirs.deliver(10)
    outlook.simulator.log.clear()
    return outlook, cursor


def holds_all(world):
    assert world.numbers() == world.theirs.numbers()
    assert len(world.fetched) == len(set(world.fetched))
    return True


# ---- a link that Graph no longer knows ----

FORGOTTEN = {
    "410": {"fault": "delta_gone"},
    "syncStateNotFound": {"fault": "delta_gone", "status": 400, "code": "syncStateNotFound"},
    "in capitals": {"fault": "delta_gone", "status": 400, "code": "SYNCSTATENOTFOUND"},
    "nested": {
        "fault": "delta_gone",
        "status": 400,
        "code": "BadRequest",
        "inner": "SyncStateNotFound",
    },
    "resyncRequired": {"fault": "delta_gone", "status": 409, "code": "resyncRequired"},
    "too old": {"fault": "delta_expired"},
}


@pytest.mark.parametrize("how", FORGOTTEN)
def test_a_forgotten_link_is_a_change_expires_its_cursor_and_is_compared(followed, how):
    world, cursor = followed
    world.theirs.delete(3)
    folder = world.folder()
    armed = world.simulator.faults.arm(**FORGOTTEN[how], route=DELTA, times=None)
    with world.session() as session:
        seen = session.look({folder.id: cursor}, lambda one: one.id == folder.id, now=NOW)
        assert seen.changed == {folder.id}
        asked = session.requests
        with pytest.raises(CursorExpiredError) as caught:
            world.take_in(session, folder, cursor)
        assert session.requests == asked
    assert caught.value.code is ErrorCode.CURSOR_EXPIRED
    world.simulator.faults.clear(armed.id)
    told = world.follow(None)
    assert (told.added, told.removed) == ([10], [3])
    assert holds_all(world)


def test_a_listing_from_the_start_that_is_refused_like_an_old_link_is_tried_again_later(outlook):
    folder = outlook.folder()
    outlook.simulator.faults.arm("delta_gone", times=None)
    with outlook.session() as session:
        for ask in (
            lambda: outlook.take_in(session, folder, None),
            lambda: session.baseline(folder, now=NOW),
        ):
            with pytest.raises(RetryLaterError):
                ask()


def test_only_what_has_a_cursor_can_lose_one(followed):
    world, _cursor = followed
    folder, names = world.folder(), list(world.copies)
    gone = {"status": 410, "code": "syncStateNotFound"}
    world.simulator.faults.arm("graph_error", times=None, **gone)
    with world.session() as session:
        for ask in (
            lambda: session.look({}, lambda _one: True, now=NOW),
            lambda: list(session.fetch(folder, names)),
            lambda: list(session.read_part(folder, names[0], "x", "")),
            lambda: world.provider.address(world.grant),
        ):
            with pytest.raises(RetryLaterError):
                ask()


def test_a_walk_whose_link_expires_begins_anew_and_fetches_nothing_twice(outlook):
    outlook.theirs.deliver(*range(9))
    first = outlook.follow(None, limit=3, pages=2)
    outlook.simulator.faults.arm("delta_gone", route=DELTA)
    with pytest.raises(CursorExpiredError):
        outlook.follow(first.cursor, limit=3)
    outlook.follow(None, limit=3)
    assert holds_all(outlook)


# ---- a link to elsewhere ----


@pytest.mark.parametrize("when", ["in a walk", "in a look"])
def test_a_link_to_another_host_is_refused_and_the_token_stays_here(followed, when):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("foreign_link", route=DELTA, times=None)
    world.simulator.log.clear()
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        if when == "in a look":
            session.look({folder.id: cursor}, lambda one: one.id == folder.id, now=NOW)
        else:
            world.take_in(session, folder, cursor)
    assert caught.value.code is ErrorCode.ANSWER_NOT_UNDERSTOOD
    assert "elsewhere.invalid" not in str(caught.value)
    world.simulator.faults.clear()
    world.follow(cursor)
    assert holds_all(world)


# ---- throttling ----


@pytest.mark.parametrize("route", [DELTA, BATCH, CONTENT])
def test_a_short_wish_is_granted_within_the_session(followed, route):
    world, cursor = followed
    world.simulator.faults.arm("throttled", route=route, retry_after=1)
    before = world.simulator.clock.offset_seconds
    assert world.follow(cursor).added == [10]
    assert world.simulator.clock.offset_seconds == before + 1
    assert holds_all(world)


@pytest.mark.parametrize("route", [DELTA, BATCH, CONTENT])
def test_a_long_wish_ends_the_session_and_is_handed_on(followed, route):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("throttled", route=route, retry_after=3600, times=None)
    world.simulator.log.clear()
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        world.take_in(session, folder, cursor)
    assert caught.value.code is ErrorCode.RATE_LIMITED
    assert caught.value.retry_after_seconds == 3600
    throttled = [one for one in world.simulator.log.entries() if one.status == 429]
    assert len(throttled) == 1
    world.simulator.faults.clear()
    world.follow(cursor)
    assert holds_all(world)


def test_a_throttled_look_asks_for_nothing_more(followed):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("throttled", route=DELTA, retry_after=3600, times=None)
    with pytest.raises(RetryLaterError) as caught:
        world.look({folder.id: cursor})
    assert caught.value.retry_after_seconds == 3600


def test_of_a_batch_that_is_answered_in_part_only_the_rest_is_asked_for_again(outlook):
    outlook.theirs.deliver(*range(20))
    outlook.simulator.faults.arm("batch_partial", route=BATCH, retry_after=1, after=1)
    outlook.follow(None)
    assert holds_all(outlook)
    contents = outlook.simulator.log.entries(route="messages.mime")
    assert len(contents) == 30


@pytest.mark.parametrize(("taken", "messages"), [(1, 40), (3, 20)])
def test_beside_others_who_work_in_the_mailbox_all_is_read(outlook, taken, messages):
    outlook.theirs.deliver(*range(messages))
    throttle = outlook.simulator._world.throttle
    with throttle.places((CLIENT.client_id, OWNER), taken):
        outlook.follow(None)
    assert holds_all(outlook)
    assert 429 in {one.status for one in outlook.simulator.log.entries()}


def test_what_a_batch_brought_before_a_refusal_is_not_lost_with_it(outlook):
    outlook.theirs.deliver(*range(20))
    folder = outlook.folder()
    with outlook.session() as session:
        page = session.changes(
            folder, None, _nothing(outlook, folder), since=None, limit=50, now=NOW
        )
        outlook.simulator.faults.arm("batch_partial", route=BATCH, retry_after=3600, times=None)
        got = []
        with pytest.raises(RetryLaterError):
            got.extend(session.fetch(folder, page.added))
    assert len(got) == 10


def test_a_part_without_an_answer_is_asked_for_again(followed):
    world, cursor = followed
    world.simulator.faults.arm("batch_missing_parts", route=BATCH)
    world.follow(cursor)
    assert holds_all(world)


# ---- an outage ----

OUTAGES = ["unavailable", "gateway_timeout", "bad_gateway", "locked", "mailbox_busy"]


@pytest.mark.parametrize("fault", OUTAGES)
@pytest.mark.parametrize("route", [DELTA, CONTENT])
def test_an_outage_is_waited_for_a_little_and_then_tried_later(followed, fault, route):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm(fault, route=route)
    with world.session() as session:
        world.take_in(session, folder, cursor, pages=1)
    world.theirs.deliver(11)
    world.simulator.faults.arm(fault, route=route, times=None)
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        world.take_in(session, folder, cursor)
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    world.simulator.faults.clear()
    world.follow(cursor)
    assert holds_all(world)


def test_an_outage_of_one_folder_leaves_it_unavailable_and_the_others_told(outlook):
    outlook.theirs.create_folder("Deals")
    outlook.theirs.deliver(1)
    inbox, deals = outlook.folder(), outlook.folder("Deals")
    cursors = {inbox.id: outlook.position(), deals.id: outlook.position("Deals")}
    outlook.theirs.deliver(2)
    where = f"{deals.id[-20:]}.*{DELTA}"
    outlook.simulator.faults.arm("unavailable", route=where, times=None, retry_after=None)
    seen = outlook.look(cursors)
    assert (seen.changed, seen.unavailable) == ({inbox.id}, {deals.id})


def test_a_mailbox_that_graph_does_not_serve_is_an_administrators_matter(followed):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("mailbox_not_enabled", times=None)
    with world.session() as session:
        for ask in (
            lambda: session.look({folder.id: cursor}, lambda _one: True, now=NOW),
            lambda: session.baseline(folder, now=NOW),
            lambda: world.take_in(session, folder, cursor),
            lambda: list(session.fetch(folder, list(world.copies))),
        ):
            with pytest.raises(ConfigurationError) as caught:
                ask()
            assert caught.value.code is ErrorCode.PROVIDER_API_DISABLED


def test_no_folders_at_all_is_no_mailbox(outlook):
    outlook.simulator.faults.arm("resource_not_found", times=None)
    with pytest.raises(ConfigurationError) as caught:
        outlook.look({})
    assert caught.value.code is ErrorCode.PROVIDER_API_DISABLED


def test_a_refused_permission_is_doubted_before_it_is_believed(followed):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("forbidden", times=None)
    with pytest.raises(ReconnectRequiredError) as caught, world.session() as session:
        world.take_in(session, folder, cursor)
    assert caught.value.code is ErrorCode.SCOPE_MISSING
    assert not caught.value.definitive


# ---- answers that are none ----

BROKEN = {
    "html": ErrorCode.PROVIDER_UNAVAILABLE,
    "cut_body": ErrorCode.CONNECTION_DROPPED,
    "cut_before_work": ErrorCode.CONNECTION_DROPPED,
    "cut_after_work": ErrorCode.CONNECTION_DROPPED,
    "broken_json": ErrorCode.PROVIDER_UNAVAILABLE,
    "not_an_object": ErrorCode.PROVIDER_UNAVAILABLE,
    "empty_body": ErrorCode.PROVIDER_UNAVAILABLE,
    "redirect": ErrorCode.ANSWER_NOT_UNDERSTOOD,
    "no_link": ErrorCode.ANSWER_NOT_UNDERSTOOD,
    "gzip_bomb": ErrorCode.PROVIDER_UNAVAILABLE,
}


@pytest.mark.parametrize("fault", BROKEN)
def test_an_answer_that_is_none_moves_nothing_and_passes(followed, fault):
    world, cursor = followed
    folder = world.folder()
    more = {"mebibytes": 16} if fault == "gzip_bomb" else {}
    world.simulator.faults.arm(fault, route=DELTA, times=None, **more)
    with pytest.raises(RetryLaterError) as caught, world.session() as session:
        world.take_in(session, folder, cursor)
    assert caught.value.code is BROKEN[fault]
    world.simulator.faults.clear()
    world.follow(cursor)
    assert holds_all(world)


@pytest.mark.parametrize("fault", [one for one in BROKEN if one not in ("no_link", "gzip_bomb")])
def test_what_a_batch_does_not_bring_is_read_message_by_message(followed, fault):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm(fault, route=BATCH, times=None)
    with world.session() as session:
        world.take_in(session, folder, cursor)
    world.simulator.faults.clear()
    assert holds_all(world)


@pytest.mark.parametrize("fault", ["html", "cut_body", "cut_before_work", "not_an_object"])
def test_where_nothing_comes_together_or_alone_nothing_moves_and_it_passes(followed, fault):
    world, cursor = followed
    folder = world.folder()
    for route in (BATCH, CONTENT):
        world.simulator.faults.arm(fault, route=route, times=None)
    with pytest.raises(RetryLaterError), world.session() as session:
        world.take_in(session, folder, cursor)
    world.simulator.faults.clear()
    world.follow(cursor)
    assert holds_all(world)


@pytest.mark.parametrize("fault", ["gzip_bomb", "huge_body"])
def test_a_batch_that_is_too_much_to_be_held_is_read_message_by_message(followed, fault):
    world, cursor = followed
    world.simulator.faults.arm(fault, route=BATCH, mebibytes=16, after=1)
    world.follow(cursor)
    assert holds_all(world)
    assert [one.batch for one in world.simulator.log.entries(route="messages.mime")][-1] == 0


def test_an_answer_that_does_not_come_ends_with_the_sessions_time(followed):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm("slow", route=DELTA, seconds=30)
    with (
        pytest.raises(RetryLaterError) as caught,
        world.provider.open(world.grant, seconds=0.5) as session,
    ):
        world.take_in(session, folder, cursor)
    assert caught.value.code is ErrorCode.CONNECTION_TIMED_OUT


# ---- tokens ----


def test_an_access_token_that_ends_amid_a_walk_is_renewed(outlook):
    outlook.theirs.deliver(*range(6))
    folder = outlook.folder()
    with outlook.session() as session:
        first = outlook.take_in(session, folder, None, limit=2, pages=1)
        outlook.simulator.clock.advance(2 * 3600)
        outlook.take_in(session, folder, first.cursor, limit=2)
    assert outlook.tokens.renewals == 1
    assert holds_all(outlook)


@pytest.mark.parametrize("route", [DELTA, BATCH, CONTENT])
@pytest.mark.parametrize("fault", ["unauthorized", "claims_challenge"])
def test_a_token_that_is_refused_is_renewed_once_and_the_request_sent_again(followed, fault, route):
    world, cursor = followed
    world.simulator.faults.arm(fault, route=route)
    assert world.follow(cursor).added == [10]
    assert world.tokens.renewals == 1


@pytest.mark.parametrize("route", [DELTA, BATCH, CONTENT])
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unauthorized", ErrorCode.GRANT_REVOKED),
        ("claims_challenge", ErrorCode.SIGN_IN_REQUIRED),
    ],
)
def test_a_renewed_token_that_is_refused_again_is_doubted_before_it_is_believed(
    followed, fault, code, route
):
    world, cursor = followed
    folder = world.folder()
    world.simulator.faults.arm(fault, route=route, times=None)
    with pytest.raises(ReconnectRequiredError) as caught, world.session() as session:
        world.take_in(session, folder, cursor)
    assert caught.value.code is code
    assert not caught.value.definitive
    assert world.tokens.renewals == 1


def test_a_grant_revoked_amid_a_run_keeps_the_cursor_and_goes_on_after_a_new_one(outlook):
    outlook.theirs.deliver(*range(6))
    folder = outlook.folder()
    with outlook.session() as session:
        first = outlook.take_in(session, folder, None, limit=2, pages=1)
        outlook.simulator.revoke_grants("ada@contoso.example", "password")
        outlook.simulator.clock.advance(2 * 3600)
        with pytest.raises(ReconnectRequiredError) as caught:
            outlook.take_in(session, folder, first.cursor, limit=2)
    assert caught.value.definitive
    outlook.sign_in_again()
    outlook.follow(first.cursor, limit=2)
    assert holds_all(outlook)


# ---- messages that change under our hands ----


def test_a_message_deleted_before_it_is_fetched_is_missing(followed):
    world, cursor = followed
    world.theirs.deliver(11)
    world.simulator.faults.arm("delete_on_get", route=CONTENT)
    told = world.follow(cursor)
    assert len(told.added) == 1
    world.follow(told.cursor)
    assert {one.id for one in world.theirs.mailbox.messages()} == set(world.copies)


def test_a_message_moved_before_it_is_fetched_is_fetched_and_placed_later(followed):
    world, cursor = followed
    archive = world.follow(None, "Archive").cursor
    world.simulator.faults.arm("move_on_get", route=CONTENT)
    told = world.follow(cursor)
    world.follow(archive, "Archive")
    world.follow(told.cursor)
    (archived,) = world.numbers("Archive")
    assert archived == 10
    assert len(world.fetched) == len(set(world.fetched)) == 11


def test_one_message_that_cannot_be_written_as_mime_holds_up_no_other(outlook):
    outlook.theirs.deliver(1, 2, 3)
    odd = outlook.theirs.mailbox.messages()[1].id
    outlook.simulator.faults.arm(
        "server_error",
        route=rf"{odd[-16:]}{CONTENT}",
        code="ErrorContentConversionFailed",
        times=None,
    )
    outlook.follow(None)
    assert outlook.numbers() == {1, 2, 3}


def test_one_message_that_cannot_be_read_at_all_is_said_to_be_so(outlook):
    outlook.theirs.deliver(1, 2, 3)
    odd = outlook.theirs.mailbox.messages()[1].id
    folder = outlook.folder()
    names = [one.id for one in outlook.theirs.mailbox.messages()]
    outlook.simulator.faults.arm(
        "server_error",
        route=rf"{odd[-16:]}({CONTENT}|$)",
        code="ErrorContentConversionFailed",
        times=None,
        after=1,
    )
    with outlook.session() as session:
        got = list(session.fetch(folder, names))
    assert MissingMessage(odd, "unreadable") in got
    assert sorted(number_of(one) for one in got if isinstance(one, FetchedMessage)) == [1, 3]


def _nothing(world, folder):
    from tests.contract.moving_world import KnownHere

    return KnownHere(world, folder)
