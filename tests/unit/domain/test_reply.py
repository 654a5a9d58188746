import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.composing import NamedAddress, one_line
from shared.domain.identity import root_of, thread_named
from shared.domain.ids import Address, MessageId, TenantId, ThreadId
from shared.domain.mailbox import Direction
from shared.domain.message import Message, Participant, ParticipantRole
from shared.domain.policy import Folding, TenantPolicy
from shared.domain.reply import MOST_REFERENCE_CHARACTERS, MOST_REFERENCES, answer_to
from shared.domain.sending import SendKind
from tests.fakes.values import NOW

US = "ann@ours.example"
BOB, CLEO, DAN, LIST = (f"{name}@{name}.example" for name in ("bob", "cleo", "dan", "list"))
ODD = "jörg@dan.example"
ROLES = {
    "from_": ParticipantRole.FROM,
    "to": ParticipantRole.TO,
    "cc": ParticipantRole.CC,
    "bcc": ParticipantRole.BCC,
    "reply_to": ParticipantRole.REPLY_TO,
}


def mail(subject="Lunch", own_id="own@bob", references=(), in_reply_to=None, **people) -> Message:
    return Message(
        id=MessageId("m1"),
        thread_id=ThreadId("t1"),
        internet_message_id=own_id,
        in_reply_to=in_reply_to,
        references=tuple(references),
        subject=subject,
        direction=Direction.INBOUND,
        sent_at=NOW,
        received_at=NOW,
        participants=tuple(
            Participant(ROLES[role], Address(one), one[:3].title())
            for role, those in people.items()
            for one in those
        ),
        snippet="",
        attachments=(),
    )


def answered(message, kind=SendKind.REPLY, own=(US,), **choice):
    answer = answer_to(message, kind, own, **choice)
    return [one.address for one in answer.to], [one.address for one in answer.cc]


REPLY, ALL, FORWARD = SendKind.REPLY, SendKind.REPLY_ALL, SendKind.FORWARD


@pytest.mark.parametrize(
    ("people", "kind", "to", "cc"),
    [
        ({"from_": [BOB], "to": [US]}, REPLY, [BOB], []),
        ({"from_": [BOB], "to": [US]}, FORWARD, [], []),
        ({"from_": [BOB], "to": [US, CLEO], "cc": [DAN]}, REPLY, [BOB], []),
        ({"from_": [BOB], "to": [US, CLEO], "cc": [DAN]}, ALL, [BOB], [CLEO, DAN]),
        # Reply-To is where the sender wants it.
        ({"from_": [BOB], "to": [US], "reply_to": [LIST]}, REPLY, [LIST], []),
        ({"from_": [BOB], "to": [US], "reply_to": [LIST, DAN]}, REPLY, [LIST, DAN], []),
        ({"from_": [BOB], "to": [US, CLEO], "reply_to": [LIST]}, ALL, [LIST], [CLEO]),
        # One that names us alone says nothing.
        ({"from_": [BOB], "to": [US], "reply_to": [US]}, REPLY, [BOB], []),
        # Nobody twice.
        ({"from_": [BOB], "to": [CLEO, BOB], "cc": [CLEO, DAN, US]}, ALL, [BOB], [CLEO, DAN]),
        # Our own mail is answered to those who had it.
        ({"from_": [US], "to": [BOB, CLEO], "cc": [DAN]}, REPLY, [BOB, CLEO], []),
        ({"from_": [US], "to": [BOB, US], "cc": [DAN, BOB]}, ALL, [BOB], [DAN]),
        ({"from_": [US], "to": [BOB], "reply_to": [LIST]}, REPLY, [BOB], []),
        ({"from_": [US], "cc": [DAN]}, ALL, [DAN], []),
        # A form on our web page writes to us in our name.
        ({"from_": [US], "to": [US], "reply_to": [CLEO]}, REPLY, [CLEO], []),
        # Never to ourselves, and never to whom a blind copy went.
        ({"from_": [US], "to": [US]}, REPLY, [], []),
        ({"from_": [US], "to": [US]}, ALL, [], []),
        ({"from_": [US], "to": [BOB], "bcc": [CLEO]}, ALL, [BOB], []),
        ({"from_": [BOB], "to": [US], "bcc": [CLEO]}, ALL, [BOB], []),
        ({"to": [US]}, ALL, [], []),
    ],
)  # fmt: skip
def test_who_gets_an_answer(people, kind, to, cc):
    assert answered(mail(**people), kind) == (to, cc)


