"""Which mail a policy keeps out."""

import fnmatch
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import Address
from shared.domain.mailbox import Direction
from shared.domain.matching import is_automated, is_blocked, why_kept_out
from shared.domain.message import Participant, ParticipantRole, StoredAttachment
from shared.domain.policy import Automated, Folding, TenantPolicy
from shared.domain.wildcards import Glob

ANN, BOB, CLEO, EVE = "ann@ours.example", "bob@ours.example", "cleo@client.example", "eve@x.example"
OURS = TenantPolicy(own_domains=("ours.example",))
SKIPPING = TenantPolicy(own_domains=("ours.example",), automated=Automated.SKIP)


@dataclass
class Mail:
    participants: list = field(default_factory=list)
    headers: dict = field(default_factory=dict)
    attachments: list = field(default_factory=list)
    defects: tuple = ()


def mail(sender=CLEO, *to, cc=(), bcc=(), reply_to=(), headers=None, parts=()):
    people = [Participant(ParticipantRole.FROM, Address(sender))] if sender else []
    for role, addresses in (
        (ParticipantRole.TO, to), (ParticipantRole.CC, cc),
        (ParticipantRole.BCC, bcc), (ParticipantRole.REPLY_TO, reply_to),
    ):  # fmt: skip
        people += [Participant(role, Address(one)) for one in addresses]
    attachments = [StoredAttachment("", one, 1) for one in parts]
    return Mail(people, headers or {}, attachments)


def why(policy, message, direction=Direction.INBOUND):
    return why_kept_out(policy, message, direction)


# ---- internal ----


@pytest.mark.parametrize(
    "message",
    [
        mail(ANN, BOB),
        mail(ANN, BOB, cc=[ANN]),
        mail(ANN, bcc=[BOB]),
        mail(ANN, BOB, reply_to=["team@ours.example"]),
    ],
)
def test_mail_among_the_tenants_own_people_is_internal(message):
    assert why(OURS, message) == why(OURS, message, Direction.OUTBOUND) == "internal"
    assert why(TenantPolicy(), message) is None, "without own domains nothing is"


@pytest.mark.parametrize(
    "message",
    [
        mail(CLEO, ANN),
        mail(ANN, BOB, cc=[CLEO]),
        mail(ANN, BOB, bcc=[CLEO]),
        mail("web@ours.example", ANN, reply_to=[CLEO]),
        mail(ANN),
        mail(None, ANN),
        mail(ANN, "bob@sub.ours.example"),
        mail(ANN, "bob@notours.example"),
        mail(),
    ],
)
def test_mail_that_names_anybody_else_or_not_both_ends_is_not_internal(message):
    assert why(OURS, message) is None


@pytest.mark.parametrize("defect", ["too_many_participants", "header_too_long", "too_many_headers"])
def test_who_may_have_named_others_too_is_judged_by_its_sender_alone(defect):
    policy = TenantPolicy(own_domains=("ours.example",), blocklist=("x.example",))
    for message in (mail(ANN, BOB), mail(CLEO, ANN), mail(ANN, EVE), mail(EVE, ANN)):
        before = why(policy, message, Direction.OUTBOUND), why(policy, message)
        message.defects = ("encoding_unknown", defect)
        after = why(policy, message, Direction.OUTBOUND), why(policy, message)
        assert after == (None, "blocked" if message.participants[0].address == EVE else None)
        message.defects = ("encoding_unknown",)
        assert (why(policy, message, Direction.OUTBOUND), why(policy, message)) == before


def test_what_lies_below_an_own_domain_is_own_where_it_says_so():
    below = TenantPolicy(own_domains=("*.ours.example",))
    assert why(below, mail("a@sub.ours.example", "b@very.sub.ours.example")) == "internal"
    assert why(below, mail("a@sub.ours.example", ANN)) is None
    assert why(below, mail("a@sub.ours.example", "b@sub.yours.example")) is None


# ---- blocked ----


