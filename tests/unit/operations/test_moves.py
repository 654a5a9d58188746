"""What sync writes of providers whose ids survive a move, and of those that have labels."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import permutations

import pytest

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder, FolderRole, scope_of
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mailbox import FolderState, Provider
from shared.domain.message import FetchedMessage, Flags
from shared.domain.run import RunReason
from shared.ports.provider import ChangePage, Look
from shared.ports.queues import SyncRequest
from tests.fakes.provider import FakeMailServer
from tests.unit.operations.machine import Machine

ALL = Folder(FolderId("all"), "All mail", FolderRole.ALL, selectable=False)
INBOX = Folder(FolderId("INBOX"), "Inbox", FolderRole.INBOX)
SENT = Folder(FolderId("SENT"), "Sent", FolderRole.SENT)
TRASH = Folder(FolderId("TRASH"), "Trash", FolderRole.TRASH)
DEALS = Folder(FolderId("Label_1"), "Deals", FolderRole.OTHER)
ONE = ProviderMessageId("18c1")
RAW = b"From: ann@customer.example\r\nTo: ada@acme.example\r\nSubject: 1\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"


@dataclass
class Told:
    """A provider that tells just what a test wrote down for it."""

    folders: tuple[Folder, ...]
    followed: tuple[Folder, ...]
    pages: dict[FolderId, ChangePage] = field(default_factory=dict)
    at: dict[ProviderMessageId, frozenset[FolderId]] = field(default_factory=dict)
    received_at: object = None
    fetched: list[ProviderMessageId] = field(default_factory=list)
    asked_for: list = field(default_factory=list)
    followed_from: list = field(default_factory=list)

    @contextmanager
    def open(self, grant, *, seconds=None):
        yield self

    def is_settled(self, cursor):
        return True

    def look(self, cursors, is_active, *, folders=(), last_look_at=None, now):
        return Look(
            self.folders,
            frozenset(one.id for one in self.followed),
            frozenset(self.pages),
        )

    def changes(self, folder, cursor, known, *, since, limit, now):
        self.followed_from.append(cursor and cursor.position)
        self.asked_for.append((set(known.in_folder()), set(known.of([ONE]))))
        return self.pages[folder.id]

    def fetch(self, folder, ids):
        for name in ids:
            self.fetched.append(name)
            places = self.at.get(name)
            yield FetchedMessage(
                name, self.received_at, 9, Flags(version=1), raw=RAW, folder_ids=places
            )


def page(*, added=(), removed=(), placed=None, flags=None, number=1):
    return ChangePage(
        tuple(added),
        flags or {},
        tuple(removed),
        Cursor("told", 1, str(number)),
        placed={name: frozenset(one.id for one in to) for name, to in (placed or {}).items()},
    )


class Mailbox:
    """One mailbox at such a provider, connected, and what we hold of it."""

    def __init__(self, provider, folders, followed, chosen=None):
        self.machine = Machine(FakeMailServer.with_folders("INBOX"))
        box = self.machine.connect(days=0)
        self.machine.drain()
        world, place = self.machine.world, (box.tenant_id, box.id)
        self.place = place
        world.mailboxes[place] = replace(
            world.mailboxes[place], provider=provider, active_folders=chosen
        )
        world.folders[place] = {
            one.id: FolderState(one, "told:1:0", scope=scope_of(chosen)) for one in followed
        }
        self.told = Told(folders, followed, received_at=self.machine.clock.now())
        self.machine.server = self.told

    def sync(self, **pages):
        names = {one.name.lower().replace(" ", "_"): one.id for one in self.told.folders}
        self.told.pages = {names[name]: told for name, told in pages.items()}
        report = self.machine.sync(SyncRequest(*self.place, RunReason.SCHEDULE))
        assert report.kind == "done", report
        return report.run.counts

    @property
    def copy(self):
        return self.machine.world.copies[self.place][ONE]

    @property
    def message(self):
        return self.machine.world.messages[self.place[0], self.copy.message_id]


def outlook(*, chosen=None):
    return Mailbox(Provider.OUTLOOK, (INBOX, DEALS, TRASH), (INBOX, DEALS), chosen)


def gmail(*, chosen=None):
    return Mailbox(Provider.GMAIL, (ALL, INBOX, SENT, TRASH, DEALS), (ALL,), chosen)


# ---- ids that survive a move ----


@pytest.mark.parametrize("order", list(permutations(["inbox", "deals"])))
def test_a_move_told_by_two_folders_moves_one_copy_in_either_order(order):
    box = outlook()
    assert box.sync(inbox=page(added=[ONE])).stored == 1
    halves = {
        "inbox": page(removed=[ONE], number=2),
        "deals": page(placed={ONE: [DEALS]}, flags={ONE: Flags(seen=True, version=5)}, number=2),
    }
    counts = [box.sync(**{name: halves[name]}) for name in order]
    assert (box.copy.folder_ids, box.copy.removed_at) == ({DEALS.id}, None)
    assert box.copy.flags == Flags(seen=True, version=5)
    assert sum(one.moved for one in counts) == 1
    assert box.told.fetched == [ONE]


def test_what_one_folder_lost_and_none_has_is_removed_and_its_message_stays():
    box = outlook()
    box.sync(inbox=page(added=[ONE]))
    assert box.sync(inbox=page(removed=[ONE], number=2)).removed == 1
    assert box.copy.removed_at == box.machine.clock.now()
    assert box.message.subject == "1"


def test_an_adapter_is_told_the_folders_own_copies_and_any_copy_by_its_id():
    box = outlook()
    box.sync(inbox=page(added=[ONE]))
    box.told.asked_for.clear()
    box.sync(inbox=page(number=2), deals=page(number=2))
    assert box.told.asked_for == [({ONE}, {ONE}), (set(), {ONE})]


# ---- labels ----


def test_a_message_with_labels_is_one_copy_that_is_in_each_of_them():
    box = gmail()
    box.told.at[ONE] = frozenset({SENT.id, DEALS.id})
    assert box.sync(all_mail=page(added=[ONE])).stored == 1
    assert box.copy.folder_ids == {SENT.id, DEALS.id}
    assert box.message.direction == "outbound"
    assert box.sync(all_mail=page(placed={ONE: [SENT]}, number=2)).moved == 1
    assert box.copy.folder_ids == {SENT.id}


def test_what_is_in_no_folder_any_more_is_removed():
    box = gmail()
    box.told.at[ONE] = frozenset({INBOX.id})
    box.sync(all_mail=page(added=[ONE]))
    assert box.sync(all_mail=page(placed={ONE: []}, number=2)).removed == 1
    assert box.copy.removed_at is not None
    assert box.sync(all_mail=page(placed={ONE: [INBOX]}, number=3)).moved == 1
    assert box.copy.removed_at is None
    assert box.told.fetched == [ONE]


@pytest.mark.parametrize(
    ("places", "chosen", "stored"),
    [
        ([TRASH], None, False),
        ([INBOX, DEALS], None, True),
        ([INBOX, DEALS], (DEALS.id,), True),
        ([INBOX], (DEALS.id,), False),
        ([Folder(FolderId("Label_new"), "New", FolderRole.OTHER)], None, True),
        ([Folder(FolderId("Label_new"), "New", FolderRole.OTHER)], (DEALS.id,), False),
    ],
)
def test_only_what_is_in_an_active_folder_is_kept_and_the_rest_is_accounted_for(
    places, chosen, stored
):
    box = gmail(chosen=chosen)
    box.told.at[ONE] = frozenset(one.id for one in places)
    counts = box.sync(all_mail=page(added=[ONE]))
    assert counts.stored == stored
    assert dict(counts.skipped) == ({} if stored else {"folder_not_active": 1})
    assert counts.balances


def test_what_arrives_with_an_old_date_stays_at_the_provider():
    box = gmail()
    box.told.received_at = box.machine.clock.now().replace(year=2020)
    assert dict(box.sync(all_mail=page(added=[ONE])).skipped) == {"before_history": 1}


@pytest.mark.parametrize("chosen", [(DEALS.id,), (INBOX.id, DEALS.id, TRASH.id)])
def test_another_choice_of_labels_has_the_mailbox_compared_once(chosen):
    box = gmail()
    box.sync(all_mail=page(number=1))
    boxes = box.machine.world.mailboxes
    boxes[box.place] = replace(boxes[box.place], active_folders=chosen)
    for number in (2, 3, 4):
        box.sync(all_mail=page(number=number))
    boxes[box.place] = replace(boxes[box.place], active_folders=tuple(reversed(chosen)))
    box.sync(all_mail=page(number=5))
    assert box.told.followed_from == ["0", None, "3", "4"]


def test_a_choice_taken_back_has_the_mailbox_compared_too():
    """A run under it may have begun to remove copies, and died."""
    box = gmail()
    box.sync(all_mail=page(number=1))
    boxes = box.machine.world.mailboxes
    boxes[box.place] = replace(boxes[box.place], active_folders=(DEALS.id,))
    box.sync(all_mail=page(number=2))
    assert [one.reason for one in box.machine.queues.take_syncs()] == [RunReason.CONTINUED]
    boxes[box.place] = replace(boxes[box.place], active_folders=None)
    box.sync(all_mail=page(number=3))
    assert box.told.followed_from == ["0", None]


def test_another_choice_of_folders_has_no_other_folder_compared():
    box = outlook()
    box.sync(inbox=page(number=1))
    boxes = box.machine.world.mailboxes
    boxes[box.place] = replace(boxes[box.place], active_folders=(INBOX.id,))
    box.sync(inbox=page(number=2))
    assert box.told.followed_from == ["0", "1"]


def test_a_label_that_is_deleted_takes_no_message_with_it():
    box = gmail()
    box.told.at[ONE] = frozenset({INBOX.id, DEALS.id})
    box.sync(all_mail=page(added=[ONE]))
    box.told.folders = (ALL, INBOX, SENT, TRASH)
    assert box.sync(all_mail=page(number=2)).removed == 0
    assert box.copy.removed_at is None
