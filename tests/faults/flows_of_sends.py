"""The stories of mail that leaves: each recipient gets it once at most, and everybody is told what is so."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

from functions.schedule_sync.handler import lambda_handler as schedule_sync
from shared.aws.queues import encode_sync
from shared.aws.stored_objects import SENDING_UPLOADS, of_user
from shared.domain.ids import MailboxId, TenantId, UserId
from shared.domain.run import RunReason
from shared.ports.queues import SyncRequest
from tests.faults.flows import box, flow
from tests.faults.senders import EVE, KIM, LEE, ByGmail, ByGraph, BySubmission, Sending
from tests.faults.wires import END_OF_CONTENT
from tests.faults.world import NAME, Waiting
from tests.functions.moto_stack import client

AT_PROVIDERS = (ByGmail, ByGraph)
UNTOLD = frozenset({END_OF_CONTENT})
"""The last answer of a server that keeps no copy itself: nobody can ask it what became of a mail."""
FILE = b"an offer\n"


# ---- where flows begin ----


def connected(world: Sending) -> None:
    """A mailbox in sync, with one mail to answer."""
    world.deliver(1)
    world.clock.advance(minutes=5)
    world.facts["box"] = world.connect(backfill_days=7)
    world.drain()
    note_what_is_there(world)


def signed_in(world: ByGmail | ByGraph) -> None:
    """The same of an account."""
    world.add_people()
    world.deliver(1)
    world.clock.advance(minutes=5)
    world.facts["box"] = world.sign_in(backfill_days=7)
    world.drain()
    note_what_is_there(world)


def note_what_is_there(world: Sending) -> None:
    """Note the id of the mail there is to answer, and of a file that will be uploaded."""
    digest = hashlib.sha256(FILE).hexdigest()
    announced = {"filename": "offer.txt", "content_type": "text/plain", "size": len(FILE)}
    place = world.ask("POST", "/v1/uploads", body={**announced, "sha256": digest})
    world.facts["file"] = place.json["upload_id"]
    (world.facts["mail"],) = (
        raw["sk"]["S"].removeprefix("message#")
        for raw in world.items()
        if raw["sk"]["S"].startswith("message#")
    )


def asked(world: Sending) -> None:
    """A mail waits in its queue."""
    connected(world)
    ask(world, to=[KIM], bcc=[LEE])


def asked_of_an_account(world: ByGmail | ByGraph) -> None:
    """A mail waits in its queue, from an account."""
    signed_in(world)
    ask(world, to=[KIM], bcc=[LEE])


def answered_of_an_account(world: ByGmail | ByGraph) -> None:
    """An answer with a file and somebody in Bcc waits in its queue."""
    signed_in(world)
    answer(world)


def unheard(world: Sending) -> None:
    """A mail was taken, and nobody told us; we look for it."""
    asked(world)
    world.facts["is not heard"] = True
    world.work_once()


def looked_for(world: Sending) -> None:
    """Nothing is seen of it, and the next look is too far away for a queue."""
    unheard(world)
    world.drain()
    world.minute()


def unheard_and_kept(world: Sending) -> None:
    """The same, of a server that keeps what it sends."""
    asked(world)
    world.facts |= {"is not heard": True, "keeps what it sends": True}
    world.work_once()


def unheard_of_an_account(world: ByGmail | ByGraph) -> None:
    """The same, of a provider that sends drafts."""
    asked_of_an_account(world)
    world.facts["is not heard"] = True
    world.work_once()


def asked_of_some(world: Sending) -> None:
    """A mail for three waits: one is nobody, and of one the server wants to see us again."""
    connected(world)
    later = world.clock.at + timedelta(seconds=20)
    world.facts["refuses"] = {
        EVE: ("550 5.1.1 The email account does not exist", None),
        LEE: ("450 4.2.1 Try again later", later),
    }
    ask(world, to=[KIM, EVE, LEE])


def put_off_with_a_draft(world: ByGmail | ByGraph) -> None:
    """A mail lies ready at its provider, which asked to slow down."""
    asked_of_an_account(world)
    world.facts["is busy"] = True
    world.work_once()


# ---- stories ----


@flow(connected, kinds=(BySubmission,), doubtful=UNTOLD)
def reply(world: Sending) -> None:
    """Into a thread, with a file and somebody in Bcc; asked for twice, and found by sync."""
    answer(world)


@flow(answered_of_an_account, kinds=AT_PROVIDERS)
def reply_of_an_account(world: Sending) -> None:
    """What follows once it is asked for, which is the same for all."""


@flow(asked_of_some, kinds=(BySubmission,), doubtful=UNTOLD)
def some_are_refused(world: Sending) -> None:
    pass


@flow(looked_for, kinds=(BySubmission,))
def never_heard_of(world: Sending) -> None:
    """The last look: nobody ever finds out."""
    two_hours_pass(world)


@flow(unheard_and_kept, kinds=(BySubmission,))
def found_among_the_sent_mail(world: Sending) -> None:
    pass


@flow(unheard_of_an_account, kinds=AT_PROVIDERS)
def found_by_its_draft(world: Sending) -> None:
    pass


@flow(connected, kinds=(BySubmission,), rests=("outbound", "sync"))
def scheduled(world: Sending) -> None:
    """No queue waits so long: a tick finds it."""
    ask(world, to=[KIM], send_at=in_two_hours(world))
    two_hours_pass(world)
    sync_later(world)


@flow(connected, kinds=(BySubmission,))
def scheduled_and_cancelled(world: Sending) -> None:
    cancel(world, ask(world, to=[KIM], send_at=in_two_hours(world)))
    two_hours_pass(world)


@flow(connected, kinds=(BySubmission,))
def undone(world: Sending) -> None:
    """It is queued already; its worker finds that nobody wants it any more."""
    cancel(world, ask(world, to=[KIM], undo_seconds=300))


@flow(asked, kinds=(BySubmission,))
def disconnected_while_it_waits(world: Sending) -> None:
    assert world.insist("DELETE", f"/v1/mailboxes/{box(world)}").status == 204


@flow(put_off_with_a_draft, kinds=AT_PROVIDERS)
def cancelled_with_a_draft(world: Sending) -> None:
    (send,) = world.asked_for()
    assert send.draft is not None
    cancel(world, send.id)


# ---- what they share ----


def ask(world: Sending, **wishes: Any) -> str:
    """Ask for a mail, as often as it takes; return its id."""
    people = {
        name: [{"address": one} for one in wishes.pop(name)]
        for name in ("to", "bcc")
        if name in wishes
    }
    given = {
        "mailbox_id": box(world),
        "subject": "Offer",
        "text": "Here it is.",
        **people,
        **wishes,
    }
    answer = world.insist("POST", "/v1/sends", body=given, headers={"idempotency-key": "one"})
    assert answer.status == 202, answer.text
    found: str = answer.json["id"]
    return found


def answer(world: Sending) -> None:
    """Answer the mail there is, asking twice; sync looks when that is sent."""
    wishes = {
        "subject": None,
        "answers": {"message_id": world.facts["mail"], "kind": "reply"},
        "bcc": [LEE],
        "attachments": [{"upload_id": world.facts["file"]}],
    }
    # Here and not where it begins: a picture has no metadata.
    client("s3").put_object(
        Bucket=NAME,
        Key=of_user(SENDING_UPLOADS, TenantId("acme"), UserId("ann")) + world.facts["file"],
        Body=FILE,
        ContentType="text/plain",
        Metadata={"filename": base64.urlsafe_b64encode(b"offer.txt").decode()},
    )
    assert ask(world, **wishes) == ask(world, **wishes)
    sync_later(world)


def sync_later(world: Sending) -> None:
    """Have sync look when all is sent."""
    request = SyncRequest(TenantId("acme"), MailboxId(box(world)), RunReason.SCHEDULE)
    at = world.clock.at + world.sync_comes_after
    world.waiting.append(Waiting("sync", encode_sync(request), at))


def cancel(world: Sending, send_id: str) -> None:
    """Cancel it in time."""
    target = f"/v1/mailboxes/{box(world)}/sends/{send_id}/cancel"
    answer = world.insist("POST", target)
    assert (answer.status, answer.json["status"]) == (200, "cancelled"), answer.text


def in_two_hours(world: Sending) -> str:
    return (world.clock.at + timedelta(hours=2)).isoformat()


def two_hours_pass(world: Sending) -> None:
    """And a tick comes."""
    world.clock.advance(minutes=121)
    world.invoke(schedule_sync, {"time": world.clock.at.isoformat()})
