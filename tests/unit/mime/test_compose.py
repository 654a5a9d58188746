import email
import email.policy
import re
import smtplib
from dataclasses import replace

import pytest
from aiosmtpd.controller import Controller
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.composing import DraftAttachment, NamedAddress
from shared.domain.errors import ErrorCode, RequestError
from shared.domain.message import ParticipantRole
from shared.mime.compose import MimeComposer
from shared.mime.filenames import filename
from tests.unit.mime.drafts import (
    BODIES,
    CONTENT_IDS,
    FILENAMES,
    LINES,
    PEOPLE,
    PLAIN,
    draft,
)
from tests.unit.mime.mail import parse

COMPOSER = MimeComposer()
_ONCE = {"date", "from", "to", "cc", "reply-to", "subject", "message-id", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"}  # fmt: skip


def compose(**changes) -> bytes:
    return COMPOSER.compose(draft(**changes))


def people(parsed, role):
    return [(one.address, one.name) for one in parsed.participants if one.role is role]


def as_read(people):
    """Whom a reader sees: each once, in the form in which addresses meet."""
    seen = {}
    for one in people:
        seen.setdefault(one.address.lower(), one.name)
    return list(seen.items())


def body(text):
    """A body as it is read: with this system's line ends, and one at its end."""
    return re.sub(r"\r\n|\r|\n", "\n", text).removesuffix("\n") + "\n"


def headers(content):
    found = re.split(rb"\r\n(?![ \t])", content.partition(b"\r\n\r\n")[0])
    return [line.partition(b":")[0].decode().lower() for line in found]


def assert_fit_for_the_wire(content):
    assert content.isascii()
    assert b"\0" not in content
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(line.startswith((b".", b"From ")) for line in lines)
    names = headers(content)
    assert len(names) == len(set(names))
    assert set(names) <= _ONCE


@settings(max_examples=150, deadline=None)
@given(
    sender=PEOPLE,
    to=st.lists(PEOPLE, max_size=4),
    cc=st.lists(PEOPLE, max_size=3),
    reply_to=st.none() | PEOPLE,
    subject=LINES,
)
def test_who_and_what_a_header_says_is_read_as_it_was_written(sender, to, cc, reply_to, subject):
    content = compose(sender=sender, to=tuple(to), cc=tuple(cc), reply_to=reply_to, subject=subject)
    assert_fit_for_the_wire(content)
    read = parse(content)
    assert read.subject == subject
    assert people(read, ParticipantRole.FROM) == as_read([sender])
    assert people(read, ParticipantRole.TO) == as_read(to)
    assert people(read, ParticipantRole.CC) == as_read(cc)
    assert people(read, ParticipantRole.REPLY_TO) == as_read([reply_to] if reply_to else [])
    assert read.sent_at == PLAIN.date
    assert read.internet_message_id == "01kb.mailroom@sender.example"


@settings(max_examples=100, deadline=None)
@given(text=BODIES, html=st.none() | BODIES)
def test_bodies_are_read_as_they_were_written(text, html):
    content = compose(text=text, html=html)
    assert_fit_for_the_wire(content)
    read = parse(content)
    expected = body(html) if html is not None and html.strip() else None
    assert read.html == expected
    if text.strip():
        assert read.text == body(text)
    assert read.attachments == ()


@settings(max_examples=100, deadline=None)
@given(
    files=st.lists(
        st.tuples(FILENAMES, st.binary(max_size=200), st.none() | CONTENT_IDS, st.booleans()),
        max_size=4,
        unique_by=lambda one: one[2] or object(),
    ),
    html=st.none() | st.just("<p>look</p>"),
)
def test_files_are_read_as_they_were_written(files, html):
    given_files = [
        DraftAttachment(name[:255], "application/x-thing", content, content_id, inline)
        for name, content, content_id, inline in files
    ]
    content = compose(html=html, attachments=tuple(given_files))
    assert_fit_for_the_wire(content)
    read = parse(content)
    assert read.text == "At noon?\n"

    def expected(one):
        shown = one.inline and one.content_id is not None and html is not None
        return (
            filename(one.filename, "application/x-thing"),
            one.content,
            one.content_id,
            shown,
        )

    # Those that are shown stand with the HTML, before the files.
    shown = [one for one in given_files if one.inline and one.content_id and html]
    rest = [one for one in given_files if one not in shown]
    assert [
        (one.filename, one.content, one.content_id, one.inline) for one in read.attachments
    ] == [expected(one) for one in (*shown, *rest)]


def test_the_same_draft_is_the_same_mail_byte_by_byte():
    full = draft(
        html="<p>x</p>",
        attachments=(
            DraftAttachment("a.png", "image/png", b"1", "a", inline=True),
            DraftAttachment("b.pdf", "application/pdf", b"2"),
        ),
    )
    assert COMPOSER.compose(full) == COMPOSER.compose(replace(full))


def test_two_mails_have_no_boundary_in_common():
    other = draft(html="<p>x</p>", internet_message_id="<other@sender.example>")
    boundary = re.compile(rb'boundary="([^"]+)"')
    first = set(boundary.findall(compose(html="<p>x</p>")))
    assert first
    assert first.isdisjoint(boundary.findall(COMPOSER.compose(other)))


@pytest.mark.parametrize(
    ("changes", "shape"),
    [
        ({}, ["text/plain"]),
        ({"text": None}, ["text/plain"]),
        ({"html": "<b>x</b>"}, ["multipart/alternative", "text/plain", "text/html"]),
        (
            {"attachments": (DraftAttachment("a.pdf", "application/pdf", b"1"),)},
            ["multipart/mixed", "text/plain", "application/pdf"],
        ),
        (
            {
                "html": "<img src='cid:a'>",
                "attachments": (
                    DraftAttachment("b.pdf", "application/pdf", b"1"),
                    DraftAttachment("a.png", "image/png", b"1", "a", inline=True),
                ),
            },
            [
                "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related",
                "text/html", "image/png", "application/pdf",
            ],
        ),
    ],
)  # fmt: skip
def test_a_mail_has_no_more_parts_than_it_needs(changes, shape):
    parsed = email.message_from_bytes(compose(**changes), policy=email.policy.default)
    assert [part.get_content_type() for part in parsed.walk()] == shape
    assert all(not part.defects for part in parsed.walk())


def test_html_alone_gets_a_text_made_of_it():
    read = parse(compose(text=None, html="<p>At <b>noon</b>?</p><p>Ann</p>"))
    assert read.text == "At noon?\n\nAnn\n"


def test_a_text_that_goes_along_is_never_read_as_the_mails_own():
    note = DraftAttachment(
        "note.txt", "Text/Plain; charset=utf-8", b"not mine", "note", inline=True
    )
    for html in (None, "<p>Yes.</p>"):
        read = parse(compose(text="Yes.", html=html, attachments=(note,)))
        assert read.text == "Yes.\n"
        [part] = read.attachments
        assert (part.content_type, part.content, part.inline) == ("text/plain", b"not mine", False)


@pytest.mark.parametrize("claimed", ["message/rfc822", "multipart/mixed", "x", "a/b\r\nBcc: c", ""])
def test_what_is_no_type_of_a_file_goes_as_a_plain_one(claimed):
    content = compose(attachments=(DraftAttachment("a.eml", claimed, b"Subject: x\r\n\r\ny"),))
    assert_fit_for_the_wire(content)
    [read] = parse(content).attachments
    assert (read.filename, read.content_type) == ("a.eml", "application/octet-stream")
    assert read.content == b"Subject: x\r\n\r\ny"


# ---- what nobody may write into a header (T30) ----

_BREAKS = [
    "\r\nBcc: eve@evil.example",
    "\n",
    "\r",
    "\0",
    "\x0b",
    "\x85",
    "\u2028",
    "\ud800",
    "\x1b",
]


@pytest.mark.parametrize("evil", _BREAKS)
@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("subject", lambda text: {"subject": f"Lunch{text}"}),
        ("from.name", lambda text: {"sender": NamedAddress("ann@sender.example", f"A{text}")}),
        ("from.address", lambda text: {"sender": NamedAddress(f"ann@sender.example{text}")}),
        ("reply_to.name", lambda text: {"reply_to": NamedAddress("a@b.example", text)}),
        ("to.0.name", lambda text: {"to": (NamedAddress("a@b.example", text),)}),
        ("to.0.address", lambda text: {"to": (NamedAddress(f"a{text}@b.example"),)}),
        ("cc.1.name", lambda text: {"cc": (PLAIN.sender, NamedAddress("a@b.example", text))}),
        ("bcc.0.name", lambda text: {"bcc": (NamedAddress("a@b.example", text),)}),
        (
            "attachments.0.filename",
            lambda text: {"attachments": (DraftAttachment(f"a{text}", "a/b", b""),)},
        ),
        (
            "attachments.0.content_id",
            lambda text: {"attachments": (DraftAttachment("a", "a/b", b"", f"a{text}"),)},
        ),
    ],
)
def test_a_line_break_is_refused_and_its_field_named(evil, field, changes):
    with pytest.raises(RequestError) as refused:
        compose(**changes(evil))
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    assert field in dict(refused.value.fields)


