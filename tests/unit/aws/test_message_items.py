"""No mail, however hostile, makes an item that DynamoDB would refuse."""

import random
from dataclasses import replace
from functools import cache

import pytest

from shared.aws.message_items import (
    LARGEST_CONTENT_BYTES,
    LARGEST_INLINE_BYTES,
    MOST_BLIND_CHARACTERS,
    body_of,
    copy_item,
    copy_of,
    inline_body,
    message_of,
    pack_message,
)
from shared.aws.packing import pack, unpack
from shared.aws.pending_items import flag_bits, flags_of
from shared.domain.contents import (
    AttachedMail,
    Delivery,
    DeliveryReport,
    Invite,
    Moment,
    Picture,
    Sealed,
)
from shared.domain.ids import Address
from shared.domain.mailbox import Direction
from shared.domain.message import Body, Flags, Participant, ParticipantRole, StoredAttachment
from tests.fakes.values import TENANT, a_new_copy


@cache
def noise(length: int) -> str:
    """Text that does not shrink when it is compressed."""
    letters = random.Random(length).choices(range(0x4E00, 0x9000), k=length)
    return "".join(map(chr, letters))


def read_back(packed, message):
    raw = {"d": {"B": packed.content}, "r": {"N": "0"}, "c": {"SS": sorted(message.copies)}}
    return raw, message_of(raw)


CONTENTS = (
    Picture("image/png"),
    Invite("request", "u", "s", "l", "o", Moment("2026-03-03"), Moment("2026-03-04", "UTC"), True),
    Invite(None),
    Sealed(is_encrypted=True),
    AttachedMail("own@x", "root@x"),
    DeliveryReport((Delivery("a@b.example", "failed", "5.1.1", "no"), Delivery("c", "delayed"))),
    None,
)


def parts_of(contents):
    return tuple(StoredAttachment(f"{n}", "a/b", 1, seen=seen) for n, seen in enumerate(contents))


def test_a_copy_names_as_many_blind_recipients_as_it_has_room_for():
    copy = a_new_copy().copy
    for many in (1, 300, 5_000):
        blind = frozenset(Address(f"{number:04}ü@client.example") for number in range(many))
        raw = copy_item(TENANT, replace(copy, blind=blind))
        kept = copy_of(copy.mailbox_id, copy.provider_message_id, raw).blind
        assert kept <= blind
        assert sum(map(len, raw["b"]["SS"])) <= MOST_BLIND_CHARACTERS
        assert len(kept) == min(many, 400)


@pytest.mark.parametrize("direction", [*Direction, None])
def test_which_way_a_copy_went_is_read_back(direction):
    copy = replace(a_new_copy().copy, direction=direction)
    raw = copy_item(TENANT, copy)
    assert copy_of(copy.mailbox_id, copy.provider_message_id, raw) == copy


@pytest.mark.parametrize("seen", CONTENTS, ids=lambda seen: type(seen).__name__)
def test_what_a_content_was_seen_to_be_is_read_back(seen):
    new = a_new_copy(attachments=parts_of([None, seen]))
    _, message = read_back(pack_message(new.message, new.body), new.message)
    assert message.attachments == new.message.attachments


def test_of_invitations_and_reports_the_first_is_kept():
    new = a_new_copy(attachments=parts_of(CONTENTS * 2))
    _, message = read_back(pack_message(new.message, new.body), new.message)
    kept = [one.seen for one in message.attachments]
    assert kept[:7] == [*CONTENTS[:2], None, *CONTENTS[3:]]
    assert kept[7:] == [CONTENTS[0], None, None, CONTENTS[3], None, None, None]


def long_report(count):
    return DeliveryReport(
        tuple(
            Delivery(noise(500 + n), noise(600 + n), "5.1.1", noise(700 + n)) for n in range(count)
        )
    )


def test_of_a_long_report_the_first_deliveries_are_kept_and_the_cut_is_told():
    report = long_report(50)
    new = a_new_copy(attachments=parts_of([report]))
    packed = pack_message(new.message, new.body)
    assert len(packed.content) < 25_000
    _, message = read_back(packed, new.message)
    kept = message.attachments[0].seen.deliveries
    assert kept
    assert kept == report.deliveries[: len(kept)]
    assert message.truncated


def test_a_usual_report_of_fifty_deliveries_is_kept_whole():
    one = "user unknown " * 8
    report = DeliveryReport(
        tuple(Delivery(f"{n}@b.example", "failed", "5.1.1", one) for n in range(50))
    )
    new = a_new_copy(attachments=parts_of([report]))
    _, message = read_back(pack_message(new.message, new.body), new.message)
    assert message.attachments[0].seen == report
    assert not message.truncated


