"""What of a mail's HTML is folded: as mail programs write it, and never what somebody answered."""

import itertools
import random
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mime.sanitise import sanitise

FOLDED = re.compile(r"<details><summary>…</summary>(.*?)</details>", re.DOTALL)


def folded(html):
    return [re.sub(r"<[^>]+>", "", one) for one in FOLDED.findall(sanitise(html).html)]


PROGRAMS = {
    "Gmail": (
        "<div dir=ltr>Hi<br><div class=gmail_signature>Ann, boss</div></div><br>"
        '<div class="gmail_quote gmail_quote_container"><div dir=ltr class=gmail_attr>On Mon, Bob wrote:</div>'
        "<blockquote class=gmail_quote style='margin:0'>old<div class=gmail_signature>Bob</div></blockquote></div>",
        ["Ann, boss", "On Mon, Bob wrote:oldBob"],
    ),
    "Outlook on the web": (
        "<div>Hi</div><div id=Signature>Ann</div><div id=appendonsend></div><hr tabindex=-1>"
        "<div id=divRplyFwdMsg><b>From:</b> Bob</div><div>old</div>",
        ["Ann", "From: Bobold"],
    ),
    "Outlook": (
        "<div class=WordSection1><p class=MsoNormal>Hallo</p><div><div style='border:none;border-top:"
        "solid #E1E1E1 1.0pt;padding:3.0pt 0cm'><p><b>Von:</b> Bob</p></div></div><p>alt</p></div>",
        ["Von: Bobalt"],
    ),
    "Thunderbird": (
        "<p>Hi</p><div class=moz-cite-prefix>On Monday, Bob wrote:<br></div>"
        "<blockquote type=cite cite='mid:1'><p>old</p></blockquote><pre class=moz-signature>-- \nAnn</pre>",
        ["On Monday, Bob wrote:old", "-- \nAnn"],
    ),
    "Apple": (
        "<div>Hi</div><div><br><blockquote type=cite><div>On Monday, Bob wrote:</div></blockquote></div>"
        "<blockquote type=cite><div>old</div></blockquote>",
        ["old"],
    ),
    "Yahoo": (
        "<div>Hi</div><div id=x class='yahoo_quoted'><div>On Monday, Bob wrote:</div>old</div>",
        ["On Monday, Bob wrote:old"],
    ),
    "Proton": (
        "<div>Hi</div><div class='protonmail_signature_block'>Ann</div><div class=protonmail_quote>"
        "On Monday, Bob wrote:<blockquote class=protonmail_quote type=cite>old</blockquote></div>",
        ["Ann", "On Monday, Bob wrote:old"],
    ),
    "in a table": (
        "<table><tr><td>Hi<div class=yahoo_quoted>old</div></td></tr></table>",
        ["old"],
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_quote_at_the_end_and_the_signature_are_folded(program):
    html, expected = PROGRAMS[program]
    found = folded(html)
    assert found[-len(expected) :] == expected


ANSWERED = {
    "between the quotes": (
        "<div class=gmail_quote><div class=gmail_attr>On</div><blockquote class=gmail_quote>old</blockquote>"
        "<div>my answer</div><blockquote class=gmail_quote>more</blockquote></div>",
        ["more"],
    ),
    "below the quote": ("<p>Hi</p><blockquote type=cite>old</blockquote><p>my answer</p>", []),
    "with a picture": ("<p>Hi</p><blockquote type=cite>old</blockquote><img src='cid:a'>", []),
    "below a signature": ("<p>Hi</p><div class=gmail_signature>Ann</div><p>PS: one more</p>", []),
    "with nothing": ("<blockquote type=cite>only a quote</blockquote>", []),
    "with a signature": ("<br><div id=Signature>Ann</div>&nbsp;", []),
    "nothing seen": ("<p>Hi</p><div id=appendonsend></div><pre class=moz-signature> </pre>", []),
    "below a quote in a signature": (
        "<p>Hi</p><div class=gmail_signature>Ann<blockquote type=cite>old</blockquote>my answer</div>",
        [],
    ),
    "below a border of their own": (
        "<p>Hi</p><div style='border:none;border-top:solid windowtext 1.0pt'>my answer</div><p>more</p>",
        [],
    ),
    "below an empty place for a quote": (
        "<p>Hi</p><div id=appendonsend></div><p>my answer</p>",
        [],
    ),
    "in an unknown way": ("<p>Hi</p><div class=quote>old</div><blockquote>old</blockquote>", []),
    "folded by the sender": ("<p>Hi</p><details><summary>x</summary>hidden</details>", []),
}


@pytest.mark.parametrize("how", ANSWERED)
def test_nothing_the_sender_wrote_is_folded(how):
    html, expected = ANSWERED[how]
    assert folded(html) == expected


PIECES = [
    "<div class=gmail_attr>", "<blockquote type=cite>", "<div class=yahoo_quoted>", "<div id=divRplyFwdMsg>",
    "<hr id=stopSpelling>", "<div class=gmail_signature>", "<pre class=moz-signature>", "<div>", "<p>", "<b>", "<td>",
    "<table><tr><td>", "</div>", "</blockquote>", "</pre>", "</p>", "</table>", "<li>", "<ul>", "x", " ", "&nbsp;",
    "<img src='cid:a'>", "<a title='</div><div class=&quot;q&quot;>'>", "<ol type=s>",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_folding_changes_nothing_but_that_it_folds(pieces):
    html = "".join(pieces)
    plain = re.sub(r"(class|id|type)=(?=[\w-]{4})", r"\1=not-", html)
    shown = sanitise(html).html
    assert re.sub("<details><summary>…</summary>|</details>", "", shown) == sanitise(plain).html
    assert "details" not in sanitise(plain).html


WRAPPERS = ["blockquote type=cite", "div class=gmail_signature", "div class=gmail_attr", "div"]


def written(steps, words):
    """Open an element, close one, or write a word, step by step."""
    inside = []
    for step in steps:
        if step:
            inside.append(step.split()[0])
            yield f"<{step}>"
        elif step is None and inside:
            yield f"</{inside.pop()}>"
        yield f"w{next(words)} "
    yield from (f"</{name}>" for name in reversed(inside))


def test_no_word_is_lost_or_doubled_by_folding():
    random_ = random.Random(21)
    for _ in range(3_000):
        steps = random_.choices([*WRAPPERS, None, None, ""], k=random_.randint(1, 8))
        words = itertools.count()
        html = "".join(written(["", *steps], words))
        shown = sanitise(html).html
        assert re.findall(r"\bw\d+", shown) == [f"w{n}" for n in range(next(words))], html


@pytest.mark.parametrize(
    "piece",
    [
        "<div class=gmail_signature>x<blockquote type=cite></blockquote></div>",
        "<div class=gmail_attr>x</div>",
        "<blockquote type=cite>x</blockquote>",
        "<blockquote type=cite></blockquote>",
        "<div class=gmail_signature></div>",
        "<div class=gmail_attr></div><blockquote type=cite></blockquote>",
        "<hr id=stopspelling>",
        "<b></b>",
        " &nbsp;",
    ],
)
def test_folding_takes_time_in_proportion_to_the_mail(piece):
    html = "x<div class=yahoo_quoted>" + (piece * (1024 * 1024))[: 1024 * 1024 - 100]
    began = time.process_time()
    sanitise(html)
    assert time.process_time() - began < 2
