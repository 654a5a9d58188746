"""In which requests all that decides what is shown of some messages is read.

The first asks for the messages and for what their index entries say of them; what the messages
themselves then name beside that is asked for as well. Of ordinary mail nothing is missing.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile

from shared.domain.identity import thread_of
from shared.domain.ids import Address, MailboxId, MessageId, TenantId
from shared.domain.message import Message, place_of, taking_part
from shared.domain.policy import TenantPolicy
from shared.ports.reading import READ_AT_ONCE, Found, MailReader, Wanted
from shared.ports.stores import TimelineEntry

_MOST_ASKED = 80
"""Of so many of a message's people the contacts are asked for.

With its copies they are one request, or a mail to a thousand would take ten for itself, and tell by
their time that it is there.
"""
_NOBODYS = frozenset({MailboxId("nobodys")})


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything there is of the first `number` of some messages; it took `requests`."""

    found: Found
    number: int
    requests: int


def load_first(
    tenant_id: TenantId,
    entries: Sequence[TimelineEntry],
    *,
    reader: MailReader,
    policy: TenantPolicy | None = None,
    theirs: Collection[Address] = (),
) -> Loaded:
    """Return everything there is of the first of these messages; of one at least.

    As many as one request reads whole. It takes further ones for the first message alone, and for
    as many others as then fit in: where that is held by more copies, or is to more people, than its
    entry says or one request reads.

    `policy`: the tenant's, where it was read. `theirs`: addresses, each as the policy has it, whose
    contacts are asked for however many take part.
    """
    if not entries:
        return Loaded(Found(), 0, 0)
    wanted, number = Wanted(policy=policy is None), 0
    for entry in entries:
        with_it = wanted | _of_entry(entry)
        if number and len(with_it) > READ_AT_ONCE:
            break
        wanted, number = with_it, number + 1
    known = Found() if policy is None else Found(Wanted(policy=True), policy=policy)
    loading = _Loading(tenant_id, reader, frozenset(theirs), known)
    loading.read(wanted)
    ids = [entry.message_id for entry in entries[:number]]
    loading.complete(ids)
    whole = takewhile(lambda one: not loading.missing(one), ids)
    return Loaded(loading.found, sum(1 for _ in whole), loading.requests)


def load_one(tenant_id: TenantId, message_id: MessageId, *, reader: MailReader) -> Found:
    """Return everything there is of one message.

    One that is not there takes as many requests as one that is hidden: by their time an answer
    would tell that somebody has a message whose id can be worked out.
    """
    loading = _Loading(tenant_id, reader)
    loading.read(Wanted(policy=True) | _of_id(message_id))
    if message_id not in loading.found.messages:
        loading.read(Wanted(mailboxes=_NOBODYS))
    loading.complete([message_id])
    return loading.found


def load_nothing(tenant_id: TenantId, *, reader: MailReader) -> None:
    """Take as many requests as hidden mail does."""
    load_one(tenant_id, MessageId(""), reader=reader)


@dataclass(slots=True)
class _Loading:
    """What was read so far, in so many requests."""

    tenant_id: TenantId
    reader: MailReader
    theirs: frozenset[Address] = frozenset()
    found: Found = field(default_factory=Found)
    requests: int = 0

    def read(self, wanted: Wanted) -> None:
        self.found |= self.reader.read(self.tenant_id, wanted)
        self.requests += _requests_for(wanted)

    def complete(self, ids: Sequence[MessageId]) -> None:
        """Read what is missing of the first message, and of those after it that fit in with it."""
        while missing := self.missing(ids[0]):
            room = _requests_for(missing) * READ_AT_ONCE
            for one in ids[1:]:
                with_it = missing | self.missing(one)
                if len(with_it) > room:
                    break
                missing = with_it
            self.read(missing)

    def missing(self, message_id: MessageId) -> Wanted:
        message = self.found.messages.get(message_id)
        return Wanted() if message is None else self._of_message(message) - self.found.asked

    def _of_message(self, message: Message) -> Wanted:
        return Wanted(
            copies=message.copies,
            mailboxes=_holding(message.copies),
            addresses=frozenset(self._people(message)[:_MOST_ASKED]),
        )

    def _people(self, message: Message) -> list[Address]:
        """Return whom a message names: those a timeline is of, then those who open it, in order."""
        named = (one.address for one in message.participants)
        blind = (sorted(copy.blind) for copy in self.found.copies_in_mailboxes(message))
        people = dict.fromkeys(
            chain(taking_part(message.participants), chain.from_iterable(blind), named)
        )
        policy = self.found.policy
        return sorted(people, key=lambda one: policy.address(one) not in self.theirs)


def _requests_for(wanted: Wanted) -> int:
    return -(-len(wanted) // READ_AT_ONCE)


def _of_entry(entry: TimelineEntry) -> Wanted:
    return _of_id(entry.message_id) | Wanted(
        copies=entry.copies,
        mailboxes=_holding(entry.copies),
        addresses=entry.addresses,
    )


def _of_id(message_id: MessageId) -> Wanted:
    thread_id = thread_of(message_id)
    return Wanted(
        messages=frozenset({message_id}),
        threads=frozenset({thread_id} if thread_id else ()),
    )


def _holding(refs: Iterable[str]) -> frozenset[MailboxId]:
    return frozenset(place_of(ref)[0] for ref in refs)
