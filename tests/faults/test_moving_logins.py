"""While a login moves, either way, its mover dies, or somebody renews it, puts another, deletes it, or moves it back.

Each at every call the mover makes. The login that counts is never lost and never an older one, what
was deleted stays deleted, and in the end it is at home and nowhere else.
"""

from contextlib import contextmanager, suppress

import pytest
from moto import mock_aws

from shared.aws.moving_secrets import Place
from shared.aws.sealed_secrets import BUSY_SECONDS
from shared.domain.errors import RetryLaterError
from shared.domain.mailbox import MailboxStatus
from shared.domain.secret import Secret
from tests.contract.logins import Logins
from tests.fakes.values import BOX, TENANT
from tests.faults.killpoints import Death, Interrupter, Interruption, Kind

FIRST, RENEWED, ANOTHER = Secret("first"), Secret("renewed"), Secret("another")
AWAY = {Place.SEALED: Place.SECRETS, Place.SECRETS: Place.SEALED}


@pytest.fixture(scope="module", autouse=True)
def deployment():
    with mock_aws():
        yield Logins()


@pytest.fixture
def a_move(deployment):
    """What makes a world with a login that is not at home, and who hears what its mover calls."""

    @contextmanager
    def begin(home):
        logins, interrupter = deployment.again(), Interrupter()
        logins.at(AWAY[home]).put(TENANT, BOX, FIRST)
        settle(logins, AWAY[home])
        assert logins.where() == {AWAY[home]}
        logins.moved.clear()
        heard = [logins.table.client, logins.clients.secrets_manager, logins.clients.kms]
        for client in heard:
            interrupter.listen(client)
        try:
            yield logins, interrupter
        finally:
            for client in heard:
                interrupter.unlisten(client)

    return begin


def settle(logins, home):
    """Let the turn of whoever died be over, and a few polls come."""
    logins.now += BUSY_SECONDS + 1
    for _ in range(3):
        logins.at(home).get(TENANT, BOX)


def calls_of(a_move, home):
    with a_move(home) as (logins, interrupter):
        interrupter.arm()
        assert logins.at(home).get(TENANT, BOX).secret == FIRST
        calls = list(interrupter.calls)
        assert logins.moved == [home]
        assert logins.where() == {home}
        return calls


@pytest.fixture(params=Place)
def home(request):
    return request.param


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.name.lower())
def test_whoever_dies_in_a_move_leaves_a_login_that_counts_and_the_next_ends_it(
    a_move, home, kind, tried
):
    told, times = [], 0
    for at, call in enumerate(calls_of(a_move, home)):
        if kind is Kind.DOUBLED and not call.is_effect:
            continue
        times += 1
        with a_move(home) as (logins, interrupter):
            interrupter.arm(Interruption(kind, at))
            with suppress(Death, RetryLaterError):
                logins.at(home).get(TENANT, BOX)
            assert interrupter.fired, at
            interrupter.revive()
            for place in (home, AWAY[home]):
                read = logins.at(None if place is home else place).get(TENANT, BOX)
                if read is None or read.secret != FIRST:
                    told.append(f"to {home}, {kind} {at} ({call.name}): {place} reads {read}")
            settle(logins, home)
            if logins.where() != {home}:
                told.append(f"to {home}, {kind} {at} ({call.name}): it is in {logins.where()}")
            if "has_other" in logins.raw() or "is_copy" in logins.raw():
                told.append(f"to {home}, {kind} {at} ({call.name}): the move does not end")
    tried(times, told, {})


def renew(logins, home, read):
    """A worker that read the login before it moved stores what it renewed."""
    del home
    assert logins.at(None).replace(TENANT, BOX, RENEWED, version=read.version)
    return RENEWED


def renew_as_before(logins, home, read):
    """The same, by a function that has the setting of before."""
    assert logins.at(AWAY[home]).replace(TENANT, BOX, RENEWED, version=read.version)
    return RENEWED


def connect_again(logins, home, read):
    del read
    logins.at(home).put(TENANT, BOX, ANOTHER)
    return ANOTHER


def connect_again_as_before(logins, home, read):
    del read
    logins.at(AWAY[home]).put(TENANT, BOX, ANOTHER)
    return ANOTHER


def disconnect(logins, home, read):
    del read
    logins.set_status(MailboxStatus.DISCONNECTED)
    logins.at(home).delete(TENANT, BOX)


def move_too(logins, home, read):
    del read
    assert logins.at(home).get(TENANT, BOX).secret == FIRST
    return FIRST


def move_back(logins, home, read):
    del read
    assert logins.at(AWAY[home]).get(TENANT, BOX).secret == FIRST
    return FIRST


def connect_again_and_poll(logins, home, read):
    """What connecting asks for at once: another mover, beside the one that is stopped here."""
    connect_again(logins, home, read)
    assert logins.at(home).get(TENANT, BOX).secret == ANOTHER
    return ANOTHER


def move_too_and_renew_once_its_turn_is_over(logins, home, read):
    """The mover was a thread that its worker left behind, frozen until now."""
    del read
    settle(logins, home)
    kept = logins.at(home).get(TENANT, BOX)
    assert logins.at(home).replace(TENANT, BOX, RENEWED, version=kept.version)
    return RENEWED


def disconnect_and_connect(logins, home, read):
    disconnect(logins, home, read)
    logins.at(home).put(TENANT, BOX, ANOTHER)
    logins.set_status(MailboxStatus.ACTIVE)
    return ANOTHER


MEANWHILE = (
    (renew, False),
    (renew, True),
    (renew_as_before, False),
    (connect_again, False),
    (connect_again, True),
    (connect_again_as_before, False),
    (disconnect, False),
    (move_too, False),
    (move_back, False),
    (move_back, True),
    (connect_again_and_poll, False),
    (move_too_and_renew_once_its_turn_is_over, False),
    (disconnect_and_connect, False),
)


@pytest.mark.parametrize(
    ("meanwhile", "dies"),
    MEANWHILE,
    ids=lambda one: one.__name__ if callable(one) else "and the mover dies" if one else "",
)
def test_whatever_happens_while_it_moves_the_newest_login_counts(
    a_move, home, meanwhile, dies, tried
):
    calls = calls_of(a_move, home)
    told = []
    for at, call in enumerate(calls):
        with a_move(home) as (logins, interrupter):
            read = logins.at(None).get(TENANT, BOX)
            wanted = []

            def watch(
                number,
                _call,
                at=at,
                logins=logins,
                interrupter=interrupter,
                wanted=wanted,
                read=read,
            ):
                if number == at and watch in interrupter.watchers:
                    interrupter.watchers.remove(watch)
                    wanted.append(meanwhile(logins, home, read))
                    if dies:
                        interrupter._die()

            interrupter.arm()
            interrupter.watchers.append(watch)
            with suppress(Death):
                logins.at(home).get(TENANT, BOX)
            interrupter.revive()
            (expected,) = wanted
            counts = logins.at(None).get(TENANT, BOX)
            if (counts.secret if counts else None) != expected:
                told.append(f"to {home} at {at} ({call.name}): {counts} counts")
            settle(logins, home)
            if logins.where() != ({home} if expected else set()):
                told.append(f"to {home} at {at} ({call.name}): it is in {logins.where()}")
            settled = logins.at(None).get(TENANT, BOX)
            if (settled.secret if settled else None) != expected:
                told.append(f"to {home} at {at} ({call.name}): {settled} is left")
    tried(len(calls), told, {})
