"""Who gets an answer, what it is called, and which thread it says it is on.

All from the stored message: the one it answers may be gone from its mailbox by then.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from shared.domain.addresses import GMAIL_DOMAINS, canonical_address, domain_of, folded
from shared.domain.composing import (
    MAX_NAME_CHARACTERS,
    NamedAddress,
    one_line,
    refusals,
    writable_id,
)
from shared.domain.ids import Address
from shared.domain.message import Message, Participant, ParticipantRole
from shared.domain.policy import KEEPING, TenantPolicy
from shared.domain.sending import SendKind
from shared.domain.subjects import of_answer, of_forward

MOST_REFERENCES = 50
MOST_REFERENCE_CHARACTERS = 8_000
"""Half of what is read of a header field (`mime/caps`)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer to a message begins with; `to` and `cc` name nobody twice, and never us."""

    to: tuple[NamedAddress, ...]
    cc: tuple[NamedAddress, ...]
    subject: str
    in_reply_to: str | None
    """Without angle brackets, as all ids are stored."""
    references: tuple[str, ...]
    left_out: tuple[NamedAddress, ...] = ()
    """Whom it would go to as well, and no mail can be sent to: strangers write what they like."""


def answer_to(
    message: Message, kind: SendKind, own: Collection[str], policy: TenantPolicy = KEEPING
) -> Answer:
    """Return what an answer of a kind to `message` begins with.

    `message`: as the writer sees it, in full. `own`: every address of the mailbox it goes out from,
    former ones and aliases too, in any spelling. `policy`: says which addresses are one.

    A reply goes where Reply-To says, else to the sender; one to our own mail to those that had it.
    A mail in our own name to ourselves (what a form on a web page sends) is answered to its
    Reply-To. Whom a blind copy went to is never named. Passed on, a mail goes to nobody yet.
    """
    us = _Own(own, policy)
    to: list[NamedAddress] = []
    cc: list[NamedAddress] = []
    if kind in {SendKind.REPLY, SendKind.REPLY_ALL}:
        to, cc = _recipients(message, us, to_all=kind is SendKind.REPLY_ALL)
    # Only now: an answer goes to nobody else because whom it should go to cannot be reached.
    left_out = [one for one in (*to, *cc) if refusals(one.address, "to")]
    to, cc = ([one for one in those if one not in left_out] for those in (to, cc))
    if not to:
        to, cc = cc, []
    passes_on = kind is SendKind.FORWARD
    return Answer(
        to=tuple(to),
        cc=tuple(cc),
        subject=(of_forward if passes_on else of_answer)(message.subject),
        # What is passed on answers nothing, but is on the thread.
        in_reply_to=None if passes_on else writable_id(message.internet_message_id),
        references=references_to(message),
        left_out=tuple(left_out),
    )


def named_in(
    message: Message,
    roles: Iterable[ParticipantRole],
    addresses: Iterable[str],
    policy: TenantPolicy = KEEPING,
) -> str | None:
    """Return which of these addresses a message names in one of these roles, or None.

    In any spelling. Of several the one in the first of the roles, there the one that stands first.
    """
    wanted: dict[Address, str] = {}
    for one in addresses:
        wanted.setdefault(_key(canonical_address(one) or Address(one), policy), one)
    for role in roles:
        for person in message.participants:
            if person.role is role and (key := _key(person.address, policy)) in wanted:
                return wanted[key]
    return None


def references_to(message: Message) -> tuple[str, ...]:
    """Return the References (RFC 5322, 3.6.4) of an answer: the first names the thread.

    So an answer is on the thread of what it answers, as `identity.root_of` has it. Where there are
    too many, those after the first are left out. A message that is named by no id at all, neither
    its own nor another's, gives none: the answer begins a thread, which is one with the message's
    only where the provider says so.
    """
    before = message.references or (message.in_reply_to,)
    named = (writable_id(one) for one in (*before, message.internet_message_id))
    ids = list(dict.fromkeys(one for one in named if one))
    first, rest = ids[:1], ids[1:]
    while rest and (
        len(rest) >= MOST_REFERENCES or sum(map(len, first + rest)) > MOST_REFERENCE_CHARACTERS
    ):
        del rest[0]
    return (*first, *rest)


class _Own:
    """The addresses that are ours, and which of others' are one."""

    def __init__(self, own: Iterable[str], policy: TenantPolicy) -> None:
        self._policy = policy
        self._own = {_key(canonical_address(one) or Address(one), policy) for one in own}

    def others(self, people: Iterable[Participant], taken: set[Address]) -> list[NamedAddress]:
        """Return those who are neither us nor in `taken`, which they are added to."""
        found = []
        for one in people:
            key = _key(one.address, self._policy)
            if key not in self._own and key not in taken:
                taken.add(key)
                found.append(NamedAddress(one.address, one_line(one.name)[:MAX_NAME_CHARACTERS]))
        return found

    def is_one(self, people: Iterable[Participant]) -> bool:
        return any(_key(one.address, self._policy) in self._own for one in people)


def _key(address: Address, policy: TenantPolicy) -> Address:
    """Return what the spellings of one address have in common."""
    # At Gmail they are one mailbox, whatever the tenant says of contacts.
    if domain_of(address) in GMAIL_DOMAINS:
        return folded(address, tags=True, dots=True)
    return policy.address(address)


def _recipients(
    message: Message, us: _Own, *, to_all: bool
) -> tuple[list[NamedAddress], list[NamedAddress]]:
    def those(role: ParticipantRole) -> list[Participant]:
        return [one for one in message.participants if one.role is role]

    senders, shown = those(ParticipantRole.FROM), those(ParticipantRole.TO)
    taken: set[Address] = set()
    to: list[NamedAddress] = []
    if us.is_one(senders):
        to = us.others(shown, taken)
    for people in (those(ParticipantRole.REPLY_TO), senders):
        to = to or us.others(people, taken)
    cc = us.others([*shown, *those(ParticipantRole.CC)], taken) if to_all else []
    return to, cc
