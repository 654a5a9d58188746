"""Which labels are folders, and where a message with several of them is."""

import pytest

from shared.domain.folders import FolderRole, is_active
from shared.domain.message import Flags
from shared.providers.gmail import labels

LISTED = [
    {"id": "UNREAD", "name": "UNREAD", "type": "system"},
    {"id": "INBOX", "name": "INBOX", "type": "system"},
    {"id": "YELLOW_STAR", "name": "YELLOW_STAR", "type": "system"},
    {"id": "CATEGORY_PROMOTIONS", "name": "CATEGORY_PROMOTIONS", "type": "system"},
    {"id": "Label_9", "name": "Kunden/Zürich", "type": "user"},
    {"id": "Label_10", "name": "all", "type": "user"},
    {"id": "", "name": "odd"},
    {},
]


def test_the_folders_are_the_systems_places_the_archive_categories_and_the_users_labels():
    folders = labels.folders_of(LISTED)
    assert [(one.id, one.name, one.role) for one in folders] == [
        ("all", "All mail", FolderRole.ALL),
        ("INBOX", "INBOX", FolderRole.INBOX),
        ("SENT", "Sent", FolderRole.SENT),
        ("DRAFT", "Drafts", FolderRole.DRAFTS),
        ("SPAM", "Spam", FolderRole.SPAM),
        ("TRASH", "Trash", FolderRole.TRASH),
        ("archive", "Archive", FolderRole.ARCHIVE),
        ("CATEGORY_PROMOTIONS", "Category/Promotions", FolderRole.OTHER),
        ("Label_10", "all", FolderRole.OTHER),
        ("Label_9", "Kunden/Zürich", FolderRole.OTHER),
    ]
    assert len({one.id for one in folders}) == len(folders)


def test_by_default_trash_spam_and_drafts_are_off():
    off = {one.id for one in labels.folders_of(LISTED) if not is_active(one, None)}
    assert off == {"all", "DRAFT", "SPAM", "TRASH"}


@pytest.mark.parametrize(
    ("label_ids", "folders"),
    [
        ([], {"archive"}),
        (["UNREAD", "STARRED", "IMPORTANT"], {"archive"}),
        (["INBOX", "UNREAD"], {"INBOX"}),
        (["INBOX", "Label_1", "CATEGORY_UPDATES"], {"INBOX", "Label_1", "CATEGORY_UPDATES"}),
        (["CATEGORY_UPDATES"], {"archive", "CATEGORY_UPDATES"}),
        (["Label_1"], {"Label_1"}),
        (["SENT"], {"SENT"}),
        (["TRASH", "Label_1", "INBOX"], {"TRASH"}),
        (["SPAM", "UNREAD", "CATEGORY_UPDATES"], {"SPAM"}),
        (["TRASH", "SPAM"], {"TRASH"}),
        (["DRAFT", "INBOX", "Label_1"], {"DRAFT"}),
        (["BLUE_STAR"], {"archive"}),
        (["CHAT"], set()),
        (["CHAT", "INBOX", "Label_1"], set()),
    ],
)
def test_where_a_message_is(label_ids, folders):
    assert labels.folder_ids(label_ids) == folders


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("flagged", [True, False])
@pytest.mark.parametrize("draft", [True, False])
def test_our_copy_tells_the_labels_that_its_flags_were_made_of(seen, flagged, draft):
    flags = Flags(seen=seen, flagged=flagged, draft=draft, version=7)
    folders = labels.folder_ids(labels.labels_of(frozenset({"archive"}), flags))
    found = labels.labels_of(folders, flags)
    assert labels.flags_of(found, 7) == flags
