"""What becomes of changes at Gmail: which labels they are, what they cost, and what each fault means."""

import pytest

from shared.domain.change import Change, ChangeFate, ChangeOutcome, Wanted
from shared.domain.errors import ErrorCode, ReconnectRequiredError, RetryLaterError
from shared.domain.ids import FolderId
from shared.providers.gmail import labels

MODIFIES = r"^POST /gmail/v1/users/me/messages/[0-9a-f]+/modify$"
BATCH = r"^POST /batch/gmail/v1$"
DONE, LATER, REFUSED = ChangeFate.DONE, ChangeFate.LATER, ChangeFate.REFUSED


class Mail:
    """A mailbox at Gmail, whose messages are changed by their number."""

    def __init__(self, world) -> None:
        self.world = world
        self.mailbox = world.theirs.mailbox
        self.names: list[str] = []

    def deliver(self, *label_ids: str) -> str:
        raw = f"Subject: {len(self.names)}\r\n\r\nx".encode()
        self.names.append(self.mailbox.deliver(raw, folders=label_ids, seen=True))
        return self.names[-1]

    def changes(self, *names, **wanted) -> list[Change]:
        return [Change(name, frozenset(), Wanted(**wanted)) for name in names or self.names]

    def apply(self, changes: list[Change]) -> dict[str, ChangeOutcome]:
        with self.world.session() as session:
            return dict(session.apply(changes))

    def labels(self, name: str) -> set[str]:
        return {*next(one.folders for one in self.mailbox.messages() if one.id == name)}

    def arm(self, fault, **more) -> None:
        self.world.simulator.faults.arm(fault, **more)


@pytest.fixture
def mail(gmail):
    return Mail(gmail)


@pytest.mark.parametrize(
    ("before", "target", "after"),
    [
        (["INBOX", "Deals"], "archive", {"Deals"}),
        (["INBOX"], "archive", set()),
        (["INBOX", "Deals", "STARRED"], "TRASH", {"TRASH", "Deals", "STARRED"}),
        (["INBOX"], "SPAM", {"SPAM"}),
        (["TRASH", "Deals"], "INBOX", {"INBOX", "Deals"}),
        (["SPAM"], "Label_1", {"Deals"}),
        (["INBOX", "Deals"], "Label_1", {"Deals"}),
        (["SENT"], "Label_1", {"SENT", "Deals"}),
        (["INBOX"], "CATEGORY_SOCIAL", {"CATEGORY_SOCIAL"}),
    ],
)
def test_a_move_leaves_inbox_trash_and_spam_and_keeps_what_people_gave(mail, before, target, after):
    assert mail.mailbox.create_folder("Deals") == "Label_1"
    name = mail.deliver(*before)
    outcome = mail.apply(mail.changes(move_to=FolderId(target)))[name]
    expected = {one.replace("Deals", "Label_1") for one in after}
    assert mail.labels(name) == expected
    assert outcome == ChangeOutcome(
        DONE, provider_message_id=name, folder_ids=labels.folder_ids(expected)
    )


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("all", ErrorCode.CHANGE_REFUSED),
        ("SENT", ErrorCode.CHANGE_REFUSED),
        ("DRAFT", ErrorCode.CHANGE_REFUSED),
        ("Label_9", ErrorCode.FOLDER_NOT_FOUND),
    ],
)
def test_where_nobody_may_move_it_is_refused_and_nothing_is_asked(mail, target, code):
    name = mail.deliver("INBOX")
    outcome = mail.apply(mail.changes(move_to=FolderId(target), seen=False))[name]
    assert outcome == ChangeOutcome(REFUSED, code)
    assert mail.labels(name) == {"INBOX"}
    assert mail.world.simulator.log.entries(route="messages.modify") == []


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (2, 1), (50, 1), (51, 2)])
def test_a_change_costs_five_units_and_fifty_go_in_a_request(mail, count, requests):
    for _ in range(count):
        mail.deliver("INBOX")
    with mail.world.session() as session:
        told = dict(session.apply(mail.changes(seen=False)))
        assert session.units == 5 * count
        assert session.requests == requests
    assert {one.fate for one in told.values()} == {DONE}
    assert all(one.folder_ids is None for one in told.values())
    with mail.world.session() as session:
        list(session.apply(mail.changes(mail.names[0], move_to=labels.ARCHIVE.id)))
        assert session.units == 5 + 1


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("batch_parts_missing", {"parts": 2}),
        ("batch_parts_reordered", {}),
        ("batch_without_content_ids", {}),
        ("batch_part_garbled", {}),
        ("batch_part_doubled", {}),
        ("backend_error", {"route": BATCH, "status": 503}),
        ("rate_limit_429", {"route": BATCH}),
        ("cut_after_work", {"route": BATCH, "times": 2}),
        ("cut_before_work", {"route": BATCH, "times": 2}),
        ("html", {"route": BATCH, "status": 200}),
        ("invalid_credentials_401", {"route": MODIFIES, "times": 2}),
        ("invalid_credentials_401", {"route": BATCH}),
    ],
    ids=lambda one: str(one),
)
def test_what_a_batch_does_not_answer_is_asked_alone(mail, fault, more):
    for _ in range(3):
        mail.deliver("INBOX")
    mail.arm(fault, **more)
    told = mail.apply(mail.changes(flagged=True))
    assert {name: one.fate for name, one in told.items()} == dict.fromkeys(mail.names, DONE)
    assert all("STARRED" in mail.labels(name) for name in mail.names)


