"""Three users and an administrator over HTTP: what each is shown of each mail, wherever they ask for it.

One customer's mail in the mailboxes of one team, imported before anybody knows the customer.
"""

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

import pytest

from infra.local.demo import TENANT
from tests.e2e.test_main_job import CUSTOMER, Life

DOMAIN = "team.mailroom.test"
USERS = {"ann": None, "bob": None, "cy": None, "root": "admin"}
MAILBOXES = {
    "ann": {"kind": "personal", "visibility": "metadata", "owner_user_id": "ann"},
    "bob": {"kind": "personal", "visibility": "subject", "owner_user_id": "bob"},
    "cy": {"kind": "personal", "visibility": "full", "owner_user_id": "cy"},
    "desk": {"kind": "shared", "visibility": "subject", "owner_user_id": "cy", "granted_to": ["ann"]},
    "board": {"kind": "shared", "visibility": "full", "owner_user_id": "cy", "granted_to": []},
    "all": {"kind": "shared", "visibility": "metadata", "owner_user_id": "bob", "granted_to": "everyone"},
}  # fmt: skip
TABLE = """
    held by        ann               bob               cy                root              opened

    ann            full/full         metadata/none     metadata/none     metadata/none     full/full
    bob            subject/none      full/full         subject/none      subject/none      subject/none
    cy             full/none         full/none         full/full         full/none         full/none
    desk           subject/subject   none/none         full/full         none/none         none/none
    board          none/none         none/none         full/full         none/none         none/none
    all            metadata/metadata full/full         metadata/metadata metadata/metadata metadata/metadata
    ann+bob        full/full         full/full         subject/none      subject/none      full/full
    ann+desk       full/full         metadata/none     full/full         metadata/none     full/full
    bob+board      subject/none      full/full         full/full         subject/none      subject/none
    ann+all        full/full         full/full         metadata/metadata metadata/metadata full/full
    cy.private     none/none         none/none         full/full         none/none         none/none
    ann.full       full/full         full/none         full/none         full/none         full/full
    desk.metadata  metadata/metadata none/none         full/full         none/none         none/none
    ann+bob.metadata full/full       full/full         metadata/none     metadata/none     full/full
    ann.internal   none/none         none/none         none/none         none/none         none/none
    ann.blocked    none/none         none/none         none/none         none/none         none/none
"""
"""Before the stroke: on the contact's timeline, in the thread, alone, and its attachment, which is
to be had with `full`. Behind it: in the view of the mailboxes that hold it, and in search. `root` is
an administrator; `opened` is the same one who has opened Ann's mailbox, on the record. A level behind
the dot is the thread's own, in the last mailbox named. The last two are stored, and kept out by the
tenant's policy: a colleague's mail, and a sender on the blocklist."""
KEPT_OUT = {"internal": f"dora@{DOMAIN}", "blocked": "news@blocked.example"}
POLICY = {"own_domains": [DOMAIN], "blocklist": ["*@blocked.example"]}
KIM = {"name": "Kim", "addresses": [CUSTOMER, KEPT_OUT["blocked"]]}


def table():
    heads, *rows = (line.split() for line in TABLE.splitlines() if line.strip())
    return {row[0]: dict(zip(heads[2:], row[1:], strict=True)) for row in rows}


def holders(row):
    return row.partition(".")[0].split("+")


def sender(row):
    return KEPT_OUT.get(row.partition(".")[2], CUSTOMER)


def mail_held_by(row, number, now):
    message = EmailMessage()
    message["From"], message["To"] = sender(row), f"{holders(row)[0]}@{DOMAIN}"
    message["Subject"] = f"Held by {row}"
    message["Date"] = format_datetime(now - timedelta(hours=number + 1))
    message["Message-ID"] = f"<{row}@customer.example>"
    message.set_content(f"Words for {row}\n")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="offer.pdf")
    return message.as_bytes()


class Team:
    """The team's mailboxes, imported, and its users as callers."""

    def __init__(self, stack, dovecot, submission):
        self.apis = {user: stack.as_user(TENANT, user, role) for user, role in USERS.items()}
        self.mailboxes = {}
        now = datetime.now(UTC).replace(microsecond=0)
        mails = {row: mail_held_by(row, number, now) for number, row in enumerate(table())}
        lives = []
        for name, settings in MAILBOXES.items():
            address = f"{name}@{DOMAIN}"
            dovecot.add_user(address, "not-a-real-password")
            held = [(raw, (), now) for row, raw in mails.items() if name in holders(row)]
            life = Life(stack, dovecot, submission, self.apis["root"], address)
            life.server.append_many("INBOX", held)
            body = {**life.logins(), **settings, "address": address, "backfill_days": 30}
            answer = life.api("POST", "/v1/mailboxes", body)
            assert answer.status == 201, answer.body
            life.mailbox_id = self.mailboxes[name] = answer.body["id"]
            lives.append(life)
        for life in lives:
            assert life.imported()["failed"] == 0

    def get(self, user, path):
        answer = self.apis[user]("GET", path)
        assert answer.status in {200, 404}, answer.body
        return answer.body if answer.status == 200 else None

    def items(self, user, path):
        page = self.get(user, path) or {"items": [], "next": None}
        assert page["next"] is None
        return {item["internet_message_id"]: item for item in page["items"]}


@pytest.fixture(scope="module")
def team(stack, dovecot, submission):
    return Team(stack, dovecot, submission)


