"""One mail on its way out: what it ends as, what its recipients get, and what its mailbox shows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import (
    ConfigurationError,
    ConflictError,
    ErrorCode,
    ReconnectRequiredError,
    RequestError,
    RetryLaterError,
    SendRefusedError,
    StoreThrottledError,
)
from shared.domain.ids import FolderId
from shared.domain.mailbox import Direction, LatestError, MailboxStatus, Provider, StoredMail
from shared.domain.run import RunReason
from shared.domain.sending import RecipientStatus, SendStatus
from shared.ports.queues import SendRequest, SyncRequest
from tests.fakes.sends import ref_of
from tests.unit.operations.machine import TENANT
from tests.unit.operations.sending_machine import EVE, KIM, LEE, SendingMachine

GREYLISTED = RetryLaterError(ErrorCode.RATE_LIMITED)
NO_SUCH = SendRefusedError(ErrorCode.RECIPIENT_REJECTED, reply="550 5.1.1")
PROVIDERS = [*Provider]


def recipients(send) -> dict:
    return {one.address: one.status for one in send.recipients}


def counts(machine: SendingMachine) -> dict[str, int]:
    return {one: len(mails) for one, mails in machine.post.arrived.items()}


# ---- once, and on its timeline ----


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mail_leaves_once_and_is_on_its_timeline_at_once(provider):
    machine = SendingMachine(provider)
    sent = machine.ask([KIM], blind=[LEE])
    machine.drain()
    send = machine.stands(sent)
    assert (send.status, send.code, send.draft) == (SendStatus.SENT, None, None)
    assert send.sent_at == send.filed_at == machine.clock.now()
    assert counts(machine) == {KIM: 1, LEE: 1}
    assert len(machine.sent_mail()) == 1
    message = machine.world.messages[TENANT, send.message_id]
    assert message.internet_message_id == "send-1@acme.example"
    assert message.direction is Direction.OUTBOUND
    (copy,) = machine.live_copies(machine.box.id).values()
    assert copy.blind == {LEE}
    assert copy.flags.seen
    assert machine.world.outgoing == {}
    assert send.comes_up_at is None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_sync_finds_the_sent_mail_stored_already(provider):
    machine = SendingMachine(provider)
    send = machine.ask()
    machine.drain()
    before = machine.fingerprint()
    index = dict(machine.world.index)
    machine.tick(6)
    after = machine.fingerprint()
    assert after.pop("cursors") != before.pop("cursors"), "sync saw nothing of it"
    assert after == before
    assert machine.world.index == index
    runs = [report.run for report in machine.reports if report.run]
    assert sum(run.counts.stored for run in runs) == 0
    assert len(machine.live_copies(machine.box.id)) == 1
    assert machine.stands(send).provider_message_id in machine.live_copies(machine.box.id)


def test_the_recipient_never_sees_who_got_it_blind():
    machine = SendingMachine()
    machine.ask([KIM], blind=[LEE])
    machine.drain()
    for (mail,) in machine.post.arrived.values():
        assert LEE.encode() not in mail
    (kept,) = machine.sent_mail()
    assert f"Bcc: {LEE}".encode() in kept.raw


def test_a_mailbox_that_keeps_contacts_mail_alone_keeps_no_mail_to_strangers():
    machine = SendingMachine(store=StoredMail.CONTACTS_ONLY)
    send = machine.ask()
    machine.drain()
    stands = machine.stands(send)
    assert (stands.status, stands.message_id) == (SendStatus.SENT, None)
    assert stands.filed_at
    assert stands.provider_message_id
    assert machine.world.messages == {}


def test_what_is_not_found_among_the_sent_mail_yet_is_left_to_sync():
    machine = SendingMachine(saves_sent=True)
    machine.server.delete_folder("Sent")
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    asked = SyncRequest(TENANT, machine.box.id, RunReason.REQUESTED)
    assert machine.queues.syncs == [asked]
    stands = machine.stands(send)
    assert (stands.status, stands.message_id) == (SendStatus.SENT, None)
    assert stands.filed_at


def test_a_folder_nobody_has_listed_yet_is_left_to_sync_and_comes_with_it():
    machine = SendingMachine()
    del machine.world.folders[TENANT, machine.box.id][FolderId("f-sent")]
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    assert machine.stands(send).message_id is None
    assert machine.world.messages == {}
    machine.drain()
    (message,) = machine.world.messages.values()
    assert message.internet_message_id == "send-1@acme.example"


def test_sent_mail_of_a_folder_that_is_not_synced_is_stored_by_nobody():
    machine = SendingMachine()
    box = replace(machine.mailbox(), active_folders=(FolderId("f-inbox"),))
    machine.world.mailboxes[TENANT, box.id] = box
    send = machine.ask()
    machine.drain()
    assert machine.stands(send).filed_at
    assert machine.world.messages == {}
    assert machine.queues.syncs == []


# ---- refused, and put off ----


def test_a_recipient_put_off_gets_it_later_alone_and_nobody_twice():
    machine = SendingMachine()
    machine.post.refusals[LEE] = GREYLISTED
    machine.post.refusals[EVE] = NO_SUCH
    sent = machine.ask([KIM, LEE, EVE])
    machine.drain()
    send = machine.stands(sent)
    assert send.status is SendStatus.QUEUED
    assert (send.code, send.reply) == (ErrorCode.RATE_LIMITED, "550 5.1.1")
    assert recipients(send) == {
        KIM: RecipientStatus.ACCEPTED,
        LEE: RecipientStatus.WAITING,
        EVE: RecipientStatus.REFUSED,
    }
    assert send.message_id, "it is on its timeline before all have got it"
    machine.rest(until=timedelta(minutes=20))
    machine.post.refusals.clear()
    machine.rest()
    send = machine.stands(sent)
    assert (send.status, send.code) == (SendStatus.SENT, None)
    assert counts(machine) == {KIM: 1, LEE: 1}
    (again,) = {mail for mails in machine.post.arrived.values() for mail in mails}
    assert b"Message-ID: <send-1@acme.example>" in again
    assert len(machine.sent_mail()) == 1


def test_who_is_put_off_for_a_day_is_refused_and_the_others_have_got_it():
    machine = SendingMachine()
    machine.post.refusals[LEE] = GREYLISTED
    sent = machine.ask([KIM, LEE])
    machine.rest()
    send = machine.stands(sent)
    assert (send.status, send.comes_up_at) == (SendStatus.SENT, None)
    assert send.recipients[1].code is ErrorCode.NOT_SENT_IN_TIME
    assert machine.clock.now() - send.due_at == timedelta(hours=24)


def test_where_all_are_refused_and_one_for_now_nothing_is_handed_over_and_that_one_waits():
    machine = SendingMachine()
    machine.post.refusals.update({KIM: NO_SUCH, LEE: GREYLISTED})
    send = machine.ask([KIM, LEE])
    machine.drain()
    assert "send" not in machine.post.steps
    assert machine.mailbox().outbound_error.code is ErrorCode.RATE_LIMITED
    told = [(one.status, one.code) for one in machine.stands(send).recipients]
    assert told == [
        (RecipientStatus.REFUSED, ErrorCode.RECIPIENT_REJECTED),
        (RecipientStatus.WAITING, ErrorCode.RATE_LIMITED),
    ]
    machine.post.refusals.clear()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {LEE: 1}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SendRefusedError(ErrorCode.MAIL_REFUSED), ErrorCode.MAIL_REFUSED),
        (RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE), ErrorCode.NOT_SENT_IN_TIME),
    ],
    ids=["for good", "for now"],
)
def test_when_all_are_refused_in_the_end_who_was_before_keeps_the_reason(error, code):
    machine = SendingMachine()
    machine.post.refusals[KIM] = NO_SUCH
    machine.post.failures["send"] = error
    send = machine.ask([KIM, LEE])
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code, stands.reply) == (SendStatus.FAILED, code, "550 5.1.1")
    assert [one.code for one in stands.recipients] == [ErrorCode.RECIPIENT_REJECTED, code]


def test_a_mail_all_of_whose_recipients_are_refused_has_failed_and_says_why():
    machine = SendingMachine(Provider.OUTLOOK)
    machine.post.refusals[KIM] = NO_SUCH
    send = machine.ask()
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.FAILED, ErrorCode.RECIPIENT_REJECTED)
    assert counts(machine) == {}
    assert machine.sent_mail() == []
    assert (machine.world.outgoing, machine.post.drafts) == ({}, {})


@pytest.mark.parametrize(
    "error",
    [
        ReconnectRequiredError(ErrorCode.LOGIN_REJECTED),
        ConfigurationError(ErrorCode.SENDER_NOT_ALLOWED),
        ConfigurationError(ErrorCode.SMTP_DISABLED),
        SendRefusedError(ErrorCode.MAIL_TOO_LARGE, reply="552 5.3.4"),
        RequestError(ErrorCode.HOST_NOT_ALLOWED),
    ],
    ids=lambda error: error.code,
)
@pytest.mark.parametrize("step", ["open", "prepare", "send"])
def test_what_time_does_not_mend_fails_at_once(error, step):
    machine = SendingMachine(Provider.GMAIL)
    machine.post.failures[step] = error
    send = machine.ask()
    machine.drain()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.FAILED, error.code)
    assert recipients(stands) == {KIM: RecipientStatus.REFUSED}
    assert machine.mailbox().outbound_error.code is error.code
    machine.post.failures.clear()
    machine.rest()
    assert counts(machine) == {}
    assert machine.post.drafts == {}
    assert machine.stands(send).comes_up_at is None


@pytest.mark.parametrize(
    "error",
    [
        RetryLaterError(ErrorCode.CONNECTION_FAILED),
        ReconnectRequiredError(ErrorCode.LOGIN_REJECTED, definitive=False),
        ConfigurationError(ErrorCode.CLIENT_REJECTED),
    ],
    ids=lambda error: error.code,
)
@pytest.mark.parametrize("step", ["open", "prepare", "send"])
def test_what_passes_is_tried_again_and_sent_once(error, step):
    machine = SendingMachine(Provider.GMAIL)
    machine.post.failures[step] = error
    send = machine.ask()
    machine.drain()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.QUEUED, error.code)
    assert stands.handed_over_at is None
    trouble = machine.mailbox().outbound_error
    assert (trouble.code, trouble.next_retry_at) == (error.code, stands.next_try_at)
    machine.post.failures.clear()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}
    assert machine.mailbox().outbound_error is None


def test_what_does_not_pass_in_a_day_is_given_up_and_nothing_is_left_of_it():
    machine = SendingMachine()
    machine.post.failures["open"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = machine.ask()
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.FAILED, ErrorCode.NOT_SENT_IN_TIME)
    assert machine.clock.now() - send.due_at == timedelta(hours=24)
    assert machine.world.outgoing == {}
    assert machine.mailbox().outbound_error.code is ErrorCode.CONNECTION_FAILED


def test_a_provider_that_wishes_a_day_is_obeyed_before_the_mail_is_given_up():
    machine = SendingMachine()
    machine.post.failures["send"] = RetryLaterError(
        ErrorCode.DAILY_LIMIT_REACHED, retry_after_seconds=86_400
    )
    send = machine.ask()
    machine.drain()
    assert machine.stands(send).next_try_at == send.due_at + timedelta(hours=24)
    machine.post.failures.clear()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT


@pytest.mark.parametrize("content", [None, b"From: eve@elsewhere.example\r\n\r\nother\r\n"])
def test_content_that_is_gone_or_was_replaced_is_not_sent(content):
    machine = SendingMachine()
    send = machine.ask()
    machine.outgoing_store.delete(ref_of(send))
    if content:
        machine.outgoing_store.put(ref_of(send), content)
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.FAILED, ErrorCode.CONTENT_MISSING)
    assert counts(machine) == {}
    assert machine.mailbox().outbound_error is None, "the mailbox is well"


# ---- nobody knows ----


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_mail_whose_answer_was_lost_is_found_and_never_sent_again(provider):
    machine = SendingMachine(provider, saves_sent=True)
    machine.post.answers_lost = 1
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.UNKNOWN, ErrorCode.OUTCOME_UNKNOWN)
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.SENT, None)
    assert stands.sent_at == stands.created_at
    assert stands.message_id
    assert counts(machine) == {KIM: 1}
    assert machine.post.steps.count("send") == 1


def test_at_graph_nobody_looks_in_the_first_minute():
    machine = SendingMachine(Provider.OUTLOOK)
    machine.post.answers_lost = 1
    send = machine.ask()
    machine.drain()
    assert machine.stands(send).next_try_at == send.due_at + timedelta(seconds=60)
    assert "look_up" not in machine.post.steps


def test_a_mail_that_is_not_found_is_looked_for_some_times_and_stays_unknown():
    machine = SendingMachine()
    machine.post.mails_lost = 1
    send = machine.ask([KIM, LEE])
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.UNKNOWN, ErrorCode.OUTCOME_UNKNOWN)
    assert set(recipients(stands).values()) == {RecipientStatus.UNKNOWN}
    assert (machine.post.steps.count("look_up"), stands.looks) == (5, 5)
    assert machine.clock.now() - send.due_at == timedelta(seconds=30, minutes=1 + 5 + 15 + 60)
    assert machine.post.steps.count("send") == 1
    assert counts(machine) == {}
    assert machine.world.outgoing == {}


def test_who_was_put_off_beside_a_doubt_is_tried_on_alone():
    machine = SendingMachine()
    machine.post.refusals = {LEE: GREYLISTED, EVE: GREYLISTED}
    send = machine.ask([KIM, LEE, EVE])
    machine.drain()
    machine.post.refusals = {EVE: GREYLISTED}
    machine.post.answers_lost = 1
    machine.clock.at = machine.stands(send).comes_up_at
    machine.deliver(SendRequest(TENANT, machine.box.id, send.id))
    machine.post.refusals = {}
    machine.rest()
    stands = machine.stands(send)
    assert stands.status is SendStatus.SENT
    assert recipients(stands) == {
        KIM: RecipientStatus.ACCEPTED,
        LEE: RecipientStatus.UNKNOWN,
        EVE: RecipientStatus.ACCEPTED,
    }
    assert counts(machine) == {KIM: 1, LEE: 1, EVE: 1}


@pytest.mark.parametrize("goes", ["taken", "refused", "put off", "in doubt", "disconnected"])
def test_who_was_put_off_beside_a_doubt_that_stays_is_tried_on_alone(goes):
    machine = SendingMachine()
    machine.post.refusals = {LEE: GREYLISTED}
    machine.post.answers_lost = 1
    send = machine.ask([KIM, LEE])
    machine.rest(until=timedelta(minutes=83))
    stands = machine.stands(send)
    assert (stands.status, stands.waiting) == (SendStatus.QUEUED, (LEE,))
    assert not stands.may_be_cancelled
    if goes != "put off":
        machine.post.refusals = {LEE: NO_SUCH} if goes == "refused" else {}
    machine.post.answers_lost = int(goes == "in doubt")
    if goes == "disconnected":
        machine.disconnect(machine.box.id)
    machine.rest()
    stands = machine.stands(send)
    unknown = RecipientStatus.UNKNOWN
    fate = {"taken": RecipientStatus.ACCEPTED, "in doubt": unknown}.get(
        goes, RecipientStatus.REFUSED
    )
    status = SendStatus.SENT if goes == "taken" else SendStatus.UNKNOWN
    assert (stands.status, stands.comes_up_at) == (status, None)
    assert recipients(stands) == {KIM: unknown, LEE: fate}
    got_it = {"taken", "in doubt"}
    assert counts(machine) == {KIM: 1} | ({LEE: 1} if goes in got_it else {})
    assert machine.world.outgoing == {}


def test_a_mail_that_certainly_was_not_taken_is_sent_after_all():
    machine = SendingMachine(Provider.OUTLOOK)
    machine.post.mails_lost = 1
    send = machine.ask()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}
    assert machine.post.steps.count("send") == 2


@pytest.mark.parametrize(
    "error",
    [
        RetryLaterError(ErrorCode.CONNECTION_FAILED),
        ReconnectRequiredError(ErrorCode.LOGIN_REJECTED),
        ConfigurationError(ErrorCode.IMAP_DISABLED),
    ],
)
def test_a_provider_that_cannot_be_asked_is_asked_until_it_can(error):
    machine = SendingMachine(saves_sent=True)
    machine.post.answers_lost = 1
    send = machine.ask()
    machine.deliver(SendRequest(TENANT, machine.box.id, send.id))
    machine.post.failures["open"] = error
    machine.rest(until=timedelta(hours=5))
    assert machine.stands(send).status is SendStatus.UNKNOWN
    machine.post.failures.clear()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}


def test_a_recipient_s_mailbox_that_is_connected_proves_that_it_was_sent():
    machine = SendingMachine()
    machine.post.answers_lost = 1
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    other = replace(machine.box, id="KIM", address=KIM)
    machine.world.mailboxes[TENANT, other.id] = other
    machine.world.run_states[TENANT, other.id] = machine.world.run_states[TENANT, machine.box.id]
    folders = machine.world.folders
    folders[TENANT, other.id] = folders[TENANT, machine.box.id]
    ((arrived,),) = machine.post.arrived.values()
    machine.store_in(other, b"Received: from elsewhere\r\n" + arrived)
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}


def test_our_own_copy_of_a_draft_proves_nothing():
    machine = SendingMachine()
    machine.post.mails_lost = 1
    send = machine.ask()
    machine.store_in(machine.mailbox(), machine.world.outgoing[ref_of(send)])
    machine.rest()
    assert machine.stands(send).status is SendStatus.UNKNOWN


def test_in_doubt_about_a_later_try_nobody_takes_the_earlier_copy_for_it():
    machine = SendingMachine()
    machine.post.refusals[LEE] = GREYLISTED
    sent = machine.ask([KIM, LEE])
    machine.drain()
    machine.post.refusals.clear()
    machine.post.answers_lost = 1
    machine.rest()
    send = machine.stands(sent)
    assert send.status is SendStatus.SENT
    assert recipients(send) == {KIM: RecipientStatus.ACCEPTED, LEE: RecipientStatus.UNKNOWN}
    assert send.recipients[1].code is ErrorCode.OUTCOME_UNKNOWN
    assert counts(machine) == {KIM: 1, LEE: 1}


def test_who_was_refused_before_the_answer_was_lost_is_named_and_tried_again():
    machine = SendingMachine(saves_sent=True)
    machine.post.refusals[LEE] = GREYLISTED
    machine.post.refusals[EVE] = NO_SUCH
    machine.post.answers_lost = 1
    sent = machine.ask([KIM, LEE, EVE])
    machine.drain()
    machine.post.refusals.clear()
    machine.rest()
    send = machine.stands(sent)
    assert recipients(send) == {
        KIM: RecipientStatus.ACCEPTED,
        LEE: RecipientStatus.ACCEPTED,
        EVE: RecipientStatus.REFUSED,
    }
    assert counts(machine) == {KIM: 1, LEE: 1}


# ---- its time, and no longer ----


def test_a_scheduled_mail_leaves_in_its_time_and_not_before():
    machine = SendingMachine()
    at = machine.clock.now() + timedelta(hours=3)
    send = machine.ask(due_at=at)
    machine.drain()
    machine.clock.at = at - timedelta(seconds=1)
    machine.queues.send_sends([SendRequest(TENANT, machine.box.id, send.id)])
    machine.drain()
    assert machine.post.steps == []
    machine.rest()
    assert machine.stands(send).sent_at == at
    assert counts(machine) == {KIM: 1}


def test_a_reconnect_does_not_void_a_scheduled_mail():
    machine = SendingMachine()
    send = machine.ask(due_at=machine.clock.now() + timedelta(hours=3))
    machine.reconnect(machine.box.id)
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert machine.stands(send).message_id
    assert counts(machine) == {KIM: 1}


def test_a_mail_of_a_mailbox_that_was_disconnected_is_not_sent():
    machine = SendingMachine()
    send = machine.ask(due_at=machine.clock.now() + timedelta(hours=3))
    machine.disconnect(machine.box.id)
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.CANCELLED, ErrorCode.MAILBOX_DISCONNECTED)
    assert machine.post.steps == []


def race(machine: SendingMachine, step: str, intruder) -> None:
    """Have somebody come in between just before a step of the worker's."""
    before = machine.post.before

    def hooked(name: str) -> None:
        if name == step:
            machine.post.before = before
            intruder()
        before(name)

    machine.post.before = hooked


