"""Whom a mailbox with `create_contacts` makes contacts of, and whom never."""

from dataclasses import dataclass, field, replace

import pytest

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import Address, ContactId, FolderId
from shared.domain.ledger import Ledger
from shared.domain.mailbox import Direction, MailboxStatus
from shared.domain.message import Flags, Participant, ParticipantRole, StoredAttachment
from shared.domain.new_contacts import MOST_A_DAY, id_of_sender
from shared.domain.policy import Folding, TenantPolicy
from shared.operations.meet_senders import Incoming, Senders
from tests.fakes.clock import FixedClock
from tests.fakes.stores import InMemoryContactStore, InMemoryMailboxStore, World
from tests.fakes.values import (
    OTHER_BOX,
    OTHER_TENANT,
    TENANT,
    a_contact,
    a_mailbox,
    a_new_copy,
    connected,
    merged_into,
)

CLEO = Address("cleo@client.example")
INBOX, SPAM, TRASH, DRAFTS = (
    Folder(FolderId(role), role.title(), role)
    for role in (FolderRole.INBOX, FolderRole.SPAM, FolderRole.TRASH, FolderRole.DRAFTS)
)
FOLDERS = {one.id: one for one in (INBOX, SPAM, TRASH, DRAFTS)}


class Counted:
    """A store that says what it was asked."""

    def __init__(self, inner) -> None:
        self.inner, self.asked = inner, []

    def __getattr__(self, name):
        def ask(*args, **kwargs):
            self.asked.append(name)
            return getattr(self.inner, name)(*args, **kwargs)

        return ask


@dataclass
class Office:
    """One mailbox's run, and what it has made so far."""

    world: World = field(default_factory=World)
    policy: TenantPolicy = field(default_factory=TenantPolicy)
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self):
        self.contacts = Counted(InMemoryContactStore(self.world))
        self.mailboxes = Counted(InMemoryMailboxStore(self.world))
        self.box = connected(InMemoryMailboxStore(self.world), create_contacts=True).mailbox
        self.clock = FixedClock()
        self.new_run()

    def new_run(self):
        self.ledger = Ledger()
        self.senders = Senders(
            mailbox=self.box,
            contacts=self.contacts,
            mailboxes=self.mailboxes,
            now=self.clock.now,
        )

    def meet(self, *mails):
        new = [Incoming.of(one) for one in mails]
        self.senders.meet(new, FOLDERS, self.policy, self.ledger)
        return sorted(contact.addresses[0] for contact in self.made())

    def made(self):
        return [one for one in self.world.contacts.values() if one.made_from_mail]


def mail(sender=CLEO, name="Cleo Client", *, folders=(INBOX,), flags=None, removed=None, **changes):
    changes.setdefault("headers", {})
    changes.setdefault(
        "participants",
        (
            Participant(ParticipantRole.FROM, Address(sender), name),
            Participant(ParticipantRole.TO, Address("sales@acme.example")),
        ),
    )
    new = a_new_copy(str(sender), **changes)
    copy = replace(
        new.copy,
        folder_ids=frozenset(one.id for one in folders),
        flags=flags or Flags(),
        removed_at=removed,
    )
    return replace(new, copy=copy)


@pytest.fixture
def office():
    return Office()


def test_an_unknown_sender_becomes_a_contact_that_says_what_it_was_made_of(office):
    office.meet(mail())
    (contact,) = office.made()
    assert contact.id == id_of_sender(TENANT, CLEO)
    assert (contact.name, contact.addresses, contact.version) == ("Cleo Client", (CLEO,), 1)
    assert contact.updated_at == office.clock.now()
    assert (office.ledger.contacts_made, office.ledger.contacts_put_off) == (1, 0)


def test_the_same_mail_again_makes_nothing_and_says_so(office):
    office.meet(mail())
    before = dict(office.world.contacts)
    office.clock.advance(minutes=5)
    office.new_run()
    office.meet(mail())
    assert office.world.contacts == before
    assert office.ledger.contacts_made == 0


