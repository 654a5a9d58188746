"""What a provider's word brings: at most one run, of the mailbox that listens to it, and no more."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Provider, RunState, Watch, identity_of
from shared.domain.push import CLOCKS_DIFFER, WINDOW, digest_of, key_of_mailbox
from shared.domain.run import RunReason
from shared.domain.secret import Secret
from shared.operations.receive_push import MOST_IN_VAIN, MOST_NOTICES, WordFate, receive_push
from shared.ports.push import Notice
from shared.ports.queues import SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.push import InMemoryPushStore
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.stores import InMemoryMailboxStore, World
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT, a_mailbox

PROOF = Secret("128 random bits")
ANN = "Ann@Ours.example"


class Scene:
    """Two mailboxes of two tenants, watched, and whoever speaks for their provider."""

    def __init__(self, provider):
        self.provider = provider
        self.clock = FixedClock()
        self.world = World()
        self.queues = RecordingWorkQueues()
        self.store = InMemoryPushStore(self.world)
        self.mailboxes = InMemoryMailboxStore(self.world)
        self.boxes = [
            a_mailbox(provider=provider, tenant_id=tenant, id=box, address=ANN)
            for tenant, box in ((TENANT, BOX), (OTHER_TENANT, OTHER_BOX))
        ]
        for box in self.boxes:
            self.mailboxes.create(box, RunState(), identity_of(box))
            self.listen(box)

    def listen(self, box, watch="subscription-1"):
        record = self.mailboxes.get(box.tenant_id, box.id)
        proof = None if self.provider is Provider.GMAIL else digest_of(PROOF)
        until = self.clock.now() + timedelta(days=6)
        key = key_of_mailbox(box)
        assert self.store.listen(record, key, proof=proof, until=until)
        if watch:
            made = Watch(watch, until)
            assert self.store.keep(record, key, made, renew_at=until, until=until)

    def word(self, **given):
        notice = Notice(key_of_mailbox(self.boxes[0]), PROOF, "subscription-1")
        return replace(notice, **given)

    def hear(self, *notices):
        return receive_push(
            self.provider, notices, store=self.store, queues=self.queues, clock=self.clock
        )

    @property
    def asked(self):
        return [(one.mailbox_id, one.reason, one.watch_ends) for one in self.queues.syncs]


@pytest.fixture
def outlook():
    return Scene(Provider.OUTLOOK)


@pytest.fixture
def gmail():
    return Scene(Provider.GMAIL)


def test_a_word_asks_for_one_run_of_the_mailbox_it_is_about(outlook):
    assert outlook.hear(outlook.word()) == {WordFate.ASKED: 1}
    assert outlook.queues.syncs == [SyncRequest(TENANT, BOX, RunReason.PUSH)]


def test_a_word_about_an_address_asks_for_all_who_have_it(gmail):
    # As Google writes it, which is not as it was connected.
    assert gmail.hear(Notice("ann@ours.EXAMPLE")) == {WordFate.ASKED: 2}
    assert {(one.tenant_id, one.mailbox_id) for one in gmail.queues.syncs} == {
        (TENANT, BOX), (OTHER_TENANT, OTHER_BOX)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fate"),
    [
        ({"key": "nobody"}, WordFate.UNKNOWN),
        ({"watch": "one of before"}, WordFate.UNKNOWN),
        ({"proof": Secret("another")}, WordFate.REFUSED),
        ({"proof": Secret("")}, WordFate.REFUSED),
        ({"proof": Secret(digest_of(PROOF))}, WordFate.REFUSED),
        ({"proof": None}, WordFate.REFUSED),
    ],
)
def test_a_word_that_is_not_ours_asks_for_nothing(outlook, given, fate):
    before = outlook.world.listeners.copy()
    assert outlook.hear(outlook.word(**given)) == {fate: 1}
    assert outlook.queues.syncs == []
    assert outlook.world.listeners == before


def test_anothers_proof_opens_no_mailbox(outlook):
    other = outlook.boxes[1]
    record = outlook.mailboxes.get(other.tenant_id, other.id)
    theirs = Secret("theirs")
    until = outlook.clock.now() + timedelta(days=6)
    outlook.store.listen(record, key_of_mailbox(other), proof=digest_of(theirs), until=until)
    assert outlook.hear(outlook.word(proof=theirs)) == {WordFate.REFUSED: 1}
    mixed = [
        outlook.word(),
        outlook.word(proof=theirs),
        outlook.word(key=key_of_mailbox(other), proof=theirs),
    ]
    assert outlook.hear(*mixed) == {WordFate.ASKED: 2, WordFate.REFUSED: 1}


def test_a_word_that_proves_itself_is_not_taken_for_one_that_need_not(gmail):
    assert gmail.hear(Notice("ann@ours.example", Secret("x"))) == {WordFate.REFUSED: 2}


def test_a_word_that_comes_before_its_watch_is_known_is_heard(outlook):
    outlook.listen(outlook.boxes[0], watch="")
    assert outlook.hear(outlook.word(watch="subscription-2")) == {WordFate.ASKED: 1}


def test_ten_thousand_words_are_two_runs(outlook):
    """All within the window of the first: it asks at once, the rest share the window's end."""
    for _ in range(10_000):
        outlook.clock.advance(seconds=(WINDOW - CLOCKS_DIFFER).total_seconds() / 10_001)
        outlook.hear(outlook.word())
    assert len(outlook.queues.syncs) == 2
    assert outlook.queues.sync_delays[0] == 0
    # It begins when the window ends, and so sees what every one of them was about.
    assert 29 <= outlook.queues.sync_delays[1] <= 30


