"""What stores keep for mailboxes of contacts' mail alone, and what it costs."""

import json
import random
from dataclasses import replace

import pytest

from shared.aws.open_backfill import HISTORIES_LAST
from shared.domain.backfill import BackfillKind, BackfillState, Chunk
from shared.domain.contact_history import LOG_LASTS
from shared.domain.errors import ConflictError, ErrorCode
from shared.domain.ids import Address, ContactId, MailboxId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.ledger import NO_CONTACT, Counts, Fate
from shared.domain.mailbox import StoredMail
from shared.domain.run import RunReason
from shared.ports.stores import SyncOutcome
from tests.contract.stores.test_mail_eraser import erased_all
from tests.contract.stores.test_write_units import Meter
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    INBOX,
    NOW,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_mailbox,
    a_person,
    a_run,
    connected,
    identity_of,
    later,
    lease_of,
    merged_into,
    stands,
)

EVE = Address("eve@example.org")


def a_history(**changes):
    named = {"kind": BackfillKind.CONTACT_HISTORY, "days": 0, "added_after": NOW}
    return a_backfill("01HIST", **{**named, "added_upto": later(60), **changes})


def outcome(**changes) -> SyncOutcome:
    plain = SyncOutcome(cursors={INBOX: a_folder()}, now=later(5), run=a_run(), due_slot=SLOT)
    return replace(plain, **changes)


def test_the_choice_is_read_back(stores):
    since = later(-9)
    record = connected(stores.mailboxes, store=StoredMail.CONTACTS_ONLY, contacts_since=since)
    assert (record.mailbox.store, record.mailbox.contacts_since) == ("contacts_only", since)
    assert a_mailbox().store is StoredMail.ALL


def test_a_mailbox_of_before_there_was_a_choice_keeps_all(aws):
    connected(aws.mailboxes)
    for item in aws.items():
        if "document" in item and "store" in (document := json.loads(item["document"]["S"])):
            del document["store"], document["contacts_since"]
            item["document"] = {"S": json.dumps(document)}
            aws.table.client.put_item(TableName=aws.table.name, Item=item)
    mailbox = aws.mailboxes.get(TENANT, BOX).mailbox
    assert (mailbox.store, mailbox.contacts_since) == (StoredMail.ALL, None)


def test_a_run_ends_with_its_position_in_the_log_and_the_history_it_begins(stores):
    record = connected(stores.mailboxes)
    fence = lease_of(stores.mailboxes, record).fence
    stores.mailboxes.finish_run(fence, outcome(contacts_to=later(60), history=a_history()))
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.contacts_to, state.history_id) == (later(60), "01HIST")
    assert stores.backfills.get_backfill(TENANT, BOX, "01HIST") == a_history()
    assert list(stores.backfills.open_backfills()) == [a_history()]
    # It stands in nobody's way.
    stores.backfills.create_backfill(a_backfill("01IMPORT"))


def test_a_worker_that_was_overtaken_begins_none(stores):
    record = connected(stores.mailboxes)
    old = lease_of(stores.mailboxes, record, "one")
    lease_of(stores.mailboxes, record, "two", later(200))
    with pytest.raises(ConflictError):
        stores.mailboxes.finish_run(old.fence, outcome(contacts_to=later(60), history=a_history()))
    assert stores.backfills.get_backfill(TENANT, BOX, "01HIST") is None
    assert stands(stores.mailboxes, record.mailbox).run_state.contacts_to is None


def test_other_ends_of_runs_leave_position_and_history(stores):
    record = connected(stores.mailboxes)
    fence = lease_of(stores.mailboxes, record).fence
    stores.mailboxes.finish_run(fence, outcome(contacts_to=later(60), history=a_history()))
    stores.mailboxes.finish_idle(record, now=later(90))
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.contacts_to, state.history_id) == (later(60), "01HIST")
    stores.mailboxes.finish_idle(record, now=later(90), contacts_to=later(80))
    fence = lease_of(stores.mailboxes, record).fence
    stores.mailboxes.finish_run(fence, outcome())
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.contacts_to, state.history_id) == (later(80), "01HIST")
    assert not state.history_again
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(record.mailbox))
    gone = stands(stores.mailboxes, record.mailbox)
    stores.mailboxes.reconnect(gone.mailbox, identity_of(record.mailbox), SLOT)
    state = stands(stores.mailboxes, record.mailbox).run_state
    assert (state.contacts_to, state.history_id) == (later(80), "01HIST")
    assert state.history_again


@pytest.mark.parametrize("end", [BackfillState.DONE, BackfillState.CANCELLED])
def test_a_history_that_ended_well_is_forgotten_and_one_cut_off_and_an_import_are_not(aws, end):
    connected(aws.mailboxes)
    for backfill in (a_history(), a_backfill("01IMPORT")):
        aws.backfills.create_backfill(backfill)
        if end is BackfillState.DONE:
            aws.backfills.start_backfill(replace(backfill, started_at=NOW))
        else:
            aws.backfills.set_backfill_state(backfill, end, now=NOW)
    is_forgotten = end is BackfillState.DONE
    ends = str(int((NOW + HISTORIES_LAST).timestamp()))
    assert ends_of(aws, "backfill#") == [{"N": ends} if is_forgotten else None, None]


