"""Which listed messages a mailbox fetches whole: all, or those a contact takes part in.

Where it keeps contacts' mail alone, their headers are fetched before them, and nothing of what
matches nobody outlives the judgement: no subject, no address, only the id in the ledger. Who is a
contact is read consistently: whoever becomes one later finds the message by a search.

A header may name too many (see `fetch_headers`), so it only ever lets a message through: what is
fetched for it is judged again, by everything. One that is cut, or names more than are read, may
hide a contact, and one that names nobody says nothing: such a message is fetched whole, and judged
then.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from shared.domain.errors import RetryLaterError, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import Address, ProviderMessageId
from shared.domain.ledger import NO_CONTACT, Fate, Ledger
from shared.domain.mailbox import Mailbox, StoredMail
from shared.domain.message import FetchedMessage, MissingMessage, ParsedMessage
from shared.domain.policy import TenantPolicy
from shared.domain.taking_part import others_in
from shared.ports.contacts import ContactStore
from shared.ports.parser import MessageParser
from shared.ports.provider import MessageSource

_JUDGED_AT_ONCE = 50
"""Messages: those of them that are wanted are fetched before the next are judged."""
_ASKED_AT_ONCE = 500
"""Addresses that are looked up together, and those of one message."""

_Judged = tuple[FetchedMessage, ParsedMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersFirst:
    """Judges the messages of one mailbox during one run."""

    mailbox: Mailbox
    session: MessageSource
    parser: MessageParser
    contacts: ContactStore
    policy: Callable[[], TenantPolicy]
    """Says which addresses are one."""
    ledger: Ledger
    why_not: Callable[[FetchedMessage, ParsedMessage], str | None]
    """Why a message is not stored, whoever its contacts are."""
    why_unread: Callable[[FetchedMessage], str | None]
    """… and without looking at it."""
    meet: Callable[[Sequence[tuple[FetchedMessage, ParsedMessage]]], None]
    """Make contacts of the unknown senders of messages that nothing keeps out, where wished."""
    settle_missing: Callable[[Folder, MissingMessage], None]
    has_time: Callable[[], bool]
    matched: dict[ProviderMessageId, frozenset[Address]]
    """The contacts' addresses that headers named; added to here, and outlives this."""

    def wanted(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[Sequence[ProviderMessageId] | None]:
        """Yield which of `ids` are to be fetched whole, in order; None: there is no time left.

        The others are settled. Some come before the next are judged: what nobody gets past keeps
        none back that lies before it. Raises what a session and the stores raise.
        """
        if self.mailbox.store is StoredMail.ALL:
            yield ids
            return
        for start in range(0, len(ids), _JUDGED_AT_ONCE):
            yield from self._wanted_of(folder, ids[start : start + _JUDGED_AT_ONCE])

    def _wanted_of(
        self, folder: Folder, ids: Sequence[ProviderMessageId]
    ) -> Iterator[Sequence[ProviderMessageId] | None]:
        waiting: list[_Judged] = []
        unjudged: set[ProviderMessageId] = set()
        named = 0
        lost: RetryLaterError | None = None
        try:
            for fetched in self.session.fetch_headers(folder, ids):
                self.ledger.asked += 1
                if isinstance(fetched, MissingMessage):
                    self.settle_missing(folder, fetched)
                elif reason := self.why_unread(fetched):
                    self.ledger.settle(fetched.provider_message_id, Fate.SKIPPED, reason)
                else:
                    try:
                        parsed = self.parser.parse(fetched)
                    except UnreadableMessageError:
                        unjudged.add(fetched.provider_message_id)
                    else:
                        waiting.append((fetched, parsed))
                        named += len(parsed.participants)
                if named >= _ASKED_AT_ONCE:
                    unjudged |= self._judge(waiting)
                    named = 0
                if not self.has_time():
                    yield None
                    return
        except RetryLaterError as error:
            lost = error
        unjudged |= self._judge(waiting)
        yield [name for name in ids if name in self.matched or name in unjudged]
        if lost is not None:
            raise lost

    def is_of_nobody(self, fetched: FetchedMessage, parsed: ParsedMessage) -> bool:
        """Whether a message that came whole is none of a contact's after all."""
        if self.mailbox.store is StoredMail.ALL:
            return False
        others = self._others(parsed)
        known = self.matched.get(fetched.provider_message_id, frozenset())
        return known.isdisjoint(others) and not self._contacts_of(others)

    def _judge(self, waiting: list[_Judged]) -> set[ProviderMessageId]:
        """Judge all of `waiting`, and empty it; return those whose headers cannot tell."""
        unjudged: set[ProviderMessageId] = set()
        # First: of who becomes a contact by writing, this is the first message.
        self.meet([one for one in waiting if self.why_not(*one) is None])
        named = {one.provider_message_id: self._others(parsed) for one, parsed in waiting}
        known = self._contacts_of({one for addresses in named.values() for one in addresses})
        for fetched, parsed in waiting:
            name = fetched.provider_message_id
            if found := known.intersection(named[name]):
                self.matched[name] = found
            elif parsed.truncated or not parsed.taking_part():
                unjudged.add(name)
            else:
                reason = self.why_not(fetched, parsed) or NO_CONTACT
                self.ledger.settle(name, Fate.SKIPPED, reason)
        waiting.clear()
        return unjudged

    def _contacts_of(self, addresses: Collection[Address]) -> frozenset[Address]:
        if not addresses:
            return frozenset()
        tenant_id = self.mailbox.tenant_id
        found = self.contacts.contacts_by_address(
            tenant_id, sorted(addresses), policy=self.policy()
        )
        return frozenset(found)

    def _others(self, parsed: ParsedMessage) -> tuple[Address, ...]:
        """Return those it is indexed under."""
        return others_in(parsed.participants, self.mailbox)
