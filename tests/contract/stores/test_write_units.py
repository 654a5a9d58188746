"""What a stored message and an idle poll cost, in DynamoDB's write units.

moto reports no capacity worth the name, so the units are counted as AWS states them: an item's size
is its attribute names and values in bytes; a write costs one unit for each kilobyte of the larger of
old and new, twice that inside a transaction (a check counts as a write); an index that holds the
item costs one unit for each kilobyte of what it projects, when that changes; an update that changes
none of it costs the index nothing.
"""

import math
from pathlib import Path

import pytest

from shared.domain.lease import Fence
from shared.domain.message import Body, Participant, ParticipantRole
from shared.ports.stores import SyncOutcome
from tests.fakes.faults import WRITES
from tests.fakes.values import ADA, BOX, SLOT, TENANT, a_new_copy, an_error, connected, later

PROSE = Path(__file__).resolve().parents[3].joinpath("LICENSE").read_text()
DUE = ("pk", "sk", "due_slot", "due_key", "tenant_id", "mailbox_id", "not_before")
DATED = ("pk", "sk", "mailbox_pk", "date_sk")


def size_of(item: dict) -> int:
    """Bytes of an item (a number counts up to 21, a set its members, a flag 1)."""

    def of(kind, value):
        match kind:
            case "S":
                return len(value.encode())
            case "B":
                return len(value)
            case "N":
                return min(21, math.ceil(len(value) / 2) + 1)
            case "SS":
                return sum(len(one.encode()) for one in value)
            case _:
                return 1

    return sum(
        len(name) + of(kind, inner) for name, value in item.items() for kind, inner in value.items()
    )


def units(size: int) -> int:
    return max(1, math.ceil(size / 1024))


def index_units(before: dict, after: dict, names: tuple[str, ...], key: str) -> int:
    old, new = ({n: item[n] for n in names if n in item} for item in (before, after))
    if old == new or (key not in old and key not in new):
        return 0
    return sum(units(size_of(item)) for item in (old, new) if key in item)


class Meter:
    """Adds up the units of the requests it hears, from the items before and after."""

    def __init__(self, stores) -> None:
        self.stores = stores

    def by_key(self):
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in self.stores.items()}

    def cost(self, call) -> float:
        before = self.by_key()
        writes: list[tuple[int, tuple]] = []
        passing: dict[tuple, dict] = {}

        def heard(params, model, **_):
            if model.name in WRITES:
                writes.extend(written(model.name, params))
            if model.name == "BatchWriteItem":
                # What is put and deleted again within the call is seen neither before nor after.
                for (request,) in map(dict.values, *params["RequestItems"].values()):
                    if item := request.get("Item"):
                        passing[item["pk"]["S"], item["sk"]["S"]] = item

        events = self.stores.table.client.meta.events
        events.register_first("provide-client-params.dynamodb", heard)
        try:
            call()
        finally:
            events.unregister("provide-client-params.dynamodb", heard)
        after = self.by_key()
        total = 0
        for factor, key in writes:
            old, new = before.get(key, {}), after.get(key, {})
            total += factor * units(max(map(size_of, (old, new, passing.get(key, {})))))
        for key in {key for _, key in writes}:
            old, new = before.get(key, {}), after.get(key, {})
            total += index_units(old, new, DUE, "due_slot")
            total += index_units(old, new, DATED, "date_sk")
        return total


def written(operation: str, params: dict) -> list[tuple[int, tuple]]:
    """Each item a request writes, with the factor of its kind."""

    def key(item):
        return item["pk"]["S"], item["sk"]["S"]

    match operation:
        case "UpdateItem":
            return [(1, key(params["Key"]))]
        case "PutItem":
            return [(1, key(params["Item"]))]
        case "BatchWriteItem":
            (requests,) = params["RequestItems"].values()
            parts = [part for request in requests for part in request.values()]
            return [(1, key(part.get("Item") or part["Key"])) for part in parts]
        case _:
            parts = [part for item in params["TransactItems"] for part in item.values()]
            return [(2, key(part.get("Item") or part["Key"])) for part in parts]


def ordinary(number: int):
    """A mail as people write them: 1,900 characters of prose, and the same again as HTML."""
    start = number * 137 % 7000
    text = PROSE[start : start + 1_900]
    lines = "".join(
        f'<p class="MsoNormal" style="margin:0;font-family:Calibri">{line.strip()}</p>\n'
        for line in text.splitlines()
    )
    names = ("Ada Lovelace", "Sales at Acme", "Bob B. Builder")
    addresses = (ADA, "sales@acme.example", f"bob.builder{number}@customer.example")
    roles = (ParticipantRole.FROM, ParticipantRole.TO, ParticipantRole.CC)
    return a_new_copy(
        f"{number:06}",
        received_at=later(number),
        root=f"CAF-{number // 3:x}-91kfjw83jf8w3f@mail.customer",
        mail=f"CAF-{number:x}-jf83jfos83jfls93j",
        participants=tuple(map(Participant, roles, addresses, names)),
        addresses=(addresses[0],),
        snippet=" ".join(text.split())[:180],
        body=Body(text, f"<html><head><meta charset=utf-8></head><body>{lines}</body></html>"),
    )


@pytest.fixture
def meter(aws) -> Meter:
    return Meter(aws)


def test_a_stored_message_costs_at_most_eight_units(aws, meter):
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    new = [ordinary(number) for number in range(50)]
    each = meter.cost(lambda: aws.messages.save(fence, new)) / len(new)
    sizes = [size_of(item) for item in aws.items() if item["sk"]["S"].startswith("message#")]
    print(f"\n{each:.2f} units for a message of {sum(sizes) // len(sizes)} bytes")
    assert each <= 8


def test_an_idle_poll_costs_one_unit(aws, meter):
    record = connected(aws.mailboxes)
    aws.mailboxes.finish_idle(record, now=later(1))
    assert meter.cost(lambda: aws.mailboxes.finish_idle(record, now=later(2))) == 1


def test_an_idle_poll_of_a_quiet_mailbox_costs_at_most_three(aws, meter):
    record = connected(aws.mailboxes)
    rest = aws.mailboxes.finish_idle
    rest(record, now=later(1), not_before=later(300))
    assert meter.cost(lambda: rest(record, now=later(300), not_before=later(600))) <= 3


def test_an_idle_poll_that_ends_trouble_costs_at_most_three(aws, meter):
    record = connected(aws.mailboxes)
    trouble = SyncOutcome(
        {}, later(1), None, inbound_error=an_error(), not_before=later(9), due_slot=SLOT
    )
    aws.mailboxes.fail_without_lease(record, trouble)
    assert meter.cost(lambda: aws.mailboxes.finish_idle(record, now=later(2))) <= 3
    assert [due.mailbox_id for due in aws.mailboxes.due(SLOT)] == [BOX]


def test_a_page_seen_before_costs_no_copies(aws, meter):
    record = connected(aws.mailboxes)
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    new = [ordinary(number) for number in range(10)]
    aws.messages.save(fence, new)
    names = [one.copy.provider_message_id for one in new]
    assert meter.cost(lambda: aws.messages.copies_by_id(TENANT, BOX, names)) == 0
