"""What stands below all that one user sends."""

from dataclasses import dataclass

MAX_TEXT_CHARACTERS = 2_000
MAX_HTML_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class Signature:
    """A user's signature, as it is kept: one form of it for each form of a mail."""

    text: str
    html: str | None = None
    """Clean; None: made of `text`."""
