from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.identity import thread_and_message_id
from shared.domain.ids import TenantId
from shared.domain.mailbox import Direction
from shared.domain.matching import why_kept_out
from shared.domain.message import ParticipantRole
from shared.domain.policy import TenantPolicy
from shared.mime.parse import MimeParser
from tests.unit.mime.mail import PAYLOADS, in_parts, parse, payload, whole

HEAD = b"From: a@b.example\r\nMessage-ID: <x@b.example>\r\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("charset_koi8_r", "Привет, мир"),
        ("charset_gb18030", "你好，世界"),
        ("charset_windows_1251", "Добрый день"),
        ("charset_shift_jis", "こんにちは"),
        ("charset_iso_2022_jp", "会議の件"),
        ("charset_cp850", "für Käse"),
        ("charset_hz", "你好"),
        ("charset_euc_kr", "안녕하세요"),
        ("charset_utf_7", "Grüße"),
        ("charset_unknown", "Grüße"),
        ("charset_latin_1_declared_utf_8", "Grüße aus Köln"),
        ("charset_utf_8_declared_latin_1", "Grüße aus Köln"),
        ("charset_undeclared", "Grüße aus Köln"),
        ("base64_truncated_text", "Grüße und mehr"),
        ("no_separator", "the body starts here\nand goes on"),
        ("no_headers", "just a line of text\nand another"),
        ("bare_cr", "hello\nthere"),
        ("bare_lf", "hello\nthere"),
        ("nuls", "hello"),
        ("boundary_missing", "plain words"),
        ("boundary_never_used", "just these words"),
        ("several_texts", "plain words\nsecond words"),
        ("html_only", "Grüße\n\none\ntwo\n\na b\nc"),
        ("html_before_footer", "html words\n\nmore\n\n-- \nlist footer"),
        ("unicode_odd", "x\u2028y\u202ez"),
        ("calendar_only", ""),
        ("smime_encrypted", ""),
    ],
)
def test_text(name, text):
    assert parse(payload(name)).text.rstrip("\n") == text


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("charset_iso_2022_jp", "会議の件"),
        ("headers_8bit", "Grüße"),
        ("words_broken", "Hello Worldéaéb =?x?="),
        ("nuls", "ab"),
        ("bare_cr_in_header", "x Bcc: spy@evil.example"),
        ("duplicate_headers", "first"),
        ("unicode_odd", "a b\u202ec"),
        ("no_colon_first", "x"),
        ("mbox_from_line", "x"),
        ("blank_lines_first", "x"),
        ("no_headers", ""),
    ],
)
def test_subject(name, subject):
    assert parse(payload(name)).subject == subject


