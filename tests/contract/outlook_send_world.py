"""A mailbox at the Microsoft simulator that sends; of two of the recipients it has the mailboxes."""

from contextlib import contextmanager

from shared.providers.outlook.sender import OutlookSender
from tests.contract.outlook_world import OTHER, OWNER, PERSONAL, at_microsoft
from tests.contract.send_worlds import SendWorld


class AtGraph(SendWorld):
    """What leaves is counted where Exchange's transport hands it over."""

    keeps_drafts = True
    reads_recipients = True
    keeps_bytes = False
    address = OWNER
    recipients = (OTHER, PERSONAL, "dan@customer.example")

    def __init__(self, world) -> None:
        self.world = world
        self.simulator = world.simulator
        self.mailbox = world.simulator.mail(OWNER)
        self.sender = OutlookSender(world.http, world.endpoints)
        self.provider, self.grant = world.provider, world.grant

    def received(self, recipient):
        return [one.raw for one in self.simulator.delivered if one.recipient == recipient]

    def drafts(self):
        folder = self.mailbox.folder_id("drafts")
        return sum(folder in one.folders for one in self.mailbox.messages())

    def lose_next_answer(self):
        self.simulator.faults.arm("cut_after_work", route=r"/send$")


@contextmanager
def at_graph(request):
    with at_microsoft(request.getfixturevalue("certificates")) as world:
        yield AtGraph(world)
