"""The contract of `DeadLetterStore`, and what the table and S3 are left with."""

from dataclasses import replace
from urllib.parse import unquote_plus, urlsplit

import pytest

from shared.aws.attachment_store import PART_BYTES
from shared.domain.dead_letter import LetterKind, message_letter_id, work_letter_id
from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    StoreThrottledError,
    UnreadableMessageError,
)
from shared.domain.ids import BackfillId, RunId
from shared.domain.lease import Fence
from shared.ports.dead_letters import LetterPlace
from tests.fakes.backends import BUCKET
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    a_letter,
    connected,
    identity_of,
    later,
    name,
)


@pytest.fixture
def fence(stores) -> Fence:
    mailbox = connected(stores.mailboxes).mailbox
    return Fence(TENANT, BOX, mailbox.generation)


def test_a_letter_reads_back_as_it_was_noted(stores, fence):
    letter = a_letter(generation=fence.generation)
    assert stores.letters.note(fence, letter) == letter
    assert stores.letters.get_letter(TENANT, BOX, letter.id) == letter
    assert stores.letters.get_letter(TENANT, OTHER_BOX, letter.id) is None
    assert stores.letters.get_letter(OTHER_TENANT, BOX, letter.id) is None
    assert stores.letters.get_letters(TENANT, BOX, [letter.id, a_letter("2").id]) == {
        letter.id: letter
    }


def test_the_same_message_again_is_the_same_letter(stores, fence):
    first = stores.letters.note(fence, a_letter())
    stores.letters.note_raw(fence, first.id, size=7, missing=None)
    stores.letters.note_replay([first], at=later(5), replay_id=BackfillId("RP1"))
    again = a_letter(
        code=ErrorCode.KILLED_ITS_READER,
        first_seen_at=later(60),
        last_seen_at=later(60),
        run_id=RunId("R2"),
        received_at=None,
        size=None,
    )
    expected = replace(
        first,
        code=ErrorCode.KILLED_ITS_READER,
        last_seen_at=later(60),
        run_id=RunId("R2"),
        attempts=2,
        raw_size=7,
        replay_id=BackfillId("RP1"),
        replayed_at=later(5),
    )
    assert stores.letters.note(fence, again) == expected
    assert list(stores.letters.all_letters(TENANT, BOX)) == [expected]


def test_letters_of_work_are_told_apart_by_what_the_work_was(stores, fence):
    ids = {
        work_letter_id(LetterKind.SYNC),
        work_letter_id(LetterKind.PLAN, BackfillId("B1")),
        work_letter_id(LetterKind.CHUNK, BackfillId("B1"), 0),
        work_letter_id(LetterKind.CHUNK, BackfillId("B1"), 1),
        message_letter_id(name("1")),
    }
    assert len(ids) == 5
    work = a_letter(
        id=work_letter_id(LetterKind.CHUNK, BackfillId("B1"), 1),
        kind=LetterKind.CHUNK,
        folder_id=None,
        provider_message_id=None,
        received_at=None,
        size=None,
        run_id=None,
        backfill_id=BackfillId("B1"),
        chunk=1,
    )
    assert stores.letters.note(fence, work) == work


def test_the_list_is_newest_first_and_goes_on_where_it_ended(stores, fence):
    # Two of one instant, so that a page may end between them.
    at = [later(0), later(10), later(10), later(20), later(0.5)]
    noted = [
        stores.letters.note(fence, a_letter(str(n), first_seen_at=when, last_seen_at=when))
        for n, when in enumerate(at)
    ]
    wanted = sorted(noted, key=lambda one: (one.first_seen_at, one.id), reverse=True)
    found, before = [], None
    while page := stores.letters.list_letters(TENANT, BOX, before=before, limit=2):
        found += page
        before = LetterPlace(page[-1].first_seen_at, page[-1].id)
    assert found == wanted
    assert stores.letters.list_letters(TENANT, OTHER_BOX, before=None, limit=9) == []


def test_letters_are_no_mail(stores, fence):
    stores.letters.note(fence, a_letter())
    assert stores.by_mailbox(TENANT, BOX, before=None, limit=9) == []
    assert stores.messages.live_copies(TENANT, BOX) == {}


def test_a_worker_that_was_overtaken_notes_and_removes_nothing(stores, fence):
    letter = stores.letters.note(fence, a_letter())
    stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=9)
    mailbox = stores.mailboxes.get(TENANT, BOX).mailbox
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(mailbox))
    for late in (
        lambda: stores.letters.note(fence, a_letter("2")),
        lambda: stores.letters.note_raw(fence, letter.id, size=1, missing=None),
        lambda: stores.letters.remove_letters(fence, [letter.id]),
    ):
        with pytest.raises(ConflictError) as caught:
            late()
        assert caught.value.code is ErrorCode.STALE_WRITE
    assert list(stores.letters.all_letters(TENANT, BOX)) == [letter]
    assert stores.letters.read_raw(replace(letter, raw_size=3)) == b"abc"


def test_a_replay_is_noted_in_every_letter_that_is_still_there(stores, fence):
    letters = [stores.letters.note(fence, a_letter(str(n))) for n in range(102)]
    gone = [letters[at].id for at in (0, 7, 101)]
    stores.letters.remove_letters(fence, gone)
    stores.letters.note_replay(letters, at=later(5), replay_id=BackfillId("RP1"))
    found = {one.id: one.replay_id for one in stores.letters.all_letters(TENANT, BOX)}
    assert found == {one.id: BackfillId("RP1") for one in letters if one.id not in gone}


