"""Whom a message is with, as seen from one mailbox that holds it.

The one rule for what a contact's timeline holds, what is opened by being on one, and what counts
as mail of a contact when it is fetched: everybody it is from and to, but for the mailbox itself,
whatever its address is or was. A colleague may be a contact: then their own mailbox is not full of
mail with one. A Reply-To alone is nobody's part in it: whoever sends writes there whom they like.
"""

from collections.abc import Iterable

from shared.domain.ids import Address
from shared.domain.mailbox import Mailbox, own_addresses
from shared.domain.message import Participant, taking_part
from shared.domain.policy import KEEPING, TenantPolicy


def others_in(
    participants: Iterable[Participant], mailbox: Mailbox, policy: TenantPolicy = KEEPING
) -> tuple[Address, ...]:
    """Return whom a message is with, each once. `participants`: as the mailbox's own copy has them.

    `policy`: says which addresses are one; by itself each is its own, as the index is written.
    """
    own = {policy.address(one) for one in own_addresses(mailbox)}
    return tuple(one for one in taking_part(participants) if policy.address(one) not in own)
