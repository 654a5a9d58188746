"""Who stands in which header, read one by one: one bad address must not cost the others.

The fast parser gives up a whole header over one bad address, and reads only the first of two From.
Then the raw value is scanned here, by characters and once, with encoded words decoded only after
the structure is known: an encoded name may spell a comma and somebody else's address.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shared.domain.addresses import canonical_address
from shared.domain.message import Participant, ParticipantRole
from shared.mime.caps import MAX_NAME_CHARACTERS, MAX_PARTICIPANTS
from shared.mime.words import clean_line, decoded_words

if TYPE_CHECKING:
    from shared.domain.ids import Address

Named = tuple[str, str]
"""A display name and an address as written."""


def participants(
    found: Iterable[tuple[ParticipantRole, Iterable[Named]]],
) -> tuple[tuple[Participant, ...], bool]:
    """Return the participants in order, each once per role, and whether some were left out."""
    seen: dict[tuple[ParticipantRole, Address], Participant] = {}
    for role, people in found:
        for name, written in people:
            address = canonical_address(written)
            if address is None or (role, address) in seen:
                continue
            if len(seen) == MAX_PARTICIPANTS:
                return tuple(seen.values()), True
            shown = clean_line(name, MAX_NAME_CHARACTERS) if name else ""
            seen[role, address] = Participant(role, address, shown)
    return tuple(seen.values()), False


def scanned(value: str) -> Iterator[Named]:
    """Yield the addresses of a raw header: groups flattened, comments and garbage skipped."""
    scan = _Scan()
    for character in value:
        if scan.ends_at(character):
            yield from scan.result()
            scan = _Scan()
        scan.take(character)
    yield from scan.result()


class _Scan:
    """One address of a header, taken in character by character."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._angle: list[str] | None = None
        self._comment: list[str] = []
        self._after_angle = False
        self._quoted = False
        self._escaped = False
        self._depth = 0

    def ends_at(self, character: str) -> bool:
        """Return whether `character` stands between this address and the next."""
        if self._quoted or self._depth:
            return False
        return character in ",;" or (character == "<" and self._after_angle)

    def take(self, character: str) -> None:
        if self._escaped:
            self._escaped = False
            self._keep(character)
        elif character == "\\" and (self._quoted or self._depth):
            self._escaped = True
        elif self._quoted:
            self._quoted = character != '"'
            if self._quoted:
                self._keep(character)
        elif self._depth:
            self._depth += (character == "(") - (character == ")")
            if self._depth:
                self._keep(character)
        else:
            self._structure(character)

    def _structure(self, character: str) -> None:
        if character in ",;":
            return
        if character == '"' and self._angle is None:
            self._quoted = True
        elif character == "(":
            self._depth = 1
        elif character == "<":
            self._angle = []
        elif character == ">":
            self._after_angle = True
        elif character == ":" and self._angle is None:
            self._words.clear()
        else:
            self._keep(character)

    def _keep(self, character: str) -> None:
        if self._depth:
            self._comment.append(character)
        elif self._angle is None:
            self._words.append(character)
        elif not self._after_angle:
            self._angle.append(character)

    def result(self) -> Iterator[Named]:
        """Yield the address, if what was taken in holds one."""
        words = "".join(self._words).strip()
        comment = "".join(self._comment)
        if self._angle is not None:
            # A source route (RFC 5322, 4.4) stands before the address.
            address = "".join(self._angle).rpartition(":")[2].strip()
            yield decoded_words(words or comment), address
        elif "@" in words:
            before, _, address = words.rpartition(" ")
            yield decoded_words(before or comment), address