def test_a_batch_is_looked_up_in_one_read_and_nobody_twice_in_a_run(office):
    many = [mail(f"p{number}@client.example") for number in range(25)]
    office.meet(*many, *many)
    assert office.contacts.asked.count("unknown_senders") == 1
    assert office.mailboxes.asked == ["list_mailboxes"]
    office.contacts.asked.clear()
    office.meet(*many)
    assert office.contacts.asked == []
    assert office.ledger.contacts_made == 25


def test_known_senders_cost_one_read_and_nothing_else(office):
    office.contacts.inner.put_contact(a_contact("crm-1", CLEO), expected_version=None)
    office.meet(mail())
    assert office.contacts.asked == ["unknown_senders"]
    assert office.mailboxes.asked == []
    assert office.made() == []


# ---- never ----


@pytest.mark.parametrize(
    "headers",
    [
        {"auto-submitted": "auto-replied"},
        {"auto-submitted": "auto-generated"},
        {"precedence": "bulk"},
        {"list-id": "<news.client.example>"},
        {"list-unsubscribe": "<https://client.example/u>"},
        {"return-path": "<>"},
        {"x-autoreply": "yes"},
    ],
)
def test_mail_of_a_machine_makes_nobody_known_and_is_not_asked_about(office, headers):
    assert office.meet(mail(headers=headers)) == []
    assert office.contacts.asked == []


@pytest.mark.parametrize(
    "sender", ["no-reply@client.example", "mailer-daemon@mx.example", "noreply+7@client.example"]
)
def test_an_address_nobody_reads_is_nobody(office, sender):
    assert office.meet(mail(sender)) == []
    assert office.contacts.asked == []


def test_a_bounce_makes_nobody_known(office):
    report = StoredAttachment("report", "message/delivery-status", 10)
    assert office.meet(mail("postmaster@mx.example", attachments=(report,))) == []


def test_own_domains_and_the_blocklist_make_nobody_known(office):
    office.policy = TenantPolicy(
        own_domains=("acme.example", "*.acme.example"),
        blocklist=("evil.example", "eve@client.example", "*@spam*.example"),
    )
    refused = ["bob@acme.example", "b@eu.acme.example", "x@evil.example", "eve@client.example"]
    assert office.meet(*map(mail, [*refused, "x@spam7.example"])) == []
    assert office.contacts.asked == []


@pytest.mark.parametrize(
    "sender",
    [
        "sales@acme.example",
        "sales+crm@acme.example",
        "reply@acme.example",
        "lea@gmail.com",
        "l.e.a+x@googlemail.com",
        "old.name@partner.example",
    ],
)
def test_addresses_of_the_tenants_mailboxes_are_ours_by_whatever_spelling(office, sender):
    box = a_mailbox(
        id=OTHER_BOX,
        address="l.ea@gmail.com",
        former_addresses=("old.name@partner.example",),
        status=MailboxStatus.DISCONNECTED,
    )
    office.world.mailboxes[TENANT, OTHER_BOX] = box
    office.world.run_states[TENANT, OTHER_BOX] = office.world.run_states[TENANT, office.box.id]
    assert office.meet(mail(sender)) == []
    assert office.ledger.contacts_made == 0


def test_a_mailbox_of_another_tenant_is_a_stranger(office):
    connected(office.mailboxes.inner, tenant_id=OTHER_TENANT, address=CLEO)
    assert office.meet(mail()) == [CLEO]
    assert {one.tenant_id for one in office.made()} == {TENANT}


@pytest.mark.parametrize("folder", [SPAM, TRASH, DRAFTS])
def test_nobody_is_met_in_spam_trash_and_drafts(office, folder):
    assert office.meet(mail(folders=(folder,)), mail("b@c.example", folders=(INBOX, folder))) == []


def test_nobody_is_met_by_what_we_sent_what_is_unfinished_and_what_was_removed(office):
    nobodys = [
        mail(direction=Direction.OUTBOUND),
        mail(flags=Flags(draft=True)),
        mail(removed=office.clock.now()),
    ]
    assert office.meet(*nobodys) == []
    assert office.contacts.asked == []


# ---- whom people decided about ----