@pytest.mark.parametrize(
    ("name", "attachments"),
    [
        ("attachment_rfc2231", [("Résumé.pdf", "application/pdf", b"%PDF-1.4 data", False)]),
        ("base64_truncated", [("Résumé.pdf", "application/pdf", b"%PDF-1.4 dat", False)]),
        ("boundary_missing", [("Résumé.pdf", "application/pdf", b"%PDF-1.4 data", False)]),
        ("filename_path", [("pass wd", "application/pdf", b"%PDF-1.4 data", False)]),
        (
            "nested",
            [
                ("lögo.png", "image/png", b"\x89PNG\r\n\x1a\n", True),
                ("Résumé.pdf", "application/pdf", b"%PDF-1.4 data", False),
            ],
        ),
        ("tnef", [("winmail.dat", "application/ms-tnef", b"x\x9f>\x22\x00\x00", False)]),
        (
            "smime_signed",
            [("smime.p7s", "application/pkcs7-signature", b"0\x82\x01", False)],
        ),
        (
            "calendar_only",
            [("invite.ics", "text/calendar", b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", False)],
        ),
        ("uuencoded", [("cat.txt", "application/octet-stream", b"Cat", False)]),
    ],
)
def test_attachments(name, attachments):
    found = parse(payload(name)).attachments
    assert [(a.filename, a.content_type, a.content, a.inline) for a in found] == attachments
    assert all(a.size == len(a.content or b"") for a in found)


def test_an_attached_message_is_an_attachment_and_its_text_is_not_ours():
    message = parse(payload("forwarded"))
    (attached,) = message.attachments
    assert (attached.filename, attached.content_type) == ("message.eml", "message/rfc822")
    assert attached.content is not None
    assert b"inner text" in attached.content
    assert message.text == "plain words"


def test_a_bounce_shows_itself():
    message = parse(payload("bounce"))
    assert message.headers == {"return-path": "<>", "auto-submitted": "auto-replied"}
    assert [a.filename for a in message.attachments] == ["delivery-status.txt", "message.eml"]


def test_an_automatic_reply_and_a_list_show_themselves():
    assert parse(payload("auto_reply")).headers == {
        "auto-submitted": "auto-replied",
        "precedence": "bulk",
        "x-auto-response-suppress": "All",
    }
    assert parse(payload("list")).headers == {
        "list-id": "Some list <list.sender.example>",
        "list-unsubscribe": "<mailto:leave@list.example>, <https://list.example/leave>",
        "precedence": "list",
    }


def test_a_list_that_says_so_in_another_way_shows_itself_by_one_header():
    mail = b"From: a@b.example\r\nList-Post: NO\r\nList-Help: <mailto:h@b.example>\r\n\r\nx"
    assert parse(mail).headers == {"list-post": "NO"}
    assert parse(b"List-Id: <l.b.example>\r\n" + mail).headers == {"list-id": "<l.b.example>"}


def test_an_inline_image_keeps_its_id():
    image = parse(payload("nested")).attachments[0]
    assert (image.content_id, image.inline) == ("logo@x", True)


def test_one_bad_address_does_not_cost_the_others():
    people = parse(payload("addresses_one_bad")).participants
    assert [(p.role.value, p.address, p.name) for p in people] == [
        ("from", "ann@sender.example", ""),
        ("to", "b@c.example", ""),
        ("to", "d@e.example", "D, E"),
        ("to", "f@g.example", ""),
        ("to", "h@i.example", ""),
        ("to", "j@k.example", "Jay"),
        ("cc", "l@m.example", ""),
    ]


def test_an_encoded_name_cannot_become_an_address():
    addresses = {p.address for p in parse(payload("words_spell_an_address")).participants}
    assert addresses == {"thief@evil.example", "b@c.example", "jane@x.example"}


def test_names_with_raw_bytes_are_read():
    names = [p.name for p in parse(payload("headers_8bit")).participants]
    assert names == ["Jörg", "Müller"]


def test_a_header_given_twice_counts_twice_for_people_and_once_otherwise():
    message = parse(payload("duplicate_headers"))
    to = [p.address for p in message.participants if p.role is ParticipantRole.TO]
    assert to == ["bob@reader.example", "carol@reader.example"]
    assert message.internet_message_id == "case@sender.example"


def test_ids_survive_comments_case_and_garbage():
    message = parse(payload("id_in_comments"))
    assert message.internet_message_id == "Case.1@Sender.example"
    assert message.references == ("a@b", "c@d")
    assert message.in_reply_to == "e@f"


def test_a_date_is_utc_and_none_where_there_is_none_to_read():
    assert parse(payload("alternative")).sent_at == datetime(2026, 11, 21, 9, tzinfo=UTC)
    assert parse(payload("date_absurd")).sent_at is None


@pytest.mark.parametrize(
    "date",
    [
        "Thu, 31 Dec 9999 23:59:59 -2300",
        "Sat, 01 Jan 0001 00:00:00 +2300",
        "1" * 100_000,
        "Sat, 21 Nov 2026 10:00:00 +99999999999",
        "21 Nov 26 1:2:3 GMT",
        "\x00",
    ],
)
def test_absurd_dates_end_as_a_date_or_none(date):
    sent = parse(HEAD + b"Date: " + date.encode() + b"\r\n\r\nx").sent_at
    assert sent is None or sent.tzinfo is UTC or sent.utcoffset() is not None


def test_the_snippet_is_what_is_new():
    assert parse(payload("reply_quote")).snippet == "New words here."


def test_html_stays_as_received():
    html = parse(payload("html_only")).html
    assert html is not None
    assert "<script>" in html


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("base64_truncated", "stdlib"),
        ("no_headers", "no_headers"),
        ("no_separator", "unterminated_header_block"),
        ("no_colon_first", "repaired"),
        ("nuls", "nul"),
        ("bare_cr", "bare_cr"),
        ("mbox_from_line", "preface"),
        ("boundary_missing", "no_boundary"),
        ("boundary_never_used", "no_parts"),
        ("charset_unknown", "charset_fallback"),
        ("date_absurd", "date_unparseable"),
    ],
)
def test_each_fallback_leaves_its_name(name, defect):
    assert defect in parse(payload(name)).defects


