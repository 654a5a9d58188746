"""How operations have a mail written."""

from collections.abc import Sequence
from typing import Protocol

from shared.domain.composing import Draft
from shared.domain.quoting import Content, Original, Written
from shared.domain.signature import Signature


class Composer(Protocol):
    """Turns what was written into a mail, and a draft of it into MIME."""

    def content(
        self, written: Written, *, signature: Signature | None, original: Original | None
    ) -> Content:
        """Return what a mail says: what was written, the signature, and `original` quoted.

        There is HTML where some was written, and where a mail that has it is passed on. What is
        quoted is bounded (`quoting.MOST_QUOTED_CHARACTERS`) and sanitised.
        """
        ...

    def signature(self, text: str, html: str | None) -> Signature:
        """Return a signature as it is kept, of what a user wrote: its HTML sanitised.

        Raises `RequestError(INVALID_REQUEST)` where it is too long, or nothing.
        """
        ...

    def compose(self, draft: Draft) -> bytes:
        """Return the mail with CRLF and without Bcc; the same draft gives the same bytes.

        Raises `RequestError(INVALID_REQUEST)` naming every field that no mail can have.
        """
        ...

    def with_bcc(self, content: bytes, blind: Sequence[str]) -> bytes:
        """Return a mail of `compose` with one Bcc field, of addresses, and otherwise unchanged."""
        ...
