"""The contract of quotas: a tenant has and begins as much as it may, however many ask at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import pytest

from shared.domain.backfill import BackfillKind, BackfillState
from shared.domain.errors import ConflictError, ErrorCode, LimitReachedError, RequestError
from shared.domain.ids import MailboxId
from shared.domain.mailbox import RunState
from shared.domain.quotas import Quotas
from tests.fakes.values import (
    NOW,
    OTHER_TENANT,
    SLOT,
    TENANT,
    a_backfill,
    a_mailbox,
    connected,
    identity_of,
)

FULL, TODAY = ErrorCode.MAILBOX_LIMIT_REACHED, ErrorCode.IMPORT_LIMIT_REACHED


def number(n: int, **changes):
    return a_mailbox(id=MailboxId(f"01MB{n}"), address=f"{n}@acme.example", **changes)


def create(mailboxes, mailbox):
    mailboxes.create(mailbox, RunState(generation=mailbox.generation), identity_of(mailbox))


def refusal(call, *given, **named) -> ErrorCode:
    with pytest.raises((RequestError, ConflictError)) as caught:
        call(*given, **named)
    return caught.value.code


@pytest.fixture
def mailboxes(stores):
    """A store in which a tenant may have two mailboxes."""
    return replace(stores.mailboxes, quotas=Quotas(mailboxes=2))


@pytest.fixture
def backfills(stores):
    """A store in which a tenant may begin two imports a day."""
    return replace(stores.backfills, quotas=Quotas(imports_a_day=2))


# ---- mailboxes ----


def test_a_tenant_has_no_more_mailboxes_than_it_may(mailboxes):
    create(mailboxes, number(1))
    connected(mailboxes, id=MailboxId("01MB2"), address="2@acme.example")
    assert refusal(create, mailboxes, number(3)) is FULL
    assert mailboxes.get(TENANT, MailboxId("01MB3")) is None
    assert mailboxes.find(TENANT, identity_of(number(3))) is None
    create(mailboxes, number(3, tenant_id=OTHER_TENANT))


def test_a_disconnect_frees_its_place_and_who_comes_back_needs_one(mailboxes):
    for n in (1, 2):
        connected(mailboxes, id=MailboxId(f"01MB{n}"), address=f"{n}@acme.example")
    mailboxes.disconnect(TENANT, MailboxId("01MB1"), identity_of(number(1)))
    mailboxes.disconnect(TENANT, MailboxId("01MB1"), identity_of(number(1)))
    create(mailboxes, number(3))
    assert refusal(create, mailboxes, number(4)) is FULL
    gone = mailboxes.get(TENANT, MailboxId("01MB1")).mailbox
    assert refusal(mailboxes.reconnect, gone, identity_of(gone), SLOT) is FULL
    assert mailboxes.get(TENANT, gone.id).mailbox == gone
    mailboxes.disconnect(TENANT, MailboxId("01MB3"), identity_of(number(3)))
    mailboxes.reconnect(gone, identity_of(gone), SLOT)
    assert refusal(create, mailboxes, number(4)) is FULL


def test_a_mailbox_that_has_a_place_keeps_it(mailboxes):
    for n in (1, 2):
        connected(mailboxes, id=MailboxId(f"01MB{n}"), address=f"{n}@acme.example")
    box = mailboxes.get(TENANT, MailboxId("01MB1")).mailbox
    mailboxes.reconnect(box, identity_of(box), SLOT)
    box = mailboxes.get(TENANT, box.id).mailbox
    mailboxes.reconnect(box, "imap:renamed", SLOT)
    assert mailboxes.find(TENANT, "imap:renamed") == box.id
    assert refusal(create, mailboxes, number(3)) is FULL


def test_where_all_is_full_an_account_is_still_said_to_be_connected_already(mailboxes):
    for n in (1, 2):
        create(mailboxes, number(n))
    create(mailboxes, number(1))
    again = replace(number(3), address="1@acme.example")
    assert refusal(create, mailboxes, again) is ErrorCode.ALREADY_CONNECTED


def test_however_many_connect_at_once_no_more_get_a_place(stores):
    mailboxes = replace(stores.mailboxes, quotas=Quotas(mailboxes=3))

    def connect(n: int) -> ErrorCode | None:
        try:
            create(mailboxes, number(n))
        except RequestError as error:
            return error.code
        return None

    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(connect, range(6)))
    assert sorted(ended, key=str) == [None] * 3 + [FULL] * 3
    assert len(stores.mailboxes.list_mailboxes(TENANT)) == 3


def test_of_two_that_read_the_same_count_one_is_refused(aws):
    mailboxes = replace(aws.mailboxes, quotas=Quotas(mailboxes=2))
    create(mailboxes, number(1))
    both_have_read, first = threading.Barrier(2, timeout=10), threading.local()

    def wait(**_: object) -> None:
        if not hasattr(first, "over"):
            first.over = True
            both_have_read.wait()

    events, name = aws.table.client.meta.events, "before-call.dynamodb.TransactWriteItems"
    events.register(name, wait)
    try:
        with ThreadPoolExecutor(2) as pool:
            made = [pool.submit(create, mailboxes, number(n)) for n in (2, 3)]
    finally:
        events.unregister(name, wait)
    refused = [one.exception() for one in made if one.exception()]
    assert [error.code for error in refused] == [FULL]
    assert len(mailboxes.list_mailboxes(TENANT)) == 2


# ---- imports ----


def test_a_tenant_begins_no_more_imports_in_a_utc_day_than_it_may(backfills):
    for n in (1, 2):
        backfills.create_backfill(a_backfill(f"01A{n}", mailbox_id=MailboxId(f"01MB{n}")))
    third = a_backfill("01A3", mailbox_id=MailboxId("01MB3"))
    with pytest.raises(LimitReachedError) as caught:
        backfills.create_backfill(third)
    assert caught.value.code is TODAY
    midnight = datetime.fromisoformat(f"{NOW.date()}T00:00:00+00:00")
    assert caught.value.retry_after_seconds == 86_400 - (NOW - midnight).total_seconds()
    assert backfills.list_backfills(TENANT, third.mailbox_id) == []
    backfills.create_backfill(replace(third, tenant_id=OTHER_TENANT))
    tomorrow = replace(third, created_at=midnight.replace(day=midnight.day + 1))
    backfills.create_backfill(tomorrow)


def test_an_import_counts_once_whatever_becomes_of_it(backfills):
    first = a_backfill("01A1")
    backfills.create_backfill(first)
    backfills.create_backfill(first)
    stopped = backfills.set_backfill_state(first, BackfillState.FAILED, now=NOW)
    again = backfills.set_backfill_state(stopped, BackfillState.PLANNING, now=NOW)
    assert refusal(backfills.create_backfill, a_backfill("01A2")) is ErrorCode.WRONG_STATE
    backfills.set_backfill_state(again, BackfillState.CANCELLED, now=NOW)
    backfills.create_backfill(a_backfill("01A2"))
    backfills.set_backfill_state(a_backfill("01A2"), BackfillState.CANCELLED, now=NOW)
    assert refusal(backfills.create_backfill, a_backfill("01A3")) is TODAY


def test_what_the_product_begins_by_itself_is_not_counted(backfills):
    for n in range(3):
        kind = BackfillKind.CONTACT_HISTORY
        backfills.create_backfill(a_backfill(f"01H{n}", kind=kind))
    backfills.create_backfill(a_backfill("01A1"))