def test_a_failure_of_one_holds_up_no_other(mail):
    for _ in range(3):
        mail.deliver("INBOX")
    mail.arm("backend_error", route=MODIFIES, after=1)
    told = mail.apply(mail.changes(flagged=True))
    assert sorted(one.fate for one in told.values()) == [DONE, DONE, LATER]
    (later,) = [name for name, one in told.items() if one.fate is LATER]
    assert told[later].code is ErrorCode.PROVIDER_UNAVAILABLE
    assert mail.apply(mail.changes(later, flagged=True))[later].fate is DONE


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("rate_limit_403", RetryLaterError, ErrorCode.RATE_LIMITED),
        ("user_rate_limit_429", RetryLaterError, ErrorCode.RATE_LIMITED),
        ("insufficient_scope_403", ReconnectRequiredError, ErrorCode.SCOPE_MISSING),
    ],
)
def test_what_stands_in_the_way_of_all_is_raised_behind_what_was_done(
    mail, fault, kind, code, count
):
    for _ in range(count):
        mail.deliver("INBOX")
    mail.arm(fault, route=MODIFIES)
    told = {}
    with pytest.raises(kind) as caught, mail.world.session() as session:
        told.update(session.apply(mail.changes(flagged=True)))
    assert caught.value.code is code
    assert len(told) == count - 1
    assert all("STARRED" in mail.labels(name) for name in told)


@pytest.mark.parametrize("fault", ["not_an_object", "broken_json"])
def test_an_answer_that_cannot_be_read_is_no_outcome(mail, fault):
    name = mail.deliver("INBOX")
    mail.arm(fault, route=MODIFIES)
    outcome = mail.apply(mail.changes(flagged=True))[name]
    assert outcome == ChangeOutcome(LATER, ErrorCode.ANSWER_NOT_UNDERSTOOD)


def test_what_gmail_does_not_let_be_done_is_refused(mail):
    name = mail.deliver("INBOX")
    body = '{"error": {"message": "no", "errors": [{"reason": "invalidArgument"}]}}'
    mail.arm("status", route=MODIFIES, status=400, body=body)
    outcome = mail.apply(mail.changes(flagged=True))[name]
    assert outcome == ChangeOutcome(REFUSED, ErrorCode.CHANGE_REFUSED)
