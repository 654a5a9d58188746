"""How values are packed into few bytes: orjson, then zstd, behind a byte that names the form.

A unit of writing is a kilobyte, so bytes are what a stored message costs: the dictionary of form 2
takes an eighth of a unit off each.
"""

import threading
from typing import Any

import orjson
import zstandard

from shared.aws.errors import UnknownFormError
from shared.aws.packing_dictionary import DICTIONARY

_PLAIN, _FORM = b"\x01", b"\x02"
"""Form 1: zstd of JSON; form 2: with our dictionary. A reader that meets another form is older than
its data and says so."""
_LEVEL = 3
_LARGEST_UNPACKED = 64 * 1024 * 1024
"""Many times what is ever packed: a body has a megabyte, and lists of ids fit an item."""

_DICTIONARY = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_DICTIONARY.precompute_compress(level=_LEVEL)


class _Codecs(threading.local):
    """A thread's own compressor and decompressor: neither may be shared."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_LEVEL, dict_data=_DICTIONARY)
        # What was packed without a dictionary names none, and is read all the same.
        self.decompressor = zstandard.ZstdDecompressor(dict_data=_DICTIONARY)


_codecs = _Codecs()


def pack(value: Any) -> bytes:
    """Return a JSON value (dicts with text keys) packed."""
    return _FORM + _codecs.compressor.compress(orjson.dumps(value))


def unpacked_size(value: Any) -> int:
    """Return the bytes of a JSON value before it is packed."""
    return len(orjson.dumps(value))


def unpack(data: bytes) -> Any:
    """Return what `pack` was given; raises `UnknownFormError` for another form.

    Raises `ZstdError` for what `pack` never wrote: damaged, or larger than 64 MB.
    """
    if data[:1] not in {_PLAIN, _FORM}:
        raise UnknownFormError(data[:1].hex())
    frame = data[1:]
    # The limit given below holds only where the frame does not state its size, which is -1 then.
    if zstandard.frame_content_size(frame) > _LARGEST_UNPACKED:
        raise zstandard.ZstdError("frame states a size larger than is ever packed")
    return orjson.loads(_codecs.decompressor.decompress(frame, max_output_size=_LARGEST_UNPACKED))
