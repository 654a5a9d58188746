"""Which condition guards what is kept of watches, and of whom a provider's word is about.

Of a watch the mailbox's state has the name and the instants, so that a poll reads them with the
rest; what a word finds has items of its own, which the function that anybody may call can reach
without reaching anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.aws import state_changes
from shared.aws.fences import still_holds
from shared.aws.instants import from_microseconds, microseconds, seconds
from shared.aws.table import Raw, Table
from shared.aws.tables import Key, StateItem, state_key
from shared.aws.tables_of_push import ListenerItem, listener_key, listeners_pk
from shared.domain.ids import MailboxId, TenantId
from shared.domain.lease import Fence
from shared.domain.mailbox import Mailbox, Provider, Watch
from shared.ports.push import Listener
from shared.ports.stores import MailboxRecord


@dataclass(frozen=True, slots=True)
class DynamoPushStore:
    """The port `PushStore`."""

    table: Table

    # ---- runs ----

    def claim(self, record: MailboxRecord, *, again_at: datetime) -> bool:
        """Move the instant on where it is still the one that was read."""
        renew_at = record.run_state.push.renew_at
        stands = (
            StateItem.watch_at.does_not_exist()
            if renew_at is None
            else StateItem.watch_at == seconds(renew_at)
        )
        actions = state_changes.watch_claimed(again_at)
        return self.table.update(_state(record), actions, _holds(record) & stands) is not None

    def listen(
        self, record: MailboxRecord, key: str, *, proof: str | None, until: datetime
    ) -> bool:
        """Write the listener beside a check of the state."""
        actions = [
            *_who(record.mailbox, until),
            state_changes.set_or_remove(ListenerItem.proof, proof),
            ListenerItem.watch.remove(),
        ]
        check = self.table.check_operation(_state(record), _holds(record))
        listener = self.table.update_operation(_listener(record.mailbox, key), actions)
        return not self.table.transact([check, listener])

    def keep(
        self,
        record: MailboxRecord,
        key: str,
        watch: Watch,
        *,
        renew_at: datetime,
        until: datetime,
    ) -> bool:
        """Write state and listener together; none is made of which nobody knows the proof."""
        before = record.run_state.push.watch
        is_new = before is None or before.name != watch.name
        state = self.table.update_operation(
            _state(record),
            state_changes.watched(watch, renew_at, is_new=is_new),
            _holds(record),
        )
        actions = [*_who(record.mailbox, until), ListenerItem.watch.set(watch.name)]
        listener = self.table.update_operation(
            _listener(record.mailbox, key), actions, ListenerItem.pk.exists()
        )
        return not self.table.transact([state, listener])

    def let_end(self, record: MailboxRecord, *, now: datetime) -> bool:
        """Move the instant to now."""
        actions = state_changes.watch_ended(now)
        return self.table.update(_state(record), actions, _holds(record)) is not None

    def forget(self, mailbox: Mailbox, key: str) -> bool:
        """Delete the listener, and take the watch out of a state that is there."""
        self.table.transact([self.table.delete_operation(_listener(mailbox, key))])
        self.table.update(
            state_key(mailbox.tenant_id, mailbox.id),
            state_changes.unwatched(),
            StateItem.pk.exists(),
        )
        return bool(self.listeners(mailbox.provider, key))

    # ---- words ----

    def listeners(self, provider: Provider, key: str) -> Sequence[Listener]:
        """Read the partition: as many as there are mailboxes with one address."""
        found = self.table.query(listeners_pk(provider, key))
        return [_read(provider, key, raw) for raw in found]

    def ask(self, listener: Listener, *, renews: bool, run_at: datetime | None) -> bool:
        """Move the instant where it is still the one that was read; no item is made by it."""
        attribute = ListenerItem.renewal_at if renews else ListenerItem.run_at
        before = listener.asked.get(renews)
        stands: Condition = (
            attribute.does_not_exist() if before is None else attribute == microseconds(before)
        )
        wanted = None if run_at is None else microseconds(run_at)
        actions = [state_changes.set_or_remove(attribute, wanted)]
        key = listener_key(listener.provider, listener.key, listener.tenant_id, listener.mailbox_id)
        return self.table.update(key, actions, ListenerItem.pk.exists() & stands) is not None


def _read(provider: Provider, key: str, raw: Raw) -> Listener:
    item = ListenerItem.from_raw_data(raw)
    asked: dict[bool, float | None] = {False: item.run_at, True: item.renewal_at}
    return Listener(
        provider,
        key,
        TenantId(item.tenant_id),
        MailboxId(item.mailbox_id),
        item.proof,
        item.watch or "",
        {renews: from_microseconds(int(at)) for renews, at in asked.items() if at is not None},
    )


def _who(mailbox: Mailbox, until: datetime) -> list[Action]:
    return [
        ListenerItem.tenant_id.set(mailbox.tenant_id),
        ListenerItem.mailbox_id.set(mailbox.id),
        ListenerItem.expires_at.set(seconds(until)),
    ]


def _listener(mailbox: Mailbox, key: str) -> Key:
    return listener_key(mailbox.provider, key, mailbox.tenant_id, mailbox.id)


def _state(record: MailboxRecord) -> Key:
    return state_key(record.mailbox.tenant_id, record.mailbox.id)


def _holds(record: MailboxRecord) -> Condition:
    mailbox = record.mailbox
    return still_holds(Fence(mailbox.tenant_id, mailbox.id, record.run_state.generation))
