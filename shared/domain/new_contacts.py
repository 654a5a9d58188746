"""Which sender becomes a contact of their own accord: under which id, and by what name.

The id follows from the tenant and the address, so that two workers who meet the same sender at one
moment write one contact, and whoever deleted it is remembered without a readable address.
"""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable

from shared.domain.addresses import folded
from shared.domain.contact import MOST_CONTACTS_OF_AN_ADDRESS, Contact, KnownBy
from shared.domain.folders import FolderRole
from shared.domain.ids import Address, ContactId, TenantId
from shared.domain.mailbox import Direction
from shared.domain.message import Flags, Participant, ParticipantRole

MOST_A_DAY = 10_000
"""Contacts a tenant's mail may make in a day (UTC): a flood of spam makes no million of them.

A year's import of a busy mailbox meets some thousands of people. Who is put off is made a contact
when they write next.
"""
MOST_MAIL_ADDS_TO = MOST_CONTACTS_OF_AN_ADDRESS // 2
"""Contacts of one address, whatever its tags and dots and whoever put them, up to which mail adds.

Whoever writes may write from eve+1@, eve+2@ and so on: what is left is for people to put.
"""
MOST_BYTES_MAIL_ADDS_TO = 32 * 1024
"""The same, by what their ids and addresses take: they are read with pages that name one."""
PREFIX = "mail-"
"""What the ids begin with of contacts that were made from mail."""
MOST_NAME = 200

_NO_MAIL_TO_MEET_BY = frozenset({FolderRole.SPAM, FolderRole.TRASH, FolderRole.DRAFTS})
_JOINERS = frozenset("\u200c\u200d")
"""Persian, Indic scripts and emoji are written with them."""
_QUOTES = re.compile(r"""^(['"])(.*)\1$""")


def id_of_sender(tenant_id: TenantId, address: Address) -> ContactId:
    """Return the id of the contact that mail from an address makes."""
    name = f"{tenant_id}\0{address}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=15, person=b"mailroomcontact").digest()
    return ContactId(PREFIX + base64.b32encode(digest).decode("ascii").lower())


def sender_ids_of(contact: Contact) -> frozenset[ContactId]:
    """Return the ids that mail from a contact's addresses would make contacts of.

    Those it was made of itself are among them, whatever addresses it has by now.
    """
    made = {one for one in (contact.id, *contact.merged) if one.startswith(PREFIX)}
    return frozenset(made | {id_of_sender(contact.tenant_id, one) for one in contact.addresses})


def ids_spelled(tenant_id: TenantId, address: Address) -> frozenset[ContactId]:
    """Return every id that mail from an address may make, whatever the tenant takes it for."""
    spelled = {
        folded(address, tags=tags, dots=dots) for tags in (False, True) for dots in (False, True)
    }
    return frozenset(id_of_sender(tenant_id, one) for one in spelled)


def has_room_for_sender(known: Collection[KnownBy], new: KnownBy) -> bool:
    """Whether mail may make one more contact beside those an address has, in all its spellings."""
    names = (one.contact_id + one.address for one in (*known, new))
    size = sum(len(name.encode("utf-8", "surrogatepass")) for name in names)
    return len(known) < MOST_MAIL_ADDS_TO and size <= MOST_BYTES_MAIL_ADDS_TO


def sender_to_meet(
    participants: Iterable[Participant],
    *,
    direction: Direction,
    flags: Flags,
    roles: Collection[FolderRole],
) -> Participant | None:
    """Return who a message makes known, or None: it is ours, unfinished, junk or thrown away.

    `roles`: of all the folders it is in. One that several people sent is none's.
    """
    if direction is not Direction.INBOUND or flags.draft or _NO_MAIL_TO_MEET_BY & {*roles}:
        return None
    senders = [one for one in participants if one.role is ParticipantRole.FROM]
    return senders[0] if len(senders) == 1 else None


def name_of_sender(sender: Participant) -> str:
    """Return what to call them: the name they gave, or what stands before the `@`.

    A name that holds an address is not taken: it would show another's in the place of theirs.
    """
    name = _shown(sender.name)
    while (quoted := _QUOTES.match(name)) is not None:
        name = quoted[2].strip()
    if name and "@" not in unicodedata.normalize("NFKC", name):
        return name
    local, _, domain = sender.address.rpartition("@")
    return _shown(local) or domain[:MOST_NAME]


def _shown(text: str) -> str:
    """Return one line without what is not seen or turns the rest round; nothing without letters."""
    kept = "".join(
        " " if unicodedata.category(one) in {"Cc", "Zl", "Zp"} else one
        for one in text
        if one in _JOINERS or unicodedata.category(one) not in {"Cf", "Cs", "Co", "Cn"}
    )
    line = " ".join(kept.split())[:MOST_NAME].rstrip()
    return line if any(unicodedata.category(one)[0] in "LN" for one in line) else ""