def test_a_contact_added_after_import_has_its_history_at_once_and_a_merge_needs_no_import(team):
    api = team.apis["root"]
    path = f"/v1/mailboxes/{team.mailboxes['cy']}/backfills"
    imports = api("GET", path).body
    other = {"name": "Kim's assistant", "addresses": ["desk@customer.example"]}
    assert api("PUT", "/v1/contacts/assistant", other).status in {200, 201}
    assert team.items("cy", "/v1/contacts/assistant/messages") == {}
    assert api("PUT", "/v1/contacts/customer", KIM).status in {200, 201}
    history = team.items("cy", "/v1/contacts/customer/messages?limit=100")
    assert len(history) == sum(sender(row) in KIM["addresses"] for row in table())
    merged = api("POST", "/v1/contacts/assistant/merge", {"from": "customer"})
    assert merged.status == 200, merged.body
    after = team.items("cy", "/v1/contacts/assistant/messages?limit=100")
    assert after.keys() == history.keys()
    assert {one["id"] for one in after.values()} == {one["id"] for one in history.values()}
    assert api("GET", "/v1/contacts/customer").status == 410
    assert api("GET", path).body == imports


def test_each_sees_exactly_what_the_rules_say(team):
    root, mailbox = team.apis["root"], f"/v1/mailboxes/{team.mailboxes['ann']}"
    assert root("PUT", "/v1/contacts/kim", KIM).status in {200, 201}
    ids = ids_of(team)
    give_threads_their_levels(team, ids)
    assert root("PUT", "/v1/policy", POLICY).status == 200
    try:
        found = {user: seen_by(team, user, ids) for user in USERS}
        why = {"reason": "Ticket 4711: an order is missing"}
        opening = root("POST", f"{mailbox}/openings", why)
        assert opening.status == 201, opening.body
        found["opened"] = seen_by(team, "root", ids)
        (recorded,) = team.get("ann", f"{mailbox}/openings")["items"]
        assert (recorded["opened_by"], recorded["reason"]) == ("root", why["reason"])
        ended = root("DELETE", f"{mailbox}/openings/{opening.body['id']}")
        assert ended.status in {200, 204}, ended.body
        assert team.get("root", f"/v1/messages/{ids['ann'][0]}")["access"] == "metadata"
    finally:
        assert root("PUT", "/v1/policy", {}).status == 200
    assert {row: {who: found[who][row] for who in found} for row in ids} == table()
    assert ids_of(team) == ids, "what a policy keeps out is shown again without it"


def give_threads_their_levels(team, ids):
    """Have the owner of the last mailbox named say how much others see of the row's thread there."""
    for row, (_, thread_id) in ids.items():
        own, mailbox = row.partition(".")[2], holders(row)[-1]
        if own and own not in KEPT_OUT:
            owner = team.apis[MAILBOXES[mailbox]["owner_user_id"]]
            body = {"level": own, "mailbox_id": team.mailboxes[mailbox]}
            answer = owner("PUT", f"/v1/threads/{thread_id}/visibility", body)
            assert answer.status == 200, answer.body


def seen_by(team, user, ids):
    """What a user is shown of each row; asked for wherever it could be shown."""
    timeline = team.items(user, "/v1/contacts/kim/messages?limit=100")
    searches = {
        one: team.items(user, f"/v1/messages?from={one}&limit=100")
        for one in (CUSTOMER, *KEPT_OUT.values())
    }
    views = {
        name: team.items(user, f"/v1/messages?mailbox_id={mailbox_id}&limit=100")
        for name, mailbox_id in team.mailboxes.items()
    }
    found = {}
    for row, (message_id, thread_id) in ids.items():
        where, name = (user, row), f"{row}@customer.example"
        access = level(row, timeline.get(name))
        thread = team.items(user, f"/v1/threads/{thread_id}?limit=100")
        assert level(row, thread.get(name)) == access, where
        alone = team.get(user, f"/v1/messages/{message_id}")
        assert level(row, alone) == access, where
        if alone:
            assert (alone["text"] is not None) == (access == "full"), where
            assert bool(alone["attachments"]) == (access == "full"), where
            told = {copy["mailbox_id"] for copy in alone["mailboxes"]}
            assert told <= {team.mailboxes[one] for one in holders(row)}, where
        attachment = team.get(user, f"/v1/messages/{message_id}/attachments/0")
        assert (attachment is not None) == (access == "full"), where
        in_view = {one: level(row, items.get(name)) for one, items in views.items()}
        assert {in_view[one] for one in in_view if one not in holders(row)} == {"none"}, where
        most_open = max(in_view.values(), key=LEVELS.index)
        assert level(row, searches[sender(row)].get(name)) == most_open, where
        found[row] = f"{access}/{most_open}"
    return found


LEVELS = ["none", "metadata", "subject", "full"]


def level(row, item):
    """How much is shown, by what is shown and by what is said of it."""
    if item is None:
        return "none"
    told = {
        "metadata": (None, None),
        "subject": (f"Held by {row}", None),
        "full": (f"Held by {row}", f"Words for {row}"),
    }
    assert (item["subject"], item["snippet"]) == told[item["access"]], item
    return item["access"]


def ids_of(team):
    """Message and thread of each row, as the owners of its mailboxes see them."""
    found = {}
    for name, settings in MAILBOXES.items():
        view = f"/v1/messages?mailbox_id={team.mailboxes[name]}&limit=100"
        for item in team.items(settings["owner_user_id"], view).values():
            ids = (item["id"], item["thread_id"])
            row = item["subject"].removeprefix("Held by ")
            assert found.setdefault(row, ids) == ids, "one message in two mailboxes is two"
    assert found.keys() == table().keys()
    return found
