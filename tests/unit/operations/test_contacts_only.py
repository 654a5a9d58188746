"""A mailbox of contacts' mail alone: what is fetched, what is kept, and whose history comes later."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.contact_history import MOST_SEARCHED
from shared.domain.errors import ConflictError, ErrorCode, RetryLaterError
from shared.domain.folders import FolderRole
from shared.domain.ids import ContactId
from shared.domain.mailbox import StoredMail
from shared.domain.policy import Automated, Folding, TenantPolicy
from shared.domain.run import RunReason
from shared.mime.parse import MimeParser
from shared.operations.contacts import NewContact, delete_contact, put_contact
from shared.operations.mailbox_settings import SettingsChange, change_settings
from shared.operations.read_mailboxes import list_backfills
from shared.operations.start_backfill import BackfillAction, change_backfill, start_backfill
from shared.ports.queues import AuditRequest, SyncRequest
from tests.fakes.clock import FixedClock
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.provider import FakeMailServer, FakeSession
from tests.unit.operations.machine import ADA, TENANT, Machine, mail

NOW = FixedClock().now()
KIM, LEE, EVE = "kim@customer.example", "lee@client.example", "eve@elsewhere.example"
ADDRESSES = (KIM, LEE, EVE)


def server_of_three(each: int = 4) -> FakeMailServer:
    """Mail of the last weeks from and to three people, some of it sent."""
    server = FakeMailServer.with_folders("INBOX", "Sent", "Trash")
    for number in range(3 * each):
        at = NOW - timedelta(days=number + 1)
        who = ADDRESSES[number % 3]
        if number % 2:
            server.deliver("INBOX", mail(number, at, sender=who), at)
        else:
            server.deliver("Sent", mail(number, at, sender="ada@acme.example", to=who), at)
    return server


@pytest.fixture
def machine() -> Machine:
    return Machine(server_of_three())


@pytest.fixture
def box(machine):
    add(machine, "kim", KIM)
    machine.clock.advance(minutes=5)
    box = machine.connect(days=30, store=StoredMail.CONTACTS_ONLY)
    machine.drain()
    machine.tick(8)
    return box


def add(machine, contact_id: str, *addresses: str) -> None:
    new = NewContact(contact_id, "Somebody", addresses, {})
    put_contact(ADA, new, contacts=machine.contacts, clock=machine.clock)


def remove(machine, contact_id: str) -> None:
    delete_contact(ADA, ContactId(contact_id), contacts=machine.contacts)


def set_policy(machine, **choice) -> None:
    policy = replace(TenantPolicy(), **choice)
    machine.policies.put_policy(TENANT, policy, expected_version=None)


def set_store(machine, box, store: StoredMail):
    return change_settings(
        ADA,
        box.id,
        SettingsChange(store=store),
        mailboxes=machine.mailboxes,
        openings=InMemoryOpeningStore(machine.world),
        queues=machine.queues,
        clock=machine.clock,
    )


def senders(machine) -> set[str]:
    """Who takes part in what is stored, but for the mailbox's own address."""
    return {
        one.address
        for message in machine.world.messages.values()
        for one in message.participants
        if one.address != "ada@acme.example"
    }


def stored_of(machine, address: str) -> int:
    return sum(
        any(one.address == address for one in message.participants)
        for message in machine.world.messages.values()
    )


def histories(machine, box):
    return [
        one
        for one in machine.backfills.list_backfills(TENANT, box.id)
        if one.kind is BackfillKind.CONTACT_HISTORY
    ]


def skipped(machine, box) -> dict[str, int]:
    found: dict[str, int] = {}
    for run in machine.world.runs[TENANT, box.id].values():
        for reason, number in run.counts.skipped.items():
            found[reason] = found.get(reason, 0) + number
    return found


# ---- what is fetched and kept ----


def test_an_import_fetches_no_more_than_contacts_mail(machine, box):
    assert senders(machine) == {KIM}
    assert stored_of(machine, KIM) == 4
    assert len(machine.server.fetched) == 4
    assert skipped(machine, box) == {"no_contact": 8}
    (imported,) = machine.backfills.list_backfills(TENANT, box.id)
    assert imported.state is BackfillState.DONE


