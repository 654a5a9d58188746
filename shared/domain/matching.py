"""Whether a tenant's policy keeps a message out: the one filter, for new and for stored mail.

`internal`  everybody named in it, in whatever role, is in the tenant's own domains, and both a
            sender and a recipient are named. Whom a blind copy went to is often not: a draft or a
            mail to hidden recipients is kept. A Reply-To counts, because a form on a web site
            writes in the tenant's own name and has its visitor there. An own domain is itself
            alone; `*.example.com` is all that lies below it and not itself.
`blocked`   it came in, and everybody it is from is on the blocklist, whoever sent it on; or, since
            who keeps an address out wants nothing of what is written to it either, all it is from
            and to are, but for our own people. One recipient more who is not, and it is kept.
`automated` a machine sent it, and the policy says to leave those out. A list of the tenant's own
            (sales@ as a group) sends on what people wrote: its marks do not count.

Nobody in an own domain is ever blocked, whatever an entry stands for. All of it is decided by what
is kept of a message, so that stored mail is judged like new mail; where not all are kept whom it
names, the others may be anybody: it is neither internal nor blocked for whom it is to.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from shared.domain.addresses import domain_of
from shared.domain.ids import Address
from shared.domain.ledger import AUTOMATED, BLOCKED, INTERNAL
from shared.domain.mailbox import Direction
from shared.domain.message import TOO_MANY_PARTICIPANTS, Participant, ParticipantRole
from shared.domain.policy import Automated, TenantPolicy
from shared.domain.wildcards import ANY_SUBDOMAIN, WILDCARD, Glob, domains_above, is_own

MAIL_SERVER = "mailer-daemon"
"""Who tells that mail did not arrive."""

_MAY_NAME_MORE = frozenset({TOO_MANY_PARTICIPANTS, "header_too_long", "too_many_headers"})
"""Defects of a message of which not all may be kept that it names."""

_LIST = "list-"
_RECIPIENTS = frozenset({ParticipantRole.TO, ParticipantRole.CC, ParticipantRole.BCC})
_BULK = frozenset({"bulk", "junk"})
_SUPPRESSED = frozenset({"all", "oof", "autoreply"})
"""Who asks for no read receipts (RN, NRN, DR) may be a person."""
_SAYS_SO = ("x-autoreply", "x-autorespond", "x-failed-recipients")
_REPORTS = frozenset(
    {
        "message/delivery-status",
        "message/global-delivery-status",
        "message/disposition-notification",
        "message/global-disposition-notification",
    }
)
_NOT_A_LETTER = re.compile("[^a-z]+")
_NO_REPLY = (
    "-noreply-", "-no-reply-", "-donotreply-", "-do-not-reply-", "-dontreply-", "-dont-reply-",
    "-bounce-", "-bounces-",
)  # fmt: skip


class Part(Protocol):
    """An attachment, as far as it is judged by."""

    @property
    def content_type(self) -> str:
        """What it says it is, in lower case."""
        ...


class Mail(Protocol):
    """What a message is judged by; one just parsed has it, and so has a stored one."""

    @property
    def participants(self) -> Sequence[Participant]:
        """Everybody named in it."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that are kept, by lower-case name."""
        ...

    @property
    def attachments(self) -> Sequence[Part]:
        """Its attachments; none are known of one whose header alone was fetched."""
        ...

    @property
    def defects(self) -> Sequence[str]:
        """Which fallbacks reading it needed."""
        ...


def why_kept_out(policy: TenantPolicy, mail: Mail, direction: Direction) -> str | None:
    """Return why the policy keeps a message out, as a ledger says it, or None.

    `direction` is as seen from the mailbox it is in: what goes out is from one of our own people,
    whatever the own domains are.
    """
    names_all = _MAY_NAME_MORE.isdisjoint(mail.defects)
    if names_all and _is_internal(policy, mail.participants):
        return INTERNAL
    if _is_blocked(policy, mail.participants, direction, names_all=names_all):
        return BLOCKED
    if policy.automated is Automated.SKIP and is_automated(mail, policy):
        return AUTOMATED
    return None


def is_internal(policy: TenantPolicy, address: Address) -> bool:
    """Whether an address is in one of the tenant's own domains."""
    return is_own(policy.own_domains, domain_of(address))


