"""The rule of who sees how much: every case of it, told apart from how it is computed."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import MailboxId, OpeningId, TenantId, UserId
from shared.domain.mailbox import EVERYONE, NOBODY, MailboxKind, Readers, Visibility
from shared.domain.opening import Opening
from shared.domain.permissions import may_see, may_set_levels
from shared.domain.threads import ThreadLevel
from shared.domain.visibility import (
    Access,
    Place,
    Viewer,
    access_to_mailbox,
    access_to_message,
)
from tests.fakes.values import NOW, a_mailbox, later

ACME = TenantId("acme")
VIEWERS = {
    "owner": Viewer(ACME, UserId("owner")),
    "owner_admin": Viewer(ACME, UserId("owner"), is_admin=True),
    "named": Viewer(ACME, UserId("named")),
    "other": Viewer(ACME, UserId("other")),
    "admin": Viewer(ACME, UserId("root"), is_admin=True),
    "stranger": Viewer(TenantId("else"), UserId("owner"), is_admin=True),
}
GRANTED = {"nobody": NOBODY, "named": Readers((UserId("named"),)), "everyone": EVERYONE}

# "level": what the mailbox's `visibility` says. What is not in here sees nothing.
RULE = {
    ("personal", "timeline"): {
        "owner": "full", "owner_admin": "full", "named": "level", "other": "level", "admin": "level",
    },
    ("personal", "mailbox"): {"owner": "full", "owner_admin": "full"},
    ("shared", "nobody"): {"owner": "full", "owner_admin": "full"},
    ("shared", "named"): {"owner": "full", "owner_admin": "full", "named": "level"},
    ("shared", "everyone"): {
        "owner": "full", "owner_admin": "full", "named": "level", "other": "level", "admin": "level",
    },
}  # fmt: skip


def a_box(kind=MailboxKind.SHARED, level=Visibility.FULL, granted=NOBODY, **changes):
    return a_mailbox(
        kind=kind,
        visibility=level,
        granted_to=granted,
        owner_user_id=UserId("owner"),
        **changes,
    )


@pytest.mark.parametrize("who", list(VIEWERS))
@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize("granted", list(GRANTED))
@pytest.mark.parametrize("kind", list(MailboxKind))
def test_each_case_of_the_rule(kind, granted, place, who):
    # A grant that a personal mailbox could only have by mistake opens nothing.
    row = RULE[(kind, granted) if kind == "shared" else (kind, place)]
    for level, of_thread in product(Visibility, [None, *ThreadLevel]):
        applies = level.value if of_thread is None else of_thread.value
        said = {"full": "full", "level": applies}.get(row.get(who, ""), "none")
        expected = Access.NONE if said == "private" else Access[said.upper()]
        box = a_box(kind, level, GRANTED[granted])
        access = access_to_mailbox(VIEWERS[who], box, place, of_thread)
        assert access is expected, (level, of_thread)


@pytest.mark.parametrize("kind", list(MailboxKind))
@pytest.mark.parametrize("place", list(Place))
def test_an_opening_opens_it_as_to_its_owner_to_who_opened_it_until_it_ends(kind, place):
    opening = Opening(OpeningId("1"), UserId("root"), "a reason", NOW, later(60))
    box = a_box(kind, Visibility.METADATA, openings=(opening,))
    closed = access_to_mailbox(VIEWERS["admin"], box, place)
    assert closed is not Access.FULL
    for asks_at, access in (
        (NOW, Access.FULL), (later(59.9), Access.FULL), (later(60), closed), (None, closed)
    ):  # fmt: skip
        viewer = replace(VIEWERS["admin"], asks_at=asks_at)
        for level in (None, *ThreadLevel):
            if access is Access.FULL:
                assert access_to_mailbox(viewer, box, place, level) is Access.FULL
        assert access_to_mailbox(viewer, box, place) is access
        demoted = replace(viewer, is_admin=False)
        assert access_to_mailbox(demoted, box, place) is closed
        other = replace(viewer, user_id=UserId("root2"))
        assert access_to_mailbox(other, box, place) is closed


@pytest.mark.parametrize("who", list(VIEWERS))
@pytest.mark.parametrize("granted", list(GRANTED))
@pytest.mark.parametrize("kind", list(MailboxKind))
def test_who_reads_a_mailboxs_mail_knows_of_the_mailbox(kind, granted, who):
    box = a_box(kind, granted=GRANTED[granted])
    reads = access_to_mailbox(VIEWERS[who], box, Place.MAILBOX) is not Access.NONE
    is_admin = who in {"admin", "owner_admin"}
    assert may_see(VIEWERS[who], box) is (reads or is_admin)


@pytest.mark.parametrize("who", list(VIEWERS))
@pytest.mark.parametrize("level", list(Visibility))
@pytest.mark.parametrize("granted", list(GRANTED))
@pytest.mark.parametrize("kind", list(MailboxKind))
def test_a_threads_level_is_its_owners_to_set(kind, granted, level, who):
    """And of a shared mailbox that of administrators who read it in full anyway."""
    box = a_box(kind, level, GRANTED[granted])
    is_readers_admin = who == "admin" and (kind, granted, level) == ("shared", "everyone", "full")
    assert may_set_levels(VIEWERS[who], box) is (
        who in {"owner", "owner_admin"} or is_readers_admin
    )


boxes = st.lists(
    st.builds(
        a_box,
        kind=st.sampled_from(MailboxKind),
        level=st.sampled_from(Visibility),
        granted=st.sampled_from(list(GRANTED.values())),
        id=st.sampled_from("ABC").map(MailboxId),
        tenant_id=st.sampled_from([ACME, TenantId("else")]),
    ),
    max_size=4,
)


@given(boxes, st.sampled_from(list(VIEWERS.values())), st.sampled_from(Place))
def test_a_message_is_as_open_as_the_most_open_mailbox_and_no_more(held, viewer, place):
    access = access_to_message(viewer, held, place)
    each = [access_to_mailbox(viewer, box, place) for box in held]
    assert access == max(each, default=Access.NONE)
    for without in range(len(held)):
        rest = held[:without] + held[without + 1 :]
        # Another mailbox that holds it opens it as far as it is open itself, and closes nothing.
        assert access == max(access_to_message(viewer, rest, place), each[without])


@given(boxes, st.sampled_from(list(VIEWERS)), st.sampled_from(Place))
def test_a_grant_opens_the_mailbox_it_is_of_to_whom_it_is_given(held, who, place):
    """And taking it back closes that, at once and no less."""
    viewer = VIEWERS[who]
    for at, box in enumerate(held):
        closed = replace(box, granted_to=NOBODY)
        opened = replace(box, granted_to=Readers((UserId("named"),)))
        before, after = (
            access_to_message(viewer, [*held[:at], one, *held[at + 1 :]], place)
            for one in (closed, opened)
        )
        if who == "named" and box.kind is MailboxKind.SHARED and box.tenant_id == ACME:
            assert after == max(before, Access[box.visibility.name])
        else:
            assert after == before


levels = st.dictionaries(st.sampled_from("ABC").map(MailboxId), st.sampled_from(ThreadLevel))


@given(boxes, levels, st.sampled_from(list(VIEWERS.values())), st.sampled_from(Place))
def test_a_threads_level_changes_only_what_a_level_decides(held, of_thread, viewer, place):
    """Whom no level lets in it never lets in, and whom none keeps out it never keeps out."""
    for box in held:
        plain = access_to_message(viewer, [box], place)
        wide = access_to_message(viewer, [replace(box, visibility=Visibility.FULL)], place)
        access = access_to_message(viewer, [box], place, of_thread)
        if box.id not in of_thread or wide is Access.NONE or viewer.user_id == "owner":
            assert access == plain
        else:
            assert access == [ThreadLevel.PRIVATE, *Visibility].index(of_thread[box.id])
    access = access_to_message(viewer, held, place, of_thread)
    each = [access_to_message(viewer, [box], place, of_thread) for box in held]
    assert access == max(each, default=Access.NONE)