@pytest.mark.parametrize(
    "own",
    [
        [US.upper()],
        ["other@x.example", "Ann@Ours.Example "],
        ["ann@other.example", US],
    ],
)
def test_we_are_found_in_any_spelling_and_under_any_of_our_names(own):
    message = mail(from_=[BOB], to=[US, CLEO])
    assert answered(message, ALL, own) == ([BOB], [CLEO])


def test_a_domain_with_umlauts_is_ours_however_it_is_written():
    message = mail(from_=[BOB], to=["ann@xn--bcher-kva.example"])
    assert answered(message, ALL, ["Ann@Bücher.example"]) == ([BOB], [])


def test_at_gmail_every_spelling_of_our_address_is_ours():
    message = mail(from_=[BOB], to=["a.n.n+news@googlemail.com"], cc=["annb@gmail.com"])
    assert answered(message, ALL, ["ann@gmail.com"]) == ([BOB], ["annb@gmail.com"])


def test_a_tag_is_ours_where_the_tenant_says_so():
    message = mail(from_=[BOB], to=["ann+news@ours.example"])
    assert answered(message, ALL) == ([BOB], ["ann+news@ours.example"])
    folding = TenantPolicy(plus_tags=Folding.FOLD)
    assert answered(message, ALL, policy=folding) == ([BOB], [])


@pytest.mark.parametrize(
    ("people", "kind", "expected"),
    [
        ({"from_": [BOB], "to": [US], "cc": [ODD, DAN]}, ALL, ([BOB], [DAN], [ODD])),
        ({"from_": [BOB], "to": [US], "cc": [ODD]}, REPLY, ([BOB], [], [])),
        # Where the sender wants no answer nobody sends one.
        ({"from_": [BOB], "to": [US], "reply_to": [ODD]}, REPLY, ([], [], [ODD])),
        ({"from_": [BOB], "to": [US], "reply_to": [ODD, LIST]}, REPLY, ([LIST], [], [ODD])),
        ({"from_": [ODD], "to": [US], "cc": [DAN]}, ALL, ([DAN], [], [ODD])),
        ({"from_": [US], "to": [ODD]}, REPLY, ([], [], [ODD])),
        ({"from_": [ODD], "to": [US]}, FORWARD, ([], [], [])),
    ],
)
def test_whom_no_mail_can_be_sent_to_is_left_out_and_named(people, kind, expected):
    answer = answer_to(mail(**people), kind, [US])
    found = tuple(
        [one.address for one in those] for those in (answer.to, answer.cc, answer.left_out)
    )
    assert found == expected


def test_names_are_kept_on_one_line():
    message = mail()
    people = (Participant(ROLES["from_"], Address(BOB), "Bob\r\nBcc: eve@evil.example\u2028x"),)
    object.__setattr__(message, "participants", people)
    [to] = answer_to(message, REPLY, [US]).to
    assert to == NamedAddress(BOB, "Bob Bcc: eve@evil.example x")


