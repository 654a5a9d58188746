"""Handlers may do what their function's role lets them do, here as on AWS."""

import pytest

from shared import wiring
from shared.aws.rate_limits import DynamoRateLimits
from shared.domain.backfill import BackfillState
from shared.domain.errors import StoreRefusedError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.mailbox import identity_of
from shared.domain.rate_limits import RATES, Act
from tests.functions import roles
from tests.functions.moto_stack import act, plan_backfill, sqs_event

TENANT, BOX = TenantId("acme"), MailboxId("01MB")


def writes(stack):
    limits = DynamoRateLimits(wiring.table())
    limits.take(TENANT, None, Act.SYNC, RATES[Act.SYNC][1], now=stack.clock.now())


def asks_for_the_minutes_mailboxes(_stack):
    list(wiring.mailboxes().due("every-5#0#0"))


def reads_a_login(_stack):
    wiring.secrets().get(TENANT, BOX)


@pytest.mark.parametrize(
    ("function", "does", "action"),
    [
        ("read_mail", writes, "dynamodb:UpdateItem"),
        ("read_mail", reads_a_login, "secretsmanager:GetSecretValue"),
        ("connect_mailbox", reads_a_login, "secretsmanager:GetSecretValue"),
        ("sync_mailbox", asks_for_the_minutes_mailboxes, "dynamodb:Query"),
        ("schedule_sync", writes, "dynamodb:UpdateItem"),
    ],
)
def test_what_a_role_does_not_allow_is_refused_before_it_is_done(stack, function, does, action):
    with roles.acting_as(function), pytest.raises(StoreRefusedError):
        does(stack)
    assert [(one.role.lower(), one.action) for one in roles.refused] == [
        (function.replace("_", "") + "role", action)
    ]
    roles.forget()


def test_a_refusal_that_a_handler_swallows_is_still_seen(stack, monkeypatch):
    mailbox_id = stack.connect()
    monkeypatch.setattr(roles, "_grants", lambda: {"ReadMailRole": []})
    assert stack.ask("GET", f"/v1/mailboxes/{mailbox_id}").status == 500
    assert roles.refused
    roles.forget()


def test_a_sweep_ends_what_a_disconnected_mailbox_left_open_with_the_rights_it_has(stack):
    mailbox_id = stack.connect(backfill_days=30)
    mailbox = wiring.mailboxes().get(TENANT, mailbox_id).mailbox
    wiring.mailboxes().disconnect(TENANT, mailbox_id, identity_of(mailbox))
    stack.clock.advance(minutes=1)
    stack.sweep()
    (backfill,) = wiring.backfills().list_backfills(TENANT, mailbox_id)
    assert backfill.state is BackfillState.CANCELLED


def test_a_sweep_gives_up_what_gets_nowhere_and_releases_what_is_lost(stack):
    stack.deliver(1)
    mailbox_id = stack.connect(backfill_days=30)
    (plan,) = stack.bodies("plan")
    act(plan_backfill, sqs_event(plan))
    stack.bodies("chunk")
    stack.clock.advance(minutes=20)
    stack.sweep()
    assert stack.bodies("chunk")
    stack.clock.advance(days=400)
    stack.sweep()
    (backfill,) = wiring.backfills().list_backfills(TENANT, mailbox_id)
    assert backfill.state is BackfillState.FAILED
