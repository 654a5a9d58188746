"""What it takes to have a provider tell of changes, and to read what it tells.

What it tells is a hint: it asks for a sync run, which looks for itself, and moves no cursor. So it
may be lost, doubled, late or a lie, and nothing is lost or doubled by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Mailbox, Provider, Watch
from shared.domain.secret import Secret
from shared.ports.stores import MailboxRecord


@dataclass(frozen=True, slots=True)
class WatchTarget:
    """Where, and until when, a provider is asked to tell of a mailbox's changes."""

    place: str
    """Gmail: the Pub/Sub topic (`projects/…/topics/…`). Outlook: the URL of our route, for changes
    and for what happens to the subscription alike.
    """
    until: datetime
    """A wish: Outlook may grant less, and Gmail always grants a week."""
    client_state: Secret | None = None
    """Outlook: what each notification brings back, 128 characters at most. Gmail has no such thing:
    its notifications come with a signed token.
    """


@runtime_checkable
class WatchedSession(Protocol):
    """A session (`MailSession`) with a provider that tells of changes.

    Each method raises what sessions raise: `ReconnectRequiredError`, `ConfigurationError` (a topic
    that may not be published to, a URL the provider does not reach: ours to mend),
    `RetryLaterError`. They may be called before and after any other method of the session.
    """

    def watch(self, target: WatchTarget) -> Watch:
        """Have the provider tell of every change of the mailbox from now on.

        A new one beside those that stand; at Gmail, which has one for each address and project, in
        place of it. Outlook asks at `target.place` whether it is welcome before this returns.
        """
        ...

    def extend(self, name: str, *, until: datetime) -> Watch | None:
        """Keep one that stands, which also answers a wish for a new authorization.

        None where it is gone, or where the provider has nothing to extend (Gmail): then `watch`.
        """
        ...

    def unwatch(self, name: str) -> None:
        """Have it end; one that is gone is no error.

        At Gmail that ends it for everybody who has the same address by the same project.
        """
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """One word of a provider about one mailbox. Nothing else that it says is believed."""

    key: str
    """By which ours are found. Gmail: the address as it came. Outlook: the part of `clientState`
    before its first dot.
    """
    proof: Secret | None = None
    """Outlook: the part of `clientState` after that dot; who asks compares it. None at Gmail, where
    the reader has verified the token of the whole request.
    """
    watch: str = ""
    """Outlook: the `subscriptionId`; empty at Gmail."""
    ends: bool = False
    """The watch is gone, or does not tell unless it is extended now: Outlook's lifecycle events
    `subscriptionRemoved`, `reauthorizationRequired` and `missed`.
    """


class PushReader(Protocol):
    """Reads what comes in at one provider's route. It asks nobody but for public keys."""

    def read(self, headers: Mapping[str, str], body: bytes) -> Sequence[Notice]:
        """Return what a request says; names of `headers` are lower case.

        Entries that are no notice are left out; the caller has capped the body. Raises
        `RequestError` (`UNAUTHENTICATED` where nothing proves that it is the provider's,
        `INVALID_REQUEST` for a body that is none of its), `RetryLaterError` where its keys could
        not be had. A `validationToken` in the query (Outlook) is answered before this is asked.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listener:
    """A mailbox that a provider's word is about, as it is found by the word alone."""

    provider: Provider
    key: str
    tenant_id: TenantId
    mailbox_id: MailboxId
    proof: str | None = None
    """The digest of what a word has to bring; None where the word is proved otherwise (Gmail)."""
    watch: str = ""
    """Its watch's name; empty while that is being made."""
    asked: Mapping[bool, datetime] = field(default_factory=dict)
    """When the latest run that a word asked for was to begin; under True of those that renew."""


class PushStore(Protocol):
    """Who is watched, and whom a word is about. Every method may raise `StoreThrottledError`.

    What a run writes is fenced by the generation of `record`: False, and nothing written, where
    that has passed.
    """

    def claim(self, record: MailboxRecord, *, again_at: datetime) -> bool:
        """Take the right to ask the provider, until `again_at`; False: somebody else has it."""
        ...

    def listen(
        self, record: MailboxRecord, key: str, *, proof: str | None, until: datetime
    ) -> bool:
        """Have words with `key` find the mailbox until then; any watch's, as none is known yet."""
        ...

    def keep(
        self,
        record: MailboxRecord,
        key: str,
        watch: Watch,
        *,
        renew_at: datetime,
        until: datetime,
    ) -> bool:
        """Keep the watch that was made or extended; words of another one find nobody.

        False too, and nothing written, where nobody listens.
        """
        ...

    def let_end(self, record: MailboxRecord, *, now: datetime) -> bool:
        """Note that the watch is to be renewed at once."""
        ...

    def forget(self, mailbox: Mailbox, key: str) -> bool:
        """Have no word find the mailbox, and its watch forgotten; return whether others are found.

        Fenced by nothing: to be called once the generation was raised.
        """
        ...

    def listeners(self, provider: Provider, key: str) -> Sequence[Listener]:
        """Return those whom a word is about, consistently read."""
        ...

    def ask(self, listener: Listener, *, renews: bool, run_at: datetime | None) -> bool:
        """Note when the run begins that a word asks for, or take that back (None).

        False where another word came first, or the mailbox listens no longer.
        """
        ...
