"""What IMAP costs and promises beyond the contract of all providers: `test_provider_sync.py`.

Dovecot does what a client asks for; a client that asks for less sees an older server.
"""

from datetime import timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import FolderRole
from shared.domain.ids import ProviderMessageId
from shared.domain.message import Flags, MissingMessage
from shared.providers.imap import listing, login
from tests.contract.imap_world import NOW, World, mail

HIDDEN = {
    "qresync": frozenset(),
    "condstore": frozenset({b"QRESYNC"}),
    "plain": frozenset({b"QRESYNC", b"CONDSTORE", b"ESEARCH", b"SPECIAL-USE", b"ID"}),
}


@pytest.fixture(params=sorted(HIDDEN))
def world(request, mail_user, monkeypatch) -> World:
    hidden = HIDDEN[request.param]
    monkeypatch.setattr(login.Session, "can", lambda self, name: name in self.capabilities - hidden)
    return World(mail_user, request.param)


def uid(name) -> int:
    return int(name.rsplit(".", 1)[1])


def test_an_idle_look_is_one_round_trip_and_says_nothing_changed(world):
    for number in range(5):
        world.stored.deliver(mail(number))
    with world.session() as session:
        folders = session.folders()
        cursors = {one.id: session.baseline(one, now=world.now) for one in folders}
    seen, round_trips = world.look(cursors)
    assert seen.changed == frozenset()
    assert round_trips == 1
    assert {one.role for one in seen.folders} == {
        FolderRole.INBOX,
        FolderRole.SENT,
        FolderRole.DRAFTS,
        FolderRole.TRASH,
        FolderRole.SPAM,
        FolderRole.ARCHIVE,
    }


def test_login_and_idle_look_take_two_round_trips(world):
    cursor = world.baseline()
    with world.session() as session:
        session.look({world.folder().id: cursor}, lambda _one: True, now=world.now)
        assert session.round_trips == 2
        assert session.bytes_received < 3_000


def test_flags_have_a_version_where_the_server_numbers_changes(world):
    second = world.stored.deliver(mail(2))
    *_, cursor = world.sync(None)
    world.stored.set_flags([second], ["\\Seen", "\\Flagged", "\\Answered", "\\Draft"])
    _, flags, _, _ = world.sync(cursor)
    (changed,) = flags.values()
    assert (changed.seen, changed.flagged, changed.answered, changed.draft) == (True,) * 4
    assert (changed.version > 0) == (world.kind != "plain")


def test_a_deletion_is_told_without_asking_what_we_hold_only_by_qresync(world):
    uids = [world.stored.deliver(mail(number)) for number in range(4)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[1]])
    world.asked_for_known = 0
    world.sync(cursor)
    assert (world.asked_for_known == 0) == (world.kind == "qresync")


def test_what_only_arrived_is_told_without_asking_what_we_hold_by_condstore_too(world):
    world.stored.deliver(mail(0))
    *_, cursor = world.sync(None)
    world.stored.deliver(mail(1))
    world.asked_for_known = 0
    world.sync(cursor)
    assert (world.asked_for_known == 0) == (world.kind != "plain")


def test_a_renamed_folder_is_another_folder(world):
    world.stored.create_folder("Before")
    old = world.folder("Before")
    world.stored.rename_folder("Before", "After")
    new = world.folder("After")
    assert old.id != new.id
    with world.session() as session, pytest.raises(RetryLaterError) as caught:
        session.baseline(old, now=world.now)
    assert caught.value.code is ErrorCode.FOLDER_UNAVAILABLE
    with world.session() as session:
        name = ProviderMessageId("x.1.2")
        assert list(session.fetch(old, [name])) == [MissingMessage(name, "gone")]


NAMES = [
    "Größe & Maß",
    "日本語/フォルダー",
    'with "quotes"',
    "back\\slash",
    "two  spaces ",
    "100%*stars",
    "per.cent",
    "(parens) {5}",
    "A&-B",
    "emoji 😀",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_folder_name_round_trips(world, name):
    world.stored.create_folder(name)
    delivered = world.stored.deliver(mail(1), name)
    cursor = world.baseline(name)
    second = world.stored.deliver(mail(2), name)
    folder = world.folder(name)
    assert folder.id in world.look({folder.id: cursor})[0].changed
    added, *_ = world.sync(cursor, name)
    assert [uid(one) for one in added] == [second]
    *_, cursor = world.sync(None, name)
    assert world.uids() == [delivered, second]
    assert world.look({folder.id: cursor})[0].changed == frozenset()


def test_windows_of_uids_lose_nothing(world, monkeypatch):
    monkeypatch.setattr(listing, "FIRST_WINDOW", 3)
    uids = [world.stored.deliver(mail(number)) for number in range(11)]
    world.stored.expunge(uids[4:7])
    left = [one for one in uids if one not in uids[4:7]]
    added, *_, cursor = world.sync(None, limit=4)
    assert [uid(name) for name in added] == left
    world.stored.expunge([left[0]])
    assert [uid(name) for name in world.sync(cursor)[2]] == [left[0]]


def test_a_folder_is_compared_whole_at_intervals(world):
    first = world.stored.deliver(mail(1))
    *_, cursor = world.sync(None)
    inbox = world.folder()
    assert world.look({inbox.id: cursor})[0].changed == frozenset()
    world.now = NOW + (timedelta(minutes=16) if world.kind == "plain" else timedelta(hours=25))
    assert world.look({inbox.id: cursor})[0].changed == {inbox.id}
    (name,) = world.held
    world.held[name] = Flags(seen=True)
    _, flags, _, cursor = world.sync(cursor)
    assert [uid(one) for one in flags] == [first]
    assert world.look({inbox.id: cursor})[0].changed == frozenset()


def test_a_reset_of_the_change_numbers_is_answered_by_a_whole_comparison(world):
    uids = [world.stored.deliver(mail(number)) for number in range(3)]
    *_, cursor = world.sync(None)
    world.stored.expunge([uids[1]])
    lying = Cursor(
        cursor.provider, cursor.version, cursor.position.replace('"modseq":', '"modseq":9999')
    )
    _, _, removed, _ = world.sync(lying)
    assert [uid(name) for name in removed] == [uids[1]]


def test_reading_changes_nothing_at_the_server(world):
    first = world.stored.deliver(mail(1, body="x" * 100_000))
    second = world.stored.deliver(mail(2))
    before = world.stored.flags()
    world.sync(None)
    assert world.stored.flags() == before == {first: frozenset(), second: frozenset()}
