"""What judges a message before its content is fetched: its header, and who is searched for.

Every provider does it, and each header is read by the parser that reads whole messages: what it
says of the same message must be the same.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.cursor import Cursor
from shared.domain.errors import CursorExpiredError
from shared.domain.message import FetchedMessage, MissingMessage
from shared.mime.fields import KEPT
from shared.mime.parse import MimeParser
from shared.providers.header_fields import FIELDS
from tests.contract.provider_worlds import NOW, number_of

ANN = "ann@customer.example"
PEOPLE = """\
From: Ann <ann@customer.example>
Sender: Office <office@customer.example>
To: alice@mail.example, =?utf-8?q?J=C3=B6rg=2C_Sales?= <joerg@client.example>
Cc: "Doe, John" <john@client.example>
Bcc: hidden@client.example
Reply-To: answers@customer.example
Date: Thu, 05 Mar 2026 06:07:08 +0000
In-Reply-To: <before@customer.example>
References: <first@customer.example>
 <before@customer.example>
Auto-Submitted: auto-generated
Precedence: list
List-Id: <news.customer.example>
List-Unsubscribe: <https://customer.example/leave>
X-Auto-Response-Suppress: All
Return-Path: <bounces@customer.example>
Received: from somewhere by somewhere else
X-Secret: not of interest"""


def names_of(world) -> dict[int, str]:
    world.follow(None)
    return {number: name for name, (number, _flags) in world.copies.items()}


def headers_of(world, names) -> list[FetchedMessage | MissingMessage]:
    with world.session() as session:
        return list(session.fetch_headers(world.followed(), names))


# ---- headers ----


def test_a_header_says_of_a_message_what_the_whole_of_it_says(world):
    received = datetime(2026, 3, 5, 6, 7, 9, tzinfo=UTC)
    world.theirs.deliver_as(1, PEOPLE, received_at=received)
    world.theirs.flag(1)
    (name,) = names_of(world).values()
    with world.session() as session:
        (one,) = session.fetch_headers(world.followed(), [name])
        (whole,) = session.fetch(world.followed(), [name])
    assert (one.raw, one.parts, one.remote) == (None, (), ())
    assert b"hello" not in one.header
    assert replace(one, header=None, size=0) == replace(whole, raw=None, size=0)
    judged, read = MimeParser().parse(one), MimeParser().parse(whole)
    assert {(who.role, who.address) for who in judged.participants} == {
        ("from", ANN),
        ("to", "alice@mail.example"),
        ("to", "joerg@client.example"),
        ("cc", "john@client.example"),
        ("bcc", "hidden@client.example"),
        ("reply_to", "answers@customer.example"),
    }
    assert (judged.subject, judged.sent_at) == (read.subject, read.sent_at)
    assert judged.internet_message_id == read.internet_message_id == "1@customer.example"
    assert judged.in_reply_to == read.in_reply_to == "before@customer.example"
    assert judged.references == read.references
    assert judged.headers == read.headers or not world.theirs.keeps_bytes
    assert set(judged.headers) >= {"auto-submitted", "precedence", "list-id", "return-path"}
    assert {(who.role, who.address) for who in read.participants} == {
        (who.role, who.address) for who in judged.participants
    }
    assert (judged.text, judged.html, judged.attachments) == ("", None, ())


def test_every_field_that_the_parser_keeps_is_fetched():
    assert {name.lower() for name in FIELDS} >= {*KEPT, "references", "in-reply-to", "date"}


def test_each_header_asked_for_comes_once_or_is_missing(world):
    world.theirs.deliver(*range(130))
    by_number = names_of(world)
    world.theirs.delete(7)
    asked = [by_number[3], *by_number.values(), by_number[3]]
    got = headers_of(world, asked)
    assert MissingMessage(by_number[7], "gone") in got
    there = [one for one in got if isinstance(one, FetchedMessage)]
    assert sorted(map(number_of, there)) == [number for number in range(130) if number != 7]
    assert len(got) == 130
    assert {by_number[number_of(one)] for one in there} == {
        one.provider_message_id for one in there
    }
    assert headers_of(world, []) == []


def test_a_message_that_moved_is_where_it_is_by_now_or_gone_from_here(world):
    world.theirs.create_folder("Deals")
    world.theirs.deliver(1, 2)
    by_number = names_of(world)
    world.theirs.move(1, "Deals")
    judged = headers_of(world, list(by_number.values()))
    with world.session() as session:
        whole = list(session.fetch(world.followed(), list(by_number.values())))

    def seen(all_of_them):
        return {
            one.provider_message_id: "gone" if isinstance(one, MissingMessage) else one.folder_ids
            for one in all_of_them
        }

    assert seen(judged) == seen(whole)


def test_content_is_fetched_in_the_middle_of_headers_and_headers_are_left_early(world_of_each_kind):
    world = world_of_each_kind
    world.theirs.deliver(*range(70))
    names = list(names_of(world).values())
    folder = world.followed()
    with world.session() as session:
        next(iter(session.fetch_headers(folder, names)))
        kept = {}
        for one in session.fetch_headers(folder, names):
            if number_of(one) % 10 == 0:
                (whole,) = session.fetch(folder, [one.provider_message_id])
                kept[number_of(one)] = number_of(whole)
    assert kept == {number: number for number in range(0, 70, 10)}


def test_reading_headers_leaves_no_mark(world):
    world.theirs.deliver(1)
    headers_of(world, list(names_of(world).values()))
    assert world.follow(None).changed == {}
    assert [flags.seen for _number, flags in world.copies.values()] == [False]


def test_a_flood_of_recipients_hides_nobody_behind_it(world_of_each_kind):
    world = world_of_each_kind
    many = ",\r\n ".join(f"somebody-{number}@crowd.example" for number in range(3_000))
    world.theirs.deliver_as(1, f"To: {many}\r\nFrom: Ann <{ANN}>")
    world.theirs.deliver(2)
    got = {number_of(one): one for one in headers_of(world, list(names_of(world).values()))}
    judged = MimeParser().parse(got[1])
    assert ANN in judged.taking_part()
    assert judged.truncated
    assert len(judged.participants) <= 500
    assert set(world.searched(ANN)) == {1, 2}
    assert world.searched("somebody-9@crowd.example") == [1]


def test_a_header_that_says_nothing_is_no_failure(world_of_each_kind):
    world = world_of_each_kind
    world.theirs.deliver_as(1, "X-Nothing: at all")
    (one,) = headers_of(world, list(names_of(world).values()))
    assert MimeParser().parse(one).taking_part() == ()


NAMES = {
    "a comma": "=?utf-8?q?M=C3=BCller=2C_Ann?= <ann@customer.example>",
    "a quote": "=?utf-8?q?5=22_screen?= <ann@customer.example>",
    "a bracket": "=?utf-8?q?Ann_=3C?= <ann@customer.example>",
    "another's address": "=?utf-8?q?Ann_=3Cbob=40evil=2Eexample=3E?= <ann@customer.example>",
    "half a comment": "=?utf-8?q?Ann_=3A=28?= <ann@customer.example>",
    "quotes in two": "=?utf-8?q?a=22?= <ann@customer.example>, =?utf-8?q?b=22?= <b@client.example>",
    "a comment after it": "ann@customer.example (Ann Example)",
    "another's in quotes": '"bob@evil.example" <ann@customer.example>',
    "upper case": "ANN@Customer.EXAMPLE",
    "folded": "Ann\r\n <ann@customer.example>",
}


def test_no_name_hides_the_address_behind_it(world_of_each_kind):
    world = world_of_each_kind
    for number, name in enumerate(NAMES.values()):
        world.theirs.deliver_as(2 * number, f"From: other@client.example\r\nTo: {name}")
        alone = name.partition(",")[0]
        world.theirs.deliver_as(2 * number + 1, f"From: {alone}\r\nTo: other@client.example")
    world.theirs.deliver_as(99, "From: other@client.example\r\nTo: another@client.example")
    parser = MimeParser()
    judged = {
        number_of(one): ANN in parser.parse(one).taking_part()
        for one in headers_of(world, list(names_of(world).values()))
    }
    assert judged == {**dict.fromkeys(range(2 * len(NAMES)), True), 99: False}
    assert sorted(world.searched(ANN)) == [*range(2 * len(NAMES))]


# ---- searching ----


def test_an_address_is_found_in_each_place_it_takes_part_in(world):
    for number, role in enumerate(["From", "To", "Cc", "Bcc", "Reply-To"]):
        others = {"From": "other@client.example", "To": "another@client.example"}
        lines = {**others, role: "Somebody <wanted@client.example>"}
        head = "\r\n".join(f"{name}: {value}" for name, value in lines.items())
        world.theirs.deliver_as(number, head)
    world.theirs.deliver_as(9, "From: other@client.example\r\nTo: another@client.example")
    assert sorted(world.searched("wanted@client.example")) == [0, 1, 2, 3]


def test_nothing_else_is_found_and_any_of_several_is(world_of_each_kind):
    world = world_of_each_kind
    for number in range(1, 6):
        world.theirs.deliver_as(number, f"From: person{number}@client.example\r\nTo: {ANN}")
    assert world.searched("nobody@client.example") == []
    assert set(world.searched("person2@client.example", "person4@client.example")) == {2, 4}
    assert set(world.searched(ANN)) == {1, 2, 3, 4, 5}


def test_a_hundred_addresses_are_asked_for_at_once(world_of_each_kind):
    world = world_of_each_kind
    for number in range(1, 101, 9):
        world.theirs.deliver_as(
            number,
            f"From: person{number}@a-rather-long-name-of-a-client.example\r\nTo: {ANN}",
            received_at=NOW - timedelta(hours=101 - number),
        )
    world.theirs.deliver(200)
    asked = [f"person{number}@a-rather-long-name-of-a-client.example" for number in range(100)]
    assert world.searched(*asked) == [*range(91, 0, -9)]


def test_more_than_a_page_is_found_whole_and_newest_first(world_of_each_kind):
    world = world_of_each_kind
    world.theirs.deliver(*range(210), received_at=NOW - timedelta(days=2))
    world.theirs.deliver(210, received_at=NOW - timedelta(days=1))
    world.theirs.deliver_as(211, "From: other@client.example\r\nTo: another@client.example")
    found = world.searched(ANN)
    assert found[0] == 210
    assert sorted(found) == [*range(211)]


def test_a_search_has_the_edges_of_the_window(world):
    floor = datetime(2026, 10, 20, tzinfo=UTC)
    for number, seconds in {1: -86_400, 2: -60, 3: 0, 4: 1, 5: 86_400}.items():
        world.theirs.deliver(number, received_at=floor + timedelta(seconds=seconds))
    position = world.position()
    assert world.searched(ANN, since=floor, upto=position) == [5, 4, 3]
    world.theirs.deliver(6)
    later = world.searched(ANN, since=floor, upto=position)
    assert [one for one in later if one != 6 or world.compares_positions] == [5, 4, 3]
    assert world.searched(ANN, since=NOW + timedelta(days=1), upto=position) == []
    with pytest.raises(CursorExpiredError):
        world.searched(ANN, upto=Cursor("other", 1, "{}"))


def test_a_folder_is_searched_alone_where_folders_are_places(world_by_folder):
    world_by_folder.theirs.create_folder("Deals")
    world_by_folder.theirs.deliver(1)
    world_by_folder.theirs.deliver(2, folder="Deals")
    assert world_by_folder.searched(ANN) == [1]
    assert world_by_folder.searched(ANN, name="Deals") == [2]


def test_a_search_upto_a_position_of_another_numbering_expires(numbered_world):
    numbered_world.theirs.create_folder("Deals")
    cursor = numbered_world.position("Deals")
    numbered_world.theirs.delete_folder("Deals")
    numbered_world.theirs.create_folder("Deals")
    numbered_world.theirs.deliver(1, folder="Deals")
    with pytest.raises(CursorExpiredError):
        numbered_world.searched(ANN, upto=cursor, name="Deals")


def test_a_domain_stands_for_every_address_in_it(world_of_each_kind):
    world = world_of_each_kind
    for number, local in enumerate(["ann+sales", "a.nn", "ann", "bob"], start=1):
        world.theirs.deliver_as(number, f"From: {local}@client.example\r\nTo: me@mail.example")
    world.theirs.deliver_as(9, "From: ann@other.example\r\nTo: me@mail.example")
    assert set(world.searched("@client.example")) == {1, 2, 3, 4}


def test_either_form_of_an_international_domain_is_found(world_of_each_kind):
    world = world_of_each_kind
    world.theirs.deliver_as(1, "From: Ann <ann@xn--bcher-kva.example>\r\nTo: me@mail.example")
    world.theirs.deliver_as(2, "From: Ann <ann@Bücher.example>\r\nTo: me@mail.example")
    world.theirs.deliver_as(3, "From: Ann <ann@bucher.example>\r\nTo: me@mail.example")
    assert set(world.searched("ann@xn--bcher-kva.example")) == {1, 2}


HOSTILE = [
    "o'brien+sale@client.example",
    "a{b}|c@client.example",
    "-from@client.example",
    "*@client.example",
    "%_@client.example",
    "or@client.example",
    "a&b=c@client.example",
    "#!$^`~?/@client.example",
    "all@-in.example",
]


def test_no_address_means_anything_but_itself(world_of_each_kind):
    world = world_of_each_kind
    for number, address in enumerate(HOSTILE):
        world.theirs.deliver_as(number, f"From: <{address}>\r\nTo: me@mail.example")
    world.theirs.deliver_as(99, "From: person@another.example\r\nTo: me@mail.example")
    for number, address in enumerate(HOSTILE):
        found = world.searched(address)
        assert number in found
        assert 99 not in found
    # No address at all: whoever wrote it means the search harm.
    for text in ['x" OR from:"person@another.example', "x\r\nM1 LOGOUT", "x) ALL (", "\0@x"]:
        assert world.searched(text) in ([], [99])
    assert world.searched("person@another.example") == [99]
