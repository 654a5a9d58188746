"""Which of the folders that Graph may list are ours; asked of a hand-made Graph."""

import pytest

from shared.domain.errors import ConfigurationError, RetryLaterError
from shared.domain.folders import FolderRole
from shared.providers.outlook import folders
from shared.providers.outlook.graph import Reply
from shared.providers.outlook.session import Session

KNOWN = {name: f"id-{name}" for name in folders._KNOWN}


def listed(*value, known=KNOWN, following=()):
    class Graph:
        pages = list(following)

        def relative(self, link):
            return link

        def get(self, url, **_):
            return answer(self.pages.pop(0), more=bool(self.pages))

    def answer(value, *, more):
        name = "@odata.nextLink" if more else "@odata.deltaLink"
        return Reply(200, {"value": value, name: f"/more{len(Graph.pages)}"})

    replies = [answer(list(value), more=bool(following))]
    replies += [
        Reply(200, {"id": known[name]}) if known.get(name) else Reply(404, {})
        for name in folders._KNOWN
    ]
    found = folders.read(Session(Graph()), replies)
    return {one.name: one for one in found}


def one(name, parent="id-msgfolderroot", identifier=None, **more):
    return {
        "id": identifier or f"id-{name}",
        "displayName": name.title(),
        "parentFolderId": parent,
        "isHidden": False,
        **more,
    }


def test_what_is_below_the_root_is_ours_named_by_its_path_in_any_order():
    found = listed(one("grandchild", "id-child"), one("child", "id-parent"), one("parent"))
    assert set(found) == {"Parent", "Parent/Child", "Parent/Child/Grandchild"}


def test_hidden_folders_search_folders_and_logs_are_not_nor_what_is_below_them():
    found = listed(
        one("inbox"),
        one("hidden", isHidden=True),
        one("below", "id-hidden"),
        one("found", **{"@odata.type": "#microsoft.graph.mailSearchFolder"}),
        one("outbox"),
        one("syncissues"),
        one("conflicts", "id-syncissues"),
        one("recoverable", "id-of-another-root"),
        {"id": "gone", "@removed": {"reason": "deleted"}},
        {"displayName": "without an id"},
    )
    assert set(found) == {"Inbox"}


def test_folders_that_lie_in_each_other_end_nothing():
    found = listed(one("a", "id-b"), one("b", "id-a"), one("c", "id-c"), one("inbox"))
    assert set(found) == {"Inbox"}


def test_the_roots_own_entry_is_no_folder():
    assert set(listed(one("msgfolderroot", "id-msgfolderroot"), one("inbox"))) == {"Inbox"}


def test_roles_come_from_well_known_names_whatever_a_folder_is_called():
    found = listed(
        *(one("posteingang", identifier="id-inbox"), one("werbung", identifier="id-junkemail")),
        one("junk email", identifier="own"),
    )
    assert found["Posteingang"].role is FolderRole.INBOX
    assert found["Werbung"].role is FolderRole.SPAM
    assert found["Junk Email"].role is FolderRole.OTHER


def test_a_mailbox_without_an_archive_or_a_named_root_is_listed_all_the_same():
    found = listed(one("inbox"), known={"inbox": "id-inbox"})
    assert found["Inbox"].role is FolderRole.INBOX


def test_further_pages_of_the_list_are_read():
    found = listed(one("inbox"), following=[[one("child", "id-parent")], [one("parent")]])
    assert set(found) == {"Inbox", "Parent/Child", "Parent"}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(404, {"error": {"code": "ErrorItemNotFound"}}), ConfigurationError),
        (Reply(404, {"error": {"code": "MailboxNotEnabledForRESTAPI"}}), ConfigurationError),
        (Reply(410, {}), RetryLaterError),
        (Reply(503, {}), RetryLaterError),
        (Reply(200, {"value": None}), RetryLaterError),
        (Reply(200, []), RetryLaterError),
    ],
)
def test_a_list_that_does_not_come_is_an_error(reply, error):
    with pytest.raises(error):
        folders.read(Session(None), [reply, *[Reply(404, {})] * len(folders._KNOWN)])


def test_all_that_is_asked_for_fits_into_one_batch():
    assert len(folders.PARTS) <= 20
