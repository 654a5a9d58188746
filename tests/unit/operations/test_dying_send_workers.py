"""A mail that kills its workers: it says so, and ends, whatever its queue does meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mailbox import Provider
from shared.domain.send_outcomes import DEATHS_BORNE
from shared.domain.sending import SendStatus
from shared.ports.queues import SendRequest
from tests.unit.operations.machine import TENANT
from tests.unit.operations.sending_machine import KIM, SendingMachine

QUEUED, UNKNOWN, SENT, FAILED = (
    SendStatus.QUEUED,
    SendStatus.UNKNOWN,
    SendStatus.SENT,
    SendStatus.FAILED,
)
STEPS = [
    # where its workers die, what it is an hour later, and after a day
    ("prepare", QUEUED, FAILED),
    ("look_up", UNKNOWN, UNKNOWN),
    ("file", SENT, SENT),
]


def begin(provider, step):
    """Ask for a mail that each worker dies of at a step, be it a bug or its memory."""
    machine = SendingMachine(provider)
    machine.seconds_left = 300.0
    machine.post.failures[step] = RuntimeError("a bug")
    machine.post.answers_lost = int(step == "look_up")
    return machine, machine.ask()


def go_on(machine, send, *, until):
    """Have a worker come whenever it is due, as the sweep does; return how many died."""
    deaths = 0
    while (at := machine.stands(send).comes_up_at) is not None and at <= until:
        machine.clock.at = max(machine.clock.now(), at)
        try:
            machine.deliver(SendRequest(TENANT, machine.box.id, send.id))
        except RuntimeError:
            deaths += 1
    return deaths


@pytest.mark.parametrize("provider", [Provider.IMAP, Provider.GMAIL])
@pytest.mark.parametrize(("step", "soon", "in_the_end"), STEPS)
def test_a_mail_that_kills_its_workers_says_so_within_the_hour_and_ends(
    provider, step, soon, in_the_end
):
    machine, send = begin(provider, step)
    began = machine.clock.now()
    assert go_on(machine, send, until=began + timedelta(minutes=45)) == DEATHS_BORNE
    stands, trouble = machine.stands(send), machine.mailbox().outbound_error
    assert (stands.status, stands.code) == (soon, ErrorCode.WORK_GIVEN_UP)
    assert (trouble.code, trouble.next_retry_at) == (ErrorCode.INTERNAL, stands.next_try_at)
    assert go_on(machine, send, until=began + timedelta(days=3)) in range(20, 25)
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (in_the_end, ErrorCode.WORK_GIVEN_UP)
    assert stands.waiting == ()
    assert machine.clock.now() - began < timedelta(hours=26)
    assert machine.world.outgoing == {}


@pytest.mark.parametrize("provider", [Provider.GMAIL, Provider.OUTLOOK])
@pytest.mark.parametrize("step", [step for step, _, _ in STEPS])
def test_mended_it_goes_its_way(provider, step):
    machine, send = begin(provider, step)
    go_on(machine, send, until=machine.clock.now() + timedelta(hours=5))
    machine.post.failures.clear()
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code, stands.deaths) == (SENT, None, 0)
    assert {one: len(mails) for one, mails in machine.post.arrived.items()} == {KIM: 1}
    assert len(machine.world.messages) == 1


def test_only_deaths_in_a_row_count():
    machine, send = begin(Provider.IMAP, "prepare")
    for _ in range(3):
        bug = machine.post.failures["prepare"]
        began = machine.clock.now()
        assert go_on(machine, send, until=began + timedelta(minutes=20)) == DEATHS_BORNE - 1
        machine.post.failures["prepare"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
        machine.clock.at = machine.stands(send).comes_up_at
        machine.deliver(SendRequest(TENANT, machine.box.id, send.id))
        machine.post.failures["prepare"] = bug
    assert machine.stands(send).code is ErrorCode.CONNECTION_FAILED


def test_a_death_is_counted_once_where_it_is_too_early_to_look():
    machine = SendingMachine(Provider.OUTLOOK)
    send = machine.ask()
    request = SendRequest(TENANT, machine.box.id, send.id)
    machine.post.failures["send"] = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        machine.deliver(request)
    # Another came sooner than its lease says, as where the function was given less time.
    stands = machine.stands(send)
    machine.send_store.write(
        replace(stands, attempt_ends_at=stands.handed_over_at), now=machine.clock.now()
    )
    machine.deliver(request)
    assert machine.stands(send).comes_up_at > machine.clock.now()
    machine.clock.at = machine.stands(send).comes_up_at
    machine.post.failures["look_up"] = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        machine.deliver(request)
    assert machine.stands(send).deaths == 1