def test_what_contents_were_seen_to_be_goes_before_any_attachment():
    seen = Invite("request", *(noise(10_000 + n) for n in range(4)))
    files = tuple(StoredAttachment(noise(300), "a/b", n) for n in range(480))
    texts = {f"x-{n}": noise(1_500 + n) for n in range(45)}
    invite = StoredAttachment("i.ics", "text/calendar", 1, seen=seen)
    new = a_new_copy(attachments=(*files[:-1], invite), headers=texts)
    _, message = read_back(pack_message(new.message, new.body), new.message)
    assert message.truncated
    assert message.headers == texts
    assert [one.size for one in message.attachments] == [
        one.size for one in new.message.attachments
    ]
    assert message.attachments[-1].seen is None


def test_what_an_older_version_stored_or_a_newer_one_saw_is_read_without():
    new = a_new_copy(attachments=parts_of(CONTENTS))
    document = unpack(pack_message(new.message, new.body).content)
    for contents in ({"k": {"0": ["?", 1], "1": ["p", "image/gif"]}}, {}):
        document.pop("k", None)
        packed = replace(pack_message(new.message, new.body), content=pack(document | contents))
        _, message = read_back(packed, new.message)
        assert message.attachments[0].seen is None
        assert (message.attachments[1].seen is None) == (not contents)


# Made when asked for: whoever collects the tests makes none.
MONSTERS = {
    "subject": lambda: {"subject": noise(1_000_000)},
    "snippet": lambda: {"snippet": noise(500_000)},
    "references": lambda: {"references": tuple(noise(300) for _ in range(20_000))},
    "internet_message_id": lambda: {
        "internet_message_id": noise(900_000),
        "in_reply_to": noise(900_000),
    },
    "headers": lambda: {"headers": {f"x-{n}": noise(5_000) for n in range(200)}},
    "participants": lambda: {
        "participants": tuple(
            Participant(ParticipantRole.TO, f"{noise(60)}@{n}.example", noise(2_000))
            for n in range(3_000)
        )
    },
    "attachments": lambda: {
        "attachments": tuple(StoredAttachment(noise(4_000), "a/b", 1) for _ in range(3_000))
    },
}


@pytest.mark.parametrize("monster", MONSTERS)
def test_a_monstrous_message_is_cut_marked_and_still_read(monster):
    new = a_new_copy(**MONSTERS[monster]())
    packed = pack_message(new.message, new.body)
    assert len(packed.content) <= LARGEST_CONTENT_BYTES
    _, message = read_back(packed, new.message)
    assert message.truncated
    assert message.id == new.message.id
    assert message.thread_id == new.message.thread_id


def test_of_whom_not_all_are_kept_is_said_that_it_names_more():
    new = a_new_copy(**MONSTERS["participants"]())
    _, message = read_back(pack_message(new.message, new.body), new.message)
    assert "too_many_participants" in message.defects
    new = a_new_copy(**MONSTERS["attachments"]())
    _, message = read_back(pack_message(new.message, new.body), new.message)
    assert message.participants == new.message.participants
    assert message.defects == ()


def test_an_ordinary_message_is_not_cut():
    new = a_new_copy()
    raw, message = read_back(pack_message(new.message, new.body), new.message)
    assert replace(message, received_at=new.message.received_at) == new.message
    assert inline_body(raw) == new.body


@pytest.mark.parametrize("length", [0, 1, 10, 1_000, 1_300, 1_400, 5_000, 2_000_000])
def test_a_body_is_inline_while_it_is_small_and_an_object_after(length):
    new = a_new_copy(body=Body(noise(length), "<p>x</p>"))
    packed = pack_message(new.message, new.body)
    raw, _ = read_back(packed, new.message)
    if packed.body is None:
        assert inline_body(raw) == new.body
        assert len(packed.content) <= LARGEST_INLINE_BYTES + 1_000
    else:
        assert inline_body(raw) is None
        assert body_of(packed.body) == new.body
        assert len(packed.body) > LARGEST_INLINE_BYTES


@pytest.mark.parametrize("bits", range(16))
def test_flags_are_read_back(bits):
    flags = flags_of(bits, 2**63 - 1)
    assert flag_bits(flags) == bits
    assert flags == Flags(bool(bits & 1), bool(bits & 2), bool(bits & 4), bool(bits & 8), 2**63 - 1)