@pytest.mark.parametrize("evil", [*_BREAKS, " ", ">", "<", "ä", "x" * 1000])
def test_an_id_that_cannot_be_written_is_left_out(evil):
    content = compose(in_reply_to=f"a{evil}b@c", references=("root@c", f"a{evil}b@c", "last@c"))
    assert_fit_for_the_wire(content)
    assert "in-reply-to" not in headers(content)
    assert parse(content).references == ("root@c", "last@c")


@pytest.mark.parametrize("length", [70, 200, 900])
def test_a_long_id_is_never_encoded(length):
    content = compose(in_reply_to="a" * length + "@c", references=("r" * length + "@c", "l@c"))
    assert_fit_for_the_wire(content)
    assert b"<" + b"a" * length + b"@c>" in content
    assert parse(content).references == ("r" * length + "@c", "l@c")


def test_every_field_that_is_refused_is_named_at_once():
    with pytest.raises(RequestError) as refused:
        compose(subject="a\nb", to=(NamedAddress("nobody"),), text="a\0b")
    assert [name for name, _ in refused.value.fields] == ["subject", "to.0.address", "text"]


# ---- blind copies ----


def test_bcc_is_not_in_the_mail_and_adds_one_field_and_nothing_else():
    blind = [f"blind{number}@hidden.example" for number in range(40)]
    content = compose(bcc=tuple(map(NamedAddress, blind)), html="<p>x</p>")
    assert b"hidden.example" not in content
    assert b"bcc" not in content.lower()
    copy = COMPOSER.with_bcc(content, blind)
    assert_fit_for_the_wire(copy.replace(b"\r\nBcc:", b"\r\nReply-To:"))
    assert headers(copy) == [*headers(content), "bcc"]
    assert re.sub(rb"\r\nBcc:(?:[^\r]|\r\n )*", b"", copy, count=1) == content
    assert people(parse(copy), ParticipantRole.BCC) == [(one, "") for one in blind]