def test_of_anybody_else_nothing_but_ids_is_kept(machine, box):
    kept = repr(machine.world)
    assert "Message 3" in kept
    for stranger in (LEE, EVE, "Message 1'", "Message 2'", "Text 1"):
        assert stranger not in kept


def test_news_are_judged_alike(machine, box):
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    machine.server.deliver("INBOX", mail(101, at, sender=EVE, to=f"ada@acme.example, {KIM}"), at)
    machine.server.fetched.clear()
    machine.tick(6)
    assert len(machine.server.fetched) == 1
    assert stored_of(machine, KIM) == 5


def test_what_a_policy_keeps_out_is_called_so_and_judged_whole_where_a_contact_is_in_it(
    machine, box
):
    set_policy(machine, blocklist=("elsewhere.example", LEE), automated=Automated.SKIP)
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    machine.server.deliver("INBOX", mail(101, at, sender=LEE, to=KIM), at)
    machine.server.deliver("INBOX", mail(102, at, sender="no-reply@shop.example"), at)
    machine.server.fetched.clear()
    machine.tick(6)
    assert skipped(machine, box) == {"no_contact": 8, "blocked": 2, "automated": 1}
    assert len(machine.server.fetched) == 1
    assert stored_of(machine, KIM) == 4


def test_an_address_that_only_the_header_had_is_no_contacts(machine, box):
    """As where a provider decodes a name that holds one: whole, it names nobody."""
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    real = FakeSession.fetch_headers

    def decoded(session, folder, ids):
        for one in real(session, folder, ids):
            yield replace(
                one, header=one.header.replace(b"From: ", b"From: " + KIM.encode() + b", ")
            )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSession, "fetch_headers", decoded)
        machine.tick(6)
    assert skipped(machine, box) == {"no_contact": 9}
    assert EVE not in repr(machine.world)


def test_mail_to_oneself_is_no_contacts(machine, box):
    add(machine, "me", "ada@acme.example")
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender="ada@acme.example"), at)
    machine.tick(6)
    assert stored_of(machine, KIM) == len(machine.world.messages) == 4


def test_a_poll_that_finds_nothing_asks_one_question_more(machine, box):
    asked = []
    real = machine.contacts.inner.added_addresses
    machine.contacts.inner.added_addresses = lambda *given, **named: (
        asked.append(named) or real(*given, **named)
    )
    machine.clock.advance(minutes=5)
    before = machine.killer.count
    report = machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    assert report.kind == "idle"
    assert machine.killer.seen[before:] == ["InMemoryMailboxStore.finish_idle"]
    assert len(asked) == 1
    assert asked[0]["limit"] == 1


def test_a_mailbox_that_keeps_all_asks_nothing(machine):
    machine.connect(days=30)
    machine.contacts.inner.added_addresses = None
    machine.drain()
    machine.tick(8)
    assert senders(machine) == set(ADDRESSES)


# ---- what cannot be judged ----


def test_what_has_an_unreadable_header_is_a_letter_without_content(machine, box):
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE, extra="X-Test: unreadable\r\n"), at)
    machine.tick(6)
    (letter,) = machine.letters_of(box.id)
    assert letter.code is ErrorCode.MESSAGE_MALFORMED
    assert letter.raw_missing is ErrorCode.CONTACT_UNKNOWN
    assert not machine.world.raw_messages


SAYING_NOTHING = {
    "nobody": "Subject: Hello\r\n",
    "nobody but who is answered": f"Reply-To: {EVE}\r\n",
    "too many": f"From: {EVE}\r\nTo: {', '.join(f'{n}@crowd.example' for n in range(600))}\r\n",
    "more than is read": f"From: {EVE}\r\nTo: {'x' * 20_000}, {KIM}\r\n",
}


@pytest.mark.parametrize("header", SAYING_NOTHING.values(), ids=SAYING_NOTHING)
def test_a_header_that_does_not_tell_everybody_judges_nothing(machine, box, monkeypatch, header):
    machine.parser = MimeParser()
    real = FakeSession.fetch_headers

    def told(session, folder, ids):
        for one in real(session, folder, ids):
            yield replace(one, header=header.encode())

    monkeypatch.setattr(FakeSession, "fetch_headers", told)
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=KIM), at)
    machine.server.deliver("INBOX", mail(101, at, sender=EVE), at)
    machine.server.fetched.clear()
    machine.tick(6)
    assert (stored_of(machine, KIM), stored_of(machine, EVE)) == (5, 0)
    assert len(machine.server.fetched) == 2
    assert skipped(machine, box) == {"no_contact": 9}


