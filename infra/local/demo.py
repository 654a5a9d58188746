"""What the demo shows: a mailbox connected, imported and read by contact, over HTTP only."""

import json
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from infra.local.demo_mail import ADDRESS
from infra.local.http_api import HttpApi, RefusedError
from infra.local.issuer_sign_ins import ADA
from infra.local.mail import Login, MailServers
from infra.local.mail_providers import MailProviders
from infra.local.stack import LocalStack

TENANT: Final = ADA.tenant
USER: Final = ADA.user
_DAYS: Final = 365
_POLL_SECONDS: Final = 1.0
_IMPORT_SECONDS: Final = 300.0
_TIMELINE_LINES: Final = 12

Say = Callable[[str], None]


class DemoFailedError(Exception):
    """A step of the demo did not do what it shows; the message says which."""


def run(stack: LocalStack, servers: MailServers, say: Say) -> str:
    """Connect the demo mailbox unless it is connected, import it, show a contact's timeline.

    Returns the mailbox's id. Raises DemoFailedError.
    """
    say(
        f"\nThe mailbox of {ADDRESS} holds {servers.fill()} messages of the last {_DAYS} days;"
        " those in Junk and Trash are left out of the import"
    )
    api = HttpApi(stack.api_url, stack.token(TENANT, USER, "admin"))
    try:
        mailbox_id = _connected(api) or _connect(api, servers, say)
        _wait_for_import(api, mailbox_id, say)
        contacts = servers.contacts()
        for contact_id, contact in contacts.items():
            api.put(f"/v1/contacts/{contact_id}", contact)
        say(f"Added {len(contacts)} contacts of the demo's CRM")
        _show_timeline(api, next(iter(contacts)), say)
        return mailbox_id
    except RefusedError as error:
        raise DemoFailedError(str(error)) from None


def _connected(api: HttpApi) -> str | None:
    """The demo mailbox when an earlier run connected it."""
    for mailbox in api.get("/v1/mailboxes")["items"]:
        if mailbox["address"] == ADDRESS and mailbox["status"] != "disconnected":
            return str(mailbox["id"])
    return None


def _connect(api: HttpApi, servers: MailServers, say: Say) -> str:
    logins = servers.as_json()
    say(f"Testing the settings of {ADDRESS}: POST /v1/mailboxes/test")
    verdict = api.post("/v1/mailboxes/test", logins)
    for side in ("imap", "smtp"):
        if not verdict[side]["ok"]:
            raise DemoFailedError(f"{side}: {verdict[side]['code']}: {verdict[side]['message']}")
    folders = ", ".join(folder["name"] for folder in verdict["imap"]["folders"])
    say(f"  IMAP and SMTP work; folders: {folders}")
    say(f"Connecting it and importing its last {_DAYS} days: POST /v1/mailboxes")
    mailbox = api.post(
        "/v1/mailboxes",
        {
            **logins,
            "address": ADDRESS,
            "display_name": "Ada of the Demo",
            "kind": "shared",
            "purpose": "sales",
            # A shared mailbox is read by those it is granted to, and shows them no more than this.
            "granted_to": "everyone",
            "visibility": "full",
            "backfill_days": _DAYS,
        },
    )
    return str(mailbox["id"])


def _wait_for_import(api: HttpApi, mailbox_id: str, say: Say) -> None:
    """Show the progress of the newest backfill until it ends."""
    began = time.monotonic()
    last = ""
    while time.monotonic() - began < _IMPORT_SECONDS:
        backfills = api.get(f"/v1/mailboxes/{mailbox_id}/backfills")["items"]
        if backfills:
            backfill = backfills[0]
            if (line := _progress(backfill)) != last:
                say(last := line)
            if backfill["state"] in {"failed", "cancelled"}:
                raise DemoFailedError(f"the import ended as {backfill['state']}")
            if backfill["state"] == "done":
                say(f"  imported after {time.monotonic() - began:.0f} s")
                return
        time.sleep(_POLL_SECONDS)
    raise DemoFailedError(f"the import was not done after {_IMPORT_SECONDS:.0f} s: {last}")


def _progress(backfill: Mapping[str, Any]) -> str:
    there = backfill["stored"] + backfill["already_stored"]
    done = f"{there} of {backfill['listed']} messages, {backfill['percent']} %"
    return f"  {backfill['state']}: {done}"


def _show_timeline(api: HttpApi, contact_id: str, say: Say) -> None:
    contact = api.get(f"/v1/contacts/{contact_id}")
    messages = api.get(f"/v1/contacts/{contact_id}/messages?limit={_TIMELINE_LINES}")["items"]
    if not messages:
        raise DemoFailedError(f"the timeline of {contact['name']} is empty")
    say(f"\nThe mail with {contact['name']}, newest first: GET /v1/contacts/{contact_id}/messages")
    for message in messages:
        way = "to  " if message["direction"] == "outbound" else "from"
        subject = message["subject"] or "(no subject)"
        paper_clip = " [attachment]" if message["has_attachments"] else ""
        say(f"  {message['sent_at'][:10]}  {way}  {subject[:70]}{paper_clip}")