def test_a_removed_letter_is_gone_with_what_was_kept_of_it(stores, fence):
    letters = [stores.letters.note(fence, a_letter(str(n))) for n in range(3)]
    stores.letters.keep_raw(TENANT, BOX, letters[0].id, iter([b"abc"]), limit=9)
    stores.letters.note_raw(fence, letters[0].id, size=3, missing=None)
    kept = stores.letters.get_letter(TENANT, BOX, letters[0].id)
    assert stores.letters.read_raw(kept) == b"abc"
    for _ in range(2):
        stores.letters.remove_letters(fence, [letters[0].id, letters[2].id])
    assert list(stores.letters.all_letters(TENANT, BOX)) == [letters[1]]
    assert stores.letters.read_raw(kept) is None
    # Of one that is gone nothing comes back.
    stores.letters.note_raw(fence, letters[0].id, size=3, missing=None)
    stores.letters.note_replay([letters[2]], at=NOW, replay_id=BackfillId("RP1"))
    assert list(stores.letters.all_letters(TENANT, BOX)) == [letters[1]]


def test_what_a_worker_kept_and_died_before_it_said_so_goes_with_the_letter(stores, fence):
    letter = stores.letters.note(fence, a_letter())
    stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=9)
    stores.letters.remove_letters(fence, [letter.id])
    assert stores.letters.read_raw(replace(letter, raw_size=3)) is None


def test_what_is_kept_while_a_replay_takes_the_letter_away_goes_after_it(stores, fence):
    letter = stores.letters.note(fence, a_letter())
    stores.letters.remove_letters(fence, [letter.id])
    stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=9)
    stores.letters.note_raw(fence, letter.id, size=3, missing=None)
    assert stores.letters.read_raw(replace(letter, raw_size=3)) is None
    assert list(stores.letters.all_letters(TENANT, BOX)) == []


def test_raw_messages_are_deleted_many_at_once(aws):
    fence = Fence(TENANT, BOX, connected(aws.mailboxes).mailbox.generation)
    letters = [aws.letters.note(fence, a_letter(str(n))).id for n in range(100)]
    for letter_id in letters:
        aws.letters.keep_raw(TENANT, BOX, letter_id, iter([b"abc"]), limit=3)
    asked = []
    aws.clients.s3.meta.events.register(
        "before-call.s3", lambda model, **_: asked.append(model.name)
    )
    aws.letters.remove_letters(fence, letters)
    assert asked == ["DeleteObjects"] * 2
    assert "Contents" not in aws.clients.s3.list_objects_v2(Bucket=BUCKET)


def test_a_letter_stays_as_long_as_its_raw_message_could_not_be_deleted(aws, monkeypatch):
    fence = Fence(TENANT, BOX, connected(aws.mailboxes).mailbox.generation)
    letter = aws.letters.note(fence, a_letter())
    refusal = {"Errors": [{"Key": letter.id, "Code": "InternalError"}]}
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(aws.clients.s3, "delete_objects", lambda **_: refusal)
        with pytest.raises(StoreThrottledError, match="InternalError"):
            aws.letters.remove_letters(fence, [letter.id])
    assert list(aws.letters.all_letters(TENANT, BOX)) == [letter]


@pytest.mark.parametrize("content", [b"", b"abc", b"xyz" * PART_BYTES])
def test_a_raw_message_is_kept_whole_and_once(stores, fence, content):
    letter = stores.letters.note(fence, a_letter())
    slices = [content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20)]
    for _ in range(2):
        size = stores.letters.keep_raw(TENANT, BOX, letter.id, iter(slices), limit=1 << 30)
        assert size == len(content)
    stores.letters.note_raw(fence, letter.id, size=len(content), missing=None)
    assert stores.letters.read_raw(replace(letter, raw_size=len(content))) == content
    assert stores.letters.read_raw(letter) is None


def test_a_raw_message_past_the_limit_leaves_what_was_kept(stores, fence):
    letter = stores.letters.note(fence, a_letter())
    stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=3)
    with pytest.raises(UnreadableMessageError) as caught:
        stores.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc", b"d"]), limit=3)
    assert caught.value.code is ErrorCode.MESSAGE_TOO_LARGE
    assert stores.letters.read_raw(replace(letter, raw_size=3)) == b"abc"


def test_the_object_is_its_mailboxs_and_is_only_ever_saved(aws):
    mailbox = connected(aws.mailboxes).mailbox
    fence = Fence(TENANT, BOX, mailbox.generation)
    letter = aws.letters.note(fence, a_letter())
    aws.letters.keep_raw(TENANT, BOX, letter.id, iter([b"abc"]), limit=3)
    (listed,) = aws.clients.s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert listed["Key"] == f"letters/acme/{BOX}/{letter.id}"
    url = urlsplit(aws.letters.link_raw(letter, seconds=60))
    assert url.path.endswith(listed["Key"])
    query = unquote_plus(url.query)
    assert f'response-content-disposition=attachment; filename="{letter.id}.eml"' in query
    assert "response-content-type=application/octet-stream" in query
    assert "Expires" in query


def test_an_item_holds_nothing_a_sender_wrote(aws):
    mailbox = connected(aws.mailboxes).mailbox
    aws.letters.note(Fence(TENANT, BOX, mailbox.generation), a_letter())
    (item,) = [item for item in aws.items() if item["sk"]["S"].startswith("letter#")]
    assert set(item) == {
        "pk", "sk", "letter_id", "kind", "code", "generation", "first_seen_at", "last_seen_at",
        "attempts", "run_id", "folder_id", "provider_message_id", "received_at", "size",
        "mailbox_pk", "date_sk",
    }  # fmt: skip
    assert len(str(item)) < 1_500