@pytest.mark.parametrize("sender", [KIM, EVE])
def test_a_replayed_letter_is_judged_too(machine, box, sender):
    at = machine.clock.now()
    machine.server.deliver(
        "INBOX", mail(100, at, sender=sender, extra="X-Test: unreadable\r\n"), at
    )
    machine.tick(6)
    machine.parser.mended = True
    machine.replay(box.id)
    machine.drain()
    assert not machine.letters_of(box.id)
    assert stored_of(machine, KIM) == (5 if sender == KIM else 4)
    assert stored_of(machine, EVE) == 0


def test_headers_the_provider_fails_on_are_tried_again_and_given_up(machine, box):
    at = machine.clock.now()
    uid = machine.server.deliver("INBOX", mail(100, at, sender=KIM), at)
    machine.server.deliver("INBOX", mail(101, at, sender=KIM), at)
    machine.server.failing.add(f"f-inbox.1.{uid}")
    machine.tick(6)
    assert stored_of(machine, KIM) == 5
    assert machine.world.record((TENANT, box.id)).mailbox.inbound_error is not None
    machine.tick(200)
    assert [letter.code for letter in machine.letters_of(box.id)] == [ErrorCode.NOT_HANDED_OVER]


def test_a_header_that_kills_its_reader_is_given_up_and_not_kept(machine, box):
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=KIM), at)
    parse = machine.parser.parse

    def killing(message):
        if b"Message 100" in (message.header or b""):
            raise SystemExit
        return parse(message)

    machine.parser.parse = killing
    for _ in range(4):
        try:
            machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
        except SystemExit:
            machine.clock.advance(minutes=4)
    (letter,) = machine.letters_of(box.id)
    assert letter.code is ErrorCode.KILLED_ITS_READER
    assert not machine.world.raw_messages


def test_a_chunk_that_runs_out_of_time_amid_headers_goes_on(machine):
    add(machine, "kim", KIM)
    box = machine.connect(days=30, store=StoredMail.CONTACTS_ONLY)
    real, left = FakeSession.fetch_headers, iter([20.0, 20.0, 5.0])

    def slowly(session, folder, ids):
        for one in real(session, folder, ids):
            machine.seconds_left = next(left, 100.0)
            yield one

    run_chunk, began = machine.run_chunk, []

    def run_in_time(request):
        machine.seconds_left = 100.0
        began.append(request)
        run_chunk(request)

    machine.run_chunk = run_in_time
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSession, "fetch_headers", slowly)
        machine.drain()
    assert len(began) == 3
    assert stored_of(machine, KIM) == 4
    assert skipped(machine, box) == {"no_contact": 8}


@pytest.mark.parametrize("lost_at", [3, 70])
def test_what_lies_before_a_header_that_nobody_gets_past_is_stored(
    machine, box, monkeypatch, lost_at
):
    real = FakeSession.fetch_headers

    def breaking(session, folder, ids):
        for one in real(session, folder, ids):
            if f"Message {100 + lost_at}\r\n".encode() in one.header:
                raise RetryLaterError(ErrorCode.CONNECTION_DROPPED)
            yield one

    monkeypatch.setattr(FakeSession, "fetch_headers", breaking)
    at = machine.clock.now()
    for number in range(80):
        who = KIM if number % 2 else EVE
        machine.server.deliver("INBOX", mail(100 + number, at, sender=who), at)
    machine.tick(6)
    assert stored_of(machine, KIM) == 4 + lost_at // 2
    assert machine.world.record((TENANT, box.id)).mailbox.inbound_error is not None


