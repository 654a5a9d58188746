"""How a provider is told to tell no longer, when a mailbox's life ends.

To be asked after the generation was raised, so that no run makes another, and before the grant is
withdrawn, for that is what one asks with. Whatever it answers, nobody is found by its words.
"""

from collections.abc import Callable

from shared.domain.errors import StoreThrottledError
from shared.domain.mailbox import Mailbox, Provider, PushState
from shared.domain.push import key_of_mailbox
from shared.operations.access import Grants
from shared.ports.provider import MailProvider
from shared.ports.push import PushStore, WatchedSession
from shared.ports.stores import MailboxRecord

LONGEST_SECONDS = 5.0
"""A person waits for the disconnecting; a watch ends by itself within a week."""


def end_watch(
    record: MailboxRecord,
    *,
    push: PushStore,
    grants: Grants,
    provider_of: Callable[[Provider], MailProvider],
) -> Exception | None:
    """End a mailbox's watch and forget it; repeating it completes an interrupted one.

    Returns why the provider could not be told, whose words then find nobody until its watch is
    over. Gmail's is for everybody with that address: it goes on while another mailbox has it.
    """
    mailbox, state = record.mailbox, record.run_state.push
    if state == PushState():
        return None
    error: Exception | None = None
    if state.watch is not None and not is_for_others(mailbox, push):
        try:
            _unwatch(mailbox, state.watch.name, grants, provider_of)
        except StoreThrottledError:
            raise
        except Exception as failure:  # boundary: the disconnecting goes on, whatever it was
            error = failure
    push.forget(mailbox, key_of_mailbox(mailbox))
    return error


def is_for_others(mailbox: Mailbox, push: PushStore) -> bool:
    """Whether ending the mailbox's watch ends that of others, who have the same address."""
    if mailbox.provider is not Provider.GMAIL:
        return False
    listeners = push.listeners(mailbox.provider, key_of_mailbox(mailbox))
    me = (mailbox.tenant_id, mailbox.id)
    return any((one.tenant_id, one.mailbox_id) != me for one in listeners)


def _unwatch(
    mailbox: Mailbox, name: str, grants: Grants, provider_of: Callable[[Provider], MailProvider]
) -> None:
    grant = grants.for_last_words(mailbox)
    if grant is None:
        return
    with provider_of(mailbox.provider).open(grant, seconds=LONGEST_SECONDS) as session:
        if isinstance(session, WatchedSession):
            session.unwatch(name)
