"""What a page of an erasure holds, what of it is not counted yet, and how far a look has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.aws.message_erasure import Doomed
from shared.aws.stored_objects import Upload
from shared.aws.table import Raw
from shared.aws.tables import RUN_PREFIX, Key, copy_sk
from shared.aws.tables_of_dead_letters import LETTER_PREFIX
from shared.aws.tables_of_erasures import WRITING_PREFIX, unpacked_ids
from shared.aws.tables_of_sends import SEND_PREFIX
from shared.domain.erasure import Erased, Erasure
from shared.domain.ids import ContactId, MessageId
from shared.ports.erasures import ErasePage

NO_MESSAGES: frozenset[MessageId] = frozenset()

Names = Mapping[Key, frozenset[MessageId]]
"""Items, each with the messages that must be gone before it may go."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a page deletes: messages first, then what they were found by."""

    messages: tuple[Doomed, ...] = ()
    found_by: Names = field(default_factory=dict)
    first: tuple[Key, ...] = ()
    """Items that only others of the page lead to, which go before those."""
    objects: tuple[str, ...] = ()
    uploads: tuple[Upload, ...] = ()
    contacts: tuple[ContactId, ...] = ()
    log: tuple[Key, ...] = ()
    """Entries of the log of added addresses, which name those that are erased."""


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places that are looked in, and how far into it the receipt has counted."""

    erasure: Erasure
    name: str

    def is_new(self, key: str) -> bool:
        """Whether what has this key is not counted yet."""
        place, _, counted = self.erasure.counted_to.partition("|")
        return place != self.name or key > counted

    def up_to(self, key: str) -> str:
        """Return the position after a page that ends with this key."""
        return f"{self.name}|{key}"


def looked_to(erasure: Erasure, place: str) -> str | None:
    """Return up to where a place was found empty; None: to its end, as a later one was begun."""
    begun, _, up_to = erasure.looked_to.partition("|")
    if begun > place:
        return None
    return up_to if begun == place else ""


def step(erasure: Erasure, place: str, up_to: str) -> ErasePage:
    """Return the page that only says up to where a place was found empty."""
    return ErasePage(erasure.counted_to, Erased(), Work(), f"{place}|{up_to}")


def all_of(names: Iterable[frozenset[MessageId]]) -> frozenset[MessageId]:
    """Return them in one."""
    return NO_MESSAGES.union(*names)


def key_of(raw: Raw) -> Key:
    """Return the key of an item."""
    return Key(raw["pk"]["S"], raw["sk"]["S"])


def is_of(raw: Raw, prefix: str) -> bool:
    """Whether an item's sort key begins so."""
    return str(raw["sk"]["S"]).startswith(prefix)


def messages_of(raw: Raw) -> frozenset[MessageId]:
    """Return the messages an item of a mailbox leads to."""
    if is_of(raw, copy_sk("")):
        return frozenset({MessageId(raw["m"]["S"])})
    if is_of(raw, WRITING_PREFIX):
        return frozenset(unpacked_ids(raw["i"]["B"]))
    return NO_MESSAGES


def counts_of(items: Sequence[Raw]) -> Erased:
    """Return what the receipt counts of items of a mailbox."""
    copies, runs, letters, notes, sends = (
        sum(is_of(raw, prefix) for raw in items)
        for prefix in (copy_sk(""), RUN_PREFIX, LETTER_PREFIX, WRITING_PREFIX, SEND_PREFIX)
    )
    other = len(items) - copies - runs - letters - notes - sends
    return Erased(copies=copies, runs=runs, dead_letters=letters, sends=sends, other=other)


def counts_of_messages(
    doomed: Mapping[MessageId, Doomed], fresh: Iterable[MessageId], *, with_copies: bool = False
) -> Erased:
    """Return what the receipt counts of those messages that are `fresh`."""
    counted = [doomed[one] for one in fresh if one in doomed]
    whole = [one for one in counted if one.goes_whole]
    return Erased(
        messages=sum(one.message is not None for one in whole),
        kept_for_others=len(counted) - len(whole),
        copies=sum(len(one.refs) for one in whole) if with_copies else 0,
        attachments=sum(len(one.objects) - one.bodies for one in whole),
        bodies=sum(one.bodies for one in whole),
    )
