"""What it takes to have mail leave: each provider's way out, and what a worker is given."""

import functools
from collections.abc import Callable

from shared import wiring, wiring_of_sign_ins
from shared.config import settings
from shared.domain.mailbox import Provider
from shared.operations.deliver_send import DeliverPorts
from shared.operations.file_send import FilePorts
from shared.ports.sending import MailSender


@functools.cache
def sender_of(provider: Provider) -> MailSender:
    """Return the way out of a provider's mailboxes."""
    from shared.providers import registry

    match provider:
        case Provider.IMAP:
            return registry.imap_sender(wiring.network())
        case Provider.GMAIL:
            return registry.gmail_sender(settings())
        case Provider.OUTLOOK:
            return registry.outlook_sender(settings())


def deliver_ports(remaining_seconds: Callable[[], float]) -> DeliverPorts:
    """Return them together; `remaining_seconds` of the invocation that asks."""
    return DeliverPorts(
        sends=wiring.sends(),
        outgoing=wiring.outgoing(),
        reader=wiring.mail_reader(),
        grants=wiring_of_sign_ins.grants(),
        queues=wiring.queues(),
        sender_of=sender_of,
        composer=wiring.composer(),
        rng=wiring.rng(),
        filing=FilePorts(
            mailboxes=wiring.mailboxes(),
            messages=wiring.messages(),
            attachments=wiring.attachments(),
            letters=wiring.letters(),
            contacts=wiring.contacts(),
            policies=wiring.policies(),
            parser=wiring.parser(),
            clock=wiring.clock(),
            remaining_seconds=remaining_seconds,
        ),
    )
