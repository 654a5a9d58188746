"""Whether a message came in or went out, as one mailbox sees it."""

from collections.abc import Collection, Iterable

from shared.domain.folders import FolderRole
from shared.domain.ids import Address
from shared.domain.mailbox import Direction
from shared.domain.message import Participant, ParticipantRole


def direction_of(
    participants: Iterable[Participant], own: Collection[Address], roles: Collection[FolderRole]
) -> Direction:
    """Return it: out is what bears one of our `own` addresses as its sender, or lies in Sent.

    `roles`: of all the folders it is in.
    """
    is_ours = any(one.role is ParticipantRole.FROM and one.address in own for one in participants)
    return Direction.OUTBOUND if is_ours or FolderRole.SENT in roles else Direction.INBOUND
