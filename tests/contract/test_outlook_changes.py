"""What becomes of changes at Outlook: what they cost, what is left alone, what each fault means."""

import pytest

from shared.domain.change import Change, ChangeFate, ChangeOutcome, Wanted
from shared.domain.errors import ErrorCode, ReconnectRequiredError, RetryLaterError
from shared.domain.ids import FolderId
from tests.contract.outlook_world import OWNER
from tests.contract.simulators.microsoft_client import eml

MARKS, MOVES, READS = r"^PATCH .*/messages/[^/]+$", r"/move$", r"^GET .*/messages/[^/]+$"
DONE, GONE = ChangeFate.DONE, ChangeFate.GONE
LATER, REFUSED = ChangeFate.LATER, ChangeFate.REFUSED


class Mail:
    """A mailbox at Outlook, whose messages are changed by their place."""

    def __init__(self, world) -> None:
        self.world = world
        self.simulator = world.simulator
        self.mailbox = world.simulator.mail(OWNER)
        self.names: list[str] = []

    def deliver(self, count: int) -> list[str]:
        self.names += [self.mailbox.deliver(eml(len(self.names) + n)) for n in range(count)]
        return self.names

    def folder(self, name: str) -> FolderId:
        return FolderId(self.mailbox.folder_id(name))

    def changes(self, *names, **wanted) -> list[Change]:
        return [Change(name, frozenset(), Wanted(**wanted)) for name in names or self.names]

    def apply(self, changes: list[Change]) -> dict[str, ChangeOutcome]:
        self.simulator.log.clear()
        with self.world.session() as session:
            return dict(session.apply(changes))

    def asked(self) -> list[tuple[str, int]]:
        routes = [entry.route for entry in self.simulator.log.entries()]
        return sorted((one, routes.count(one)) for one in set(routes))

    def held(self):
        return {one.id: one for one in self.mailbox.messages()}

    def seen(self):
        return [self.held()[name].seen for name in self.names]

    def arm(self, fault, **more) -> None:
        self.simulator.faults.arm(fault, **more)


@pytest.fixture
def mail(outlook):
    return Mail(outlook)


def test_what_twenty_cost_and_that_what_is_so_already_is_left_alone(mail):
    mail.deliver(20)
    trash = mail.folder("deleteditems")
    changes = mail.changes(seen=True, flagged=True, move_to=trash)
    outcomes = mail.apply(changes)
    assert {one.fate for one in outcomes.values()} == {DONE}
    assert mail.asked() == [
        ("batch", 4),
        ("folders.get", 1),
        ("messages.get", 20),
        ("messages.move", 20),
        ("messages.update", 20),
    ]
    assert {one.folders for one in mail.held().values()} == {(trash,)}
    assert mail.apply(changes) == outcomes
    assert mail.asked() == [("batch", 2), ("folders.get", 1), ("messages.get", 20)]


def test_a_flag_that_says_complete_is_no_flag_of_ours(mail):
    (name,) = mail.deliver(1)
    token = mail.world.tokens.current().reveal()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    url = f"{mail.simulator.url}/v1.0/me/messages/{name}"
    body = b'{"flag": {"flagStatus": "complete"}}'
    assert mail.world.http.until(9).send("PATCH", url, headers=headers, body=body).status == 200
    assert mail.apply(mail.changes(flagged=False))[name].fate is DONE
    assert mail.asked() == [("batch", 1), ("messages.get", 1)]
    mail.apply(mail.changes(flagged=True))
    assert ("messages.update", 1) in mail.asked()


