"""Logins move to the table and back as the setting changes on a running stack, by roles that are checked."""

from datetime import timedelta

import pytest

from shared.aws.tables_of_logins import login_key
from shared.domain.ids import MailboxId, TenantId
from tests.e2e.test_main_job import fill, life, mail, now, until

__all__ = ["life", "now"]
pytestmark = pytest.mark.stack


class Places:
    """Where a mailbox's login is."""

    def __init__(self, life):
        self.stack, self.life = life.stack, life

    def in_secrets_manager(self):
        listed = self.stack.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
        return any(one["Name"].endswith(self.life.mailbox_id) for one in listed)

    def in_the_table(self):
        tenant = TenantId(f"tenant-{self.life.user}")
        key = login_key(tenant, MailboxId(self.life.mailbox_id))
        found = self.stack.client("dynamodb").get_item(
            TableName=self.stack.outputs["TableName"],
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
        )
        return found.get("Item", {})


@pytest.fixture
def set_store(stack):
    """Deploy again with another `CredentialStore`, and as it was at the end."""
    key = stack.client("kms").create_key()["KeyMetadata"]["KeyId"]
    before = dict(stack.more)

    def deploy(store):
        stack.more |= {"CredentialStore": store, "LoginKeyId": key}
        stack.start()

    yield deploy
    stack.more = before
    stack.start()


def test_a_login_is_sealed_used_and_taken_back_as_one_parameter_changes(life, now, set_store):
    places, at = Places(life), now - timedelta(hours=2)
    fill(life, now, 1)
    life.connect(days=7)
    life.imported()
    assert places.in_secrets_manager()
    assert not places.in_the_table()

    def arrives(number):
        life.server.append_many("INBOX", [(mail(number, at, to=life.user).as_bytes(), (), at)])
        life.sync_now()
        until(lambda: f"Message {number}" in life.subjects(), what="the mail")

    set_store("sealed")
    arrives(7)
    until(lambda: not places.in_secrets_manager(), what="the move to the table")
    item = places.in_the_table()
    assert "has_other" not in item
    assert b"not-a-real-password" not in item["sealed"]["B"]
    arrives(8)

    set_store("secrets")
    arrives(9)
    until(lambda: not places.in_the_table(), what="the move back")
    assert places.in_secrets_manager()
    assert life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}").status == 204
    assert not places.in_secrets_manager()
