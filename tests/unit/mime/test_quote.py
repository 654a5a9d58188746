from dataclasses import replace

import pytest

from shared.domain.contents import Picture
from shared.domain.errors import RequestError
from shared.domain.ids import Address, MessageId, ThreadId
from shared.domain.mailbox import Direction
from shared.domain.message import Body, Message, Participant, ParticipantRole, StoredAttachment
from shared.domain.quoting import MOST_QUOTED_CHARACTERS, Original, Written
from shared.domain.sending import SendKind
from shared.domain.signature import Signature
from shared.mime.compose import MimeComposer
from shared.mime.sanitise import sanitise
from shared.mime.text import snippet
from shared.operations.quoted_text import split_quoted, split_signature
from tests.fakes.values import NOW
from tests.unit.mime.xss import DANGLING, FOLDED, LOADS, TRICKS

COMPOSER = MimeComposer()
PICTURE = StoredAttachment(
    "logo.png", "image/png", 9, True, "logo@x", "d" * 64, seen=Picture("image/png")
)
ANN = Signature("Ann Miller\nACME", "<b>Ann</b>")
HTML = '<p>At <b>noon</b>? <img src="cid:logo@x" alt="us"></p>'


def message(**changes) -> Message:
    values = {
        "id": MessageId("m1"),
        "thread_id": ThreadId("t1"),
        "internet_message_id": "own@bob",
        "in_reply_to": None,
        "references": (),
        "subject": "Lunch",
        "direction": Direction.INBOUND,
        "sent_at": NOW,
        "received_at": NOW,
        "participants": (
            Participant(ParticipantRole.FROM, Address("bob@x.example"), 'Bob "B" <i>'),
            Participant(ParticipantRole.TO, Address("ann@ours.example")),
            Participant(ParticipantRole.CC, Address("cleo@x.example"), "Cleo"),
            Participant(ParticipantRole.BCC, Address("blind@hidden.example"), "Hidden"),
        ),
        "snippet": "",
        "attachments": (PICTURE,),
    }
    return Message(**values | changes)


def original(text="At noon?\n", html=None, kind=SendKind.REPLY, **changes) -> Original:
    return Original(message(**changes), Body(text, html), kind)


def content(text=None, html=None, *, about=None, signature=None):
    return COMPOSER.content(Written(text, html), signature=signature, original=about)


def test_what_was_written_alone_is_what_is_sent():
    written = content("Yes.")
    assert (written.text, written.html) == ("Yes.", None)
    written = content("Yes.", "<p>Yes.</p>")
    assert (written.text, written.html) == ("Yes.", "<p>Yes.</p>")
    assert content(html="<p>Yes<br>so</p>").text == "Yes\nso"
    assert content().text == ""


def test_a_reply_quotes_below_what_was_written():
    assert content("Yes.\n", about=original("At noon?\n\n> Where?\n")).text == (
        "Yes.\n\n"
        'On Sun, 01 Mar 2026 at 12:00 UTC, Bob "B" <i> <bob@x.example> wrote:\n'
        "> At noon?\n"
        ">\n"
        ">> Where?\n"
    )


def test_what_is_passed_on_says_whose_it_was_and_hides_blind_copies():
    passed_on = content("See below.", about=original(html=HTML, kind=SendKind.FORWARD))
    assert passed_on.text == (
        "See below.\n\n"
        "---------- Forwarded message ----------\n"
        'From: Bob "B" <i> <bob@x.example>\n'
        "Date: Sun, 01 Mar 2026 at 12:00 UTC\n"
        "Subject: Lunch\n"
        "To: ann@ours.example\n"
        "Cc: Cleo <cleo@x.example>\n"
        "\n"
        "At noon?\n"
    )
    # Its HTML goes along, whatever the writer wrote in.
    assert passed_on.html.startswith("See below.<br>")
    assert "<b>noon</b>" in passed_on.html
    assert "&lt;bob@x.example&gt;" in passed_on.html
    for shown in (passed_on.text, passed_on.html):
        assert "hidden" not in shown.lower()


@pytest.mark.parametrize("kind", [SendKind.REPLY, SendKind.REPLY_ALL])
def test_our_own_reader_finds_quote_and_signature_again(kind):
    sent = content("Yes.", "<p>Yes.</p>", signature=ANN, about=original(html=HTML, kind=kind))
    written, quoted = split_quoted(sent.text)
    assert split_signature(written) == ("Yes.\n\n", "-- \nAnn Miller\nACME\n\n")
    assert quoted.startswith("On Sun, 01 Mar 2026")
    assert snippet(sent.text).startswith("Yes. -- Ann Miller")
    shown = sanitise(sent.html).html
    assert shown.count("<details>") == 2
    before, signature, quote = shown.split("<details>")
    assert "Yes." in before
    assert "<b>Ann</b>" in signature
    assert "wrote:" in quote
    assert "noon" in quote


def test_a_signature_stands_below_what_was_written():
    assert content("Yes.", signature=ANN).text == "Yes.\n\n-- \nAnn Miller\nACME"
    signed = content(html="<html><body><p>Yes.</p></body></html>\n", signature=ANN)
    assert signed.text == "Yes.\n\n-- \nAnn Miller\nACME"
    assert signed.html == (
        '<html><body><p>Yes.</p><br><div class="gmail_signature" dir="ltr"><b>Ann</b></div>'
        "</body></html>\n"
    )
    plain = Signature("Ann <ann@ours.example>\n  & Co")
    assert (
        "Ann &lt;ann@ours.example&gt;<br>&nbsp;&nbsp;&amp; Co"
        in content(html="x", signature=plain).html
    )