@pytest.mark.parametrize(
    ("status", "code", "fate", "means"),
    [
        (500, "InternalServerError", LATER, ErrorCode.PROVIDER_UNAVAILABLE),
        (403, "ErrorAccessDenied", REFUSED, ErrorCode.CHANGE_REFUSED),
        (400, "ErrorInvalidPropertySet", REFUSED, ErrorCode.CHANGE_REFUSED),
        (409, "ErrorIrresolvableConflict", LATER, ErrorCode.MESSAGE_UNAVAILABLE),
        (412, "ErrorStaleObject", LATER, ErrorCode.MESSAGE_UNAVAILABLE),
        (404, "ErrorItemNotFound", GONE, None),
    ],
)
def test_what_stands_in_the_way_of_one_holds_up_no_other(mail, status, code, fate, means):
    first, *others = mail.deliver(3)
    route = rf"^PATCH .*/messages/{first}$"
    mail.arm("graph_error", status=status, code=code, route=route, times=None)
    outcomes = mail.apply(mail.changes(seen=True))
    assert outcomes[first] == ChangeOutcome(fate, means)
    assert [outcomes[name].fate for name in others] == [DONE, DONE]
    assert mail.seen() == [False, True, True]


def test_a_move_that_finds_nothing_is_looked_at_again(mail):
    first, second = mail.deliver(2)
    target = mail.folder("archive")
    mail.arm("graph_error", status=404, code="ErrorItemNotFound", route=MOVES)
    outcomes = mail.apply(mail.changes(move_to=target))
    assert sorted(one.fate for one in outcomes.values()) == [DONE, LATER]
    (later,) = [name for name, one in outcomes.items() if one.fate is LATER]
    assert outcomes[later].code is ErrorCode.MESSAGE_UNAVAILABLE
    mail.mailbox.delete(later)
    assert {one.fate for one in mail.apply(mail.changes(move_to=target)).values()} == {DONE, GONE}
    assert {first, second} == set(outcomes)


@pytest.mark.parametrize("route", [READS, MARKS])
def test_what_stands_in_the_way_of_all_is_raised(mail, route):
    mail.deliver(3)
    mail.arm("forbidden", route=route, times=None)
    with pytest.raises(ReconnectRequiredError) as caught:
        mail.apply(mail.changes(seen=True))
    assert caught.value.code is ErrorCode.SCOPE_MISSING
    mail.simulator.faults.clear()
    mail.arm("unavailable", route=r"/v1\.0/", times=None, retry_after=600)
    with pytest.raises(RetryLaterError) as later:
        mail.apply(mail.changes(seen=True))
    assert later.value.retry_after_seconds == 600
    assert mail.seen() == [False] * 3


def test_a_limit_ends_it_after_what_was_done_is_told(mail):
    mail.deliver(25)
    mail.arm("throttled", route=MARKS, after=22, times=None, retry_after=900)
    told = {}
    with pytest.raises(RetryLaterError) as caught, mail.world.session() as session:
        for name, outcome in session.apply(mail.changes(seen=True)):
            told[name] = outcome.fate
    assert (caught.value.code, caught.value.retry_after_seconds) == (ErrorCode.RATE_LIMITED, 900)
    assert (len(told), set(told.values())) == (22, {DONE})
    assert mail.seen().count(True) == 22


def test_a_short_wish_is_granted_and_a_lost_answer_is_asked_for_again(mail):
    mail.deliver(3)
    archive = mail.folder("archive")
    mail.arm("throttled", route=MARKS, times=2, retry_after=1)
    assert {one.fate for one in mail.apply(mail.changes(seen=True)).values()} == {DONE}
    mail.arm("cut_after_work", route=r"/\$batch$", after=2)
    changes = mail.changes(move_to=archive)
    try:
        mail.apply(changes)
    except RetryLaterError:
        mail.apply(changes)
    assert {one.folders for one in mail.held().values()} == {(archive,)}
    assert len(mail.held()) == 3


def test_answers_too_large_to_hold_together_come_alone(mail, monkeypatch):
    from shared.providers.outlook import graph

    mail.deliver(4)
    monkeypatch.setattr(graph.Graph.batch, "__kwdefaults__", {"limit": 6_000})
    assert {one.fate for one in mail.apply(mail.changes(seen=True)).values()} == {DONE}
    # Together, which nobody could hold, and then each.
    assert ("messages.update", 8) in mail.asked()
    assert mail.seen() == [True] * 4
