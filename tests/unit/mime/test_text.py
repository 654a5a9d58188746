import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.addresses import canonical_address
from shared.mime.fields import kept_references, message_id, message_ids, raw_fields
from shared.mime.filenames import filename
from shared.mime.html_text import html_to_text
from shared.mime.participants import scanned
from shared.mime.text import collapsed, snippet
from shared.mime.words import clean_text, decoded, decoded_words, lenient_base64, unmistaken


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<b>a</b><i>b</i>", "ab"),
        ("a<br>b", "a\nb"),
        ("<div>a</div>b", "a\nb"),
        ("a\n  b", "a b"),
        ("<pre>a\nb</pre>", "a\nb"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("a<br><br>b", "a\n\nb"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("<style>x</style><script>y</script><title>z</title>a", "a"),
        ("&lt;b&gt; &amp; &#8364;", "<b> & €"),
        ("", ""),
        ("<", "<"),
    ],
)
def test_html_to_text(html, text):
    assert html_to_text(html) == text


def test_what_is_too_deep_to_parse_still_has_a_text():
    assert html_to_text("<div>" * 5_000 + "a &amp; b") == "a & b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello\n\nworld", "hello world"),
        ("new\n> old", "new"),
        ("new\nOn Monday, Bob wrote:\n> old", "new"),
        ("new\nOn Monday, Bob\n<b@c> wrote:\n> old", "new"),
        ("new\nAm Montag schrieb:\n> old", "new"),
        ("new\n-----Original Message-----\nold", "new"),
        ("On the whole\nit is fine", "On the whole it is fine"),
        ("> only\n> quoted", "> only > quoted"),
        ("", ""),
        ("x" * 1_000, "x" * 160),
    ],
)
def test_snippet(text, expected):
    assert snippet(text) == expected


def test_a_snippet_reads_no_more_than_it_needs():
    assert snippet("On wrote\n" * 1_000_000).startswith("On wrote On")


@given(st.text(), st.integers(0, 50))
def test_collapsed_is_the_start_of_the_collapsed_whole(text, limit):
    assert collapsed(text, limit) == " ".join(text.split())[:limit]


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("=?utf-8?q?a=C3?= =?utf-8?q?=A9?=", "aé"),
        ("=?utf-8?b?w6k?=", "é"),
        ("=?utf-8?Q?a b?= c", "a b c"),
        ("=?utf-8*en?q?x?=", "x"),
        ("=?nonsense?q?=E9?=", "é"),
        ("=?iso-8859-1?q?a_b?=", "a b"),
        ("a =?utf-8?q?b?= =?koi8-r?q?c?= d", "a bc d"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("=?hex?q?00?=", "00"),
    ],
)
def test_decoded_words(header, text):
    assert decoded_words(header) == text


@given(st.binary(), st.one_of(st.none(), st.text(max_size=20), st.sampled_from(["utf-7", "utf-16", "hex", "idna", "zip", "big5", "undefined", "unicode_escape", "punycode"])))  # fmt: skip
def test_decoding_never_raises_and_never_leaves_half_a_character(data, charset):
    decoded(data, charset).encode()


@given(st.binary())
def test_lenient_base64_never_raises(data):
    lenient_base64(data)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("GrÃ¼ÃŸe", "Grüße"),
        ("Grüße", "Grüße"),
        ("â‚¬", "€"),
        ("Ã", "Ã"),
        ("abc", "abc"),
        ("語", "語"),
    ],
)
def test_unmistaken(text, mended):
    assert unmistaken(text) == mended


@given(st.text(), st.integers(0, 100))
def test_clean_text_is_within_its_limit(text, limit):
    clean, _ = clean_text(text, limit)
    assert len(clean.encode()) <= limit
    assert not set("\0\r") & set(clean)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("<a@b>", "a@b"),
        ("  < a@b >  (c)", "a@b"),
        ("a@b", "a@b"),
        ("(x) a@b (y)", "a@b"),
        ("<A.b@C>", "A.b@C"),
        ("<a\r\n b@c>", "ab@c"),
        ("<>", None),
        ("", None),
        ("<a\x00b@c>", "ab@c"),
        ("<" + "a" * 2_000 + ">", "a" * 998),
    ],
)
def test_message_id(value, name):
    assert message_id([value]) == name


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("<a@b> <c@d>", ("a@b", "c@d")),
        ("<a@b><c@d>,<a@b>", ("a@b", "c@d")),
        ("a@b c@d", ("a@b", "c@d")),
        ("Your mail of Monday from john@x", ()),
        ("<<a@b>> junk <", ("a@b",)),
        ("", ()),
    ],
)
def test_message_ids(value, ids):
    assert message_ids([value]) == ids


def test_kept_references_keep_both_ends():
    ids = tuple(str(n) for n in range(500))
    kept = kept_references(ids)
    assert kept == (ids[0], *ids[-99:])
    assert kept_references(ids[:100]) == ids[:100]


@pytest.mark.parametrize(
    ("value", "people"),
    [
        ("a@b", [("", "a@b")]),
        ("A <a@b>, B <c@d>", [("A", "a@b"), ("B", "c@d")]),
        ('"A, B" <a@b>', [("A, B", "a@b")]),
        ('"A \\" B" <a@b>', [('A " B', "a@b")]),
        ("a@b (Ann)", [("Ann", "a@b")]),
        ("G: a@b, c@d;", [("", "a@b"), ("", "c@d")]),
        ("G:;", []),
        ("<@x,@y:a@b>", [("", "a@b")]),
        ("Ann a@b", [("Ann", "a@b")]),
        ("<a@b> <c@d>", [("", "a@b"), ("", "c@d")]),
        ('"unended <a@b>', []),
        ("(((", []),
    ],
)
def test_scanned(value, people):
    found = scanned(value)
    assert [person for person in found if canonical_address(person[1])] == people


@given(st.text(alphabet='<>",;:()\\@ ab', max_size=100))
def test_scanning_never_raises(value):
    list(scanned(value))


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("a.pdf", "application/pdf", "a.pdf"),
        ("../../etc/passwd", "text/x", "passwd"),
        ("C:\\x\\y.doc", "text/x", "y.doc"),
        ("..", "text/x", "attachment"),
        ("a\r\nb\0.txt", "text/x", "a b .txt"),
        ("=?utf-8?q?=C3=A9?=.txt", "text/x", "é.txt"),
        ("utf-8''%C3%A9.txt", "text/x", "é.txt"),
        ("it's 100%.txt", "text/x", "it's 100%.txt"),
        ("", "message/rfc822", "message.eml"),
        (None, "text/calendar", "invite.ics"),
        ("x" * 300 + ".tar", "text/x", "x" * 251 + ".tar"),
    ],
)
def test_filename(name, kind, expected):
    assert filename(name, kind) == expected


def test_raw_fields_unfold_and_keep_repeats():
    block = b"A: 1\r\n 2\r\nnonsense\r\n lost\r\na: 3\r\nB : 4"
    assert raw_fields(block) == {"a": ["1 2", "3"], "b": ["4"]}
