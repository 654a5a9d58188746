"""How a secret text travels in memory: never by accident into a log, a repr or a comparison."""

import hmac
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """A password or token.

    `reveal()` is the only way to its text, so each use is visible in review.
    """

    _text: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text itself, to be handed to a protocol or a secret store and nowhere else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))
