"""Drafts: not taken in before they are sent, and then as they were sent."""

import json

import pytest

from shared.domain.message import Flags, MissingMessage
from tests.contract.moving_world import Held
from tests.contract.provider_worlds import NOW
from tests.fakes.known import a_copy

SINCE = NOW.replace(year=NOW.year - 1)


class Writer:
    """Writes mail at Graph as any program of the owner's does."""

    def __init__(self, world) -> None:
        self._world = world

    def _call(self, method, path, body=None):
        headers = {
            "authorization": f"Bearer {self._world.tokens.current().reveal()}",
            "content-type": "application/json",
            "prefer": 'IdType="ImmutableId"',
        }
        answer = self._world.http.until(20).send(
            method,
            f"{self._world.simulator.url}/v1.0{path}",
            headers=headers,
            body=json.dumps(body).encode() if body else b"",
        )
        assert answer.status < 300
        return json.loads(answer.body) if answer.body else None

    def begin(self, number):
        mail = {"subject": str(number), "body": {"contentType": "text", "content": "Dear Kim, I"}}
        return self._call("POST", "/me/messages", mail)["id"]

    def finish(self, name):
        to = [{"emailAddress": {"address": "kim@customer.example"}}]
        text = {"contentType": "text", "content": "Dear Kim, I agree."}
        self._call("PATCH", f"/me/messages/{name}", {"body": text, "toRecipients": to})

    def send(self, name):
        self.finish(name)
        self._call("POST", f"/me/messages/{name}/send")


@pytest.fixture
def writer(outlook):
    return Writer(outlook)


def fetched(world, name, folder="Drafts"):
    where = world.folder(folder)
    with world.session() as session:
        return list(session.fetch(where, [name]))


def test_a_draft_is_taken_in_once_it_is_sent_and_as_it_was_sent(outlook, writer):
    drafts, sent = outlook.position("Drafts"), outlook.position("Sent Items")
    name = writer.begin(7)
    told = outlook.follow(drafts, "Drafts")
    assert (told.added, told.too_old) == ([], 0)
    writer.finish(name)
    told = outlook.follow(told.cursor, "Drafts")
    assert told.added == []
    writer.send(name)
    assert outlook.follow(told.cursor, "Drafts").added == []
    assert outlook.follow(sent, "Sent Items").added == [7]
    assert outlook.fetched == [name]
    (whole,) = fetched(outlook, name)
    assert b"I agree" in whole.raw
    assert b"kim@customer.example" in whole.raw


def test_drafts_are_in_no_listing_whole_or_of_a_window(outlook, writer):
    name = writer.begin(7)
    assert outlook.follow(None, "Drafts").added == []
    assert outlook.window(since=SINCE, upto=outlook.position("Drafts"), name="Drafts") == []
    writer.send(name)
    assert outlook.window(since=SINCE, upto=outlook.position("Sent Items"), name="Sent Items") == [
        7
    ]
    assert outlook.follow(None, "Sent Items").added == [7]


def test_a_walk_to_a_position_names_no_drafts(outlook, writer, monkeypatch):
    from shared.providers.outlook import baseline

    monkeypatch.setattr(baseline, "FOLDER_SECONDS", 0.0)
    writer.begin(7)
    assert outlook.follow(outlook.position("Drafts"), "Drafts").added == []


def test_a_draft_that_is_asked_for_is_no_message_yet(outlook, writer):
    name = writer.begin(7)
    assert fetched(outlook, name) == [MissingMessage(name, "gone")]


def test_a_draft_that_is_held_stays_as_it_is_and_goes_where_it_is_sent(outlook, writer):
    name = writer.begin(7)
    drafts = outlook.folder("Drafts")
    copy = a_copy(name, Flags(seen=True, draft=True, version=1), frozenset({drafts.id}))
    outlook.ours[name] = Held(7, copy)
    sent = outlook.position("Sent Items")
    cursor = outlook.follow(None, "Drafts").cursor
    assert outlook.numbers("Drafts") == {7}
    writer.send(name)
    outlook.follow(cursor, "Drafts")
    outlook.follow(sent, "Sent Items")
    assert (outlook.numbers("Drafts"), outlook.numbers("Sent Items")) == (set(), {7})
    assert not outlook.ours[name].copy.flags.draft
    assert outlook.fetched == []