def test_a_header_lost_beside_few_others_gives_none_of_them_up(machine, box, monkeypatch):
    real = FakeSession.fetch_headers

    def breaking(session, folder, ids):
        for one in real(session, folder, ids):
            if b"Message 101" in one.header:
                raise RetryLaterError(ErrorCode.CONNECTION_DROPPED)
            yield one

    monkeypatch.setattr(FakeSession, "fetch_headers", breaking)
    at = machine.clock.now()
    for number in (100, 101):
        machine.server.deliver("INBOX", mail(number, at, sender=KIM), at)
    machine.tick(200)
    assert stored_of(machine, KIM) == 5
    assert len(machine.letters_of(box.id)) == 1


def test_a_flood_of_recipients_is_looked_up_in_parts(machine, box):
    asked = []
    real = machine.contacts.inner.contacts_by_address
    machine.contacts.inner.contacts_by_address = lambda tenant_id, some, **named: (
        asked.append(len(some)) or real(tenant_id, some, **named)
    )
    at = machine.clock.now()
    for number in range(20):
        crowd = ", ".join(f"{number}-{one}@crowd.example" for one in range(100))
        machine.server.deliver("INBOX", mail(100 + number, at, sender=KIM, to=crowd), at)
    machine.tick(6)
    assert stored_of(machine, KIM) == 24
    assert max(asked) < 700


# ---- whose history comes later ----


def test_the_history_of_an_address_that_is_added_comes_by_itself(machine, box):
    machine.server.fetched.clear()
    add(machine, "lee", LEE)
    machine.tick(8)
    assert senders(machine) == {KIM, LEE}
    assert stored_of(machine, LEE) == 4
    assert len(machine.server.fetched) == 4
    (history,) = histories(machine, box)
    assert history.state is BackfillState.DONE
    assert history.counts.stored == 4
    shown = list_backfills(ADA, box.id, mailboxes=machine.mailboxes, backfills=machine.backfills)
    assert [one.kind for one in shown] == [BackfillKind.CONTACT_HISTORY, BackfillKind.IMPORT]
    machine.tick(30)
    assert len(histories(machine, box)) == 1


def test_it_comes_within_the_next_polls_and_not_before_the_log_is_settled(machine, box):
    add(machine, "lee", LEE)
    machine.sync(SyncRequest(TENANT, box.id, RunReason.REQUESTED))
    assert not histories(machine, box)
    machine.clock.advance(minutes=2)
    machine.sync(SyncRequest(TENANT, box.id, RunReason.REQUESTED))
    assert histories(machine, box)


def test_who_never_wrote_brings_in_nothing(machine, box):
    add(machine, "new", "new@nowhere.example")
    machine.tick(8)
    (history,) = histories(machine, box)
    assert (history.state, history.planned) == (BackfillState.DONE, 0)


def test_who_is_removed_before_the_search_is_not_searched_for(machine, box, monkeypatch):
    monkeypatch.setattr(FakeSession, "search_window", None)
    add(machine, "lee", LEE)
    remove(machine, "lee")
    machine.tick(8)
    assert [one.state for one in histories(machine, box)] == [BackfillState.DONE]
    assert senders(machine) == {KIM}


def test_who_comes_back_has_what_came_meanwhile(machine, box):
    remove(machine, "kim")
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=KIM), at)
    machine.tick(8)
    assert stored_of(machine, KIM) == 4
    add(machine, "kim2", KIM)
    machine.tick(8)
    assert stored_of(machine, KIM) == 5


def test_of_many_addresses_all_history_is_looked_through_once(machine, box, monkeypatch):
    monkeypatch.setattr(FakeSession, "search_window", None)
    for number in range(MOST_SEARCHED + 1):
        add(machine, f"c{number}", f"{number}@many.example")
    add(machine, "lee", LEE)
    machine.tick(8)
    assert senders(machine) == {KIM, LEE}
    assert len(machine.server.fetched) == 8


def test_who_is_added_between_two_polls_is_searched_for_together(machine, box, monkeypatch):
    asked = []
    real = FakeSession.search_window
    monkeypatch.setattr(
        FakeSession,
        "search_window",
        lambda session, folder, some, **named: (
            asked.append(len(some)) or real(session, folder, some, **named)
        ),
    )
    for number in range(25):
        add(machine, f"c{number}", f"{number}@many.example")
    machine.tick(8)
    assert asked == [25, 25]


