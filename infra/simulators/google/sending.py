"""Decides what sending does: a copy in SENT, and mail for whoever else lives in the simulator."""

from __future__ import annotations

import email
import secrets
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers
from infra.simulators.google.letters import Letter, read_letter
from infra.simulators.google.mailbox import Mailbox
from infra.simulators.google.messages_api import brief, uploaded, wanted_thread
from infra.simulators.google.uploads import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.simulators.google.accounts import Accounts
    from infra.simulators.google.gate import ApiCall, Handler
    from infra.simulators.google.settings_api import SendAs


class Sending:
    """`users.messages.send`, and what drafts need of it."""

    def __init__(self, accounts: Accounts, send_as: SendAs) -> None:
        self._accounts = accounts
        self._send_as = send_as

    def handlers(self) -> dict[str, Handler]:
        """Return the functions by method."""
        return {"messages.send": self._send}

    def _send(self, call: ApiCall) -> dict[str, Any]:
        raw = uploaded(call, call.body)
        number = self.send(call.mailbox, raw, wanted_thread(call, call.body))
        return brief(call.mailbox, number)

    def send(
        self, mailbox: Mailbox, raw: bytes, thread_id: int | None, *, was_draft: bool = False
    ) -> int:
        """Send a message. Returns the id of the copy in SENT. Raises AnswerError."""
        if len(raw) > MOST_BYTES:
            raise answers.invalid("Message too large")
        raw = _completed(raw, mailbox, self._send_as.usable_by(mailbox.address))
        letter = read_letter(raw)
        if not letter.recipients:
            raise answers.invalid("Recipient address required")
        to_self = mailbox.address in letter.recipients
        number = mailbox.add(
            raw,
            ["UNREAD", "SENT", "INBOX"] if to_self else ["SENT"],
            thread_id=thread_id,
            letter=letter,
            is_that_thread=was_draft,
        )
        self._deliver(mailbox, raw, letter)
        return number

    def _deliver(self, mailbox: Mailbox, raw: bytes, letter: Letter) -> None:
        """Put the message into the inboxes of accounts here. Others get nothing, and no bounce."""
        known = set(self._accounts.users()) - {mailbox.address}
        without_bcc = _without(raw, "bcc")
        for address in dict.fromkeys(letter.recipients):
            if address in known:
                Mailbox(mailbox.world, address).add(
                    without_bcc, ["UNREAD", "CATEGORY_PERSONAL", "INBOX"]
                )


def _completed(raw: bytes, mailbox: Mailbox, usable: Mapping[str, bool]) -> bytes:
    """Return the message with what Gmail adds or replaces; the rest byte for byte.

    `usable`: the addresses it may be from, and which of them takes the place of any other.
    """
    if not mailbox.world.limits.keeps_message_ids:
        raw = _without(raw, "message-id")
    headers = email.message_from_bytes(raw)
    if parseaddr(str(headers.get("From", "")))[1].lower() not in usable:
        raw = _without(raw, "from")
        del headers["From"]
    added = []
    if headers.get("Message-ID") is None:
        added.append(f"Message-ID: <CA{secrets.token_urlsafe(32)}@mail.gmail.com>")
    if headers.get("Date") is None:
        added.append(f"Date: {format_datetime(mailbox.world.clock.now())}")
    if headers.get("From") is None:
        default = next((one for one, is_default in usable.items() if is_default), mailbox.address)
        added.append(f"From: {default}")
    return "".join(f"{line}\r\n" for line in added).encode() + raw


def _without(raw: bytes, name: str) -> bytes:
    """Return the message without a header, the rest byte for byte."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        head, separator, body = raw.partition(b"\n\n")
    kept: list[bytes] = []
    dropping = False
    for line in head.splitlines(keepends=True):
        if not line.startswith((b" ", b"\t")):
            dropping = line.lower().startswith(f"{name}:".encode())
        if not dropping:
            kept.append(line)
    return b"".join(kept) + separator + body
