"""Drafts to be written, and hypothesis' strategies for what may stand in one."""

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import strategies as st

from shared.domain.composing import Draft, NamedAddress

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLAIN = Draft(
    sender=NamedAddress("ann@sender.example", "Ann"),
    internet_message_id="<01kb.mailroom@sender.example>",
    date=NOON,
    to=(NamedAddress("bob@example.org", "Bob"),),
    subject="Lunch",
    text="At noon?",
)


def draft(**changes) -> Draft:
    return replace(PLAIN, **changes)


def _letters(exclude=("Cc", "Cs", "Zl", "Zp", "Zs")):
    return st.characters(exclude_categories=exclude, exclude_characters="\ufeff")


_WORDS = st.text(_letters(), min_size=1, max_size=30)
# Odd ones that fuzzing seldom finds by itself.
_ODD = st.sampled_from(
    ["=?utf-8?q?x?=", "=?", "?=", ",", ";", '"', "\\", "<eve@evil.example>", "(x)", "a" * 90, "👩‍👩‍👧‍👦" * 9, "ä" * 70, "李" * 40, ":", "@", "xn--", "=_", ".", "..", "From", "%41", "utf-8''x"]
)  # fmt: skip
LINES = st.lists(_WORDS | _ODD, max_size=6).map(" ".join).map(str.strip)
"""One line, its words parted by one space each."""
_LOCAL = st.text(st.sampled_from("abcXYZ019!#$%&'*+/=?^_`{|}~.-"), min_size=1, max_size=40)
ADDRESSES = st.builds(
    "{}@{}".format,
    _LOCAL,
    st.sampled_from(["example.org", "xn--bcher-kva.example", "a-b.co.example"]),
)
PEOPLE = st.builds(NamedAddress, ADDRESSES, LINES.map(lambda name: name[:200].strip()))
BODIES = st.lists(
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
    | _ODD
    | st.sampled_from([".", "From me", "--=_mixed_x", "-- ", "x" * 2000, " ", "\t", "Subject: no"]),
    max_size=8,
).flatmap(lambda lines: st.sampled_from(["\n", "\r\n", "\r"]).map(lambda end: end.join(lines)))
FILENAMES = st.lists(_WORDS | _ODD, min_size=1, max_size=3).map(" ".join)
CONTENT_IDS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,40}", fullmatch=True)


def is_safe(letter: str) -> bool:
    return unicodedata.category(letter) not in {"Cc", "Zl", "Zp", "Cs"} or letter == "\t"