@pytest.mark.parametrize("step", ["open", "prepare", "send", "file"])
@pytest.mark.parametrize("intruder", ["cancel", "disconnect"])
@pytest.mark.parametrize("provider", [Provider.IMAP, Provider.GMAIL])
def test_cancelled_or_disconnected_amid_a_try_it_is_not_sent_or_reported_sent(
    provider, intruder, step
):
    machine = SendingMachine(provider)
    send = machine.ask()
    refused = []

    def come_in() -> None:
        try:
            if intruder == "cancel":
                machine.sends.cancel(ref_of(send), now=machine.clock.now())
            else:
                machine.disconnect(machine.box.id)
        except ConflictError as error:
            refused.append(error.code)

    race(machine, step, come_in)
    machine.rest()
    stands = machine.stands(send)
    arrived = counts(machine)
    if stands.status is SendStatus.SENT:
        assert arrived == {KIM: 1}
    else:
        assert (stands.status, arrived) == (SendStatus.CANCELLED, {})
    if intruder == "cancel":
        assert refused == [ErrorCode.TOO_LATE]
        assert stands.status is SendStatus.SENT
    elif step in {"open", "prepare"}:
        assert stands.status is SendStatus.CANCELLED, "nobody needs to send after a disconnect"
    assert stands.comes_up_at is None
    assert machine.world.outgoing == {}, "nobody can send it any more"


