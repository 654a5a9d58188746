"""Decides when the body of an HTTP answer is whole, and how much of it is taken at most."""

import zlib
from collections.abc import Iterable, Iterator, Mapping

from shared.domain.errors import ErrorCode, RetryLaterError

SLICE_BYTES = 65_536
_WITHOUT_BODY = frozenset({204, 304})


class Body:
    """The decoded body of an answer, iterated once in slices of at most 64 KiB.

    Raises `RetryLaterError`: `connection_dropped` where it ends before its end,
    `protocol_violation` for an encoding other than gzip and for more than `limit` bytes.
    """

    def __init__(
        self, status: int, headers: Mapping[str, str], raw: Iterable[bytes], limit: int
    ) -> None:
        self._status = status
        self._headers = headers
        self._raw = raw
        self._limit = limit
        self.at_end = False
        """Whether all of it was read, so that the connection can be used again."""

    def __iter__(self) -> Iterator[bytes]:
        encoding = self._headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "gzip"}:
            cause = "an encoding nobody asked for"
            raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=cause)
        if encoding == "identity" and not self._says_its_length():
            # It ends where the connection does, and a cut one looks like a whole one.
            cause = "an answer without its length"
            raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause=cause)
        # What decodes to nothing is bounded too, and may be a little longer than what it holds.
        pieces = self._at_most(self._limit + SLICE_BYTES, self._raw)
        yield from self._at_most(self._limit, _unzipped(pieces) if encoding == "gzip" else pieces)
        self.at_end = True

    def _says_its_length(self) -> bool:
        return (
            self._status in _WITHOUT_BODY
            or "content-length" in self._headers
            or "chunked" in self._headers.get("transfer-encoding", "").lower()
        )

    @staticmethod
    def _at_most(limit: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
        taken = 0
        for piece in pieces:
            taken += len(piece)
            if taken > limit:
                cause = f"an answer of more than {limit} bytes"
                raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause=cause)
            yield piece


def _unzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unzip = zlib.decompressobj(16 + zlib.MAX_WBITS)
    empty = True
    try:
        for piece in pieces:
            empty = False
            left = piece
            while left and not unzip.eof:
                yield unzip.decompress(left, SLICE_BYTES)
                left = unzip.unconsumed_tail
        # At most what one last instruction unfolds to: some hundred bytes.
        yield unzip.flush()
    except zlib.error as error:
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="broken gzip") from error
    if not (empty or unzip.eof):
        raise RetryLaterError(ErrorCode.CONNECTION_DROPPED, cause="gzip without its end")
