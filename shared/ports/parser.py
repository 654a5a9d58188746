"""How operations have a fetched message read."""

from typing import Protocol

from shared.domain.contents import SeenContent
from shared.domain.message import FetchedMessage, ParsedMessage


class MessageParser(Protocol):
    """Turns what a provider handed over into text, participants and attachments."""

    def parse(self, message: FetchedMessage) -> ParsedMessage:
        """Return the parsed message.

        Raises `UnreadableMessageError` when every fallback failed or a cap was passed.
        """
        ...

    def recognise(self, content_type: str, content: bytes) -> SeenContent | None:
        """Return what an attachment's content is, by its first bytes; None for nothing of note."""
        ...
