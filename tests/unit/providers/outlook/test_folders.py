"""Which of the folders that Graph may list are ours; asked of a hand-made Graph."""

import pytest

from shared.domain.errors import ConfigurationError, RetryLaterError
from shared.domain.folders import FolderRole
from shared.providers.outlook import folders
from shared.providers.outlook.graph import Reply
from shared.providers.outlook.session import Session

KNOWN = {name: f"id-{name}" for name in folders._KNOWN}


class Graph:
    """Lists what is below a folder; a tuple is pages."""

    def __init__(self, below) -> None:
        self._below = below
        self._pages = {}
        self.batches = 0

    def relative(self, link):
        return link

    def get(self, link):
        return self._answer(self._pages.pop(link))

    def batch(self, parts):
        self.batches += bool(parts)
        return [self.below(part.url.split("/")[3]) for part in parts]

    def below(self, name):
        value = self._below.get(name)
        if value is None:
            return Reply(404, {"error": {"code": "ErrorItemNotFound"}})
        return self._answer(value if isinstance(value, tuple) else (value,))

    def _answer(self, pages):
        first, *rest = pages
        body = {"value": first}
        if rest:
            link = f"/more{len(self._pages)}/{len(rest)}"
            self._pages[link] = rest
            body["@odata.nextLink"] = link
        return Reply(200, body)


def listed(top, known=KNOWN, **below):
    graph = Graph({"top": top, **{f"id-{name}": value for name, value in below.items()}})
    replies = [graph.below("top")] + [
        Reply(200, {"id": known[name]}) if known.get(name) else Reply(404, {})
        for name in folders._KNOWN
    ]
    found = folders.read(Session(graph), replies)
    assert len({one.id for one in found}) == len(found)
    return {one.name: one for one in found}


def one(name, *, children=0, identifier=None, **more):
    return {
        "id": identifier or f"id-{name}",
        "displayName": name.title(),
        "childFolderCount": children,
        "isHidden": False,
        **more,
    }


def test_folders_at_any_depth_are_ours_and_named_by_their_path():
    found = listed(
        [one("parent", children=1), one("inbox")],
        parent=[one("child", children=2)],
        child=[one("a"), one("b")],
    )
    assert list(found) == ["Parent", "Inbox", "Parent/Child", "Parent/Child/A", "Parent/Child/B"]


def test_hidden_folders_search_folders_the_outbox_and_logs_are_not_nor_what_is_below_them():
    found = listed(
        [
            one("inbox", children=1),
            one("hidden", children=1, isHidden=True),
            one("found", **{"@odata.type": "#microsoft.graph.mailSearchFolder"}),
            one("outbox"),
            one("syncissues", children=1),
        ],
        inbox=[one("digest", **{"@odata.type": "#microsoft.graph.mailSearchFolder"})],
        hidden=[one("below")],
        syncissues=[one("conflicts")],
    )
    assert set(found) == {"Inbox"}


def test_folders_that_lie_in_each_other_end_nothing():
    found = listed([one("a", children=1)], a=[one("b", children=1)], b=[one("a", children=1)])
    assert set(found) == {"A", "A/B"}


def test_a_folder_that_is_gone_before_its_children_are_listed_has_none():
    assert set(listed([one("a", children=1), one("inbox")])) == {"A", "Inbox"}


def test_a_count_of_children_that_is_not_told_is_looked_up():
    whole = [{"id": "id-a", "displayName": "A"}]
    assert set(listed(whole, a=[one("b")])) == {"A", "A/B"}


def test_roles_come_from_well_known_names_whatever_a_folder_is_called():
    found = listed(
        [
            one("posteingang", identifier="id-inbox"),
            one("werbung", identifier="id-junkemail"),
            one("junk email", identifier="own"),
        ]
    )
    assert found["Posteingang"].role is FolderRole.INBOX
    assert found["Werbung"].role is FolderRole.SPAM
    assert found["Junk Email"].role is FolderRole.OTHER


def test_a_mailbox_without_an_archive_is_listed_all_the_same():
    found = listed([one("inbox")], known={"inbox": "id-inbox"})
    assert found["Inbox"].role is FolderRole.INBOX


def test_further_pages_of_a_list_are_read():
    found = listed(([one("inbox")], [one("a", children=3)], [one("b")]), a=([one("c")], [one("d")]))
    assert set(found) == {"Inbox", "A", "B", "A/C", "A/D"}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(404, {"error": {"code": "ErrorItemNotFound"}}), ConfigurationError),
        (Reply(404, {"error": {"code": "MailboxNotEnabledForRESTAPI"}}), ConfigurationError),
        (Reply(503, {}), RetryLaterError),
        (Reply(200, {"value": None}), RetryLaterError),
        (Reply(200, {"value": [{"displayName": "without an id"}]}), RetryLaterError),
        (Reply(200, []), RetryLaterError),
    ],
)
def test_a_list_that_does_not_come_is_an_error(reply, error):
    with pytest.raises(error):
        folders.read(Session(Graph({})), [reply, *[Reply(404, {})] * len(folders._KNOWN)])


def test_a_list_without_an_end_is_refused():
    class Circle(Graph):
        def get(self, link):
            return Reply(200, {"value": [], "@odata.nextLink": link})

    first = Reply(200, {"value": [], "@odata.nextLink": "/again"})
    with pytest.raises(RetryLaterError):
        folders.read(Session(Circle({})), [first, *[Reply(404, {})] * len(folders._KNOWN)])


def test_all_that_is_asked_for_first_fits_into_one_batch():
    assert len(folders.PARTS) <= 20
