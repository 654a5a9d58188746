"""Which sender becomes a contact, under which id and name."""

import re

import pytest

from shared.domain.folders import FolderRole
from shared.domain.ids import Address
from shared.domain.mailbox import Direction
from shared.domain.message import Flags, Participant, ParticipantRole
from shared.domain.new_contacts import (
    MOST_NAME,
    id_of_sender,
    name_of_sender,
    sender_ids_of,
    sender_to_meet,
)
from shared.operations.contacts import contact_id_of_known_form
from tests.fakes.values import ADA, OTHER_TENANT, TENANT, a_contact

CLEO = Address("cleo@client.example")
FROM = Participant(ParticipantRole.FROM, CLEO, "Cleo")
TO = Participant(ParticipantRole.TO, Address("ann@ours.example"))


def met(*participants, **changes):
    facts = {"direction": Direction.INBOUND, "flags": Flags(), "roles": (FolderRole.INBOX,)}
    return sender_to_meet(participants, **(facts | changes))


# ---- the id ----


def test_an_id_is_the_same_for_whoever_meets_the_sender_and_another_in_another_tenant():
    one = id_of_sender(TENANT, CLEO)
    assert one == id_of_sender(TENANT, Address("cleo@client.example"))
    assert one != id_of_sender(OTHER_TENANT, CLEO)
    assert one != id_of_sender(TENANT, Address("cleo@client.example2"))


def test_an_id_is_one_a_contact_may_have_and_does_not_tell_the_address():
    one = id_of_sender(TENANT, CLEO)
    assert contact_id_of_known_form(one) == one
    assert re.fullmatch(r"mail-[a-z2-7]{24}", one)


def test_two_pairs_of_tenant_and_address_never_share_an_id_by_running_together():
    assert id_of_sender("a", Address("b@c.example")) != id_of_sender("ab", Address("@c.example"))


def test_a_contact_stands_for_its_addresses_and_for_what_it_was_made_of():
    merged = a_contact(id_of_sender(TENANT, CLEO), ADA, merged=("crm-2", "mail-other"))
    assert sender_ids_of(merged) == {
        id_of_sender(TENANT, CLEO),
        id_of_sender(TENANT, ADA),
        "mail-other",
    }


# ---- who ----


def test_the_one_sender_of_an_inbound_message_is_met():
    assert met(FROM, TO) == FROM


@pytest.mark.parametrize("role", [FolderRole.SPAM, FolderRole.TRASH, FolderRole.DRAFTS])
def test_nobody_is_met_in_spam_trash_and_drafts_whatever_else_holds_the_message(role):
    assert met(FROM, TO, roles=(FolderRole.ALL, role)) is None


def test_nobody_is_met_by_what_we_sent_or_have_not_finished():
    assert met(FROM, TO, direction=Direction.OUTBOUND) is None
    assert met(FROM, TO, flags=Flags(draft=True)) is None


def test_nobody_is_met_by_a_message_of_nobody_or_of_several():
    assert met(TO) is None
    assert met(FROM, Participant(ParticipantRole.FROM, Address("eve@b.example"))) is None
    assert met(Participant(ParticipantRole.REPLY_TO, CLEO), TO) is None


# ---- the name ----


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Cleo Client", "Cleo Client"),
        ("  Cleo \t\r\n Client ", "Cleo Client"),
        ("'Cleo Client'", "Cleo Client"),
        ("\"'Cleo'\"", "Cleo"),
        ("O'Hara", "O'Hara"),
        ("Ünal Çelik", "Ünal Çelik"),
        ("عمر خیام", "عمر خیام"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Cleo\u202egnp.exe", "Cleognp.exe"),
        ("Cl\u200beo\x00\x1b[31m", "Cleo [31m"),
        ("Cleo\u2028Client", "Cleo Client"),
        ("Cleo\ud800", "Cleo"),
        ("x" * 5_000, "x" * MOST_NAME),
        ("", "cleo"),
        ("\u200d\u200d", "cleo"),
        ("---", "cleo"),
        ("cleo@client.example", "cleo"),
        ("Your Bank <service@bank.example>", "cleo"),
        ("service\uff20bank.example", "cleo"),
    ],
)
def test_a_name_is_one_line_of_what_can_be_seen_and_no_other_address(written, shown):
    assert name_of_sender(Participant(ParticipantRole.FROM, CLEO, written)) == shown


def test_a_sender_without_anything_that_can_be_shown_is_called_by_the_domain():
    nobody = Participant(ParticipantRole.FROM, Address("\u202e@client.example"))
    assert name_of_sender(nobody) == "client.example"
    long = Participant(ParticipantRole.FROM, Address("-@" + "a" * 250 + ".example"))
    assert len(name_of_sender(long)) == MOST_NAME
