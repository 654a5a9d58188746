"""What is opened by being on a contact's timeline: that, and nothing else, wherever it is asked for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import RequestError
from shared.domain.ids import Address, ContactId, TenantId, UserId
from shared.domain.mailbox import Visibility, renamed
from shared.domain.message import Participant, ParticipantRole
from shared.domain.policy import Folding, TenantPolicy
from shared.domain.visibility import Access, Viewer
from shared.mime.sanitise import Sanitised
from shared.operations.read_mail import read_message, read_thread, read_timeline
from shared.operations.search_mail import Search, search_mail
from tests.fakes.mail import add_contact, add_mailbox, message_of, store
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

ANN = Viewer(TenantId("acme"), UserId("ann"))
BOB = Viewer(TenantId("acme"), UserId("bob"))
CYD = Viewer(TenantId("acme"), UserId("cyd"))


@pytest.fixture
def world():
    return World()


def ports(world) -> Any:
    return {"messages": InMemoryMessageStore(world), "reader": InMemoryMailReader(world)}


def on_timeline(world, viewer, contact):
    page = read_timeline(viewer, ContactId(contact), before=None, limit=100, **ports(world))
    return {view.message.id: view for view in page.items}


def by_id(world, viewer, message):
    try:
        return read_message(
            viewer,
            message.id,
            attachments=InMemoryAttachmentStore(world),
            sanitise=lambda html, *, inline: Sanitised(html, 0),
            **ports(world),
        ).view
    except RequestError:
        return None


def in_thread(world, viewer, message):
    try:
        page = read_thread(viewer, message.thread_id, after=None, limit=100, **ports(world))
    except RequestError:
        return None
    return {view.message.id: view for view in page.items}.get(message.id)


def found(world, viewer):
    page = search_mail(
        viewer,
        Search(),
        before=None,
        limit=100,
        mailboxes=InMemoryMailboxStore(world),
        **ports(world),
    )
    return {view.message.id: view for view in page.items}


def answered_to(message, address):
    answer_to = Participant(ParticipantRole.REPLY_TO, Address(address))
    return replace(message, participants=(*message.participants, answer_to))


def test_a_colleague_who_is_a_contact_does_not_open_their_own_mailbox(world):
    """Any user may put a contact of any address: that must not be a way into a mailbox."""
    anns = add_mailbox(world, "A", address="ann@ours.example", visibility=Visibility.FULL)
    private = store(world, anns, message_of("x", sender="doctor@private.example"))
    add_contact(world, "colleague", "ann@ours.example")
    assert on_timeline(world, BOB, "colleague") == {}
    assert by_id(world, BOB, private) is None
    assert in_thread(world, BOB, private) is None
    assert found(world, BOB) == {}
    view = by_id(world, ANN, private)
    assert view is not None
    # Whom it names is told all the same.
    assert view.contacts == ("colleague",)


def test_nor_does_one_of_an_address_the_mailbox_had_or_that_is_taken_for_its_own(world):
    box = add_mailbox(world, "A", address="old@ours.example", visibility=Visibility.FULL)
    private = store(
        world,
        box,
        message_of("x", sender="doctor@private.example", to=("old@ours.example",)),
    )
    box = renamed(box, "ann@ours.example")
    world.mailboxes[box.tenant_id, box.id] = box
    tagged = store(
        world,
        box,
        message_of("y", sender="doctor@private.example", to=("ann+news@ours.example",)),
    )
    add_contact(world, "colleague", "ann@ours.example", "old@ours.example")
    world.policies[box.tenant_id] = TenantPolicy(plus_tags=Folding.FOLD, version=1)
    assert on_timeline(world, BOB, "colleague") == {}
    assert by_id(world, BOB, private) is by_id(world, BOB, tagged) is None


def test_a_reply_to_who_is_a_contact_opens_nothing(world):
    """Whoever sends writes there whom they like."""
    box = add_mailbox(world, "A", address="ann@ours.example", visibility=Visibility.FULL)
    mail = answered_to(message_of("x", sender="doctor@private.example"), "cleo@client.example")
    store(world, box, mail)
    add_contact(world, "c", "cleo@client.example")
    assert on_timeline(world, BOB, "c") == {}
    assert by_id(world, BOB, mail) is None
    assert in_thread(world, BOB, mail) is None


def test_each_mailbox_that_holds_a_message_is_judged_by_itself(world):
    """A mail between colleagues, one of them a contact: it is on the timeline by the other's copy."""
    anns = add_mailbox(world, "A", address="ann@ours.example", visibility=Visibility.FULL)
    bobs = add_mailbox(world, "B", owner="bob", address="bob@ours.example")
    mail = message_of("x", sender="ann@ours.example", to=("bob@ours.example",))
    store(world, anns, mail)
    add_contact(world, "colleague", "ann@ours.example")
    assert on_timeline(world, CYD, "colleague") == {}
    assert by_id(world, CYD, mail) is None
    store(world, bobs, mail)
    # At the level of Bob's mailbox alone, and with no word of Ann's.
    view = on_timeline(world, CYD, "colleague")[mail.id]
    assert view.access is Access.METADATA
    assert {copy.mailbox_id for copy in view.copies} == {"B"}
    assert by_id(world, CYD, mail) == in_thread(world, CYD, mail) == view


# ---- whatever the mail ----

ADDRESSES = [
    "a@ours.example", "b@ours.example", "old@ours.example", "c@client.example", "d@client.example",
]  # fmt: skip
SOME = st.lists(st.sampled_from(ADDRESSES), max_size=2, unique=True)


@given(data=st.data())
def test_what_others_may_open_by_its_id_is_what_is_on_some_contacts_timeline(data):
    world = World()
    boxes = [
        add_mailbox(
            world, name, owner=name, visibility=data.draw(st.sampled_from(list(Visibility)))
        )
        for name in "AB"
    ]
    boxes[1] = renamed(replace(boxes[1], address="old@ours.example"), "b@ours.example")
    world.mailboxes[boxes[1].tenant_id, boxes[1].id] = boxes[1]
    for address in data.draw(SOME, label="contacts"):
        add_contact(world, address.partition("@")[0], address)
    mails = []
    for number in range(data.draw(st.integers(1, 4))):
        sender, to, answer_to = (data.draw(SOME) for _ in range(3))
        mail = message_of(f"{number}", sender=(sender or ADDRESSES)[0], to=tuple(to))
        for address in answer_to:
            mail = answered_to(mail, address)
        mails.append(mail)
        for box in data.draw(st.lists(st.sampled_from(boxes), min_size=1, unique=True)):
            hidden = [Participant(ParticipantRole.BCC, Address(one)) for one in data.draw(SOME)]
            store(world, box, replace(mail, participants=(*mail.participants, *hidden)))
    for viewer in (CYD, Viewer(TenantId("acme"), UserId("A"))):
        listed = {}
        for contact in {one.id for one in world.contacts.values()}:
            listed |= on_timeline(world, viewer, contact)
        own = found(world, viewer)
        for mail in mails:
            view = by_id(world, viewer, mail)
            assert view == in_thread(world, viewer, mail)
            assert (view is not None) == (mail.id in listed or mail.id in own)
            if mail.id in listed:
                assert listed[mail.id] == view
