"""However many take part in mail and however little of it is shown, a request reads so much and no more."""

from typing import Any

import pytest

from shared.domain.errors import ErrorCode, RequestError
from shared.domain.ids import ContactId, MessageId, TenantId, ThreadId, UserId
from shared.domain.mailbox import MailboxKind
from shared.domain.visibility import Viewer
from shared.mime.sanitise import Sanitised
from shared.operations.read_mail import read_message, read_thread, read_timeline
from shared.operations.search_mail import Search, search_mail
from shared.ports.stores import TimelineEntry
from tests.fakes.mail import add_contact, add_mailbox, message_of, store
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    World,
)

ANN = Viewer(TenantId("acme"), UserId("ann"))
CYD = Viewer(TenantId("acme"), UserId("cyd"))
MOST = 45
"""Requests for mail: the budget, and what the last look takes beyond it."""
UNKNOWN = "a" * 24


@pytest.fixture
def world():
    return World()


def many(key, number):
    return tuple(f"{key}-{one}@far.example" for one in range(number))


def counted(world, read: Any, *args, **asked):
    """What `read` gives, None where that is a 404, and how many requests it took for mail."""
    reader = InMemoryMailReader(world)
    try:
        return read(*args, reader=reader, **asked), reader.requests
    except RequestError:
        return None, reader.requests


def timeline_page(world, viewer, contact, before=None, limit=50):
    return counted(
        world,
        read_timeline,
        viewer,
        ContactId(contact),
        before=before,
        limit=limit,
        messages=InMemoryMessageStore(world),
    )


def search_page(world, viewer, before=None, limit=50, **what):
    return counted(
        world,
        search_mail,
        viewer,
        Search(**what),
        before=before,
        limit=limit,
        mailboxes=InMemoryMailboxStore(world),
        messages=InMemoryMessageStore(world),
    )


def thread_page(world, viewer, thread_id, after=None, limit=50):
    return counted(
        world,
        read_thread,
        viewer,
        thread_id,
        after=after,
        limit=limit,
        messages=InMemoryMessageStore(world),
    )


def opened(world, viewer, message_id):
    return counted(
        world,
        read_message,
        viewer,
        message_id,
        messages=InMemoryMessageStore(world),
        attachments=InMemoryAttachmentStore(world),
        sanitise=lambda html, *, inline: Sanitised(html, 0),
    )


def walked(page_at):
    """Every message of all pages; of each page at most so many requests."""
    seen, before, pages = [], None, 0
    while True:
        page, requests = page_at(before)
        assert requests <= MOST
        seen += [view.message.id for view in page.items]
        pages += 1
        if page.next is None:
            return seen, pages
        before = page.next


# ---- a page ----


def test_a_page_ends_after_so_many_requests_and_the_next_ones_come_to_the_end(world):
    hidden = add_mailbox(world, "S", owner="bob", kind=MailboxKind.SHARED)
    mine = add_mailbox(world, "A")
    add_contact(world, "c", "cleo@client.example")
    for number in range(120):
        store(world, hidden, message_of(f"{number}", cc=many(number, 200), minutes=number))
    last = store(world, mine, message_of("last", minutes=-1))
    assert walked(lambda at: timeline_page(world, ANN, "c", at)) == ([last.id], 6)


def test_so_does_a_page_of_a_search(world):
    box = add_mailbox(world, "A")
    mails = [
        store(world, box, message_of(f"{number}", cc=many(number, 200), minutes=-number))
        for number in range(110)
    ]
    ids = [mail.id for mail in mails]
    assert walked(lambda at: search_page(world, ANN, at, limit=100)) == (ids, 6)
    assert walked(lambda at: search_page(world, ANN, at, limit=100, subject="no such"))[0] == []


# ---- a thread ----