def say_how_to_send(servers: MailServers, mailbox_id: str, say: Say) -> None:
    """Print how the first contact writes to the demo mailbox, and is answered."""
    customer, inbox = servers.customer, servers.customer_imap
    sender = f"{customer.name} <{customer.address}>"
    authority = servers.access.authority
    say(
        f"""
A mail from {customer.name} to the demo mailbox; it is in the timeline within a minute or two:

  {send_command(servers.customer_smtp, authority, sender, ADDRESS)}

And one from the demo mailbox to {customer.name}, with API and TOKEN as above; it is in both
mailboxes, and in the timeline, within seconds; what became of it:
$API/v1/mailboxes/{mailbox_id}/sends

{answer_command(mailbox_id, customer.name, customer.address)}

What is sent to {customer.address} arrives in a mailbox on the same server: any mail program
reads and answers it at {inbox.host}:{inbox.port} (TLS), password {inbox.password}
"""
    )


def say_how_to_sign_in(providers: MailProviders, say: Say) -> None:
    """Print whom to sign in as at the simulated Gmail and Outlook."""
    accounts = [one for both in providers.as_json().values() for one in both["addresses"]]
    say(
        f"""
Gmail and Outlook, simulated: sign in as {", ".join(accounts)}; allow, decline, or take another
account than the one connected. Each simulator has switches for what can go wrong at a provider.
"""
    )
    for name, one in providers.as_json().items():
        say(f"Control {one['control']}/faults   of the {name} simulator (infra/simulators/)")


def send_command(login: Login, authority: Path | None, sender: str, to: str) -> str:
    """Return a shell command that sends a mail to `to`; `sender` is what its From says."""
    lines = [
        f"From: {sender}",
        f"To: {to}",
        # Told apart by its subject: a mail without a Message-ID that says the same is the same.
        "Subject: Hello at %s",
        "",
        "Does it arrive?",
    ]
    text = "".join(f"{line}\\r\\n" for line in lines)
    curl = ["curl", "-sS", f"smtps://{login.host}:{login.port}"]
    if authority is not None:
        curl += ["--cacert", str(authority)]
    curl += ["--user", f"{login.username}:{login.password}", "--mail-from", login.username]
    curl += ["--mail-rcpt", to, "--upload-file", "-"]
    return f"""printf {shlex.quote(text)} "$(date)" | \\
    {shlex.join(curl)}"""


def answer_command(mailbox_id: str, name: str, address: str) -> str:
    """Return a shell command that has a mailbox send somebody a mail; it takes `API`, `TOKEN`."""
    mail = {
        "mailbox_id": mailbox_id,
        "to": [{"address": address, "name": name}],
        "subject": "Hello from Mailroom",
        "text": "It does arrive.",
    }
    return f"""  curl -s "$API/v1/sends" -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" -H "Idempotency-Key: hello-$(date +%s)" \\
    -d {shlex.quote(json.dumps(mail, ensure_ascii=False))}"""


def say_what_to_try(stack: LocalStack, say: Say) -> None:
    """Print what a newcomer can open, and how to connect a mailbox of their own."""
    url = stack.api_url
    say(
        f"""
Open    {stack.page_url}   your mailboxes, conversations and the \
operator's view; sign in as Ada or Ben

Docs    {url}/docs   every route, to try in the browser
Token   uv run poe token --tenant {TENANT} --user {USER} --role admin

In another terminal:

  API={url}
  TOKEN=$(uv run poe -q token --tenant {TENANT} --user {USER} --role admin)

  curl -s "$API/v1/mailboxes" -H "Authorization: Bearer $TOKEN"
  curl -s "$API/v1/contacts" -H "Authorization: Bearer $TOKEN"

Your own mailbox: look up its settings, then connect it. Providers that ask for two factors want
an app password here; the first call says where to get one.

  curl -s "$API/v1/presets?address=you@example.com" -H "Authorization: Bearer $TOKEN"
  curl -s "$API/v1/mailboxes" -H "Authorization: Bearer $TOKEN" \\
    -H "Content-Type: application/json" -d '{{
      "address": "you@example.com", "kind": "personal", "purpose": "personal",
      "backfill_days": 30,
      "imap": {{"host": "imap.example.com", "port": 993, "security": "tls",
               "username": "you@example.com", "password": "app password"}},
      "smtp": {{"host": "smtp.example.com", "port": 465, "security": "tls",
               "username": "you@example.com", "password": "app password"}}}}'

Where everything is: {stack.paths.description}
"""
    )
