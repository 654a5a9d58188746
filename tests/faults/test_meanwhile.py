"""While a worker sends a mail somebody cancels it, disconnects its mailbox, or another worker begins.

Each before any call the worker makes, until the mail's fate is written: it is not sent, or reported
sent, and never both.
"""

import pytest

from shared.aws.queues import encode_send
from shared.domain.ids import MailboxId, SendId, TenantId
from shared.domain.sending import SendStatus
from shared.ports.queues import SendRequest
from tests.faults.flows import box
from tests.faults.flows_of_sends import asked, asked_of_an_account
from tests.faults.senders import ByGmail, BySubmission
from tests.faults.world import Waiting, a_world

WORLDS = {"by submission": (BySubmission, asked), "by Gmail": (ByGmail, asked_of_an_account)}
MINUTES = 12
"""So often a world goes on to where a mail comes up."""


@pytest.fixture(params=WORLDS)
def begun(request, places):
    """A world with a mail in its queue."""
    kind, prepare = WORLDS[request.param]
    with pytest.MonkeyPatch.context() as monkeypatch, a_world(monkeypatch, kind) as world:
        prepare(world)
        yield world, world.picture()


def cancel(world):
    (send,) = world.asked_for()
    target = f"/v1/mailboxes/{box(world)}/sends/{send.id}/cancel"
    world.facts["cancelled"] = world.ask("POST", target).status == 200


def disconnect(world):
    assert world.ask("DELETE", f"/v1/mailboxes/{box(world)}").status == 204


def deliver_again(world):
    (send,) = world.asked_for()
    request = SendRequest(TenantId("acme"), MailboxId(box(world)), SendId(send.id))
    world.waiting.append(Waiting("outbound", encode_send(request), world.clock.at))
    world.work_once()


def fate_is_written(calls):
    """Return the number of the call that writes who got it: the first after handing it over."""
    handed_over = max(n for n, call in enumerate(calls) if call.name in LAST_STEPS)
    return next(
        n for n, call in enumerate(calls) if n > handed_over and call.name == "UpdateItem send"
    )


LAST_STEPS = {"SMTP .", "POST drafts/send"}


@pytest.mark.parametrize(
    "meanwhile", [cancel, disconnect, deliver_again], ids=lambda one: one.__name__
)
def test_whatever_happens_meanwhile_a_mail_is_sent_or_not_and_that_is_what_is_said(
    begun, meanwhile, tried
):
    world, start = begun
    world.restore(start)
    world.work_once()
    last = fate_is_written(world.interrupter.calls)
    told = []
    for at in range(last + 1):
        world.restore(start)

        def watch(number, call, at=at):
            if number == at:
                world.interrupter.watchers.remove(watch)
                meanwhile(world)

        world.interrupter.watchers.append(watch)
        world.work_once()
        assert watch not in world.interrupter.watchers
        world.drain()
        for _ in range(MINUTES):
            if all(one.comes_up_at is None for one in world.asked_for()):
                break
            world.minute()
        told += [f"{meanwhile.__name__} before {at}: {one}" for one in world.wrongs()]
        (send,) = world.asked_for()
        if (
            meanwhile is cancel
            and (send.status is SendStatus.CANCELLED) != world.facts["cancelled"]
        ):
            told.append(f"before {at}: cancelled {world.facts['cancelled']}, and is {send.status}")
    tried(last + 1, told, world.take_tally())
