"""A client that reads nothing but history ends up with the mailbox as it is, whatever happened."""

import concurrent.futures
import random

import pytest

from tests.contract.simulators.google_world import BOB, base64url, letter

LABELS = ["STARRED", "UNREAD", "INBOX", "Label_1", "IMPORTANT"]
ACTS = ["deliver", "file", "flag", "move", "trash", "delete", "modify", "send", "untrash_thread"]


def history(api, start, more=""):
    answer = api("GET", f"history?startHistoryId={start}{more}")
    assert answer.status == 200, answer.body
    return answer.json


def replay(api, start):
    """The mailbox as a client knows it that only ever reads history: id → labels."""
    known = {}
    for page in history_pages(api, start):
        for record in page:
            for change in record.get("messagesAdded", []):
                known[change["message"]["id"]] = set(change["message"].get("labelIds", []))
            for change in record.get("labelsAdded", []):
                known[change["message"]["id"]] |= set(change["labelIds"])
            for change in record.get("labelsRemoved", []):
                known[change["message"]["id"]] -= set(change["labelIds"])
            for change in record.get("messagesDeleted", []):
                del known[change["message"]["id"]]
    return known


def history_pages(api, start):
    token = ""
    while token is not None:
        answer = history(api, start, f"&maxResults=7&pageToken={token}")
        yield answer.get("history", [])
        token = answer.get("nextPageToken")


def act(luck, mail, api, number):
    """One thing that the owner or a client of the API does to a message."""
    held = [m.id for m in mail.messages()]
    one = luck.choice(held) if held else mail.deliver(letter(f"first-{number}"))
    match luck.choice(ACTS):
        case "deliver":
            mail.deliver(letter(number))
        case "file":
            mail.deliver(letter(number), folders=["Work"])
        case "flag":
            mail.set_flags(one, seen=luck.random() < 0.5, flagged=luck.random() < 0.5)
        case "move":
            mail.move(one, luck.choice(["INBOX", "Work", "SPAM", ""]))
        case "trash":
            mail.trash(one)
        case "delete":
            mail.delete(one)
        case "modify":
            change = {"addLabelIds": [luck.choice(LABELS)], "removeLabelIds": [luck.choice(LABELS)]}
            assert api("POST", f"messages/{one}/modify", change).status == 200
        case "send":
            body = {"raw": base64url(letter(number, to=BOB))}
            assert api("POST", "messages/send", body).status == 200
        case "untrash_thread":
            api("POST", f"threads/{one}/untrash")


@pytest.mark.parametrize("seed", range(5))
def test_history_alone_leads_to_the_mailbox_as_it_is(mail, api, seed):
    print(f"seed {seed}")
    luck = random.Random(seed)
    start = mail.history_id()
    folder = mail.create_folder("Work")
    for number in range(120):
        act(luck, mail, api, number)
    mail.delete_folder(folder)
    there = {m.id: set(m.folders) | (set() if m.seen else {"UNREAD"}) for m in mail.messages()}
    assert replay(api, start) == there


def test_changes_made_at_once_are_all_in_history(google, mail, api):
    made = [mail.deliver(letter(n)) for n in range(8)]
    start = mail.history_id()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: api("POST", f"messages/{one}/trash").status, made))
    records = [record for page in history_pages(api, start) for record in page]
    assert len({record["id"] for record in records}) == 16
    assert replay_labels(records, made) == {one: {"TRASH"} for one in made}


def replay_labels(records, made):
    found = {one: set() for one in made}
    for record in records:
        for change in record.get("labelsAdded", []):
            found[change["message"]["id"]] |= set(change["labelIds"])
    return found
