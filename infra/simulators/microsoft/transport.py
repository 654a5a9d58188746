"""Decides what becomes of mail that was accepted for sending: when it leaves, as what, to whom.

Graph answers before Exchange's transport has taken a mail (learn.microsoft.com/graph/outlook-
things-to-know-about-send-mail): until then it lies in Drafts as one. What was given as MIME leaves
more or less as it was given; what was changed since, or given as properties, is written anew.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.message_bodies import RECIPIENT_LISTS
from infra.simulators.microsoft.messages import Messages
from infra.simulators.microsoft.mime_write import write_mail

if TYPE_CHECKING:
    import sqlite3

    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.accounts import Accounts, User

_BLIND = re.compile(rb"^bcc:.*\r?\n(?:[ \t].*\r?\n)*", re.IGNORECASE | re.MULTILINE)
_NAMED = re.compile(rb"^message-id:.*\r?\n(?:[ \t].*\r?\n)*", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A mail as one recipient got it, whether they have an account here or not."""

    recipient: str
    raw: bytes


class Transport:
    """Takes accepted mail out of mailboxes, and notes who got what.

    Attributes:
        delivered: everything that left, in order; each copy is one.
    """

    def __init__(self, store: Store, clock: Clock, accounts: Accounts) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self.delivered: list[Delivered] = []

    def keep_mime(self, message: int, raw: bytes) -> None:
        """Keep what a draft was given as, for as long as it is not changed."""
        self._store.execute(
            "insert into given_mime (message, changed_seq, raw)"
            " select pk, changed_seq, ? from messages where pk = ?",
            *(raw, message),
        )

    def is_accepted(self, message: int) -> bool:
        """Return whether a draft was accepted and has not left yet."""
        found = self._store.value("select count(*) from accepted where message = ?", message)
        return bool(found)

    def accept(
        self, user: User, message: int, *, keep: bool, seconds: float, renamed: bool
    ) -> None:
        """Have a draft leave after so many seconds; `renamed`: under a Message-ID of Exchange's."""
        due = self._clock.epoch() + seconds
        self._store.execute(
            "insert into accepted values (?, ?, ?, ?, ?)", message, user.pk, due, keep, renamed
        )
        self.settle()

    def settle(self) -> None:
        """Let everything leave whose time has come."""
        for one in self._store.rows(
            "select * from accepted where due <= ? order by due", self._clock.epoch()
        ):
            self._store.execute("delete from accepted where message = ?", one["message"])
            user = self._accounts.user_of(one["user"])
            folders = Folders(self._store, user)
            messages = Messages(self._store, self._clock, user, folders)
            row = messages.of(one["message"])
            if row is not None:
                self._leave(user, messages, row, renamed=bool(one["renamed"]))
                if not one["keep"]:
                    messages.delete(row["pk"])

    def _leave(self, user: User, messages: Messages, row: sqlite3.Row, *, renamed: bool) -> None:
        now = int(self._clock.epoch())
        facts = json.loads(row["facts"])
        name = messages.new_internet_id() if renamed else row["internet_id"]
        raw = self._given(row)
        messages.update(
            row["pk"],
            is_draft=False,
            sent=now,
            received=now,
            facts=json.dumps({**facts, **self._writers(user, facts)}),
            internet_id=name,
        )
        sent = messages.of(row["pk"])
        assert sent is not None  # noqa: S101 - it was changed a line above
        if raw is None:
            raw = written(messages, user, sent)
        elif renamed:
            raw = _NAMED.sub(b"Message-ID: " + name.encode() + b"\r\n", raw, count=1)
        messages.move(row["pk"], messages.folders.known("sentitems"))
        people = [one for kind in RECIPIENT_LISTS[:3] for one in facts.get(kind, [])]
        for recipient in dict.fromkeys(address_of(one) for one in people):
            self.delivered.append(Delivered(recipient, raw))
            self._arrive(recipient, raw)

    def _given(self, row: sqlite3.Row) -> bytes | None:
        given = self._store.row("select * from given_mime where message = ?", row["pk"])
        if given is None or given["changed_seq"] != row["changed_seq"]:
            return None
        head, mark, body = bytes(given["raw"]).partition(b"\r\n\r\n")
        return _BLIND.sub(b"", head + b"\r\n")[:-2] + mark + body

    def _writers(self, user: User, facts: dict[str, Any]) -> dict[str, Any]:
        """Return whom it is from: Exchange writes its own user's name, and leaves an alias."""
        if address_of(facts.get("from") or {}).lower() in user.aliases:
            return {}
        own = {"emailAddress": {"name": user.name, "address": user.address}}
        return {"from": own, "sender": own}

    def _arrive(self, recipient: str, raw: bytes) -> None:
        user = self._accounts.find_user(recipient)
        if user is None or user.options.mailbox != "ok":
            return
        folders = Folders(self._store, user)
        messages = Messages(self._store, self._clock, user, folders)
        messages.deliver(raw, folders.known("inbox"))


def written(messages: Messages, user: User, row: sqlite3.Row) -> bytes:
    """Return a message as Exchange writes it."""
    return write_mail(
        messages.mail(row),
        # Its conversation too: a copy in another mailbox has other boundaries.
        identity=f"{user.oid} {row['pk']}",
        thread_index=base64.b64encode(row["thread_index"]).decode(),
        for_draft=bool(row["is_draft"]),
    )


def address_of(recipient: dict[str, Any]) -> str:
    """Return the address in what Graph calls a recipient; empty where there is none."""
    return str((recipient.get("emailAddress") or {}).get("address") or "")