def test_nobody_blind_adds_nothing():
    content = compose()
    assert COMPOSER.with_bcc(content, ()) == content


# ---- SMTP smuggling (T31) ----

_ENDS = ["\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n.\n", "\r\n.\r\n", "\r\n\0.\r\n"]
_SECOND = "MAIL FROM:<eve@evil.example>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nSubject: second\r\n"


class _Receiver:
    def __init__(self):
        self.contents = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name of it
        self.contents.append(envelope.content)
        return "250 OK"


class _OnAnyPort(Controller):
    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(scope="module")
def receiver():
    controller = _OnAnyPort(_Receiver(), hostname="127.0.0.1", port=0)
    controller.start()
    yield controller
    controller.stop()


@pytest.mark.parametrize("end", _ENDS)
def test_no_text_ends_a_mail_before_its_end(receiver, end):
    contents = receiver.handler.contents
    contents.clear()
    evil = f"before{end}{_SECOND}{end}after\n.\n..\n.x"
    content = compose(
        text=evil.replace("\0", ""),
        html=evil.replace("\0", ""),
        attachments=(DraftAttachment("a.txt", "text/plain", evil.encode()),),
    )
    assert_fit_for_the_wire(content)
    with smtplib.SMTP("127.0.0.1", receiver.port, local_hostname="sender.example") as client:
        client.sendmail("ann@sender.example", ["bob@example.org"], content)
    assert contents == [content]
    read = parse(contents[0])
    assert read.text == body(evil.replace("\0", ""))
    assert read.attachments[0].content == evil.encode()
