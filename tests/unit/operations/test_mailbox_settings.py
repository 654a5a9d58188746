"""What may be changed about a mailbox, by whom, and what follows."""

from dataclasses import replace

import pytest

from shared.domain.errors import ConflictError, ErrorCode, RequestError
from shared.domain.ids import FolderId, MailboxId, TenantId, UserId
from shared.domain.mailbox import MailboxKind, MailboxStatus, Purpose, Visibility
from shared.domain.schedule import AS_WISHED, Cadence
from shared.domain.visibility import Viewer
from shared.operations.mailbox_settings import SettingsChange, change_settings, make_primary
from tests.fakes.clock import FixedClock
from tests.fakes.mail import add_mailbox
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.stores import InMemoryMailboxStore

ANN = Viewer(TenantId("acme"), UserId("ann"))
BOB = Viewer(TenantId("acme"), UserId("bob"))
ADMIN = Viewer(TenantId("acme"), UserId("root"), is_admin=True)
OTHER = Viewer(TenantId("other"), UserId("ann"), is_admin=True)
BOX = MailboxId("A")


@pytest.fixture
def mailboxes():
    return InMemoryMailboxStore()


@pytest.fixture
def queues():
    return RecordingWorkQueues()


def change(mailboxes, queues, viewer=ANN, *, cadence=AS_WISHED, **what):
    return change_settings(
        viewer,
        BOX,
        SettingsChange(**what),
        mailboxes=mailboxes,
        openings=InMemoryOpeningStore(mailboxes.world),
        queues=queues,
        clock=FixedClock(),
        cadence=cadence,
    )


def code_of(mailboxes, queues, viewer, **what):
    with pytest.raises(RequestError) as caught:
        change(mailboxes, queues, viewer, **what)
    return caught.value.code


def test_only_owner_and_administrators_change_a_personal_mailbox(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    assert change(mailboxes, queues, ADMIN, purpose=Purpose.BILLING).purpose is Purpose.BILLING
    for viewer in (BOB, OTHER):
        assert (
            code_of(mailboxes, queues, viewer, purpose=Purpose.OTHER) is ErrorCode.MAILBOX_NOT_FOUND
        )


def test_its_owner_may_open_it_or_hand_it_on_and_nobody_else(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    with pytest.raises(RequestError) as caught:
        change(mailboxes, queues, ADMIN, visibility=Visibility.FULL, owner_user_id=UserId("root"))
    assert [field for field, _ in caught.value.fields] == ["owner_user_id", "visibility"]
    assert change(mailboxes, queues, visibility=Visibility.FULL).visibility is Visibility.FULL
    assert change(mailboxes, queues, owner_user_id=UserId("bob")).owner_user_id == "bob"
    assert code_of(mailboxes, queues, ANN, purpose=Purpose.OTHER) is ErrorCode.MAILBOX_NOT_FOUND


def test_a_shared_mailbox_is_the_administrators(mailboxes, queues):
    add_mailbox(mailboxes.world, "A", kind=MailboxKind.SHARED)
    assert code_of(mailboxes, queues, ANN, visibility=Visibility.FULL) is ErrorCode.ADMIN_REQUIRED
    assert change(mailboxes, queues, ADMIN, visibility=Visibility.FULL).version == 2


def test_what_is_said_again_changes_nothing(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    assert change(mailboxes, queues, sync_minutes=5).version == 1
    assert change(mailboxes, queues).version == 1
    assert not queues.syncs


def test_folders_are_known_ones_each_once(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    chosen = (FolderId("Sent"), FolderId("INBOX"), FolderId("Sent"))
    changed = change(mailboxes, queues, active_folders=chosen)
    assert changed.active_folders == ("Sent", "INBOX")
    state = mailboxes.world.folders["acme", "A"][FolderId("Sent")]
    mailboxes.world.folders["acme", "A"][FolderId("Sent")] = replace(
        state, gone_at=FixedClock().now()
    )
    for folder in ("Sent", "Parent", "Nowhere"):
        what = {"active_folders": (FolderId(folder),)}
        assert code_of(mailboxes, queues, ANN, **what) is ErrorCode.INVALID_REQUEST
    assert change(mailboxes, queues, active_folders=None).active_folders is None


def test_a_run_is_asked_for_where_a_run_must_act_on_it(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    change(mailboxes, queues, display_name="x", recovery_note="y", create_contacts=True)
    assert not queues.syncs
    change(mailboxes, queues, sync_minutes=60)
    assert [request.reason for request in queues.syncs] == ["requested"]
    mailboxes.world.mailboxes["acme", "A"] = replace(
        mailboxes.world.mailboxes["acme", "A"], status=MailboxStatus.RECONNECT_REQUIRED
    )
    change(mailboxes, queues, sync_minutes=30)
    assert len(queues.syncs) == 1


def test_a_writer_who_never_stops_makes_us_give_up(mailboxes, queues, monkeypatch):
    add_mailbox(mailboxes.world, "A")

    def busy(mailbox):
        raise ConflictError(ErrorCode.VERSION_CONFLICT)

    monkeypatch.setattr(mailboxes, "save_settings", busy)
    with pytest.raises(ConflictError):
        change(mailboxes, queues, display_name="x")


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"sync_minutes": 3}, "sync_minutes"),
        ({"reply_to": "nobody"}, "reply_to"),
        # No mail could name it, and each would be refused.
        ({"reply_to": "jörg@ours.example"}, "reply_to"),
    ],
)
def test_a_fault_is_named(mailboxes, queues, what, field):
    add_mailbox(mailboxes.world, "A")
    with pytest.raises(RequestError) as caught:
        change(mailboxes, queues, **what)
    assert [name for name, _ in caught.value.fields] == [field]
    assert change(mailboxes, queues, reply_to=None).reply_to is None


def test_a_primary_is_one_the_user_may_open(mailboxes):
    add_mailbox(mailboxes.world, "A")
    make_primary(ANN, BOX, mailboxes=mailboxes)
    assert mailboxes.primary(ANN.tenant_id, ANN.user_id) == BOX
    for viewer, code in [
        (BOB, ErrorCode.MAILBOX_NOT_FOUND),
        (OTHER, ErrorCode.MAILBOX_NOT_FOUND),
        (ADMIN, ErrorCode.OWNER_REQUIRED),
    ]:
        with pytest.raises(RequestError) as caught:
            make_primary(viewer, BOX, mailboxes=mailboxes)
        assert caught.value.code is code
    add_mailbox(mailboxes.world, "A", status=MailboxStatus.DISCONNECTED)
    with pytest.raises(ConflictError):
        make_primary(ANN, BOX, mailboxes=mailboxes)


def test_nobody_wishes_to_be_polled_more_often_than_the_operator_lets_them(mailboxes, queues):
    add_mailbox(mailboxes.world, "A")
    bounded = Cadence(least=10)
    with pytest.raises(RequestError) as caught:
        change(mailboxes, queues, cadence=bounded, sync_minutes=5)
    assert caught.value.fields == (("sync_minutes", "One of 10, 15, 30, 60."),)
    assert queues.syncs == []
    assert change(mailboxes, queues, cadence=bounded, sync_minutes=10).sync_minutes == 10
