import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.addresses import canonical_address, domain_of


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
