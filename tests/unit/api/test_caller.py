"""What a token says of its bearer, as a front end learns it."""

import pytest

ME = "/v1/me"


@pytest.mark.parametrize(
    ("who", "is_admin"),
    [
        ({"user": "ann", "roles": "admin"}, True),
        ({"user": "ann", "roles": "[reader]"}, False),
        ({"user": "ann", "roles": None}, False),
    ],
)
def test_a_caller_learns_who_they_are(app, who, is_admin):
    answer = app.ask("GET", ME, tenant="acme", **who)
    assert answer.status == 200
    assert answer.json == {"tenant_id": "acme", "user_id": "ann", "is_admin": is_admin}
    # The next to ask may be somebody else, in the same browser.
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_token_without_a_tenant_is_nobodys(app):
    answer = app.ask("GET", ME, tenant=" ")
    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")


def test_nothing_is_read_for_it(app, monkeypatch):
    for port in ("mailboxes", "mail_reader", "audits", "runs"):
        monkeypatch.setattr(f"shared.wiring.{port}", None)
    assert app.ask("GET", ME).status == 200
