"""Which mails say they are a test, and what is told of one: where it stands, or stopped, and why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.folders import FolderRole
from shared.domain.mailbox import LatestError, MailboxStatus
from shared.domain.round_trip import (
    RoundTripState,
    Step,
    named_test,
    place_of_return,
    round_trip_of,
)
from shared.domain.sending import Arrival, SendKind, SendStatus
from tests.fakes.values import NOW, a_mailbox, a_send

ID = "01ARZ3NDEKTSV4RRFFQ69G5FB0"
NAMED = f"X-Mailroom-Test: {ID}\r\n"
WAITING, SUCCEEDED, STOPPED = RoundTripState
BOX = replace(a_mailbox(), status=MailboxStatus.ACTIVE, inbound_error=None, generation=1)
TEST = replace(a_send(), kind=SendKind.TEST, created_at=NOW, due_at=NOW)


def after(**seconds: float):
    return {name: NOW + timedelta(seconds=at) for name, at in seconds.items()}


ACCEPTED = replace(TEST, status=SendStatus.SENT, **after(taken_at=2, accepted_at=5))


@pytest.mark.parametrize(
    ("mail", "names"),
    [
        (f"From: a\r\n{NAMED}\r\nText", True),
        (f"x-mailroom-test:{ID.lower()}\n\nText", True),
        (f"{NAMED}From: a", True),
        ("From: a\r\nX-Mailroom-Test: mine\r\n\r\n", False),
        (f"From: a\r\nX-Mailroom-Test: {ID} {ID}\r\n\r\n", False),
        (f"From: a\r\nSubject: {NAMED}\r\n", False),
        (f"From: a\r\n\r\n{NAMED}", False),
        (f"From: a\n\n{NAMED}", False),
        ("", False),
    ],
)
def test_a_mail_is_a_test_by_a_field_of_its_header(mail, names):
    assert named_test(mail.encode()) == (ID if names else None)


def test_a_copy_among_the_sent_mail_is_no_return():
    inbox, sent, spam = FolderRole.INBOX, FolderRole.SENT, FolderRole.SPAM
    assert place_of_return([sent]) is None
    assert place_of_return([FolderRole.DRAFTS, FolderRole.ALL]) is None
    assert place_of_return([sent, FolderRole.OTHER]) is None
    assert place_of_return([FolderRole.OTHER]) is FolderRole.OTHER
    assert place_of_return([sent, inbox]) is inbox
    assert place_of_return([spam]) is spam


def told(send, *, seconds=60.0, box=BOX):
    trip = round_trip_of(send, box, now=NOW + timedelta(seconds=seconds))
    assert [one.step for one in trip.steps] == [*Step]
    return trip


def test_each_step_has_its_instant_and_the_seconds_since_the_one_before():
    arrival = Arrival(NOW + timedelta(seconds=25), FolderRole.INBOX)
    trip = told(replace(ACCEPTED, arrival=arrival, **after(filed_at=6)))
    assert [one.seconds for one in trip.steps] == [0, 2, 3, 1, 19]
    assert (trip.state, trip.stands_at, trip.code) == (SUCCEEDED, None, None)
    assert trip.came_back_to is FolderRole.INBOX


def test_what_is_filed_after_it_came_back_is_told_so():
    arrival = Arrival(NOW + timedelta(seconds=7), FolderRole.INBOX)
    trip = told(replace(ACCEPTED, arrival=arrival, **after(filed_at=9)))
    assert [one.seconds for one in trip.steps][3:] == [4, 2]


def test_one_that_is_back_was_accepted_whatever_its_worker_could_write():
    arrival = Arrival(NOW + timedelta(seconds=7), FolderRole.INBOX)
    trip = told(replace(TEST, status=SendStatus.UNKNOWN, arrival=arrival))
    assert (trip.state, trip.steps[2].at) == (SUCCEEDED, arrival.at)


def test_what_nobody_has_taken_waits_and_says_so():
    assert (told(TEST).state, told(TEST).stands_at) == (WAITING, Step.TAKEN)


@pytest.mark.parametrize(
    ("status", "next_try", "state"),
    [
        (SendStatus.QUEUED, 90, WAITING),
        (SendStatus.FAILED, None, STOPPED),
        (SendStatus.CANCELLED, None, STOPPED),
        (SendStatus.UNKNOWN, 90, WAITING),
        (SendStatus.UNKNOWN, None, STOPPED),
    ],
)
def test_what_a_provider_did_not_take_waits_or_stopped_there_with_its_cause(
    status, next_try, state
):
    code = ErrorCode.LOGIN_REJECTED
    send = replace(TEST, status=status, code=code, **after(taken_at=2))
    if next_try:
        send = replace(send, **after(next_try_at=next_try))
    trip = told(send)
    assert (trip.state, trip.stands_at, trip.code) == (state, Step.ACCEPTED, code)


BROKEN = LatestError(ErrorCode.CONNECTION_FAILED, NOW, NOW, 1)
GONE = LatestError(ErrorCode.GRANT_REVOKED, NOW, NOW, 1)


@pytest.mark.parametrize(
    ("box", "seconds", "state", "code"),
    [
        (BOX, 604, WAITING, None),
        (BOX, 605, STOPPED, ErrorCode.TEST_NOT_BACK),
        (replace(BOX, inbound_error=BROKEN), 60, WAITING, BROKEN.code),
        (replace(BOX, inbound_error=BROKEN), 605, STOPPED, BROKEN.code),
        (
            replace(BOX, inbound_error=GONE, status=MailboxStatus.RECONNECT_REQUIRED),
            60,
            STOPPED,
            GONE.code,
        ),
        (
            replace(BOX, status=MailboxStatus.DISCONNECTED),
            60,
            STOPPED,
            ErrorCode.MAILBOX_DISCONNECTED,
        ),
    ],
)
def test_what_does_not_come_back_names_what_sync_met_or_says_where_to_look(
    box, seconds, state, code
):
    trip = told(ACCEPTED, seconds=seconds, box=box)
    assert (trip.state, trip.stands_at, trip.code) == (state, Step.CAME_BACK, code)
