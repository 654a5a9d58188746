"""Decides how mail on the real IMAP server is changed from outside, as its owner's other client.

Each call is one short session over TLS. Bulk loading uses MULTIAPPEND, one command for up to a
few megabytes, because an APPEND per message waits for an answer each time.
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imapclient import IMAPClient
from imapclient.exceptions import LoginError

if TYPE_CHECKING:
    import datetime as dt
    import ssl
    from collections.abc import Iterable, Iterator, Sequence

SECONDS = 30.0
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_MESSAGES = 500

Stored = tuple[bytes, "Sequence[str]", "dt.datetime | None"]
"""A message to store: its bytes, its flags, and its internal date (aware), or None for now."""


class StoredMailError(Exception):
    """The server refused to store messages; the text is its answer."""


@dataclass(frozen=True, slots=True)
class StoredMail:
    """One user's mailbox on an IMAP server.

    Attributes:
        host: where it listens.
        port: of implicit TLS, or of STARTTLS when ``starttls`` is set.
        user: logs in.
        password: of that user.
        tls: trusts the server.
        starttls: whether TLS begins inside a clear connection.
    """

    host: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext
    starttls: bool = False

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Yield a logged-in ``IMAPClient``; logs out at the end."""
        client = IMAPClient(
            self.host,
            self.port,
            ssl=not self.starttls,
            ssl_context=None if self.starttls else self.tls,
            timeout=SECONDS,
        )
        client.normalise_times = False
        # imaplib sends a literal and its end one by one: the end would wait 40 ms for an answer.
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client._imap.debug = 0  # noqa: SLF001 - imapclient logs every line at 5: three times slower
        try:
            if self.starttls:
                client.starttls(self.tls)
            # LOGIN would hold only ASCII; PLAIN holds any password.
            client.plain_login(self.user, self.password)
            yield client
        except BaseException:  # boundary: whatever failed, the socket is closed and it goes on
            with suppress(OSError):
                client.shutdown()
            raise
        client.logout()

    def can_log_in(self) -> bool:
        """Whether the server takes this user's password now."""
        try:
            with self.session():
                return True
        except LoginError:
            return False

    def append_many(self, folder: str, messages: Iterable[Stored]) -> None:
        """Store messages in that order, making the folder when it is absent."""
        with self.session() as client:
            _ensure_folder(client, folder)
            for batch in _batches(messages):
                kind, text = client.multiappend(folder, batch)
                if kind != "OK":  # imapclient leaves this one refusal to its caller
                    raise StoredMailError(f"APPEND to {folder}: {text!r}")

    def deliver(
        self,
        raw: bytes,
        folder: str = "INBOX",
        *,
        flags: Sequence[str] = (),
        internal_date: dt.datetime | None = None,
    ) -> int:
        """Store one message and return its UID."""
        self.append_many(folder, [(raw, flags, internal_date)])
        return self.uids(folder)[-1]

    def uids(self, folder: str = "INBOX") -> list[int]:
        """Return the UIDs in the folder, ascending."""
        with self.session() as client:
            client.select_folder(folder, readonly=True)
            return sorted(client.search("ALL"))

    def uid_validity(self, folder: str = "INBOX") -> int:
        """Return the folder's UIDVALIDITY."""
        with self.session() as client:
            return int(client.folder_status(folder, ["UIDVALIDITY"])[b"UIDVALIDITY"])

    def raw(self, uid: int, folder: str = "INBOX") -> bytes:
        """Return the stored bytes of one message."""
        with self.session() as client:
            client.select_folder(folder, readonly=True)
            return bytes(client.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"])

    def flags(self, folder: str = "INBOX") -> dict[int, frozenset[str]]:
        """Return the flags by UID, without the one a session gives itself (Recent)."""
        with self.session() as client:
            client.select_folder(folder, readonly=True)
            found = client.search("ALL")
            answers = client.get_flags(found) if found else {}
        return {
            uid: frozenset(flag.decode() for flag in flags if flag != b"\\Recent")
            for uid, flags in answers.items()
        }

    def set_flags(self, uids: Sequence[int], flags: Sequence[str], folder: str = "INBOX") -> None:
        """Replace the flags of these messages."""
        with self.session() as client:
            client.select_folder(folder)
            client.set_flags(uids, flags, silent=True)

    def expunge(self, uids: Sequence[int], folder: str = "INBOX") -> None:
        """Delete these messages for good."""
        with self.session() as client:
            client.select_folder(folder)
            client.add_flags(uids, ["\\Deleted"], silent=True)
            client.uid_expunge(uids)

    def move(self, uids: Sequence[int], target: str, folder: str = "INBOX") -> None:
        """Move these messages, making the target folder when it is absent."""
        with self.session() as client:
            _ensure_folder(client, target)
            client.select_folder(folder)
            client.move(uids, target)

    def folders(self) -> list[str]:
        """Return the names of all folders."""
        with self.session() as client:
            return sorted(name for _, _, name in client.list_folders())

    def create_folder(self, folder: str) -> None:
        """Make a folder, and subscribe to it."""
        with self.session() as client:
            _ensure_folder(client, folder)

    def rename_folder(self, folder: str, new_name: str) -> None:
        """Rename a folder; on Dovecot it keeps its UIDVALIDITY and UIDs."""
        with self.session() as client:
            client.rename_folder(folder, new_name)

    def delete_folder(self, folder: str) -> None:
        """Delete a folder with all its mail; deleting and making one changes its UIDVALIDITY."""
        with self.session() as client:
            client.delete_folder(folder)


def _ensure_folder(client: Any, folder: str) -> None:
    if not client.folder_exists(folder):
        client.create_folder(folder)
        client.subscribe_folder(folder)


def _batches(messages: Iterable[Stored]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for raw, flags, date in messages:
        if batch and (size + len(raw) > _BATCH_BYTES or len(batch) >= _BATCH_MESSAGES):
            yield batch
            batch, size = [], 0
        item: dict[str, Any] = {"msg": raw, "flags": tuple(flags)}
        if date is not None:
            item["date"] = date
        batch.append(item)
        size += len(raw)
    if batch:
        yield batch
