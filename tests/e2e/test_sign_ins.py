"""Gmail and Outlook over HTTP on the local stack: sign in as a person does, import, sync, break, reconnect.

Every scenario runs at both providers: what differs between them is in `Provider` and nowhere else.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import pytest

from infra.local.mail_providers import CLIENT_ID, CLIENT_SECRET
from infra.simulators.kit.mailbox import Delivery
from tests.e2e.conftest import FRONT_END
from tests.e2e.person import Person
from tests.e2e.test_main_job import until

CUSTOMER = "kim@customer.example"
BACK = f"{FRONT_END}/settings/mail"


@dataclass
class Provider:
    """One of the simulators, and its words for what both do."""

    name: str
    simulator: Any
    allow: str
    deny: str
    revoked: str
    """Its reason for a grant that its owner or an administrator withdrew."""
    refuses_token: str
    """The fault that does not take an access token any more."""

    def add_user(self, address):
        self.simulator.add_user(address, name=address.partition("@")[0])


class Life:
    """One account at a provider, and its mailbox as the user sees it."""

    def __init__(self, stack, provider, api, address):
        self.stack, self.provider, self.api, self.address = stack, provider, api, address
        self.person = Person(FRONT_END)
        self.mailbox_id = None
        self.fault_of_a_token = False
        provider.add_user(address)
        self.mail = provider.simulator.mail(address)

    # ---- signing in ----

    def begin(self, **wishes):
        body = {"provider": self.provider.name, "return_url": BACK, **wishes}
        answer = self.api("POST", "/v1/mailboxes/authorize", body)
        assert answer.status == 200, answer.body
        return answer

    def sign_in(self, begun, *, account=None, press=None, same_browser=True):
        """Go where the API sends us, choose, press, and come back; returns where we arrive."""
        person = self.person if same_browser else Person(FRONT_END)
        if same_browser:
            person.take_cookie(self.stack.api_url, begun.headers.get("Set-Cookie"))
        page = person.open(begun.body["authorize_url"])
        button = press or self.provider.allow
        return person.choose(page, account=account or self.address, button=button)

    def connect(self, days=30, **wishes):
        back = self.sign_in(self.begin(backfill_days=days, **wishes))
        assert back.query.get("mailroom_outcome") == "connected", back
        self.mailbox_id = back.query["mailbox_id"]
        return back

    # ---- what the user sees ----

    def mailbox(self):
        return self.api("GET", f"/v1/mailboxes/{self.mailbox_id}").body

    def imported(self):
        path = f"/v1/mailboxes/{self.mailbox_id}/backfills"
        return until(
            lambda: (b := self.api("GET", path).body["items"][0])["state"] == "done" and b,
            what="the import",
        )

    def messages(self):
        found, token = [], ""
        while token is not None:
            query = f"?mailbox_id={self.mailbox_id}&limit=100{token and '&next=' + token}"
            page = self.api("GET", f"/v1/messages{query}").body
            found += page["items"]
            token = page["next"]
        return found

    def subjects(self):
        return sorted(message["subject"] for message in self.messages())

    def sync_now(self):
        answer = self.api("POST", f"/v1/mailboxes/{self.mailbox_id}/sync")
        assert answer.status == 202, answer.body
        path = f"/v1/mailboxes/{self.mailbox_id}/runs/{answer.body['run_id']}"
        return until(lambda: (r := self.api("GET", path)).status == 200 and r.body, what="the run")

    def wish_to_sync(self):
        """For what stops the mailbox: a pushed run may do so before this one comes to its turn."""
        assert self.api("POST", f"/v1/mailboxes/{self.mailbox_id}/sync").status in {202, 409}

    def arm(self, fault, *, times=None, **given):
        self.provider.simulator.faults.arm(fault, times=times, user=self.address, **given)

    def use_up_the_access_token(self):
        """As an hour does."""
        self.arm(self.provider.refuses_token, times=1)

    def error(self):
        return self.mailbox()["latest_error"]["inbound"]

    # ---- what the provider holds ----

    def fill(self, count, *, folder=None, start=0, days_apart=1.0):
        now = datetime.now(UTC).replace(microsecond=0)
        dates = [now - timedelta(days=n * days_apart, hours=1) for n in range(count)]
        return self.mail.deliver_all(
            [
                Delivery(mail(start + n, at, to=self.address), (folder,) if folder else (), at)
                for n, at in enumerate(dates)
            ]
        )

    def held_there(self):
        """Message-IDs the provider holds where we look, each once."""
        names = self.mail.folders()
        left_out = {"TRASH", "SPAM", "DRAFT", "Deleted Items", "Junk Email", "Drafts"}
        return sorted(
            one.internet_message_id.strip("<>")
            for one in self.mail.messages()
            if not {names.get(folder, folder) for folder in one.folders} & left_out
        )

    def held_here(self):
        return sorted(message["internet_message_id"].strip("<>") for message in self.messages())


def mail(number, at, *, sender=CUSTOMER, to):
    message = EmailMessage()
    message["From"], message["To"] = sender, to
    message["Subject"] = f"Message {number}"
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{number}.{to}>"
    message.set_content(f"Text of {number}\n")
    return message.as_bytes()


@pytest.fixture(params=["gmail", "outlook"])
def provider(request, providers):
    """Each of the two, unless a test names one."""
    if request.param == "gmail":
        return Provider(
            "gmail", providers.google, "Continue", "Cancel", "user", "invalid_credentials_401"
        )
    return Provider("outlook", providers.microsoft, "Accept", "Cancel", "admin", "unauthorized")


@pytest.fixture
def life(stack, provider, request):
    life = life_of(stack, provider, request)
    # Here a test says when a run begins; what a push brings is tried in test_push.
    life.arm("push_lost")
    return life


def life_of(stack, provider, request):
    digest = hashlib.sha256(request.node.name.encode()).hexdigest()[:10]
    api = stack.as_user(f"tenant-{digest}", "ada", "admin")
    return Life(stack, provider, api, f"u{digest}@{provider.name}.example")


@pytest.fixture(autouse=True)
def _no_fault_outlives_its_test(providers):
    yield
    for simulator in (providers.google, providers.microsoft):
        simulator.faults.clear()


# ---- connecting ----


def test_a_person_signs_in_and_sees_a_customers_mail_on_the_contact(life):
    life.fill(12)
    life.connect(days=30)
    backfill = life.imported()
    assert backfill["listed"] == backfill["stored"] == 12
    assert life.held_here() == life.held_there()
    life.api("PUT", "/v1/contacts/kim", {"name": "Kim", "addresses": [CUSTOMER]})
    timeline = life.api("GET", "/v1/contacts/kim/messages?limit=50").body["items"]
    assert [message["subject"] for message in timeline] == [f"Message {n}" for n in range(12)]
    assert life.mailbox()["address"] == life.address
    assert life.mailbox()["status"] == "active"


def test_a_front_end_on_another_site_confirms_as_the_one_who_began(life):
    begun = life.begin(backfill_days=0)
    back = life.sign_in(begun, same_browser=False)
    assert back.query["mailroom_outcome"] == "confirm"
    stranger = life.stack.as_user("another-tenant", "eve", "admin")
    refused = stranger("POST", "/v1/mailboxes/authorize/complete", back.fragment)
    assert (refused.status, refused.body["code"]) == (403, "attempt_not_yours")
    assert life.api("GET", "/v1/mailboxes").body["items"] == []
    done = life.api("POST", "/v1/mailboxes/authorize/complete", back.fragment)
    assert (done.status, done.body["status"]) == (201, "active")


def test_an_attackers_sign_in_finished_in_a_victims_browser_connects_nothing(life):
    victim = Person(FRONT_END)
    begun = life.begin()
    page = victim.open(begun.body["authorize_url"])
    back = victim.choose(page, account=life.address, button=life.provider.allow)
    assert back.query["mailroom_outcome"] == "confirm"
    assert life.api("GET", "/v1/mailboxes").body["items"] == []


def test_who_declines_is_told_so_and_may_try_again(life):
    back = life.sign_in(life.begin(), press=life.provider.deny)
    assert back.query["mailroom_outcome"] == "consent_declined"
    life.connect(days=0)


def test_an_account_is_connected_once(life):
    life.connect(days=0)
    back = life.sign_in(life.begin())
    assert back.query["mailroom_outcome"] == "already_connected"
    assert len(life.api("GET", "/v1/mailboxes").body["items"]) == 1


def test_coming_back_twice_connects_once_and_says_the_same(life):
    begun = life.begin()
    back = life.sign_in(begun)
    log = life.provider.simulator.log
    before = len(log.entries())
    page = life.person.open(begun.body["authorize_url"])
    again = life.person.choose(page, account=life.address, button=life.provider.allow)
    assert again.query == back.query
    redeemed = [one for one in log.entries()[before:] if "token" in one.route]
    assert redeemed == []


def test_a_state_nobody_gave_out_leads_nowhere(life):
    for query in ("", "?state=x&code=y", "?state=x&error=access_denied"):
        page = life.person.open(
            f"{life.stack.api_url}/v1/oauth/{life.provider.name}/callback{query}"
        )
        assert page.status == 400
        assert "http" not in page.text.replace("http-equiv", "")


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_back_to_an_address_that_is_not_on_the_list(life, url):
    answer = life.api(
        "POST", "/v1/mailboxes/authorize", {"provider": life.provider.name, "return_url": url}
    )
    assert (answer.status, answer.body["code"]) == (400, "return_url_not_allowed")


# ---- staying in sync ----


def test_what_changes_at_the_provider_arrives_and_nothing_is_lost_or_doubled(life):
    ids = life.fill(4)
    life.connect(days=30)
    life.imported()
    life.fill(1, start=100)
    life.mail.set_flags(ids[0], seen=True)
    deals = life.mail.create_folder("Deals")
    life.mail.move(ids[1], deals)
    life.mail.trash(ids[2])
    life.mail.delete(ids[3])
    life.sync_now()
    until(lambda: life.held_here() == life.held_there(), what="the same mail on both sides")
    by_subject = {message["subject"]: message["mailboxes"] for message in life.messages()}
    assert sorted(by_subject) == ["Message 0", "Message 1", "Message 100"]
    assert by_subject["Message 0"][0]["seen"] is True
    folders = life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/folders").body["items"]
    names = {one["id"]: one["name"] for one in folders}
    assert [names[one["folder_id"]] for one in by_subject["Message 1"]] == ["Deals"]


def test_what_was_deleted_at_the_provider_stays_in_the_crm(life):
    (name,) = life.fill(1)
    life.connect(days=30)
    life.imported()
    life.api("PUT", "/v1/contacts/kim", {"name": "Kim", "addresses": [CUSTOMER]})
    life.mail.delete(name)
    life.sync_now()
    timeline = life.api("GET", "/v1/contacts/kim/messages").body["items"]
    assert [message["subject"] for message in timeline] == ["Message 0"]


# ---- when it breaks ----


def test_a_withdrawn_grant_stops_the_mailbox_once_and_a_new_sign_in_goes_on_from_there(life):
    life.fill(3)
    life.connect(days=30)
    life.imported()
    life.provider.simulator.revoke_grants(life.address, life.provider.revoked)
    life.use_up_the_access_token()
    life.fill(1, start=50)
    life.wish_to_sync()
    until(lambda: life.mailbox()["status"] == "reconnect_required", what="reconnect_required")
    error = life.error()
    assert (error["code"], error["acts"], error["count"]) == ("grant_revoked", "user", 1)
    life.provider.simulator.faults.clear()
    other = f"other-{life.address}"
    life.provider.add_user(other)
    refused = life.sign_in(life.begin(mailbox_id=life.mailbox_id), account=other)
    assert refused.query["mailroom_outcome"] == "wrong_mailbox"
    assert life.mailbox()["status"] == "reconnect_required"
    back = life.sign_in(life.begin(mailbox_id=life.mailbox_id))
    assert back.query["mailroom_outcome"] == "connected"
    assert back.query["mailbox_id"] == life.mailbox_id
    until(lambda: life.held_here() == life.held_there(), what="the mail of the time between")
    assert life.mailbox()["latest_error"]["inbound"] is None
    assert len(life.api("GET", f"/v1/mailboxes/{life.mailbox_id}/backfills").body["items"]) == 1


def test_our_own_clients_wrong_secret_parks_no_mailbox_and_is_mended_in_one_place(life):
    life.fill(1)
    life.connect(days=30)
    life.imported()
    client = life.provider.simulator
    client.change_client(CLIENT_ID, client_secret="renewed by the operator")
    try:
        life.use_up_the_access_token()
        life.sync_now()
        error = until(life.error, what="the error")
        assert (error["code"], error["acts"]) == ("client_rejected", "operator")
        assert life.mailbox()["status"] == "active"
    finally:
        client.change_client(CLIENT_ID, client_secret=CLIENT_SECRET)
    life.sync_now()
    until(lambda: life.error() is None, what="recovery without anybody's sign-in")


def test_a_token_that_ends_amid_the_work_is_renewed_unseen(life):
    life.fill(5)
    life.connect(days=30)
    life.imported()
    life.fill(1, start=50)
    life.use_up_the_access_token()
    life.sync_now()
    until(lambda: life.held_here() == life.held_there(), what="the new mail")
    assert life.error() is None


@pytest.mark.parametrize(
    ("fault", "given", "code", "acts", "status"),
    [
        ("backend_error", {}, "provider_unavailable", "provider", "active"),
        ("html", {}, "provider_unavailable", "provider", "active"),
        ("cut_body", {}, "connection_dropped", "provider", "active"),
        ("redirect", {}, "answer_not_understood", "provider", "active"),
        ("rate_limit_403", {"retry_after": 1}, "rate_limited", "time", "active"),
        ("daily_limit_403", {}, "daily_limit_reached", "operator", "active"),
        ("domain_policy_403", {}, "access_blocked", "tenant_admin", "active"),
        ("api_disabled_403", {}, "api_not_enabled", "operator", "active"),
        ("mail_not_enabled_400", {}, "provider_api_disabled", "tenant_admin", "active"),
        ("insufficient_scope_403", {}, "scope_missing", "user", "reconnect_required"),
    ],
)
@pytest.mark.parametrize("provider", ["gmail"], indirect=True)
def test_each_refusal_of_gmail_is_told_and_passes(life, fault, given, code, acts, status):
    told_and_passed(life, fault, given, code, acts, status)


@pytest.mark.parametrize(
    ("fault", "given", "code", "acts", "status"),
    [
        ("unavailable", {"retry_after": None}, "provider_unavailable", "provider", "active"),
        ("html", {}, "provider_unavailable", "provider", "active"),
        ("cut_body", {}, "connection_dropped", "provider", "active"),
        ("locked", {}, "provider_unavailable", "provider", "active"),
        ("throttled", {"retry_after": 1}, "rate_limited", "time", "active"),
        ("mailbox_not_enabled", {}, "provider_api_disabled", "tenant_admin", "active"),
        # Exchange says the same of a permission that is missing and of other things: a doubt.
        ("forbidden", {}, "scope_missing", "user", "active"),
    ],
)
@pytest.mark.parametrize("provider", ["outlook"], indirect=True)
def test_each_refusal_of_graph_is_told_and_passes(life, fault, given, code, acts, status):
    told_and_passed(life, fault, given, code, acts, status)


@pytest.mark.parametrize(
    ("fault", "given", "code", "acts", "status"),
    [
        ("token_revoked", {}, "grant_revoked", "user", "reconnect_required"),
        ("token_invalid_rapt", {}, "sign_in_required", "user", "reconnect_required"),
        ("token_admin_policy_enforced", {}, "access_blocked", "tenant_admin", "active"),
        ("token_invalid_client", {}, "client_rejected", "operator", "active"),
        ("token_unavailable", {}, "provider_unavailable", "provider", "active"),
    ],
)
@pytest.mark.parametrize("provider", ["gmail"], indirect=True)
def test_each_answer_of_googles_token_endpoint_is_told_and_passes(
    life, fault, given, code, acts, status
):
    life.fault_of_a_token = True
    told_and_passed(life, fault, given, code, acts, status)


@pytest.mark.parametrize(
    ("number", "code", "acts", "status"),
    [
        (700082, "grant_expired", "user", "reconnect_required"),
        (50173, "grant_revoked", "user", "reconnect_required"),
        (50076, "sign_in_required", "user", "reconnect_required"),
        (53003, "access_blocked", "tenant_admin", "active"),
        (90094, "admin_consent_required", "tenant_admin", "active"),
        (7000222, "client_rejected", "operator", "active"),
    ],
)
@pytest.mark.parametrize("provider", ["outlook"], indirect=True)
def test_each_answer_of_entras_token_endpoint_is_told_and_passes(life, number, code, acts, status):
    life.fault_of_a_token = True
    told_and_passed(life, "token_error", {"number": number}, code, acts, status)


def told_and_passed(life, fault, given, code, acts, status):
    """Have a fault strike a connected mailbox, see it told, mend it, and see the mail of the time between."""
    life.fill(1)
    life.connect(days=30)
    life.imported()
    life.fill(1, start=9)
    if life.fault_of_a_token:
        life.arm(life.provider.refuses_token)
        life.provider.simulator.faults.arm(fault, times=None, route="token", **given)
    else:
        life.arm(fault, **given)
    life.wish_to_sync()
    error = until(life.error, what="the error")
    assert (error["code"], error["acts"], life.mailbox()["status"]) == (code, acts, status)
    life.provider.simulator.faults.clear()
    if status == "reconnect_required":
        back = life.sign_in(life.begin(mailbox_id=life.mailbox_id))
        assert back.query["mailroom_outcome"] == "connected"
    else:
        until(lambda: life.sync_now()["code"] is None, what="a run that ends well")
    until(lambda: life.held_here() == life.held_there(), what="the mail of the time between")
    assert life.error() is None


# ---- the end ----


def test_disconnecting_ends_access_and_keeps_the_history(life):
    life.fill(2)
    life.connect(days=30)
    life.imported()
    answer = life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}")
    assert answer.status == 204
    assert life.mailbox()["status"] == "disconnected"
    secrets = life.stack.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
    assert not [one for one in secrets if one["Name"].endswith(life.mailbox_id)]
    if life.provider.name == "gmail":
        routes = [one.route for one in life.provider.simulator.log.entries()]
        assert "oauth.revoke" in routes
        assert life.provider.simulator.revoke_grants(life.address) == 0
    life.api("PUT", "/v1/contacts/kim", {"name": "Kim", "addresses": [CUSTOMER]})
    timeline = life.api("GET", "/v1/contacts/kim/messages").body["items"]
    assert len(timeline) == 2


@pytest.mark.parametrize("provider", ["outlook"], indirect=True)  # Gmail's: test_canaries.py
def test_no_secret_of_a_sign_in_is_in_a_log_a_queue_or_the_table(life):
    life.fill(2)
    life.connect(days=30)
    life.imported()
    client = life.stack.client("secretsmanager")
    names = [one["Name"] for one in client.list_secrets(MaxResults=100)["SecretList"]]
    (name,) = [one for one in names if one.endswith(life.mailbox_id)]
    text = client.get_secret_value(SecretId=name)["SecretString"]
    tokens = set(re.findall(r"[A-Za-z0-9._~/+-]{40,}", text))
    assert len(tokens) >= 2
    life.api("DELETE", f"/v1/mailboxes/{life.mailbox_id}")
    table = life.stack.outputs["TableName"]
    items = life.stack.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    written = [path.read_text(errors="replace") for path in life.stack.paths.logs.iterdir()]
    written += [str(page["Items"]) for page in items]
    assert life.mailbox_id in "".join(written)
    assert [len(token) for token in tokens for text in written if token in text] == []