def test_a_flood_that_never_ends_is_a_run_a_window(outlook):
    for _ in range(600):
        outlook.clock.advance(seconds=1)
        outlook.hear(outlook.word())
    assert len(outlook.queues.syncs) <= 1 + 600 / WINDOW.total_seconds() + 1


def test_the_same_word_twice_in_one_request_is_one(outlook):
    assert outlook.hear(outlook.word(), outlook.word()) == {WordFate.ASKED: 1}


def test_a_request_of_made_up_words_costs_a_bounded_number_of_reads(outlook, monkeypatch):
    asked = []
    listeners = outlook.store.listeners
    monkeypatch.setattr(
        outlook.store, "listeners", lambda *key: asked.append(key) or listeners(*key)
    )
    made_up = [outlook.word(key=f"made up {number}") for number in range(1_000)]
    fates = outlook.hear(*made_up)
    assert len(asked) == MOST_IN_VAIN
    assert fates == {WordFate.UNKNOWN: MOST_IN_VAIN, WordFate.LEFT_OUT: 1_000 - MOST_IN_VAIN}
    asked.clear()
    forged = [outlook.word(proof=Secret(str(number))) for number in range(1_000)]
    assert outlook.hear(*forged)[WordFate.REFUSED] == len(asked) == MOST_IN_VAIN


def test_a_few_words_of_watches_of_before_hold_up_no_other(outlook):
    of_before = [outlook.word(watch=f"of before {number}") for number in range(MOST_IN_VAIN - 1)]
    assert outlook.hear(*of_before, outlook.word())[WordFate.ASKED] == 1


def test_a_request_of_very_many_true_words_is_heard_in_part(outlook):
    # Told apart by what nobody compares while the watch is being made.
    outlook.listen(outlook.boxes[0], watch="")
    many = [outlook.word(watch=f"being made {number}") for number in range(MOST_NOTICES + 1)]
    fates = outlook.hear(*many)
    assert fates[WordFate.LEFT_OUT] == 1
    assert fates.total() == len(many)


def test_every_change_is_followed_by_the_beginning_of_a_run(outlook):
    """The invariant behind the window: no word is dropped whose change no later run sees."""
    begins = []
    for gap in (0, 0.2, 3, 29, 0.5, 31, 1, 1, 28.5, 0.9, 60, 0.1):
        outlook.clock.advance(seconds=gap)
        now = outlook.clock.now()
        sent = len(outlook.queues.syncs)
        outlook.hear(outlook.word())
        begins += [now + timedelta(seconds=one) for one in outlook.queues.sync_delays[sent:]]
        assert max(begins) >= now


def test_a_lifecycle_word_asks_for_a_renewal_and_is_not_lost_among_others(outlook):
    outlook.hear(outlook.word())
    outlook.hear(outlook.word())
    assert outlook.hear(outlook.word(ends=True)) == {WordFate.ASKED: 1}
    assert outlook.asked[-1] == (BOX, RunReason.PUSH, True)
    for _ in range(100):
        outlook.hear(outlook.word(ends=True))
    assert len(outlook.queues.syncs) == 4


def test_a_word_that_cannot_be_handed_on_is_asked_for_when_it_comes_again(outlook, monkeypatch):
    def refuse(*_, **__):
        raise RetryLaterError(ErrorCode.STORE_THROTTLED)

    for first in (False, True):
        if first:
            outlook.hear(outlook.word())
        with monkeypatch.context() as refusing:
            refusing.setattr(outlook.queues, "send_syncs", refuse)
            with pytest.raises(RetryLaterError):
                outlook.hear(outlook.word())
        assert outlook.hear(outlook.word()) == {WordFate.ASKED: 1}
        outlook.clock.advance(minutes=5)


def test_one_that_cannot_be_asked_for_holds_up_no_other(gmail, monkeypatch):
    send = gmail.queues.send_syncs

    def refuse_the_first(requests, **given):
        if requests[0].tenant_id == TENANT:
            raise RetryLaterError(ErrorCode.STORE_THROTTLED)
        send(requests, **given)

    monkeypatch.setattr(gmail.queues, "send_syncs", refuse_the_first)
    with pytest.raises(RetryLaterError):
        gmail.hear(Notice("ann@ours.example"))
    assert [one.tenant_id for one in gmail.queues.syncs] == [OTHER_TENANT]


def test_words_at_the_same_time_ask_for_two_runs_at_most(outlook):
    together = threading.Barrier(8)

    def speak(_):
        together.wait()
        return outlook.hear(outlook.word())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(speak, range(8)))
    assert 1 <= len(outlook.queues.syncs) <= 2


def test_after_a_disconnect_its_words_find_nobody(outlook):
    box = outlook.boxes[0]
    outlook.mailboxes.disconnect(box.tenant_id, box.id, identity_of(box))
    outlook.store.forget(box, key_of_mailbox(box))
    assert outlook.hear(outlook.word()) == {WordFate.UNKNOWN: 1}
    assert outlook.queues.syncs == []


def test_names_of_mailboxes_are_told_apart(outlook):
    one = a_mailbox(provider=Provider.OUTLOOK, tenant_id=TenantId("a"), id=MailboxId("b"))
    keys = {
        key_of_mailbox(one),
        key_of_mailbox(replace(one, id=MailboxId("c"))),
        key_of_mailbox(replace(one, tenant_id=TenantId("b"))),
    }
    assert len(keys) == 3
    # With a proof and a dot it fits into what Graph takes: 128 characters.
    assert all(len(key) == 32 and "." not in key for key in keys)
