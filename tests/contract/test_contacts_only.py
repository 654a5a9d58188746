"""A mailbox of contacts' mail alone at each provider: headers first, and history that comes later."""

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.mailbox import Provider, StoredMail
from shared.mime.parse import MimeParser
from shared.operations.contacts import NewContact, put_contact
from tests.contract.operated_world import Operated
from tests.contract.provider_worlds import NOW
from tests.unit.operations.machine import ADA

ANN, BEA, CYD = "ann@customer.example", "bea@client.example", "cyd@stranger.example"


class Watched:
    """A provider whose sessions note which messages were fetched whole."""

    def __init__(self, inner) -> None:
        self.inner, self.whole = inner, Counter()

    @contextmanager
    def open(self, grant, *, seconds=None):
        with self.inner.open(grant, seconds=seconds) as session:
            fetch = session.fetch

            def noting(folder, ids):
                self.whole.update(ids)
                return fetch(folder, ids)

            session.fetch = noting
            yield session


def head(sender: str, to: str = "alice@mail.example", more: str = "") -> str:
    return f"From: Somebody <{sender}>\nTo: {to}\nDate: Thu, 05 Mar 2026 06:07:08 +0000\n{more}"


@pytest.fixture
def operated(world_of_each_kind, request):
    there = world_of_each_kind
    kind = request.node.callspec.params["world_of_each_kind"]
    provider = Provider(kind) if kind in {"gmail", "outlook"} else Provider.IMAP
    there.theirs.create_folder("Deals")
    mails = [
        (1, head(ANN), "INBOX", 1),
        (2, head(BEA), "INBOX", 2),
        (3, head(CYD), "INBOX", 3),
        (4, head(CYD, to=f"Alice <alice@mail.example>, Bea <{BEA}>"), "Deals", 4),
        (5, head("alice@mail.example", to=CYD, more=f"Cc: {BEA.upper()}"), "Deals", 20),
        (6, head(BEA), "INBOX", 60),
    ]
    for number, header, folder, days in mails:
        at = NOW - timedelta(days=days)
        there.theirs.deliver_as(number, header, folder=folder, received_at=at)
    operated = Operated(there, provider, days=0, store=StoredMail.CONTACTS_ONLY)
    machine = operated.machine
    machine.parser = MimeParser()
    machine.server = Watched(there.provider)
    machine.drain()
    return operated


def add(operated, name: str, address: str) -> None:
    new = NewContact(name, "Somebody", [address], {})
    machine = operated.machine
    put_contact(ADA, new, contacts=machine.contacts, clock=machine.clock)
    machine.clock.advance(minutes=3)


def subjects(operated) -> list[str]:
    live = {copy.message_id for copy in operated.live.values()}
    messages = operated.machine.world.messages
    return sorted(one.subject for (_, name), one in messages.items() if name in live)


def test_an_import_and_news_bring_in_contacts_mail_and_fetch_no_other(operated):
    add(operated, "ann", ANN)
    backfill = operated.extend(40)
    assert backfill.counts.skipped == {"no_contact": 4}
    assert subjects(operated) == ["1"]
    operated.there.theirs.deliver_as(7, head(ANN), received_at=NOW)
    operated.there.theirs.deliver_as(8, head(CYD), received_at=NOW)
    operated.poll()
    assert subjects(operated) == ["1", "7"]
    assert set(operated.machine.server.whole.values()) == {1}
    assert len(operated.machine.server.whole) == 2


def test_recipients_who_are_read_twice_hide_no_contact_behind_them(operated):
    """Where names come decoded, each address in one is another that may be meant."""
    add(operated, "ann", ANN)
    crowd = ", ".join(f'"p{one}@d.example" <p{one}@c.example>' for one in range(300))
    operated.there.theirs.deliver_as(
        7, head(CYD, to=crowd, more=f"Cc: Ann <{ANN}>\n"), received_at=NOW
    )
    operated.poll()
    assert subjects(operated) == ["7"]


def test_the_history_of_a_contact_comes_by_itself_back_to_the_floor(operated):
    add(operated, "ann", ANN)
    operated.extend(40)
    operated.poll()
    add(operated, "bea", BEA)
    for _ in range(3):
        operated.poll()
    assert subjects(operated) == ["1", "2", "4", "5"]
    history = max(
        (
            one
            for one in operated.machine.world.backfills[operated.place].values()
            if one.kind is BackfillKind.CONTACT_HISTORY
        ),
        key=lambda one: one.planned,
    )
    assert (history.state, history.counts.stored) == (BackfillState.DONE, 3)
    assert len(operated.machine.server.whole) == 4
    # Another import reaches further back, and is judged by who is a contact now.
    operated.extend(90)
    assert subjects(operated) == ["1", "2", "4", "5", "6"]


def test_no_audit_misses_what_was_passed_by(operated):
    add(operated, "ann", ANN)
    operated.extend(40)
    whole = Counter(operated.machine.server.whole)
    audits = [one for one in operated.walk(8) if one is not None]
    assert audits
    assert {(one.missing, one.extra) for one in audits} == {(0, 0)}
    assert operated.machine.server.whole == whole
