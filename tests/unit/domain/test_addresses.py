import string
from itertools import pairwise

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.addresses import (
    WrittenAddresses,
    base_form,
    canonical_address,
    canonical_domain,
    domain_of,
    folded,
)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Kim@Example.COM", "kim@example.com"),
        ("  kim@example.com ", "kim@example.com"),
        ("kim+news@example.com", "kim+news@example.com"),
        ("kim@bücher.example", "kim@xn--bcher-kva.example"),
        ("kim@xn--bcher-kva.example", "kim@xn--bcher-kva.example"),
        ("jörg@example.com", "jörg@example.com"),
        ("kim@example.com.", "kim@example.com"),
    ],
)
def test_one_address_has_one_form(written, canonical):
    assert canonical_address(written) == canonical


@pytest.mark.parametrize(
    "written",
    [
        "",
        "kim",
        "@example.com",
        "kim@",
        "kim@a..b",
        "a b@example.com",
        "kim@exa\r\nmple.com",
        "<kim@example.com>",
        "x" * 400 + "@example.com",
        "kim@" + "ü" * 300,
    ],
)
def test_what_is_no_address_has_none(written):
    assert canonical_address(written) is None


@given(st.text(), st.text(alphabet=string.ascii_letters + string.digits + "-.ü"))
def test_the_canonical_form_is_stable_and_carries_no_separator(local, domain):
    address = canonical_address(f"{local}@{domain}")
    if address is not None:
        assert canonical_address(address) == address
        assert not set(address) & set("\r\n\0 ,;<>")
        assert domain_of(address) == address.rpartition("@")[2]


# ---- domains of other letters ----


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("strasse.example", "strasse.example"),
        ("ｅｘａｍｐｌｅ．ｃｏｍ", "example.com"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("i❤.example", "xn--i-7iq.example"),
        ("exam\u00adple.com", "example.com"),
        ("a_b.example", "a_b.example"),
    ],
)
def test_a_domain_has_one_form_whatever_letters_it_is_written_in(written, canonical):
    assert canonical_domain(written) == canonical


@pytest.mark.parametrize("written", ["", "a..b", "ü" * 64 + ".example", "a b.c"])
def test_what_is_no_domain_has_no_form(written):
    assert canonical_domain(written) is None


@given(st.lists(st.text("abcöäßéжπφ中文あいçñ", min_size=1, max_size=9), min_size=1, max_size=3))
def test_a_domain_has_the_form_that_registries_give_it(labels):
    """Against another implementation, on what it takes (IDNA 2008, with the mapping of UTS 46)."""
    domain = ".".join(labels)
    assert canonical_domain(domain) == idna.encode(domain, uts46=True).decode()


# ---- folding ----


@pytest.mark.parametrize(
    ("address", "tags", "dots", "both"),
    [
        ("kim@a.example", "kim@a.example", "kim@a.example", "kim@a.example"),
        ("kim+x+y@a.example", "kim@a.example", "kim+x+y@a.example", "kim@a.example"),
        ("k.im@a.example", "k.im@a.example", "k.im@a.example", "k.im@a.example"),
        ("k.i.m+x.y@gmail.com", "k.i.m@gmail.com", "kim+x.y@gmail.com", "kim@gmail.com"),
        ("k.im@googlemail.com", "k.im@googlemail.com", "kim@gmail.com", "kim@gmail.com"),
        ("+x@a.example", "+x@a.example", "+x@a.example", "+x@a.example"),
        (".@gmail.com", ".@gmail.com", ".@gmail.com", ".@gmail.com"),
    ],
)
def test_an_address_is_taken_for_another_only_as_it_was_chosen(address, tags, dots, both):
    assert folded(address, tags=False, dots=False) == address
    assert folded(address, tags=True, dots=False) == tags
    assert folded(address, tags=False, dots=True) == dots
    assert folded(address, tags=True, dots=True) == base_form(address) == both


@given(st.text("ab.+", max_size=9), st.sampled_from(["gmail.com", "googlemail.com", "a.example"]))
def test_all_forms_of_an_address_have_one_base_form(local, domain):
    for tags, dots in ((True, False), (False, True), (True, True)):
        once = folded(f"{local}@{domain}", tags=tags, dots=dots)
        assert folded(once, tags=tags, dots=dots) == once
        assert base_form(once) == base_form(f"{local}@{domain}")


# ---- in what nobody could read ----


def written_in(text, *cuts):
    """The addresses found in `text` that comes in pieces."""
    reader = WrittenAddresses()
    found = set()
    for start, end in pairwise([0, *sorted(cuts), len(text)]):
        found |= reader.feed(text[start:end])
    return found | reader.end()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", set()),
        (b"nobody @ home", set()),
        (b"To: <Kim@Example.COM>", {"kim@example.com"}),
        (b"mailto:kim@example.com.", {"kim@example.com"}),
        (b"a@b.example,c@d.example", {"a@b.example", "c@d.example"}),
        (b"kim@example.com-", {"kim@example.com-"}),
        (b"'kim@example.com'", {"'kim@example.com", "kim@example.com"}),
        ("jörg@bücher.example".encode(), {"jörg@xn--bcher-kva.example"}),
        (b"a@b@c.example", {"a@b", "b@c.example"}),
        (b"x" * 999 + b"@example.com", set()),
        (b"x" * 999 + b"/kim@example.com", {"kim@example.com"}),
        (b"_kim@example.com_", {"_kim@example.com", "_kim@example.com_"}),
        (
            b"'kim@example.com_x",
            {"'kim@example.com", "'kim@example.com_x", "kim@example.com", "kim@example.com_x"},
        ),
        (b"kim@a_b.example", {"kim@a", "kim@a_b.example"}),
        (b"kim@example.com...and", {"kim@example.com"}),
        (b"\xff\xfe <kim@example.com>\xff", {"kim@example.com"}),
    ],
)
def test_an_address_is_found_as_it_is_written(text, found):
    assert written_in(text) >= found
    assert {one for one in written_in(text) if "xx" not in one} == found


@given(st.text("ae.@'<- ", max_size=20).map(str.encode), st.data())
def test_what_is_found_does_not_depend_on_where_a_text_is_cut(text, data):
    text += b"x" * data.draw(st.sampled_from([0, 400])) + b"'kim@a.ex" + text
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=4))
    assert written_in(text, *cuts) == written_in(text)
