"""What became of every id a run listed; a run whose ledger does not balance has failed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.ids import ProviderMessageId

BEFORE_HISTORY = "before_history"
"""Why a message that is new here and old by its date stays at the provider."""
FOLDER_NOT_ACTIVE = "folder_not_active"
"""Why a message stays at the provider that is in none of the folders that are synced."""
ERASED = "erased"
"""Why a message stays at the provider in which somebody takes part whose mail was erased."""
INTERNAL = "internal"
"""Why a message stays at the provider that the tenant's own people wrote to each other."""
BLOCKED = "blocked"
"""Why a message stays at the provider that is from, or only to, who is blocked by the tenant."""
AUTOMATED = "automated"
"""Why a message stays at the provider that a machine sent, where the tenant wants none of those."""
NO_CONTACT = "no_contact"
"""Why a message stays at the provider in which no contact takes part, where only theirs is kept."""
TEST_MESSAGE = "test_message"
"""Why a message stays at the provider that was sent from here to see it come back."""


LEFT_OUT = {
    BEFORE_HISTORY: "as too old",
    FOLDER_NOT_ACTIVE: "as in no folder that is synced",
    ERASED: "as erased",
    INTERNAL: "as internal",
    BLOCKED: "as blocked",
    AUTOMATED: "as automated",
    NO_CONTACT: "as without a contact",
    TEST_MESSAGE: "as a test of ours",
}
"""How a person is told why messages stay at the provider: "3 left out …"."""


class Fate(StrEnum):
    """What can become of a listed message."""

    STORED = "stored"
    ALREADY_STORED = "already_stored"
    SKIPPED = "skipped"
    UNREADABLE = "unreadable"
    GONE = "gone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Counts:
    """The sums of a ledger; `listed` is what the provider named, the rest what became of it."""

    listed: int = 0
    stored: int = 0
    already_stored: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    unreadable: int = 0
    gone: int = 0
    failed: int = 0
    flags_changed: int = 0
    moved: int = 0
    removed: int = 0
    contacts_made: int = 0
    """Of senders nobody knew; a worker that died has not counted its own."""
    contacts_put_off: int = 0
    """Senders who were not made contacts: the day's were made, or their address is full."""

    @property
    def settled(self) -> int:
        """How many of the listed have met their fate."""
        return (
            self.stored
            + self.already_stored
            + sum(self.skipped.values())
            + self.unreadable
            + self.gone
            + self.failed
        )

    @property
    def balances(self) -> bool:
        """Whether every listed id is accounted for."""
        return self.listed == self.settled

    def __add__(self, other: "Counts") -> "Counts":
        skipped = dict(self.skipped)
        for reason, count in other.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + count
        return Counts(
            self.listed + other.listed,
            self.stored + other.stored,
            self.already_stored + other.already_stored,
            skipped,
            self.unreadable + other.unreadable,
            self.gone + other.gone,
            self.failed + other.failed,
            self.flags_changed + other.flags_changed,
            self.moved + other.moved,
            self.removed + other.removed,
            self.contacts_made + other.contacts_made,
            self.contacts_put_off + other.contacts_put_off,
        )


@dataclass(slots=True)
class Ledger:
    """Collects fates during a run. An id has one fate: the first one settled stays."""

    _listed: dict[ProviderMessageId, tuple[Fate, str] | None] = field(default_factory=dict)
    flags_changed: int = 0
    moved: int = 0
    """Copies that are in other folders now, and were not fetched again for it."""
    removed: int = 0
    contacts_made: int = 0
    contacts_put_off: int = 0
    oldest_stored: datetime | None = None
    """When the provider received the oldest of what this run stored."""
    asked: int = 0
    """How often the provider was asked for a message, whole or for its header alone."""

    def add(self, ids: Iterable[ProviderMessageId]) -> None:
        """Note that the provider named `ids`."""
        for provider_message_id in ids:
            self._listed.setdefault(provider_message_id, None)

    def settle(
        self,
        provider_message_id: ProviderMessageId,
        fate: Fate,
        reason: str = "",
        *,
        received_at: datetime | None = None,
    ) -> None:
        """Note what became of a listed id; raises KeyError for one never listed."""
        if self._listed[provider_message_id] is None:
            self._listed[provider_message_id] = (fate, reason)
        if fate is Fate.STORED and received_at is not None:
            self.oldest_stored = min(self.oldest_stored or received_at, received_at)

    def forget(self, provider_message_id: ProviderMessageId) -> None:
        """Take an unsettled id back: the run stopped before it and a later one lists it again."""
        if self._listed[provider_message_id] is None:
            del self._listed[provider_message_id]

    @property
    def unsettled(self) -> tuple[ProviderMessageId, ...]:
        """The listed ids nothing is known of yet."""
        return tuple(name for name, fate in self._listed.items() if fate is None)

    def counts(self) -> Counts:
        """Return the sums so far."""
        fates = [fate for fate in self._listed.values() if fate is not None]
        skipped: dict[str, int] = {}
        for fate, reason in fates:
            if fate is Fate.SKIPPED:
                skipped[reason] = skipped.get(reason, 0) + 1

        def count(wanted: Fate) -> int:
            return sum(1 for fate, _ in fates if fate is wanted)

        return Counts(
            listed=len(self._listed),
            stored=count(Fate.STORED),
            already_stored=count(Fate.ALREADY_STORED),
            skipped=skipped,
            unreadable=count(Fate.UNREADABLE),
            gone=count(Fate.GONE),
            failed=count(Fate.FAILED),
            flags_changed=self.flags_changed,
            moved=self.moved,
            removed=self.removed,
            contacts_made=self.contacts_made,
            contacts_put_off=self.contacts_put_off,
        )

    def entries(self) -> Mapping[str, tuple[ProviderMessageId, ...]]:
        """Return the ids by fate, `skipped:<reason>` where there is a reason."""
        grouped: dict[str, list[ProviderMessageId]] = {}
        for name, settled in self._listed.items():
            if settled is not None:
                fate, reason = settled
                grouped.setdefault(f"{fate}:{reason}" if reason else str(fate), []).append(name)
        return {key: tuple(names) for key, names in grouped.items()}
