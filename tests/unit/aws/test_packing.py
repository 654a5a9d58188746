"""What is packed is read back, and a newer form is refused instead of misread."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aws.packing import UnknownFormError, pack, unpack

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(JSON.filter(lambda value: "\\ud" not in ascii(value)))
def test_what_is_packed_is_read_back(value):
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("data", [b"", b"\x03abc", b"{}"])
def test_another_form_is_refused(data):
    with pytest.raises(UnknownFormError):
        unpack(data)


def test_repeated_text_takes_few_bytes():
    assert len(pack(["the same words again and again "] * 200)) < 150