def test_a_search_that_took_long_has_the_next_one_wait(machine, box, monkeypatch):
    real = FakeSession.search_window

    def slowly(session, *given, **named):
        machine.clock.advance(seconds=10)
        return real(session, *given, **named)

    monkeypatch.setattr(FakeSession, "search_window", slowly)
    add(machine, "lee", LEE)
    machine.tick(8)
    assert senders(machine) == {KIM, LEE}
    add(machine, "eve", EVE)
    machine.tick(10)
    assert len(histories(machine, box)) == 1
    machine.tick(25)
    assert len(histories(machine, box)) == 2
    assert senders(machine) == set(ADDRESSES)


def test_where_tags_are_one_address_all_of_its_domain_is_searched(machine, box, monkeypatch):
    set_policy(machine, plus_tags=Folding.FOLD)
    tagged = "lee+news@client.example"
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=tagged), at)
    machine.tick(6)
    asked = []
    real = FakeSession.search_window
    monkeypatch.setattr(
        FakeSession,
        "search_window",
        lambda session, folder, some, **named: (
            asked.append(some) or real(session, folder, some, **named)
        ),
    )
    add(machine, "lee", LEE)
    machine.tick(8)
    assert asked == [["@client.example"]] * 2
    assert senders(machine) == {KIM, LEE, tagged}


def test_a_mailbox_that_was_stuck_for_longer_than_the_log_looks_through_everything(machine, box):
    machine.server.failure = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    add(machine, "lee", LEE)
    machine.tick(8)
    machine.clock.advance(days=70)
    machine.world.added_addresses.clear()
    machine.server.failure = None
    machine.tick(70)
    assert senders(machine) == {KIM, LEE}


def test_a_failing_provider_puts_the_search_off(machine, box, monkeypatch):
    real = FakeSession.search_window

    def fails(*given, **named):
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)

    monkeypatch.setattr(FakeSession, "search_window", fails)
    add(machine, "lee", LEE)
    machine.tick(10)
    add(machine, "eve", EVE)
    machine.tick(10)
    # One at a time: who is added meanwhile waits for the one that is open.
    (history,) = histories(machine, box)
    assert (history.state, history.code) == (
        BackfillState.PLANNING,
        ErrorCode.PROVIDER_UNAVAILABLE,
    )
    monkeypatch.setattr(FakeSession, "search_window", real)
    machine.tick(90)
    assert senders(machine) == set(ADDRESSES)
    assert len(histories(machine, box)) == 2


def test_a_history_can_be_cancelled_and_not_paused(machine, box, monkeypatch):
    def fails(*given, **named):
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)

    monkeypatch.setattr(FakeSession, "search_window", fails)
    add(machine, "lee", LEE)
    machine.tick(8)
    (history,) = histories(machine, box)
    ports = {
        "mailboxes": machine.mailboxes,
        "backfills": machine.backfills,
        "queues": machine.queues,
        "clock": machine.clock,
    }
    with pytest.raises(ConflictError):
        change_backfill(ADA, box.id, history.id, BackfillAction.PAUSE, **ports)
    change_backfill(ADA, box.id, history.id, BackfillAction.CANCEL, **ports)
    monkeypatch.undo()
    machine.tick(8)
    assert senders(machine) == {KIM}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_whoever_becomes_a_contact_while_the_mail_is_judged_has_it(machine, box, moment):
    """The race: judged without the contact, written before the run has ended."""
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=LEE), at)
    real = machine.contacts.inner.contacts_by_address

    def meanwhile(*given, **named):
        machine.contacts.inner.contacts_by_address = real
        if moment == "before":
            add(machine, "lee", LEE)
        found = real(*given, **named)
        if moment == "after":
            add(machine, "lee", LEE)
        return found

    machine.contacts.inner.contacts_by_address = meanwhile
    machine.sync(SyncRequest(TENANT, box.id, RunReason.SCHEDULE))
    assert stored_of(machine, LEE) == (1 if moment == "before" else 0)
    machine.tick(16)
    assert stored_of(machine, LEE) == 5


def test_whoever_becomes_a_contact_while_an_import_judges_has_it(machine):
    box = machine.connect(days=30, store=StoredMail.CONTACTS_ONLY)
    real = machine.contacts.inner.contacts_by_address

    def meanwhile(*given, **named):
        machine.contacts.inner.contacts_by_address = real
        found = real(*given, **named)
        add(machine, "lee", LEE)
        return found

    machine.contacts.inner.contacts_by_address = meanwhile
    machine.drain()
    machine.tick(16)
    assert stored_of(machine, LEE) == 4
    assert box.store is StoredMail.CONTACTS_ONLY


