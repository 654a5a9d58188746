"""Mailboxes that drills need, connected as a person does, each at its first use."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from infra.local.mail_providers import CLIENT_ID, CLIENT_SECRET
from shared.aws.queues import encode_audit, encode_send, encode_sync
from shared.aws.tables import unescape
from shared.domain.run import RunReason
from shared.domain.send_outcomes import DEATHS_BORNE
from shared.ports.queues import AuditRequest, SendRequest, SyncRequest
from tests.e2e.test_main_job import PASSWORD, Life, fill, until
from tests.e2e.test_sending import Desk
from tests.e2e.test_sign_ins import Life as SignedIn
from tests.e2e.test_sign_ins import Provider

FLEET = 5


def path_of(life):
    return f"/v1/mailboxes/{life.mailbox_id}"


class Mailboxes:
    """What is connected on one ground, by name."""

    def __init__(self, ground):
        self.ground = ground
        self._made = {}
        self._lock = threading.Lock()

    def imap(self, name, *, messages=0):
        """A mailbox at the IMAP server, imported."""
        return self._once(name, lambda: self._connect_imap(name, messages))

    def fleet(self):
        """Several at the IMAP server."""
        names = [f"fleet-{number}" for number in range(FLEET)]
        with ThreadPoolExecutor(FLEET) as pool:
            return list(pool.map(self.imap, names))

    def desk(self):
        """A mailbox to write from."""
        return Desk(self.imap("desk"))

    def signed_in(self, provider, name):
        """A mailbox at Gmail or Outlook."""
        return self._once((provider, name), lambda: self._sign_in(provider, name))

    def _once(self, name, make):
        with self._lock:
            lock, _ = self._made.setdefault(name, (threading.Lock(), []))
        with lock:
            _, made = self._made[name]
            if not made:
                made.append(make())
            return made[0]

    def _connect_imap(self, name, messages):
        ground, user = self.ground, f"{name}@mailroom.test"
        ground.dovecot.add_user(user, PASSWORD)
        api = ground.stack.as_user("drill", "ada", "admin")
        life = Life(ground.stack, ground.dovecot, ground.submission, api, user)
        if messages:
            fill(life, datetime.now(UTC).replace(microsecond=0), messages)
        life.connect(days=30 if messages else 0)
        if messages:
            life.imported()
        until(lambda: life.mailbox()["last_synced_at"], what="the first sync")
        return life

    def _sign_in(self, provider, name):
        simulator = self.simulator(provider)
        words = ("Continue", "Cancel", "user", "invalid_credentials_401")
        if provider == "outlook":
            words = ("Accept", "Cancel", "admin", "unauthorized")
        api = self.ground.stack.as_user("drill", "ada", "admin")
        life = SignedIn(
            self.ground.stack,
            Provider(provider, simulator, *words),
            api,
            f"{name}@{provider}.example",
        )
        life.connect(days=0)
        until(lambda: life.mailbox()["last_synced_at"], what="the first sync")
        return life

    # ---- what is done to them ----

    def simulator(self, provider):
        providers = self.ground.providers
        return providers.google if provider == "gmail" else providers.microsoft

    def ask_all(self, lives):
        """Ask for a sync of each, and do not wait for it."""
        with ThreadPoolExecutor(len(lives)) as pool:
            list(pool.map(lambda life: life.api("POST", f"{path_of(life)}/sync"), lives))

    def reject_client(self, provider, name):
        """The operator's secret at the provider is another one by now; a sync meets that."""
        life = self.signed_in(provider, name)
        self.simulator(provider).change_client(CLIENT_ID, client_secret="renewed by somebody")
        life.arm(life.provider.refuses_token)
        self.ask_all([life])

    def accept_client(self, provider):
        self.simulator(provider).change_client(CLIENT_ID, client_secret=CLIENT_SECRET)
        self.simulator(provider).faults.clear()

    def state_item(self, life):
        """The item that says when the mailbox was in sync."""
        table = self.ground.client("dynamodb")
        pages = table.get_paginator("scan").paginate(
            TableName=self.ground.stack.outputs["TableName"],
            FilterExpression="contains(sk, :mailbox) AND attribute_exists(last_synced_at)",
            ExpressionAttributeValues={":mailbox": {"S": life.mailbox_id}},
        )
        return [item for page in pages for item in page["Items"]]

    def age(self, lives, *, hours):
        """Have hours pass since these were in sync."""
        then = datetime.now(UTC) - timedelta(hours=hours)
        self._set_in_state(lives, "last_synced_at", {"S": f"{then:%Y-%m-%dT%H:%M:%S.%f+0000}"})

    def last_heard(self, lives, *, hours):
        """Have hours pass since the providers of these told of a change."""
        then = datetime.now(UTC) - timedelta(hours=hours)
        self._set_in_state(lives, "heard_at", {"N": str(int(then.timestamp()))})

    def _set_in_state(self, lives, name, value):
        for life in lives:
            for item in self.state_item(life):
                self.ground.client("dynamodb").update_item(
                    TableName=self.ground.stack.outputs["TableName"],
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression="SET #name = :value",
                    ExpressionAttributeNames={"#name": name},
                    ExpressionAttributeValues={":value": value},
                )

    def poll(self, lives):
        """Ask as the schedule does."""
        for life in lives:
            request = SyncRequest("drill", life.mailbox_id, RunReason.SCHEDULE)
            self.ground.put("sync", encode_sync(request))

    def kill_workers_of(self, life, send):
        """Have five workers in a row ended amid one mail, as one after the other would be found."""
        table, name = self.ground.client("dynamodb"), self.ground.stack.outputs["TableName"]
        pages = table.get_paginator("scan").paginate(
            TableName=name,
            FilterExpression="send_id = :send AND attribute_exists(due_key)",
            ExpressionAttributeValues={":send": {"S": send["id"]}},
        )
        (item,) = (item for page in pages for item in page["Items"])
        before = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
        document = json.loads(item["document"]["S"])
        document |= {"due": before, "deaths": DEATHS_BORNE - 1, "attempt_ends": before}
        item["document"]["S"] = json.dumps(document)
        table.put_item(TableName=name, Item=item)
        request = SendRequest(self.tenant_of(item), life.mailbox_id, send["id"])
        self.ground.put("outbound", encode_send(request))

    @staticmethod
    def tenant_of(item):
        return unescape(item["pk"]["S"].partition("#")[0])

    def lose_newest_copy(self, life):
        """Take a stored message out of the table behind the product's back, and audit."""
        table, name = self.ground.client("dynamodb"), self.ground.stack.outputs["TableName"]
        pages = table.get_paginator("scan").paginate(
            TableName=name,
            FilterExpression="contains(pk, :mailbox) AND begins_with(sk, :copy)",
            ExpressionAttributeValues={
                ":mailbox": {"S": f"#mailbox#{life.mailbox_id}"},
                ":copy": {"S": "copy#"},
            },
        )
        newest = max(
            (item for page in pages for item in page["Items"]),
            key=lambda item: item["date_sk"]["S"],
        )
        table.delete_item(TableName=name, Key={"pk": newest["pk"], "sk": newest["sk"]})
        tick = AuditRequest(self.tenant_of(newest), life.mailbox_id, datetime.now(UTC))
        self.ground.put("plan", encode_audit(tick))
