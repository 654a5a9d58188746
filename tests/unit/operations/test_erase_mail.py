"""In which order an erasure is carried out, and that `done` is said of what is done alone."""

from dataclasses import dataclass, field, replace

import pytest

from shared.domain.erasure import SETTLE_SECONDS, Erased, ErasureState
from shared.domain.ids import ErasureId, MailboxId, TenantId
from shared.domain.secret import Secret
from shared.operations.erase_mail import MARGIN_SECONDS, ErasePorts, erase_mail
from shared.ports.queues import EraseRequest
from tests.fakes.clock import FixedClock
from tests.fakes.erasures import InMemoryErasureStore, InMemoryMailEraser
from tests.fakes.mail import add_contact, add_mailbox, message_of, store
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.stores import World
from tests.fakes.values import a_person, an_erasure

ACME, ANN = TenantId("acme"), MailboxId("ANN")
CLEO = "cleo@client.example"


@dataclass
class Scene:
    """A tenant with mail, and one worker that erases."""

    world: World = field(default_factory=World)
    clock: FixedClock = field(default_factory=FixedClock)
    queues: RecordingWorkQueues = field(default_factory=RecordingWorkQueues)
    secrets: InMemorySecretStore = field(default_factory=InMemorySecretStore)
    seconds: list[float] = field(default_factory=list)
    """What remains, each time it is asked; the last for ever."""

    def __post_init__(self):
        self.erasures = InMemoryErasureStore(self.world)
        self.eraser = InMemoryMailEraser(self.world)
        self.box = add_mailbox(self.world, "ANN")
        for number in range(7):
            store(self.world, self.box, message_of(f"{number}", minutes=number))
        store(self.world, self.box, message_of("of bob", sender="bob@client.example"))

    def begin(self, erasure):
        now = self.clock.now()
        self.erasure = replace(
            erasure, tenant_id=ACME, requested_at=now, settles_at=self.clock.advance(SETTLE_SECONDS)
        )
        self.world.erasures[ACME, erasure.id] = self.erasure
        return self.erasure

    def person(self):
        add_contact(self.world, "c1", CLEO)
        return self.begin(a_person(CLEO))

    def mailbox(self):
        box = (ACME, ANN)
        del self.world.mailboxes[box], self.world.run_states[box]
        return self.begin(an_erasure(mailbox_id=ANN))

    def work(self, erasure_id=None):
        def remaining():
            return self.seconds.pop(0) if len(self.seconds) > 1 else (self.seconds or [60.0])[0]

        request = EraseRequest(ACME, erasure_id or self.erasure.id)
        ports = ErasePorts(
            erasures=self.erasures,
            eraser=self.eraser,
            secrets=self.secrets,
            queues=self.queues,
            clock=self.clock,
            remaining_seconds=remaining,
        )
        return erase_mail(request, ports=ports)

    @property
    def stands(self):
        return self.world.erasures[ACME, self.erasure.id]

    def subjects(self):
        return sorted(message.internet_message_id for message in self.world.messages.values())


@pytest.fixture
def scene():
    return Scene()


def test_a_person_is_erased_to_the_end(scene):
    scene.person()
    report = scene.work()
    assert report.kind == "done"
    assert report.erasure == scene.stands
    assert scene.stands.state is ErasureState.DONE
    assert scene.stands.done_at == scene.clock.now()
    assert scene.stands.erased == Erased(messages=7, copies=7, contacts=1)
    assert scene.stands.addresses == ()
    assert scene.subjects() == ["<of bob@client.example>"]
    assert scene.world.contacts == {}
    assert scene.queues.erasures == []


def test_a_mailbox_is_erased_to_the_end_with_a_login_that_was_left(scene):
    scene.mailbox()
    scene.secrets.put(ACME, ANN, Secret("not-a-real-one"))
    assert scene.work().kind == "done"
    assert scene.secrets.secrets == {}
    assert scene.world.messages == {}
    assert scene.world.folders == {}


def test_a_person_costs_no_mailbox_its_login(scene):
    scene.person()
    scene.secrets.put(ACME, ANN, Secret("not-a-real-one"))
    scene.work()
    assert len(scene.secrets.secrets) == 1