def test_two_runs_that_hear_of_one_address_begin_one_search(machine, box):
    add(machine, "lee", LEE)
    machine.clock.advance(minutes=3)
    request = SyncRequest(TENANT, box.id, RunReason.REQUESTED)
    real = FakeSession.look
    with pytest.MonkeyPatch.context() as patch:

        def overtaken(session, *given, **named):
            patch.setattr(FakeSession, "look", real)
            machine.sync(request)
            return real(session, *given, **named)

        patch.setattr(FakeSession, "look", overtaken)
        machine.sync(request)
    machine.drain()
    machine.tick(8)
    assert len(histories(machine, box)) == 1
    assert stored_of(machine, LEE) == 4


@pytest.mark.parametrize("is_done", [False, True])
def test_a_history_that_a_disconnecting_cut_off_comes_after_the_reconnecting(
    machine, box, monkeypatch, is_done
):
    def fails(*given, **named):
        raise RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE)

    real = FakeSession.search_window
    if not is_done:
        monkeypatch.setattr(FakeSession, "search_window", fails)
    add(machine, "lee", LEE)
    machine.tick(12)
    machine.disconnect(box.id)
    machine.tick(3)
    add(machine, "eve", EVE)
    machine.clock.advance(days=1)
    monkeypatch.setattr(FakeSession, "search_window", real)
    machine.reconnect(box.id)
    machine.drain()
    machine.tick(20)
    assert senders(machine) == set(ADDRESSES)
    assert [one.state for one in histories(machine, box)] == [
        BackfillState.DONE,
        BackfillState.DONE if is_done else BackfillState.CANCELLED,
    ]
    machine.tick(20)
    assert len(histories(machine, box)) == 2


# ---- another choice ----


def test_what_is_stored_stays_and_news_are_judged_from_then_on(machine):
    box = machine.connect(days=30)
    machine.drain()
    machine.tick(8)
    assert senders(machine) == set(ADDRESSES)
    changed = set_store(machine, box, StoredMail.CONTACTS_ONLY)
    assert changed.contacts_since == machine.clock.now()
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    machine.tick(8)
    assert stored_of(machine, EVE) == 4
    add(machine, "eve", EVE)
    machine.tick(8)
    assert stored_of(machine, EVE) == 5
    (history,) = histories(machine, box)
    assert (history.counts.already_stored, history.counts.stored) == (4, 1)


@pytest.mark.parametrize("chosen", StoredMail)
def test_a_run_judges_by_what_was_chosen_before_it_took_its_lease(machine, chosen, monkeypatch):
    other = next(one for one in StoredMail if one is not chosen)
    box = machine.connect(days=30, store=other)
    machine.drain()
    machine.tick(8)
    before, at = stored_of(machine, EVE), machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    real = FakeSession.look

    def chosen_meanwhile(*given, **named):
        set_store(machine, box, chosen)
        return real(*given, **named)

    monkeypatch.setattr(FakeSession, "look", chosen_meanwhile)
    machine.sync(SyncRequest(TENANT, box.id, RunReason.REQUESTED))
    assert stored_of(machine, EVE) == before + (chosen is StoredMail.ALL)


def test_after_all_mail_is_wanted_again_an_import_brings_in_the_rest(machine, box):
    set_store(machine, box, StoredMail.ALL)
    at = machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=EVE), at)
    machine.tick(8)
    assert stored_of(machine, EVE) == 1
    start_backfill(
        ADA,
        box.id,
        40,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )
    machine.drain()
    machine.tick(8)
    assert stored_of(machine, EVE) == 5
    assert stored_of(machine, KIM) == stored_of(machine, LEE) == 4