def test_disconnected_and_connected_again_amid_a_try_nothing_of_before_is_sent():
    machine = SendingMachine()
    send = machine.ask()
    before = machine.post.before

    def again(step):
        before(step)
        if step == "prepare":
            machine.disconnect(machine.box.id)
            machine.reconnect(machine.box.id)

    machine.post.before = again
    machine.rest()
    assert machine.mailbox().status is MailboxStatus.ACTIVE
    assert machine.stands(send).status is SendStatus.CANCELLED
    assert counts(machine) == {}
    assert machine.world.outgoing == {}


def test_cancelled_before_it_is_taken_it_is_never_sent():
    machine = SendingMachine(Provider.OUTLOOK)
    machine.post.failures["send"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = machine.ask()
    machine.drain()
    machine.post.failures.clear()
    machine.sends.cancel(ref_of(send), now=machine.clock.now())
    machine.rest()
    assert machine.stands(send).status is SendStatus.CANCELLED
    assert counts(machine) == {}
    assert machine.post.drafts == {}, "what lay ready is discarded"


def test_a_request_that_comes_twice_sends_once():
    machine = SendingMachine()
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    race(machine, "send", lambda: machine.deliver(request))
    machine.deliver(request)
    machine.deliver(request)
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}
    assert machine.post.steps.count("send") == 1