def is_blocked(policy: TenantPolicy, address: Address) -> bool:
    """Whether an address, or the one it is taken for, is on the blocklist and nobody's of ours."""
    if is_internal(policy, address):
        return False
    blocked = _blocklist(policy)
    return blocked(address) or (policy.folds and blocked(policy.address(address)))


def is_automated(mail: Mail, policy: TenantPolicy) -> bool:
    """Whether a machine sent it: a list, an automatic answer, a bounce, a no-reply address."""
    header = {name: value.strip().lower() for name, value in mail.headers.items()}
    submitted = _first_word(header.get("auto-submitted", ""))
    suppressed = set(re.split(r"[\s,;]+", header.get("x-auto-response-suppress", "")))
    precedence = _first_word(header.get("precedence", ""))
    return (
        # RFC 3834, 5: no, and nothing, are what a person's says.
        submitted not in {"", "no"}
        or precedence in _BULK
        or precedence.startswith("auto")
        or not suppressed.isdisjoint(_SUPPRESSED)
        # RFC 5321, 4.5.5: nothing is to be sent back to a report.
        or header.get("return-path") == "<>"
        or any(name in header for name in _SAYS_SO)
        or any(part.content_type in _REPORTS for part in mail.attachments)
        or (_is_of_a_list(header) and not _is_of_our_list(header, policy))
        or any(_answers_nobody(one) for one in _senders(mail.participants))
    )


# ---- who is in it ----


def _is_internal(policy: TenantPolicy, participants: Sequence[Participant]) -> bool:
    if not policy.own_domains:
        return False
    roles = {one.role for one in participants}
    return (
        ParticipantRole.FROM in roles
        and not roles.isdisjoint(_RECIPIENTS)
        and all(is_internal(policy, one.address) for one in participants)
    )


def _is_blocked(
    policy: TenantPolicy,
    participants: Sequence[Participant],
    direction: Direction,
    *,
    names_all: bool,
) -> bool:
    if not policy.blocklist:
        return False
    theirs = {one.address for one in participants if one.role in _RECIPIENTS}
    if direction is Direction.INBOUND:
        senders = _senders(participants)
        if senders and all(is_blocked(policy, one) for one in senders):
            return True
        theirs.update(senders)
    others = [one for one in theirs if not is_internal(policy, one)]
    return names_all and bool(others) and all(is_blocked(policy, one) for one in others)


def _senders(participants: Iterable[Participant]) -> list[Address]:
    return [one.address for one in participants if one.role is ParticipantRole.FROM]


# ---- what it says of itself ----


def _first_word(value: str) -> str:
    return re.split(r"[\s;(]", value, maxsplit=1)[0]


def _is_of_a_list(header: Mapping[str, str]) -> bool:
    return any(name.startswith(_LIST) for name in header) or (
        _first_word(header.get("precedence", "")) == "list"
    )


def _is_of_our_list(header: Mapping[str, str], policy: TenantPolicy) -> bool:
    # RFC 2919, 2: `Sales <sales.example.com>`, a name below the domain of who keeps the list.
    name = header.get("list-id", "").rpartition("<")[2].partition(">")[0].strip()
    own = {entry.removeprefix(ANY_SUBDOMAIN) for entry in policy.own_domains}
    return name in own or any(above in own for above in domains_above(name))


def _answers_nobody(sender: Address) -> bool:
    local = sender.rpartition("@")[0].partition("+")[0]
    if local == MAIL_SERVER:
        return True
    words = f"-{_NOT_A_LETTER.sub('-', local)}-"
    return any(name in words for name in _NO_REPLY)


# ---- the blocklist ----


@lru_cache(maxsize=64)
def _blocklist(policy: TenantPolicy) -> Callable[[str], bool]:
    exact = {entry for entry in policy.blocklist if WILDCARD not in entry}
    # Who blocks ann+news@ blocks ann@, where the two are one.
    exact |= {policy.address(Address(entry)) for entry in exact if "@" in entry}
    globs = [Glob.of(entry) for entry in policy.blocklist if WILDCARD in entry]

    def matches(address: str) -> bool:
        domain = address.rpartition("@")[2]
        if address in exact or domain in exact:
            return True
        return any(glob.matches(address if glob.is_address else domain) for glob in globs)

    return matches