@pytest.mark.parametrize(
    ("subject", "reply", "forward"),
    [
        ("Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("Re: Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("re:Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("AW: Re: SV: Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("RE[2]: Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("Re(3): Re^ Lunch", "Re: Re^ Lunch", "Fwd: Re^ Lunch"),
        ("RE : Déjeuner", "Re: Déjeuner", "Fwd: Déjeuner"),
        ("WG: Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("TR: Fwd: Lunch", "Re: Lunch", "Fwd: Lunch"),
        ("回复：午饭", "Re: 午饭", "Fwd: 午饭"),
        ("Ответ: Обед", "Re: Обед", "Fwd: Обед"),
        ("", "Re:", "Fwd:"),
        ("Re:", "Re:", "Fwd:"),
        # Words of its own are no prefix.
        ("Offer: half price", "Re: Offer: half price", "Fwd: Offer: half price"),
        ("Recall", "Re: Recall", "Fwd: Recall"),
        ("Lunch, Re: yours", "Re: Lunch, Re: yours", "Fwd: Lunch, Re: yours"),
        ("Lunch\r\nBcc: eve@evil.example", "Re: Lunch Bcc: eve@evil.example", "Fwd: Lunch Bcc: eve@evil.example"),
    ],
)  # fmt: skip
def test_a_subject_has_one_prefix(subject, reply, forward):
    message = mail(subject, from_=[BOB])
    assert answer_to(message, REPLY, [US]).subject == reply
    assert answer_to(message, ALL, [US]).subject == reply
    assert answer_to(message, FORWARD, [US]).subject == forward


def test_a_subject_without_end_is_cut():
    assert len(answer_to(mail("Re: " * 9_000 + "x " * 9_000), REPLY, [US]).subject) <= 998


@pytest.mark.parametrize(
    ("ids", "in_reply_to", "references"),
    [
        ({}, "own@bob", ("own@bob",)),
        ({"references": ["a", "b"]}, "own@bob", ("a", "b", "own@bob")),
        ({"in_reply_to": "a"}, "own@bob", ("a", "own@bob")),
        ({"references": ["a"], "in_reply_to": "b"}, "own@bob", ("a", "own@bob")),
        ({"own_id": None, "references": ["a", "b"]}, None, ("a", "b")),
        ({"own_id": None}, None, ()),
        ({"references": ["a", "own@bob", "b"]}, "own@bob", ("a", "own@bob", "b")),
        ({"own_id": "x\r\nBcc: eve@evil.example", "references": ["a"]}, None, ("a",)),
        ({"own_id": "ä@bob", "references": ["a"]}, None, ("a",)),
        ({"own_id": "x" * 951}, None, ()),
    ],
)
def test_an_answer_names_what_it_answers_and_all_before_it(ids, in_reply_to, references):
    answer = answer_to(mail(**ids), REPLY, [US])
    assert answer.in_reply_to == in_reply_to
    assert answer.references == references


def test_what_is_passed_on_is_on_the_thread_and_answers_nothing():
    answer = answer_to(mail(references=["a"]), FORWARD, [US])
    assert answer.in_reply_to is None
    assert answer.references == ("a", "own@bob")


_IDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="<>"),
    min_size=1,
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(
    references=st.lists(_IDS, max_size=8),
    in_reply_to=st.none() | _IDS,
    own=st.none() | _IDS,
    times=st.integers(1, 60),
    width=st.sampled_from([0, 400]),
)
def test_an_answer_is_on_the_thread_of_what_it_answers(references, in_reply_to, own, times, width):
    long = [f"{one}{number}{'x' * width}" for number in range(times) for one in references]
    message = mail(references=long, in_reply_to=in_reply_to, own_id=own)
    answer = answer_to(message, REPLY, [US])
    assert len(answer.references) <= MOST_REFERENCES
    assert sum(map(len, answer.references)) <= MOST_REFERENCE_CHARACTERS
    root = root_of(message.references, message.in_reply_to, own or "")
    if not root:
        return
    tenant = TenantId("acme")
    of_answer = root_of(answer.references, answer.in_reply_to, "ours@ours.example")
    assert thread_named(tenant, of_answer) == thread_named(tenant, root)
    if own:
        assert answer.references[-1] == own or own in answer.references
    assert all(one == one_line(one) for one in answer.references)
