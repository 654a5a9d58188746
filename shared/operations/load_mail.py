"""In which requests all that decides what is shown of some messages is read.

The first asks for the messages and for what their index entries say of them; what the messages
themselves then name beside that is asked for as well. Of ordinary mail nothing is missing.
"""

from collections.abc import Iterable, Sequence

from shared.domain.identity import thread_of
from shared.domain.ids import MailboxId, MessageId, TenantId
from shared.domain.message import Message, place_of
from shared.domain.policy import TenantPolicy
from shared.ports.reading import READ_AT_ONCE, Found, MailReader, Wanted
from shared.ports.stores import TimelineEntry

_NOBODYS = frozenset({MailboxId("nobodys")})


def load(tenant_id: TenantId, entries: Iterable[TimelineEntry], *, reader: MailReader) -> Found:
    """Return everything there is of these messages, in as few requests as it takes."""
    wanted = Wanted(policy=True) | _all(map(_of_entry, entries))
    return _completed(tenant_id, reader.read(tenant_id, wanted), reader)


def load_one(tenant_id: TenantId, message_id: MessageId, *, reader: MailReader) -> Found:
    """Return everything there is of one message.

    One that is not there takes as many requests as one that is hidden: by their time an answer
    would tell that somebody has a message whose id can be worked out.
    """
    wanted = Wanted(policy=True) | _of_id(message_id)
    found = reader.read(tenant_id, wanted)
    if message_id not in found.messages:
        reader.read(tenant_id, Wanted(mailboxes=_NOBODYS))
    return _completed(tenant_id, found, reader)


def load_nothing(tenant_id: TenantId, *, reader: MailReader) -> None:
    """Take as many requests as `load` does of mail that is hidden."""
    load_one(tenant_id, MessageId(""), reader=reader)


def load_first(
    tenant_id: TenantId,
    entries: Sequence[TimelineEntry],
    *,
    policy: TenantPolicy,
    reader: MailReader,
) -> tuple[Found, int]:
    """Return everything there is of the first of these messages, and of how many that is.

    As many as one request reads whole. It takes further ones for the first message alone: where
    that is held by more copies, or is to more people, than its entry says or one request reads.
    """
    if not entries:
        return Found(), 0
    wanted, number = Wanted(), 0
    for entry in entries:
        with_it = wanted | _of_entry(entry)
        if number and len(with_it) > READ_AT_ONCE:
            break
        wanted, number = with_it, number + 1
    found = Found(Wanted(policy=True), policy=policy) | reader.read(tenant_id, wanted)
    for position, entry in enumerate(entries[:number]):
        message = found.messages.get(entry.message_id)
        if message is not None and len(_of_message(message, found) - found.asked):
            if position:
                return found, position
            return _completed(tenant_id, found, reader), number
    return found, number


def _completed(tenant_id: TenantId, found: Found, reader: MailReader) -> Found:
    while missing := _of_messages(found) - found.asked:
        found |= reader.read(tenant_id, missing)
    return found


def _of_messages(found: Found) -> Wanted:
    return _all(_of_message(message, found) for message in found.messages.values())


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


def _of_message(message: Message, found: Found) -> Wanted:
    named = frozenset(one.address for one in message.participants)
    held = (found.copies[ref] for ref in message.copies if ref in found.copies)
    return Wanted(
        copies=message.copies,
        mailboxes=_holding(message.copies),
        addresses=named.union(*(copy.blind for copy in held)),
    )


def _holding(refs: Iterable[str]) -> frozenset[MailboxId]:
    return frozenset(place_of(ref)[0] for ref in refs)


def _all(parts: Iterable[Wanted]) -> Wanted:
    found = Wanted()
    for one in parts:
        found |= one
    return found
