"""Every route of the contract with the ids it takes, and a world of two tenants to ask it about.

A route that is added needs a line in `CASES`; `test_all_routes.py` fails until it has one.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import boto3
import requests

from shared.api.docs import openapi_json
from shared.aws.oauth_clients import client_secret_name, written_client
from shared.domain.mailbox import Provider
from tests.fakes.sign_in import OURS
from tests.functions.everything import everything
from tests.functions.moto_stack import Stack, kept_clients

Key = tuple[str, str]
LOGIN = {"host": "imap.example.org", "username": "ann", "password": "not-a-real-one"}
CONTRACT = json.loads(openapi_json())
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in CONTRACT["paths"].items()
    for method, operation in operations.items()
}


@dataclass(frozen=True)
class Case:
    """How a route is asked. `{name}` in query and body is an id, as it is in the path."""

    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    unknown: int = 404
    """What an id is answered with that never was."""

    def ids(self, path: str) -> tuple[str, ...]:
        """The names of the ids it takes."""
        found = re.findall(r"\{(\w+)\}", f"{path} {self.query} {self.body}")
        return tuple(dict.fromkeys(name for name in found if name != "n"))


MAILBOX = "/v1/mailboxes/{mailbox_id}"
CONTACT = "/v1/contacts/{contact_id}"
THREAD_LEVEL = "/v1/threads/{thread_id}/visibility"
MAKES = {"name": "Made", "addresses": ["made@client.example"]}
SENDS = f"{MAILBOX}/sends"
MAIL_OUT = {"to": [{"address": "cleo@client.example"}], "subject": "Offer", "text": "Dear Cleo"}
CASES: dict[Key, Case] = {
    ("GET", "/v1/activity"): Case(),
    ("GET", "/v1/contacts"): Case(),
    ("POST", "/v1/contacts/batch"): Case(body={"contacts": [{"id": "{contact_id}", **MAKES}]}, unknown=200),
    ("PUT", CONTACT): Case(body=MAKES, unknown=200),
    ("DELETE", CONTACT): Case(),
    ("GET", CONTACT): Case(),
    ("POST", f"{CONTACT}/merge"): Case(body={"from": "{other_contact_id}"}),
    ("GET", f"{CONTACT}/messages"): Case(),
    ("POST", "/v1/erasures"): Case(body={"mailbox_id": "{mailbox_id}", "confirm": ["ann@ours.example"]}),
    ("GET", "/v1/erasures"): Case(),
    ("GET", "/v1/erasures/{erasure_id}"): Case(),
    ("DELETE", "/v1/erasures/{erasure_id}/keeps_out"): Case(),
    ("POST", "/v1/mailboxes"): Case(),
    ("GET", "/v1/mailboxes"): Case(),
    ("POST", "/v1/mailboxes/authorize"): Case(
        body={"provider": "gmail", "return_url": "https://app.example/", "mailbox_id": "{mailbox_id}"}
    ),
    ("POST", "/v1/mailboxes/authorize/complete"): Case(),
    ("POST", "/v1/mailboxes/test"): Case(),
    ("DELETE", MAILBOX): Case(),
    ("PATCH", MAILBOX): Case(body={"purpose": "sales"}),
    ("GET", MAILBOX): Case(),
    ("POST", f"{MAILBOX}/aliases"): Case(body={"address": "sales@ours.example"}),
    ("DELETE", f"{MAILBOX}/aliases/{{address}}"): Case(),
    ("GET", f"{MAILBOX}/backfill-preview"): Case(),
    ("POST", f"{MAILBOX}/backfills"): Case(body={"days": 7}),
    ("GET", f"{MAILBOX}/backfills"): Case(),
    ("GET", f"{MAILBOX}/backfills/{{backfill_id}}"): Case(),
    ("POST", f"{MAILBOX}/backfills/{{backfill_id}}/cancel"): Case(),
    ("POST", f"{MAILBOX}/backfills/{{backfill_id}}/pause"): Case(),
    ("POST", f"{MAILBOX}/backfills/{{backfill_id}}/resume"): Case(),
    ("GET", f"{MAILBOX}/dead-letters"): Case(),
    ("POST", f"{MAILBOX}/dead-letters/replay"): Case(),
    ("GET", f"{MAILBOX}/dead-letters/{{letter_id}}"): Case(),
    ("GET", f"{MAILBOX}/dead-letters/{{letter_id}}/raw"): Case(),
    ("POST", f"{MAILBOX}/dead-letters/{{letter_id}}/replay"): Case(),
    ("GET", f"{MAILBOX}/disconnection"): Case(),
    ("GET", f"{MAILBOX}/folders"): Case(),
    ("PUT", f"{MAILBOX}/primary"): Case(),
    ("POST", f"{MAILBOX}/reconnect"): Case(body={"imap": LOGIN, "smtp": LOGIN}),
    ("POST", f"{MAILBOX}/openings"): Case(body={"reason": "Ticket 4711: a lost order"}),
    ("GET", f"{MAILBOX}/openings"): Case(),
    ("DELETE", f"{MAILBOX}/openings/{{opening_id}}"): Case(),
    ("GET", f"{MAILBOX}/runs"): Case(),
    ("GET", f"{MAILBOX}/runs/{{run_id}}"): Case(),
    ("POST", f"{MAILBOX}/sync"): Case(),
    ("GET", "/v1/me"): Case(),
    ("PATCH", f"{MAILBOX}/messages"): Case(body={"ids": ["{message_id}"], "seen": True}),
    ("PATCH", f"{MAILBOX}/messages/{{message_id}}"): Case(body={"flagged": True}),
    ("POST", f"{MAILBOX}/test-messages"): Case(headers={"idempotency-key": "a-test"}, body={"from": None}),
    ("GET", f"{MAILBOX}/test-messages/{{send_id}}"): Case(),
    ("GET", "/v1/messages"): Case(query={"mailbox_id": "{mailbox_id}"}),
    ("GET", "/v1/messages/{message_id}"): Case(),
    ("GET", "/v1/messages/{message_id}/attachments/{n}"): Case(),
    ("GET", "/v1/messages/{message_id}/answer"): Case(query={"mailbox_id": "{mailbox_id}"}),
    ("GET", SENDS): Case(),
    ("GET", f"{SENDS}/{{send_id}}"): Case(),
    ("POST", f"{SENDS}/{{send_id}}/cancel"): Case(),
    ("POST", "/v1/sends"): Case(
        headers={"idempotency-key": "of-a-test"},
        body={
            **MAIL_OUT,
            "mailbox_id": "{mailbox_id}",
            "attachments": [{"upload_id": "{upload_id}"}],
            "answers": {"message_id": "{message_id}", "kind": "reply"},
        },
    ),
    ("POST", "/v1/uploads"): Case(),
    ("GET", "/v1/policy"): Case(),
    ("PUT", "/v1/policy"): Case(),
    ("GET", "/v1/signature"): Case(),
    ("PUT", "/v1/signature"): Case(body={"text": "Ann"}),
    ("DELETE", "/v1/signature"): Case(),
    ("GET", "/v1/presets"): Case(query={"address": "ann@ours.example"}),
    ("GET", "/v1/threads/{thread_id}"): Case(),
    ("GET", THREAD_LEVEL): Case(),
    ("PUT", THREAD_LEVEL): Case(body={"level": "subject", "mailbox_id": "{mailbox_id}"}),
    ("DELETE", THREAD_LEVEL): Case(query={"mailbox_id": "{mailbox_id}"}),
}  # fmt: skip
NOBODYS = {
    ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/v1/health"),
    ("GET", "/v1/oauth/{provider}/callback"),
}  # fmt: skip
"""Answered without a token; what a callback's `state` leads to, tests/unit/api/test_sign_ins.py asks."""
MAKING = {("PUT", CONTACT), ("POST", "/v1/contacts/batch")}
"""Make what is not there, of the asker's own: another tenant's is neither seen nor touched."""
OF_MAIL = frozenset({"message_id", "thread_id", "send_id"})
"""Nobody's whom the mailbox is not granted to, be they administrators."""
HIDDEN = OF_MAIL | {
    "send_id",
    "upload_id",
    "mailbox_id",
    "backfill_id",
    "run_id",
    "letter_id",
    "erasure_id",
    "opening_id",
}
"""No colleague's of Ann: her mailbox is granted to nobody. Contacts are the whole tenant's."""
PLAIN_QUERIES = {
    "limit", "next", "folder", "from", "to", "subject", "since", "until", "remote_images", "address", "kind",
    "status", "hours",
}  # fmt: skip
"""Parameters that are no id of ours: `next` has a test of its own, a folder is looked for inside a mailbox."""
PLAIN_FIELDS = {"owner_user_id", "state", "content_id"}
"""Users are the CRM's: nothing of theirs is looked up here. A `state` is no id but a secret of 256
bits, and who has another's is told so (`attempt_not_yours`): tests/unit/api/test_sign_ins.py."""
NO_IDS = {
    "send_mail": {"from"},
    "send_test_message": {"from"},
    "change_message": {"folder_id"},
    "change_messages": {"folder_id"},
}
"""Who a mail is from is an address of the mailbox, and a folder is looked for inside a mailbox."""

