from datetime import datetime

import pytest

from shared.domain.composing import (
    NamedAddress,
    check,
    envelope_of,
    message_id_of,
    one_line,
    sendable_address,
)
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import SendId
from tests.unit.mime.drafts import draft


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ann@example.org", "ann@example.org"),
        (" Ann.O'Neil+x@Example.ORG. ", "Ann.O'Neil+x@example.org"),
        ("ann@Bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@ｅxample。org", "ann@example.org"),
        ("a..b.@docomo.example", "a..b.@docomo.example"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_an_address_is_written_with_its_domain_in_ascii(text, address):
    assert sendable_address(text, "to.0.address") == address
    assert sendable_address(address, "to.0.address") == address


@pytest.mark.parametrize(
    "text",
    ["", "ann", "@x.example", "ann@", "a b@x.example", "a@b@x.example", "ann@x..example", "ann@.x", '"a b"@x.example', "ann(x)@x.example", "a\r\nb@x.example", "a@x.example\r\nBcc:b@c", "a@x_\0y", "a" * 65 + "@x.example", "ann@" + "x" * 64 + ".example", "ann@[127.0.0.1]", "<ann@x.example>", "a,b@x.example", "ä\r\n@x.example"],
)  # fmt: skip
def test_what_is_no_address_is_refused_by_its_field(text):
    with pytest.raises(RequestError) as refused:
        sendable_address(text, "cc.3.address")
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    assert [name for name, _ in refused.value.fields] == ["cc.3.address"]


def test_letters_before_the_at_that_mail_cannot_carry_are_named_as_that():
    with pytest.raises(RequestError) as refused:
        sendable_address("jürgen@example.org", "to.0.address")
    assert refused.value.code is ErrorCode.ADDRESS_NOT_SUPPORTED


def test_each_recipient_is_in_the_envelope_once_and_blind_only_where_nobody_reads_of_them():
    named = [NamedAddress(f"{letter}@x.example", letter) for letter in "abcd"]
    envelope = envelope_of(draft(to=(named[0], named[1]), cc=(named[0], named[2]), bcc=(*named, named[3])))  # fmt: skip
    assert envelope.recipients == tuple(f"{letter}@x.example" for letter in "abcd")
    assert envelope.blind == ("d@x.example",)


def test_a_message_id_is_of_the_send_and_the_senders_domain():
    assert message_id_of(SendId("01KB"), "ann@x.example") == "<01kb.mailroom@x.example>"


@pytest.mark.parametrize(
    "changes",
    [
        {"internet_message_id": "01kb@x.example"},
        {"internet_message_id": "<01kb@x.example>\r\nBcc: eve@evil.example"},
        {"date": datetime(2026, 11, 22)},
    ],
)
def test_what_we_choose_ourselves_is_never_wrong(changes):
    with pytest.raises(ValueError, match="of ours"):
        check(draft(**changes))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nb", "a b"),
        ("a\u2028 \x85b\0", "a b"),
        ("  a\tb ", "a b"),
        ("\r\n", ""),
        ("ä 🎉", "ä 🎉"),
    ],
)
def test_what_strangers_wrote_becomes_one_line(text, line):
    assert one_line(text) == line