@pytest.mark.parametrize("name", ["alternative", "nested", "bare_lf", "list", "smime_signed"])
def test_a_good_message_has_no_defects(name):
    message = parse(payload(name))
    assert message.defects == ()
    assert not message.truncated


@pytest.mark.parametrize("raw", [b"", b"\r\n\r\n", b" \t\n"])
def test_nothing_is_unreadable(raw):
    with pytest.raises(UnreadableMessageError) as failure:
        parse(raw)
    assert failure.value.code is ErrorCode.MESSAGE_MALFORMED


def test_a_message_neither_whole_nor_in_parts_is_unreadable():
    with pytest.raises(UnreadableMessageError):
        MimeParser().parse(replace(whole(b"x"), raw=None))


def test_more_than_fifty_megabytes_is_too_large():
    with pytest.raises(UnreadableMessageError) as failure:
        parse(HEAD + b"\r\n" + bytes(50 * 1024 * 1024))
    assert failure.value.code is ErrorCode.MESSAGE_TOO_LARGE


# ---- caps ----


def test_references_keep_the_root_and_the_latest():
    ids = [f"{n}@r.example" for n in range(10_000)]
    raw = HEAD + b"References: " + "\r\n ".join(f"<{i}>" for i in ids).encode() + b"\r\n\r\nx"
    message = parse(raw)
    assert len(message.references) == 100
    assert message.references[0] == ids[0]
    assert list(message.references[1:]) == ids[-99:]
    assert message.truncated


def test_participants_subject_text_html_and_ids_are_capped():
    to = b", ".join(b"<%d@b.example>" % n for n in range(900))
    raw = (
        b"From: a@b.example\r\nMessage-ID: <" + b"i" * 10_000 + b"@x>\r\nTo: " + to
        + b"\r\nSubject: " + "ä".encode() * 5_000 + b"\r\nContent-Type: multipart/alternative;"
        b' boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n'
        + "ä".encode() * 2_000_000
        + b"\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        + b"<p>x" * 1_000_000 + b"\r\n--b--\r\n"
    )  # fmt: skip
    message = parse(raw)
    assert len(message.participants) == 500
    assert len(message.subject) == 2_000
    assert len(message.internet_message_id or "") == 998
    assert len(message.text.encode()) == 1024 * 1024
    assert message.html is not None
    assert len(message.html.encode()) == 1024 * 1024
    assert len(message.snippet) <= 160
    assert message.truncated
    assert {"too_many_participants", "subject_too_long", "text_too_long", "html_too_long"} <= set(
        message.defects
    )


@pytest.mark.parametrize("colleagues", [499, 600, 5_000])
def test_who_writes_to_more_than_are_kept_is_not_taken_to_write_to_colleagues_alone(colleagues):
    to = b",\r\n ".join(b"c%04d@ours.example" % number for number in range(colleagues))
    policy = TenantPolicy(own_domains=("ours.example",))
    among = parse(b"From: ann@ours.example\r\nTo: c1@ours.example\r\n\r\n")
    assert why_kept_out(policy, among, Direction.INBOUND) == "internal"
    message = parse(b"From: ann@ours.example\r\nTo: %b,\r\n cleo@client.example\r\n\r\n" % to)
    assert "cleo@client.example" not in message.taking_part()
    assert why_kept_out(policy, message, Direction.INBOUND) is None


