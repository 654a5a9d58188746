"""How operations have a mail written."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.composing import Draft


class Composer(Protocol):
    """Turns a draft into MIME."""

    def compose(self, draft: Draft) -> bytes:
        """Return the mail with CRLF and without Bcc; the same draft gives the same bytes.

        Raises `RequestError(INVALID_REQUEST)` naming every field that no mail can have.
        """
        ...

    def with_bcc(self, content: bytes, blind: Sequence[str]) -> bytes:
        """Return a mail of `compose` with one Bcc field, of addresses, and otherwise unchanged."""
        ...
