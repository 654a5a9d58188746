import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import RequestError
from shared.providers.imap import grammar
from shared.providers.imap.grammar import GrammarError, StatusText
from shared.providers.imap.session import read_fetch


@pytest.mark.parametrize(
    ("response", "values"),
    [
        ([b"* LIST () NIL INBOX"], [b"*", b"LIST", [], None, b"INBOX"]),
        (
            [b'* LIST (\\Sent) "/" "a \\"b\\" \\\\c"'],
            [b"*", b"LIST", [b"\\Sent"], b"/", b'a "b" \\c'],
        ),
        ([b'* X "NIL" nil'], [b"*", b"X", b"NIL", None]),
        ([b"* X {3}", b"a\r\n", b" (b)"], [b"*", b"X", b"a\r\n", [b"b"]]),
        (
            [b"* 1 FETCH (BODY[HEADER]<0> {2}", b"hi", b" UID 7)"],
            [b"*", b"1", b"FETCH", [b"BODY[HEADER]<0>", b"hi", b"UID", b"7"]],
        ),
        (
            [b'* 1 FETCH (BODY[HEADER.FIELDS ("From" "To")] "x")'],
            [b"*", b"1", b"FETCH", [b'BODY[HEADER.FIELDS ("From" "To")]', b"x"]],
        ),
        ([b"* X ($Forwarded odd[flag \xfc)"], [b"*", b"X", [b"$Forwarded", b"odd[flag", b"\xfc"]]),
        ([b'* X ""  '], [b"*", b"X", b""]),
        ([b"* X ((a)(b))"], [b"*", b"X", [[b"a"], [b"b"]]]),
    ],
)
def test_a_response_is_read(response, values):
    assert grammar.parse(response) == values


@pytest.mark.parametrize(
    "response",
    [[b"* X (a"], [b"* X a)"], [b'* X "open'], [b"* X {3}"], [b"* X " + b"(" * 100_000]],
)
def test_what_the_grammar_forbids_is_told(response):
    with pytest.raises(GrammarError):
        grammar.parse(response)


def test_a_hundred_thousand_parentheses_neither_recurse_nor_hide_what_follows():
    deep = b"* 1 FETCH (BODYSTRUCTURE " + b"(" * 100_000 + b")" * 100_000 + b" UID 9)"
    items = read_fetch([deep])
    assert items is not None
    assert items[b"UID"] == b"9"


@given(st.binary(max_size=200))
def test_any_line_is_read_or_refused(line):
    with contextlib.suppress(GrammarError):
        grammar.parse([b"* " + line.replace(b"\n", b"").replace(b"\r", b"")])


@given(st.binary(max_size=40).filter(lambda text: not set(text) & {0, 10, 13}))
def test_what_is_quoted_reads_back(text):
    assert grammar.parse([b"* " + grammar.quoted(text)]) == [b"*", text]


@pytest.mark.parametrize("control", [b"\r", b"\n", b"\0"])
def test_a_line_end_in_an_argument_is_refused(control):
    with pytest.raises(RequestError):
        grammar.refuse_controls(b"a" + control + b"b")


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"A1 OK done", StatusText("OK", "", "done")),
        (b"A1 NO [ALERT] Too many", StatusText("NO", "ALERT", "Too many")),
        (
            b"A1 ok [CAPABILITY IMAP4rev1 X] hi\r\n",
            StatusText("OK", "CAPABILITY", "hi", b"IMAP4rev1 X"),
        ),
        (b"A1 OK [APPENDUID 7 12] Done", StatusText("OK", "APPENDUID", "Done", b"7 12")),
        (b"* BYE", StatusText("BYE", "", "")),
        (b"* NO [badly", StatusText("NO", "", "[badly")),
        (b"* 3 EXISTS", None),
        (b"+ go on", None),
        (b"HTTP/1.1 400 Bad Request", None),
    ],
)
def test_a_status_line_is_read(line, status):
    assert grammar.status_text(line) == status


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b"17-Jul-1996 02:44:25 -0700", datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC)),
        (b" 7-Jul-1996 02:44:25 +0530", datetime(1996, 7, 6, 21, 14, 25, tzinfo=UTC)),
        (b"01-Jan-1970 00:00:00 +0000", datetime(1970, 1, 1, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"31-Dec-9999 23:59:59 -1200", None),
        (b"01-Jan-0001 00:00:00 +1200", None),
        (b"99-Jul-1996 02:44:25 -0700", None),
        (b"17-Foo-1996 02:44:25 -0700", None),
        (b"17-Jul-1996 02:44:25 -9900", None),
        (b"", None),
        (None, None),
        ([b"x"], None),
    ],
)
def test_an_internal_date_is_read_in_utc(text, moment):
    assert grammar.internal_date(text) == moment


def test_a_search_date_is_english_and_in_utc():
    assert grammar.search_date(datetime(2026, 3, 5, 23, tzinfo=UTC)) == b"5-Mar-2026"


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"7", 7),
        (b"4294967295", 4294967295),
        (b"-1", None),
        (b"x", None),
        (None, None),
        ([], None),
        (b"9" * 30, None),
        (b"9" * 19, None),
        (b"\xb2", None),
    ],
)
def test_a_number_is_unsigned_and_bounded(value, parsed):
    assert grammar.number(value) == parsed


@given(st.sets(st.integers(1, 60_000), max_size=3_000))
def test_sequence_sets_name_each_uid_once_in_short_lines(uids):
    sets = list(grammar.sequence_sets(uids))
    spans = [span for one in sets for span in grammar.read_set(one, 1, 60_000)]
    named = [uid for first, last in spans for uid in range(first, last + 1)]
    assert sorted(named) == sorted(uids)
    assert all(len(one) <= 7_000 for one in sets)


def test_a_set_is_read_within_bounds_only():
    assert grammar.read_set(b"1:4294967295", 5, 7) == [(5, 7)]
    assert grammar.read_set(b"9:3,20,40", 4, 30) == [(4, 9), (20, 20)]


@pytest.mark.parametrize("text", [None, [], b"", b"1:x", b"*", b"1:*", b"1,,2", b"-1", b"1:2:3"])
def test_what_is_not_a_set_is_told(text):
    with pytest.raises(GrammarError):
        grammar.read_set(text, 1, 9)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)).map(lambda s: (s[0], sum(s)))))
def test_merged_spans_name_the_same_numbers_once(spans):
    merged = grammar.merged(spans)
    named = [uid for first, last in merged for uid in range(first, last + 1)]
    assert named == sorted({uid for first, last in spans for uid in range(first, last + 1)})
    assert len(merged) <= len(spans)


def test_only_bare_numbers_are_numbers():
    line = b"* SEARCH 7 x8 9x 12345678901 4294967295"
    assert list(grammar.numbers(line)) == [7, 4_294_967_295]


@pytest.mark.parametrize("bad", [b"[", b"[ ", b"(", b"\\", b'"', b"x ", b"() "])
def test_a_megabyte_of_anything_is_read_or_refused_at_once(bad):
    with contextlib.suppress(GrammarError):
        grammar.parse([b"* X " + bad * ((1 << 20) // len(bad))])
