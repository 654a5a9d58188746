"""Import and sync of a Gmail mailbox by the operations themselves, against the simulator's own store."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind
from shared.domain.mailbox import Provider
from shared.providers.gmail.session import GmailSession
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW
from tests.fakes.stores import InMemoryMessageStore

PLACES = ["INBOX", "SENT", "Deals", "SPAM", "TRASH", "DRAFT"]
AWAY = {"SPAM", "TRASH", "DRAFT"}
FAULTS = [
    None,
    None,
    ("history_404", {}),
    ("history_duplicated", {}),
    ("history_reordered", {}),
    ("backend_error", {"times": 3}),
    ("rate_limit_429", {"times": 2}),
    ("rate_limit_403", {"times": 20}),
    ("invalid_credentials_401", {}),
    ("batch_parts_missing", {}),
    ("batch_without_content_ids", {}),
    ("cut_body", {}),
    ("html", {"route": "messages|history"}),
    ("delete_on_get", {}),
    ("trash_on_get", {}),
    ("move_on_get", {}),
]


class Imported(Operated):
    """A mailbox that is connected and imported."""

    def __init__(self, gmail, *, days=30) -> None:
        super().__init__(gmail, Provider.GMAIL, days=days)
        self.machine.drain()

    def poll(self):
        self.there.simulator.clock.advance(300)
        return super().poll()

    def settle(self):
        """Poll until nothing is left to do, whatever had to be waited for."""
        self.there.simulator.faults.clear()
        for _ in range(8):
            self.machine.clock.advance(minutes=90)
            if self.poll().kind == "idle":
                return
        raise AssertionError("never idle")

    def theirs(self, *, since=None):
        """The same, as the simulator has it: of what is synced by default, from a date on."""
        received = {one.id: one.received_at for one in self.there.theirs.mailbox.messages()}
        return {
            name: set(folders)
            for name, folders in self.there.truth().items()
            if not folders & AWAY and (since is None or received[name] >= since)
        }


@pytest.fixture
def filled(gmail):
    gmail.theirs.create_folder("Deals")
    for number in range(60):
        received_at = NOW - timedelta(days=number, minutes=number)
        gmail.theirs.deliver(number, folder=PLACES[number % 6], received_at=received_at)
    return gmail


def test_a_mailbox_is_imported_from_its_date_floor_on_each_message_once(filled):
    imported = Imported(filled)
    assert imported.held == imported.theirs(since=NOW - timedelta(days=30))
    assert len({one.message_id for one in imported.live.values()}) == len(imported.held) == 15
    gets = filled.simulator.log.entries(route="messages.get")
    assert len(gets) <= 30
    filled.simulator.log.clear()
    assert imported.poll().kind == "idle"
    routes = [one.route for one in filled.simulator.log.entries()]
    # Each hour the labels too, and the tests' clock starts at any minute of one.
    assert routes in (["history.list"], ["history.list", "labels.list"])


@pytest.mark.parametrize("seed", range(8))
def test_what_the_owner_does_is_followed_to_the_same_end_through_faults(filled, seed):
    print("seed", seed)
    rng = random.Random(seed)
    imported = Imported(filled, days=90)
    mail, number = filled.theirs.mailbox, 100
    for _ in range(12):
        for _ in range(rng.randint(1, 6)):
            name = rng.choice([one.id for one in mail.messages()])
            match rng.choice(["deliver", "deliver", "move", "move", "archive", "flag", "delete"]):
                case "deliver":
                    number += 1
                    filled.theirs.deliver(number, folder=rng.choice(PLACES))
                case "move":
                    mail.move(name, rng.choice(PLACES))
                case "archive":
                    mail.move(name, "")
                case "flag":
                    mail.set_flags(name, seen=rng.random() < 0.5, flagged=rng.random() < 0.5)
                case "delete":
                    mail.delete(name)
        if fault := rng.choice(FAULTS):
            filled.simulator.faults.arm(fault[0], after=rng.randint(0, 3), **fault[1])
        imported.poll()
        filled.simulator.faults.clear()
        if rng.random() < 0.3:
            imported.machine.clock.advance(minutes=90)
    imported.settle()
    assert imported.held == imported.theirs()
    messages = [one.message_id for one in imported.live.values()]
    assert len(messages) == len(set(messages))
    for one in mail.messages():
        if one.id in imported.held:
            flags = imported.live[one.id].flags
            assert (flags.seen, flags.flagged) == (one.seen, "STARRED" in one.folders)


def test_a_token_that_ends_and_a_quota_that_is_used_up_amid_an_import_lose_nothing(gmail):
    gmail.simulator.limits.user_units = 1_000
    for number in range(140):
        gmail.theirs.deliver(number, received_at=NOW - timedelta(hours=number))
    gmail.simulator.clock.advance(3_590)
    imported = Imported(gmail)
    imported.settle()
    assert imported.held == imported.theirs()
    assert len(imported.held) == 140


def test_a_label_that_is_deleted_leaves_its_messages_in_the_archive(filled):
    imported = Imported(filled, days=90)
    before = set(imported.held)
    filled.theirs.mailbox.delete_folder("Deals")
    imported.settle()
    assert set(imported.held) == before
    assert imported.held == imported.theirs()
    assert {"archive"} in imported.held.values()


def test_a_label_chosen_later_brings_in_the_mail_it_has_had_all_along(filled):
    imported = Imported(filled, days=0)
    boxes = imported.machine.world.mailboxes
    boxes[imported.place] = replace(
        boxes[imported.place], history_from=NOW - timedelta(days=90), active_folders=("INBOX",)
    )
    imported.settle()
    here = imported.theirs()
    assert imported.held == {name: at for name, at in here.items() if "INBOX" in at}
    names = filled.theirs.mailbox.folders()
    deals = next(one for one, name in names.items() if name == "Deals")
    boxes[imported.place] = replace(boxes[imported.place], active_folders=("INBOX", deals))
    imported.settle()
    assert imported.held == {name: at for name, at in here.items() if at & {"INBOX", deals}}


def test_archived_mail_that_nobody_chose_is_neither_fetched_nor_missed(filled):
    imported = Imported(filled, days=0)
    chosen = tuple(one.id for one in filled.folders().values() if one.id not in {"all", "archive"})
    boxes = imported.machine.world.mailboxes
    boxes[imported.place] = replace(boxes[imported.place], active_folders=chosen)
    archived = {name for name, at in imported.theirs().items() if "INBOX" in at}
    for name in archived:
        filled.theirs.mailbox.move(name, "")
    imported.settle()
    filled.simulator.log.clear()
    imported.extend(90)
    wanted = {name for name, at in filled.truth().items() if at & set(chosen)}
    assert set(imported.held) == wanted
    assert len(filled.simulator.log.entries(route="messages.get")) == len(wanted)
    assert {audit.missing for audit in imported.walk()} == {0}
    kinds = [one.kind for one in imported.machine.world.backfills[imported.place].values()]
    assert kinds == [BackfillKind.IMPORT]


def test_what_sync_writes_while_an_audit_mends_a_copy_is_the_last_word(filled, monkeypatch):
    imported = Imported(filled, days=90)
    in_inbox = {name for name, at in imported.held.items() if at == {"INBOX"}}
    one = max(in_inbox, key=lambda name: imported.live[name].received_at)
    # Ours lies elsewhere and nobody told: the provider lists it nowhere, and hands it over.
    imported.copies[one] = replace(imported.copies[one], folder_ids=frozenset({"SENT"}))
    listed, place = GmailSession.list_window, InMemoryMessageStore.place_copies

    def forgetful(session, *given, **named):
        return tuple(name for name in listed(session, *given, **named) if name != one)

    def sync_first(store, fence, placed, **named):
        monkeypatch.setattr(InMemoryMessageStore, "place_copies", place)
        assert placed == {one: {"INBOX"}}
        filled.theirs.mailbox.move(one, "Deals")
        assert imported.poll().kind == "done"
        return place(store, fence, placed, **named)

    monkeypatch.setattr(GmailSession, "list_window", forgetful)
    monkeypatch.setattr(InMemoryMessageStore, "place_copies", sync_first)
    audit = imported.audit()
    assert (audit.extra, audit.mended) == (1, 0)
    assert imported.held == imported.theirs()
