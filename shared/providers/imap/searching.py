"""Decides how UIDs are searched for and what of an answer is believed.

`n:*`, and servers of their own accord, name more than was asked; a range of four billion is ten
bytes. So results are held to the bounds asked for, as spans, before any number is counted out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.providers.imap import grammar
from shared.providers.imap.position import LARGEST_UID
from shared.providers.imap.session import OpenFolders
from shared.providers.imap.wire import Answer, untagged

_MOST_UIDS = 2_000_000
"""In one listing."""


def search_command(
    open_folders: OpenFolders,
    window: tuple[int, int],
    since: datetime | None,
    before: datetime | None = None,
) -> bytes:
    """Return the SEARCH for the UIDs of a window, from the day of `since` to that of `before`."""
    # A day more on either side: SEARCH knows days only, and in the server's own time zone.
    floor = b" SINCE " + grammar.search_date(since - timedelta(days=1)) if since else b""
    if before:
        floor += b" BEFORE " + grammar.search_date(before + timedelta(days=2))
    esearch = b" RETURN (ALL)" if open_folders.session.can(b"ESEARCH") else b""
    low, high = min(window[0], LARGEST_UID), min(window[1], LARGEST_UID)
    return b"UID SEARCH%s UID %d:%d%s" % (esearch, low, high, floor)


def among_commands(open_folders: OpenFolders, uids: Sequence[int]) -> list[bytes]:
    """Return the SEARCHes that tell which of `uids` are in the selected folder."""
    esearch = b" RETURN (ALL)" if open_folders.session.can(b"ESEARCH") else b""
    return [b"UID SEARCH%s UID %s" % (esearch, part) for part in grammar.sequence_sets(uids)]


def found_uids(answers: Sequence[Answer], low: int, high: int) -> list[int]:
    """Return the UIDs of SEARCH or ESEARCH responses within bounds; raises `GrammarError`."""
    found: set[int] = set()
    for response in untagged(answers, b"SEARCH"):
        # Cyrus answers an empty search with `(MODSEQ n)`: only bare numbers are results.
        numbers = grammar.numbers(response[0].partition(b"(")[0])
        found.update(uid for uid in numbers if low <= uid <= high)
    for response in untagged(answers, b"ESEARCH"):
        words = [*grammar.parse(response), None]
        if b"ALL" in words:
            spans = grammar.merged(grammar.read_set(words[words.index(b"ALL") + 1], low, high))
            refuse_too_many(grammar.count(spans))
            found.update(uid for first, last in spans for uid in range(first, last + 1))
    refuse_too_many(len(found))
    return sorted(found)


def count_command(open_folders: OpenFolders, since: datetime) -> bytes:
    """Return the SEARCH that tells how many messages there are from the day of `since` on."""
    esearch = b" RETURN (COUNT)" if open_folders.session.can(b"ESEARCH") else b""
    return b"UID SEARCH%s SINCE %s" % (esearch, grammar.search_date(since))


def found_count(answer: Answer) -> int:
    """Return the number that SEARCH or ESEARCH found; raises `GrammarError`, and for too many."""
    count = _count_in(answer)
    refuse_too_many(count)
    return count


def _count_in(answer: Answer) -> int:
    for response in untagged([answer], b"ESEARCH"):
        words = [*grammar.parse(response), None]
        if b"COUNT" in words:
            return grammar.number(words[words.index(b"COUNT") + 1]) or 0
    lines = (response[0].partition(b"(")[0] for response in untagged([answer], b"SEARCH"))
    return len({uid for line in lines for uid in grammar.numbers(line)})


def refuse_too_many(count: int) -> None:
    """Raise `protocol_violation` for more UIDs than are listed at once."""
    if count > _MOST_UIDS:
        raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause=f"{count} messages in a folder")
