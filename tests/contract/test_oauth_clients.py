"""Where this product's registrations at providers are kept, and what is no such registration."""

import io
import json

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber
from moto import mock_aws

from infra.tasks import oauth_client
from shared.aws.clients import Clients
from shared.aws.oauth_clients import (
    REMEMBERED_SECONDS,
    SecretsManagerOAuthClients,
    client_secret_name,
)
from shared.domain.errors import ConfigurationError, ErrorCode, RetryLaterError
from shared.domain.mailbox import Provider
from shared.domain.secret import Secret
from shared.ports.sign_in import OAuthClient
from tests.fakes.values import OTHER_TENANT, TENANT

GMAIL, OUTLOOK = Provider.GMAIL, Provider.OUTLOOK


class Ticking:
    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        return self.at


@pytest.fixture(scope="module")
def clients():
    return Clients(attempts=1)


@pytest.fixture
def ticking():
    return Ticking()


@pytest.fixture
def stored(clients, ticking):
    with mock_aws():
        yield SecretsManagerOAuthClients("mailroom-test", clients, ticking)


def put(monkeypatch, *arguments, secret="not-a-real-one", provider="gmail", client="ours"):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{secret}\n"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    given = ["--stage", "test", "--provider", provider, "--client-id", client, *arguments]
    return oauth_client.main(given)


def ids(stored, tenant=TENANT, provider=GMAIL, **how):
    return [client.client_id for client in stored.usable(tenant, provider, **how)]


def test_without_a_registration_nothing_is_usable(stored):
    assert stored.usable(TENANT, GMAIL) == []


def test_a_tenants_own_client_comes_before_the_operators(stored, monkeypatch):
    assert put(monkeypatch) == 0
    assert put(monkeypatch, "--tenant", TENANT, client="theirs", secret="of-theirs") == 0
    assert stored.usable(TENANT, GMAIL) == [
        OAuthClient("theirs", Secret("of-theirs")),
        OAuthClient("ours", Secret("not-a-real-one")),
    ]
    assert ids(stored, OTHER_TENANT) == ["ours"]
    assert ids(stored, TENANT, OUTLOOK) == []


def test_a_directory_is_kept_for_outlook_and_refused_for_gmail(stored, monkeypatch, capsys):
    assert put(monkeypatch, "--directory", "contoso.example", provider="outlook") == 0
    assert stored.usable(TENANT, OUTLOOK)[0].directory == "contoso.example"
    assert put(monkeypatch, "--directory", "contoso.example") == 1
    assert "only outlook" in capsys.readouterr().err
    assert ids(stored) == []


TOPIC = "projects/mail-room-1/topics/mailroom"


def test_a_topic_is_kept_for_gmail_and_nothing_else_is_one(stored, monkeypatch, capsys):
    assert put(monkeypatch, "--push-topic", TOPIC) == 0
    assert stored.usable(TENANT, GMAIL)[0].push_topic == TOPIC
    assert put(monkeypatch, "--push-topic", TOPIC, provider="outlook") == 1
    assert put(monkeypatch, "--push-topic", "mailroom") == 1
    assert capsys.readouterr().err.count("a topic is Gmail's") == 2
    assert ids(stored, TENANT, OUTLOOK) == []


@pytest.mark.parametrize("given", [{"secret": ""}, {"client": " "}])
def test_what_is_no_client_is_not_stored(stored, monkeypatch, given, capsys):
    assert put(monkeypatch, **given) == 1
    assert "Nothing was stored" in capsys.readouterr().err
    assert ids(stored) == []


def test_the_secret_is_in_no_output_and_a_new_one_replaces_it(stored, monkeypatch, capsys):
    put(monkeypatch)
    put(monkeypatch, secret="a-newer-one")
    written = capsys.readouterr()
    assert "not-a-real-one" not in written.out + written.err
    assert stored.usable(TENANT, GMAIL)[0].client_secret == Secret("a-newer-one")
    with pytest.raises(SystemExit):
        oauth_client.main(["--stage", "test", "--provider", "gmail", "--client-secret", "x"])


def test_a_client_is_remembered_for_minutes_and_asked_for_anew_on_demand(
    stored, monkeypatch, ticking
):
    put(monkeypatch)
    assert ids(stored) == ["ours"]
    put(monkeypatch, client="newer")
    assert ids(stored) == ["ours"]
    assert ids(stored, anew=True) == ["newer"]
    put(monkeypatch, client="newest")
    assert ids(stored) == ["newer"]
    ticking.at += REMEMBERED_SECONDS
    assert ids(stored) == ["newest"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        '"text"',
        "{}",
        json.dumps({"client_id": "a"}),
        json.dumps({"client_id": "a", "client_secret": " "}),
        json.dumps({"client_id": 5, "client_secret": "not-a-real-one"}),
        json.dumps({"client_id": "a", "client_secret": "not-a-real-one", "directory": None}),
        json.dumps({"client_id": "a", "client_secret": "not-a-real-one", "push_topic": 5}),
    ],
)
def test_a_malformed_secret_says_what_it_lacks_and_nothing_of_what_it_holds(stored, text):
    name = client_secret_name("mailroom-test", GMAIL)
    boto3.client("secretsmanager", region_name="eu-central-1").create_secret(
        Name=name, SecretString=text or " "
    )
    with pytest.raises(ConfigurationError) as refused:
        stored.usable(TENANT, GMAIL)
    assert refused.value.code is ErrorCode.CLIENT_MISSING
    assert "an OAuth client's secret" in refused.value.cause
    assert "not-a-real-one" not in refused.value.cause


def test_a_name_tells_no_tenant_and_no_two_share_one():
    names = {client_secret_name("p", GMAIL, tenant) for tenant in ("a", "A", "a/b", "../gmail")}
    assert len(names) == 4
    assert all(name.startswith("p/oauth/gmail/") and name.count("/") == 3 for name in names)
    with pytest.raises(ValueError, match="IMAP"):
        client_secret_name("p", Provider.IMAP)


def test_a_busy_store_is_no_missing_client(clients):
    store = SecretsManagerOAuthClients("p", clients)
    for fault in ("ThrottlingException", "InternalServiceError"):
        with Stubber(clients.secrets_manager) as stub:
            stub.add_client_error("get_secret_value", fault, http_status_code=400)
            with pytest.raises(RetryLaterError):
                store.usable(TENANT, GMAIL)


def test_a_store_out_of_reach_is_no_missing_client(clients, monkeypatch):
    def lost(**_):
        raise ReadTimeoutError(endpoint_url="https://x")

    monkeypatch.setattr(clients.secrets_manager, "get_secret_value", lost)
    with pytest.raises(RetryLaterError):
        SecretsManagerOAuthClients("p", clients).usable(TENANT, GMAIL)