def test_pictures_of_a_quote_go_along_under_names_of_their_own():
    sent = content(html="<p>Yes.</p>", about=original(html=HTML + '<img src="cid:gone@x">'))
    [(name, part)] = sent.pictures.items()
    assert part == PICTURE
    assert f'src="cid:{name}"' in sent.html
    assert "logo@x" not in sent.html
    assert "gone@x" not in sent.html
    again = content(html="<p>Yes.</p>", about=original(html=HTML))
    assert dict(again.pictures) == {name: PICTURE}
    assert content("Yes.", about=original(html=HTML)).pictures == {}


def test_what_is_no_picture_is_not_taken_along_for_one():
    claimed = [
        StoredAttachment("invoice.exe", "application/x-msdownload", 9, True, "e@x", "e" * 64),
        StoredAttachment("login.html", "text/html", 9, True, "h@x", "f" * 64),
        StoredAttachment("big.bin", "image/png", 18_000_000, False, "b@x", "a" * 64),
        # Of two parts with one id the first counts.
        replace(PICTURE, content_id="b@x"),
    ]
    html = "".join(f'<img src="cid:{part.content_id}">' for part in claimed)
    for kind in SendKind.REPLY, SendKind.FORWARD:
        about = original(html=html, kind=kind, attachments=tuple(claimed))
        assert content(html="<p>Thanks</p>", about=about).pictures == {}


@pytest.mark.parametrize("places", [150, 200, 201])
def test_no_picture_of_a_quote_is_taken_for_one_that_the_writer_attached(places):
    html = '<img src="cid:logo@x">' * places + '<img src="cid:mine@writer"><img src="cid:logo@x">'
    sent = content(html="<p>Yes.</p>", about=original(html=html))
    [name] = sent.pictures
    assert sent.html.count(f"cid:{name}") == min(200, places + (places < 199))
    assert "mine@writer" not in sent.html
    assert "logo@x" not in sent.html


def test_nothing_of_a_strangers_html_is_quoted_as_it_came():
    for attack in (*TRICKS, *DANGLING, *LOADS, *FOLDED):
        sent = content(html="<p>x</p>", about=original(html=attack))
        quoted = sent.html.partition('padding-left:1ex">')[2].rpartition("</blockquote>")[0]
        # A fixed point of the sanitiser: there is nothing left for it to take out.
        assert quoted == sanitise(quoted, remote_images=True, folds=False).html
        assert "<details" not in quoted


def test_what_a_stranger_is_called_or_wrote_in_text_is_no_html():
    evil = original("<script>x</script>\n<b>y", kind=SendKind.FORWARD, subject="<script>z</script>")
    sent = content(html="<p>x</p>", about=evil)
    assert "<script" not in sent.html
    assert "<i>" not in sent.html
    assert "&lt;script&gt;" in sent.html


def test_a_line_break_in_a_name_is_no_line_of_the_head():
    people = (Participant(ParticipantRole.FROM, Address("bob@x.example"), "Bob\nTo: eve\u2028x"),)
    sent = content("x", about=original(kind=SendKind.FORWARD, participants=people))
    assert "From: Bob To: eve x <bob@x.example>\n" in sent.text


def test_nobody_s_mail_is_attributed_to_somebody():
    assert "somebody wrote:" in content("x", about=original(participants=())).text


def test_a_quote_is_bounded():
    long = original("word\n" * 300_000, html="<p>word</p>" * 90_000)
    sent = content("x", "<p>x</p>", about=long)
    assert len(sent.text) < MOST_QUOTED_CHARACTERS * 2
    assert sent.text.endswith("> [\N{HORIZONTAL ELLIPSIS}]\n")
    assert len(sent.html) < MOST_QUOTED_CHARACTERS * 3
    assert "word" in sent.html


def test_many_recipients_are_not_all_named():
    people = tuple(
        Participant(ParticipantRole.TO, Address(f"p{number}@x.example")) for number in range(400)
    )
    sent = content("x", about=original(kind=SendKind.FORWARD, participants=people))
    assert "p49@x.example, [\N{HORIZONTAL ELLIPSIS}]" in sent.text


# ---- signatures ----


def test_a_signature_is_kept_clean_and_in_both_forms():
    evil = '<p style="color:red">Ann <script>x</script><img src="https://ours.example/logo.png" onload="x"></p>'
    kept = COMPOSER.signature("", evil)
    assert kept.text == "Ann"
    assert kept.html == '<p>Ann <img src="https://ours.example/logo.png"></p>'
    assert COMPOSER.signature("Ann\r\nACME\n", None) == Signature("Ann\nACME")
    assert COMPOSER.signature("Ann\0", "") == Signature("Ann")


@pytest.mark.parametrize(
    ("text", "html", "field"),
    [
        ("", None, "text"),
        (" \n", "", "text"),
        ("x" * 2_001, None, "text"),
        ("x", "<b>x</b>" * 1_300, "html"),
    ],
)
def test_a_signature_that_is_too_long_or_nothing_is_refused(text, html, field):
    with pytest.raises(RequestError) as refused:
        COMPOSER.signature(text, html)
    assert [name for name, _ in refused.value.fields] == [field]