@pytest.mark.parametrize(
    ("entry", "address", "is_on_it"),
    [
        ("eve@x.example", EVE, True),
        ("eve@x.example", "steve@x.example", False),
        ("x.example", EVE, True),
        ("x.example", "eve@sub.x.example", False),
        ("*.x.example", "eve@very.sub.x.example", True),
        ("*.x.example", EVE, False),
        ("*.x.example", "eve@notx.example", False),
        ("newsletter-*@x.example", "newsletter-@x.example", True),
        ("newsletter-*@x.example", "newsletter-7@x.example", True),
        ("newsletter-*@x.example", "a-newsletter-7@x.example", False),
        ("newsletter-*@x.example", "newsletter-7@x.example.org", False),
        ("noreply@*", "noreply@a.example", True),
        ("*-bot@*.x.example", "a-bot@b.x.example", True),
        ("a*a@x.example", "a@x.example", False),
    ],
)
def test_an_entry_blocks_whom_it_says(entry, address, is_on_it):
    assert is_blocked(TenantPolicy(blocklist=(entry,)), Address(address)) is is_on_it


def test_who_is_blocked_is_so_in_every_form_the_tenant_takes_for_one():
    tagged = TenantPolicy(blocklist=("eve+ads@x.example", "d.an@gmail.com"))
    folding = TenantPolicy(blocklist=tagged.blocklist, plus_tags=Folding.FOLD, dots=Folding.FOLD)
    for address in (EVE, "eve+news@x.example", "da.n+x@googlemail.com"):
        assert is_blocked(folding, Address(address))
        assert not is_blocked(tagged, Address(address))


@pytest.mark.parametrize(
    ("message", "direction", "is_out"),
    [
        (mail(EVE, ANN), Direction.INBOUND, True),
        (mail(EVE, ANN, CLEO), Direction.INBOUND, True),
        (mail(CLEO, ANN, EVE), Direction.INBOUND, False),
        (mail(CLEO, EVE), Direction.INBOUND, False),
        (mail(ANN, EVE), Direction.OUTBOUND, True),
        (mail(ANN, EVE, bcc=[BOB]), Direction.OUTBOUND, True),
        (mail(ANN, EVE, cc=[CLEO]), Direction.OUTBOUND, False),
        (mail(ANN), Direction.OUTBOUND, False),
        (mail(CLEO, ANN, reply_to=[EVE]), Direction.INBOUND, False),
        (mail(None, EVE), Direction.INBOUND, True),
        (mail(), Direction.INBOUND, False),
    ],
)
def test_blocked_is_what_is_from_them_or_to_nobody_else(message, direction, is_out):
    policy = TenantPolicy(own_domains=("ours.example",), blocklist=("x.example",))
    assert why(policy, message, direction) == ("blocked" if is_out else None)


def test_without_own_domains_what_we_send_to_a_blocked_one_alone_is_left_out_too():
    policy = TenantPolicy(blocklist=("x.example",))
    assert why(policy, mail(ANN, EVE), Direction.OUTBOUND) == "blocked"
    assert why(policy, mail(ANN, EVE, BOB), Direction.OUTBOUND) is None


@pytest.mark.parametrize("entry", ["*.example", "our*.example", "*.*e", "ann@*", ANN])
def test_nobody_of_ours_is_blocked_whatever_an_entry_stands_for(entry):
    policy = TenantPolicy(own_domains=("ours.example",), blocklist=(entry,))
    assert not is_blocked(policy, Address(ANN))
    assert why(policy, mail(ANN, "cleo@client.org"), Direction.OUTBOUND) is None
    assert why(policy, mail(ANN, "cleo@client.org")) is None, "in a colleague's mailbox"


def test_without_own_domains_an_entry_that_matches_our_own_address_keeps_in_what_we_send():
    policy = TenantPolicy(blocklist=("*.example",))
    assert why(policy, mail(ANN, "cleo@client.org"), Direction.OUTBOUND) is None
    assert why(policy, mail(ANN, CLEO), Direction.OUTBOUND) == "blocked"


def test_mail_from_two_of_whom_one_is_not_blocked_is_kept():
    message = mail(EVE, ANN)
    message.participants.append(Participant(ParticipantRole.FROM, Address(CLEO)))
    assert why(TenantPolicy(blocklist=("x.example",)), message) is None


# ---- automated ----


