"""The harness finds what is wrong: with a defect planted in the product, it reports differences.

Each is a mistake a person could make in that place, and is found at the interruption it fears.
"""

import pytest

from shared.aws.dead_letter_store import DynamoDeadLetterStore
from shared.aws.message_store import DynamoMessageStore
from shared.domain import send_outcomes
from shared.domain.errors import StoreThrottledError
from shared.domain.mailbox import identity_of
from shared.domain.schedule import slot_of
from shared.operations import access, begin_mailbox, deliver_send, sync_mailbox
from shared.providers.gmail import drafts
from tests.faults import driver, flows_of_letters, flows_of_sends  # noqa: F401 - add their flows
from tests.faults.driver import interrupted, repeated, undisturbed
from tests.faults.flows import FLOWS
from tests.faults.killpoints import Kind
from tests.faults.wires import END_OF_CONTENT
from tests.faults.world import a_world


@pytest.fixture
def unremembered(monkeypatch):
    # What runs undisturbed with a defect is nothing to compare others with.
    monkeypatch.setattr(driver, "_undisturbed", {})
    monkeypatch.setattr(driver, "_starts", {})
    # What a defect has broken stays broken; there is no need to wait for the hourly retry.
    monkeypatch.setattr(driver, "LONGEST_MINUTES", 10)


@pytest.fixture
def world(unremembered, monkeypatch):
    with a_world(monkeypatch) as world:
        yield world


def the_flow(name):
    return next(flow for flow in FLOWS if flow.name == name)


def active_before_its_secret(mailbox, grant, *, mailboxes, secrets):
    mailboxes.reconnect(mailbox, identity_of(mailbox), slot_of(mailbox.id, mailbox.sync_minutes))
    access.keep_grant(mailbox, grant, secrets=secrets)


def test_a_wrong_order_is_found_where_it_dies_between(world, monkeypatch):
    monkeypatch.setattr(begin_mailbox, "begin_life", active_before_its_secret)
    times, found = interrupted(the_flow("connect"), world, Kind.AFTER)
    assert times > len(found) > 0
    assert any("dies after" in one and "secrets: " in one for one in found)


def test_a_write_taken_for_done_is_found_where_it_was_throttled(world, monkeypatch):
    set_flags = DynamoMessageStore.set_flags

    def hopeful(self, fence, flags):
        try:
            return set_flags(self, fence, flags)
        except StoreThrottledError:
            return len(flags)

    monkeypatch.setattr(DynamoMessageStore, "set_flags", hopeful)
    times, found = interrupted(the_flow("flags_change"), world, Kind.THROTTLED)
    assert times > len(found) > 0
    assert all("is throttled" in one and "copy: missing" in one for one in found)


def test_a_read_taken_for_nothing_there_is_found_where_it_was_throttled(unremembered, monkeypatch):
    read_raw = DynamoDeadLetterStore.read_raw

    def hopeful(self, letter):
        try:
            return read_raw(self, letter)
        except StoreThrottledError:
            return None

    monkeypatch.setattr(DynamoDeadLetterStore, "read_raw", hopeful)
    flow = the_flow("replay_messages_Neighbours")
    with a_world(monkeypatch, flow.kind) as world:
        times, found = interrupted(flow, world, Kind.THROTTLED)
    assert times > len(found) > 0
    assert all("is throttled" in one and "(GetObject)" in one for one in found)
    assert any("copy: missing" in one for one in found)


def test_a_run_that_writes_without_news_is_found_where_a_request_comes_again(world, monkeypatch):
    look_and_sync = sync_mailbox._look_and_sync
    monkeypatch.setattr(
        sync_mailbox,
        "_look_and_sync",
        lambda run, session, **_: look_and_sync(run, session, somebody_waits=True),
    )
    _, found = repeated(the_flow("incremental_sync"), world)
    assert any("wrote TransactWriteItems" in one for one in found)


# ---- sending ----


def interrupted_at(name, flow, kind, monkeypatch, plant=None):
    """Interrupt a flow at its one call of a name, once it ran undisturbed; return what was found."""
    with a_world(monkeypatch, flow.kind) as world:
        calls = undisturbed(flow, world).calls
        (at,) = (number for number, call in enumerate(calls) if call.name == name)
        if plant is not None:
            monkeypatch.setattr(deliver_send, *plant)
        times, found = interrupted(flow, world, kind, only=at)
    assert times == 1
    return found


def test_a_mail_handed_over_without_a_note_is_seen_to_come_twice(unremembered, monkeypatch):
    plant = ("handing_over", lambda send, *, now: send)
    flow = the_flow("reply_BySubmission")
    found = interrupted_at(END_OF_CONTENT, flow, Kind.AFTER, monkeypatch, plant)
    assert any("cleo@client.example got Re: Mail 1 2 times" in one for one in found)


def test_a_mail_in_doubt_that_is_sent_again_is_seen_to_come_twice(unremembered, monkeypatch):
    plant = ("unseen", lambda send, *, now: send_outcomes.not_handed_over(send))
    flow = the_flow("reply_BySubmission")
    found = interrupted_at(END_OF_CONTENT, flow, Kind.LOST, monkeypatch, plant)
    assert any("cleo@client.example got Re: Mail 1 2 times" in one for one in found)


def test_a_draft_that_is_made_anew_is_found_where_its_first_maker_died(
    unremembered, places, monkeypatch
):
    monkeypatch.setattr(drafts, "left_behind", lambda _api, _mail: None)
    flow = the_flow("reply_of_an_account_ByGmail")
    found = interrupted_at("POST drafts", flow, Kind.AFTER, monkeypatch)
    assert any("theirs: " in one and "DRAFT" in one for one in found)
