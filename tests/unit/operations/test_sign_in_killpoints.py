"""A sign-in killed before and after each of its side effects ends, by trying again, where it should."""

from contextlib import suppress
from dataclasses import dataclass

import pytest

from shared.domain.connecting import Wishes
from shared.domain.errors import ConflictError, ErrorCode, StoreThrottledError
from shared.domain.mailbox import MailboxStatus, Provider
from shared.operations.access import Grants
from shared.operations.authorize_connection import (
    AuthorizePorts,
    AuthorizeRequest,
    SignInPolicy,
    authorize_connection,
)
from shared.operations.begin_mailbox import BeginPorts
from shared.operations.complete_connection import CompletePorts, answer_callback, complete_attempt
from shared.operations.connect_account import AccountPorts
from tests.fakes.attempts import InMemoryAttemptStore, InMemoryGrantHolders
from tests.fakes.clock import FixedClock
from tests.fakes.sign_in import FakeAccounts, InMemoryOAuthClients
from tests.unit.operations.machine import ADA, TENANT, Death, Killer, Machine, busy_server

NOW = FixedClock().now()
ADDRESS = "ada@acme.example"
POLICY = SignInPolicy("https://api.example", ("https://app.example",))
EFFECTS = {"add", "take", "end", "hold", "release", "complete", "revoke"}


@dataclass
class Guarded:
    """A port whose side effects pass the killer."""

    inner: object
    killer: Killer

    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if name in EFFECTS:
            return self.killer.guard(f"{type(self.inner).__name__}.{name}", attribute)
        return attribute


class SignInMachine(Machine):
    """A machine whose mailbox is connected by a sign-in."""

    def __init__(self, killer=None):
        super().__init__(busy_server(NOW), killer)
        self.accounts = FakeAccounts(Provider.GMAIL)
        self.accounts.add(ADDRESS)
        guarded = Guarded(self.accounts, self.killer)
        self.clients = InMemoryOAuthClients()
        self.attempts = Guarded(InMemoryAttemptStore(), self.killer)
        self.holders = Guarded(InMemoryGrantHolders(), self.killer)
        self.grants = Grants(self.secrets, lambda _: guarded, self.clients, self.clock)
        begin = BeginPorts(
            self.mailboxes, self.backfills, self.secrets, self.guarded_queues, self.clock
        )
        account = AccountPorts(
            lambda _: guarded, lambda _: guarded, self.clients, self.holders, begin
        )
        self.ports = CompletePorts(self.attempts, account, self.clock.advance)
        self.authorize_ports = AuthorizePorts(
            lambda _: guarded, self.clients, self.attempts, self.mailboxes, self.clock
        )

    def authorize(self, mailbox_id=None):
        wishes = Wishes() if mailbox_id else Wishes(backfill_days=40)
        request = AuthorizeRequest(
            Provider.GMAIL, "https://app.example/", mailbox_id, wishes=wishes
        )
        return authorize_connection(ADA, request, ports=self.authorize_ports, policy=POLICY)

    def come_back(self, begun, answer):
        back = answer_callback(
            Provider.GMAIL, answer, [begun.cookie.reveal()], request_id="r", ports=self.ports
        )
        if isinstance(back.error, Death):
            raise back.error
        return back.outcome

    def sign_in(self, mailbox_id=None):
        begun = self.authorize(mailbox_id)
        return self.come_back(begun, self.accounts.allow(begun.authorize_url, ADDRESS))

    def keep_signing_in(self, mailbox_id=None):
        """What a person does who meets an error: reload the page, then begin again."""
        for _ in range(3):
            with suppress(Death):
                begun = self.authorize(mailbox_id)
                answer = self.accounts.allow(begun.authorize_url, ADDRESS)
                try:
                    outcome = self.come_back(begun, answer)
                except Death:
                    outcome = self.come_back(begun, answer)
                if outcome.code in {None, ErrorCode.ALREADY_CONNECTED}:
                    return
        message = "three times in vain"
        raise AssertionError(message)

    @property
    def box(self):
        (box,) = self.world.mailboxes.values()
        return box


def connect(machine):
    machine.keep_signing_in()
    machine.drain()
    machine.tick(8)


def connect_and_disconnect(machine):
    connect(machine)
    try:
        machine.disconnect(machine.box.id)
    except Death:
        machine.disconnect(machine.box.id)
    machine.tick(8)


def connect_disconnect_and_reconnect(machine):
    connect_and_disconnect(machine)
    machine.keep_signing_in(machine.box.id)
    machine.drain()
    machine.tick(8)


def grant_is_alive(machine):
    kept = machine.grants.kept(machine.box)
    return kept is not None and machine.accounts.is_alive(kept.kept)


def held(machine):
    return sum(map(len, machine.holders.inner.holders.values()))