@pytest.mark.parametrize(
    "headers",
    [
        {"auto-submitted": "auto-generated"},
        {"auto-submitted": "Auto-Replied; owner=x"},
        {"auto-submitted": "auto-notified (a reminder)"},
        {"list-id": "News <news.client.example>"},
        {"list-unsubscribe": "<mailto:u@client.example>"},
        {"list-post": "NO"},
        {"precedence": "Bulk"},
        {"precedence": "list"},
        {"precedence": "junk"},
        {"precedence": "auto_reply"},
        {"x-auto-response-suppress": "All"},
        {"x-auto-response-suppress": "DR, OOF, AutoReply"},
        {"return-path": "<>"},
        {"x-autoreply": "yes"},
        {"x-autorespond": ""},
        {"x-failed-recipients": CLEO},
    ],
)
def test_what_says_that_a_machine_sent_it_is_automated(headers):
    message = mail(headers=headers)
    assert why(SKIPPING, message) == "automated"
    assert why(OURS, message) is None, "it is stored where the policy does not say otherwise"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"auto-submitted": "no"},
        {"auto-submitted": "No (a person)"},
        {"auto-submitted": ""},
        {"precedence": "first-class"},
        {"x-auto-response-suppress": "RN, NRN, DR"},
        {"x-auto-response-suppress": "None"},
        {"return-path": "<cleo@client.example>"},
        {"importance": "high"},
        {"list-id": "Sales <sales.ours.example>", "precedence": "list", "list-post": "<mailto:x>"},
        {"list-id": "ours.example"},
    ],
)
def test_what_a_person_sent_is_not(headers):
    assert why(SKIPPING, mail(headers=headers)) is None


@pytest.mark.parametrize(
    ("local", "answers_nobody"),
    [
        ("noreply", True),
        ("no-reply", True),
        ("no_reply+77", True),
        ("no.reply.2", True),
        ("drive-shares-dm-noreply", True),
        ("noreply-accounts", True),
        ("do-not-reply", True),
        ("donotreply", True),
        ("mailer-daemon", True),
        ("bounces+1-2", True),
        ("juno.reply", False),
        ("reply", False),
        ("nore.ply", False),
        ("postmaster", False),
        ("cleo+noreply", False),
        ("info", False),
    ],
)
def test_an_address_that_takes_no_answer_is_a_machine_s(local, answers_nobody):
    assert is_automated(mail(f"{local}@client.example", ANN), OURS) is answers_nobody
    assert not is_automated(mail(CLEO, f"{local}@client.example"), OURS), "to it is no matter"


@pytest.mark.parametrize("part", ["message/delivery-status", "message/disposition-notification"])
def test_a_report_is_automated_whoever_signs_it(part):
    assert is_automated(mail(parts=["text/plain", part]), OURS)
    assert not is_automated(mail(parts=["message/rfc822", "text/calendar"]), OURS)


def test_internal_comes_before_blocked_and_blocked_before_automated():
    policy = TenantPolicy(
        own_domains=("ours.example",), blocklist=("ann@*", "x.example"), automated=Automated.SKIP
    )
    headers = {"precedence": "bulk"}
    assert why(policy, mail(ANN, BOB, headers=headers)) == "internal"
    assert why(policy, mail(EVE, BOB, headers=headers)) == "blocked"
    assert why(policy, mail(CLEO, BOB, headers=headers)) == "automated"


# ---- entries ----


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_a_star_is_any_characters(entry, text):
    glob = Glob.of(f"{entry}*") if "*" not in entry else Glob.of(entry)
    pattern = f"{entry}*" if "*" not in entry else entry
    assert glob.matches(text) is fnmatch.fnmatchcase(text, pattern)


@pytest.mark.parametrize(
    "entry", ["*a*a*a*a*b", "*aab*aab*c", "a*aaab*aaab*c", "*" + "a" * 40 + "b*"]
)
def test_matching_takes_time_in_proportion_to_the_text(entry):
    def seconds(length):
        text, glob = "a" * length, Glob.of(entry)
        best = float("inf")
        for _ in range(5):
            begun = time.perf_counter()
            for _ in range(20):
                glob.matches(text)
            best = min(best, time.perf_counter() - begun)
        return best

    # A square would be 16 times as long.
    assert seconds(400_000) < 8 * seconds(100_000) + 0.001


def test_the_largest_policy_judges_the_largest_message_in_no_time():
    entries = tuple(f"*a{number}*a*@*a.example" for number in range(1_000))
    policy = TenantPolicy(own_domains=("ours.example",), blocklist=(*entries, "x.example"))
    people = [f"{'a' * 60}{number}@{'a' * 60}.example" for number in range(499)]
    begun = time.perf_counter()
    assert why(policy, mail(people[0], *people[1:])) is None
    assert time.perf_counter() - begun < 1
