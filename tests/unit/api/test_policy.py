"""The tenant's policy through the handlers, on in-memory stores."""

import pytest

POLICY = {
    "own_domains": ["Ours.example"],
    "blocklist": ["*@Spam.example", "news-*@shop.example"],
    "automated": "skip",
    "plus_tags": "fold",
    "dots": "keep",
}
SHOWN = {
    **POLICY,
    "own_domains": ["ours.example"],
    "blocklist": ["spam.example", "news-*@shop.example"],
    "version": 1,
}


def put(app, body=POLICY, *, if_match=None, **who):
    headers = {"if-match": if_match} if if_match else {}
    return app.ask("PUT", "/v1/policy", body=body, headers=headers, **{"roles": "admin", **who})


def test_before_it_is_chosen_nothing_is_kept_out(app):
    assert app.ask("GET", "/v1/policy").json == {
        "own_domains": [], "blocklist": [], "automated": "store", "plus_tags": "keep",
        "dots": "keep", "version": 0,
    }  # fmt: skip


def test_an_administrator_changes_it_and_every_user_of_the_tenant_alone_reads_it(app):
    assert put(app).json == SHOWN
    assert app.ask("GET", "/v1/policy").json == SHOWN
    assert app.ask("GET", "/v1/policy", tenant="other").json["version"] == 0
    assert put(app, {}).json["blocklist"] == [], "what is left out is as before the first"


def test_nobody_else_changes_it(app):
    answer = put(app, roles="")
    assert (answer.status, answer.json["code"]) == (403, "admin_required")
    assert app.ask("GET", "/v1/policy").json["version"] == 0


def test_two_who_change_it_at_once_do_not_undo_each_other(app):
    assert put(app, if_match='"0"').status == 200
    answer = put(app, {}, if_match='"0"')
    assert (answer.status, answer.json["code"]) == (409, "version_conflict")
    assert put(app, {}, if_match='"1"').json["version"] == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"own_domains": ["gmail.com"]}, "own_domains.0"),
        ({"own_domains": ["x.example"] * 201}, "own_domains"),
        ({"blocklist": ["ok.example", "*"]}, "blocklist.1"),
        ({"blocklist": "ads.example"}, "blocklist"),
        ({"automated": "drop"}, "automated"),
        ({"plus_tags": True}, "plus_tags"),
        ({"own_domain": []}, "own_domain"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(app, body, field):
    answer = put(app, body)
    assert (answer.status, answer.json["code"]) == (400, "invalid_request")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [one["field"] for one in answer.json["errors"]] == [field]
