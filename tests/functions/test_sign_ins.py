"""A sign-in through the real handlers and the real stores, on moto; only the provider is a fake."""

import json
from urllib.parse import parse_qsl, urlsplit

import boto3
import pytest

from shared import wiring
from shared.aws.oauth_clients import client_secret_name, written_client
from shared.domain.mailbox import Provider
from tests.fakes.deployment import http_event
from tests.fakes.sign_in import OURS

ANN = "ann@ours.example"


@pytest.fixture
def signing_in(stack, monkeypatch):
    stack.install_sign_ins(monkeypatch)
    stack.accounts[Provider.GMAIL].add(ANN)
    boto3.client("secretsmanager").create_secret(
        Name=client_secret_name("mailroom-test", Provider.GMAIL),
        SecretString=written_client(OURS).reveal(),
    )
    return stack


def sign_in(stack, *, tenant="acme", **body):
    accounts = stack.accounts[Provider.GMAIL]
    asked = {"provider": "gmail", "return_url": "https://app.example/", **body}
    begun = stack.ask("POST", "/v1/mailboxes/authorize", body=asked, tenant=tenant)
    assert begun.status == 200, begun.text
    query = accounts.allow(begun.json["authorize_url"], ANN)
    cookies = [begun.cookies[0].split(";")[0]]
    event = http_event("GET", "/v1/oauth/gmail/callback", query=query, cookies=cookies)
    where = urlsplit(stack.handle(event).headers["Location"])
    return dict(parse_qsl(where.query))


def table_text():
    return json.dumps(
        boto3.client("dynamodb").scan(TableName="mailroom-test")["Items"], default=str
    )


def names_of_secrets():
    listed = boto3.client("secretsmanager").list_secrets()["SecretList"]
    return [one["Name"] for one in listed]


def test_a_mailbox_is_connected_reconnected_and_disconnected_and_no_token_is_in_the_table(
    signing_in,
):
    stack, accounts = signing_in, signing_in.accounts[Provider.GMAIL]
    outcome = sign_in(stack, backfill_days=7)
    assert outcome["mailroom_outcome"] == "connected"
    box = outcome["mailbox_id"]
    shown = stack.ask("GET", f"/v1/mailboxes/{box}").json
    assert (shown["provider"], shown["address"], shown["imap"]) == ("gmail", ANN, None)
    kept = wiring.secrets().get("acme", box).secret.reveal()
    tokens = [*accounts.grants, *(one for one in kept.split('"') if "/" in one)]
    assert len(tokens) > 1
    assert not [token for token in tokens if token in table_text()]

    again = sign_in(stack, mailbox_id=box)
    assert again["mailroom_outcome"] == "connected"
    assert again["mailbox_id"] == box
    assert sign_in(stack)["mailroom_outcome"] == "already_connected"
    assert accounts.revoked == []

    assert stack.ask("DELETE", f"/v1/mailboxes/{box}").status == 204
    assert len(accounts.revoked) == 1
    assert not [name for name in names_of_secrets() if "/mailbox/" in name]
    assert "grant#" not in table_text()


def test_another_tenants_mailbox_of_the_same_account_lives_on(signing_in):
    first = sign_in(signing_in)["mailbox_id"]
    second = sign_in(signing_in, tenant="other")["mailbox_id"]
    assert signing_in.ask("DELETE", f"/v1/mailboxes/{first}").status == 204
    assert signing_in.accounts[Provider.GMAIL].revoked == []
    assert signing_in.ask("DELETE", f"/v1/mailboxes/{second}", tenant="other").status == 204
    assert len(signing_in.accounts[Provider.GMAIL].revoked) == 1
