"""What a tenant reads that has all it may have, through the real handlers and the real stores."""

import pytest

from shared.config import settings
from shared.domain.mailbox import Provider
from tests.functions.moto_stack import forget_adapters
from tests.functions.test_sign_ins import sign_in, signing_in  # noqa: F401 - a fixture

CAPPED = {"MAILROOM_MAILBOXES_OF_TENANT": "1", "MAILROOM_IMPORTS_OF_TENANT_A_DAY": "2"}


@pytest.fixture
def capped(stack, monkeypatch):
    """A deployment whose tenants may have one mailbox and two imports a day."""
    for name, value in CAPPED.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    forget_adapters()
    return stack


def test_one_mailbox_too_many_is_refused_and_whose_move_it_is_said(capped):
    first = capped.connect()
    login = {"host": "imap.example.org", "username": "bob", "password": "not-a-real-one"}
    body = {"address": "bob@ours.example", "imap": login, "smtp": login}
    refused = capped.ask("POST", "/v1/mailboxes", body=body)
    assert (refused.status, refused.json["code"]) == (409, "mailbox_limit_reached")
    assert refused.json["acts"] == "tenant_admin"
    assert "Disconnect one" in refused.json["fix"]
    assert capped.ask("DELETE", f"/v1/mailboxes/{first}").status == 204
    assert capped.ask("POST", "/v1/mailboxes", body=body).status == 201


def test_one_import_too_many_waits_for_the_next_day(capped):
    mailbox_id = capped.connect(backfill_days=30)
    backfills = f"/v1/mailboxes/{mailbox_id}/backfills"
    for expected in (201, 429):
        (open_one, *_) = capped.ask("GET", backfills).json["items"]
        capped.clock.advance(seconds=1)
        capped.ask("POST", f"{backfills}/{open_one['id']}/cancel")
        answer = capped.ask("POST", backfills, body={"days": 60})
        assert answer.status == expected, answer.text
    assert answer.json["code"] == "import_limit_reached"
    capped.clock.advance(seconds=int(answer.headers["Retry-After"]))
    assert capped.ask("POST", backfills, body={"days": 60}).status == 201


def test_who_signs_in_where_all_is_full_is_told_and_what_they_granted_is_withdrawn(
    signing_in,  # noqa: F811
    capped,
):
    accounts = signing_in.accounts[Provider.GMAIL]
    capped.connect()
    assert sign_in(capped)["mailroom_outcome"] == "mailbox_limit_reached"
    assert len(accounts.revoked) == 1