def test_a_contact_that_was_deleted_is_not_made_again(office):
    office.meet(mail())
    assert office.contacts.inner.delete_contact(TENANT, id_of_sender(TENANT, CLEO))
    office.new_run()
    assert office.meet(mail()) == []


def test_nor_is_one_made_of_the_address_of_a_deleted_contact_of_the_crm(office):
    office.contacts.inner.put_contact(a_contact("crm-1", CLEO), expected_version=None)
    office.contacts.inner.delete_contact(TENANT, ContactId("crm-1"))
    assert office.meet(mail()) == []


def test_one_that_was_merged_is_the_other_also_without_the_address(office):
    office.meet(mail())
    store = office.contacts.inner
    other = store.put_contact(a_contact("crm-1", "c@b.example"), expected_version=None)
    merged = merged_into(office, other, store.get_contact(TENANT, id_of_sender(TENANT, CLEO)))
    store.put_contact(replace(merged, addresses=(Address("c@b.example"),)), expected_version=None)
    office.new_run()
    assert office.meet(mail()) == []
    store.delete_contact(TENANT, merged.id)
    office.new_run()
    assert office.meet(mail()) == []


def test_what_the_crm_writes_in_the_place_of_one_still_says_it_was_made_from_mail(office):
    office.meet(mail())
    contact_id = id_of_sender(TENANT, CLEO)
    new = a_contact(contact_id, CLEO, name="Cleo C.")
    put = office.contacts.inner.put_contact(new, expected_version=1)
    assert put.made_from_mail
    assert put.version == 2


# ---- addresses a tenant takes for one ----


def test_tags_of_one_sender_are_one_contact_where_the_tenant_folds_them(office):
    office.policy = TenantPolicy(plus_tags=Folding.FOLD)
    tagged = [mail("cleo+a@client.example"), mail("cleo+b@client.example")]
    assert office.meet(*tagged) == ["cleo+a@client.example"]
    office.new_run()
    assert office.meet(mail(), *tagged) == ["cleo+a@client.example"]


def test_and_several_where_it_keeps_them_apart(office):
    tagged = [mail("cleo+a@client.example"), mail("cleo+b@client.example")]
    assert len(office.meet(*tagged)) == 2


# ---- the bound ----


def test_more_than_a_days_contacts_wait_for_another_day_and_are_counted(office):
    day = office.clock.now().date()
    assert office.contacts.inner.reserve_made(TENANT, MOST_A_DAY - 1, day=day, most=MOST_A_DAY)
    assert office.meet(mail()) == [CLEO]
    flood = [mail(f"p{number}@spam.example") for number in range(3)]
    assert office.meet(*flood) == [CLEO]
    assert (office.ledger.contacts_made, office.ledger.contacts_put_off) == (1, 3)
    office.meet(*flood)
    assert office.ledger.contacts_put_off == 3
    office.clock.advance(days=1)
    office.new_run()
    assert len(office.meet(*flood)) == 4


def test_tags_past_what_mail_makes_of_one_address_are_counted_and_stop_nobody(office, monkeypatch):
    monkeypatch.setattr("shared.domain.new_contacts.MOST_MAIL_ADDS_TO", 2)
    flood = [mail(f"eve+{number}@spam.example") for number in range(4)]
    assert len(office.meet(*flood, mail())) == 3
    assert (office.ledger.contacts_made, office.ledger.contacts_put_off) == (3, 2)
    assert CLEO in office.meet()


def test_a_contact_bears_the_instant_at_which_it_is_written_however_long_others_took(office):
    """The log of added addresses is trusted two minutes behind the clock: later is unseen."""
    real = office.contacts.inner.create_for_sender
    written = {}

    def slowly(contact, policy):
        written[contact.addresses[0]] = office.clock.now()
        made = real(contact, policy)
        office.clock.advance(minutes=1)
        return made

    office.contacts.inner.create_for_sender = slowly
    people = [Address(f"{number}@client.example") for number in range(5)]
    assert office.meet(*(mail(one) for one in people)) == people
    assert {one.addresses[0]: one.updated_at for one in office.made()} == written
