"""The contract of who is watched, and of whom a provider's word finds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.mailbox import MailboxStatus, Provider, PushState, RunState, Watch, identity_of
from shared.domain.schedule import slot_of
from shared.ports.push import Listener
from tests.fakes import values
from tests.fakes.faults import asked_twice
from tests.fakes.values import BOX, OTHER_BOX, OTHER_TENANT, TENANT, a_mailbox

KEY = "a-name-of-ours"
NOW = values.NOW.replace(microsecond=0)
"""Instants of a watch are kept to the second."""
LATER = NOW + timedelta(hours=1)
END = NOW + timedelta(days=7)
WATCH = Watch("subscription-1", NOW + timedelta(days=6))


@pytest.fixture
def box(stores):
    one = a_mailbox(provider=Provider.OUTLOOK, status=MailboxStatus.ACTIVE)
    stores.mailboxes.create(one, RunState(due_slot=slot_of(BOX, 5)), identity_of(one))
    return lambda: stores.mailboxes.get(TENANT, BOX)


def listener(**given):
    return Listener(Provider.OUTLOOK, KEY, TENANT, BOX, **given)


def found(stores, key=KEY):
    return list(stores.push.listeners(Provider.OUTLOOK, key))


def test_of_runs_that_come_together_one_may_ask(stores, box):
    one, other = box(), box()
    assert stores.push.claim(one, again_at=LATER)
    assert not stores.push.claim(other, again_at=LATER)
    assert box().run_state.push == PushState(renew_at=LATER)
    assert stores.push.claim(box(), again_at=LATER + timedelta(hours=1))


def test_a_word_finds_whoever_listens_and_no_other(stores, box):
    assert found(stores) == []
    assert stores.push.listen(box(), KEY, proof="digest", until=END)
    assert found(stores) == [listener(proof="digest")]
    assert found(stores, "another") == []
    assert list(stores.push.listeners(Provider.GMAIL, KEY)) == []


def test_a_kept_watch_is_in_the_state_and_with_the_listener(stores, box):
    stores.push.listen(box(), KEY, proof="digest", until=END)
    assert stores.push.keep(box(), KEY, WATCH, renew_at=LATER, until=END)
    assert found(stores) == [listener(proof="digest", watch=WATCH.name)]
    assert box().run_state.push == PushState(WATCH, LATER)
    # While the next one is being made, none is known.
    stores.push.listen(box(), KEY, proof="another", until=END)
    assert found(stores) == [listener(proof="another")]


def test_nothing_is_kept_of_a_watch_to_which_nobody_listens(stores, box):
    stores.push.listen(box(), KEY, proof="digest", until=END)
    record = box()
    # As when the forgetting of the life before comes late.
    stores.push.forget(record.mailbox, KEY)
    assert not stores.push.keep(record, KEY, WATCH, renew_at=LATER, until=END)
    assert (found(stores), box().run_state.push) == ([], PushState())


def test_one_that_is_extended_is_still_heard_of_and_a_new_one_is_not(stores, box):
    stores.push.listen(box(), KEY, proof="digest", until=END)
    stores.push.keep(box(), KEY, WATCH, renew_at=LATER, until=END)
    stores.mailboxes.finish_idle(box(), now=NOW, told=True)
    heard = PushState(WATCH, LATER, NOW)
    assert box().run_state.push == heard
    longer = replace(WATCH, expires_at=END)
    stores.push.keep(box(), KEY, longer, renew_at=LATER, until=END)
    assert box().run_state.push == replace(heard, watch=longer)
    stores.push.keep(box(), KEY, replace(WATCH, name="another"), renew_at=LATER, until=END)
    assert box().run_state.push.heard_at is None


def test_a_poll_that_nobody_told_of_leaves_what_was_heard(stores, box):
    stores.mailboxes.finish_idle(box(), now=NOW, told=True)
    before = box().run_state
    stores.mailboxes.finish_idle(box(), now=NOW + timedelta(minutes=5))
    assert box().run_state.push == before.push
    assert box().run_state.due_slot == before.due_slot


def test_a_poll_may_move_a_mailbox_to_another_slot(stores, box):
    before, after = slot_of(BOX, 5), slot_of(BOX, 30)
    stores.mailboxes.finish_idle(box(), now=NOW, due_slot=before)
    assert [one.mailbox_id for one in stores.mailboxes.due(before)] == [BOX]
    stores.mailboxes.finish_idle(box(), now=NOW, due_slot=after)
    assert list(stores.mailboxes.due(before)) == []
    assert [one.mailbox_id for one in stores.mailboxes.due(after)] == [BOX]


def test_a_watch_that_ends_is_due_at_once(stores, box):
    stores.push.listen(box(), KEY, proof="digest", until=END)
    stores.push.keep(box(), KEY, WATCH, renew_at=LATER, until=END)
    assert stores.push.let_end(box(), now=NOW)
    assert box().run_state.push == PushState(WATCH, NOW)


def test_several_mailboxes_may_listen_to_one_name(stores, box):
    other = a_mailbox(
        provider=Provider.OUTLOOK, status=MailboxStatus.ACTIVE, tenant_id=OTHER_TENANT, id=OTHER_BOX
    )
    stores.mailboxes.create(other, RunState(due_slot=slot_of(BOX, 5)), identity_of(other))
    theirs = stores.mailboxes.get(OTHER_TENANT, OTHER_BOX)
    for record in (box(), theirs):
        stores.push.listen(record, KEY, proof=None, until=END)
    assert {(one.tenant_id, one.mailbox_id) for one in found(stores)} == {
        (TENANT, BOX), (OTHER_TENANT, OTHER_BOX)
    }  # fmt: skip
    assert stores.push.forget(box().mailbox, KEY)
    assert not stores.push.forget(theirs.mailbox, KEY)
    assert found(stores) == []


def test_of_words_that_come_together_one_asks(stores, box):
    stores.push.listen(box(), KEY, proof=None, until=END)
    (known,) = found(stores)
    assert stores.push.ask(known, renews=False, run_at=NOW)
    assert not stores.push.ask(known, renews=False, run_at=LATER)
    (known,) = found(stores)
    assert known.asked == {False: NOW}
    assert stores.push.ask(known, renews=True, run_at=LATER)
    (known,) = found(stores)
    assert known.asked == {False: NOW, True: LATER}
    # Taken back, for it could not be sent.
    assert stores.push.ask(known, renews=False, run_at=None)
    (known,) = found(stores)
    assert known.asked == {True: LATER}


def test_a_word_makes_no_listener(stores):
    assert not stores.push.ask(listener(), renews=False, run_at=NOW)
    assert found(stores) == []


def test_after_a_disconnect_nothing_of_it_is_written(stores, box):
    late = box()
    stores.push.listen(late, KEY, proof="digest", until=END)
    stores.push.keep(late, KEY, WATCH, renew_at=LATER, until=END)
    (known,) = found(stores)
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(late.mailbox))
    # What ends the watch has yet to learn its name.
    assert box().run_state.push.watch == WATCH
    assert not stores.push.forget(late.mailbox, KEY)
    assert box().run_state.push == PushState()
    assert not stores.push.claim(late, again_at=LATER)
    assert not stores.push.listen(late, KEY, proof="digest", until=END)
    assert not stores.push.keep(late, KEY, WATCH, renew_at=LATER, until=END)
    assert not stores.push.let_end(late, now=NOW)
    assert not stores.push.ask(known, renews=False, run_at=NOW)
    assert found(stores) == []
    assert box().run_state.push == PushState()
    # Repeating it changes nothing.
    assert not stores.push.forget(late.mailbox, KEY)


def test_a_reconnected_mailbox_is_watched_anew_and_its_old_watch_is_known(stores, box):
    stores.push.listen(box(), KEY, proof="digest", until=END)
    stores.push.keep(box(), KEY, WATCH, renew_at=LATER, until=END)
    stores.mailboxes.finish_idle(box(), now=NOW, told=True)
    before = box().mailbox
    stores.mailboxes.disconnect(TENANT, BOX, identity_of(before))
    stores.mailboxes.reconnect(box().mailbox, identity_of(before), slot_of(BOX, 5))
    assert box().run_state.push == PushState(WATCH)


def test_forgetting_a_mailbox_that_never_was_makes_nothing(stores):
    assert not stores.push.forget(
        a_mailbox(provider=Provider.OUTLOOK, status=MailboxStatus.ACTIVE), KEY
    )
    assert stores.mailboxes.get(TENANT, BOX) is None


def test_an_answer_that_is_lost_is_no_second_listener(aws):
    one = a_mailbox(provider=Provider.OUTLOOK, status=MailboxStatus.ACTIVE)
    aws.mailboxes.create(one, RunState(), identity_of(one))
    record = aws.mailboxes.get(TENANT, BOX)
    with asked_twice(aws, "TransactWriteItems"):
        assert aws.push.listen(record, KEY, proof=None, until=END)
    assert len(found(aws)) == 1


def test_what_is_kept_of_a_watch_says_nothing_readable(aws):
    one = a_mailbox(provider=Provider.OUTLOOK, status=MailboxStatus.ACTIVE)
    aws.mailboxes.create(one, RunState(due_slot=slot_of(BOX, 5)), identity_of(one))
    aws.push.listen(aws.mailboxes.get(TENANT, BOX), "ann@ours.example", proof="digest", until=END)
    items = aws.table.client.scan(TableName=aws.table.name)["Items"]
    (item,) = [item for item in items if item["pk"]["S"].startswith("#push#")]
    assert "ann" not in str(item)
    assert int(item["expires_at"]["N"]) == int(END.timestamp())
