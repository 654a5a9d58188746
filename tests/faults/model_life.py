"""What may happen in the life of a mailbox, each at any time: the rules of the model."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from shared.domain.mailbox import MailboxStatus, Provider
from shared.operations.start_backfill import BackfillAction
from tests.faults.model_checks import Always, is_at_rest, is_imported
from tests.faults.model_owners import is_own, owner_at
from tests.faults.model_provider import TROUBLES
from tests.faults.model_workers import WELL, Fate, Stop
from tests.faults.model_world import ModelWorld, small_and_seeded

PICK = st.integers(0, 60)
FATE = st.builds(
    Fate, st.sampled_from([*Stop, Stop.FREEZES]), st.integers(0, 8) | st.integers(0, 30)
)
EXTRA = st.sampled_from([""] * 6 + ["X-Test: unreadable\r\n", "X-Test: kills\r\n"])


class Happening:
    """One thing that happens."""

    def __init__(self, name: str, given: dict) -> None:
        self.name, self.given = name, given

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={self.given[name]!r}' for name in self.given)})"


HAPPENINGS: list[st.SearchStrategy[Happening]] = []


@st.composite
def _one(draw, name, given):
    """Draw in a function of its own, or Hypothesis would print how it was made."""
    return Happening(name, draw(st.fixed_dictionaries(given)))


def happens(often: int = 1, **given: st.SearchStrategy):
    """Let the method be one of what may happen, as often as others; given: its arguments.

    Rules of Hypothesis' own would be switched off, most of them, in most lives.
    """

    def noted(method):
        HAPPENINGS.extend([_one(method.__name__, given)] * often)
        return method

    return noted


class Life(RuleBasedStateMachine):
    """The life of one mailbox."""

    world: ModelWorld
    is_broken = False
    """A check has failed: what follows would only hide it."""

    @initialize(
        provider=st.sampled_from([*Provider]),
        days=st.sampled_from([0, 30, 30]),
        ages=st.lists(st.integers(0, 60), min_size=5, max_size=15),
        pick=PICK,
        fate=FATE,
        seed=st.integers(0, 3),
    )
    def it_is_connected(self, provider, days, ages, pick, fate, seed):
        self.ids = small_and_seeded(seed)
        self.ids.__enter__()
        self.world = ModelWorld(owner_at(provider))
        self.always = Always(self.world)
        for number, age in enumerate(ages):
            self.world.arrive(self.folder(pick + number), days_old=age + 0.5)
        self.world.begin(days, fate)

    def folder(self, pick):
        folders = self.world.owner.folders()
        return folders[pick % len(folders)].id

    def own_folder(self, pick):
        own = [one.id for one in self.world.owner.folders() if is_own(one)]
        return own[pick % len(own)] if own else None

    def message(self, pick):
        messages = sorted(self.world.owner.messages())
        return messages[pick % len(messages)] if messages else None

    def letter(self, pick):
        letters = self.world.post.visible()
        return letters[pick % len(letters)] if letters else None

    def is_known(self):
        return bool(self.world.world.mailboxes)

    # at the provider

    @happens(
        4,
        pick=PICK,
        count=st.integers(1, 5),
        age=st.sampled_from([0, 0, 0, 0.01, 5, 29, 45, 100]),
        extra=EXTRA,
        again=st.booleans(),
        also=st.none() | PICK,
    )
    def mail_arrives(self, pick, count, age, extra, again, also):
        label = None if also is None else self.folder(also)
        for number in range(count):
            self.world.arrive(
                self.folder(pick + number), days_old=age, extra=extra, again=again, label=label
            )

    @happens(2, pick=PICK, to=PICK, count=st.integers(1, 3))
    def mail_is_moved(self, pick, to, count):
        for _ in range(count):
            if name := self.message(pick):
                self.world.move(name, self.folder(to))

    @happens(2, pick=PICK, to=PICK, seen=st.booleans(), flagged=st.booleans())
    def mail_is_marked(self, pick, to, seen, flagged):
        if name := self.message(pick):
            self.world.owner.mark(name, seen=seen, flagged=flagged)
            if self.world.owner.provider is Provider.GMAIL:
                self.world.owner.add_label(name, self.folder(to))

    @happens(1, pick=PICK, count=st.integers(1, 4))
    def mail_is_deleted(self, pick, count):
        for _ in range(count):
            if name := self.message(pick):
                self.world.owner.delete(name)

    @happens(
        what=st.sampled_from(["is made", "is renamed", "is deleted", "is forgotten"]), pick=PICK
    )
    def a_folder_changes(self, what, pick):
        owner, own = self.world.owner, self.own_folder(pick)
        if what == "is forgotten":
            owner.forget(self.folder(pick))
        elif what == "is made" or own is None:
            owner.create_folder(f"Deals {pick % 3}")
        elif what == "is renamed":
            self.world.rename(own)
        else:
            owner.delete_folder(own)

    @happens(
        2,
        what=st.sampled_from([*TROUBLES, "a message fails", "messages heal"]),
        after=st.integers(0, 8),
        pick=PICK,
    )
    def trouble_comes(self, what, after, pick):
        failing = self.world.owner.server.failing
        if what in TROUBLES:
            self.world.provider.trouble(what, after)
        elif what == "messages heal":
            failing.clear()
        elif name := self.message(pick):
            failing.add(name)
            self.world.failed.add(name)

    # people

    @happens(picks=st.none() | st.lists(PICK, max_size=3), fate=FATE)
    def folders_are_chosen(self, picks, fate):
        if not self.is_known():
            return
        chosen = None if picks is None else tuple({self.folder(one): None for one in picks})
        self.world.choose(chosen, fate)

    @happens(
        2,
        what=st.sampled_from(["begin", "sync", *BackfillAction]),
        days=st.sampled_from([7, 30, 60]),
        fate=FATE,
    )
    def somebody_asks(self, what, days, fate):
        if not self.is_known():
            return
        if what == "begin":
            self.world.import_days(days, fate)
        elif what == "sync":
            self.world.ask_for_sync(fate)
        else:
            self.world.change_import(what, fate)

    @happens(what=st.sampled_from(["again", "again", "again", "ends", "is revoked"]), fate=FATE)
    def the_login_changes(self, what, fate):
        if not self.is_known():
            return
        if what == "is revoked":
            self.world.revoke()
        elif what == "ends":
            self.world.end(fate)
        elif self.world.box.status is not MailboxStatus.CONNECTING:
            self.world.begin_again(fate)

    # our functions

    @happens(4, picks=st.lists(PICK, min_size=1, max_size=4), fate=FATE)
    def work_is_delivered(self, picks, fate):
        for pick in picks:
            if letter := self.letter(pick):
                self.world.deliver(letter, fate)
                fate = WELL

    @happens(4, minutes=st.integers(1, 8), at=st.integers(0, 8), fate=FATE)
    def minutes_pass(self, minutes, at, fate):
        for minute in range(minutes):
            self.world.clock.advance(minutes=1)
            self.world.schedule()
            self.world.sweep()
            for letter in self.world.post.visible():
                self.world.deliver(letter, fate if minute >= at else WELL)
                fate = WELL if minute >= at else fate

    @happens(what=st.sampled_from(["schedule", "sweep"]), fate=FATE)
    def a_tick_comes(self, what, fate):
        self.world.schedule(fate) if what == "schedule" else self.world.sweep(fate)

    @happens(3, picks=st.lists(PICK, min_size=1, max_size=3), again=st.booleans(), fate=FATE)
    def the_provider_tells(self, picks, again, fate):
        for pick in picks:
            self.world.hear(pick, again=again, fate=fate)
            fate = WELL

    @happens(pick=PICK)
    def words_are_lost(self, pick):
        if self.world.words:
            self.world.words.pop(pick % len(self.world.words))

    @happens(pick=PICK)
    def work_comes_twice(self, pick):
        if letter := self.letter(pick):
            self.world.post.double(letter)

    @happens(3, pick=PICK, dies=st.booleans(), fate=FATE)
    def a_frozen_worker_moves(self, pick, dies, fate):
        if not self.world.frozen:
            return
        if dies:
            self.world.kill(pick)
        else:
            self.world.resume(pick, fate)

    @happens(seconds=st.sampled_from([-2, 20, 200, 400, 2_000, 30_000]))
    def the_clock_steps(self, seconds):
        self.world.clock.at += timedelta(seconds=seconds)

    # what holds

    @invariant()
    def nothing_goes_back(self):
        self._is_checked(self.always.check)

    @happens(finish=st.booleans())
    def all_comes_to_rest(self, finish):
        self._is_checked(lambda: self._rest(finish))

    @rule(happening=st.one_of(HAPPENINGS))
    def step(self, happening):
        getattr(self, happening.name)(**happening.given)
        self.world.listen()

    def _is_checked(self, check):
        self.is_broken = True
        check()
        self.is_broken = False

    def _rest(self, finish):
        world = self.world
        world.rest(finish=finish)
        is_at_rest(world)
        if not is_imported(world):
            world.import_whole()
            world.rest(finish=True)
            is_at_rest(world)
        world.arrived.clear()
        world.has_rested = True

    def teardown(self):
        if not hasattr(self, "world"):
            return
        try:
            if not self.is_broken:
                self._rest(finish=True)
        finally:
            for work in self.world.frozen:
                work.worker.end()
            self.ids.__exit__(None, None, None)
