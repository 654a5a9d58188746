"""What is packed is read back, and a newer form is refused instead of misread."""

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.aws import packing
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


@pytest.mark.parametrize("states_its_size", [True, False])
def test_what_unpacks_to_more_than_is_ever_packed_is_refused(monkeypatch, states_its_size):
    """The limit holds whether or not the frame says how much it holds."""
    monkeypatch.setattr(packing, "_LARGEST_UNPACKED", 1024)
    compressor = zstandard.ZstdCompressor(write_content_size=states_its_size)

    def packed(size):
        return b"\x01" + compressor.compress(b'"' + b"a" * (size - 2) + b'"')

    assert unpack(packed(1024)) == "a" * 1022
    with pytest.raises(zstandard.ZstdError):
        unpack(packed(1025))
