"""Decides how messages are found by their addresses: by reading who takes part in each of a window.

SEARCH FROM, TO, CC and BCC exist for this (RFC 3501, 6.4.4) and are not believed. Outlook's server
does not find a recipient by the whole address (github.com/jakartaee/mail-api/issues/425), 163.com
and sina.com find nothing or refuse, QQ's finds everything (github.com/mjs/imapclient/issues/552),
mailo.com's and Zoho's find whole words alone (github.com/the-djmaze/snappymail/issues/403); nothing
they say tells which kind a server is. Four fields are some 200 bytes, which servers keep at hand
for showing a folder; and no address is ever part of a command.
"""

from collections.abc import Sequence
from datetime import datetime

from shared.domain.cursor import Cursor
from shared.domain.folders import Folder
from shared.domain.ids import Address, ProviderMessageId
from shared.providers.header_fields import SEARCHED_FIELDS
from shared.providers.imap import errors, grammar
from shared.providers.imap.fetching import (
    HEADER_FIELDS,
    UIDS_PER_FETCH,
    fields_item,
    item_name,
)
from shared.providers.imap.listing import list_window
from shared.providers.imap.session import OpenFolders, read_fetch, uid_of
from shared.providers.naming import Searched

_COMMANDS = 5
"""In one write: a round trip for a thousand messages."""
_MOST_BYTES = 64 << 10
"""Of a message's four fields; one with more is named without being read to its end."""


def search_window(
    open_folders: OpenFolders,
    folder: Folder,
    addresses: Sequence[Address],
    *,
    since: datetime,
    upto: Cursor,
) -> tuple[ProviderMessageId, ...]:
    """Return the ids of a window that may name one of `addresses`; see `MailSession.search_window`.

    One whose fields did not come, or cannot be read, is named: fetching it tells why.
    """
    names = list_window(open_folders, folder, since=since, upto=upto) if addresses else ()
    if not names:
        return ()
    uidvalidity = open_folders.select(open_folders.name_of(folder))
    by_uid = {uid: name for name in names if (uid := uid_of(name, uidvalidity)) is not None}
    others = _naming_nobody(open_folders, sorted(by_uid), Searched(addresses))
    left_out = {by_uid[uid] for uid in others}
    return tuple(name for name in names if name not in left_out)


def _naming_nobody(open_folders: OpenFolders, uids: Sequence[int], searched: Searched) -> set[int]:
    """Return those of `uids` whose fields were read and name nobody who is searched for."""
    item = fields_item(SEARCHED_FIELDS, _MOST_BYTES)
    read: dict[int, bool] = {}

    def take(response: list[bytes]) -> None:
        try:
            items = read_fetch(response) or {}
        except grammar.GrammarError:
            return
        uid = grammar.number(items.get(b"UID"))
        fields = {item_name(key): items[key] for key in items}.get(HEADER_FIELDS)
        if uid and isinstance(fields, bytes):
            is_named = len(fields) >= _MOST_BYTES or searched.may_be_in(fields)
            read[uid] = read.get(uid, False) or is_named

    commands = [
        b"UID FETCH %b (UID %b)" % (uid_set, item)
        for start in range(0, len(uids), UIDS_PER_FETCH)
        for uid_set in grammar.sequence_sets(uids[start : start + UIDS_PER_FETCH])
    ]
    for start in range(0, len(commands), _COMMANDS):
        written = commands[start : start + _COMMANDS]
        for answer in open_folders.wire.exchange(written, on_untagged=take):
            # Where it is one message the server cannot read, the others came.
            if not answer.ok and (
                answer.refusal.kind != "NO" or errors.is_about_now(answer.refusal)
            ):
                answer.require_ok()
    return {uid for uid in uids if read.get(uid) is False}
