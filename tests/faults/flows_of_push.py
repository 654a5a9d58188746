"""The stories of providers that tell of changes: a word comes in, and whoever hears it may die of it."""

import json
from dataclasses import replace
from datetime import timedelta

from functions.receive_push.handler import lambda_handler as receive_push
from shared import wiring, wiring_of_push
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import Provider
from shared.domain.push import digest_of, key_of_mailbox
from shared.domain.secret import Secret
from tests.faults.flows import box, connected, flow
from tests.faults.world import TIMES_TRIED, World

PROOF = Secret("0123456789abcdef0123456789abcdef")


def listening(world: World) -> None:
    """A mailbox in sync that words as Outlook's find, wherever its mail is."""
    connected(world)
    record = wiring.mailboxes().get(TenantId("acme"), MailboxId(box(world)))
    assert record is not None
    mailbox = replace(record.mailbox, provider=Provider.OUTLOOK)
    world.facts["key"] = key = key_of_mailbox(mailbox)
    until = world.clock.at + timedelta(days=6)
    wiring_of_push.push_store().listen(
        replace(record, mailbox=mailbox), key, proof=digest_of(PROOF), until=until
    )


def tell(world: World) -> None:
    """Say that something changed, and say it again until it is taken."""
    word = {
        "subscriptionId": "subscription-1",
        "clientState": f"{world.facts['key']}.{PROOF.reveal()}",
    }
    event = {"routeKey": "POST /v1/push/outlook", "body": json.dumps({"value": [word]})}
    for _ in range(TIMES_TRIED):
        answer = world.invoke(receive_push, event)
        if answer is not None and answer["statusCode"] == 202:
            return
        world.clock.advance(minutes=1)
    raise AssertionError(f"told {TIMES_TRIED} times in vain")


@flow(listening)
def a_word_brings_a_run(world: World) -> None:
    """Of two messages, a word each, and the second comes amid the window of the first."""
    world.deliver(5)
    world.deliver(6)
    tell(world)
    world.clock.advance(seconds=3)
    tell(world)
