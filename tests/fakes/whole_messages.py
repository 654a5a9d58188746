"""How a mail server in memory hands its messages over: whole, so that no part is left to be read.

Headers come as they are, and who is searched for is found by our own parser: never one too many.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.domain.cursor import Cursor
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import Address, ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.mime.caps import header_end
from shared.mime.parse import MimeParser


class WholeMessages(ABC):
    """The part of the port `MailSession` that reads messages."""

    server: Any

    @abstractmethod
    def _mail(self, folder: Folder, name: ProviderMessageId) -> Any:
        """Return what the server holds under an id, or None."""

    @abstractmethod
    def list_window(
        self, folder: Folder, *, since: datetime, upto: Cursor, before: datetime | None = None
    ) -> tuple[ProviderMessageId, ...]: ...

    def search_window(
        self, folder: Folder, addresses: Sequence[Address], *, since: datetime, upto: Cursor
    ) -> tuple[ProviderMessageId, ...]:
        names = self.list_window(folder, since=since, upto=upto)
        wanted = {*addresses}
        return tuple(name for name in names if self._names_one(folder, name, wanted))

    def _names_one(self, folder: Folder, name: ProviderMessageId, wanted: set[Address]) -> bool:
        (message,) = self._each(folder, [name])
        if isinstance(message, MissingMessage):
            return True
        people = MimeParser().parse(message).taking_part()
        domains = {Address(f"@{one.rpartition('@')[2]}") for one in people}
        return not wanted.isdisjoint({*people, *domains})

    def fetch(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        for one in self._each(folder, ids):
            self.server.fetched.append(one.provider_message_id)
            yield one

    def fetch_headers(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        for one in self._each(folder, ids):
            self.server.judged.append(one.provider_message_id)
            if isinstance(one, FetchedMessage):
                end, _body = header_end(one.raw)
                yield replace(one, raw=None, header=one.raw[:end] + b"\r\n")
            else:
                yield one

    def _each(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[FetchedMessage | MissingMessage]:
        for name in dict.fromkeys(ids):
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
