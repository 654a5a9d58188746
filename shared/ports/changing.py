"""How what people do with mail here is done at its provider.

A provider never touches a store or a clock.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from shared.domain.change import Change, ChangeOutcome
from shared.domain.ids import ProviderMessageId
from shared.ports.provider import Grant


class ChangeSession(Protocol):
    """An open session with one mailbox that can change its mail. Not thread-safe."""

    def apply(self, changes: Sequence[Change]) -> Iterator[tuple[ProviderMessageId, ChangeOutcome]]:
        """Make changes, no two of one message; yield each id once with what became of it.

        In any order, each as soon as it is known. Repeating a change is harmless, also after a
        session that died anywhere: what is so already is done. Flags are set before a message is
        moved, and nothing else of it is touched: other flags and other people's mail stay as they
        are, and nothing is ever deleted.

        After a move the message is in `move_to` and no longer where it was. With labels it leaves
        the inbox, trash and spam for it; labels that people gave stay. It is done where it is there
        already.

        Raises `ReconnectRequiredError`, `ConfigurationError` and `RetryLaterError` for what stands
        in the way of all that was not yielded before. What stands in the way of one message, or of
        one folder, is its outcome.
        """
        ...


class MailChanger(Protocol):
    """Opens sessions that can change mail."""

    def open(
        self, grant: Grant, *, seconds: float | None = None
    ) -> AbstractContextManager[ChangeSession]:
        """Begin; logs in where it first must. Lasts `seconds` at most, as `MailProvider.open`."""
        ...
