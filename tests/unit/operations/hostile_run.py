"""Hostile mail, taken in and read by the operations themselves, each in a process of its own.

    python -m tests.unit.operations.hostile_run [--seed SEED] [--count COUNT] [--first NUMBER]

The process that has everything loaded is forked, so that what mail costs is that process's own
peak of memory and processor time. Quick mail is taken in by the batch: what all of it takes none of
it exceeds. A batch that escapes, or takes more than one message may, is taken apart and each of its
messages tried alone. Prints one line of JSON a message, and the seed on the standard error.
"""

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest

from shared.aws.instants import microseconds
from shared.aws.message_items import body_of, inline_body, message_of, pack_message
from shared.domain.dead_letter import DeadLetter
from shared.domain.ids import MessageId
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.ports.queues import SyncRequest
from tests.fakes.deployment import Deployment
from tests.fakes.provider import FakeMailServer
from tests.fakes.stores import InMemoryMessageStore
from tests.performance.memory import peak_megabytes
from tests.unit.mime.hostile import QUICK, hostile, kind_of
from tests.unit.mime.test_sanitise import forbidden_in
from tests.unit.operations.machine import TENANT, Machine, mail

MOST_SECONDS = 2
MOST_MEGABYTES = 512
HANGS_AFTER_SECONDS = 60
"""Of processor time: what takes longer is ended from outside."""
AT_ONCE = 50
MOST_ITEM_BYTES = 400_000
_CONTROLS = "\r\n\0\x1b\u2028\u2029"


@dataclass
class Cost:
    """What became of one message, and what it took."""

    number: int
    kind: str
    bytes: int
    outcome: str
    """`stored`, `unreadable`, or how it escaped."""
    seconds: float = 0.0
    """Of processor time, with all that came in the same batch."""
    megabytes: float = 0.0

    @property
    def is_within(self) -> bool:
        """Whether it ended as it must, within its share."""
        ended = self.outcome in {"stored", "unreadable"}
        return ended and self.seconds <= MOST_SECONDS and self.megabytes <= MOST_MEGABYTES


class PackingStore(InMemoryMessageStore):
    """Keeps what is read back of what DynamoDB and S3 would be given."""

    def save(self, fence, new):
        return super().save(fence, [_through_the_table(one) for one in new])


def _through_the_table(new):
    packed = pack_message(new.message, new.body)
    assert len(packed.content) < MOST_ITEM_BYTES, "an item that DynamoDB refuses"
    raw = {
        "d": {"B": packed.content},
        "r": {"N": str(microseconds(new.message.received_at))},
        "c": {"SS": sorted(new.message.copies)},
    }
    body = inline_body(raw) if packed.body is None else body_of(packed.body)
    return replace(new, message=message_of(raw), body=body)


class Reader:
    """A mailbox, everything loaded, that is forked for each message."""

    def __init__(self) -> None:
        self.machine = Machine(FakeMailServer.with_folders("INBOX"))
        self.machine.parser = MimeParser()
        self.machine.messages = PackingStore(self.machine.world)
        self.box = self.machine.connect(days=0)
        self.machine.drain()
        self.app = Deployment(world=self.machine.world, clock=self.machine.clock)
        self.app.install(pytest.MonkeyPatch())
        # What is loaded with the first message is no message's cost.
        self.take([mail(1, self.machine.clock.now(), extra="Content-Type: text/html\r\n")])

    def take(self, raws: Sequence[bytes]) -> list[str]:
        """Have a run meet the messages and another one, and a user read what came of them."""
        machine, box = self.machine, self.box
        at = machine.clock.advance(minutes=10)
        uids = [machine.server.deliver("INBOX", raw, at) for raw in raws]
        other = uids[-1] + 1
        machine.server.deliver("INBOX", mail(other, at), at)
        machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
        run = machine.reports[-1].run
        assert run is not None, "the run was dropped"
        assert run.code is None, f"the run failed: {run.code}"
        assert run.counts.balances, "its ledger does not balance"
        assert run.counts.listed >= len(raws) + 1, "not all of it was met"
        listed = self._ask("/v1/messages", limit="100")["items"]
        assert f"Message {other}" in {item["subject"] for item in listed}, "another was held up"
        here = {name.rpartition(".")[2]: copy for name, copy in machine.live_copies(box.id).items()}
        letters = {letter.provider_message_id: letter for letter in machine.letters_of(box.id)}
        told = self._ask(f"/v1/mailboxes/{box.id}/dead-letters", limit="100")["items"]
        assert {one["id"] for one in told} == {letter.id for letter in letters.values()}
        by_uid = {str(name).rpartition(".")[2]: letter for name, letter in letters.items()}
        assert here.keys().isdisjoint(by_uid), "both stored and given up"
        return [
            self._stored(here[str(uid)].message_id)
            if str(uid) in here
            else self._unreadable(by_uid[str(uid)], raw)
            for uid, raw in zip(uids, raws, strict=True)
        ]

    def _stored(self, message_id: MessageId) -> str:
        shown = self._ask(f"/v1/messages/{message_id}")
        assert set(_CONTROLS).isdisjoint("".join(_one_liners(shown))), "a line end in a field"
        # What is folded is in an element of our own.
        assert set(forbidden_in(shown["html"] or "")) <= {"details"}, "HTML not to be shown"
        return "stored"

    def _unreadable(self, letter: DeadLetter, raw: bytes) -> str:
        assert self.machine.letters.read_raw(letter) == raw, "its raw message was not kept"
        return "unreadable"

    def _ask(self, target: str, **query: str) -> dict[str, Any]:
        answer = self.app.ask("GET", target, user="ada", query=query or None)
        assert answer.status == 200, answer.text
        answer.text.encode()
        return answer.json


