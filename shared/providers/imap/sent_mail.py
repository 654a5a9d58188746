"""Decides which of a mailbox's messages is the mail we sent, and puts it there where nobody does.

Servers that save what they take for sending may take a moment to; some always do (`presets.json`),
and of the rest nobody knows. So it is looked for twice, a moment apart, before it is added.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage
from shared.ports.sending import Outgoing
from shared.providers.imap import fetching, grammar
from shared.providers.imap.position import LARGEST_UID
from shared.providers.imap.searching import found_uids
from shared.providers.imap.session import OpenFolders, message_id

MOMENT_SECONDS = 2.0
"""How long a server that saves what it sends is waited for."""
_CLOCKS_DIFFER = timedelta(days=2)
"""Ours and a server's, and the days of the zones they are in."""
_MOST_SEEN = 20
"""Copies of one mail that are looked at."""
_NEW_NAMES = (b"Sent", b"INBOX.Sent", b"INBOX/Sent")
"""What a folder for sent mail is called where there is none; below the Inbox where all are."""
_DATE = re.compile(rb"^Date:[ \t]*([^\r\n]{1,100})", re.IGNORECASE | re.MULTILINE)


class SentMail:
    """The sent mail of one mailbox, over an open session."""

    def __init__(self, open_folders: OpenFolders) -> None:
        self._open_folders = open_folders
        self._wire = open_folders.wire
        self._folder: Folder | None = None

    def folder(self) -> Folder | None:
        """Return the folder sent mail is in: the first the server lists, None without one."""
        if self._folder is None:
            listed = (one.folder for one in self._open_folders.list_folders())
            fitting = (one for one in listed if one.role is FolderRole.SENT and one.selectable)
            self._folder = next(fitting, None)
        return self._folder

    def find(self, mail: Outgoing) -> FetchedMessage | None:
        """Return the oldest copy of a mail there by its Message-ID; of its content, the header."""
        folder = self.folder()
        if folder is None:
            return None
        raw = self._open_folders.name_of(folder)
        name, since = mail.internet_message_id.encode(), _date_of(mail.content)
        # Selected anew: what came since is not shown to a session that does not ask.
        commands = self._open_folders.select_commands(raw, anew=True)
        # A server without an index of headers reads those of some days instead of all years'.
        floor = b"SINCE %b " % grammar.search_date(since - _CLOCKS_DIFFER) if since else b""
        search = b"UID SEARCH %bHEADER Message-ID %b" % (floor, grammar.quoted(name))
        answers = self._wire.exchange([*commands, search])
        uidvalidity = self._open_folders.take_selection(raw, answers, commands)
        found = found_uids([answers[-1].require_ok()], 1, LARGEST_UID)[:_MOST_SEEN]
        ids = [message_id(folder, uidvalidity, uid) for uid in found]
        # A server may find more than was asked for; another mail found here would be called sent.
        copies = {
            one.provider_message_id: one
            for one in self._headers(folder, ids)
            if name in (one.header or b"")
        }
        return next((copies[one] for one in ids if one in copies), None)

    def add(self, mail: Outgoing) -> FetchedMessage | None:
        """Put a mail among the sent mail, as read; makes the folder where there is none.

        Returns what `find` does.
        """
        folder = self.folder() or self._made()
        if folder is None:
            return None
        command = b"APPEND " + grammar.quoted(self._open_folders.name_of(folder)) + b" (\\Seen)"
        date = _date_of(mail.content)
        if date is not None:
            # Tried again hours later it is still where it belongs in time.
            command += b" " + grammar.date_time(date)
        status = self._wire.upload(command, mail.blind_copy).require_ok().status
        told = status.arguments if status and status.code == "APPENDUID" else b""
        uidvalidity, uid = (grammar.number(one) for one in (*told.split(b" "), b"", b"")[:2])
        if not uidvalidity or not uid:
            return self.find(mail)
        copies = self._headers(folder, [message_id(folder, uidvalidity, uid)])
        return next(iter(copies), None)

    def _headers(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> list[FetchedMessage]:
        fetched = fetching.fetch(self._open_folders, folder, ids, headers_only=True)
        return [one for one in fetched if isinstance(one, FetchedMessage)]

    def _made(self) -> Folder | None:
        for raw in _NEW_NAMES:
            name = grammar.quoted(raw)
            made = self._wire.exchange([b"CREATE " + name])[0]
            if made.ok:
                # Other programs show only what is subscribed to; one that cannot be still is there.
                self._wire.exchange([b"SUBSCRIBE " + name])
                return self.folder()
        return None


def find_twice(
    sent_mail: SentMail, mail: Outgoing, pause: Callable[[float], None]
) -> FetchedMessage | None:
    """Return the mail's copy, after a moment where it is not there at once."""
    found = sent_mail.find(mail)
    if found is None:
        pause(MOMENT_SECONDS)
        found = sent_mail.find(mail)
    return found


def _date_of(content: bytes) -> datetime | None:
    match = _DATE.search(content.partition(b"\r\n\r\n")[0])
    try:
        date = parsedate_to_datetime(match[1].decode("ascii")) if match else None
    except ValueError:
        return None
    return date if date and date.tzinfo else None
