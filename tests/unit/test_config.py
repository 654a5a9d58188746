"""Settings name the variable that is wrong, and nothing is asked for before it is needed."""

import pytest

from shared.config import SettingError, Settings
from shared.domain.quotas import Quotas


def sending_limits(read: Settings) -> tuple[int, ...]:
    return (
        read.recipients_of_a_mail,
        read.recipients_of_mailbox_a_day,
        read.recipients_of_tenant_a_day,
        read.sends_of_mailbox_a_minute,
    )


def test_what_is_set_is_read():
    read = Settings(
        {
            "MAILROOM_TABLE": " t ",
            "MAILROOM_BUCKET": "b",
            "MAILROOM_SECRET_PREFIX": "mailroom-dev/",
            "MAILROOM_CREDENTIAL_STORE": "sealed",
            "MAILROOM_LOGIN_KEY": "arn:aws:kms:eu-central-1:000000000000:key/none",
            "MAILROOM_SYNC_QUEUE_URL": "s",
            "MAILROOM_CHUNK_QUEUE_URL": "c",
            "MAILROOM_ALLOW_PRIVATE_HOSTS": "True",
            "MAILROOM_EXTRA_MAIL_PORTS": "1143, 1025",
            "MAILROOM_EXTRA_CA_FILE": "ca.pem",
            "MAILROOM_REFUSED_NETWORKS": "203.0.113.0/24, 2001:db8::/32",
            "MAILROOM_SYNC_MINUTES": "15",
            "MAILROOM_TENANT_CLAIM": "org",
            "MAILROOM_ROLES_CLAIM": "groups",
            "MAILROOM_REDIRECT_URL": "https://api.example/",
            "MAILROOM_RETURN_ORIGINS": "https://a.example, https://b.example,",
            "MAILROOM_GRAPH_URL": "https://graph.example/",
            "MAILROOM_GMAIL_UNITS_PER_MINUTE": "15000",
            "MAILROOM_CHUNKS_OF_A_TENANT": "7",
            "MAILROOM_RECIPIENTS_OF_A_MAIL": "8",
            "MAILROOM_RECIPIENTS_OF_MAILBOX_A_DAY": "9",
            "MAILROOM_RECIPIENTS_OF_TENANT_A_DAY": "10",
            "MAILROOM_SENDS_OF_MAILBOX_A_MINUTE": "11",
            "MAILROOM_MAILBOXES_OF_TENANT": "12",
            "MAILROOM_RUNS_OF_MAILBOX_AN_HOUR": "300",
            "MAILROOM_IMPORTS_OF_TENANT_A_DAY": "13",
        }
    )
    assert (read.table, read.bucket, read.secret_prefix) == ("t", "b", "mailroom-dev")
    assert (read.credential_store, read.login_key[-8:]) == ("sealed", "key/none")
    assert read.queue_urls == {"sync": "s", "chunk": "c"}
    assert (read.allow_private_hosts, read.allow_plaintext) == (True, False)
    assert (read.extra_mail_ports, read.extra_ca_file) == (frozenset({1143, 1025}), "ca.pem")
    assert [str(one) for one in read.refused_networks] == ["203.0.113.0/24", "2001:db8::/32"]
    assert (read.sync_minutes, read.tenant_claim, read.roles_claim) == (15, "org", "groups")
    assert read.redirect_url == "https://api.example"
    assert read.return_origins == ("https://a.example", "https://b.example")
    assert (read.graph_url, read.gmail_units_per_minute) == ("https://graph.example", 15_000)
    assert read.chunks_of_a_tenant == 7
    assert sending_limits(read) == (8, 9, 10, 11)
    assert read.quotas == Quotas(mailboxes=12, imports_a_day=13)
    assert read.runs_of_mailbox_an_hour == 300


def test_what_is_left_out_has_a_default():
    read = Settings({})
    assert (read.extra_mail_ports, read.extra_ca_file, read.sync_minutes) == (frozenset(), None, 5)
    assert (read.tenant_claim, read.roles_claim) == ("tenant_id", "roles")
    assert read.refused_networks == ()
    assert not read.allow_untrusted_certificates
    assert (read.return_origins, read.gmail_units_per_minute) == ((), 6_000)
    assert read.chunks_of_a_tenant == 10
    assert sending_limits(read) == (100, 2_000, 20_000, 30)
    assert read.quotas == Quotas(mailboxes=1_000, imports_a_day=1_000)
    assert read.runs_of_mailbox_an_hour == 1_000
    assert not any(
        (read.google_url, read.google_sign_in_url, read.microsoft_login_url, read.graph_url)
    )


@pytest.mark.parametrize("name", ["table", "bucket", "secret_prefix", "redirect_url"])
def test_what_is_missing_is_named(name):
    with pytest.raises(SettingError, match=f"MAILROOM_{name.upper()} is not set"):
        getattr(Settings({}), name)


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("allow_plaintext", "MAILROOM_ALLOW_PLAINTEXT", "yes"),
        ("credential_store", "MAILROOM_CREDENTIAL_STORE", "Sealed"),
        ("sync_minutes", "MAILROOM_SYNC_MINUTES", "0"),
        ("sync_minutes", "MAILROOM_SYNC_MINUTES", "often"),
        ("gmail_units_per_minute", "MAILROOM_GMAIL_UNITS_PER_MINUTE", "lots"),
        ("chunks_of_a_tenant", "MAILROOM_CHUNKS_OF_A_TENANT", "0"),
        ("recipients_of_a_mail", "MAILROOM_RECIPIENTS_OF_A_MAIL", "0"),
        ("quotas", "MAILROOM_MAILBOXES_OF_TENANT", "0"),
        ("quotas", "MAILROOM_IMPORTS_OF_TENANT_A_DAY", "many"),
        ("extra_mail_ports", "MAILROOM_EXTRA_MAIL_PORTS", "1143,x"),
        ("extra_mail_ports", "MAILROOM_EXTRA_MAIL_PORTS", "65536"),
        ("refused_networks", "MAILROOM_REFUSED_NETWORKS", "203.0.113.1/24"),
    ],
)
def test_what_is_wrong_is_named(name, variable, value):
    with pytest.raises(SettingError, match=variable):
        getattr(Settings({variable: value}), name)
