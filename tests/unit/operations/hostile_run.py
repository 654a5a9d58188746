"""Hostile mail, taken in and read by the operations themselves, each in a process of its own.

    python -m tests.unit.operations.hostile_run [--seed SEED] [--count COUNT] [--first NUMBER]

The process that has everything loaded is forked for each message, so that what a message costs is
that process's own peak of memory and processor time. Prints one line of JSON a message, and the
seed on the standard error.
"""

import argparse
import json
import os
import random
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest

from shared.aws.instants import microseconds
from shared.aws.message_items import body_of, inline_body, message_of, pack_message
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.ports.queues import SyncRequest
from tests.fakes.deployment import Deployment
from tests.fakes.provider import FakeMailServer
from tests.fakes.stores import InMemoryMessageStore
from tests.performance.memory import peak_megabytes
from tests.unit.mime.hostile import hostile
from tests.unit.operations.machine import TENANT, Machine, mail

HANGS_AFTER_SECONDS = 60
"""Of processor time: what takes longer is ended from outside."""
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
    megabytes: float = 0.0


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
        self.take(mail(1, self.machine.clock.now(), extra="Content-Type: text/html\r\n"))

    def take(self, raw: bytes) -> str:
        """Have a run meet the message and another one, and a user read what came of it."""
        machine, box = self.machine, self.box
        at = machine.clock.advance(minutes=10)
        uid = machine.server.deliver("INBOX", raw, at)
        machine.server.deliver("INBOX", mail(uid + 1, at), at)
        machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
        run = machine.reports[-1].run
        assert run is not None, "the run was dropped"
        assert run.code is None, f"the run failed: {run.code}"
        assert run.counts.balances, "its ledger does not balance"
        listed = self._ask("/v1/messages", limit="100")["items"]
        assert f"Message {uid + 1}" in {item["subject"] for item in listed}, "another was held up"
        here = {name.rpartition(".")[2]: copy for name, copy in machine.live_copies(box.id).items()}
        letters = self._ask(f"/v1/mailboxes/{box.id}/dead-letters")["items"]
        if str(uid) in here:
            assert not letters, "both stored and given up"
            shown = self._ask(f"/v1/messages/{here[str(uid)].message_id}")
            assert set(_CONTROLS).isdisjoint("".join(_one_liners(shown))), "a line end in a field"
            assert "<script" not in (shown["html"] or "").lower(), "a script to be shown"
            return "stored"
        (letter,) = machine.letters_of(box.id)
        assert [one["id"] for one in letters] == [letter.id]
        assert machine.letters.read_raw(letter) == raw, "its raw message was not kept"
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


def costs(reader: Reader, seed: int, numbers: Iterable[int]) -> Iterator[Cost]:
    """Take in hostile mail, each in a fork of this process."""
    for number in numbers:
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            _be_the_child(reader, seed, number, into)
        os.close(into)
        with os.fdopen(out) as told:
            lines = told.read().splitlines()
        _, status = os.waitpid(child, 0)
        cost = Cost(**json.loads(lines[-1]))
        if status:
            cost.outcome = f"{cost.outcome}; the process ended with {status}"
        yield cost


def _be_the_child(reader: Reader, seed: int, number: int, into: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (HANGS_AFTER_SECONDS, HANGS_AFTER_SECONDS))
    kind, raw = hostile(seed, number)
    cost = Cost(number, kind, len(raw), "died")
    # Said before it is tried: who is killed says nothing more.
    os.write(into, f"{json.dumps(asdict(cost))}\n".encode())
    began = time.process_time()
    try:
        cost.outcome = reader.take(raw)
    except BaseException as error:
        cost.outcome = f"{type(error).__name__}: {error}"[:500]
    cost.seconds = time.process_time() - began
    cost.megabytes = peak_megabytes()
    os.write(into, f"{json.dumps(asdict(cost))}\n".encode())
    os._exit(0)


def main() -> None:
    """Print what each message came to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--count", type=int, default=130)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    sys.stderr.write(f"seed {asked.seed}\n")
    numbers = range(asked.first, asked.first + asked.count)
    for cost in costs(Reader(), asked.seed, numbers):
        sys.stdout.write(json.dumps(asdict(cost)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