def test_a_worker_frozen_past_its_time_hands_nothing_over():
    machine = SendingMachine()
    send = machine.ask()

    def freeze() -> None:
        machine.seconds_left = -1.0

    note = machine.send_store.write

    def write(one, *, now):
        note(one, now=now)
        if one.handed_over_at:
            freeze()

    machine.send_store.write = write
    (request,) = machine.queues.take_sends()
    machine.deliver(request)
    assert "send" not in machine.post.steps
    machine.send_store.write = note
    machine.seconds_left = 100.0
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}


# ---- apart from what comes in ----


def test_trouble_with_what_goes_out_leaves_what_comes_in_alone():
    machine = SendingMachine()
    before = machine.mailboxes.get(TENANT, machine.box.id)
    machine.post.failures["open"] = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    for number in (1, 2):
        machine.ask(number=number)
        machine.clock.advance(minutes=1)
        machine.drain()
    after = machine.mailboxes.get(TENANT, machine.box.id)
    trouble = after.mailbox.outbound_error
    assert (trouble.code, trouble.count) == (ErrorCode.LOGIN_REJECTED, 2)
    assert trouble.last_seen_at - trouble.first_seen_at == timedelta(minutes=1)
    assert after == replace(before, mailbox=replace(before.mailbox, outbound_error=trouble))
    machine.server.deliver("INBOX", b"From: kim@customer.example\r\n\r\nhi", machine.clock.now())
    machine.tick(6)
    assert len(machine.world.messages) == 1
    assert machine.mailbox().outbound_error == trouble
    assert machine.mailbox().status is MailboxStatus.ACTIVE


