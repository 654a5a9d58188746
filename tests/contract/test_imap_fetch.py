"""How messages and their parts are read from a real Dovecot, and what it costs."""

import base64
import quopri
import random
import tracemalloc
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.imap import fetching, slices, structure
from tests.contract.imap_world import NOW, World, mail
from tests.fakes.known import Known

MEGABYTE = 1 << 20


@pytest.fixture
def world(mail_user) -> World:
    return World(mail_user, "qresync")


def with_attachment(size: int, *, text="Dear Ann,\r\nsee below.\r\n", number=1) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = "Ann <ann@customer.example>"
    message["Subject"] = f"offer {number}"
    message["Message-ID"] = f"<offer-{number}@customer.example>"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative("<p>Dear Ann</p>", subtype="html")
    content = random.Random(number).randbytes(size)
    message.add_attachment(
        content, maintype="application", subtype="pdf", filename="Angebot für Ähren.pdf"
    )
    return message


def names_in(world, session, name="INBOX"):
    folder = world.folder(name)
    page = session.changes(folder, None, Known(), since=None, limit=10_000, now=NOW)
    return folder, page.added


def test_a_small_message_comes_whole_with_its_date_and_flags(world):
    received = datetime(2026, 3, 5, 6, 7, 8, tzinfo=UTC)
    world.stored.deliver(mail(1), flags=["\\Seen", "\\Answered"], internal_date=received)
    with world.session() as session:
        folder, names = names_in(world, session)
        (one,) = session.fetch(folder, names)
    assert one.raw == mail(1)
    assert one.received_at == received
    assert (one.flags.seen, one.flags.answered, one.flags.flagged) == (True, True, False)
    assert one.flags.version > 0
    assert one.size == len(mail(1))
    assert (one.header, one.parts, one.remote) == (None, (), ())


def test_a_large_message_comes_as_header_and_texts_and_leaves_the_rest(world):
    message = with_attachment(200_000)
    world.stored.deliver(message.as_bytes())
    with world.session() as session:
        folder, names = names_in(world, session)
        before = session.bytes_received
        (one,) = session.fetch(folder, names)
        cost = session.bytes_received - before
        (left,) = one.remote
        slices = list(session.read_part(folder, names[0], left.section, left.encoding))
    assert one.raw is None
    assert one.header.startswith(b"From: Ann")
    assert [(part.section, part.content_type) for part in one.parts] == [
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
    ]
    assert quopri.decodestring(one.parts[0].content).decode() == "Dear Ann,\r\nsee below.\r\n"
    assert not one.parts[0].truncated
    assert (left.section, left.content_type) == ("2", "application/pdf")
    assert left.filename == "Angebot für Ähren.pdf"
    assert b"".join(slices) == random.Random(1).randbytes(200_000)
    assert cost < 5_000


def test_a_huge_text_is_cut_at_a_line_and_says_so(world):
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "log"
    message.set_content("a line of it\n" * 300_000, cte="7bit")
    world.stored.deliver(message.as_bytes())
    with world.session() as session:
        folder, names = names_in(world, session)
        (one,) = session.fetch(folder, names)
    (part,) = one.parts
    assert part.truncated
    assert part.content.endswith(b"\r\n")
    assert structure.LARGEST_TEXT - 100 < len(part.content) <= structure.LARGEST_TEXT


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit", "x-unknown"])
@pytest.mark.parametrize("slice_bytes", [1_000, 1_001, 10**6])
def test_a_part_is_decoded_across_slices(world, encoding, slice_bytes, monkeypatch):
    monkeypatch.setattr(slices, "SLICE_BYTES", slice_bytes)
    content = "Zeile mit Ümläuten = und ✓\r\n".encode() * 4_000
    encoded = {
        "base64": base64.encodebytes(content).replace(b"\n", b"\r\n"),
        "quoted-printable": quopri.encodestring(content),
    }.get(encoding, content)
    raw = (
        b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x\r\nContent-Type: application/x\r\n"
        b"Content-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + encoded
        + b"\r\n--x--\r\n"
    )
    world.stored.deliver(raw)
    with world.session() as session:
        folder, names = names_in(world, session)
        decoded = b"".join(session.read_part(folder, names[0], "2", encoding))
    assert decoded.rstrip() == content.rstrip()


