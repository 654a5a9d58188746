"""Which adapter stands behind each port by which providers tell of changes.

As in `wiring`, everything is built and imported on first use.
"""

import functools
from typing import TYPE_CHECKING

from shared import wiring
from shared.config import settings
from shared.domain.mailbox import Mailbox, Provider
from shared.domain.schedule import Cadence
from shared.ports.push import PushReader, PushStore

if TYPE_CHECKING:
    from shared.operations.keep_watch import Watching


@functools.cache
def push_store() -> PushStore:
    """Return the store of who is watched, and of whom a word is about."""
    from shared.aws.push_store import DynamoPushStore

    return DynamoPushStore(wiring.table())


@functools.cache
def reader(provider: Provider) -> PushReader:
    """Return what reads a provider's words; raises ValueError for IMAP, which has none."""
    from shared.providers import registry

    return registry.push_reader(provider, settings())


@functools.cache
def watching() -> "Watching":
    """Return what it takes to be told; for no provider where nothing is set up for it."""
    from shared.operations.keep_watch import Watching

    ready = {
        Provider.GMAIL: bool(settings().gmail_push_audience and settings().gmail_push_senders),
        Provider.OUTLOOK: bool(settings().outlook_push_url),
    }
    providers = frozenset(provider for provider, is_ready in ready.items() if is_ready)
    return Watching(push_store(), _place_of, providers)


def cadence() -> Cadence:
    """Return how the operator bounds how often mailboxes are polled."""
    return Cadence(settings().minimum_sync_minutes, settings().pushed_sync_minutes)


def _place_of(mailbox: Mailbox, client_id: str) -> str:
    if mailbox.provider is Provider.OUTLOOK:
        return settings().outlook_push_url
    from shared import wiring_of_sign_ins

    return wiring_of_sign_ins.grants().client_of(mailbox, client_id).push_topic