NEVER = {
    "address": "nobody@alias.example", "contact_id": "crm-9", "other_contact_id": "crm-10", "erasure_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "mailbox_id": "01ARZ3NDEKTSV4RRFFQ69G5FAW", "backfill_id": "01ARZ3NDEKTSV4RRFFQ69G5FAX",
    "run_id": "01ARZ3NDEKTSV4RRFFQ69G5FAY", "letter_id": "a" * 26, "message_id": "m" + "a" * 48,
    "send_id": "01ARZ3NDEKTSV4RRFFQ69G5FB0", "upload_id": "01ARZ3NDEKTSV4RRFFQ69G5FB1" + "a" * 52,
    "thread_id": "t" + "a" * 24, "n": "0", "opening_id": "01ARZ3NDEKTSV4RRFFQ69G5FAZ",
}  # fmt: skip
"""Ids of the form that ours have, which nothing ever had."""
MAIL = b"""From: Cleo <cleo@client.example>\r
To: ann@ours.example\r
Date: Sun, 01 Feb 2026 08:0%d:00 +0000\r
Message-ID: <%d@client.example>\r
References: <1@client.example>\r
Subject: Offer %d\r
Content-Type: multipart/mixed; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
Text\r
--b\r
Content-Type: application/pdf\r
Content-Disposition: attachment; filename=offer.pdf\r
\r
%%PDF\r
--b--\r
"""


