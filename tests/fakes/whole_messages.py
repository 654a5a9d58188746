"""How a mail server in memory hands its messages over: whole, so that no part is left to be read."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage


class WholeMessages(ABC):
    """The part of the port `MailSession` that reads messages."""

    server: Any

    @abstractmethod
    def _mail(self, folder: Folder, name: ProviderMessageId) -> Any:
        """Return what the server holds under an id, or None."""

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        for name in dict.fromkeys(ids):
            self.server.fetched.append(name)
            mail = self._mail(folder, name)
            if mail is None:
                yield MissingMessage(name, "gone")
            elif name in self.server.unreadable:
                yield MissingMessage(name, "unreadable")
            elif name in self.server.failing:
                yield MissingMessage(name, "failing")
            else:
                yield FetchedMessage(
                    name,
                    mail.received_at,
                    len(mail.raw),
                    mail.flags,
                    raw=mail.raw,
                    folder_ids=mail.folder_ids,
                )

    def read_part(self, folder, provider_message_id, section, encoding) -> Iterator[bytes]:
        raise AssertionError("somebody asks for a part of a message that came whole")

    def read_raw(self, folder, provider_message_id) -> Iterator[bytes]:
        mail = self._mail(folder, provider_message_id)
        if mail is None:
            raise UnreadableMessageError(ErrorCode.MESSAGE_GONE)
        yield mail.raw
