"""The port `PushStore` in memory, and a provider in memory that tells of changes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain.errors import MailroomError
from shared.domain.mail_server import ServerLogin
from shared.domain.mailbox import Mailbox, Provider, PushState, Watch
from shared.domain.secret import Secret
from shared.operations.access import Grants
from shared.ports.provider import OAuthGrant
from shared.ports.push import Listener, Notice, WatchTarget
from shared.ports.stores import MailboxRecord
from tests.fakes.clock import FixedClock
from tests.fakes.stores import World


@dataclass
class InMemoryPushStore:
    """The port `PushStore`. The table's time to live is nobody's here."""

    world: World = field(default_factory=World)

    def claim(self, record: MailboxRecord, *, again_at: datetime) -> bool:
        with self.world.lock:
            stands = self._push(record)
            if stands is None or stands.renew_at != record.run_state.push.renew_at:
                return False
            return self._set(record, replace(stands, renew_at=again_at))

    def listen(
        self, record: MailboxRecord, key: str, *, proof: str | None, until: datetime
    ) -> bool:
        with self.world.lock:
            if self._push(record) is None:
                return False
            before = self._listener(record.mailbox, key)
            self._listen(replace(before, proof=proof, watch=""))
            return True

    def keep(
        self,
        record: MailboxRecord,
        key: str,
        watch: Watch,
        *,
        renew_at: datetime,
        until: datetime,
    ) -> bool:
        with self.world.lock:
            stands, box = self._push(record), (record.mailbox.tenant_id, record.mailbox.id)
            if stands is None or box not in self.world.listeners.get(
                (record.mailbox.provider, key), {}
            ):
                return False
            self._listen(replace(self._listener(record.mailbox, key), watch=watch.name))
            before = record.run_state.push.watch
            is_new = before is None or before.name != watch.name
            heard_at = None if is_new else stands.heard_at
            return self._set(record, PushState(watch, renew_at, heard_at))

    def let_end(self, record: MailboxRecord, *, now: datetime) -> bool:
        with self.world.lock:
            stands = self._push(record)
            return stands is not None and self._set(record, replace(stands, renew_at=now))

    def forget(self, mailbox: Mailbox, key: str) -> bool:
        box = (mailbox.tenant_id, mailbox.id)
        with self.world.lock:
            self.world.listeners.get((mailbox.provider, key), {}).pop(box, None)
            if box in self.world.run_states:
                stands = self.world.run_states[box]
                self.world.run_states[box] = replace(stands, push=PushState())
            return bool(self.listeners(mailbox.provider, key))

    def listeners(self, provider: Provider, key: str) -> Sequence[Listener]:
        with self.world.lock:
            return list(self.world.listeners.get((provider, key), {}).values())

    def ask(self, listener: Listener, *, renews: bool, run_at: datetime | None) -> bool:
        with self.world.lock:
            place = self.world.listeners.get((listener.provider, listener.key), {})
            stands = place.get((listener.tenant_id, listener.mailbox_id))
            if stands is None or stands.asked.get(renews) != listener.asked.get(renews):
                return False
            asked = {**stands.asked, renews: run_at}
            asked = {which: at for which, at in asked.items() if at is not None}
            self._listen(replace(stands, asked=asked))
            return True

    def _push(self, record: MailboxRecord) -> PushState | None:
        box = (record.mailbox.tenant_id, record.mailbox.id)
        state = self.world.run_states.get(box)
        passed = state is None or state.generation != record.run_state.generation
        return None if passed else state.push

    def _set(self, record: MailboxRecord, push: PushState) -> bool:
        box = (record.mailbox.tenant_id, record.mailbox.id)
        self.world.run_states[box] = replace(self.world.run_states[box], push=push)
        return True

    def _listener(self, mailbox: Mailbox, key: str) -> Listener:
        new = Listener(mailbox.provider, key, mailbox.tenant_id, mailbox.id)
        place = self.world.listeners.get((mailbox.provider, key), {})
        return place.get((mailbox.tenant_id, mailbox.id), new)

    def _listen(self, listener: Listener) -> None:
        place = self.world.listeners.setdefault((listener.provider, listener.key), {})
        place[listener.tenant_id, listener.mailbox_id] = listener


@dataclass(frozen=True)
class PasswordAsGrant(OAuthGrant):
    """What opens a fake server, as what is given to a client."""

    imap: ServerLogin | None = None


class PasswordsAsGrants(Grants):
    """The passwords of fake servers, as providers' grants."""

    def of(self, mailbox: Mailbox) -> Any:
        grant: Any = super().of(mailbox)
        if mailbox.provider is Provider.IMAP:
            return grant
        tokens: Any = None
        return PasswordAsGrant(tokens, "a-client", grant.imap)

    def for_last_words(self, mailbox: Mailbox) -> Any:
        with suppress(MailroomError):
            return self.of(mailbox)
        return None


@dataclass
class Telling:
    """The port `MailProvider` over another one that has a log of what happened."""

    inner: Any
    provider: Provider
    address: str
    clock: FixedClock
    watches: dict[str, tuple[Notice, datetime]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refusal: MailroomError | None = None
    """Set to have it tell nobody who asks."""
    made: int = 0
    told: int = 0

    @contextmanager
    def open(self, grant: Any, *, seconds: float | None = None) -> Iterator["TellingSession"]:
        with self.inner.open(grant, seconds=seconds) as session:
            yield TellingSession(self, session)

    def words(self) -> list[Notice]:
        """Return what it has to say since it was last asked: one word for each watch."""
        news, self.told = len(self.inner.log) > self.told, len(self.inner.log)
        now = self.clock.now()
        return [word for word, ends in self.watches.values() if news and ends > now]

    def watch(self, target: WatchTarget) -> Watch:
        self._ask("watch")
        self.made += 1
        ends = self.clock.now() + timedelta(days=6)
        if self.provider is Provider.GMAIL:
            # One for each mailbox, and a word at once.
            self.watches[target.place] = Notice(self.address), ends
            self.told = -1
            return Watch(target.place, ends)
        assert target.client_state is not None
        key, _, proof = target.client_state.reveal().partition(".")
        name = f"subscription-{self.made}"
        self.watches[name] = Notice(key, Secret(proof), name), ends
        return Watch(name, ends)

    def extend(self, name: str, *, until: datetime) -> Watch | None:
        self._ask("extend")
        if self.provider is Provider.GMAIL or name not in self.watches:
            return None
        word, _ = self.watches[name]
        self.watches[name] = word, until
        return Watch(name, until)

    def unwatch(self, name: str) -> None:
        self._ask("unwatch")
        self.watches.pop(name, None)

    def _ask(self, call: str) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            raise self.refusal


@dataclass
class TellingSession:
    """The port `MailSession`, and `WatchedSession`."""

    server: Telling
    inner: Any

    def watch(self, target: WatchTarget) -> Watch:
        return self.server.watch(target)

    def extend(self, name: str, *, until: datetime) -> Watch | None:
        return self.server.extend(name, until=until)

    def unwatch(self, name: str) -> None:
        self.server.unwatch(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
