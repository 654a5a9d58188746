"""Every way a mail goes, interrupted at each of its side effects: nobody gets it twice, and it ends.

Where the provider can tell what became of a mail it ends as if nothing had happened. Where it
cannot (a server that keeps no copy itself, and we died before we could put one there), it ends
unknown at worst.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.domain.errors import (
    ConflictError,
    ErrorCode,
    RetryLaterError,
    SendRefusedError,
    StoreThrottledError,
)
from shared.domain.mailbox import Provider
from shared.domain.sending import ENDED, RecipientStatus, Send, SendStatus
from tests.fakes.sends import ref_of
from tests.faults.summary import RECEIVED_TWICE, SENDS_TRIED
from tests.unit.operations.machine import TENANT, Death
from tests.unit.operations.sending_machine import EVE, KIM, LEE, SendingMachine

Flow = Callable[[SendingMachine], None]


def plain(machine: SendingMachine) -> None:
    machine.ask([KIM, EVE], blind=[LEE])
    machine.rest()


def provider_was_away(machine: SendingMachine) -> None:
    machine.post.failures["prepare"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    machine.ask()
    machine.rest(until=timedelta(seconds=20))
    machine.post.failures.clear()
    machine.rest()


def answer_was_lost(machine: SendingMachine) -> None:
    machine.post.answers_lost = 1
    machine.ask()
    machine.rest()


def all_were_refused(machine: SendingMachine) -> None:
    machine.post.refusals[KIM] = SendRefusedError(ErrorCode.RECIPIENT_REJECTED)
    machine.ask()
    machine.rest()


def some_were_refused(machine: SendingMachine) -> None:
    machine.post.refusals[EVE] = SendRefusedError(ErrorCode.RECIPIENT_REJECTED)
    machine.post.refusals[LEE] = RetryLaterError(ErrorCode.RATE_LIMITED)
    machine.ask([KIM, LEE, EVE])
    machine.rest(until=timedelta(minutes=8))
    machine.post.refusals.clear()
    machine.rest()


def cancelled_with_a_draft(machine: SendingMachine) -> None:
    machine.post.failures["send"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = machine.ask()
    for _ in range(20):
        machine.rest(until=timedelta(minutes=2))
        machine.clock.advance(seconds=1)
        try:
            machine.sends.cancel(ref_of(send), now=machine.clock.now())
        except (Death, StoreThrottledError, ConflictError):
            # No answer, or a worker has it: the person presses the button again.
            continue
        break
    machine.post.failures.clear()
    machine.rest()


GMAIL, OUTLOOK, IMAP = Provider
WORLDS = {
    "imap": lambda: SendingMachine(IMAP),
    "imap that keeps what it sends": lambda: SendingMachine(IMAP, saves_sent=True),
    "gmail": lambda: SendingMachine(GMAIL),
    "outlook": lambda: SendingMachine(OUTLOOK),
}
CASES = [
    *((world, flow) for world in WORLDS for flow in (plain, provider_was_away, answer_was_lost)),
    ("imap", all_were_refused),
    ("imap", some_were_refused),
    ("imap that keeps what it sends", some_were_refused),
    ("outlook", all_were_refused),
    ("gmail", cancelled_with_a_draft),
]
"""Of some recipients alone only SMTP refuses."""


def undisturbed(world: str, flow: Flow) -> tuple[dict, int]:
    machine = WORLDS[world]()
    machine.arm(-1, "before")
    flow(machine)
    effects = machine.killer.count
    machine.tick(6)
    return machine.fingerprint(), effects


def sends_of(machine: SendingMachine) -> list[Send]:
    return list(machine.world.sends[TENANT, machine.box.id].values())


@pytest.mark.parametrize("how", ["before", "after", "lost"])
@pytest.mark.parametrize(("world", "flow"), CASES)
def test_interrupted_at_any_side_effect_nobody_gets_a_mail_twice_and_it_ends(
    world, flow, how, record_property
):
    expected, effects = undisturbed(world, flow)
    assert effects >= 4
    differences, twice = [], 0
    for at in range(effects):
        machine = WORLDS[world]()
        machine.arm(at, how)
        flow(machine)
        machine.tick(6)
        found = machine.fingerprint()
        (send,) = sends_of(machine)
        where = f"{how} {at}: {machine.killer.seen[at]}"
        twice += max(found["arrived"].values(), default=0) > 1
        assert send.comes_up_at is None, where
        assert send.status in ENDED | {SendStatus.UNKNOWN}, where
        of_both = {**expected, "cursors": found["cursors"]}
        if found != of_both and not is_honest_doubt(send, found, expected):
            differences.append((where, {k: v for k, v in found.items() if v != of_both[k]}))
    record_property(SENDS_TRIED, effects)
    record_property(RECEIVED_TWICE, twice)
    assert twice == 0
    assert differences == []


def is_honest_doubt(send: Send, found: dict, expected: dict) -> bool:
    """Whether it says of each recipient what is so, or that nobody knows; and somebody might."""
    says = {one.address: one.status for one in send.recipients}
    unknown = {name for name, status in says.items() if status is RecipientStatus.UNKNOWN}
    told = {
        name: status is RecipientStatus.ACCEPTED
        for name, status in says.items()
        if name not in unknown
    }
    return bool(unknown) and all(found["arrived"].get(name, 0) == got for name, got in told.items())
