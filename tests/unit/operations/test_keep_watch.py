"""How runs keep a watch, how far it is trusted, and that a run never fails for it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.connecting import Wishes
from shared.domain.errors import ConfigurationError, ErrorCode, RetryLaterError, StoreThrottledError
from shared.domain.ids import FolderId, RunId
from shared.domain.mail_server import ImapGrant
from shared.domain.mailbox import Provider, PushState
from shared.domain.push import WORD_TAKES, key_of_mailbox
from shared.domain.run import RunReason
from shared.domain.schedule import Cadence, cadence_of, next_run_at
from shared.operations.begin_mailbox import Account, BeginPorts, begin_life, begin_mailbox
from shared.operations.keep_watch import Watching
from shared.operations.receive_push import receive_push
from shared.ports.queues import SyncRequest
from tests.fakes.lasting_provider import LastingMailServer
from tests.fakes.push import PasswordsAsGrants, Telling
from tests.unit.operations.machine import (
    ADA,
    OWN_ADDRESS,
    TENANT,
    Killer,
    Machine,
    login,
    mail,
    no_sign_in,
)

INBOX = FolderId("INBOX")
DAY = timedelta(days=1)


class Pushed(Machine):
    """A mailbox in sync at a provider that tells of changes."""

    def __init__(self, provider, killer=None, *, watched=True):
        super().__init__(LastingMailServer(labels=provider is Provider.GMAIL), killer)
        self.post = self.server
        self.teller = Telling(self.post, provider, OWN_ADDRESS, self.clock)
        self.server = self.teller
        self.place = "projects/p/topics/mailroom"
        if watched:
            self.watching = Watching(
                self.push, lambda _box, _client: self.place, frozenset(Provider)
            )
        self.cadence = Cadence(least=1, pushed=30)
        self.grants = PasswordsAsGrants(self.secrets, no_sign_in, None, self.clock)
        ports = BeginPorts(self.mailboxes, self.backfills, self.secrets, self.queues, self.clock)
        account = Account(provider, OWN_ADDRESS)
        grant = ImapGrant(login(), login())
        begin_mailbox(ADA, account, Wishes(), grant, sync_minutes=5, ports=ports)
        self.queues.syncs.clear()

    @property
    def record(self):
        (box,) = self.world.mailboxes.values()
        return self.mailboxes.get(TENANT, box.id)

    @property
    def state(self):
        return self.record.run_state.push

    @property
    def every(self):
        return cadence_of(self.record.run_state.due_slot)

    def arrive(self, number):
        now = self.clock.now()
        self.post.deliver(INBOX, mail(number, now), now)

    def run(self, reason=RunReason.SCHEDULE, **given):
        return self.sync(SyncRequest(TENANT, self.record.mailbox.id, reason, **given))

    def speak(self):
        """Have the provider say what it has to, and whatever that asks for be done."""
        provider = self.record.mailbox.provider
        words = self.teller.words()
        receive_push(provider, words, store=self.push, queues=self.queues, clock=self.clock)
        self.work()
        return len(words)

    def work(self):
        while self.queues.syncs:
            delay = self.queues.sync_delays.pop(0)
            self.clock.advance(seconds=delay)
            self.sync(self.queues.syncs.pop(0))

    def heard(self):
        """Bring it to where it is relied on to be told."""
        self.run()
        self.arrive(1)
        self.speak()
        assert self.every == 30
        return self


@pytest.fixture(params=[Provider.GMAIL, Provider.OUTLOOK])
def pushed(request):
    return Pushed(request.param)


@pytest.fixture
def outlook():
    return Pushed(Provider.OUTLOOK)


@pytest.fixture
def gmail():
    return Pushed(Provider.GMAIL)


def test_the_first_run_has_the_provider_tell_and_polls_go_on_as_they_did(pushed):
    report = pushed.run()
    assert report.watch.error is None
    assert pushed.teller.calls == ["watch"]
    assert pushed.state.watch is not None
    assert pushed.every == 5
    pushed.run()
    assert pushed.teller.calls == ["watch"]


def test_with_nothing_set_up_nobody_is_asked():
    plain = Pushed(Provider.OUTLOOK, watched=False)
    plain.run()
    assert plain.teller.calls == []
    assert plain.state == PushState()


def test_without_a_place_nobody_is_asked_and_it_is_looked_again_within_the_hour(gmail):
    gmail.place = ""
    gmail.run()
    assert gmail.teller.calls == []
    gmail.place = "projects/p/topics/mailroom"
    gmail.run()
    assert gmail.teller.calls == []
    gmail.clock.advance(minutes=61)
    gmail.run()
    assert gmail.teller.calls == ["watch"]


def test_a_word_that_brings_a_run_is_trusted_and_polls_come_more_seldom(pushed):
    pushed.run()
    pushed.arrive(1)
    assert pushed.speak() == 1
    assert len(pushed.world.messages) == 1
    assert pushed.every == 30
    assert pushed.state.heard_at is not None


def test_gmails_first_word_proves_it_without_any_mail(gmail):
    gmail.run()
    assert gmail.speak() == 1
    assert gmail.reports[-1].kind == "idle"
    assert gmail.every == 30


def test_a_mailbox_that_wishes_to_be_polled_more_seldom_still_is(pushed):
    pushed.cadence = Cadence(pushed=2)
    pushed.run()
    pushed.arrive(1)
    pushed.speak()
    assert pushed.every == 5


def test_none_is_polled_more_often_than_the_operator_lets_it(pushed):
    pushed.cadence = Cadence(least=15)
    pushed.arrive(1)
    pushed.run()
    assert pushed.every == 15
    # Also where nothing is found: it had its slot before the bound.
    pushed.cadence = Cadence(least=60)
    pushed.run()
    assert pushed.reports[-1].kind == "idle"
    assert pushed.every == 60


def test_news_that_nobody_told_of_end_the_trust_at_once_and_make_a_new_watch(pushed):
    pushed.heard()
    pushed.arrive(2)
    pushed.clock.advance(minutes=30)
    assert pushed.run().told is False
    assert pushed.every == 5
    pushed.teller.calls.clear()
    pushed.run()
    # Gmail's takes the place of the one before, which may be somebody else's too.
    is_gmail = pushed.record.mailbox.provider is Provider.GMAIL
    assert pushed.teller.calls == (["watch"] if is_gmail else ["unwatch", "watch"])
    assert pushed.every == 5
    assert pushed.state.heard_at is None
    # And is trusted again once it speaks.
    pushed.arrive(3)
    pushed.speak()
    assert pushed.every == 30


def test_a_look_tells_of_the_fleet_whether_its_provider_tells(pushed):
    def look():
        return pushed.reports[-1].poll(pushed.clock.now())

    pushed.teller.refusal = RetryLaterError(ErrorCode.RATE_LIMITED)
    pushed.run()
    assert (look().watch_failed, look().untold) == (True, None)
    pushed.teller.refusal = None
    pushed.clock.advance(minutes=61)
    pushed.run()
    assert look().watch_failed is False
    pushed.arrive(1)
    pushed.speak()
    assert (look().watch_failed, look().untold) == (None, False)
    now = pushed.clock.now()
    due = next_run_at(pushed.record.mailbox.id, 30, now=now, not_before=None)
    pushed.clock.advance(seconds=(due - now).total_seconds())
    pushed.run()
    assert (look().untold, look().late) == (None, timedelta()), "in time, if more seldom"
    pushed.arrive(2)
    pushed.clock.advance(minutes=30)
    pushed.run()
    assert look().untold is True


def test_news_just_told_of_are_no_silence(pushed):
    pushed.heard()
    pushed.arrive(2)
    # Its word is on its way: the scheduled run is only quicker.
    pushed.clock.advance(seconds=WORD_TAKES.total_seconds() - 1)
    assert pushed.run().told is None
    assert pushed.every == 30


def test_news_that_have_only_just_come_are_no_silence(pushed):
    pushed.heard()
    pushed.clock.advance(minutes=30)
    pushed.arrive(2)
    pushed.clock.advance(seconds=1)
    assert pushed.run().told is None
    assert pushed.every == 30


def test_news_that_an_outage_delayed_are_no_silence(pushed):
    pushed.heard()
    pushed.arrive(2)
    pushed.clock.advance(minutes=10)
    pushed.post.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    assert pushed.run().kind == "failed"
    pushed.post.failure = None
    pushed.clock.advance(minutes=20)
    assert pushed.run().told is None
    assert len(pushed.world.messages) == 2
    assert pushed.every == 30


def test_what_a_person_finds_by_asking_shows_the_silence_too(pushed):
    pushed.heard()
    pushed.arrive(2)
    pushed.clock.advance(minutes=10)
    assert pushed.run(RunReason.REQUESTED).told is False
    assert pushed.every == 5


@pytest.mark.parametrize("is_gone", [False, True])
def test_what_a_watch_says_of_its_own_end_earns_no_trust(outlook, is_gone):
    outlook.run()
    if is_gone:
        outlook.teller.watches.clear()
    for number in (1, 2):
        report = outlook.run(RunReason.PUSH, watch_ends=True)
        assert (report.kind, outlook.every, outlook.state.heard_at) == ("idle", 5, None)
        outlook.arrive(number)
        outlook.run(RunReason.PUSH, watch_ends=True)
        assert (outlook.every, outlook.state.heard_at) == (5, None)
    outlook.arrive(3)
    outlook.speak()
    assert outlook.every == 30


def test_a_poll_that_finds_nothing_ends_no_trust(pushed):
    pushed.heard()
    pushed.clock.advance(minutes=90)
    assert pushed.run().kind == "idle"
    assert pushed.every == 30


def test_a_watch_that_is_over_is_not_relied_on(pushed):
    pushed.heard()
    pushed.teller.refusal = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    for _ in range(8):
        pushed.clock.advance(days=1)
        pushed.run()
    assert pushed.every == 5


@pytest.mark.parametrize(
    ("provider", "after", "calls"),
    [
        (Provider.GMAIL, DAY, ["extend", "watch"]),
        (Provider.OUTLOOK, 3 * DAY, ["extend"]),
    ],
)
def test_a_watch_is_renewed_by_half_its_life(provider, after, calls):
    pushed = Pushed(provider).heard()
    pushed.teller.calls.clear()
    before = pushed.state
    pushed.clock.advance(seconds=after.total_seconds() - 600)
    pushed.run()
    assert pushed.teller.calls == []
    for _ in range(4):
        # Quiet by then, it rests for up to two cycles.
        pushed.clock.advance(minutes=30)
        pushed.run()
    assert pushed.teller.calls == calls
    assert pushed.state.watch.expires_at > before.watch.expires_at
    assert pushed.state.heard_at == before.heard_at
    pushed.arrive(2)
    assert pushed.speak() == 1
    assert len(pushed.world.messages) == 2


def test_one_that_was_never_heard_of_is_made_anew_instead(outlook):
    outlook.run()
    outlook.clock.advance(days=3)
    outlook.run()
    assert outlook.teller.calls == ["watch", "unwatch", "watch"]


def test_one_that_is_over_is_made_anew_whatever_extending_it_would_say(outlook, monkeypatch):
    outlook.heard()
    with monkeypatch.context() as refusing:
        refusal = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
        refusing.setattr(outlook.teller, "refusal", refusal)
        for _ in range(7):
            outlook.clock.advance(days=1)
            outlook.run()
    outlook.teller.calls.clear()
    outlook.clock.advance(minutes=61)
    outlook.run()
    assert outlook.teller.calls == ["unwatch", "watch"]


def test_one_that_is_gone_is_made_anew(outlook):
    outlook.heard()
    outlook.teller.watches.clear()
    outlook.clock.advance(days=3)
    outlook.run()
    assert outlook.teller.calls == ["watch", "extend", "watch"]
    assert outlook.every == 5
    outlook.arrive(2)
    outlook.speak()
    assert outlook.every == 30


def test_a_lifecycle_word_renews_at_once(outlook):
    outlook.heard()
    (word, _), *_ = outlook.teller.watches.values()
    outlook.run(RunReason.PUSH, watch_ends=True)
    assert outlook.teller.calls == ["watch", "extend"]
    assert word.watch in outlook.teller.watches


def test_a_lifecycle_word_is_kept_where_the_run_may_not_begin(outlook):
    outlook.heard()
    outlook.post.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    outlook.run()
    outlook.post.failure = None
    outlook.teller.calls.clear()
    # The mailbox waits for its provider: the word is turned away.
    assert outlook.run(RunReason.PUSH, watch_ends=True).kind == "dropped"
    outlook.clock.advance(minutes=60)
    outlook.run()
    assert outlook.teller.calls == ["extend"]


@pytest.mark.parametrize(
    "refusal",
    [
        RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=5.0),
        ConfigurationError(ErrorCode.PROVIDER_API_DISABLED),
    ],
)
def test_a_provider_that_will_not_tell_fails_no_run_and_is_asked_once_an_hour(pushed, refusal):
    pushed.teller.refusal = refusal
    pushed.arrive(1)
    report = pushed.run()
    assert report.kind == "done"
    assert report.watch.error is refusal
    assert len(pushed.world.messages) == 1
    assert pushed.record.mailbox.inbound_error is None
    for _ in range(11):
        pushed.clock.advance(minutes=5)
        pushed.run()
    assert pushed.teller.calls == ["watch"]
    pushed.teller.refusal = None
    pushed.clock.advance(minutes=6)
    pushed.run()
    assert pushed.teller.calls == ["watch", "watch"]


def test_our_own_store_is_no_providers_fault(outlook, monkeypatch):
    def throttled(*_, **__):
        raise StoreThrottledError(cause="listen")

    monkeypatch.setattr(outlook.push.inner, "listen", throttled)
    with pytest.raises(StoreThrottledError):
        outlook.run()


def test_a_word_for_a_mailbox_at_work_is_said_again(outlook):
    box = outlook.record.mailbox
    outlook.run()
    outlook.mailboxes.take_lease(
        TENANT,
        box.id,
        generation=box.generation,
        owner="at work",
        now=outlook.clock.now(),
        seconds=100,
    )
    outlook.arrive(1)
    outlook.speak()
    assert [one.kind for one in outlook.reports[-5:]] == ["dropped"] * 4 + ["done"]
    assert len(outlook.world.messages) == 1


def test_a_word_amid_a_run_that_somebody_waits_for_is_not_lost(pushed, monkeypatch):
    pushed.heard()
    pushed.clock.advance(minutes=10)
    pushed.arrive(2)
    box = pushed.record.mailbox
    waited_for = pushed.mailboxes.request_run(TENANT, box.id, RunId("waited for"))
    finish = pushed.mailboxes.inner.finish_run

    def told_meanwhile(fence, outcome):
        monkeypatch.undo()
        pushed.arrive(3)
        provider, words = box.provider, pushed.teller.words()
        receive_push(provider, words, store=pushed.push, queues=pushed.queues, clock=pushed.clock)
        word, _ = pushed.queues.syncs.pop(0), pushed.queues.sync_delays.pop(0)
        assert pushed.sync(word).kind == "dropped"
        finish(fence, outcome)

    monkeypatch.setattr(pushed.mailboxes.inner, "finish_run", told_meanwhile)
    assert pushed.run(RunReason.REQUESTED, run_id=waited_for).kind == "done"
    assert len(pushed.world.messages) == 2
    pushed.work()
    assert len(pushed.world.messages) == 3


def test_words_that_piled_up_behind_a_long_queue_are_answered_by_one_run(outlook):
    outlook.heard()
    asked_at = outlook.clock.now()
    word = SyncRequest(TENANT, outlook.record.mailbox.id, RunReason.PUSH)
    outlook.clock.advance(minutes=4)
    outlook.arrive(2)
    # Whatever ended since may have begun before.
    assert outlook.sync(word, asked_at=asked_at).kind == "done"
    assert outlook.sync(word, asked_at=asked_at).kind == "dropped"
    assert outlook.sync(replace(word, watch_ends=True), asked_at=asked_at).kind == "idle"
    just_now = outlook.clock.now() - timedelta(seconds=100)
    assert outlook.sync(word, asked_at=just_now).kind == "idle"


def test_a_run_that_failed_is_made_good_by_its_own_cadence(pushed):
    pushed.heard()
    pushed.clock.advance(minutes=10)
    pushed.arrive(2)
    pushed.post.failure = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    pushed.speak()
    pushed.post.failure = None
    # Its word was said: nobody says it again.
    assert pushed.reports[-1].kind == "failed"
    assert pushed.every == 5
    pushed.clock.advance(minutes=5)
    assert pushed.run().kind == "done"
    assert len(pushed.world.messages) == 2
    assert pushed.every == 30, "and polls are as seldom as before"


def test_a_word_ends_the_rest_of_a_quiet_mailbox(pushed):
    pushed.heard()
    pushed.clock.advance(days=4)
    while pushed.record.run_state.not_before is None:
        # It rests in its turn, every second or third cycle.
        pushed.clock.advance(minutes=30)
        pushed.run()
    assert pushed.record.run_state.not_before > pushed.clock.now()
    assert pushed.run().kind == "dropped"
    pushed.arrive(2)
    pushed.speak()
    assert len(pushed.world.messages) == 2


def test_a_word_ends_no_backoff(outlook):
    outlook.heard()
    outlook.post.failure = RetryLaterError(ErrorCode.RATE_LIMITED, retry_after_seconds=600.0)
    outlook.run()
    outlook.post.failure = None
    assert outlook.run(RunReason.PUSH).kind == "dropped"


def test_disconnecting_has_the_provider_tell_no_longer(pushed):
    pushed.heard()
    box = pushed.record.mailbox
    pushed.teller.calls.clear()
    pushed.disconnect(box.id)
    assert pushed.teller.calls == ["unwatch"]
    assert pushed.state == PushState()
    assert pushed.push.listeners(box.provider, key_of_mailbox(box)) == []
    pushed.arrive(2)
    assert pushed.speak() == 0
    pushed.disconnect(box.id)
    assert pushed.teller.calls == ["unwatch"]


def another_has_the_address(gmail):
    box = gmail.record.mailbox
    (mine,) = gmail.push.listeners(box.provider, key_of_mailbox(box))
    other = (mine.tenant_id, "another mailbox")
    gmail.world.listeners[box.provider, mine.key][other] = mine.__class__(
        mine.provider, mine.key, *other
    )
    return box, mine


def test_gmails_watch_goes_on_where_another_of_that_address_makes_one_in_vain(gmail, monkeypatch):
    gmail.heard()
    another_has_the_address(gmail)
    gmail.arrive(2)
    gmail.clock.advance(minutes=30)
    assert gmail.run().told is False
    gmail.teller.refusal = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    assert gmail.run().watch.error is gmail.teller.refusal
    assert gmail.teller.watches


def test_gmails_watch_goes_on_for_another_where_it_is_made_too_late(gmail, monkeypatch):
    gmail.heard()
    another_has_the_address(gmail)
    watch = gmail.teller.watch

    def disconnected_meanwhile(target):
        monkeypatch.undo()
        gmail.disconnect(gmail.record.mailbox.id)
        return watch(target)

    monkeypatch.setattr(gmail.teller, "watch", disconnected_meanwhile)
    gmail.clock.advance(days=1, minutes=1)
    gmail.run()
    assert gmail.state.watch is None
    assert gmail.teller.watches


def test_gmails_watch_goes_on_while_another_has_the_address(gmail):
    gmail.heard()
    box, mine = another_has_the_address(gmail)
    gmail.teller.calls.clear()
    gmail.disconnect(box.id)
    assert gmail.teller.calls == []
    assert len(gmail.push.listeners(box.provider, mine.key)) == 1


def test_a_provider_that_is_down_does_not_keep_a_mailbox_connected(outlook):
    outlook.heard()
    box = outlook.record.mailbox
    outlook.teller.refusal = RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)
    outlook.disconnect(box.id)
    assert outlook.state == PushState()
    # It goes on telling, and nobody listens.
    outlook.arrive(2)
    before = len(outlook.reports)
    assert outlook.speak() == 1
    assert len(outlook.reports) == before


def test_a_run_that_is_late_ends_the_watch_it_made(outlook, monkeypatch):
    watch = outlook.teller.watch

    def disconnected_meanwhile(target):
        made = watch(target)
        monkeypatch.undo()
        outlook.disconnect(outlook.record.mailbox.id)
        return made

    monkeypatch.setattr(outlook.teller, "watch", disconnected_meanwhile)
    outlook.run()
    assert outlook.teller.watches == {}
    assert outlook.state.watch is None


def test_a_reconnected_mailbox_is_watched_by_its_new_sign_in(outlook):
    outlook.heard()
    record = outlook.record
    outlook.disconnect(record.mailbox.id)
    grant = ImapGrant(login(), login())
    begin_life(outlook.record.mailbox, grant, mailboxes=outlook.mailboxes, secrets=outlook.secrets)
    outlook.teller.calls.clear()
    outlook.run()
    assert outlook.teller.calls == ["watch"]
    assert outlook.every == 5


def test_dying_at_any_moment_of_making_a_watch_costs_an_hour_at_most():
    whole = Pushed(Provider.OUTLOOK)
    before = whole.killer.count
    whole.run()
    effects = whole.killer.count - before
    assert effects >= 3
    for at in range(effects):
        for after in (False, True):
            killer = Killer()
            pushed = Pushed(Provider.OUTLOOK, killer)
            killer.at, killer.after = killer.count + at, after
            with pytest.raises(BaseException, match=r"."):
                pushed.run()
            killer.at = None
            for _ in range(14):
                pushed.clock.advance(minutes=5)
                pushed.run()
            pushed.arrive(1)
            assert pushed.speak() >= 1
            assert len(pushed.world.messages) == 1
            assert pushed.every == 30