@pytest.mark.parametrize("limit", [1, 50])
def test_a_hidden_thread_takes_the_requests_of_one_that_does_not_exist(world, limit):
    box = add_mailbox(world, "A")
    mails = [
        store(world, box, message_of(f"{number}", thread="t", minutes=number))
        for number in range(20)
    ]
    hidden = thread_page(world, CYD, mails[0].thread_id, limit=limit)
    assert hidden == thread_page(world, CYD, ThreadId(f"t{UNKNOWN}"), limit=limit)
    assert hidden == (None, 2)


def test_a_hidden_thread_however_long_ends(world):
    box = add_mailbox(world, "A")
    for number in range(60):
        mail = message_of(f"{number}", thread="t", minutes=number, cc=many(number, 200))
        store(world, box, mail)
    page, requests = thread_page(world, CYD, mail.thread_id)
    assert page is None
    assert requests <= MOST


def test_the_pages_of_a_thread_of_many_people_lose_nothing(world):
    box = add_mailbox(world, "A")
    mails = [
        store(world, box, message_of(f"{number}", thread="t", minutes=number, cc=many(number, 200)))
        for number in range(60)
    ]
    seen, pages = walked(lambda at: thread_page(world, ANN, mails[0].thread_id, at))
    assert seen == [mail.id for mail in mails]
    assert pages == 3


def test_where_a_page_goes_on_tells_nothing_of_a_hidden_thread(world):
    """A position can be made up: with one a hidden thread is as unknown as without."""
    mine, bobs = add_mailbox(world, "A"), add_mailbox(world, "B", owner="bob")
    known = store(world, mine, message_of("1", thread="t", minutes=1))
    store(world, bobs, message_of("2", thread="t", minutes=2))
    hidden = store(world, bobs, message_of("3", minutes=3))
    start = TimelineEntry(known.received_at, known.id)
    end = TimelineEntry(message_of("x", minutes=9).received_at, MessageId("m"))
    for at in (start, end):
        assert thread_page(world, ANN, hidden.thread_id, at)[0] is None
        assert thread_page(world, ANN, ThreadId(f"t{UNKNOWN}"), at)[0] is None
        # The end of one that is known: what comes behind is hidden, and nothing does.
        page, _ = thread_page(world, ANN, known.thread_id, at)
        assert (page.items, page.next) == ((), None)


# ---- a message ----


@pytest.mark.parametrize("people", [0, 130, 900])
def test_a_hidden_message_takes_the_requests_of_one_that_does_not_exist(world, people):
    box = add_mailbox(world, "A")
    mail = store(world, box, message_of("x", cc=many("x", people)))
    assert opened(world, CYD, mail.id) == opened(world, CYD, MessageId(f"m{UNKNOWN}{UNKNOWN}"))


def test_the_contacts_of_the_first_who_take_part_are_asked_for_and_the_timelines_own(world):
    box = add_mailbox(world, "A")
    people = many("x", 130)
    mail = store(world, box, message_of("x", cc=people))
    add_contact(world, "near", people[70])
    add_contact(world, "far", people[129])
    for contact, named in (("near", ("near",)), ("far", ("near", "far"))):
        page, requests = timeline_page(world, CYD, contact)
        assert [view.contacts for view in page.items] == [named]
        assert requests <= 4
    assert opened(world, ANN, mail.id)[0].view.contacts == ("near",)
    world.contacts.pop((ANN.tenant_id, ContactId("near")))
    (view,) = timeline_page(world, CYD, "far")[0].items
    assert view.contacts == ("far",)
    assert opened(world, CYD, mail.id)[0] is None


def test_what_is_not_there_is_called_what_it_is(world):
    with pytest.raises(RequestError) as caught:
        read_thread(
            ANN,
            ThreadId(f"t{UNKNOWN}"),
            after=TimelineEntry(message_of("x").received_at, MessageId("m")),
            limit=1,
            messages=InMemoryMessageStore(world),
            reader=InMemoryMailReader(world),
        )
    assert caught.value.code is ErrorCode.THREAD_NOT_FOUND
