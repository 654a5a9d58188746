from dataclasses import replace

import pytest

from shared.domain.composing import DraftAttachment
from shared.domain.contents import Picture
from shared.domain.errors import ErrorCode, RequestError, SendRefusedError
from shared.domain.ids import MessageId, ThreadId
from shared.domain.mailbox import Direction
from shared.domain.message import Body, Message, StoredAttachment
from shared.domain.quoting import Original, Written
from shared.domain.sending import SendKind
from shared.domain.signature import Signature
from shared.mime.compose import MimeComposer
from shared.operations.answer_content import MOST_PASSED_ON, content_to_send
from tests.fakes.values import NOW

LOGO = StoredAttachment(
    "logo.png", "image/png", 4, True, "logo@x", "1" * 64, seen=Picture("image/png")
)
PLAN = StoredAttachment("pl\u2028an.pdf", "application/pdf", 8, digest="2" * 64)
LOST = StoredAttachment("huge.zip", "application/zip", 9, missing="too_large")
KEPT = {LOGO: b"logo", PLAN: b"the plan"}
HTML = '<p>See <img src="cid:logo@x"></p>'


def send(*parts, kind=SendKind.FORWARD, html=HTML, room=100, kept=KEPT, read=None, **changes):
    message = Message(
        MessageId("m1"), ThreadId("t1"), None, None, (), "Plan", Direction.INBOUND, NOW, NOW, (), "", parts
    )  # fmt: skip
    values = {"signature": None, "quotes": True, "passes_files_on": True, **changes}
    return content_to_send(
        Written("Hi", "<p>Hi</p>"),
        original=Original(message, Body("See", html), kind),
        room=room,
        composer=MimeComposer(),
        read=read or kept.get,
        **values,
    )


def shown(sent):
    return [(one.filename, one.content, one.inline) for one in sent.attachments]


def test_files_are_passed_on_and_pictures_stand_where_they_stood():
    sent = send(LOGO, PLAN)
    assert shown(sent) == [("logo.png", b"logo", True), ("pl an.pdf", b"the plan", False)]
    assert f'src="cid:{sent.attachments[0].content_id}"' in sent.html
    assert sent.attachments[1] == DraftAttachment("pl an.pdf", "application/pdf", b"the plan")


def test_a_picture_that_no_quote_shows_is_passed_on_as_a_file():
    assert shown(send(LOGO, quotes=False)) == [("logo.png", b"logo", False)]
    assert shown(send(LOGO, html=None)) == [("logo.png", b"logo", False)]


def test_a_reply_takes_along_what_its_quote_shows_and_no_file():
    sent = send(LOGO, PLAN, LOST, kind=SendKind.REPLY, passes_files_on=False)
    assert shown(sent) == [("logo.png", b"logo", True)]
    assert (
        send(LOGO, PLAN, kind=SendKind.REPLY, passes_files_on=False, quotes=False).attachments == ()
    )


def test_what_is_no_picture_is_passed_on_as_a_file_and_answered_without():
    program = StoredAttachment(
        "invoice.exe", "application/x-msdownload", 4, True, "logo@x", "3" * 64
    )
    kept = {program: b"MZ\x90E"}
    assert send(program, kind=SendKind.REPLY, passes_files_on=False, kept=kept).attachments == ()
    assert shown(send(program, kept=kept)) == [("invoice.exe", b"MZ\x90E", False)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("logo.PNG", "logo.PNG"),
        ("invoice.exe", "invoice.exe.png"),
        ("logo.jpg", "logo.jpg.png"),
        ("", "picture.png"),
    ],
)
def test_a_picture_leaves_as_what_it_was_seen_to_be(named, expected):
    claimed = replace(LOGO, filename=named, content_type="application/x-msdownload")
    [part] = send(claimed, kept={claimed: b"logo"}).attachments
    assert (part.filename, part.content_type) == (expected, "image/png")


def test_without_a_quote_nothing_of_the_original_is_said():
    sent = send(LOGO, quotes=False, passes_files_on=False, signature=Signature("Ann"))
    assert (sent.text, sent.attachments) == ("Hi\n\n-- \nAnn", ())
    assert "See" not in sent.html


def test_a_picture_that_is_gone_or_has_no_room_is_left_out():
    assert send(LOGO, passes_files_on=False, kept={}).attachments == ()
    assert send(LOGO, passes_files_on=False, room=3).attachments == ()
    assert shown(send(LOGO, PLAN, room=11)) == [("pl an.pdf", b"the plan", False)]


@pytest.mark.parametrize(
    ("parts", "kept", "named"), [((PLAN, LOST), KEPT, "huge.zip"), ((PLAN,), {}, "pl an.pdf")]
)
def test_a_file_that_was_not_kept_is_named(parts, kept, named):
    with pytest.raises(RequestError) as refused:
        send(*parts, kept=kept)
    assert refused.value.code is ErrorCode.ATTACHMENT_NOT_FOUND
    [(field, reason)] = refused.value.fields
    assert field == "answers.forward_attachments"
    assert f'"{named}"' in reason


def test_more_files_than_are_read_in_time_are_refused_before_any_is_read():
    many = [replace(PLAN, filename=f"{number}.pdf") for number in range(MOST_PASSED_ON + 1)]
    read = []

    def noted(part):
        read.append(part)
        return b""

    with pytest.raises(RequestError) as refused:
        send(*many, room=10_000, read=noted)
    assert refused.value.code is ErrorCode.INVALID_REQUEST
    assert [field for field, _ in refused.value.fields] == ["answers.forward_attachments"]
    assert read == []
    send(*many[1:], room=10_000, read=noted)
    assert len(read) == MOST_PASSED_ON


def test_files_that_have_no_room_are_refused_before_any_is_read():
    def never(_):
        raise AssertionError

    with pytest.raises(SendRefusedError) as refused:
        send(PLAN, room=7, read=never)
    assert refused.value.code is ErrorCode.MAIL_TOO_LARGE
