"""Which logins and folders a known mailbox may come back with."""

from dataclasses import replace

import pytest

from shared.domain.errors import ErrorCode, RequestError, StoreThrottledError
from shared.domain.ids import FolderId
from shared.domain.mail_server import Security, ServerLogin, ServerSettings
from shared.domain.secret import Secret
from shared.operations.connect_mailbox import ConnectPolicy, ConnectRequest, connect_mailbox
from shared.operations.reconnect_mailbox import ReconnectRequest, reconnect_mailbox
from tests.fakes.clock import FixedClock
from tests.fakes.stores import InMemoryMailboxStore
from tests.unit.operations.machine import ADA, OWN_ADDRESS, TENANT, Machine, busy_server

HOST = "imap.acme.example"
INBOX, TRASH = FolderId("f-inbox"), FolderId("f-trash")


@pytest.fixture
def machine():
    return Machine(busy_server(FixedClock().now()))


def login(username, host=HOST):
    return ServerLogin(ServerSettings(host, 993, Security.TLS, username), Secret("not-a-real-one"))


def connect(machine, username):
    return connect_mailbox(
        ADA,
        ConnectRequest(OWN_ADDRESS, login(username), login(username)),
        tester=machine.tester,
        mailboxes=machine.mailboxes,
        backfills=machine.backfills,
        secrets=machine.secrets,
        queues=machine.queues,
        clock=machine.clock,
        policy=ConnectPolicy(),
    )


def reconnect(machine, mailbox, again, folders=None):
    return reconnect_mailbox(
        ADA,
        mailbox.id,
        ReconnectRequest(again, again, folders),
        tester=machine.tester,
        mailboxes=machine.mailboxes,
        secrets=machine.secrets,
        queues=machine.queues,
        policy=ConnectPolicy(),
    )


def test_who_comes_back_while_the_store_is_busy_leaves_no_login_behind(machine, monkeypatch):
    mailbox = connect(machine, OWN_ADDRESS)
    machine.disconnect(mailbox.id)

    def busy(*_given):
        raise StoreThrottledError(cause="others begin too fast to be counted")

    monkeypatch.setattr(InMemoryMailboxStore, "reconnect", busy)
    with pytest.raises(StoreThrottledError):
        reconnect(machine, mailbox, login(OWN_ADDRESS))
    assert machine.secrets.get(TENANT, mailbox.id) is None


@pytest.mark.parametrize(
    ("username", "again"),
    [
        (OWN_ADDRESS, login(OWN_ADDRESS.upper(), "new.acme.example")),
        ("info", login("info")),
        ("info", login("INFO", "IMAP.acme.example.")),
    ],
)
def test_the_same_account_comes_back(machine, username, again):
    mailbox = connect(machine, username)
    assert reconnect(machine, mailbox, again).imap == again.server


@pytest.mark.parametrize(
    ("username", "again", "field"),
    [
        (OWN_ADDRESS, login("eve@evil.example"), "imap.username"),
        ("info", login("sales"), "imap.username"),
        ("info", login("info", "imap.other.example"), "imap.host"),
    ],
)
def test_another_account_is_refused_and_what_tells_it_apart_is_named(
    machine, username, again, field
):
    mailbox = connect(machine, username)
    with pytest.raises(RequestError) as refused:
        reconnect(machine, mailbox, again)
    assert refused.value.code is ErrorCode.WRONG_MAILBOX
    assert [name for name, _ in refused.value.fields] == [field]


def test_folders_chosen_after_connecting_may_stay_chosen(machine):
    mailbox = connect(machine, OWN_ADDRESS)
    chosen = (INBOX, TRASH)
    stands = machine.world.mailboxes[(TENANT, mailbox.id)]
    machine.mailboxes.save_settings(replace(stands, active_folders=chosen))
    assert reconnect(machine, mailbox, login(OWN_ADDRESS), chosen).active_folders == chosen


def test_a_folder_that_is_not_there_cannot_be_chosen(machine):
    mailbox = connect(machine, OWN_ADDRESS)
    with pytest.raises(RequestError) as refused:
        reconnect(machine, mailbox, login(OWN_ADDRESS), (INBOX, FolderId("f-nowhere")))
    assert [field for field, _ in refused.value.fields] == ["active_folders"]
