"""Decides what Exchange's ids look like: long, case-sensitive, and new when a message moves.

A default id names the folder and the place in it, so that a move makes another id, as it does at
Exchange. An immutable id names the message alone. Both are real ids in length and alphabet:
base64 with ``-`` for ``/`` and ``_`` for ``+`` (Exchange's own order, not base64url's), which
breaks clients that fold case, cut at 128 characters or decode what they should only keep.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from typing import Literal

_FOLDER_TYPE = b"\x01\x00"
_MESSAGE_TYPE = b"\x07\x00"
_IMMUTABLE_STORE = bytes.fromhex("000000001d840311aa6611cd9bc800aa002fc45a")
_ATTACHMENT_MARK = b"\x01\x12\x00\x10\x00"
_FOLDER_BYTES = 46
_MESSAGE_BYTES = 70
_COUNTER_BYTES = 6
_CHANGE_KEY_HEAD = bytes.fromhex("0900000016000000")

Kind = Literal["folder", "message", "immutable"]


@dataclass(frozen=True, slots=True)
class Place:
    """What an id says once it is read: which folder, which item in it, or which message."""

    kind: Kind
    folder: int = 0
    item: int = 0
    attachment: bytes = b""


class MalformedIdError(ValueError):
    """The text is no id at all: Exchange answers 400, not 404."""


class Namer:
    """Writes and reads the ids of one mailbox.

    Args:
        mailbox: the mailbox's GUID as text, which every id but an immutable one begins with.
        personal: a consumer mailbox, whose ids begin with AQMk instead of AAMk.
    """

    def __init__(self, mailbox: str, *, personal: bool = False) -> None:
        digest = hashlib.sha256(mailbox.encode()).digest()
        self._replica, self._store = digest[:16], digest[16:]
        self._head = bytes([1 if personal else 0, 3]) + _sized(mailbox.encode("ascii"))
        self._conversation_head = bytes([1 if personal else 0, 4]) + _sized(mailbox.encode("ascii"))

    def folder(self, folder: int) -> str:
        """Return the id of a folder, which no option makes other than it is."""
        entry = bytes(4) + self._store + _FOLDER_TYPE + self._counter(folder)
        return _encode(self._head + _sized(entry) + b"\0")

    def message(self, folder: int, item: int) -> str:
        """Return a message's default id, good until it leaves the folder."""
        return _encode(self._message_bytes(folder, item) + b"\0")

    def immutable(self, message: int) -> str:
        """Return a message's immutable id, good as long as it stays in the mailbox."""
        return _encode(self._immutable_bytes(message))

    def attachment(self, owner: str, guid: bytes) -> str:
        """Return the id of an attachment of the message with the id ``owner``."""
        place = self.read(owner)
        if place.kind == "immutable":
            return _encode(self._immutable_bytes(place.item) + _ATTACHMENT_MARK + guid)
        return _encode(self._message_bytes(place.folder, place.item) + _ATTACHMENT_MARK + guid)

    def conversation(self, key: bytes) -> str:
        """Return the id of the conversation with this 16-byte key."""
        return _encode(self._conversation_head + _sized(key) + b"\0")

    def conversation_key(self, text: str) -> bytes:
        """Return the key in a conversation's id. Raises MalformedIdError."""
        key = _decode(text)[-17:-1]
        if text != self.conversation(key):
            raise MalformedIdError(text)
        return key

    def change_key(self, change: int) -> str:
        """Return the change key of a version, unlike any other version's."""
        return base64.b64encode(
            _CHANGE_KEY_HEAD + self._replica + change.to_bytes(_COUNTER_BYTES, "big")
        ).decode()

    def read(self, text: str) -> Place:
        """Return what an id of this mailbox names.

        Raises:
            MalformedIdError: it is not an id, or one of another mailbox.
        """
        data = _decode(text)
        if data[:5] == b"\0\x09\0\x2e\0":
            return self._read_immutable(data)
        if not data.startswith(self._head):
            raise MalformedIdError(text)
        rest = data[len(self._head) :]
        if len(rest) == _FOLDER_BYTES + 3:
            place = Place("folder", self._number(rest[2 + 22 :]))
            return _same(text, self.folder(place.folder), place)
        if len(rest) < _MESSAGE_BYTES + 3:
            raise MalformedIdError(text)
        folder, item = self._number(rest[2 + 22 :]), self._number(rest[2 + 46 :])
        attachment = rest[2 + _MESSAGE_BYTES + 5 :]
        place = Place("message", folder, item, attachment)
        owner = self.message(folder, item)
        return _same(text, self.attachment(owner, attachment) if attachment else owner, place)

    # ---- the bytes ----

    def _counter(self, number: int) -> bytes:
        return self._replica + number.to_bytes(_COUNTER_BYTES, "big") + b"\0\0"

    def _number(self, data: bytes) -> int:
        return int.from_bytes(data[16 : 16 + _COUNTER_BYTES], "big")

    def _message_bytes(self, folder: int, item: int) -> bytes:
        counters = self._counter(folder) + self._counter(item)
        return self._head + _sized(bytes(4) + self._store + _MESSAGE_TYPE + counters)

    def _immutable_bytes(self, message: int) -> bytes:
        entry = _IMMUTABLE_STORE + b"\x0d\0" + self._counter(message)
        return b"\0\x09\0" + _sized(entry)

    def _read_immutable(self, data: bytes) -> Place:
        message = self._number(data[5 + 22 :])
        attachment = data[51 + len(_ATTACHMENT_MARK) :]
        whole = self._immutable_bytes(message) + (
            _ATTACHMENT_MARK + attachment if attachment else b""
        )
        if whole != data:
            raise MalformedIdError("an immutable id of another mailbox")
        return Place("immutable", item=message, attachment=attachment)


def conversation_index(received: float, key: bytes, replies: int = 0) -> bytes:
    """Return a conversation index: a header of 22 bytes, and 5 more for every reply."""
    ticks = int((received + 11_644_473_600) * 10_000_000)
    head = b"\x01" + ticks.to_bytes(8, "big")[:5] + key
    return head + b"".join(struct.pack(">IB", 0x10000000 + n, 0x10) for n in range(replies))


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(2, "little") + data


def _encode(data: bytes) -> str:
    return base64.b64encode(data, b"_-").decode()


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), b"_-", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedIdError(text) from error


def _same(text: str, canonical: str, place: Place) -> Place:
    # A folded letter decodes to other bytes; some of them are bytes that nothing above looks at.
    if text != canonical:
        raise MalformedIdError(text)
    return place
