"""How sync knows a test message that comes back, before anything else is made of it.

It is nobody's mail: it is not stored, makes no contact and tells nobody. What says in its header
that it is one is believed only where the mailbox has that test. No other mail costs a read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.addresses import canonical_address
from shared.domain.errors import UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.domain.ledger import TEST_MESSAGE
from shared.domain.mailbox import Mailbox
from shared.domain.message import FetchedMessage, ParticipantRole
from shared.domain.round_trip import named_test, place_of_return
from shared.domain.sending import Arrival, SendKind
from shared.operations.aliases import verify_alias
from shared.ports.parser import MessageParser
from shared.ports.sending import SendRef, SendStore
from shared.ports.stores import MailboxStore


@dataclass(frozen=True, slots=True)
class OwnTests:
    """The test messages of one mailbox; one from an alias verifies that by coming back."""

    mailbox: Mailbox
    sends: SendStore
    mailboxes: MailboxStore
    parser: MessageParser
    now: Callable[[], datetime]

    def why_not(
        self, folder: Folder, folders: Mapping[FolderId, Folder], fetched: FetchedMessage
    ) -> str | None:
        """Return why a message, whole or its header, is passed by, or None where it is no test.

        Where it came back, that is noted first.

        Raises what the store raises: the message is listed again then.
        """
        name = named_test(fetched.raw or fetched.header or b"")
        if name is None:
            return None
        ref = SendRef(self.mailbox.tenant_id, self.mailbox.id, name)
        send = self.sends.get(ref)
        if send is None or send.kind is not SendKind.TEST:
            return None
        if send.arrival is None:
            places = fetched.folder_ids or {folder.id}
            place = place_of_return(folders[one].role for one in places if one in folders)
            if place is not None:
                bears_sender = self._bears(send.sender, fetched)
                if bears_sender:
                    self._verify(send.sender)
                # Last: what is noted is not looked at again.
                self.sends.note_arrival(ref, Arrival(self.now(), place, bears_sender))
        return TEST_MESSAGE

    def _bears(self, sender: str, fetched: FetchedMessage) -> bool:
        try:
            parsed = self.parser.parse(fetched)
        except UnreadableMessageError:
            return False
        people = parsed.participants
        froms = {one.address for one in people if one.role is ParticipantRole.FROM}
        return froms == {canonical_address(sender)}

    def _verify(self, sender: str) -> None:
        mailbox = self.mailbox
        if canonical_address(sender) != canonical_address(mailbox.address):
            verify_alias(
                mailbox.tenant_id,
                mailbox.id,
                sender,
                at=self.now(),
                mailboxes=self.mailboxes,
            )