def _one_liners(shown: dict[str, Any]) -> Iterator[str]:
    """Return what a program will put into headers and lists."""
    yield shown["subject"]
    yield shown["internet_message_id"] or ""
    yield from shown["headers"].values()
    for role in ("from", "to", "cc"):
        for person in shown[role]:
            yield person["address"] + person["name"]
    for attachment in shown["attachments"]:
        yield attachment["filename"] + attachment["content_type"]


def costs(reader: Reader, seed: int, numbers: range) -> Iterator[Cost]:
    """Take in hostile mail, each in a fork of this process or in one with others."""
    batch: list[int] = []
    for number in numbers:
        if kind_of(number) not in QUICK:
            yield from _forked(reader, seed, [number])
            continue
        batch.append(number)
        if len(batch) == AT_ONCE:
            yield from _of_batch(reader, seed, batch)
            batch = []
    if batch:
        yield from _of_batch(reader, seed, batch)


def _of_batch(reader: Reader, seed: int, numbers: Sequence[int]) -> Iterator[Cost]:
    found = _forked(reader, seed, numbers)
    if all(cost.is_within for cost in found):
        yield from found
        return
    for number in numbers:
        yield from _forked(reader, seed, [number])


def _forked(reader: Reader, seed: int, numbers: Sequence[int]) -> list[Cost]:
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        _be_the_child(reader, seed, numbers, into)
    os.close(into)
    with os.fdopen(out) as told:
        lines = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    found = [Cost(**one) for one in json.loads(lines[-1])]
    if status:
        found = [replace(one, outcome=f"{one.outcome}; it ended with {status}") for one in found]
    return found


def _be_the_child(reader: Reader, seed: int, numbers: Sequence[int], into: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (HANGS_AFTER_SECONDS, HANGS_AFTER_SECONDS))
    mail_ = [hostile(seed, number) for number in numbers]
    found = [
        Cost(number, kind, len(raw), "died")
        for number, (kind, raw) in zip(numbers, mail_, strict=True)
    ]

    def say() -> None:
        os.write(into, f"{json.dumps([asdict(one) for one in found])}\n".encode())

    # Said before it is tried: who is killed says nothing more.
    say()
    began = time.process_time()
    try:
        outcomes = reader.take([raw for _, raw in mail_])
    except BaseException as error:
        outcomes = [f"{type(error).__name__}: {error}"[:500]] * len(found)
    seconds, megabytes = time.process_time() - began, peak_megabytes()
    for cost, outcome in zip(found, outcomes, strict=True):
        cost.outcome, cost.seconds, cost.megabytes = outcome, seconds, megabytes
    say()
    os._exit(0)


def main() -> None:
    """Print what each message came to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--count", type=int, default=3_000)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    sys.stderr.write(f"seed {asked.seed}\n")
    numbers = range(asked.first, asked.first + asked.count)
    for cost in costs(Reader(), asked.seed, numbers):
        sys.stdout.write(json.dumps(asdict(cost)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
