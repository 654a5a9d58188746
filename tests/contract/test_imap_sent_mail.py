"""How a sent mail comes to be among the sent mail once, whoever puts it there."""

from dataclasses import replace

import pytest

from infra.simulators.scripted_imap import ScriptedImap
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.mail_server import ImapGrant, Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.ports.sending import Accepted, Sighting
from shared.providers import presets
from shared.providers.imap.adapter import ImapProvider
from shared.providers.imap.sending import ImapSender
from shared.providers.network import Network
from tests.contract.conftest import loopback_policy
from tests.contract.send_worlds import InMemory
from tests.fakes.sender import FakePost

COMPOSER = InMemory(FakePost())


@pytest.fixture
def mail():
    return COMPOSER.mail(bcc=[COMPOSER.recipients[1]])


@pytest.fixture
def file_at():
    def file_at(user, mail, **more):
        network = Network(loopback_policy(user.authority))
        security = Security.TLS if user.tls_port else Security.STARTTLS
        port = user.tls_port or user.starttls_port
        side = ServerLogin(
            ServerSettings(user.host, port, security, user.address), Secret(user.password)
        )
        return file(network, ImapGrant(side, side), mail, **more)

    return file_at


def file(network, grant, mail, *, meanwhile=lambda: None):
    sender = ImapSender(network, pause=lambda _seconds: meanwhile())
    with sender.open(grant) as session:
        return session.file(mail, Accepted()), session.sent_folder()


def test_it_is_added_as_read_and_at_the_time_it_says(file_at, mail_user, mail):
    message, _folder = file_at(mail_user, mail)
    (uid,) = mail_user.mail.uids("Sent")
    assert message is not None
    assert message.provider_message_id.endswith(f".{mail_user.mail.uid_validity('Sent')}.{uid}")
    assert mail_user.mail.raw(uid, "Sent") == mail.blind_copy
    assert mail_user.mail.flags("Sent") == {uid: {"\\Seen"}}
    assert message.received_at.strftime("%a, %d %b %Y %H:%M:%S").encode() in mail.content


def test_of_a_large_mail_nothing_is_fetched_back(file_at, mail_user):
    mail = COMPOSER.mail(attached=b"x" * 1_000_000)
    message, _folder = file_at(mail_user, mail)
    assert message is not None
    assert message.raw == mail.blind_copy
    assert message.size == len(mail.blind_copy)


def test_what_the_server_saved_is_not_added(file_at, mail_user, mail):
    mail_user.mail.deliver(b"Received: by us\r\n" + mail.content, "Sent")
    message, _folder = file_at(mail_user, mail)
    assert message is not None
    assert len(mail_user.mail.uids("Sent")) == 1


def test_a_mail_is_found_whatever_is_known_of_it_beside_its_name(file_at, mail_user, mail):
    mail_user.mail.deliver(mail.content, "Sent")
    known_by_name = replace(mail, content=b"", blind_copy=b"")
    assert file_at(mail_user, known_by_name)[0] is not None
    assert file_at(mail_user, replace(mail, internet_message_id="<none@x.example>"))[0] is not None
    assert len(mail_user.mail.uids("Sent")) == 2


@pytest.mark.parametrize("saves", [True, False])
def test_what_a_server_saves_a_moment_later_is_not_added(
    saves, file_at, mail_user, mail, monkeypatch
):
    monkeypatch.setattr(presets, "saves_sent", lambda *_: saves)
    message, _folder = file_at(
        mail_user,
        mail,
        meanwhile=lambda: mail_user.mail.deliver(mail.content, "Sent"),
    )
    assert message is not None
    assert len(mail_user.mail.uids("Sent")) == 1


def test_where_the_server_saves_it_none_is_ever_added(file_at, mail_user, mail, monkeypatch):
    monkeypatch.setattr(presets, "saves_sent", lambda *_: True)
    assert file_at(mail_user, mail)[0] is None
    assert not mail_user.mail.uids("Sent")


def test_a_mailbox_without_a_folder_for_sent_mail_gets_one(file_at, pymap_user, mail):
    for name in set(pymap_user.mail.folders()) - {"INBOX"}:
        pymap_user.mail.delete_folder(name)
    message, folder = file_at(pymap_user, mail)
    assert message is not None
    assert message.provider_message_id.startswith(f"{folder}.")
    assert pymap_user.mail.folders() == ["INBOX", "Sent"]
    again, _folder = file_at(pymap_user, mail)
    assert again == message


