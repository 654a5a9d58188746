import pytest

from shared.providers.imap import grammar, structure


def planned(text: bytes) -> structure.Plan:
    return structure.plan(grammar.parse([b"* " + text])[1])


def sections(leaves):
    return [(leaf.section, leaf.content_type) for leaf in leaves]


PLAIN = b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "QUOTED-PRINTABLE" 120 4 NIL NIL NIL NIL)'
HTML = b'("TEXT" "HTML" ("CHARSET" "utf-8") NIL NIL "BASE64" 900 12 NIL NIL NIL NIL)'
PDF = (
    b'("APPLICATION" "PDF" ("NAME" "offer.pdf") NIL NIL "BASE64" 700000 NIL'
    b' ("ATTACHMENT" ("FILENAME" "offer.pdf")) NIL NIL)'
)


def test_a_single_text_is_section_one():
    plan = planned(PLAIN)
    assert sections(plan.texts) == [("1", "text/plain")]
    (leaf,) = plan.texts
    assert (leaf.charset, leaf.encoding, leaf.size) == ("utf-8", "quoted-printable", 120)
    assert plan.remote == ()


def test_nested_parts_are_numbered_as_the_server_numbers_them():
    alternative = b"(" + PLAIN + HTML + b' "ALTERNATIVE" ("BOUNDARY" "x") NIL NIL)'
    plan = planned(b"(" + alternative + PDF + b' "MIXED" ("BOUNDARY" "y") NIL NIL)')
    assert sections(plan.texts) == [("1.1", "text/plain"), ("1.2", "text/html")]
    assert sections(plan.remote) == [("2", "application/pdf")]
    assert plan.remote[0].filename == "offer.pdf"
    assert plan.remote[0].disposition == "attachment"
    assert plan.remote[0].as_remote().size == 700_000


def test_a_message_in_a_message_is_one_leaf():
    inner = (
        b'("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 5000 (NIL "s" NIL NIL NIL NIL NIL NIL NIL NIL) '
        + PLAIN
        + b' 80 NIL ("attachment" ("filename" "mail.eml")))'
    )
    plan = planned(b"(" + PLAIN + inner + b' "MIXED")')
    assert sections(plan.remote) == [("2", "message/rfc822")]
    assert plan.remote[0].filename == "mail.eml"


def test_text_attachments_stay_there():
    log = b'("TEXT" "PLAIN" NIL NIL NIL "7BIT" 90 2 NIL ("ATTACHMENT" ("FILENAME" "a.log")))'
    named = b'("TEXT" "PLAIN" ("NAME" "b.txt") NIL NIL "7BIT" 90 2 NIL ("INLINE" NIL))'
    plan = planned(b"(" + PLAIN + log + named + b' "MIXED")')
    assert sections(plan.texts) == [("1", "text/plain")]
    assert [leaf.filename for leaf in plan.remote] == ["a.log", "b.txt"]


def test_inline_images_keep_their_content_id():
    image = b'("IMAGE" "PNG" NIL "<logo@x>" NIL "BASE64" 4000 NIL ("INLINE" NIL) NIL NIL)'
    plan = planned(b"(" + HTML + image + b' "RELATED")')
    assert plan.remote[0].content_id == "logo@x"


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        (b'("NAME" "=?utf-8?Q?R=C3=A9sum=C3=A9?=")', "Résumé"),
        (b'("NAME*" "utf-8\'\'R%C3%A9sum%C3%A9")', "Résumé"),
        (b'("NAME*0*" "iso-8859-1\'\'R%E9" "NAME*1" "sum" "NAME*2*" "%E9")', "Résumé"),
        (b'("NAME" "R\xc3\xa9sum\xc3\xa9")', "Résumé"),
        (b'("NAME*" "no-such-charset\'\'a%E9")', "aé"),
        (b'("NAME" "=?broken")', "=?broken"),
        (b'("NAME" "two' + b"\\\\" + b'lines")', "two\\lines"),
        (b'("NAME" NIL)', None),
        (b"NIL", None),
    ],
)
def test_file_names_are_decoded_however_they_are_written(parameters, filename):
    leaf = b'("APPLICATION" "PDF" ' + parameters + b' NIL NIL "BASE64" 9)'
    assert planned(leaf).remote[0].filename == filename


def test_a_file_name_is_one_line_and_bounded():
    leaf = b'("APPLICATION" "PDF" ("NAME" "a\tb' + b"x" * 9_000 + b'") NIL NIL "BASE64" 9)'
    name = planned(leaf).remote[0].filename
    assert name is not None
    assert name.startswith("a b")
    assert len(name) <= 1_000


@pytest.mark.parametrize("text", [b"NIL", b"()", b"(())", b'"x"', b"((()))"])
def test_no_leaves_is_an_error(text):
    with pytest.raises(ValueError, match="no leaves"):
        planned(text)


def test_short_and_odd_leaves_are_taken_as_they_are():
    plan = planned(b'("TEXT" NIL NIL NIL NIL NIL NIL)')
    assert sections(plan.remote) == [("1", "text/octet-stream")]


def test_too_many_texts_stay_there():
    plan = planned(b"(" + PLAIN * 100 + b' "MIXED")')
    assert len(plan.texts) == structure.MOST_TEXTS
    assert len(plan.remote) == 100 - structure.MOST_TEXTS


def test_too_many_leaves_end_the_reading():
    plan = planned(b"(" + PDF * 5_000 + b' "MIXED")')
    assert len(plan.remote) == structure.MOST_LEAVES
