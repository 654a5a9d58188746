"""Threads that turn out to be one: the same for both stores, and in whatever order mail arrives."""

from dataclasses import replace
from itertools import count, pairwise, permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.ids import TenantId
from tests.fakes.conversations import Mail, arriving, expected, found
from tests.fakes.values import BOX, OTHER_BOX, TENANT, connected, lease_of

A = Mail("a@x", seconds=1)
B = Mail("b@x", ("a@x",), "a@x", seconds=2)
C = Mail("c@x", (), "b@x", seconds=3)
D = Mail("d@x", ("a@x", "b@x", "c@x"), "c@x", seconds=4)
TENANTS = (TenantId(f"acme-{number}") for number in count())


def fence_of(stores, mailbox_id=BOX, tenant_id=TENANT):
    record = connected(
        stores.mailboxes,
        tenant_id=tenant_id,
        id=mailbox_id,
        address=f"{mailbox_id[-2:].lower()}@acme.example",
    )
    return lease_of(stores.mailboxes, record).fence


def arrive(stores, *batches, fences=None, tenant_id=TENANT):
    """Store mails, a batch at a time and each mailbox's apart; return them all."""
    fences = {} if fences is None else fences
    stored = []
    for batch in batches:
        for mailbox_id in sorted({mail.mailbox_id for mail in batch}):
            if mailbox_id not in fences:
                fences[mailbox_id] = fence_of(stores, mailbox_id, tenant_id)
            new = [arriving(m, tenant_id=tenant_id) for m in batch if m.mailbox_id == mailbox_id]
            stores.messages.save(fences[mailbox_id], new)
            stored += new
    return stored


@pytest.mark.parametrize(
    "order", list(permutations([A, B, C, D])), ids=lambda o: "".join(m.own[0] for m in o)
)
def test_late_arrivals_join_what_they_belong_to_in_any_order(stores, order):
    new = arrive(stores, *([mail] for mail in order))
    assert found(stores, new) == expected([A, B, C, D])
    assert len(expected([A, B, C, D])) == 1


def test_the_whole_thread_is_read_in_order_from_any_of_its_parts(stores):
    new = arrive(stores, [D, C], [B, A])
    for one in new:
        entries = stores.messages.thread(TENANT, one.message.thread_id)
        assert [entry.message_id for entry in entries] == [
            arriving(mail).message.id for mail in (A, B, C, D)
        ]


def test_references_that_begin_late_lead_to_the_thread_all_the_same(stores):
    late = Mail("d@x", ("b@x", "c@x"), "c@x")
    for order in ([A, B, late], [late, B, A]):
        new = arrive(stores, *([mail] for mail in order), tenant_id=(tenant := next(TENANTS)))
        assert len(found(stores, new, tenant_id=tenant)) == 1


def test_two_replies_to_what_never_came_are_one_thread(stores):
    first, second = Mail("1@x", (), "lost@x"), Mail("2@x", ("a@x", "lost@x"), "lost@x")
    for order in ([first, second], [second, first]):
        new = arrive(stores, *([mail] for mail in order), tenant_id=(tenant := next(TENANTS)))
        assert len(found(stores, new, tenant_id=tenant)) == 1


def test_what_shares_a_message_id_stays_two_in_one_thread(stores):
    other = replace(B, references=(), in_reply_to=None, text="another mail")
    new = arrive(stores, [A, B], [other])
    assert len({one.message.id for one in new}) == 3
    assert found(stores, new) == {frozenset(one.message.id for one in new)}


def test_a_mail_of_two_mailboxes_joins_for_both(stores):
    new = arrive(stores, [A, C], [replace(B, mailbox_id=OTHER_BOX)])
    assert len(found(stores, new)) == 1


def test_a_reply_that_lost_its_headers_is_found_by_its_providers_thread(stores):
    root = replace(A, provider_thread="p1")
    bare = Mail("e@x", provider_thread="p1", seconds=5)
    for order in ([root, bare], [bare, root]):
        new = arrive(stores, *([mail] for mail in order), tenant_id=(tenant := next(TENANTS)))
        assert len(found(stores, new, tenant_id=tenant)) == 1


def test_a_providers_thread_is_its_mailboxs_own(stores):
    one, other = (Mail(f"{n}@x", provider_thread="p1") for n in "12")
    new = arrive(stores, [one, replace(other, mailbox_id=OTHER_BOX)])
    assert len(found(stores, new)) == 2


def test_nothing_joins_across_tenants(stores):
    tenant = next(TENANTS)
    ours, theirs = arrive(stores, [B]), arrive(stores, [C], tenant_id=tenant)
    assert len(found(stores, ours)) == len(found(stores, theirs, tenant_id=tenant)) == 1
    assert stores.messages.thread(TENANT, theirs[0].message.thread_id) == []


def test_storing_again_changes_nothing(stores):
    fences = {}
    new = arrive(stores, [A, B], [C, D], fences=fences)
    before = sorted(stores.items(), key=str), found(stores, new)
    arrive(stores, [D, A], [B], [C], fences=fences)
    assert (sorted(stores.items(), key=str), found(stores, new)) == before


# ---- any conversation, any loss, any order ----

BOXES = (BOX, OTHER_BOX)


@st.composite
def conversations(draw):
    """Trees of mail, of which each mail's header has lost something, in some order of arrival."""
    mails = []
    chains = []
    for number in range(draw(st.integers(1, 9))):
        parent = draw(st.none() | st.integers(0, number - 1)) if number else None
        own = f"{number}@x"
        box = draw(st.sampled_from(BOXES))
        chain = () if parent is None else (*chains[parent], f"{parent}@x")
        chains.append(chain)
        lost = draw(st.sampled_from(["nothing", "references", "beginning", "all", "id"]))
        tree = own if parent is None else chain[0]
        threaded = draw(st.booleans()) or lost == "all"
        references, in_reply_to = chain, chain[-1] if chain else None
        if lost == "references":
            references = ()
        elif lost == "beginning" and chain:
            references = chain[draw(st.integers(0, len(chain) - 1)) :]
        elif lost == "all":
            references, in_reply_to = (), None
        mails.append(
            Mail(
                None if lost == "id" else own,
                references,
                in_reply_to,
                f"p{tree}" if threaded else None,
                text=str(number),
                mailbox_id=box,
                seconds=number,
            )
        )
    # Some never arrive, some arrive twice.
    arriving = draw(st.lists(st.sampled_from(mails), min_size=1, max_size=12))
    cuts = draw(st.lists(st.integers(0, len(arriving)), max_size=4).map(sorted))
    edges = [0, *cuts, len(arriving)]
    return [arriving[a:b] for a, b in pairwise(edges)]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(batches=conversations())
def test_the_end_is_the_same_for_any_order_and_what_the_mail_says(stores, batches):
    tenant = next(TENANTS)
    new = arrive(stores, *batches, tenant_id=tenant)
    every = [mail for batch in batches for mail in batch]
    assert found(stores, new, tenant_id=tenant) == expected(every, tenant_id=tenant)