def id_fields(operation: Mapping[str, Any]) -> set[str]:
    """The names of an operation's query parameters and body fields that may be ids of ours."""
    parameters = operation.get("parameters", ())
    found = {one["name"] for one in parameters if one["in"] == "query"} - PLAIN_QUERIES
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    named = {name for name in _names(content.get("schema", {})) if _may_be_id(name)}
    return found | named - NO_IDS.get(operation["operationId"], set())


def _may_be_id(name: str) -> bool:
    looks = re.search(r"(^|_)(id|ids|from|into|state|contact|thread|message|mailbox(es)?)$", name)
    return looks is not None and name not in PLAIN_FIELDS


def _names(schema: Mapping[str, Any], met: frozenset[str] = frozenset()) -> Iterable[str]:
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference and reference not in met:
        yield from _names(CONTRACT["components"]["schemas"][reference], met | {reference})
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from _names(inner, met)
    items = [schema["items"]] if "items" in schema else []
    for inner in (*items, *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _names(inner, met)


def asked_with(case: Case) -> set[str]:
    """The names of query parameters and body fields that a case sends an id in."""
    return set(re.findall(r"'(\w+)': \[?'\{\w+\}'", f"{dict(case.query)} {case.body}"))


@dataclass
class TwoTenants:
    """Two tenants that have the same: Ann's mailbox with mail, granted to nobody, contacts, an import, erasures."""

    stack: Stack
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    """The requests that AWS was sent."""

    def __post_init__(self) -> None:
        boto3.client("secretsmanager").create_secret(
            Name=client_secret_name("mailroom-test", Provider.GMAIL),
            SecretString=written_client(OURS).reveal(),
        )
        for number in (1, 2, 3):
            self.stack.deliver_raw(MAIL % (number, number, number))
        self.stack.deliver_raw(b"")
        self.ids = {tenant: self._fill(tenant) for tenant in ("other", "acme")}
        self.stack.work()
        for tenant, ids in self.ids.items():
            self._learn(tenant, ids)
        (other, acme) = self.ids.values()
        assert {name for name in acme if acme[name] == other[name]} == {"n"}
        for aws in self._clients():
            aws.meta.events.register("before-call", self._hear)

    def close(self) -> None:
        for aws in self._clients():
            aws.meta.events.unregister("before-call", self._hear)

    def _clients(self) -> list[Any]:
        return list(kept_clients.values())

    def _hear(self, model: Any, **_: Any) -> None:
        self.heard.append(model.name)

    def _fill(self, tenant: str) -> dict[str, str]:
        body = {"address": "ann@ours.example", "imap": LOGIN, "smtp": LOGIN, "backfill_days": 30,
                "kind": "shared", "granted_to": []}  # fmt: skip
        ids = {"mailbox_id": self.own(tenant, "POST", "/v1/mailboxes", body=body)["id"], "n": "0"}
        # Another one, since one page is not a list; no mail comes to it.
        left = self.own(
            tenant, "POST", "/v1/mailboxes", body={**body, "address": "left@ours.example"}
        )
        self.own(tenant, "DELETE", f"/v1/mailboxes/{left['id']}")
        for name in ("contact_id", "other_contact_id"):
            ids[name] = f"{tenant}-{name.replace('_', '-')}"
            person = {"name": "Cleo", "addresses": ["cleo@client.example"]}
            self.own(tenant, "PUT", f"/v1/contacts/{ids[name]}", body=person)
        for person in ("gone@client.example", "left@client.example"):
            erasure = {"addresses": [person], "keeps_out": "stored_mail", "confirm": [person]}
            ids["erasure_id"] = self.own(tenant, "POST", "/v1/erasures", body=erasure)["id"]
        return ids

    def _learn(self, tenant: str, ids: dict[str, str]) -> None:
        mailbox = f"/v1/mailboxes/{ids['mailbox_id']}"
        # Without a byte there is nothing to read: a dead letter. Who comes later has those before.
        self.stack.clock.advance(minutes=1)
        uid = self.stack.deliver_raw(b"")
        self.own(tenant, "POST", f"{mailbox}/sync")
        self.stack.work()
        for name, target in (
            ("backfill_id", f"{mailbox}/backfills"),
            ("run_id", f"{mailbox}/runs"),
            ("message_id", f"/v1/contacts/{ids['contact_id']}/messages"),
        ):
            ids[name] = self.own(tenant, "GET", target)["items"][0]["id"]
        letters = self.own(tenant, "GET", f"{mailbox}/dead-letters")["items"]
        (ids["letter_id"],) = (
            one["id"] for one in letters if one["provider_message_id"].endswith(f".{uid}")
        )
        message = self.own(tenant, "GET", f"/v1/messages/{ids['message_id']}")
        ids["thread_id"] = message["thread_id"]
        # Two, since one page is not a list.
        for number in (1, 2):
            ids["send_id"] = self.own(
                tenant, "POST", "/v1/sends", body={**MAIL_OUT, "mailbox_id": ids["mailbox_id"]},
                headers={"idempotency-key": str(number)},
            )["id"]  # fmt: skip
        alias = {"address": f"{tenant}@alias.example"}
        ids["address"] = self.own(tenant, "POST", f"{mailbox}/aliases", body=alias)["address"]
        # A test message is a send like the others.
        test = {"idempotency-key": "test"}
        ids["send_id"] = self.own(
            tenant, "POST", f"{mailbox}/test-messages", body={}, headers=test
        )["id"]
        content = b"%PDF"
        announced = {
            "filename": "a.pdf",
            "size": len(content),
            "sha256": sha256(content).hexdigest(),
        }
        place = self.own(tenant, "POST", "/v1/uploads", body=announced)
        ids["upload_id"] = place["upload_id"]
        requests.put(place["url"], data=content, headers=place["headers"], timeout=5)
        for user in ("dan", "eve"):
            why = {"reason": "Ticket 4711: a lost order"}
            opening = self.own(tenant, "POST", f"{mailbox}/openings", body=why, user=user)
            ids["opening_id"] = opening["id"]

    def own(
        self,
        tenant: str,
        method: str,
        target: str,
        body: Any = None,
        user: str = "ann",
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Have Ann, who is an administrator as well, do it, or another one."""
        answer = self.stack.ask(
            method, target, body=body, tenant=tenant, user=user, roles="[admin]", headers=headers
        )
        assert answer.status < 300, (method, target, answer.text)
        return answer.json if answer.text else None

    def ask(self, key: Key, ids: Mapping[str, str], *, query: Mapping[str, str] = {}, **who: str):
        """Ask a route about ids: its status, headers, cookies and body, and what AWS was asked for it."""
        method, path = key
        case = CASES[key]

        def filled(given: Any) -> Any:
            if isinstance(given, str):
                return re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], given)
            if isinstance(given, dict):
                return {name: filled(inner) for name, inner in given.items()}
            return [filled(inner) for inner in given] if isinstance(given, list) else given

        target = re.sub(r"\{(\w+)\}", lambda found: quote(ids[found[1]], safe=""), path)
        asked = {**filled(dict(case.query)), **query}
        self.heard.clear()
        answer = self.stack.ask(
            method, target, body=filled(case.body), query=asked, headers=dict(case.headers), **who
        )
        shown = (answer.status, sorted(answer.headers.items()), answer.cookies, answer.text)
        return shown, tuple(self.heard)

    def state(self) -> dict[str, str]:
        """All that AWS holds."""
        return dict(everything())


def open_lists() -> list[Key]:
    """The routes that answer by the page."""
    return [
        key
        for key, operation in OPERATIONS.items()
        if any(one["name"] == "next" for one in operation.get("parameters", ()))
    ]