def test_nothing_goes_before_late_workers_are_over(scene):
    scene.person()
    scene.clock.advance(-100)
    assert scene.work().kind == "waiting"
    assert len(scene.subjects()) == 8
    ((request, delay),) = scene.queues.take_erasures()
    assert (request, delay) == (EraseRequest(ACME, scene.erasure.id), 101)
    scene.clock.advance(delay)
    assert scene.work().kind == "done"


def test_a_wait_longer_than_a_queue_may_delay_is_waited_in_parts(scene):
    scene.person()
    scene.clock.advance(minutes=-60)
    scene.work()
    assert scene.queues.erasures[0][1] == 900


def test_short_of_time_it_is_carried_on_by_the_next(scene):
    scene.person()
    rounds = 0
    # The lease, one page, and no time for another.
    scene.seconds = [60.0, 60.0, MARGIN_SECONDS]
    while (report := scene.work()).kind == "continued":
        rounds += 1
        assert scene.queues.take_erasures() == [(EraseRequest(ACME, scene.erasure.id), 0)]
        assert scene.stands.state is ErasureState.RUNNING
        scene.seconds = [60.0, 60.0, MARGIN_SECONDS]
    assert report.kind == "done"
    assert rounds == 4, "three pages of mail, one of contacts; the last look ends it"
    assert scene.stands.erased == Erased(messages=7, copies=7, contacts=1)


def test_what_is_done_is_done(scene):
    scene.person()
    scene.work()
    receipt = scene.stands
    store(scene.world, scene.box, message_of("new"))
    assert scene.work().kind == "dropped"
    assert scene.stands == receipt
    assert len(scene.subjects()) == 2


def test_an_erasure_nobody_knows_is_dropped(scene):
    scene.person()
    assert scene.work(ErasureId("01NONE")).kind == "dropped"
    assert len(scene.subjects()) == 8


def test_one_worker_at_a_time(scene):
    scene.person()
    scene.erasures.take_erasure(scene.erasure, owner="you", now=scene.clock.now(), seconds=90)
    assert scene.work().kind == "dropped"
    assert len(scene.subjects()) == 8
    scene.clock.advance(91)
    assert scene.work().kind == "done"


class DiedError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("page", range(4))
@pytest.mark.parametrize("step", ["count_erased", "erase"])
def test_dying_anywhere_erases_all_and_counts_it_once(scene, monkeypatch, step, page, after):
    scene.person()
    calls = []
    of = InMemoryErasureStore if step == "count_erased" else InMemoryMailEraser
    real = getattr(of, step)

    def dying(*args, **kwargs):
        calls.append(args)
        if len(calls) - 1 != page:
            return real(*args, **kwargs)
        if after:
            real(*args, **kwargs)
        raise DiedError

    monkeypatch.setattr(of, step, dying)
    with pytest.raises(DiedError):
        scene.work()
    assert scene.stands.state is ErasureState.RUNNING
    # The queue delivers it again, later than a lease lasts.
    scene.clock.advance(minutes=30)
    assert scene.work().kind == "done"
    assert scene.stands.erased == Erased(messages=7, copies=7, contacts=1)
    assert scene.subjects() == ["<of bob@client.example>"]


def test_who_was_overtaken_deletes_nothing_more(scene, monkeypatch):
    scene.person()
    real = InMemoryErasureStore.count_erased

    def overtaken(self, *args):
        self.world.erasure_leases[scene.erasure.id] = ("you", scene.clock.advance(minutes=5))
        return real(self, *args)

    monkeypatch.setattr(InMemoryErasureStore, "count_erased", overtaken)
    assert scene.work().kind == "dropped"
    assert len(scene.subjects()) == 8


def test_a_queue_that_takes_nothing_has_the_request_delivered_again(scene):
    scene.person()
    scene.seconds = [60.0, 60.0, MARGIN_SECONDS]
    scene.queues.failure = RuntimeError("no queue")
    with pytest.raises(RuntimeError):
        scene.work()
    scene.queues.failure = None
    scene.seconds = []
    assert scene.work().kind == "done"
