"""How senders nobody knows become contacts, where a mailbox wishes it (`create_contacts`).

Before their messages are stored: whoever dies in between finds the contact there, and stores what
it came from. Nobody is met in mail of machines, in junk or in what is thrown away; and neither the
tenant's own people nor who is on the blocklist.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.addresses import base_form, canonical_address
from shared.domain.contact import Contact
from shared.domain.errors import AddressFullError
from shared.domain.folders import Folder
from shared.domain.ids import Address, FolderId
from shared.domain.ledger import Ledger
from shared.domain.mailbox import Direction, Mailbox, own_addresses
from shared.domain.matching import Mail, is_automated, is_blocked, is_internal
from shared.domain.message import Flags, Participant
from shared.domain.new_contacts import MOST_A_DAY, id_of_sender, name_of_sender, sender_to_meet
from shared.domain.policy import TenantPolicy
from shared.ports.contacts import ContactStore
from shared.ports.stores import MailboxStore, NewCopy


def senders_of(
    mailbox: Mailbox,
    *,
    contacts: ContactStore,
    mailboxes: MailboxStore,
    now: Callable[[], datetime],
) -> "Senders | None":
    """Return what makes contacts during one run of a mailbox; None where it wishes none."""
    if not mailbox.create_contacts:
        return None
    return Senders(mailbox=mailbox, contacts=contacts, mailboxes=mailboxes, now=now)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message, as far as it makes its sender known."""

    mail: Mail
    direction: Direction
    flags: Flags
    folder_ids: frozenset[FolderId]
    is_removed: bool = False
    """It was in an active folder once, and is in none any more."""

    @classmethod
    def of(cls, new: NewCopy) -> "Incoming":
        """Return what one that is about to be stored tells."""
        message, copy = new.message, new.copy
        is_removed = copy.removed_at is not None
        return cls(message, message.direction, copy.flags, copy.folder_ids, is_removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Those one mailbox has mail from during one run; asks nobody while it meets no new one."""

    mailbox: Mailbox
    contacts: ContactStore
    mailboxes: MailboxStore
    now: Callable[[], datetime]
    _looked_up: set[Address] = field(default_factory=set)
    """As the tenant takes them: whom this run need not ask for again."""
    _ours: list[frozenset[Address]] = field(default_factory=list)
    """Read once, and only where somebody unknown wrote."""

    def meet(
        self,
        new: Sequence[Incoming],
        folders: Mapping[FolderId, Folder],
        policy: TenantPolicy,
        ledger: Ledger,
    ) -> None:
        """Make contacts of the unknown senders of messages that are about to be stored.

        `folders`: all of the mailbox's, as last listed. One read for all of them; a transaction for
        each who is unknown. Raises what the stores raise: then those made so far stay made.
        """
        met: dict[Address, Participant] = {}
        for one in new:
            sender = _sender_of(one, folders, policy)
            if sender is not None:
                met.setdefault(policy.address(sender.address), sender)
        asked = [name for name in met if name not in self._looked_up]
        if not asked:
            return
        tenant_id = self.mailbox.tenant_id
        ids = {name: id_of_sender(tenant_id, name) for name in asked}
        senders = {ids[name]: met[name].address for name in asked}
        unknown = self.contacts.unknown_senders(tenant_id, senders, policy)
        made = [name for name in asked if ids[name] in unknown and not self._is_ours(met[name])]
        if made and not self.contacts.reserve_made(
            tenant_id, len(made), day=self.now().date(), most=MOST_A_DAY
        ):
            ledger.contacts_put_off += len(made)
            made = []
        for name in made:
            contact = Contact(
                tenant_id=tenant_id,
                id=ids[name],
                name=name_of_sender(met[name]),
                addresses=(met[name].address,),
                # Each its own: soon after, mailboxes take the log of added addresses for whole.
                updated_at=self.now(),
                made_from_mail=True,
            )
            try:
                ledger.contacts_made += self.contacts.create_for_sender(contact, policy)
            except AddressFullError:
                # A stranger's many tags are no reason to stop: others wait for their mail.
                ledger.contacts_put_off += 1
        self._looked_up.update(asked)

    def _is_ours(self, sender: Participant) -> bool:
        """Whether it is, or was, the address of a mailbox of the tenant, whatever its tag."""
        if not self._ours:
            boxes = (one.mailbox for one in self.mailboxes.list_mailboxes(self.mailbox.tenant_id))
            ours = frozenset[Address]().union(*(_addresses_of(box) for box in boxes))
            self._ours.append(frozenset(base_form(one) for one in ours))
        return base_form(sender.address) in self._ours[0]


def _addresses_of(mailbox: Mailbox) -> frozenset[Address]:
    reply_to = canonical_address(mailbox.reply_to or "")
    return own_addresses(mailbox) | ({reply_to} if reply_to else frozenset())


def _sender_of(
    new: Incoming, folders: Mapping[FolderId, Folder], policy: TenantPolicy
) -> Participant | None:
    """Return who is to be known by a message, or None."""
    if new.is_removed or is_automated(new.mail, policy):
        return None
    sender = sender_to_meet(
        new.mail.participants,
        direction=new.direction,
        flags=new.flags,
        roles={folders[name].role for name in new.folder_ids if name in folders},
    )
    if sender is None or is_internal(policy, sender.address) or is_blocked(policy, sender.address):
        return None
    return sender
