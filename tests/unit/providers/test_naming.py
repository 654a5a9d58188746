"""Who is searched for is never missed in what the parser of whole messages would read."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.message import FetchedMessage, Flags
from shared.mime.parse import MimeParser
from shared.providers.naming import Searched, forms_of
from tests.contract.provider_worlds import NOW

ANN = "ann@customer.example"
PIECES = [
    "ann@customer.example",
    "<ann@customer.example>",
    "<Bob@Client.Example>",
    "bob@client.example",
    "Ann",
    '"Doe, John"',
    '"',
    "(work)",
    "(",
    ")",
    "<",
    ">",
    ",",
    ";",
    "team:",
    "\\",
    "=?utf-8?q?J=C3=B6rg=2C?=",
    "=?utf-8?q?a=22b?=",
    "=?utf-8?q?=3Cx=40evil=2Eexample=3E?=",
    "=?utf-8?b?YW5uQGN1c3RvbWVyLmV4YW1wbGU=?=",
    "=?latin-1?q?=28?=",
    "<ann@Bücher.example>",
    "ann@bücher.example",
    "\r\n ",
    " ",
]
PEOPLE = {ANN, "bob@client.example", "ann@xn--bcher-kva.example"}
"""Garbage glued to an address makes it nobody's."""
LINES = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


def participants(header: bytes) -> set[str]:
    """Whom the parser reads, a Reply-To left out."""
    message = FetchedMessage("m", NOW, len(header), Flags(), header=header)
    return {*MimeParser().parse(message).taking_part()}


@settings(max_examples=300, deadline=None)
@given(sender=LINES, recipients=LINES)
def test_whoever_the_parser_reads_in_a_header_is_found_there(sender, recipients):
    header = f"From: {sender}\r\nTo: {recipients}\r\n".encode()
    for address in participants(header) & PEOPLE:
        assert Searched([address]).may_be_in(header)
        assert Searched([f"@{address.rpartition('@')[2]}"]).may_be_in(header)


@pytest.mark.parametrize(
    "written",
    [
        "ANN@Customer.Example",
        "<ann@customer.\r\n example>",
        "ann @ customer . example",
        '"ann"@customer.example',
        "ann(at work)@customer.example",
        "=?utf-8?q?ann=40customer=2Eexample?=",
        "=?utf-8?b?YW5uQGN1c3RvbWVyLmV4YW1wbGU?=",
        "=?utf-8?q?ann=40cust?= =?utf-8?q?omer=2Eexample?=",
    ],
)
def test_however_it_is_written(written):
    assert Searched(["other@client.example", ANN]).may_be_in(f"To: {written}\r\n".encode())


@pytest.mark.parametrize("domain", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.EXAMPLE"])
def test_a_domain_is_found_in_either_form(domain):
    text = f"From: Ann <ann@{domain}>\r\n".encode()
    assert Searched(["ann@xn--bcher-kva.example"]).may_be_in(text)
    assert Searched(["@xn--bcher-kva.example"]).may_be_in(text)


@pytest.mark.parametrize(
    "text", [b"", b"To: bob@client.example\r\n", b"To: ann@customer.org, x@y.example", b"@" * 99]
)
def test_others_are_not_found(text):
    assert not Searched([ANN, "@wide.example"]).may_be_in(text)
    assert not Searched([]).may_be_in(text)


def test_an_address_has_two_forms_where_its_domain_is_international():
    assert [*forms_of(ANN)] == [ANN]
    assert [*forms_of("a@xn--bcher-kva.example")] == [
        "a@xn--bcher-kva.example",
        "a@bücher.example",
    ]
    assert [*forms_of("a@xn--\ud800.example")] == ["a@xn--\ud800.example"]


@pytest.mark.parametrize(
    "flood",
    [b"@" * 65_536, b"(" * 65_536, b"=?a?q?@?=" * 7_000, "ü@".encode() * 20_000, b'"\\ ' * 20_000],
)
def test_a_flood_takes_no_more_than_its_length(flood):
    began = time.process_time()
    Searched([ANN, "@wide.example"]).may_be_in(flood)
    assert time.process_time() - began < 1
