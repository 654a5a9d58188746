"""The contract of `MailReader`, and how many requests a page of mail takes, whatever the tenant has."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from shared.domain.contact import MOST_CONTACTS_NAMED, KnownBy
from shared.domain.errors import ContactMergedError
from shared.domain.ids import Address, ContactId, MailboxId, MessageId, ThreadId, UserId
from shared.domain.lease import Fence
from shared.domain.mailbox import MailboxKind, Visibility
from shared.domain.message import Participant, ParticipantRole, copy_ref
from shared.domain.policy import Folding, TenantPolicy
from shared.domain.visibility import Viewer
from shared.operations.read_mail import read_message, read_thread, read_timeline
from shared.operations.search_mail import Search, search_mail
from shared.ports.reading import Found, Wanted
from tests.fakes.faults import listening
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    NOW,
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    a_contact,
    a_new_copy,
    connected,
    later,
    merged_into,
    name,
)

OWNER = Viewer(TENANT, UserId("u1"))
STRANGER = Viewer(TENANT, UserId("u9"))


def put(stores, *contact):
    return stores.contacts.put_contact(a_contact(*contact), expected_version=None)


def save(stores, record, *new):
    box = record.mailbox
    stores.messages.save(Fence(box.tenant_id, box.id, box.generation), list(new))


# ---- what is read ----


def test_all_that_decides_is_read_together_and_of_this_tenant_alone(stores):
    record = connected(stores.mailboxes)
    new = a_new_copy()
    save(stores, record, new)
    put(stores, "c1", ADA)
    put(stores, "c2", ADA, BOB)
    ref = copy_ref(BOX, name("1"))
    wanted = Wanted(
        messages=frozenset({new.message.id, MessageId("m" + "a" * 48), MessageId("nonsense")}),
        copies=frozenset({ref, copy_ref(OTHER_BOX, name("1")), copy_ref(BOX, name("2"))}),
        mailboxes=frozenset({BOX, OTHER_BOX}),
        addresses=frozenset({ADA, BOB, "no@example.org"}),
        threads=frozenset({new.message.thread_id}),
        policy=True,
    )
    found = stores.reader.read(TENANT, wanted)
    assert found.asked == wanted
    assert found.messages == {new.message.id: new.message}
    assert found.copies == {ref: new.copy}
    (mailbox,) = found.mailboxes.values()
    assert mailbox == replace(record.mailbox, status=mailbox.status)
    assert found.known == {
        ADA: [KnownBy("c1", ADA), KnownBy("c2", ADA)],
        BOB: [KnownBy("c2", BOB)],
    }
    assert found.contacts_of(ADA) == ["c1", "c2"]
    assert found.thread(new.message.thread_id).root == new.message.thread_id
    assert found.policy == TenantPolicy()
    assert found.copies_in_mailboxes(new.message) == [new.copy]
    theirs = stores.reader.read(OTHER_TENANT, wanted)
    assert theirs == Found(wanted)
    assert stores.reader.read(TENANT, Wanted()) == Found()


def test_a_copy_that_two_workers_read_otherwise_is_shown_once(stores):
    record = connected(stores.mailboxes)
    composed = a_new_copy("1", mail="as it was sent", root="thread")
    rewritten = a_new_copy("1", mail="as its provider has it", root="thread")
    put(stores, "c1", ADA)
    save(stores, record, composed)
    save(stores, record, rewritten)
    found = timeline(stores, contact="c1").items
    assert [one.message.id for one in found] == [composed.message.id]


def test_a_contact_comes_with_the_tenants_policy(stores):
    policy = TenantPolicy(own_domains=("acme.example",))
    policy = stores.policies.put_policy(TENANT, policy, expected_version=None)
    contact = put(stores, "c1", ADA)
    assert stores.reader.contact(TENANT, ContactId("c1")) == (contact, policy)
    assert stores.reader.contact(TENANT, ContactId("c2")) == (None, policy)
    assert stores.reader.contact(OTHER_TENANT, ContactId("c1")) == (None, TenantPolicy())
    assert stores.reader.read(TENANT, Wanted(policy=True)).policy == policy
    merged_into(stores, put(stores, "c2", BOB), contact)
    with pytest.raises(ContactMergedError):
        stores.reader.contact(TENANT, ContactId("c1"))


def test_of_an_address_the_first_contacts_are_named(stores):
    ids = [f"c{number:02}" for number in range(MOST_CONTACTS_NAMED + 2)]
    for one in reversed(ids):
        put(stores, one, ADA)
    found = stores.reader.read(TENANT, Wanted(addresses=frozenset({ADA}))).contacts_of(ADA)
    assert found == ids[:MOST_CONTACTS_NAMED]
    assert stores.contacts.contacts_by_address(TENANT, [ADA]) == {ADA: found}


def test_an_entry_names_every_copy_that_it_found_and_who_takes_part(stores):
    records = [connected(stores.mailboxes), another_box(stores, 2)]
    for record in records:
        save(stores, record, a_new_copy("1", mailbox_id=record.mailbox.id, mail="x"))
    (entry,) = stores.by_address(TENANT, ADA)
    message = stores.get_messages(TENANT, [entry.message_id])[entry.message_id]
    assert entry.copies == message.copies == {copy_ref(r.mailbox.id, name("1")) for r in records}
    assert entry.addresses == {one.address for one in message.participants}
    (listed,) = stores.by_mailbox(TENANT, BOX)
    assert listed.copies == {copy_ref(BOX, name("1"))}
    (of_thread,) = stores.messages.thread(TENANT, message.thread_id)
    assert of_thread.copies == message.copies


# ---- in how many requests ----


def another_box(stores, number, **changes):
    changes = {"kind": MailboxKind.PERSONAL, "visibility": Visibility.METADATA} | changes
    return connected(
        stores.mailboxes,
        id=MailboxId(f"01JNA00000000000000000{number:04}"),
        address=f"box{number}@acme.example",
        **changes,
    )


def filled(stores, *, messages: int, boxes: int, **changes):
    """A tenant with mail of ADA in its mailboxes, most of it in one, and a contact for her."""
    records = [another_box(stores, number, **changes) for number in range(boxes)]
    for number in range(messages):
        record = records[0 if number % 10 else number // 10 % boxes]
        new = a_new_copy(f"{number:04}", mailbox_id=record.mailbox.id, received_at=later(number))
        save(stores, record, new)
    put(stores, "c", ADA)


def counted(stores, read):
    """What `read` gives, and which requests it sent."""
    asked: Counter[str] = Counter()
    with listening(stores, "before-call", lambda operation, _: asked.update([operation])):
        return read(), asked


def timeline(stores, viewer=OWNER, before=None, limit=25, contact="c"):
    return read_timeline(
        viewer,
        ContactId(contact),
        before=before,
        limit=limit,
        messages=stores.messages,
        reader=stores.reader,
    )


def test_who_is_blocked_is_not_shown_where_a_message_takes_a_further_request(stores):
    """Mail to more people than its index entry names: the rest of them is asked for afterwards."""
    record = another_box(stores, 1)
    put(stores, "c", ADA)
    crowd = [
        Participant(ParticipantRole.CC, Address(f"someone{number}@far-away.example"))
        for number in range(40)
    ]
    to_crowd = a_new_copy(
        "1",
        mailbox_id=record.mailbox.id,
        received_at=later(9),
        participants=(Participant(ParticipantRole.FROM, ADA), *crowd),
    )
    save(stores, record, to_crowd, a_new_copy("2", mailbox_id=record.mailbox.id))
    (entry, _) = stores.by_address(TENANT, ADA)
    assert ADA in entry.addresses
    assert len(entry.addresses) < 41
    assert timeline(stores).items
    stores.policies.put_policy(TENANT, TenantPolicy(blocklist=(ADA,)), expected_version=None)
    assert timeline(stores).items == ()


@pytest.mark.parametrize(("messages", "boxes"), [(30, 3), (200, 30)])
def test_a_page_is_two_requests_beside_the_contact_however_much_a_tenant_has(aws, messages, boxes):
    filled(aws, messages=messages, boxes=boxes)
    page, asked = counted(aws, lambda: timeline(aws))
    assert len(page.items) == 25
    assert {view.contacts for view in page.items} == {("c",)}
    assert asked == {"BatchGetItem": 2, "Query": 1}
    page, asked = counted(aws, lambda: timeline(aws, before=page.next))
    assert page.items
    assert asked == {"BatchGetItem": 2, "Query": 1}


def test_a_page_of_a_contact_of_several_addresses_is_a_query_more_for_each(aws):
    record = another_box(aws, 1)
    put(aws, "c", ADA, BOB, "eve@example.org")
    for number in range(40):
        address = (ADA, BOB)[number % 2]
        sender = Participant(ParticipantRole.FROM, address)
        save(
            aws,
            record,
            a_new_copy(
                f"{number}",
                mailbox_id=record.mailbox.id,
                received_at=later(number),
                addresses=(address,),
                participants=(sender,),
            ),
        )
    page, asked = counted(aws, lambda: timeline(aws))
    times = [view.message.received_at for view in page.items]
    assert times == [later(number) for number in range(39, 14, -1)]
    assert asked == {"BatchGetItem": 2, "Query": 3}


def test_mail_that_many_mailboxes_hold_ends_pages_early_and_none_empty(aws):
    records = [another_box(aws, number) for number in range(12)]
    put(aws, "c", ADA)
    for number in range(20):
        for record in records if number % 2 else records[:1]:
            new = a_new_copy(
                "1" + f"{number}",
                mailbox_id=record.mailbox.id,
                mail=f"mail-{number}",
                received_at=later(number),
            )
            save(aws, record, new)
    seen, before = [], None
    while True:
        page, asked = counted(aws, lambda before=before: timeline(aws, before=before))
        assert page.items
        assert asked == {"BatchGetItem": 2, "Query": 1}
        seen += [view.message.received_at for view in page.items]
        assert all(len(view.copies) in {1, 12} for view in page.items)
        if page.next is None:
            break
        before = page.next
    assert seen == [later(number) for number in range(19, -1, -1)]


def test_a_message_that_one_request_does_not_read_whole_takes_more_and_nothing_is_lost(aws):
    records = [another_box(aws, number) for number in range(55)]
    put(aws, "c", ADA)
    crowd = tuple(
        Participant(ParticipantRole.CC, f"someone{number}@far-away.example")
        for number in range(120)
    )
    to_crowd = a_new_copy(
        "2",
        mailbox_id=records[0].mailbox.id,
        received_at=later(9),
        participants=(Participant(ParticipantRole.FROM, ADA), *crowd),
        addresses=(ADA, crowd[-1].address),
    )
    put(aws, "last", "someone119@far-away.example")
    save(aws, records[0], to_crowd, a_new_copy("3", mailbox_id=records[0].mailbox.id))
    for record in records:
        save(
            aws,
            record,
            a_new_copy("1", mailbox_id=record.mailbox.id, mail="x", received_at=later(5)),
        )
    seen, before, requests = [], None, []
    while True:
        page, asked = counted(aws, lambda before=before: timeline(aws, before=before))
        requests.append(sum(asked.values()))
        seen += page.items
        if page.next is None:
            break
        before = page.next
    assert [one.message.received_at for one in seen] == [later(9), later(5), NOW]
    # The contacts of the first eighty who take part are named, and the timeline's own.
    assert seen[0].contacts == ("c",)
    (theirs,) = timeline(aws, contact="last").items
    assert theirs.contacts == ("c", "last")
    assert len(seen[1].copies) == 55
    assert requests == [4, 4, 3]


def test_where_nothing_is_to_be_seen_it_goes_on_to_the_end(aws):
    filled(aws, messages=70, boxes=3, kind=MailboxKind.SHARED)
    page, asked = counted(aws, lambda: timeline(aws, STRANGER))
    assert (page.items, page.next) == ((), None)
    assert asked == {"BatchGetItem": 1 + 3, "Query": 3}


def test_a_message_a_thread_and_a_search_of_one_mailbox_take_few_requests(aws):
    filled(aws, messages=30, boxes=30)
    (entry, *_) = aws.by_address(TENANT, ADA)
    message = aws.get_messages(TENANT, [entry.message_id])[entry.message_id]

    def one():
        return read_message(
            OWNER,
            message.id,
            messages=aws.messages,
            reader=aws.reader,
            attachments=aws.attachments,
            sanitise=None,
        )

    def thread():
        return read_thread(
            OWNER,
            ThreadId(message.thread_id),
            after=None,
            limit=50,
            messages=aws.messages,
            reader=aws.reader,
        )

    def search():
        return search_mail(
            OWNER,
            Search(mailbox_id=MailboxId("01JNA000000000000000000000")),
            before=None,
            limit=25,
            mailboxes=aws.mailboxes,
            messages=aws.messages,
            reader=aws.reader,
        )

    opened, asked = counted(aws, one)
    assert opened.text
    assert asked == {"BatchGetItem": 2, "GetItem": 1}  # the body last
    page, asked = counted(aws, thread)
    assert [view.message.id for view in page.items] == [message.id]
    assert asked == {"BatchGetItem": 3, "Query": 1}  # which others it is one with comes first
    page, asked = counted(aws, search)
    assert len(page.items) == 25
    assert sum(asked.values()) <= 4


def test_what_decides_is_read_consistently_so_that_a_right_taken_away_counts_at_once(aws):
    filled(aws, messages=3, boxes=1)
    consistent = []

    def heard(operation, params):
        if operation == "BatchGetItem":
            (asked,) = json.loads(params["body"])["RequestItems"].values()
            consistent.append(asked["ConsistentRead"])

    with listening(aws, "before-call", heard):
        timeline(aws)
    assert consistent == [True, True]


def test_who_has_another_spelling_of_an_address_is_read_with_it(stores):
    tagged = Address("ada+news@example.org")
    put(stores, "c1", ADA)
    put(stores, "c2", tagged)
    addresses = frozenset({ADA, Address("ada+else@example.org")})
    found = stores.reader.read(TENANT, Wanted(addresses=addresses, policy=True))
    assert [found.contacts_of(one) for one in sorted(addresses)] == [[], ["c1"]]
    policy = TenantPolicy(plus_tags=Folding.FOLD)
    stores.policies.put_policy(TENANT, policy, expected_version=None)
    found = stores.reader.read(TENANT, Wanted(addresses=addresses, policy=True))
    assert [found.contacts_of(one) for one in sorted(addresses)] == [["c1", "c2"]] * 2
