"""Who asks too often is told when there is room, and nobody else notices."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest

from shared.api.docs import openapi_json
from shared.api.limited_routes import LIMITED
from shared.domain.mail_server import Verdict
from shared.domain.rate_limits import RATES, Act
from tests.fakes.deployment import Deployment, function_of
from tests.fakes.mail import FOLDERS

BOX = "01JNA0000000000000000000B1"


@pytest.fixture
def app(monkeypatch):
    tester = SimpleNamespace(
        test_imap=lambda _: Verdict(folders=FOLDERS), test_smtp=lambda _: Verdict()
    )
    made = Deployment(tester=tester).install(monkeypatch)
    made.rate_limits.is_open = False
    return made


LOGIN = {"host": "imap.example.org", "username": "ann", "password": "not-a-real-one"}
KEY = {"Idempotency-Key": "a-key-of-the-callers"}
BOTH = {"imap": LOGIN, "smtp": LOGIN}
BODIES = {
    "/v1/mailboxes/test": BOTH,
    "/v1/mailboxes": {"address": "ann@ours.example", **BOTH},
    "/v1/mailboxes/<mailbox_id>/reconnect": BOTH,
    "/v1/mailboxes/authorize": {
        "provider": "gmail",
        "address": "ann@gmail.com",
        "return_url": "https://app.example/done",
    },
    "/v1/uploads": {
        "filename": "a.txt",
        "content_type": "text/plain",
        "size": 1,
        "sha256": "0" * 64,
    },
    "/v1/mailboxes/<mailbox_id>/test-messages": {},
    "/v1/sends": {"to": [{"address": "cleo@client.example"}], "subject": "Hi", "text": "Hi"},
}


def ask(app, method, route, **who):
    return app.ask(
        method, route.replace("<mailbox_id>", BOX), body=BODIES.get(route), headers=KEY, **who
    )


def use_up(app, act, tenant="acme", user="ann"):
    """Leave no room in a bucket; with None for the user in the tenant's."""
    rate = RATES[act][0 if user else 1]
    app.rate_limits.full_at[tenant, user, act] = app.clock.now() + rate.each * rate.burst


@pytest.mark.parametrize(("method", "route"), LIMITED, ids=" ".join)
def test_every_limited_route_is_refused_to_whoever_has_no_room(app, method, route):
    act = LIMITED[method, route]

    def is_let_in(**who):
        status = ask(app, method, route, **who).status
        assert status != 400
        return status != 429

    assert is_let_in()
    use_up(app, act)
    refused = ask(app, method, route)
    assert (refused.status, refused.json["code"]) == (429, "too_many_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= RATES[act][0].seconds_each
    assert is_let_in(user="bob")
    use_up(app, act, user=None)
    assert not is_let_in(user="bob")
    assert is_let_in(tenant="other")
    app.clock.at += timedelta(seconds=RATES[act][0].seconds_each)
    assert is_let_in()


def test_every_limited_route_is_one_there_is_and_none_is_read_mails():
    paths = json.loads(openapi_json())["paths"]
    for method, route in LIMITED:
        path = route.replace("<", "{").replace(">", "}")
        assert method.lower() in paths[path]
        assert function_of(method, route.replace("<mailbox_id>", BOX)) != "read_mail"


def test_a_burst_of_one_tenant_leaves_every_other_all_of_its_own(app):
    of_user, of_tenant = RATES[Act.SYNC]
    users = [f"user-{number}" for number in range(of_tenant.burst // of_user.burst + 2)]
    answers = [
        ask(app, "POST", "/v1/mailboxes/<mailbox_id>/sync", user=user).status
        for user in users
        for _ in range(of_user.burst)
    ]
    assert answers.count(404) == of_tenant.burst
    assert answers.count(429) == len(answers) - of_tenant.burst
    others = [
        ask(app, "POST", "/v1/mailboxes/<mailbox_id>/sync", tenant="small").status
        for _ in range(of_user.burst)
    ]
    assert others == [404] * of_user.burst


def test_who_is_nobody_or_asks_for_nothing_is_not_counted(app):
    assert app.ask("POST", f"/v1/mailboxes/{BOX}/sync", tenant="").status == 401
    assert app.ask("POST", "/v1/mailboxes/test", body={}).status == 400
    assert app.rate_limits.full_at == {}


def test_uploads_are_counted_by_the_megabyte_as_well(app):
    def is_let_in(size, **who):
        body = BODIES["/v1/uploads"] | {"size": size}
        answer = app.ask("POST", "/v1/uploads", body=body, **who)
        assert answer.status in {201, 429}
        return answer.status == 201

    largest = 18 * 1024 * 1024
    # Of 1,000 megabytes at once each of these begins 19.
    assert [is_let_in(largest) for _ in range(53)] == [True] * 52 + [False]
    assert is_let_in(12_000_000)
    assert not is_let_in(1)
    assert is_let_in(largest, user="bob")
    app.clock.advance(5)
    assert not is_let_in(1_000_001)
    assert is_let_in(1_000_000)
