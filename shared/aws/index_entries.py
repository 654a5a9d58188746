"""How the index of an address is written, and read as messages with the copies that hold them.

An entry is of one copy, so that it is put without a read and with no other writer in its way, and
goes with its copy. It also says who takes part. Both let a page of mail be read in one request:
what counts is the message's own item, so that an entry need not say everything and may be behind.

Where the only copy that an address led to has gone and others hold the message still, an entry of
no copy is left in its place, and goes with the message.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from shared.aws.table import Raw
from shared.aws.tables import Key, escape, unescape
from shared.domain.ids import Address, MessageId
from shared.domain.message import Message
from shared.ports.stores import IndexPage, TimelineEntry

OF_NO_COPY = ""
"""Stands for the name of a copy in the key of an entry that is of none."""
KEPT_ENTRIES = "e"
"""The attribute that says in a message's item that it has entries of no copy."""
_MOST_NAMED = 30
_MOST_NAMED_BYTES = 500
"""Of who takes part: so that an entry stays one unit to write."""
_ENTRIES_OF_A_MESSAGE = 3
"""So many are read for each message that is asked for: most are in one or two mailboxes."""


def entry_item(key: Key, ref: str, named: Sequence[str]) -> Raw:
    """Return the item of an entry that `entry_keys` gave; `named`: as of `participants_named`."""
    item: Raw = {"pk": {"S": key.pk}, "sk": {"S": key.sk}, "c": {"S": ref}}
    return item | {"p": {"SS": list(named)}} if named else item


def of_no_copy(key: Key, entry: Raw) -> Raw:
    """Return the item that stands in for an entry of a copy; `key`: with `OF_NO_COPY`."""
    said = {name: entry[name] for name in ("p",) if name in entry}
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}} | said


def participants_named(message: Message) -> list[str]:
    """Return those who take part in a message, as far as an entry has room for them."""
    named: list[str] = []
    left = _MOST_NAMED_BYTES
    for address in dict.fromkeys(one.address for one in message.participants):
        text = escape(address)
        left -= len(text.encode())
        if left < 0 or len(named) == _MOST_NAMED:
            break
        named.append(text)
    return named


def message_of_entry(sk: str) -> MessageId:
    """Return the message an entry is of."""
    return MessageId(sk.split("#")[2])


def most_entries(messages: int) -> int:
    """Return how many entries are read where so many messages are asked for."""
    return messages * _ENTRIES_OF_A_MESSAGE + 1


def page_of(entries: Sequence[Raw], limit: int, *, cut: bool) -> IndexPage:
    """Return the first messages of some entries, newest first; `cut`: others may follow."""
    found = [
        _together(list(of_one))
        for _, of_one in groupby(entries, lambda raw: raw["sk"]["S"].rpartition("#")[0])
    ]
    if cut and len(found) > 1:
        # Of the last one there may be more copies: it comes whole with the next page.
        found.pop()
    return IndexPage(found[:limit], more=cut or len(found) > limit)


def _together(entries: Sequence[Raw]) -> TimelineEntry:
    _, at, message_id, _ = entries[0]["sk"]["S"].split("#")
    return TimelineEntry(
        datetime.fromisoformat(at),
        MessageId(message_id),
        copies=frozenset(raw["c"]["S"] for raw in entries if "c" in raw),
        addresses=frozenset(
            Address(unescape(one)) for raw in entries for one in raw.get("p", {}).get("SS", ())
        ),
    )
