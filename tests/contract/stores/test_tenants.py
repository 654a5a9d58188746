"""Nothing crosses a tenant, whatever tenants, users, contacts and mail servers call themselves."""

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.aws.tables import escape
from shared.domain.audit import Audit, Window
from shared.domain.lease import Fence
from shared.domain.mailbox import RunState
from shared.ports.stores import SyncOutcome
from tests.fakes.backends import BUCKET, on_aws
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    NOW,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_letter,
    a_mailbox,
    a_new_copy,
    a_run,
    connected,
    later,
    lease_of,
    some_chunks,
)

TRICKY = ["acme", "acme#mailboxes", "acme%23mailboxes", "acme#", "..", "../acme", "ACME", "аcme"]
NAMES = st.sampled_from(TRICKY) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12
)


def fill(stores, tenant, text) -> None:
    """Write at least one of everything, with `text` wherever a stranger chooses the name."""
    record = connected(stores.mailboxes, tenant_id=tenant)
    lease = lease_of(stores.mailboxes, record)
    copies = [
        a_new_copy(text, tenant_id=tenant, folder_id=text, addresses=(ADA, f"{text}@x.example")),
        a_new_copy("2", tenant_id=tenant),
    ]
    stores.messages.save(lease.fence, copies)
    run = a_run(text, tenant_id=tenant, ledger={"unreadable": (text,)})
    outcome = SyncOutcome({text: a_folder(text)}, NOW, run, due_slot=SLOT)
    stores.mailboxes.finish_run(lease.fence, outcome)
    stores.mailboxes.set_primary(tenant, text, BOX)
    backfill = a_backfill(text, tenant_id=tenant)
    stores.backfills.create_backfill(backfill)
    stores.backfills.put_chunks(backfill, some_chunks(backfill, 2))
    assert stores.slots.take_slot(tenant, owner=text, most=1, now=NOW, seconds=60) == 0
    audit = Audit(tenant, BOX, NOW, NOW, (Window(NOW),), repair_id=backfill.id)
    stores.audits.save_audit(Fence(tenant, BOX, record.run_state.generation), audit)
    stores.contacts.put_contact(
        a_contact(text, BOB, f"{text}@x.example", tenant_id=tenant), expected_version=None
    )
    stores.attachments.put(tenant, iter([b"abc"]), holder="BOX/1", limit=9)
    letter = a_letter(text, tenant_id=tenant, folder_id=text)
    stores.letters.note(lease.fence, letter)
    stores.letters.keep_raw(tenant, BOX, letter.id, iter([b"raw"]), limit=9)
    stores.letters.note_raw(lease.fence, letter.id, size=3, missing=None)


def seen_by(stores, tenant, text):
    """Everything a tenant can read."""
    messages = {
        entry.message_id: entry for entry in stores.by_mailbox(tenant, BOX, before=None, limit=99)
    }
    found = stores.get_messages(tenant, list(messages))
    return [
        stores.mailboxes.list_mailboxes(tenant),
        stores.mailboxes.folders(tenant, BOX),
        stores.mailboxes.primary(tenant, text),
        stores.runs.list_runs(tenant, BOX, limit=9, before=None),
        stores.activity.page_mailboxes(tenant, after=None, limit=9),
        stores.activity.latest_letters(tenant, [BOX], most=9)[BOX],
        stores.backfills.list_backfills(tenant, BOX),
        stores.backfills.get_chunk(tenant, BOX, text, 0),
        stores.audits.get_audit(tenant, BOX),
        stores.audits.completeness(tenant, [BOX]),
        stores.audits.live_ids(tenant, BOX, since=later(-99_999)),
        stores.audits.settled(tenant, BOX),
        messages,
        found,
        stores.copies_of(tenant, list(found.values())),
        stores.messages.live_copies(tenant, BOX, ids_begin_with=text),
        stores.by_address(tenant, ADA, before=None, limit=99),
        stores.by_address(tenant, f"{text}@x.example", before=None, limit=99),
        stores.letters.list_letters(tenant, BOX, before=None, limit=9),
        list(stores.letters.all_letters(tenant, BOX)),
        stores.letters.get_letter(tenant, BOX, a_letter(text).id),
        stores.letters.read_raw(a_letter(text, tenant_id=tenant, raw_size=3)),
        stores.contacts.list_contacts(tenant, after=None, limit=99),
        stores.contacts.contacts_by_address(tenant, [ADA, BOB, f"{text}@x.example"]),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, NAMES, NAMES)
def test_two_tenants_never_see_or_change_each_other(one, other, text):
    with on_aws() as stores:
        fill(stores, one, text)
        before = seen_by(stores, one, text)
        assert all(before)
        if one == other:
            return
        assert not any(seen_by(stores, other, text))
        fill(stores, other, text)
        assert seen_by(stores, one, text) == before
        for due in (stores.mailboxes.due(SLOT), stores.backfills.open_backfills()):
            assert sorted(found.tenant_id for found in due) == sorted([one, other])
        for item in stores.items():
            starts = {
                item[name]["S"].split("#")[0] for name in ("pk", "mailbox_pk") if name in item
            }
            assert len(starts) == 1
            assert starts <= {escape(one), escape(other)}
        keys = [o["Key"] for o in stores.clients.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert len({key.split("/")[1] for key in keys}) == 2


def test_the_same_mail_of_two_tenants_is_two_messages(stores):
    made = []
    for tenant in (TENANT, OTHER_TENANT):
        record = connected(stores.mailboxes, tenant_id=tenant)
        new = a_new_copy(tenant_id=tenant)
        stores.messages.save(lease_of(stores.mailboxes, record).fence, [new])
        made.append(new.message.id)
    assert len(set(made)) == 2
    assert stores.get_messages(TENANT, made[1:]) == {}
    assert stores.messages.get_body(OTHER_TENANT, made[0]) is None


def test_a_tenants_identity_of_a_mailbox_is_written_nowhere_in_the_indexes(aws):
    mailbox = a_mailbox(tenant_id=TENANT)
    aws.mailboxes.create(mailbox, replace(RunState(), due_slot=SLOT), "imap:sales@acme.example")
    (due,) = aws.table.query(SLOT, index=("due", "due_slot", "due_key"))
    assert set(due) == {"pk", "sk", "due_slot", "due_key", "tenant_id", "mailbox_id"}
    assert "sales" not in str(due)


def test_a_tenants_mail_spreads_over_a_partition_each_mailbox_thread_and_address(aws):
    record = connected(aws.mailboxes)
    before = Counter(item["pk"]["S"] for item in aws.items())
    copies = [
        a_new_copy(f"{number}", mail=f"mail-{number}", addresses=(f"{number}@x.example",))
        for number in range(20)
    ]
    aws.messages.save(lease_of(aws.mailboxes, record).fence, copies)
    grown = Counter(item["pk"]["S"] for item in aws.items()) - before
    assert Counter(pk.split("#")[1] for pk in grown) == {"mailbox": 1, "thread": 20, "address": 20}