@pytest.mark.parametrize("kind", [BackfillKind.CONTACT_HISTORY, BackfillKind.IMPORT])
def test_the_chunks_of_a_history_are_forgotten_once_they_are_done(aws, kind):
    record = connected(aws.mailboxes)
    backfill = a_history(kind=kind, chunks=2, planned=2)
    chunks = [Chunk(backfill.id, number, INBOX, (f"{number}",)) for number in range(2)]
    aws.backfills.create_backfill(backfill)
    aws.backfills.put_chunks(backfill, chunks)
    started = aws.backfills.start_backfill(replace(backfill, started_at=NOW))
    taken = aws.backfills.take_chunk(started, 0, owner="one", now=NOW, seconds=60)
    run = a_run(counts=Counts(listed=1, skipped={NO_CONTACT: 1}))
    fence = Fence(TENANT, BOX, record.mailbox.generation)
    aws.backfills.finish_chunk(fence, started, taken, run, now=later(5))
    ends = str(int((later(5) + HISTORIES_LAST).timestamp()))
    is_passing = kind is BackfillKind.CONTACT_HISTORY
    assert ends_of(aws, "chunk#") == [{"N": ends} if is_passing else None, None]


def ends_of(aws, prefix: str) -> list[dict[str, str] | None]:
    found = [one for one in aws.items() if one["sk"]["S"].startswith(prefix)]
    return [one.get("expires_at") for one in sorted(found, key=lambda one: one["sk"]["S"])]


def test_a_history_that_failed_stays_and_one_that_goes_on_has_no_end(aws):
    connected(aws.mailboxes)
    aws.backfills.create_backfill(a_history())
    change = aws.backfills.set_backfill_state
    cancelled = change(a_history(), BackfillState.CANCELLED, now=NOW)
    again = change(cancelled, BackfillState.PLANNING, now=later(1))
    change(again, BackfillState.FAILED, now=later(2))
    (item,) = [one for one in aws.items() if one["sk"]["S"].startswith("backfill#")]
    assert "expires_at" not in item


# ---- the log of added addresses ----


def refused(stores, contact, expected_version) -> ErrorCode:
    with pytest.raises(ConflictError) as caught:
        stores.contacts.put_contact(contact, expected_version=expected_version)
    return caught.value.code


def added(stores, after=0, upto=60, tenant=TENANT, limit=100) -> list[str]:
    return stores.contacts.added_addresses(
        tenant, after=later(after), upto=later(upto), limit=limit
    )


def test_the_log_has_what_a_write_added_and_nothing_else(stores):
    first = a_contact("c1", ADA, BOB, updated_at=later(10))
    stores.contacts.put_contact(first, expected_version=None)
    stores.contacts.put_contact(a_contact("c2", ADA, updated_at=later(20)), expected_version=None)
    stores.contacts.put_contact(
        a_contact("c1", BOB, EVE, name="New", updated_at=later(30)), expected_version=None
    )
    renamed = a_contact("c1", BOB, EVE, name="Newer", updated_at=later(40))
    stores.contacts.put_contact(renamed, expected_version=None)
    assert added(stores, upto=10) == sorted([ADA, BOB])
    assert added(stores, after=10, upto=20) == [ADA]
    assert added(stores, after=20) == [EVE]
    assert added(stores, after=30) == []
    assert added(stores, tenant=OTHER_TENANT) == []


def test_an_address_that_comes_back_is_in_the_log_again(stores):
    for at, addresses in ((10, (ADA,)), (20, ()), (30, (ADA,))):
        contact = a_contact("c1", addresses=addresses, updated_at=later(at))
        stores.contacts.put_contact(contact, expected_version=None)
    assert added(stores, after=10) == [ADA]
    stores.contacts.delete_contact(TENANT, ContactId("c1"))
    stores.contacts.put_contact(a_contact("c9", ADA, updated_at=later(40)), expected_version=None)
    assert added(stores, after=30) == [ADA]


def test_a_refused_write_adds_nothing_and_a_merge_brings_no_new_address(stores):
    c1 = a_contact("c1", ADA, updated_at=later(10))
    into = stores.contacts.put_contact(c1, expected_version=0)
    assert refused(stores, a_contact("c1", EVE, updated_at=later(20)), 7)
    c2 = a_contact("c2", BOB, updated_at=later(30))
    merged_into(stores, into, stores.contacts.put_contact(c2, expected_version=0))
    assert added(stores, after=30) == []
    assert added(stores) == [ADA, BOB]


def test_the_log_is_read_no_further_than_is_asked_for(stores):
    for number in range(5):
        contact = a_contact(f"c{number}", f"{number}@x.example", updated_at=later(number + 1))
        stores.contacts.put_contact(contact, expected_version=None)
    assert added(stores, limit=2)[:2] == ["0@x.example", "1@x.example"]
    assert len(added(stores, limit=2)) < 5
    assert len(added(stores, limit=5)) == 5


