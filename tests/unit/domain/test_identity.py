from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.identity import thread_and_message_id, thread_of
from shared.domain.ids import MessageId, TenantId
from shared.domain.message import ParsedMessage, StoredAttachment

ACME = TenantId("acme")
BASE = ParsedMessage(
    internet_message_id="2@x",
    references=("1@x",),
    in_reply_to="1@x",
    subject="s",
    sent_at=None,
    participants=(),
    text="",
    html=None,
    snippet="",
    attachments=(),
    headers={},
    fingerprint_source=b"one",
)


def test_the_same_mail_in_two_mailboxes_is_one_message():
    assert thread_and_message_id(ACME, BASE, ()) == thread_and_message_id(
        ACME, replace(BASE, subject="[list] s"), ()
    )


def test_two_mails_that_share_a_message_id_stay_two_in_one_thread():
    first, second = (
        thread_and_message_id(ACME, m, ()) for m in (BASE, replace(BASE, fingerprint_source=b"two"))
    )
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_mails_that_differ_in_an_attachment_alone_stay_two():
    one = StoredAttachment("a.pdf", "application/pdf", 9, digest="1" * 64)
    sets = [
        (),
        (one,),
        (one, one),
        (replace(one, digest="2" * 64),),
        (replace(one, filename="b.pdf"),),
        (replace(one, digest=None, missing="message_too_large"),),
    ]
    assert len({thread_and_message_id(ACME, BASE, kept) for kept in sets}) == len(sets)


def test_a_reply_is_in_the_thread_of_its_root_in_any_order():
    root = replace(BASE, internet_message_id="1@x", references=(), in_reply_to=None)
    late = replace(BASE, internet_message_id="3@x", references=("1@x", "2@x"))
    only_reply_to = replace(BASE, references=())
    assert (
        len({thread_and_message_id(ACME, m, ())[0] for m in (root, BASE, late, only_reply_to)}) == 1
    )


def test_the_same_subject_alone_joins_nothing():
    one = replace(BASE, internet_message_id="a@x", references=(), in_reply_to=None)
    two = replace(one, internet_message_id="b@x")
    assert thread_and_message_id(ACME, one, ())[0] != thread_and_message_id(ACME, two, ())[0]


def test_mails_without_a_message_id_are_told_apart_by_content():
    one = replace(BASE, internet_message_id=None, references=(), in_reply_to=None)
    two = replace(one, fingerprint_source=b"two")
    assert thread_and_message_id(ACME, one, ()) != thread_and_message_id(ACME, two, ())


def test_ids_of_two_tenants_have_nothing_in_common():
    ours, theirs = (
        thread_and_message_id(ACME, BASE, ()),
        thread_and_message_id(TenantId("other"), BASE, ()),
    )
    assert not set(ours) & set(theirs)


@given(st.text(), st.lists(st.text(), max_size=3), st.binary())
def test_a_message_id_names_its_thread(own, references, fingerprint):
    message = replace(
        BASE, internet_message_id=own, references=tuple(references), fingerprint_source=fingerprint
    )
    thread_id, message_id = thread_and_message_id(ACME, message, ())
    assert thread_of(message_id) == thread_id


@given(st.text())
def test_what_is_no_message_id_names_no_thread(text):
    thread_id = thread_of(MessageId(text))
    assert thread_id is None or len(text) == 49
