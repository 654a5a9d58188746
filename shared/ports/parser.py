"""How operations have a fetched message read."""

from typing import Protocol

from shared.domain.message import FetchedMessage, ParsedMessage


class MessageParser(Protocol):
    """Turns what a provider handed over into text, participants and attachments."""

    def parse(self, message: FetchedMessage) -> ParsedMessage:
        """Return the parsed message.

        Raises `UnreadableMessageError` when every fallback failed or a cap was passed.
        """
        ...