def test_hundreds_of_messages_take_a_handful_of_round_trips(world):
    world.stored.append_many("INBOX", [(mail(number), (), None) for number in range(450)])
    large = [(with_attachment(80_000, number=n).as_bytes(), (), None) for n in range(20)]
    world.stored.append_many("INBOX", large)
    with world.session() as session:
        folder, names = names_in(world, session)
        before = session.round_trips
        fetched = list(session.fetch(folder, names))
        cost = session.round_trips - before
    assert {one.provider_message_id for one in fetched} == set(names)
    assert len(fetched) == 470
    assert sum(one.raw is None for one in fetched) == 20
    # Three groups of 200: metadata and bodies each, then structure and parts of the large ones.
    assert cost <= 8


def test_each_id_is_yielded_once_whatever_the_order_and_repetition(world):
    for number in range(5):
        world.stored.deliver(mail(number))
    with world.session() as session:
        folder, names = names_in(world, session)
        asked = [names[3], names[0], names[3], names[4]]
        got = [one.provider_message_id for one in session.fetch(folder, asked)]
    assert sorted(got) == sorted(set(asked))


def test_a_message_deleted_meanwhile_is_missing_and_others_are_not(world):
    uids = [world.stored.deliver(mail(number)) for number in range(3)]
    with world.session() as session:
        folder, names = names_in(world, session)
        world.stored.expunge([uids[1]])
        stale = ProviderMessageId(f"{folder.id}.1.1")
        got = {one.provider_message_id: one for one in session.fetch(folder, [*names, stale])}
    assert got[names[1]] == MissingMessage(names[1], "gone")
    assert got[stale] == MissingMessage(stale, "gone")
    assert isinstance(got[names[0]], FetchedMessage)
    assert isinstance(got[names[2]], FetchedMessage)


def test_parts_and_other_folders_may_be_read_between_two_messages(world, monkeypatch):
    monkeypatch.setattr(fetching, "UIDS_PER_FETCH", 3)
    monkeypatch.setattr(fetching, "BATCH_BYTES", 2_000)
    messages = [(with_attachment(70_000, number=n).as_bytes(), (), None) for n in range(4)]
    world.stored.append_many("INBOX", [*messages, *((mail(n), (), None) for n in range(30))])
    world.stored.deliver(mail("sent"), "Sent")
    with world.session() as session:
        sent, sent_names = names_in(world, session, "Sent")
        folder, names = names_in(world, session)
        got = []
        for one in session.fetch(folder, names):
            got.append(one.provider_message_id)
            for left in one.remote:
                name = one.provider_message_id
                read = session.read_part(folder, name, left.section, left.encoding)
                assert sum(map(len, read)) == 70_000
            (other,) = session.fetch(sent, sent_names)
            assert other.raw == mail("sent")
    assert sorted(got) == sorted(names)


def test_two_readings_of_one_folder_at_once_lose_nothing(world, monkeypatch):
    monkeypatch.setattr(fetching, "UIDS_PER_FETCH", 2)
    world.stored.append_many("INBOX", [(mail(n), (), None) for n in range(12)])
    with world.session() as session:
        folder, names = names_in(world, session)
        odd, even = session.fetch(folder, names[::2]), session.fetch(folder, names[1::2])
        before = session.round_trips
        got = [one.raw for pair in zip(odd, even, strict=True) for one in pair]
        cost = session.round_trips - before
    assert got == [mail(n) for n in range(12)]
    # Metadata and bodies of six pairs; nothing had to be asked for again.
    assert cost == 12


def test_a_listing_that_is_left_early_does_not_confuse_what_follows(world):
    for number in range(5):
        world.stored.deliver(mail(number))
    with world.session() as session:
        folder, names = names_in(world, session)
        next(iter(session.fetch(folder, names)))
        again = list(session.fetch(folder, names))
        assert [one.raw for one in again] == [mail(number) for number in range(5)]


def test_thirty_megabytes_never_lie_in_memory_at_once(world):
    world.stored.deliver(with_attachment(22 * MEGABYTE).as_bytes())
    with world.session() as session:
        folder, names = names_in(world, session)
        tracemalloc.start()
        try:
            (one,) = session.fetch(folder, names)
            (left,) = one.remote
            read = sum(map(len, session.read_part(folder, names[0], left.section, left.encoding)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert one.size > 30_000_000
    assert read == 22 * MEGABYTE
    assert peak < 16 * MEGABYTE


def test_a_batch_of_bodies_bounds_the_memory(world):
    body = "x" * 60_000
    world.stored.append_many("INBOX", [(mail(n, body=body), (), None) for n in range(600)])
    with world.session() as session:
        folder, names = names_in(world, session)
        tracemalloc.start()
        try:
            total = sum(one.size for one in session.fetch(folder, names))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert total > 30 * MEGABYTE
    assert peak < 16 * MEGABYTE
