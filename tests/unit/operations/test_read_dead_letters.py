"""Who learns of a dead letter, what is said of where it is, and who may read its raw message."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import Backfill, BackfillKind, BackfillState
from shared.domain.dead_letter import DeadLetter, LetterKind, message_letter_id, work_letter_id
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import BackfillId, LetterId, ProviderMessageId, TenantId, UserId
from shared.domain.lease import Fence
from shared.domain.mailbox import MailboxKind, Readers, Visibility
from shared.domain.visibility import Viewer
from shared.operations.read_dead_letters import (
    LetterPorts,
    LetterState,
    get_dead_letter,
    link_raw_message,
    list_dead_letters,
    place_in_text,
    place_to_text,
)
from tests.fakes.clock import FixedClock
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.mail import INBOX, START, add_mailbox, message_of, store
from tests.fakes.stores import (
    InMemoryBackfillStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

ANN = Viewer(TenantId("acme"), UserId("ann"))
BOB = replace(ANN, user_id=UserId("bob"))
CYD = replace(ANN, user_id=UserId("cyd"))
ADMIN = Viewer(ANN.tenant_id, UserId("root"), is_admin=True)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def ports(world):
    return LetterPorts(
        mailboxes=InMemoryMailboxStore(world),
        backfills=InMemoryBackfillStore(world),
        messages=InMemoryMessageStore(world),
        letters=InMemoryDeadLetterStore(world),
        clock=FixedClock(),
    )


def noted(ports, box, name="1", *, minutes=0, **changes):
    at = START + timedelta(minutes=minutes)
    letter = DeadLetter(
        tenant_id=box.tenant_id,
        mailbox_id=box.id,
        id=message_letter_id(ProviderMessageId(name)),
        kind=LetterKind.MESSAGE,
        code=ErrorCode.MESSAGE_MALFORMED,
        generation=box.generation,
        first_seen_at=at,
        last_seen_at=at,
        folder_id=INBOX,
        provider_message_id=ProviderMessageId(name),
    )
    fence = Fence(box.tenant_id, box.id, box.generation)
    return ports.letters.note(fence, replace(letter, **changes))


def backfill_in(ports, box, state, **changes):
    backfill = Backfill(
        box.tenant_id, box.id, BackfillId("BF1"), 7, START, state, START, box.generation, **changes
    )
    ports.backfills.world.backfills[box.tenant_id, box.id] = {backfill.id: backfill}
    return backfill


def state_of(ports, letter):
    return get_dead_letter(ANN, letter.mailbox_id, letter.id, ports=ports).state


def refused(act, *given, **named):
    with pytest.raises(RequestError) as caught:
        act(*given, **named)
    return caught.value.code


# ---- where a letter is ----


def test_a_message_is_settled_once_it_is_stored_however_that_came(world, ports):
    box = add_mailbox(world, "BOX")
    stored = store(world, box, message_of("x"))
    (name,) = world.copies[box.tenant_id, box.id]
    letter = noted(ports, box, name)
    assert stored
    assert state_of(ports, letter) is LetterState.SETTLED
    assert state_of(ports, noted(ports, box, "another")) is LetterState.OPEN


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (BackfillState.RUNNING, LetterState.REPLAYING),
        (BackfillState.WAITING, LetterState.REPLAYING),
        (BackfillState.DONE, LetterState.OPEN),
        (BackfillState.FAILED, LetterState.OPEN),
        (BackfillState.CANCELLED, LetterState.OPEN),
    ],
)
def test_a_message_is_being_replayed_as_long_as_its_replay_is_open(world, ports, state, expected):
    box = add_mailbox(world, "BOX")
    replay = backfill_in(ports, box, state, kind=BackfillKind.REPLAY)
    letter = noted(ports, box)
    ports.letters.note_replay([letter], at=START, replay_id=replay.id)
    assert state_of(ports, letter) is expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (BackfillState.PLANNING, LetterState.REPLAYING),
        (BackfillState.FAILED, LetterState.OPEN),
        (BackfillState.DONE, LetterState.SETTLED),
        (BackfillState.CANCELLED, LetterState.SETTLED),
        (None, LetterState.SETTLED),
    ],
)
def test_a_part_of_a_backfill_is_where_the_backfill_is(world, ports, state, expected):
    box = add_mailbox(world, "BOX")
    if state:
        backfill_in(ports, box, state)
    backfill_id = BackfillId("BF1")
    letter = noted(
        ports,
        box,
        id=work_letter_id(LetterKind.CHUNK, backfill_id, 3),
        kind=LetterKind.CHUNK,
        provider_message_id=None,
        backfill_id=backfill_id,
        chunk=3,
    )
    assert state_of(ports, letter) is expected


def test_a_poll_is_settled_once_the_mailbox_has_synced(world, ports):
    box = add_mailbox(world, "BOX")
    letter = noted(
        ports, box, id=work_letter_id(LetterKind.SYNC), kind=LetterKind.SYNC,
        provider_message_id=None,
    )  # fmt: skip
    states = world.run_states
    key = (box.tenant_id, box.id)
    for minutes, expected in ((None, "open"), (-1, "open"), (1, "settled")):
        at = None if minutes is None else START + timedelta(minutes=minutes)
        states[key] = replace(states[key], last_synced_at=at)
        assert state_of(ports, letter) == expected


# ---- who sees what ----


@pytest.mark.parametrize(
    ("kind", "visibility", "raw", "sees"),
    [
        (MailboxKind.PERSONAL, Visibility.METADATA, {ANN}, {ANN, ADMIN}),
        (MailboxKind.PERSONAL, Visibility.FULL, {ANN}, {ANN, ADMIN}),
        (MailboxKind.SHARED, Visibility.SUBJECT, {ANN}, {ANN, BOB, ADMIN}),
        (MailboxKind.SHARED, Visibility.FULL, {ANN, BOB}, {ANN, BOB, ADMIN}),
    ],
)
def test_a_raw_message_is_for_those_who_may_read_the_mail_whoever_sees_the_letter(
    world, ports, kind, visibility, raw, sees
):
    granted = Readers((BOB.user_id,) if kind is MailboxKind.SHARED else ())
    box = add_mailbox(world, "BOX", kind=kind, visibility=visibility, granted_to=granted)
    letter = noted(ports, box, raw_size=3)
    stranger = Viewer(TenantId("other"), UserId("ann"), is_admin=True)
    for viewer in (ANN, BOB, CYD, ADMIN, stranger):
        if viewer in sees:
            found, _ = list_dead_letters(viewer, box.id, before=None, limit=9, ports=ports)
            assert [view.letter for view in found] == [letter]
        else:
            for ask in (get_dead_letter, link_raw_message):
                code = refused(ask, viewer, box.id, letter.id, ports=ports)
                assert code is ErrorCode.MAILBOX_NOT_FOUND
        if viewer in raw:
            link = link_raw_message(viewer, box.id, letter.id, ports=ports)
            assert letter.id in link.url
            assert link.expires_at == ports.clock.now() + timedelta(minutes=5)
        elif viewer in sees:
            code = refused(link_raw_message, viewer, box.id, letter.id, ports=ports)
            assert code is ErrorCode.RAW_MESSAGE_NOT_FOUND


def test_where_none_was_kept_there_is_no_link(world, ports):
    box = add_mailbox(world, "BOX")
    letter = noted(ports, box)
    code = refused(link_raw_message, ANN, box.id, letter.id, ports=ports)
    assert code is ErrorCode.RAW_MESSAGE_NOT_FOUND
    for ask in (get_dead_letter, link_raw_message):
        code = refused(ask, ANN, box.id, LetterId("l0"), ports=ports)
        assert code is ErrorCode.DEAD_LETTER_NOT_FOUND


def test_a_list_is_read_page_by_page_newest_first(world, ports):
    box = add_mailbox(world, "BOX")
    letters = [noted(ports, box, str(n), minutes=n // 2) for n in range(5)]
    wanted = sorted(letters, key=lambda one: (one.first_seen_at, one.id), reverse=True)
    found, place = [], None
    while True:
        views, place = list_dead_letters(ANN, box.id, before=place, limit=2, ports=ports)
        found += [view.letter for view in views]
        if place is None:
            break
        place = place_in_text(place_to_text(place))
    assert found == wanted


@pytest.mark.parametrize("text", ["", "x", "yesterday l1", "2026-01-01T00:00:00 l1"])
def test_a_place_that_is_none_is_no_page_token(text):
    assert refused(place_in_text, text) is ErrorCode.INVALID_PAGE_TOKEN


def test_the_beginning_is_no_place():
    assert place_to_text(None) is None
    assert place_in_text(None) is None