ENDS = {
    connect: lambda machine: (grant_is_alive(machine), held(machine)) == (True, 1),
    connect_and_disconnect: lambda machine: (
        (machine.secret_store.secrets, machine.accounts.grants, held(machine)) == ({}, {}, 0)
    ),
    connect_disconnect_and_reconnect: lambda machine: (
        (grant_is_alive(machine), held(machine)) == (True, 1)
    ),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("flow", ENDS)
def test_dying_at_any_side_effect_ends_where_the_undisturbed_one_does(flow, after):
    undisturbed = SignInMachine()
    flow(undisturbed)
    assert ENDS[flow](undisturbed)
    expected = undisturbed.fingerprint()
    differences = []
    for at in range(undisturbed.killer.count):
        machine = SignInMachine(Killer(at=at, after=after))
        flow(machine)
        machine.tick(8)
        if machine.fingerprint() != expected or not ENDS[flow](machine):
            differences.append((at, machine.killer.seen[at]))
    assert {"FakeAccounts.complete", "InMemoryAttemptStore.take"} <= set(undisturbed.killer.seen)
    assert differences == []


def test_a_code_is_never_redeemed_twice_however_often_somebody_dies():
    machine = SignInMachine()
    connect(machine)
    for at in range(machine.killer.count):
        again = SignInMachine(Killer(at=at, after=True))
        connect(again)
        assert len(set(again.accounts.redeemed)) == len(again.accounts.redeemed)


@pytest.mark.parametrize("store", ["secret_store", "queues"])
def test_a_store_that_fails_leaves_a_mailbox_that_a_second_sign_in_takes_over(store):
    machine = SignInMachine()
    failing = getattr(machine, store)
    failing.failure = StoreThrottledError()
    outcome = machine.sign_in()
    assert outcome.code is ErrorCode.STORE_THROTTLED
    failing.failure = None
    status = machine.box.status
    again = machine.sign_in()
    if store == "secret_store":
        assert status is MailboxStatus.CONNECTING
        assert again.mailbox_id == machine.box.id
    else:
        # Active before the queue failed: the schedule finds it.
        assert again.code is ErrorCode.ALREADY_CONNECTED
        assert grant_is_alive(machine)
    machine.tick(8)
    assert machine.box.status is MailboxStatus.ACTIVE
    assert machine.live_copies(machine.box.id)


def test_a_mailbox_disconnected_under_our_hands_keeps_no_grant(monkeypatch):
    machine = SignInMachine()
    put = machine.secret_store.put

    def disconnect_and_put(*given):
        monkeypatch.setattr(machine.secret_store, "put", put)
        machine.disconnect(machine.box.id)
        put(*given)

    monkeypatch.setattr(machine.secret_store, "put", disconnect_and_put)
    assert machine.sign_in().code is ErrorCode.STALE_WRITE
    assert (machine.secret_store.secrets, machine.accounts.grants) == ({}, {})
    assert held(machine) == 0


def test_a_mailbox_that_never_got_its_grant_can_be_disconnected():
    machine = SignInMachine()
    machine.secret_store.failure = StoreThrottledError()
    machine.sign_in()
    machine.secret_store.failure = None
    assert held(machine) == 1
    machine.disconnect(machine.box.id)
    assert held(machine) == 0
    assert machine.box.status is MailboxStatus.DISCONNECTED


def test_a_new_token_that_is_refused_at_once_is_told_as_such():
    machine = SignInMachine()
    begun = machine.authorize()
    answer = machine.accounts.allow(begun.authorize_url, ADDRESS)

    def address(grant):
        return grant.tokens.renewed(grant.tokens.current()).reveal()

    machine.accounts.address = address
    assert machine.come_back(begun, answer).code is ErrorCode.SIGN_IN_REQUIRED
    assert machine.world.mailboxes == {}


def test_two_finish_the_same_attempt_and_one_redeems():
    machine = SignInMachine()
    begun = machine.authorize()
    answer = machine.accounts.allow(begun.authorize_url, ADDRESS)
    first = complete_attempt(ADA, Provider.GMAIL, answer, ports=machine.ports)
    back = machine.come_back(begun, answer)
    assert (first.mailbox_id, first.is_new, first.is_news) == (back.mailbox_id, True, True)
    again = complete_attempt(ADA, Provider.GMAIL, answer, ports=machine.ports)
    assert not again.is_news
    assert len(machine.accounts.redeemed) == 1


def test_disconnecting_reads_no_secret_of_a_mailbox_with_a_password(monkeypatch):
    machine = Machine(busy_server(NOW))
    box = machine.connect()
    machine.secret_store.secrets[TENANT, box.id] = "not even text"
    machine.disconnect(box.id)
    assert machine.secret_store.secrets == {}


def test_a_secret_that_cannot_be_read_is_deleted_all_the_same():
    machine = SignInMachine()
    machine.sign_in()
    place = (TENANT, machine.box.id)
    machine.secret_store.secrets[place] = type(machine.secret_store.secrets[place])("{}")
    with suppress(ConflictError):
        machine.disconnect(machine.box.id)
    assert machine.secret_store.secrets == {}