def test_trouble_with_what_comes_in_leaves_what_goes_out_alone():
    machine = SendingMachine()
    machine.server.failure = ReconnectRequiredError(ErrorCode.LOGIN_REJECTED)
    machine.tick(6)
    parked = machine.mailbox()
    assert parked.status is MailboxStatus.RECONNECT_REQUIRED
    send = machine.ask_of_parked()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert machine.mailbox() == parked


def test_a_refused_mail_says_so_until_the_next_one_is_sent():
    machine = SendingMachine()
    machine.post.refusals[EVE] = NO_SUCH
    machine.ask([EVE], number=1)
    machine.drain()
    assert machine.mailbox().outbound_error.code is ErrorCode.RECIPIENT_REJECTED
    machine.ask([KIM, EVE], number=2)
    machine.drain()
    assert machine.mailbox().outbound_error is None


def test_our_own_store_s_trouble_is_not_the_mail_s():
    machine = SendingMachine()
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    read = machine.secret_store.get
    machine.secret_store.get = lambda *_: (_ for _ in ()).throw(StoreThrottledError())
    with pytest.raises(StoreThrottledError):
        machine.deliver(request)
    machine.secret_store.get = read
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert machine.mailbox().outbound_error is None


def test_our_own_store_s_trouble_amid_sending_leaves_no_doubt():
    machine = SendingMachine()
    machine.post.failures["send"] = StoreThrottledError()
    send = machine.ask()
    (request,) = machine.queues.take_sends()
    with pytest.raises(StoreThrottledError):
        machine.deliver(request)
    machine.post.failures.clear()
    machine.rest()
    assert machine.stands(send).status is SendStatus.SENT
    assert counts(machine) == {KIM: 1}
    assert "look_up" not in machine.post.steps


