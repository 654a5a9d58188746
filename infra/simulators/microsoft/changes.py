"""Decides what delta tells: a walk over a folder as it is, then what has changed since.

A round ends with a link that holds the mailbox's number at its beginning, so nothing that changes
during the round is lost; it may be told twice. Tokens hold the folder and the options they were
made with and are good for nothing else.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

    from infra.simulators.kit.store import Store

FILTERED_AT_MOST = 5000
_FIRST = (1 << 62, 1 << 62)


@dataclass(frozen=True, slots=True)
class Round:
    """Where a client stands in following a folder.

    Attributes:
        folder: number; 0 follows the list of folders.
        select: lower-case names, sorted.
        page: items of a page; 0 when nothing was said.
        since: the client knows all up to this number; -1 in the first walk.
        upto: this round tells all up to this number.
        at: of the walk, the last told (received, item); of a round of changes, (number, 0).
        told: how many the walk has told.
        after: `receivedDateTime` at least this; None without a filter.
        change: `created`, `updated`, `deleted` or all.
        made: when the token was given out.
    """

    user: int
    folder: int
    select: tuple[str, ...] = ()
    expand: bool = False
    page: int = 0
    since: int = -1
    upto: int = -1
    at: tuple[int, int] = _FIRST
    told: int = 0
    after: float | None = None
    change: str = ""
    made: float = 0.0

    def sealed(self) -> dict[str, Any]:
        """Return it as JSON, for a token."""
        return asdict(self)

    @classmethod
    def opened(cls, value: dict[str, Any]) -> Round:
        """Return what a token holds."""
        return cls(**{**value, "select": tuple(value["select"]), "at": tuple(value["at"])})


@dataclass(slots=True)
class Page:
    """One page of a round.

    Attributes:
        changed: rows of messages, to be told whole.
        removed: rows of removals.
        following: where the next page begins.
        is_last: the round is complete, `following` begins the next one.
    """

    following: Round
    changed: list[sqlite3.Row] = field(default_factory=list)
    removed: list[sqlite3.Row] = field(default_factory=list)
    is_last: bool = False


def next_page(store: Store, place: Round, size: int, *, seq: int, immutable: bool) -> Page:
    """Return the next page of messages.

    Args:
        store: the mailbox.
        place: where the client stands.
        size: how many items at most.
        seq: number of the mailbox's latest change.
        immutable: the client goes by immutable ids.
    """
    if place.upto < 0:
        place = replace(place, upto=seq)
    if place.since < 0:
        return _walk(store, place, size)
    return _news(store, place, size, immutable=immutable)


def _walk(store: Store, place: Round, size: int) -> Page:
    # What came in after the walk began has a higher number and is told in the next round.
    rows = store.rows(
        "select * from messages where folder = ? and entered_seq <= ? and received >= ?"
        " and (received, item) < (?, ?) order by received desc, item desc limit ?",
        *(place.folder, place.upto, -(1 << 62) if place.after is None else place.after),
        *(*place.at, size),
    )
    if place.after is not None:
        rows = rows[: max(0, FILTERED_AT_MOST - place.told)]
    following = replace(
        place,
        told=place.told + len(rows),
        at=(rows[-1]["received"], rows[-1]["item"]) if rows else place.at,
    )
    if len(rows) < size:
        return Page(_next_round(following), rows, is_last=True)
    return Page(following, rows)


def _news(store: Store, place: Round, size: int, *, immutable: bool) -> Page:
    start = max(place.since, place.at[0] if place.at != _FIRST else 0)
    changed = store.rows(
        "select * from messages where folder = ? and changed_seq > ? and changed_seq <= ?"
        " order by changed_seq limit ?",
        *(place.folder, start, place.upto, size),
    )
    # Nobody is told of the end of what they were never told of.
    removed = store.rows(
        "select * from removals where folder = ? and seq > ? and seq <= ? and entered_seq <= ?"
        " order by seq limit ?",
        *(place.folder, start, place.upto, place.since, size),
    )
    merged = sorted(
        [(row["changed_seq"], row, True) for row in changed]
        + [(row["seq"], row, False) for row in removed],
        key=lambda one: one[0],
    )[:size]
    following = replace(place, at=(merged[-1][0], 0) if merged else place.at)
    page = Page(following)
    for _, row, is_here in merged:
        if is_here and _is_wanted(row, place):
            page.changed.append(row)
        elif (
            not is_here
            and place.change in ("", "deleted")
            and not (immutable and _is_back(store, row))
        ):
            page.removed.append(row)
    if len(merged) < size:
        page.is_last = True
        page.following = _next_round(following)
    return page


def _next_round(place: Round) -> Round:
    return replace(place, since=place.upto, upto=-1, at=_FIRST, told=0)


def _is_wanted(row: sqlite3.Row, place: Round) -> bool:
    if place.after is not None and row["received"] < place.after:
        return False
    kind = "created" if row["entered_seq"] > place.since else "updated"
    return place.change in ("", kind)


def _is_back(store: Store, removal: sqlite3.Row) -> bool:
    # It left and came back: by its immutable id it is here, and is told as such.
    found = store.row("select folder from messages where pk = ?", removal["message"])
    return found is not None and found["folder"] == removal["folder"]