def test_what_was_passed_by_before_tags_were_folded_comes_with_the_next_import(machine, box):
    tagged, at = f"kim+news@{KIM.partition('@')[2]}", machine.clock.now()
    machine.server.deliver("INBOX", mail(100, at, sender=tagged), at)
    machine.tick(6)
    set_policy(machine, plus_tags=Folding.FOLD)
    machine.tick(12)
    assert stored_of(machine, tagged) == 0
    start_backfill(
        ADA,
        box.id,
        40,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        queues=machine.queues,
        clock=machine.clock,
    )
    machine.drain()
    machine.tick(8)
    assert stored_of(machine, tagged) == 1


def test_who_was_added_before_another_choice_is_not_forgotten_by_the_next(machine, box):
    add(machine, "lee", LEE)
    set_store(machine, box, StoredMail.ALL)
    machine.tick(12)
    assert senders(machine) == {KIM}
    set_store(machine, box, StoredMail.CONTACTS_ONLY)
    machine.tick(12)
    assert senders(machine) == {KIM, LEE}


# ---- audits ----


def test_an_audit_misses_none_of_what_was_passed_by_and_fetches_none_again(machine, box):
    for _ in range(40):
        machine.clock.advance(days=1)
        machine.queues.send_audits([AuditRequest(TENANT, box.id, machine.clock.now())])
        machine.server.fetched.clear()
        machine.drain()
        machine.tick(5)
        assert not machine.server.fetched
    audits = [report.audit for report in machine.audit_reports if report.audit]
    assert audits
    assert {audit.missing for audit in audits} == {0}
    assert max(audit.ledgered for audit in audits) > 0


def test_a_look_through_all_history_writes_no_ids_again(machine, box):
    settled = machine.world.runs[TENANT, box.id]
    before = {name for run in settled.values() for name in run.settled_without_copy}
    known = set(settled)
    for number in range(MOST_SEARCHED + 1):
        add(machine, f"c{number}", f"{number}@many.example")
    machine.tick(8)
    (history,) = histories(machine, box)
    assert history.counts.skipped == {"no_contact": 8}
    later = [run for name, run in settled.items() if name not in known]
    assert len(before) == 8
    assert not any(run.settled_without_copy for run in later)
    machine.queues.send_audits([AuditRequest(TENANT, box.id, machine.clock.now())])
    machine.drain()
    machine.tick(5)
    audits = [report.audit for report in machine.audit_reports if report.audit]
    assert {(audit.missing, audit.ledgered > 0) for audit in audits} == {(0, True)}


def test_a_folder_made_later_is_judged_too(machine, box):
    machine.server.create_folder("Work")
    at = machine.clock.now()
    machine.server.deliver("Work", mail(100, at, sender=EVE), at)
    machine.server.deliver("Work", mail(101, at, sender=KIM), at)
    machine.tick(8)
    assert (stored_of(machine, KIM), stored_of(machine, EVE)) == (5, 0)
    assert machine.server.folders["Work"].role is FolderRole.OTHER
    add(machine, "eve", EVE)
    machine.tick(8)
    assert stored_of(machine, EVE) == 5


@pytest.mark.parametrize("is_held", [False, True])
def test_a_folder_that_does_not_open_holds_up_no_other_and_is_looked_through_once_it_does(
    machine, box, monkeypatch, is_held
):
    is_closed = [True]

    def of_a_closed_folder(real):
        def asked(session, folder, *given, **named):
            if is_closed[0] and folder.name == "Sent":
                raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE)
            return real(session, folder, *given, **named)

        return asked

    for name in ("search_window", "changes"):
        monkeypatch.setattr(FakeSession, name, of_a_closed_folder(getattr(FakeSession, name)))
    add(machine, "lee", LEE)
    machine.tick(12)
    if is_held:
        # By a run that may have read the position, and could write it again.
        record = machine.mailboxes.get(TENANT, box.id)
        machine.mailboxes.take_lease(
            TENANT,
            box.id,
            generation=record.mailbox.generation,
            owner="another",
            now=machine.clock.now(),
            seconds=1_200,
        )
    machine.tick(40)
    (history,) = histories(machine, box)
    assert history.state is BackfillState.DONE
    assert stored_of(machine, LEE) == 2
    assert machine.mailboxes.get(TENANT, box.id).mailbox.inbound_error is not None
    is_closed[0] = False
    machine.tick(8)
    assert stored_of(machine, LEE) == 4
    assert machine.mailboxes.get(TENANT, box.id).mailbox.inbound_error is None