def test_a_sent_mail_that_cannot_be_filed_is_filed_later_and_stays_sent():
    machine = SendingMachine()
    machine.post.failures["file"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    send = machine.ask()
    machine.drain()
    stands = machine.stands(send)
    failed = ErrorCode.CONNECTION_FAILED
    assert (stands.status, stands.filed_at, stands.code) == (SendStatus.SENT, None, failed)
    machine.post.failures.clear()
    machine.rest()
    assert machine.stands(send).message_id
    assert counts(machine) == {KIM: 1}
    assert len(machine.sent_mail()) == 1


UNFILED = [
    ReconnectRequiredError(ErrorCode.LOGIN_REJECTED),
    ConfigurationError(ErrorCode.IMAP_DISABLED),
    RetryLaterError(ErrorCode.MAILBOX_FULL),
]


@pytest.mark.parametrize("error", UNFILED)
def test_a_sent_mail_that_somebody_has_to_have_filed_waits_a_day_for_them(error):
    machine = SendingMachine()
    machine.post.failures["file"] = error
    send = machine.ask()
    machine.rest(until=timedelta(hours=20))
    assert (machine.stands(send).code, machine.stands(send).filed_at) == (error.code, None)
    machine.post.failures.clear()
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code) == (SendStatus.SENT, None)
    assert machine.world.messages[TENANT, stands.message_id]
    assert machine.world.outgoing == {}


