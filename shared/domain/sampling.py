"""Where in a mailbox a few messages are looked at, so that they stand for all, and what they say.

The stretches of time between the windows' beginnings share the number, and what one has no use for
is the next one's. A stretch whose messages are few enough is looked at whole. Of another, places
are spread evenly over its messages, folder by folder: where more mail lies, more is looked at. The
same mailbox gives the same places.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from shared.domain.ids import FolderId

Some = TypeVar("Some")

MOST_PLACES = 6
"""In one stretch: each is a listing of its own."""
_ROOM = 2
"""A place is as long as twice its messages take when they come evenly: they do not."""
_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Place:
    """A piece of a folder's time of which up to `most` messages are looked at."""

    stretch: int
    folder_id: FolderId
    since: datetime
    before: datetime
    most: int


def spread(
    counted: Sequence[Mapping[FolderId, int]], borders: Sequence[datetime], *, most: int
) -> list[Place]:
    """Return where to look at up to `most` messages.

    `counted`: how many each folder received in each stretch, the latest first; `borders`: where
    those begin and end, one more than there are stretches, the latest first.
    """
    places: list[Place] = []
    for number, (end, since) in enumerate(pairwise(borders)):
        share = most // (len(counted) - number)
        found = list(_in_stretch(number, counted[number], since, end, share))
        most -= min(sum(counted[number].values()), share)
        places += found
    return places


def picked(found: Sequence[Some], most: int) -> list[Some]:
    """Return up to `most` of `found`, evenly spread."""
    if len(found) <= most:
        return list(found)
    return [found[number * len(found) // most] for number in range(most)]


def _in_stretch(
    number: int, counted: Mapping[FolderId, int], since: datetime, end: datetime, share: int
) -> Iterator[Place]:
    folders = [(name, messages) for name, messages in sorted(counted.items()) if messages]
    total = sum(messages for _, messages in folders)
    if total <= share and len(folders) <= MOST_PLACES:
        for name, messages in folders:
            yield Place(number, name, since, end, messages)
        return
    places = min(MOST_PLACES, total, share)
    for place in range(places):
        name, messages, within = _at(folders, (2 * place + 1) * total / (2 * places))
        each = share // places
        long = max(_SHORTEST, (end - since) * min(1.0, _ROOM * each / messages))
        # From the latest on, as the messages are counted.
        middle = end - (end - since) * within
        first = min(max(middle - long / 2, since), max(end - long, since))
        yield Place(number, name, first, min(first + long, end), each)


def _at(folders: Sequence[tuple[FolderId, int]], mass: float) -> tuple[FolderId, int, float]:
    """Return the folder in which the message with that number is, and how far into it."""
    for name, messages in folders:
        if mass <= messages:
            return name, messages, mass / messages
        mass -= messages
    name, messages = folders[-1]
    return name, messages, 1.0


# ---- what it says of all ----


@dataclass(frozen=True, slots=True)
class Sampled:
    """A message that was looked at."""

    stretch: int
    matches: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """How many messages match, of a window's."""

    matching: int
    looked_at: int
    """Of how many it is known; all of them: it is no estimate."""


def estimated(counted: Sequence[int], sampled: Sequence[Sampled]) -> list[Estimate | None]:
    """Return an estimate for each window, which has the stretches up to its own.

    `counted`: the messages of each stretch. None where a stretch has messages of which none was
    looked at, and from there on.
    """
    found: list[Estimate | None] = []
    matching = looked_at = 0
    for number, messages in enumerate(counted):
        here = [one.matches for one in sampled if one.stretch == number]
        if messages and not here:
            return [*found, *([None] * (len(counted) - number))]
        # Rounded in each, so that a larger window never has fewer.
        matching += round(messages * sum(here) / len(here)) if here else 0
        looked_at += min(len(here), messages)
        found.append(Estimate(matching, looked_at))
    return found