class Courier(ScriptedImap):
    """A server with all folders below the Inbox."""

    made = b""

    def _answer(self, wire, tag, name, rest):
        if name == "CREATE" and b"INBOX" not in rest:
            wire.send(tag + b" NO Invalid mailbox name.\r\n")
            return True
        if name == "CREATE":
            self.made = b'* LIST (\\HasNoChildren) "." ' + rest + b"\r\n"
        listed = b'* LIST (\\HasChildren) "." INBOX\r\n' + self.made
        self._answers = {**self._answers, "LIST": listed, "SEARCH": b"* SEARCH\r\n"}
        return super()._answer(wire, tag, name, rest)


def test_where_all_folders_are_below_the_inbox_it_is_made_there(
    network, certificates, grant_for, mail
):
    with Courier(certificates=certificates) as server:
        _message, folder = file(network, grant_for(server), mail)
        with ImapProvider(network).open(grant_for(server)) as session:
            names = {one.id: one.name for one in session.folders()}
    assert folder is not None
    assert names[folder] == "INBOX.Sent"


def test_without_a_word_of_where_it_is_it_is_searched(network, certificates, grant_for, mail):
    class Silent(ScriptedImap):
        """Tells nothing of what it appended (no UIDPLUS)."""

        def _answer(self, wire, tag, name, rest):
            if name == "APPEND":
                head = b"Message-ID: " + mail.internet_message_id.encode() + b"\r\n\r\n"
                self._answers |= {
                    "SEARCH": b"* SEARCH 9\r\n",
                    "FETCH": b'* 1 FETCH (UID 9 FLAGS (\\Seen) INTERNALDATE "21-Nov-2026 10:00:00'
                    b' +0000" RFC822.SIZE %d BODY[HEADER.FIELDS ()] {%d}\r\n%b BODY[] {%d}\r\n%b)'
                    b"\r\n" % (len(head), len(head), head, len(head), head),
                }
            return super()._answer(wire, tag, name, rest)

    with Silent(certificates=certificates, answers={"SEARCH": b"* SEARCH\r\n"}) as server:
        message, folder = file(network, grant_for(server), mail)
    assert message is not None
    assert message.provider_message_id == f"{folder}.7.9"


def test_what_a_search_finds_is_read_before_it_is_believed(network, certificates, grant_for, mail):
    # It answers every search with its only message, which is another.
    with (
        ScriptedImap(certificates=certificates) as server,
        ImapSender(network).open(grant_for(server)) as session,
    ):
        assert session.look_up(mail, None) == (Sighting.UNSEEN, None)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("NO [OVERQUOTA] Full", ErrorCode.MAILBOX_FULL),
        ("NO [TOOBIG] No", ErrorCode.PROVIDER_UNAVAILABLE),
        ("BAD What?", ErrorCode.PROTOCOL_VIOLATION),
    ],
)
def test_what_may_not_be_added_is_not_uploaded_and_is_tried_again(
    answer, code, network, certificates, grant_for, mail
):
    with (
        ScriptedImap(
            certificates=certificates,
            answers={"SEARCH": b"* SEARCH\r\n"},
            refused={"APPEND": answer},
        ) as server,
        pytest.raises(RetryLaterError) as caught,
    ):
        file(network, grant_for(server), mail)
    assert caught.value.code is code
    assert mail.blind_copy not in server.received


@pytest.mark.parametrize("fault", ["drop", "half_line", "garbage"])
@pytest.mark.parametrize("place", ["login", "list", "search", "append"])
def test_trouble_with_the_sent_mail_passes(fault, place, network, certificates, grant_for, mail):
    with (
        ScriptedImap(
            fault, at=place, certificates=certificates, answers={"SEARCH": b"* SEARCH\r\n"}
        ) as server,
        pytest.raises(RetryLaterError),
    ):
        file(network, grant_for(server), mail)


def test_a_fact_about_a_provider_counts_for_both_of_its_servers_only():
    assert presets.saves_sent("IMAP.gmail.com", "smtp.gmail.com")
    assert not presets.saves_sent("imap.own-domain.example", "smtp.gmail.com")
    assert not presets.saves_sent("imap.mail.me.com", "smtp.mail.me.com")
    assert {one.id for one in presets.presets() if one.saves_sent} == {
        "gmail",
        "microsoft365",
        "outlook",
    }
