"""Marking, moving and trashing mail over HTTP: who may, what is asked for, what is answered."""

import pytest

from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId, MailboxId, TenantId
from shared.domain.mailbox import FolderState, MailboxKind, MailboxStatus, Readers, Visibility
from shared.domain.threads import ThreadLevel
from tests.fakes.mail import INBOX, add_mailbox, message_of, store

TENANT = TenantId("acme")
DEALS, TRASH = FolderId("f-deals"), FolderId("f-trash")
PLACES = [
    Folder(INBOX, "INBOX", FolderRole.INBOX),
    Folder(DEALS, "Deals", FolderRole.OTHER),
    Folder(TRASH, "Trash", FolderRole.TRASH),
    Folder(FolderId("f-all"), "All", FolderRole.ALL),
    Folder(FolderId("f-closed"), "Closed", FolderRole.OTHER, selectable=False),
]


@pytest.fixture
def box(app):
    """Ann's mailbox with two messages."""
    box = add_mailbox(app.world, "BOX", owner="ann")
    app.world.folders[TENANT, box.id] = {one.id: FolderState(one) for one in PLACES}
    app.message = store(app.world, box, message_of("one"))
    app.other = store(app.world, box, message_of("two"))
    return box


def change(app, body, *, message=None, user="ann", **more):
    target = f"/v1/mailboxes/BOX/messages/{(message or app.message).id}"
    return app.ask("PATCH", target, body=body, user=user, **more)


def copies(app, box):
    return app.world.copies[TENANT, box.id].values()


def test_what_is_asked_shows_at_once_and_is_pending(app, box):
    answer = change(app, {"seen": True, "flagged": True, "folder_id": DEALS})
    assert answer.status == 202
    shown = {
        "mailbox_id": "BOX",
        "folder_id": DEALS,
        "seen": True,
        "flagged": True,
        "pending": ["folder_id", "seen", "flagged"],
    }
    assert answer.json == {"id": app.message.id, "found": True, "mailboxes": [shown]}
    assert [request.mailbox_id for request in app.queues.take_changes()] == ["BOX"]
    read = app.ask("GET", f"/v1/messages/{app.message.id}", user="ann")
    assert read.json["mailboxes"] == [shown]
    listed = app.ask("GET", "/v1/messages", query={"mailbox_id": "BOX"}, user="ann").json["items"]
    assert [one["mailboxes"][0]["pending"] for one in listed if one["id"] == app.other.id] == [[]]


def test_trash_is_the_folder_that_is_for_it(app, box):
    assert change(app, {"trashed": True}).json["mailboxes"][0]["folder_id"] == TRASH


def test_many_are_changed_with_one_request(app, box):
    ids = [app.message.id, "m" + "a" * 48, app.other.id]
    answer = app.ask(
        "PATCH", "/v1/mailboxes/BOX/messages", body={"ids": ids, "seen": True}, user="ann"
    )
    assert answer.status == 202
    assert [(one["id"], one["found"]) for one in answer.json["items"]] == list(
        zip(ids, [True, False, True], strict=True)
    )
    assert len(app.queues.take_changes()) == 1
    assert all(one.pending for one in copies(app, box))


def test_only_this_mailboxs_copy_is_changed_where_several_hold_the_message(app, box):
    other = add_mailbox(app.world, "OTHER", owner="ann")
    store(app.world, other, app.message)
    change(app, {"seen": True})
    assert [one.pending for one in app.world.copies[TENANT, other.id].values()] == [None]
    assert any(one.pending for one in copies(app, box))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seen": None},
        {"trashed": False},
        {"trashed": True, "folder_id": DEALS},
        {"seen": "perhaps"},
        {"answered": True},
        {"folder_id": ""},
        {"folder_id": "a\r\nb"},
    ],
)
def test_what_says_nothing_or_too_much_is_refused(app, box, body):
    answer = change(app, body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert not any(one.pending for one in copies(app, box))


@pytest.mark.parametrize("ids", [[], ["m" + "a" * 48] * 101, "m" + "a" * 48])
def test_a_batch_has_from_one_to_a_hundred(app, box, ids):
    body = {"ids": ids, "seen": True}
    assert app.ask("PATCH", "/v1/mailboxes/BOX/messages", body=body, user="ann").status == 400


@pytest.mark.parametrize("folder_id", ["f-none", "f-all", "f-closed"])
def test_where_nothing_can_be_moved_is_refused(app, box, folder_id):
    answer = change(app, {"folder_id": folder_id})
    assert (answer.status, answer.json["code"]) == (422, "folder_not_found")


def test_a_mailbox_without_trash_says_so(app, box):
    del app.world.folders[TENANT, box.id][TRASH]
    answer = change(app, {"trashed": True})
    assert (answer.status, answer.json["code"]) == (422, "no_trash_folder")


def test_a_mailbox_that_is_not_active_is_left_alone(app, box):
    from dataclasses import replace

    place = (TENANT, MailboxId("BOX"))
    app.world.mailboxes[place] = replace(box, status=MailboxStatus.RECONNECT_REQUIRED)
    assert change(app, {"seen": True}).json["code"] == "wrong_state"


@pytest.mark.parametrize(
    ("user", "roles", "status"), [("bob", "", 404), ("root", "[admin]", 403), ("ann", "", 202)]
)
def test_a_personal_mailboxs_mail_is_its_owners_to_change(app, box, user, roles, status):
    assert change(app, {"seen": True}, user=user, roles=roles).status == status


@pytest.mark.parametrize(
    ("visibility", "status"), [(Visibility.FULL, 202), (Visibility.SUBJECT, 404)]
)
def test_those_a_shared_mailbox_is_granted_to_change_what_they_see_in_full(app, visibility, status):
    box = add_mailbox(
        app.world,
        "BOX",
        owner="ann",
        kind=MailboxKind.SHARED,
        visibility=visibility,
        granted_to=Readers(("bob",)),
    )
    app.message = store(app.world, box, message_of("one"))
    assert change(app, {"seen": True}, user="bob").status == status
    assert change(app, {"seen": True}, user="eve").status == 404
    app.threads.set_level(TENANT, app.message.thread_id, box.id, ThreadLevel.METADATA)
    assert change(app, {"flagged": True}, user="bob").status == 404
    assert change(app, {"flagged": True}, user="ann").status == 202
