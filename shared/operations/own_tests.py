"""How sync knows a test message that comes back, before anything else is made of it.

It is nobody's mail: it is not stored, makes no contact and tells nobody. What says in its header
that it is one is believed only where the mailbox has that test. No other mail costs a read.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.domain.folders import Folder
from shared.domain.ids import FolderId
from shared.domain.ledger import TEST_MESSAGE
from shared.domain.mailbox import Mailbox
from shared.domain.message import FetchedMessage
from shared.domain.round_trip import named_test, place_of_return
from shared.domain.sending import Arrival, SendKind
from shared.ports.sending import SendRef, SendStore


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTests:
    """The test messages of one mailbox."""

    mailbox: Mailbox
    sends: SendStore
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
                self.sends.note_arrival(ref, Arrival(self.now(), place))
        return TEST_MESSAGE
