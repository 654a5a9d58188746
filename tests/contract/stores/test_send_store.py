"""The contract of `SendStore` and `OutgoingStore`, and what the table is left with."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    LimitReachedError,
    RequestError,
    StoreThrottledError,
)
from shared.domain.folders import FolderRole
from shared.domain.ids import MailboxId, MessageId, ProviderMessageId, SendId
from shared.domain.message import ParticipantRole
from shared.domain.sending import SHARDS_OF_SENDS, Arrival, Recipient, RecipientStatus, SendStatus
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.fakes.backends import BUCKET
from tests.fakes.faults import asked_twice, failing, lost, throttled
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    a_mailbox,
    a_send,
    connected,
    identity_of,
    later,
    stands,
)

CAPS = SendCaps(mailbox_a_day=100, tenant_a_day=1000, mailbox_a_minute=50)
SEND = a_send()
DUE = SEND.due_at
ACCEPTED, REFUSED = RecipientStatus.ACCEPTED, RecipientStatus.REFUSED
UNKNOWN = RecipientStatus.UNKNOWN


def key(text="1", body="b"):
    return IdempotencyKey(hashlib.sha256(text.encode()).hexdigest(), body)


def ref(send):
    return SendRef(send.tenant_id, send.mailbox_id, send.id)


REF = ref(SEND)


@pytest.fixture
def box(stores):
    return connected(stores.mailboxes).mailbox


def create(stores, send=SEND, at=NOW, caps=CAPS, **names):
    return stores.sends.create(send, key(**names or {"text": send.id}), caps, now=at)


def due(stores, at, limit=99):
    return [
        one
        for shard in range(SHARDS_OF_SENDS)
        for one in stores.sends.due(shard, now=at, limit=limit)
    ]


def take(stores, at=DUE, one=REF):
    return stores.sends.take(one, now=at, seconds=60)


def refusal(call, *args, **kwargs):
    with pytest.raises((ConflictError, RequestError)) as caught:
        call(*args, **kwargs)
    return caught.value.code


# ---- asked for ----


def test_a_send_reads_back_as_it_was_asked_for(stores, box):
    full = replace(
        SEND,
        recipients=(
            Recipient("ada@example.org", name="Ada, née B.", role=ParticipantRole.CC),
            Recipient("Zoë@bücher.example", role=ParticipantRole.BCC),
        ),
        files=("Angebot Zoë.pdf", "b"),
        answers=MessageId("m1"),
        provider_thread_id="T1",
        due_at=NOW + timedelta(days=3),
    )
    assert create(stores, full) == full
    assert stores.sends.get(REF) == full
    assert list(stores.sends.of_mailbox(TENANT, BOX)) == [full]
    for other in ((OTHER_TENANT, BOX), (TENANT, OTHER_BOX)):
        assert stores.sends.get(SendRef(*other, SEND.id)) is None
        assert list(stores.sends.of_mailbox(*other)) == []


def test_everything_a_worker_learned_reads_back(stores, box):
    create(stores)
    learned = replace(
        take(stores),
        status=SendStatus.SENT,
        recipients=(
            Recipient("ada@example.org", ACCEPTED),
            Recipient("Zoë@bücher.example", REFUSED, ErrorCode.RECIPIENT_REJECTED),
        ),
        draft="D1",
        handed_over_at=later(11),
        next_try_at=later(99),
        failures=2,
        looks=3,
        code=ErrorCode.RATE_LIMITED,
        reply="550 5.1.1",
        sent_at=later(12),
        sent_as="<other@provider>",
        message_id=MessageId("m2"),
        provider_message_id=ProviderMessageId("p.1"),
        filed_at=later(13),
    )
    stores.sends.write(learned, now=later(13))
    assert stores.sends.get(REF) == learned


def test_the_same_key_and_request_have_the_first_send_whatever_became_of_it(stores, box):
    create(stores, text="k")
    again = a_send("2")
    assert create(stores, again, text="k") == SEND
    sent = replace(take(stores), status=SendStatus.SENT, attempt_ends_at=None, filed_at=DUE)
    stores.sends.write(sent, now=DUE)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    none = SendCaps(0, 0, 0)
    assert create(stores, again, text="k", caps=none) == sent
    assert stores.sends.find(TENANT, key("k")) == sent
    assert stores.sends.get(ref(again)) is None
    assert stores.sends.find(TENANT, key("other")) is None
    assert stores.sends.find(OTHER_TENANT, key("k")) is None


def test_the_same_key_for_another_request_is_refused(stores, box):
    create(stores, text="k")
    assert refusal(create, stores, a_send("2"), text="k", body="other") is ErrorCode.KEY_REUSED
    assert refusal(stores.sends.find, TENANT, key("k", "other")) is ErrorCode.KEY_REUSED
    assert list(stores.sends.of_mailbox(TENANT, BOX)) == [SEND]


def test_nothing_is_asked_of_a_mailbox_that_is_not_active_or_has_changed(stores):
    never = replace(SEND, mailbox_id=OTHER_BOX)
    assert refusal(create, stores, never) is ErrorCode.WRONG_STATE
    record = connected(stores.mailboxes)
    old = replace(SEND, generation=record.mailbox.generation - 1)
    assert refusal(create, stores, old) is ErrorCode.WRONG_STATE
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    now = stands(stores.mailboxes, record.mailbox).mailbox.generation
    for one in (SEND, replace(SEND, generation=now)):
        assert refusal(create, stores, one) is ErrorCode.WRONG_STATE
    assert (list(stores.sends.of_mailbox(TENANT, BOX)), due(stores, later(999))) == ([], [])
    # What was refused has taken no key.
    assert stores.sends.find(TENANT, key(SEND.id)) is None


def test_they_are_listed_newest_first_page_by_page(stores, box):
    asked = [create(stores, a_send(str(number))) for number in range(5)]
    read, before = [], None
    while page := stores.sends.list_sends(TENANT, BOX, limit=2, before=before):
        assert len(page) <= 2
        read += page
        before = page[-1].id
    assert read == asked[::-1]
    assert stores.sends.list_sends(TENANT, OTHER_BOX, limit=2, before=None) == []


# ---- taken, written ----


def test_it_is_found_when_its_time_has_come_and_taken_once(stores, box):
    create(stores)
    assert due(stores, DUE - timedelta(microseconds=1)) == []
    assert refusal(take, stores, DUE - timedelta(microseconds=1)) is ErrorCode.LEASE_HELD
    assert due(stores, DUE) == [REF]
    mine = take(stores)
    assert (mine.status, mine.attempt, mine.attempt_ends_at) == (SendStatus.SENDING, 1, later(70))
    assert stores.sends.get(REF) == mine
    assert refusal(take, stores) is ErrorCode.LEASE_HELD
    assert due(stores, later(69)) == []
    assert refusal(take, stores, DUE, SendRef(TENANT, BOX, SendId("none"))) is ErrorCode.LEASE_HELD


def test_one_whose_worker_died_is_taken_over_with_all_that_it_noted(stores, box):
    create(stores)
    noted = replace(take(stores), draft="D1", handed_over_at=later(12))
    stores.sends.write(noted, now=later(12))
    assert due(stores, later(70)) == [REF]
    taken_over = take(stores, later(70))
    assert (taken_over.attempt, taken_over.attempt_ends_at) == (2, later(130))
    assert (taken_over.draft, taken_over.handed_over_at) == ("D1", later(12))
    assert taken_over.in_doubt
    # Whoever was thought dead writes nothing any more.
    late = replace(noted, status=SendStatus.SENT, filed_at=later(71), attempt_ends_at=None)
    assert refusal(stores.sends.write, late, now=later(71)) is ErrorCode.STALE_WRITE
    assert stores.sends.get(REF) == taken_over


def test_one_that_is_to_be_tried_again_is_found_then(stores, box):
    create(stores)
    again = replace(
        take(stores), status=SendStatus.QUEUED, attempt_ends_at=None, next_try_at=later(300)
    )
    stores.sends.write(again, now=later(15))
    assert due(stores, later(299)) == []
    assert refusal(take, stores, later(299)) is ErrorCode.LEASE_HELD
    assert due(stores, later(300)) == [REF]
    assert take(stores, later(300)).attempt == 2


@pytest.mark.parametrize(
    ("status", "next_try_at"),
    [(SendStatus.UNKNOWN, later(300)), (SendStatus.SENT, later(300)), (SendStatus.SENT, None)],
)
def test_what_is_unknown_or_not_filed_comes_up_again_and_keeps_its_status(
    stores, box, status, next_try_at
):
    create(stores)
    left = replace(
        take(stores),
        status=status,
        handed_over_at=later(12),
        attempt_ends_at=None,
        next_try_at=next_try_at,
    )
    stores.sends.write(left, now=later(15))
    assert due(stores, later(300)) == [REF]
    again = take(stores, later(300))
    assert (again.status, again.attempt, again.next_try_at) == (status, 2, None)
    assert due(stores, later(359)) == []
    assert due(stores, later(360)) == [REF]


@pytest.mark.parametrize(
    "end",
    [
        {"status": SendStatus.SENT, "filed_at": later(15)},
        {"status": SendStatus.FAILED, "code": ErrorCode.MAIL_REFUSED},
        {"status": SendStatus.UNKNOWN, "handed_over_at": later(12)},
        {"status": SendStatus.CANCELLED},
    ],
)
def test_what_is_over_is_never_due_and_never_taken(stores, box, end):
    create(stores)
    over = replace(take(stores), attempt_ends_at=None, **end)
    stores.sends.write(over, now=later(15))
    assert due(stores, later(10**8)) == []
    assert refusal(take, stores, later(10**8)) is ErrorCode.LEASE_HELD


def test_what_failed_with_a_draft_is_taken_to_discard_it(stores, box):
    create(stores)
    failed = replace(
        take(stores),
        status=SendStatus.FAILED,
        draft="D1",
        attempt_ends_at=None,
        next_try_at=later(20),
    )
    stores.sends.write(failed, now=later(15))
    assert due(stores, later(20)) == [REF]
    mine = take(stores, later(20))
    assert mine.status is SendStatus.FAILED
    stores.sends.write(replace(mine, draft=None, attempt_ends_at=None), now=later(21))
    assert due(stores, later(10**8)) == []


def test_the_due_ones_are_told_oldest_first_and_no_more_than_asked_for(stores, box):
    asked = [a_send(str(n), due_at=later(60 - n)) for n in range(4)]
    for one in asked:
        create(stores, one)
    (shard,) = [
        shard for shard in range(SHARDS_OF_SENDS) if stores.sends.due(shard, now=later(60), limit=9)
    ]
    found = stores.sends.due(shard, now=later(59), limit=2)
    assert list(found) == [ref(asked[3]), ref(asked[2])]
    assert len(stores.sends.due(shard, now=later(59), limit=9)) == 3


# ---- cancelled, disconnected ----


def test_one_that_waits_is_cancelled_and_stays_so(stores, box):
    create(stores)
    after = stores.sends.cancel(REF, now=later(1))
    assert (after.status, after.code) == (SendStatus.CANCELLED, None)
    assert stores.sends.cancel(REF, now=later(2), code=ErrorCode.MAILBOX_DISCONNECTED) == after
    assert stores.sends.get(REF) == after
    assert due(stores, later(10**8)) == []
    assert refusal(take, stores) is ErrorCode.LEASE_HELD
    missing = SendRef(TENANT, BOX, SendId("none"))
    assert refusal(stores.sends.cancel, missing, now=NOW) is ErrorCode.SEND_NOT_FOUND


def test_cancelling_between_two_tries_holds_against_the_last_ones_late_write(stores, box):
    create(stores)
    again = replace(
        take(stores), status=SendStatus.QUEUED, attempt_ends_at=None, next_try_at=later(300)
    )
    stores.sends.write(again, now=later(15))
    after = stores.sends.cancel(REF, now=later(20))
    assert refusal(stores.sends.write, again, now=later(21)) is ErrorCode.STALE_WRITE
    assert stores.sends.get(REF) == after


def test_a_draft_of_what_is_cancelled_comes_up_to_be_discarded(stores, box):
    create(stores)
    left = {"status": SendStatus.QUEUED, "attempt_ends_at": None, "next_try_at": later(300)}
    stores.sends.write(replace(take(stores), draft="D1", **left), now=later(15))
    stores.sends.cancel(REF, now=later(20))
    assert due(stores, later(20)) == [REF]
    assert take(stores, later(20)).status is SendStatus.CANCELLED


def test_nothing_is_cancelled_that_is_taken_or_that_somebody_has_got(stores, box):
    create(stores)
    mine = take(stores)
    partly = replace(
        mine,
        recipients=(replace(SEND.recipients[0], status=ACCEPTED), SEND.recipients[1]),
        status=SendStatus.QUEUED,
        attempt_ends_at=None,
        next_try_at=later(300),
    )
    for stage in (mine, partly, replace(mine, status=SendStatus.SENT)):
        stores.sends.write(stage, now=later(15))
        assert refusal(stores.sends.cancel, REF, now=later(20)) is ErrorCode.TOO_LATE
        assert stores.sends.get(REF) == stage


def test_either_it_is_cancelled_or_it_is_taken(aws):
    connected(aws.mailboxes)
    for number in range(6):
        send = a_send(str(number), due_at=NOW)
        create(aws, send)

        def cancel(one=send):
            return aws.sends.cancel(ref(one), now=NOW)

        def take_it(one=send):
            return take(aws, NOW, ref(one))

        def outcome(call):
            with suppress(ConflictError):
                return call()
            return None

        first = (cancel, take_it) if number % 2 else (take_it, cancel)
        with ThreadPoolExecutor(2) as pool:
            won = [one for one in pool.map(outcome, first) if one]
        assert [one.status for one in won] == [aws.sends.get(ref(send)).status]


def test_many_who_come_at_once_take_it_once(aws):
    connected(aws.mailboxes)
    create(aws)

    def attempt(_):
        with suppress(ConflictError):
            return take(aws)
        return None

    with ThreadPoolExecutor(8) as pool:
        assert len([one for one in pool.map(attempt, range(8)) if one]) == 1


def test_one_of_a_mailbox_that_was_disconnected_since_is_left_behind(stores, box):
    sent = {"status": SendStatus.SENT, "attempt_ends_at": None, "next_try_at": later(50)}
    before = {
        "waits": {"status": SendStatus.QUEUED, "attempt_ends_at": None, "next_try_at": later(50)},
        "died": {},
        "in_doubt": {"handed_over_at": later(12)},
        "sent": sent,
        "partly": {
            "status": SendStatus.QUEUED,
            "attempt_ends_at": None,
            "recipients": (replace(SEND.recipients[0], status=ACCEPTED), SEND.recipients[1]),
            "sent_at": later(12),
        },
        "unknown to one": {
            "status": SendStatus.QUEUED,
            "attempt_ends_at": None,
            "recipients": (replace(SEND.recipients[0], status=UNKNOWN), SEND.recipients[1]),
        },
    }
    refs = {}
    for name, changes in before.items():
        send = create(stores, a_send(name))
        refs[name] = ref(send)
        stores.sends.write(replace(take(stores, one=refs[name]), **changes), now=later(15))
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    # Connected again before anybody has come to cancel what waits: it is not revived.
    stores.mailboxes.reconnect(
        stands(stores.mailboxes, box).mailbox, identity_of(box), "every-5#3#1"
    )
    assert set(due(stores, later(99))) == set(refs.values())
    for one in refs.values():
        assert refusal(take, stores, later(99), one) is ErrorCode.WRONG_STATE
    after = {name: stores.sends.get(one) for name, one in refs.items()}
    assert {name: (one.status, one.code) for name, one in after.items()} == {
        "waits": (SendStatus.CANCELLED, ErrorCode.MAILBOX_DISCONNECTED),
        "died": (SendStatus.CANCELLED, ErrorCode.MAILBOX_DISCONNECTED),
        "in_doubt": (SendStatus.UNKNOWN, ErrorCode.OUTCOME_UNKNOWN),
        "sent": (SendStatus.SENT, None),
        "partly": (SendStatus.SENT, None),
        "unknown to one": (SendStatus.UNKNOWN, ErrorCode.OUTCOME_UNKNOWN),
    }
    assert [one.status for one in after["partly"].recipients] == [ACCEPTED, REFUSED]
    assert due(stores, later(10**8)) == []


def reconnected(stores, box):
    stores.mailboxes.reconnect(
        stands(stores.mailboxes, box).mailbox, identity_of(box), "every-5#3#1"
    )


def test_one_is_sent_through_a_mailbox_that_was_only_reconnected(stores, box):
    create(stores)
    for _ in range(2):
        reconnected(stores, box)
    leaving = replace(take(stores), handed_over_at=later(12))
    assert leaving.attempt == 1
    reconnected(stores, box)
    stores.sends.write_handing_over(leaving, now=later(12))
    assert stores.sends.get(REF) == leaving


@pytest.mark.parametrize("again", [False, True])
def test_nobody_hands_over_what_a_disconnect_came_before(stores, box, again):
    create(stores)
    taken = take(stores)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(box))
    if again:
        reconnected(stores, box)
    leaving = replace(taken, handed_over_at=later(12))
    refused = refusal(stores.sends.write_handing_over, leaving, now=later(12))
    assert refused is ErrorCode.WRONG_STATE
    assert stores.sends.get(REF) == taken


def test_nobody_hands_over_what_another_has_taken_since(stores, box):
    create(stores)
    leaving = replace(take(stores), handed_over_at=later(12))
    taken = take(stores, later(10**6))
    refused = refusal(stores.sends.write_handing_over, leaving, now=later(10**6))
    assert refused is ErrorCode.STALE_WRITE
    assert stores.sends.get(REF) == taken


# ---- how much may leave ----


def asked(stores, text, people=1, at=NOW, caps=CAPS, **changes):
    recipients = tuple(Recipient(f"r{n}@example.org") for n in range(people))
    return create(stores, a_send(text, recipients=recipients, **changes), at, caps)


def wait(stores, limit, *args, **kwargs):
    """In how many seconds there is room again."""
    with pytest.raises(LimitReachedError) as caught:
        asked(stores, *args, **kwargs)
    assert caught.value.code is ErrorCode.SEND_LIMIT_REACHED
    assert caught.value.limit == limit
    return caught.value.retry_after_seconds


def test_a_mailbox_reaches_its_days_recipients_and_has_room_the_next_day(stores, box):
    caps = replace(CAPS, mailbox_a_day=5)
    asked(stores, "1", 3, caps=caps)
    # NOW is a quarter of a second and a microsecond past noon, UTC.
    assert wait(stores, "mailbox_a_day", "2", 3, caps=caps) == 12 * 3600 - 0.250_001
    asked(stores, "3", 2, caps=caps)
    assert wait(stores, "mailbox_a_day", "4", 1, caps=caps)
    assert stores.sends.get(ref(a_send("4"))) is None
    tomorrow = NOW + timedelta(hours=12)
    asked(stores, "5", 5, tomorrow, caps)
    assert wait(stores, "mailbox_a_day", "6", 6, tomorrow + timedelta(days=1), caps)


def test_a_mailbox_reaches_its_minutes_sends_and_waits_for_the_next_minute(stores, box):
    caps = replace(CAPS, mailbox_a_minute=2)
    for text in "12":
        asked(stores, text, caps=caps)
    assert wait(stores, "mailbox_a_minute", "3", at=later(15), caps=caps) == 45 - 0.250_001
    asked(stores, "3", at=later(60), caps=caps)


def test_a_tenant_reaches_its_days_recipients_and_leaves_others_alone(stores, box):
    connected(stores.mailboxes, id=OTHER_BOX, address="b@acme.example")
    connected(stores.mailboxes, tenant_id=OTHER_TENANT)
    caps = replace(CAPS, tenant_a_day=3)
    asked(stores, "1", 2, caps=caps)
    elsewhere = {"mailbox_id": OTHER_BOX}
    assert wait(stores, "tenant_a_day", "2", 2, caps=caps, **elsewhere) == 12 * 3600 - 0.250_001
    asked(stores, "2", 1, caps=caps, **elsewhere)
    asked(stores, "3", 3, caps=caps, tenant_id=OTHER_TENANT)


def test_a_burst_at_the_same_time_never_passes_the_cap(stores, box):
    caps = replace(CAPS, mailbox_a_day=9)

    def attempt(number):
        with suppress(LimitReachedError):
            return asked(stores, f"{number:02}", 2, caps=caps)
        return None

    with ThreadPoolExecutor(8) as pool:
        let = [one for one in pool.map(attempt, range(12)) if one]
    assert len(let) == 4
    assert len(list(stores.sends.of_mailbox(TENANT, BOX))) == 4


# ---- trouble ----


@contextmanager
def untold(stores):
    """What is written here is written, and nobody is told."""
    transactions = frozenset({"TransactWriteItems"})
    with failing(stores, lost, only=transactions, after=True), pytest.raises(StoreThrottledError):
        yield


def test_asking_again_after_a_lost_answer_counts_once(aws):
    connected(aws.mailboxes)
    tight = SendCaps(2, 2, 1)
    with asked_twice(aws, "TransactWriteItems"):
        assert create(aws, caps=tight) == SEND
    with untold(aws):
        create(aws, a_send("2"), at=later(86_400), caps=tight)
    # The caller asks once more, with another id: what was written is the answer.
    again = replace(a_send("3"), created_at=later(1))
    first = aws.sends.create(again, key("01SEND2"), tight, now=later(86_400))
    assert first == a_send("2")
    assert len(list(aws.sends.of_mailbox(TENANT, BOX))) == 2


def test_one_that_was_taken_without_anybody_being_told_comes_up_again(aws):
    connected(aws.mailboxes)
    create(aws)
    with untold(aws):
        take(aws)
    assert due(aws, later(69)) == []
    assert due(aws, later(70)) == [REF]
    assert take(aws, later(70)).attempt == 2


@pytest.mark.parametrize("error", [throttled, lost])
def test_a_busy_table_is_said_to_be_busy(aws, error):
    connected(aws.mailboxes)
    create(aws)
    mine = take(aws)
    with failing(aws, error):
        for call in (
            lambda: create(aws, a_send("2")),
            lambda: take(aws, later(99)),
            lambda: aws.sends.write(mine, now=DUE),
            lambda: aws.outgoing.put(REF, b"x"),
        ):
            with pytest.raises(StoreThrottledError):
                call()


def test_what_is_written_is_forgotten_ninety_days_after_its_end(aws):
    connected(aws.mailboxes)
    far = NOW + timedelta(days=20)
    create(aws, replace(SEND, due_at=far), text="k")
    days = 90 * 86_400

    def expiries():
        items = [item for item in aws.items() if "expires_at" in item]
        return {item["sk"]["S"].partition("#")[0]: int(item["expires_at"]["N"]) for item in items}

    assert expiries()["send"] == expiries()["key"] == int(far.timestamp()) + days
    aws.sends.cancel(REF, now=later(5))
    assert expiries()["send"] == int(far.timestamp()) + days
    create(aws, a_send("2"))
    mine = take(aws, far, ref(a_send("2")))
    aws.sends.write(replace(mine, status=SendStatus.FAILED, attempt_ends_at=None), now=far)
    assert expiries()["send"] == int(far.timestamp()) + days


def test_a_key_is_free_again_once_it_would_be_forgotten(aws):
    connected(aws.mailboxes)
    create(aws, text="k")
    aws.table.client.delete_item(
        TableName=aws.table.name,
        Key={name: value for name, value in _send_item(aws).items() if name in {"pk", "sk"}},
    )
    later_on = SEND.due_at + timedelta(days=90, seconds=1)
    assert create(aws, a_send("2"), at=later_on, text="k") == a_send("2")


def test_the_due_index_tells_nothing_readable(aws):
    connected(aws.mailboxes)
    create(aws)
    (found,) = [
        item
        for shard in range(SHARDS_OF_SENDS)
        for item in aws.table.query(f"sends#{shard}", index=("due", "due_slot", "due_key"))
    ]
    assert set(found) == {"pk", "sk", "due_slot", "due_key", "tenant_id", "mailbox_id"}


def _send_item(aws):
    (item,) = [item for item in aws.items() if item["sk"]["S"].startswith("send#")]
    return item


def test_mailboxes_are_spread_over_the_slots(aws):
    connected(aws.mailboxes)
    slots = set()
    for number in range(40):
        box = MailboxId(f"B{number}")
        mailbox = a_mailbox(id=box, address=f"{number}@acme.example")
        connected(aws.mailboxes, id=box, address=mailbox.address)
        create(aws, a_send(str(number), mailbox_id=box))
    slots = {item["due_slot"]["S"] for item in aws.items() if item["sk"]["S"].startswith("send#")}
    assert len(slots) == SHARDS_OF_SENDS


# ---- content ----


def test_content_reads_back_whole_or_not_at_all(stores):
    content = b"Subject: x\r\n\r\n\x00\xff" * 1000
    digest = hashlib.sha256(content).hexdigest()
    assert stores.outgoing.get(REF, digest) is None
    stores.outgoing.put(REF, b"other")
    assert stores.outgoing.get(REF, digest) is None
    stores.outgoing.put(REF, content)
    assert stores.outgoing.get(REF, digest) == content
    assert stores.outgoing.get(replace(REF, tenant_id=OTHER_TENANT), digest) is None
    for _ in range(2):
        stores.outgoing.delete(REF)
    assert stores.outgoing.get(REF, digest) is None


def test_the_content_is_its_mailboxs(aws):
    aws.outgoing.put(REF, b"x")
    (listed,) = aws.clients.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert listed["Key"] == f"outgoing/acme/{BOX}/{SEND.id}"


# ---- coming back ----


def test_that_a_test_came_back_is_noted_once_whoever_has_the_send(stores, box):
    create(stores)
    arrival = Arrival(DUE, FolderRole.INBOX)
    taken = take(stores)
    stores.sends.note_arrival(REF, arrival)
    stores.sends.note_arrival(REF, Arrival(later(3600), FolderRole.SPAM))
    assert stores.sends.get(REF) == replace(taken, arrival=arrival)
    # A worker that has it since before, one that takes it over, and one who calls it off.
    stores.sends.write(replace(taken, draft="D"), now=DUE)
    assert stores.sends.get(REF) == replace(taken, draft="D", arrival=arrival)
    stores.sends.write(replace(taken, status=SendStatus.QUEUED, attempt_ends_at=None), now=DUE)
    assert take(stores).arrival == arrival
    assert [one.arrival for one in stores.sends.of_mailbox(TENANT, BOX)] == [arrival]


def test_that_it_bears_another_sender_is_kept(stores, box):
    create(stores)
    arrival = Arrival(DUE, FolderRole.SPAM, bears_sender=False)
    stores.sends.note_arrival(REF, arrival)
    assert stores.sends.get(REF).arrival == arrival


def test_that_a_send_that_is_gone_came_back_is_no_trouble(stores, box):
    stores.sends.note_arrival(REF, Arrival(DUE, FolderRole.INBOX))
    assert stores.sends.get(REF) is None


def test_when_it_was_taken_and_accepted_is_kept(stores, box):
    create(stores)
    taken = take(stores)
    assert taken.taken_at == DUE
    stores.sends.write(replace(taken, accepted_at=later(60)), now=DUE)
    stands = stores.sends.get(REF)
    assert (stands.taken_at, stands.accepted_at) == (DUE, later(60))
