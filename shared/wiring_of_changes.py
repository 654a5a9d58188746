"""What it takes to have mail marked and moved: where it is asked for, and where it is made."""

from collections.abc import Callable

from shared import wiring, wiring_of_sign_ins
from shared.config import settings
from shared.domain.mailbox import Provider
from shared.operations.apply_changes import ChangePorts
from shared.operations.request_changes import RequestPorts
from shared.ports.changing import MailChanger


def changer_of(provider: Provider) -> MailChanger:
    """Return what changes mail at a provider."""
    from shared.providers import registry

    match provider:
        case Provider.IMAP:
            return registry.imap_changer(wiring.network())
        case Provider.GMAIL:
            return registry.gmail(settings())
        case Provider.OUTLOOK:
            return registry.outlook(settings())


def request_ports() -> RequestPorts:
    """Return what asking for changes needs."""
    return RequestPorts(
        mailboxes=wiring.mailboxes(),
        reader=wiring.mail_reader(),
        changes=wiring.changes(),
        queues=wiring.queues(),
        clock=wiring.clock(),
    )


def change_ports(remaining_seconds: Callable[[], float]) -> ChangePorts:
    """Return what making them needs; `remaining_seconds` of the invocation that asks."""
    return ChangePorts(
        changes=wiring.changes(),
        mailboxes=wiring.mailboxes(),
        grants=wiring_of_sign_ins.grants(),
        changer_of=changer_of,
        queues=wiring.queues(),
        clock=wiring.clock(),
        rng=wiring.rng(),
        remaining_seconds=remaining_seconds,
    )