def test_an_entry_of_the_log_ends_and_names_nobody_in_its_key(aws):
    aws.contacts.put_contact(a_contact("c1", ADA, updated_at=NOW), expected_version=None)
    (entry,) = [one for one in aws.items() if one["pk"]["S"].endswith("#added-addresses")]
    assert int(entry["expires_at"]["N"]) == int((NOW + LOG_LASTS).timestamp())
    assert "ada" not in entry["sk"]["S"]


# ---- erasing ----


def logged(stores, tenant=TENANT) -> set[str]:
    find = stores.contacts.added_addresses
    return set(find(tenant, after=later(-1), upto=later(99), limit=99))


def test_a_persons_erasure_takes_them_out_of_the_log_and_nobody_else(stores):
    put = stores.contacts.put_contact
    put(a_contact("both", EVE, BOB), expected_version=None)
    put(a_contact("alone", EVE, updated_at=later(1)), expected_version=None)
    put(a_contact("theirs", EVE, tenant_id=OTHER_TENANT), expected_version=None)
    stores.contacts.delete_contact(TENANT, "both")
    erased_all(stores, a_person(EVE))
    assert logged(stores) == {BOB}
    assert logged(stores, OTHER_TENANT) == {EVE}


def test_a_long_log_is_looked_through_in_stretches(aws, monkeypatch):
    monkeypatch.setattr("shared.aws.mail_eraser.ENTRIES_IN_LOOK", 2)
    for number in range(7):
        who = EVE if number == 5 else f"{number}@example.org"
        contact = a_contact(f"c{number}", who, updated_at=later(number))
        aws.contacts.put_contact(contact, expected_version=None)
        aws.contacts.delete_contact(TENANT, contact.id)
    erasure, page = a_person(EVE), None
    while (page := aws.eraser.next_page(erasure)) is not None:
        erasure = replace(erasure, counted_to=page.position, looked_to=page.looked_to)
        aws.eraser.erase(erasure, page, now=NOW)
    assert logged(aws) == {f"{number}@example.org" for number in range(7) if number != 5}
    assert erasure.looked_to.startswith("3|")


# ---- what it costs ----


@pytest.fixture
def meter(aws) -> Meter:
    return Meter(aws)


def test_an_added_address_costs_two_units_of_the_log_and_a_renaming_none(aws, meter):
    def put(*addresses, **changes):
        contact = a_contact("c1", *addresses, **changes)
        return meter.cost(lambda: aws.contacts.put_contact(contact, expected_version=None))

    # The contact, its address and the log: two each, as in every transaction.
    assert put(ADA) == 6
    assert put(ADA, name="New") == 2
    assert put(ADA, BOB, EVE) == 2 + 2 * 2 + 2


def test_an_idle_poll_that_moves_on_in_the_log_costs_one_unit(aws, meter):
    record = connected(aws.mailboxes, store=StoredMail.CONTACTS_ONLY)
    idle = aws.mailboxes.finish_idle
    idle(record, now=later(1), contacts_to=later(1))
    idle(record, now=later(2), contacts_to=later(2))
    assert meter.cost(lambda: idle(record, now=later(3), contacts_to=later(3))) == 1


def skipped_ids(provider: str, count: int) -> tuple[ProviderMessageId, ...]:
    rng = random.Random(7)
    if provider == "imap":
        return tuple(f"0123456789abcdef.1700000000.{50_000 + n}" for n in range(count))
    if provider == "gmail":
        return tuple(f"19{rng.randrange(16**14):014x}" for _ in range(count))
    # Immutable ids of Graph: a long beginning that all have, then what differs.
    tails = ("".join(rng.choices("ABCDEFGHabcdefgh0123456789_-", k=24)) for _ in range(count))
    return tuple(f"AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0{'A' * 90}{tail}AAA=" for tail in tails)


@pytest.mark.parametrize("provider", ["imap", "gmail", "outlook"])
def test_a_message_passed_by_costs_less_than_a_tenth_of_a_unit(aws, meter, provider):
    ids = skipped_ids(provider, 238)
    counts = Counts(listed=238, skipped={NO_CONTACT: 238})
    run = a_run(
        "01R",
        reason=RunReason.BACKFILL,
        counts=counts,
        ledger={f"{Fate.SKIPPED}:{NO_CONTACT}": ids},
    )
    record = connected(aws.mailboxes)
    fence = lease_of(aws.mailboxes, record).fence
    empty = meter.cost(
        lambda: aws.mailboxes.finish_run(fence, outcome(run=a_run("01Q", ledger={})))
    )
    fence = lease_of(aws.mailboxes, record).fence
    cost = meter.cost(lambda: aws.mailboxes.finish_run(fence, outcome(run=run)))
    print(f"\n{provider}: {(cost - empty) / 238:.3f} units for a message passed by")
    assert (cost - empty) / 238 < 0.1
    assert aws.audits.settled(TENANT, MailboxId(BOX)) == set(ids)
