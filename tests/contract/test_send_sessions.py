"""What every way out promises: nothing leaves before the last step, and then once."""

from dataclasses import replace
from email import message_from_bytes
from email.policy import default
from importlib import import_module

import pytest

from shared.domain.errors import OutcomeUnknownError
from shared.domain.message import FetchedMessage
from shared.ports.sending import Accepted, Sighting
from tests.contract.send_worlds import ATTACHED

WORLDS = {
    "the fake": "send_worlds.plain",
    "the fake with drafts": "send_worlds.with_drafts",
    "imap": "imap_send_world.on_servers",
    "gmail": "gmail_send_world.replacing",
    "gmail, if it kept Message-IDs": "gmail_send_world.keeping",
    "Graph": "outlook_send_world.at_graph",
}
"""Where each world is made: a context manager that is given the test's `request`."""


@pytest.fixture(params=WORLDS)
def world(request):
    module, maker = WORLDS[request.param].split(".")
    with getattr(import_module(f"tests.contract.{module}"), maker)(request) as made:
        yield made


def sent(world, mail) -> Accepted:
    with world.session() as session:
        return session.send(mail, session.prepare(mail, None))


def left_as(mail, accepted) -> str:
    return accepted.internet_message_id or mail.internet_message_id


def filed(world, mail, accepted) -> tuple[FetchedMessage | None, dict]:
    with world.session() as session:
        message, folder = session.file(mail, accepted), session.sent_folder()
    assert folder is not None
    return message, world.listed(folder)


def test_what_is_prepared_twice_is_one_draft_and_nobody_has_got_it(world):
    mail = world.mail()
    with world.session() as session:
        draft = session.prepare(mail, None)
    with world.session() as session:
        # The worker that died had not written down what lies ready.
        again = session.prepare(mail, None)
    with world.session() as session:
        assert session.prepare(mail, again) == again == draft
    assert (draft is not None) == world.keeps_drafts
    assert world.drafts() == int(world.keeps_drafts)
    assert not world.received(mail.recipients[0])


def test_each_recipient_gets_it_once_and_nobody_reads_of_those_in_bcc(world):
    first, second, blind = world.recipients
    mail = world.mail(to=[first, second], bcc=[blind])
    accepted = sent(world, mail)
    assert not accepted.refused
    assert world.drafts() == 0
    for recipient in mail.recipients:
        (raw,) = world.received(recipient)
        arrived = message_from_bytes(raw, policy=default)
        assert arrived["Message-ID"] == left_as(mail, accepted)
        assert arrived["Bcc"] is None
        assert blind not in f"{arrived['To']} {arrived['Cc']}"
    assert blind.encode() not in world.received(first)[0]


def test_what_arrives_is_what_was_composed(world):
    mail = world.mail(subject="Angebot für Köln " + "und die Umgebung " * 8)
    accepted = sent(world, mail)
    (raw,) = world.received(mail.recipients[0])
    arrived, composed = (message_from_bytes(one, policy=default) for one in (raw, mail.content))
    assert arrived["Message-ID"] == left_as(mail, accepted)
    for name in ("From", "To", "Subject", "In-Reply-To", "References"):
        assert str(arrived[name]) == str(composed[name])
    (attachment,) = arrived.iter_attachments()
    assert attachment.get_content() == ATTACHED
    assert attachment.get_filename() == "Anlage ä.bin"
    text = arrived.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == composed.get_body(("plain",)).get_content().replace("\r\n", "\n")


def test_a_send_to_one_of_those_who_wait_reaches_all_only_where_the_content_says_whom(world):
    first, second, _third = world.recipients
    mail = world.mail(to=[first, second])
    sent(world, replace(mail, recipients=(second,)))
    # There all are taken or none, so nobody ever waits alone.
    assert len(world.received(first)) == (1 if world.reads_recipients else 0)
    assert len(world.received(second)) == 1


def test_after_a_lost_answer_a_look_never_says_that_it_was_not_sent(world):
    mail = world.mail()
    world.lose_next_answer()
    with world.session() as session:
        draft = session.prepare(mail, None)
        with pytest.raises(OutcomeUnknownError):
            session.send(mail, draft)
    assert len(world.received(mail.recipients[0])) == 1
    with world.session() as session:
        sighting, seen = session.look_up(mail, draft)
    assert sighting is not Sighting.NOT_SENT
    assert (seen is not None) == (sighting is Sighting.SENT)
    assert len(world.received(mail.recipients[0])) == 1


def test_a_look_finds_what_is_among_the_sent_mail(world):
    mail, other = world.mail(), world.mail()
    with world.session() as session:
        draft = session.prepare(mail, None)
        accepted = session.send(mail, draft)
    message, _listed = filed(world, mail, accepted)
    assert message is not None
    with world.session() as session:
        sighting, seen = session.look_up(mail, draft)
        assert session.look_up(other, None)[0] is not Sighting.SENT
    assert sighting is Sighting.SENT
    assert seen is not None
    assert seen.provider_message_id == message.provider_message_id


def test_filed_twice_it_is_among_the_sent_mail_once_as_sync_finds_it(world):
    mail = world.mail(bcc=[world.recipients[1]])
    accepted = sent(world, mail)
    message, listed = filed(world, mail, accepted)
    assert message is not None
    assert list(listed) == [message.provider_message_id]
    found = listed[message.provider_message_id]
    assert found.flags.seen
    same = ("received_at", "flags", "provider_thread_id", *(["size"] if world.keeps_bytes else []))
    for name in same:
        assert getattr(message, name) == getattr(found, name)
    for one in [message, *([found] if world.keeps_bytes else [])]:
        head = message_from_bytes(one.raw or one.header or b"", policy=default)
        assert head["Message-ID"] == left_as(mail, accepted)
        assert [one.addr_spec for one in head["Bcc"].addresses] == [world.recipients[1]]
    again, listed = filed(world, mail, accepted)
    assert again is not None
    assert again.provider_message_id == message.provider_message_id
    assert list(listed) == [message.provider_message_id]


def test_what_is_discarded_is_gone_and_may_be_discarded_again(world):
    mail = world.mail()
    with world.session() as session:
        draft = session.prepare(mail, None)
        if draft is not None:
            session.discard(draft)
            session.discard(draft)
    assert world.drafts() == 0
    assert not world.received(mail.recipients[0])
