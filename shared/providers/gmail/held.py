"""Decides what a comparison keeps of what we hold: what is compared, some hundred bytes a copy.

Copies of a mailbox of half a million messages take hundreds of megabytes as they are read.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import Copy
from shared.providers.gmail import labels

_State = tuple[frozenset[FolderId], tuple[bool, bool, bool]]


@dataclass(frozen=True, slots=True)
class HeldCopy:
    """What is compared of one copy."""

    name: ProviderMessageId
    folder_ids: frozenset[FolderId]
    marks: tuple[bool, bool, bool]
    version: int


class Held:
    """The live copies of a mailbox, by the time they were received."""

    def __init__(self, copies: Iterable[Copy]) -> None:
        """Read `copies` once; none of them is kept."""
        self._names: list[ProviderMessageId] = []
        self._received = array("d")
        self._versions = array("Q")
        self._which = array("L")
        known: dict[_State, int] = {}
        for copy in copies:
            state = (copy.folder_ids, labels.marks(copy.flags))
            self._names.append(copy.provider_message_id)
            self._received.append(copy.received_at.timestamp())
            self._versions.append(copy.flags.version)
            self._which.append(known.setdefault(state, len(known)))
        # Mail has few combinations of folders and marks, however much of it there is.
        self._states = list(known)
        self._order = array("L", sorted(range(len(self._names)), key=self._received.__getitem__))

    def between(self, begin: float, end: float) -> Iterator[HeldCopy]:
        """Yield what was received from `begin` on and before `end`, in seconds since 1970."""
        first = bisect_left(self._order, begin, key=self._received.__getitem__)
        for at in range(first, len(self._order)):
            index = self._order[at]
            if self._received[index] >= end:
                return
            folder_ids, marks = self._states[self._which[index]]
            yield HeldCopy(self._names[index], folder_ids, marks, self._versions[index])
