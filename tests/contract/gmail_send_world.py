"""A mailbox at the Google simulator that sends, and three others there who get it."""

from collections.abc import Iterator
from contextlib import contextmanager

from infra.simulators.kit.mailbox import NoSuchThingError
from shared.domain.message import FetchedMessage
from shared.providers.gmail import labels
from tests.contract.gmail_world import OWNER, GmailWorld
from tests.contract.provider_worlds import NOW
from tests.contract.send_worlds import SendWorld
from tests.fakes.known import Known

SENDS = r"^POST /gmail/v1/users/me/drafts/send$"


class GmailSendWorld(SendWorld):
    """Google's simulator, signed in to; people are other accounts there."""

    keeps_drafts = True
    reads_recipients = True
    address = OWNER
    recipients = ("bob@gmail.example", "eve@gmail.example", "dan@gmail.example")

    def __init__(self, world: GmailWorld) -> None:
        self.simulator = world.simulator
        self.provider, self.grant = world.provider, world.grant
        self.sender = world.sender
        self.mailbox = world.theirs.mailbox
        for address in self.recipients:
            self.simulator.add_user(address)

    def received(self, recipient):
        try:
            mail = self.simulator.mail(recipient)
        except NoSuchThingError:
            return []
        return [mail.raw(one.id) for one in mail.messages()]

    def drafts(self):
        return len([one for one in self.mailbox.messages() if "DRAFT" in one.folders])

    def sent(self):
        return [one.id for one in self.mailbox.messages() if "SENT" in one.folders]

    def lose_next_answer(self):
        self.simulator.faults.arm("cut_after_work", route=SENDS)

    def listed(self, folder_id):
        # The whole mailbox is followed, and a folder is a label.
        with self.provider.open(self.grant) as session:
            session.look({}, lambda one: one.id == folder_id, now=NOW)
            page = session.changes(labels.ALL, None, Known(), since=None, limit=500, now=NOW)
            fetched = list(session.fetch(labels.ALL, page.added))
        return {
            one.provider_message_id: one
            for one in fetched
            if isinstance(one, FetchedMessage) and folder_id in (one.folder_ids or ())
        }


@contextmanager
def replacing(request) -> Iterator[SendWorld]:
    """Give each mail a Message-ID of Gmail's, as it is reported to."""
    yield GmailSendWorld(request.getfixturevalue("gmail"))


@contextmanager
def keeping(request) -> Iterator[SendWorld]:
    """Keep what a mail was given, in case it does."""
    world = GmailSendWorld(request.getfixturevalue("gmail"))
    world.simulator.limits.keeps_message_ids = True
    yield world
