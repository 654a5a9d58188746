"""Every route, about every id that is not the asker's to know: the answer of an id that never was.

Through the real handlers and stores. The same status, code, headers and body, byte for byte, the
same requests to AWS, and nothing changed anywhere.
"""

import itertools
import json

import pytest
from moto import mock_aws

from tests.fakes.clock import FixedClock
from tests.functions.all_routes import (
    CASES,
    HIDDEN,
    MAKING,
    NEVER,
    NOBODYS,
    OF_MAIL,
    OPERATIONS,
    TwoTenants,
    asked_with,
    id_fields,
    open_lists,
)
from tests.functions.moto_stack import Stack, forget, keep_clients

WITH_IDS = sorted(key for key, case in CASES.items() if case.ids(key[1]))
REFUSING = [key for key in WITH_IDS if key not in MAKING]


@pytest.fixture(scope="module")
def world():
    with pytest.MonkeyPatch.context() as monkeypatch:
        keep_clients(monkeypatch)
        with mock_aws():
            stack = Stack(clock=FixedClock()).start(monkeypatch)
            stack.install_sign_ins(monkeypatch)
            made = TwoTenants(stack)
            yield made
            made.close()
    forget()


def named(key):
    return " ".join(key)


def test_every_route_and_every_id_it_takes_has_a_case():
    assert CASES.keys() | NOBODYS == OPERATIONS.keys()
    for key, case in CASES.items():
        assert id_fields(OPERATIONS[key]) == asked_with(case), key
        assert {*case.ids(key[1])} <= NEVER.keys(), key


@pytest.mark.parametrize("roles", ["", "[admin]"], ids=["user", "admin"])
@pytest.mark.parametrize("key", REFUSING, ids=named)
def test_another_tenants_id_is_answered_as_one_that_never_was(world, key, roles):
    who = {"tenant": "other", "roles": roles}
    names = CASES[key].ids(key[1])
    before = world.state()
    for swapped in subsets(names):
        own = world.ids["other"]
        foreign = world.ask(key, own | {name: world.ids["acme"][name] for name in swapped}, **who)
        unknown = world.ask(key, own | {name: NEVER[name] for name in swapped}, **who)
        assert foreign == unknown, swapped
        assert foreign[0][0] in {CASES[key].unknown, *([] if roles else [403])}, foreign
    assert world.state() == before


@pytest.mark.parametrize("key", sorted(MAKING), ids=named)
def test_what_is_made_under_another_tenants_id_is_the_askers_own(world, key):
    def of_acme():
        return {place: text for place, text in world.state().items() if "table acme#" in place}

    before = of_acme()
    assert before
    answers = []
    for made in (world.ids["acme"]["contact_id"], NEVER["contact_id"]):
        (status, headers, cookies, text), asked = world.ask(
            key, {"contact_id": made}, tenant="other"
        )
        answers.append((status, headers, cookies, text.replace(made, "id"), asked))
        world.own("other", "DELETE", f"/v1/contacts/{made}")
    assert answers[0] == answers[1]
    assert answers[0][0] == CASES[key].unknown
    assert of_acme() == before


COLLEAGUES = [
    ({"user": "bob"}, HIDDEN),
    # Sees every mailbox, and of its mail no more than others do.
    ({"user": "root", "roles": "[admin]"}, OF_MAIL),
]
WITH_HIDDEN = [
    pytest.param(key, who, names, id=f"{named(key)}-{who['user']}")
    for who, hidden in COLLEAGUES
    for key in REFUSING
    if (names := hidden & {*CASES[key].ids(key[1])})
]


@pytest.mark.parametrize(("key", "who", "names"), WITH_HIDDEN)
def test_what_a_colleague_may_not_know_of_is_answered_as_if_it_never_was(world, key, who, names):
    own = world.ids["acme"]
    before = world.state()
    theirs, asked = world.ask(key, own, **who)
    unknown, asked_of_unknown = world.ask(key, own | {name: NEVER[name] for name in names}, **who)
    assert theirs == unknown
    assert theirs[0] in {CASES[key].unknown, 403}
    assert asked == asked_of_unknown
    assert world.state() == before


ODD = (
    "..",
    ".",
    "a#b",
    "acme#mailbox#1",
    "%00",
    "\u00e9",
    "\u2028",
    "a/../b",
    "a b",
    "*",
    "x" * 2_000,
)


@pytest.mark.parametrize("key", REFUSING, ids=named)
def test_a_text_that_is_no_id_changes_nothing_and_asks_for_no_more(world, key):
    before = world.state()
    who = {"tenant": "other", "roles": "[admin]"}
    for name in CASES[key].ids(key[1]):
        _, asked = world.ask(key, world.ids["other"] | {name: NEVER[name]}, **who)
        for text in ODD:
            (status, *_), odd = world.ask(key, world.ids["other"] | {name: text}, **who)
            assert status in {CASES[key].unknown, 400}, (name, text)
            assert len(odd) <= len(asked), (name, text)
    assert world.state() == before


def page_of(world, key, *, tenant="acme", ids=None, user="ann", **query):
    roles = "[admin]" if user == "ann" else ""
    given = ids or world.ids[tenant]
    (status, _, _, text), _ = world.ask(
        key, given, query=query, tenant=tenant, user=user, roles=roles
    )
    return status, text


def token_of(world, key, **who):
    status, text = page_of(world, key, limit="1", **who)
    assert status == 200, text
    token = json.loads(text)["next"]
    assert token, f"{key}: the world has but one of it"
    return token


def test_a_page_token_of_another_tenant_or_list_or_with_a_bit_changed_is_refused(world):
    before = world.state()
    readable = [key for key in open_lists() if key[0] == "GET"]
    tokens = {key: token_of(world, key) for key in readable}
    for key in open_lists():
        for other, token in tokens.items():
            if other != key:
                assert page_of(world, key, next=token)[0] == 400, (key, other)
    for key, token in tokens.items():
        assert page_of(world, key, next=token)[0] == 200
        assert page_of(world, key, next=token, tenant="other")[0] == 400, key
        for at in range(len(token)):
            changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
            if at % 7 == 0:
                assert page_of(world, key, next=changed)[0] == 400, (key, at)
    of_cleo = ("GET", "/v1/contacts/{contact_id}/messages")
    other = world.ids["acme"] | {"contact_id": world.ids["acme"]["other_contact_id"]}
    assert page_of(world, of_cleo, ids=other, next=tokens[of_cleo])[0] == 400
    assert world.state() == before


def test_a_page_token_of_another_user_shows_nothing_that_is_not_their_own(world):
    """It holds a place in a list and not whose list it is (infra/decisions/0007)."""
    for key in (key for key in open_lists() if key[0] == "GET"):
        token = token_of(world, key)
        shown, own = (
            json.loads(page_of(world, key, user="bob", **query)[1]).get("items", [])
            for query in ({"next": token}, {})
        )
        assert [one for one in shown if one not in own] == [], key


def test_what_is_hidden_is_there_for_those_who_may(world):
    """Last: it changes the world, and deletes from it in the end."""

    def last_what_deletes(key):
        return key[0] == "DELETE" or key[1] == "/v1/erasures", -key[1].count("/")

    for key in sorted(WITH_IDS, key=last_what_deletes):
        (status, _, _, text), _ = world.ask(key, world.ids["acme"], roles="[admin]")
        assert status < 300 or status == 409, (key, text)


def subsets(names):
    return [
        chosen
        for length in range(1, len(names) + 1)
        for chosen in itertools.combinations(names, length)
    ]
