"""Whatever the headers of a mail hold, an answer to it has one of each header, and nobody's Bcc."""

import email
import re
from base64 import b64encode
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.composing import NamedAddress, message_id_of
from shared.domain.contents import Picture
from shared.domain.ids import MessageId, SendId, ThreadId
from shared.domain.mailbox import Direction
from shared.domain.message import Body, Message, StoredAttachment
from shared.domain.quoting import Original, Written
from shared.domain.reply import answer_to
from shared.domain.sending import SendKind
from shared.mime.compose import MimeComposer
from shared.operations.answer_content import content_to_send
from tests.unit.mime.drafts import draft
from tests.unit.mime.mail import RECEIVED, parse

COMPOSER = MimeComposer()
US = "ann@ours.example"
EVIL = "x\r\nBcc: eve@evil.example\r\n\r\nX: \0\x0b\x85\u2028"


def word(text: str) -> str:
    """An encoded word, which may hold anything."""
    return f"=?utf-8?b?{b64encode(text.encode('utf-8', 'replace')).decode()}?="


def hostile(text: str) -> bytes:
    """A mail that has this in everything of a header that an answer takes up."""
    name = quote(text.encode("utf-8", "replace"), safe="")
    return (
        f"From: {word(text)} <bob@x.example>\r\n"
        f"To: {word(text)} <{US}>, {word(text)} <cleo@x.example>\r\n"
        f"Reply-To: {word(text)} <list@x.example>\r\n"
        f"Subject: {word(text)}\r\n"
        f"Message-ID: <{word(text)}@x.example>\r\n"
        f"References: <{word(text)}@x.example> <root@x.example>\r\n"
        "MIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/html\r\n\r\n"
        f"<p>Hi</p><img src='cid:{name}'>\r\n"
        "--b\r\nContent-Type: image/png\r\n"
        f"Content-Disposition: inline; filename*=utf-8''{name}\r\n"
        f"Content-ID: <{word(text)}>\r\n\r\npng\r\n"
        "--b--\r\n"
    ).encode()


def answered(raw: bytes, kind: SendKind) -> bytes:
    read = parse(raw)
    message = Message(
        id=MessageId("m1"),
        thread_id=ThreadId("t1"),
        internet_message_id=read.internet_message_id,
        in_reply_to=read.in_reply_to,
        references=read.references,
        subject=read.subject,
        direction=Direction.INBOUND,
        sent_at=RECEIVED,
        received_at=RECEIVED,
        participants=read.participants,
        snippet=read.snippet,
        attachments=tuple(
            StoredAttachment(
                part.filename,
                part.content_type,
                part.size,
                part.inline,
                part.content_id,
                "d" * 64,
                seen=Picture("image/png"),
            )
            for part in read.attachments
        ),
    )
    answer = answer_to(message, kind, [US])
    content = content_to_send(
        Written("Hi", "<p>Hi</p>"),
        signature=None,
        original=Original(message, Body(read.text, read.html), kind),
        quotes=True,
        passes_files_on=kind is SendKind.FORWARD,
        room=1_000,
        composer=COMPOSER,
        read=lambda _: b"png",
    )
    return COMPOSER.compose(
        draft(
            internet_message_id=message_id_of(SendId("01KB"), US),
            to=answer.to or (NamedAddress("dan@x.example"),),
            cc=answer.cc,
            subject=answer.subject,
            in_reply_to=answer.in_reply_to,
            references=answer.references,
            text=content.text,
            html=content.html,
            attachments=content.attachments,
        )
    )


TOP = {
    "date", "from", "to", "cc", "subject", "message-id", "in-reply-to", "references",
    "mime-version", "content-type",
}  # fmt: skip
INSIDE = {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}


def assert_one_of_each(mail: bytes) -> None:
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", mail)
    parsed = email.message_from_bytes(mail)
    for part in parsed.walk():
        names = [name.lower() for name in part]
        assert len(names) == len(set(names))
        assert set(names) <= (TOP if part is parsed else INSIDE)
        assert not part.defects
    read = parse(mail)
    assert read.defects == ()
    assert {str(one.address) for one in read.participants} <= {
        "ann@sender.example", "list@x.example", "bob@x.example", "cleo@x.example", "dan@x.example",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [SendKind.REPLY, SendKind.REPLY_ALL, SendKind.FORWARD])
def test_an_answer_to_a_mail_with_line_breaks_in_its_headers_has_one_of_each(kind):
    mail = answered(hostile(EVIL), kind)
    assert_one_of_each(mail)
    assert parse(mail).subject.endswith(": x Bcc: eve@evil.example X:")


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(
        st.text(max_size=8)
        | st.sampled_from(["\r\n", "\n", "\r", "\0", "\u2028", "Bcc:", "<", ">", '"', ",", "=?", "?=", ";", "\\"]),
        max_size=8,
    ).map("".join),
    kind=st.sampled_from([SendKind.REPLY, SendKind.REPLY_ALL, SendKind.FORWARD]),
)  # fmt: skip
def test_whatever_stands_in_a_mails_headers_an_answer_to_it_is_whole(text, kind):
    assert_one_of_each(answered(hostile(text), kind))
