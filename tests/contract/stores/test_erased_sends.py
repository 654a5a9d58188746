"""What an erasure takes of mails on their way out, of their content, and of files uploaded for them."""

from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from itertools import count

import pytest

from shared.aws import mail_eraser, send_erasure
from shared.aws.stored_objects import StoredObjects, of_tenant
from shared.domain.ids import SendId, new_ulid
from shared.domain.sending import SHARDS_OF_SENDS, Recipient
from shared.ports.sending import IdempotencyKey, SendCaps, SendRef
from tests.contract.stores.test_mail_eraser import erase_box, erased_all, other_box
from tests.fakes.backends import BUCKET
from tests.fakes.faults import KilledError, failing, killed
from tests.fakes.values import (
    BOX,
    NOW,
    OTHER_BOX,
    TENANT,
    a_person,
    a_send,
    connected,
    later,
)


@pytest.fixture
def box(stores):
    return connected(stores.mailboxes)


@pytest.fixture
def box_on_aws(aws):
    return connected(aws.mailboxes)


def asked_for(stores, text, *to, at=NOW, **changes):
    recipients = tuple(Recipient(one) for one in to or ("ada@example.org",))
    send = a_send(text, recipients=recipients, created_at=at, **changes)
    send = replace(send, id=SendId(f"{new_ulid(at)[:10]}{text:0>16}"))
    key, caps = IdempotencyKey(f"digest-{text}", "b"), SendCaps(999, 999, 999)
    ref = SendRef(send.tenant_id, send.mailbox_id, send.id)
    stores.outgoing.put(ref, b"content")
    stores.sends.create(send, key, caps, now=at)
    return ref


def is_kept(stores, ref, text):
    """Whether a send, its content and its key are kept, or none of the three."""
    kept = {
        stores.sends.get(ref) is not None,
        stores.outgoing.get(ref, sha256(b"content").hexdigest()) is not None,
        stores.sends.find(ref.tenant_id, IdempotencyKey(f"digest-{text}", "b")) is not None,
    }
    assert len(kept) == 1
    return kept.pop()


def test_a_mailboxs_sends_go_with_content_and_keys_and_are_counted(stores, box):
    other_box(stores)
    ours = {str(n): asked_for(stores, str(n)) for n in range(3)}
    theirs = asked_for(stores, "x", mailbox_id=OTHER_BOX)
    stores.outgoing.put(SendRef(TENANT, BOX, SendId("never-written")), b"content")
    sums = erase_box(stores, box)
    assert not any(is_kept(stores, ref, text) for text, ref in ours.items())
    assert is_kept(stores, theirs, "x")
    assert sums.sends == 3
    assert due_sends(stores) == [theirs]


def due_sends(stores):
    shards = (stores.sends.due(n, now=later(99), limit=9) for n in range(SHARDS_OF_SENDS))
    return [ref for found in shards for ref in found]


def test_a_persons_sends_go_from_every_mailbox_and_others_stay(stores, box):
    other_box(stores)
    doomed = {
        "1": asked_for(stores, "1", "bob@example.org", "Ada@Example.org"),
        "2": asked_for(stores, "2", mailbox_id=OTHER_BOX),
        "3": asked_for(stores, "3", "bob@example.org", sender="ada@example.org"),
    }
    kept = {
        "4": asked_for(stores, "4", "bob@example.org"),
        "5": asked_for(stores, "5", at=later(1)),
    }
    sums = erased_all(stores, a_person(requested_at=NOW))
    assert not any(is_kept(stores, ref, text) for text, ref in doomed.items())
    assert all(is_kept(stores, ref, text) for text, ref in kept.items())
    assert sums.sends == 3


def test_of_sends_in_many_stretches_all_of_a_person_are_found_and_counted_once(
    aws, box_on_aws, monkeypatch
):
    monkeypatch.setattr(send_erasure, "SENDS_IN_LOOK", 4)
    monkeypatch.setattr(send_erasure, "SENDS_IN_PAGE", 2)
    monkeypatch.setattr(mail_eraser, "MAILBOXES_IN_LOOK", 1)
    other_box(aws)
    refs = {}
    for number in range(24):
        to = "ada@example.org" if number % 5 in {0, 1, 2} else "bob@example.org"
        where = BOX if number % 2 else OTHER_BOX
        refs[f"{number:02}"] = to, asked_for(aws, f"{number:02}", to, mailbox_id=where)
    sums = erased_all(aws, a_person(requested_at=NOW))
    left = {text for text, (_, ref) in refs.items() if is_kept(aws, ref, text)}
    assert left == {text for text, (to, _) in refs.items() if to.startswith("bob")}
    assert sums.sends == 24 - len(left)


def test_no_key_outlives_the_send_it_is_found_by_wherever_an_eraser_dies(aws, box_on_aws):
    ref = asked_for(aws, "1")
    erasure = a_person(requested_at=NOW)
    for at in count():
        with failing(aws, killed, at=at, only=frozenset({"BatchWriteItem"})), suppress(KilledError):
            erased_all(aws, erasure)
            break
        has_key = any(item["sk"]["S"] == "key" for item in aws.items())
        assert not has_key or aws.sends.get(ref) is not None
    assert at == 2
    assert not is_kept(aws, ref, "1")


@pytest.mark.parametrize("whose", ["mailbox", "person"])
def test_content_and_files_that_nobody_asked_to_send_go(aws, box_on_aws, whose):
    objects = StoredObjects(BUCKET, aws.clients)

    def put(kind, owner, at):
        key = of_tenant(kind, TENANT) + f"{owner}/{new_ulid(at)}x"
        aws.clients.s3.put_object(Bucket=BUCKET, Key=key, Body=b"x")
        return key

    asked_for(aws, "1", "bob@example.org", mailbox_id=other_box(aws).mailbox.id)
    put("outgoing", BOX, later(-60))
    put("sending-uploads", "u1", later(-60))
    younger = {put("sending-uploads", "u1", later(60))}
    if whose == "person":
        younger.add(put("outgoing", BOX, later(60)))
        erased_all(aws, a_person())
    else:
        erase_box(aws, box_on_aws)
    left = {key for key in objects.keys("") if not key.startswith("attachments")}
    assert {key for key in left if "000000000000001" not in key} == younger
    assert len(left) == len(younger) + 1