def test_a_file_name_is_cut_before_its_extension():
    raw = (
        HEAD + b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="
        + b"n" * 400 + b".pdf\r\n\r\nx"
    )  # fmt: skip
    (attachment,) = parse(raw).attachments
    assert len(attachment.filename) == 255
    assert attachment.filename.endswith("n.pdf")


def test_a_thousand_parts_are_kept_of_ten_thousand():
    raw = (
        HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\nContent-Type: application/pdf\r\n\r\nx\r\n" * 10_000 + b"--b--\r\n"
    )  # fmt: skip
    message = parse(raw)
    assert len(message.attachments) == 1_000
    assert message.truncated


def test_lines_that_look_like_delimiters_are_no_parts():
    patch = b"".join(b"--- a/file%d\r\n+++ b/file%d\r\n" % (n, n) for n in range(3_000))
    message = parse(HEAD + b"\r\n" + patch)
    assert not message.truncated
    assert message.text.count("\n") == 6_000


# ---- identity ----

FETCHABLE = sorted(
    path.stem
    for path in PAYLOADS.glob("*.eml")
    # Where there is no structure to describe, no server hands out parts.
    if path.stem
    not in {
        "boundary_missing", "boundary_never_used", "no_headers", "no_separator", "no_colon_first",
        "bare_cr", "mbox_from_line", "blank_lines_first",
    }
)  # fmt: skip


@pytest.mark.parametrize("name", FETCHABLE)
def test_whole_and_in_parts_are_one_message(name):
    raw = payload(name)
    one, other = parse(raw), MimeParser().parse(in_parts(raw))
    tenant = TenantId("t")
    assert other.fingerprint_source == one.fingerprint_source
    assert thread_and_message_id(tenant, other, ()) == thread_and_message_id(tenant, one, ())
    assert other.participants == one.participants
    assert other.subject == one.subject
    assert other.text.rstrip() == one.text.rstrip()
    assert [a.filename for a in other.attachments] == [a.filename for a in one.attachments]


@pytest.mark.parametrize("name", ["nested", "base64_truncated", "uuencoded", "calendar_only"])
def test_attachments_fetched_in_parts_are_decoded(name):
    raw = payload(name)
    other = MimeParser().parse(in_parts(raw, fetched_attachments=True))
    assert other.attachments == parse(raw).attachments


def test_a_leaf_left_at_the_provider_names_its_section():
    _, pdf = MimeParser().parse(in_parts(payload("nested"))).attachments
    assert (pdf.content, pdf.section, pdf.encoding) == (None, "2", "base64")
    assert pdf.size <= 20


@pytest.mark.parametrize("name", ["alternative", "no_message_id"])
def test_the_way_to_a_mailbox_changes_nothing(name):
    raw = payload(name)
    other = b"Return-Path: <a@b.example>\r\nDelivered-To: c@d.example\r\nReceived: x\r\n" + raw
    assert parse(other).fingerprint_source == parse(raw).fingerprint_source


def test_two_messages_with_one_id_stay_two():
    raw = payload("alternative")
    other = raw.replace(b"plain words", b"other words")
    assert parse(other).fingerprint_source != parse(raw).fingerprint_source


@pytest.mark.parametrize("name", ["no_message_id", "bare_lf"])
def test_two_messages_differ_by_their_whole_text(name):
    raw = payload(name) + b"word " * 100_000
    assert parse(raw + b"a").fingerprint_source != parse(raw + b"b").fingerprint_source


def test_two_messages_with_the_same_text_differ_by_their_html():
    raw = payload("alternative")
    other = raw.replace(b"<p>more</p>", b"<p>more and more</p>")
    assert parse(other).html != parse(raw).html
    assert parse(other).text == parse(raw).text
    assert parse(other).fingerprint_source != parse(raw).fingerprint_source


def test_white_space_makes_no_other_message():
    raw = payload("bare_lf")
    assert parse(raw + b"  \n\n").fingerprint_source == parse(raw).fingerprint_source
