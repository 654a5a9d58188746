"""What is known of a thread goes with the messages it stands for, and nothing outlives them all."""

from dataclasses import replace

import pytest

from shared.domain.identity import thread_named
from shared.domain.threads import ThreadLevel, ThreadRecord
from tests.contract.stores.test_joined_threads import A, B, C, D, arrive, fence_of
from tests.contract.stores.test_mail_eraser import erase_box, erased_all
from tests.contract.stores.test_thread_races import DiedError, before_call
from tests.contract.stores.test_thread_store import keep
from tests.fakes.conversations import arriving, found
from tests.fakes.values import BOX, OTHER_BOX, TENANT, a_mailbox, a_person, later, stands

UNDER_A, UNDER_B = thread_named(TENANT, "a@x"), thread_named(TENANT, "b@x")
ROOT, MEMBER = sorted([UNDER_A, UNDER_B])


def records(stores):
    """All records of threads there are, by thread."""
    if stores.table is None:
        return {one: record for (_, one), record in stores.threads.world.threads.items()}
    return {raw["pk"]["S"]: raw for raw in stores.items() if raw["sk"]["S"].startswith("thread")}


def erase(stores, whose):
    if whose == "mailbox":
        return erase_box(stores, stands(stores.mailboxes, a_mailbox(address="b1@acme.example")))
    return erased_all(stores, a_person(requested_at=later(99)))


@pytest.mark.parametrize("whose", ["mailbox", "person"])
def test_of_a_conversation_that_goes_nothing_is_known_any_more(stores, whose):
    with_thread = [
        replace(mail, provider_thread="p1" if whose == "mailbox" else None) for mail in (A, B, C, D)
    ]
    arrive(stores, [with_thread[2]], with_thread[:2], with_thread[3:])
    assert records(stores)
    erase(stores, whose)
    assert records(stores) == {}


def test_what_stays_of_a_conversation_stays_one(stores):
    fences = {}
    left = arrive(stores, [replace(A, mailbox_id=OTHER_BOX)], fences=fences)
    arrive(stores, [B, C], fences=fences)
    left += arrive(stores, [replace(D, mailbox_id=OTHER_BOX)], fences=fences)
    erase(stores, "mailbox")
    assert found(stores, left) == {frozenset(one.message.id for one in left)}
    # Nothing lies under B's id any more: its record is gone, and no root names it.
    known = stores.threads.get_threads(TENANT, [UNDER_A, UNDER_B])
    assert known == {one: ThreadRecord(one, one) for one in known}


def test_a_root_stays_for_what_lies_under_others(stores):
    fences = {}
    arrive(stores, [A, B], fences=fences)
    left = arrive(
        stores,
        [replace(C, mailbox_id=OTHER_BOX)],
        [replace(D, own="e@x", mailbox_id=OTHER_BOX)],
        fences=fences,
    )
    erase(stores, "mailbox")
    assert len(found(stores, left)) == 1


def test_a_reply_that_goes_leaves_what_its_parent_says_itself(stores):
    """Where the reply had come first, and so had said it of the parent."""
    fences = {}
    arrive(stores, [replace(D, references=("a@x", "b@x"), in_reply_to="b@x")], fences=fences)
    left = arrive(stores, [replace(one, mailbox_id=OTHER_BOX) for one in (A, B)], fences=fences)
    erase(stores, "mailbox")
    left += arrive(stores, [replace(C, mailbox_id=OTHER_BOX)], fences=fences)
    assert len(found(stores, left)) == 1


@pytest.mark.parametrize("first", [A, B])
def test_one_of_two_messages_of_one_id_leaves_what_the_other_says(stores, first):
    fences = {}
    arrive(stores, [first, replace(B, text="banner")], fences=fences)
    left = arrive(stores, [replace(one, mailbox_id=OTHER_BOX) for one in (A, B)], fences=fences)
    erase(stores, "mailbox")
    left += arrive(stores, [replace(C, mailbox_id=OTHER_BOX)], fences=fences)
    assert len(found(stores, left)) == 1


def test_the_levels_of_a_thread_go_with_its_last_message(stores):
    arrive(stores, [A])
    keep(stores, ThreadRecord(UNDER_A, UNDER_A, levels={BOX: ThreadLevel.PRIVATE}))
    erase(stores, "mailbox")
    assert records(stores) == {}


def test_a_level_stays_while_a_message_does(stores):
    fences = {}
    arrive(stores, [B], [replace(A, mailbox_id=OTHER_BOX)], fences=fences)
    record = ThreadRecord(UNDER_A, UNDER_A, levels={OTHER_BOX: ThreadLevel.PRIVATE})
    keep(stores, record)
    erase(stores, "mailbox")
    assert stores.threads.get_threads(TENANT, [UNDER_A])[UNDER_A] == record


def test_wherever_an_eraser_dies_nothing_is_left_in_the_end(aws):
    fence = fence_of(aws)
    person = a_person(requested_at=later(99))
    new = [arriving(mail) for mail in (A, B, C, D)]

    def die():
        raise DiedError

    for number in range(1, 80):
        aws.messages.save(fence, [new[2], new[3]])
        aws.messages.save(fence, new[:2])
        died = False
        with before_call(aws, number, die):
            try:
                erased_all(aws, person)
            except DiedError:
                died = True
        erased_all(aws, person)
        assert records(aws) == {}, number
        # What was emptied refuses to be written for a while.
        for raw in aws.items():
            if "z" in raw:
                key = {name: raw[name] for name in ("pk", "sk")}
                aws.table.client.delete_item(TableName=aws.table.name, Key=key)
        if not died:
            break
    assert number > 10