@pytest.mark.parametrize("error", UNFILED)
def test_a_sent_mail_that_cannot_be_filed_for_a_day_is_left_as_sent_and_says_why(error):
    machine = SendingMachine()
    machine.post.failures["file"] = error
    send = machine.ask()
    machine.rest()
    stands = machine.stands(send)
    assert (stands.status, stands.code, stands.comes_up_at) == (SendStatus.SENT, error.code, None)
    assert stands.filed_at - stands.sent_at >= timedelta(days=1)
    assert machine.post.steps.count("file") < 60
    assert machine.world.outgoing == {}


def test_an_error_noted_by_an_older_life_is_not_written_into_a_newer_one():
    machine = SendingMachine()
    machine.post.failures["prepare"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    machine.ask()
    race(machine, "prepare", lambda: machine.reconnect(machine.box.id))
    machine.drain()
    assert machine.mailbox().outbound_error is None


def test_an_older_mail_that_is_filed_does_not_clear_a_newer_one_s_trouble():
    machine = SendingMachine()
    machine.post.failures["file"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    older = machine.ask(number=1)
    machine.drain()
    machine.clock.advance(seconds=1)
    machine.post.failures = {"prepare": ConfigurationError(ErrorCode.SENDER_NOT_ALLOWED)}
    machine.ask(number=2)
    machine.drain()
    machine.rest()
    assert machine.stands(older).filed_at is not None
    assert machine.mailbox().outbound_error.code is ErrorCode.SENDER_NOT_ALLOWED


def test_a_latest_error_counts_on():
    machine = SendingMachine()
    at = machine.clock.now()
    error = LatestError(ErrorCode.CONNECTION_FAILED, at, at, 3)
    machine.world.mailboxes[TENANT, machine.box.id] = replace(
        machine.mailbox(), outbound_error=error
    )
    machine.post.failures["open"] = RetryLaterError(ErrorCode.CONNECTION_FAILED)
    machine.clock.advance(minutes=1)
    machine.ask()
    machine.drain()
    assert machine.mailbox().outbound_error.count == 4
