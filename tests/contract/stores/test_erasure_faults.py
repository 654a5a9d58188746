"""Killed, throttled or left without an answer at every write, an erasure ends as if nothing had been."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from shared.aws.tables_of_added_addresses import added_pk
from shared.domain.erasure import Erased
from shared.domain.errors import MailroomError
from shared.domain.ids import Address, FolderId, UserId
from shared.domain.lease import Fence
from shared.domain.message import Body, Participant, ParticipantRole, StoredAttachment, copy_ref
from shared.domain.secret import Secret
from shared.domain.visibility import Viewer
from shared.operations import request_erasure as requesting
from shared.operations.access import Grants
from shared.operations.erase_mail import ErasePorts, erase_mail
from shared.operations.request_erasure import ErasurePorts
from shared.ports.stores import SyncOutcome
from tests.fakes.backends import BUCKET, Stores, on_aws
from tests.fakes.clock import FixedClock
from tests.fakes.faults import WRITES, KilledError, failing, killed, lost, throttled
from tests.fakes.queues import RecordingWorkQueues
from tests.fakes.secrets import InMemorySecretStore
from tests.fakes.values import (
    ADA,
    BOB,
    BOX,
    OTHER_BOX,
    SLOT,
    TENANT,
    a_backfill,
    a_contact,
    a_folder,
    a_new_copy,
    a_run,
    connected,
    later,
    lease_of,
    some_chunks,
)

EVE = Address("eve@example.org")
ADMIN = Viewer(TENANT, UserId("u1"), is_admin=True)
NOISE = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(6_000))
ALL = WRITES | {"DeleteObjects", "AbortMultipartUpload"}


@dataclass
class Scene:
    """A tenant with two mailboxes, and whoever erases."""

    stores: Stores
    secrets: InMemorySecretStore
    queues: RecordingWorkQueues
    clock: FixedClock

    def request(self, whose: str) -> None:
        ports = ErasurePorts(
            erasures=self.stores.erasures,
            mailboxes=self.stores.mailboxes,
            backfills=self.stores.backfills,
            sends=self.stores.sends,
            outgoing=self.stores.outgoing,
            grants=Grants(self.secrets, lambda _: None, SimpleNamespace(), self.clock),
            holders=SimpleNamespace(),
            push=self.stores.push,
            provider_of=SimpleNamespace(),
            queues=self.queues,
            clock=self.clock,
        )
        if whose == "mailbox":
            requesting.erase_mailbox(ADMIN, BOX, ["sales@acme.example"], ports=ports)
        else:
            requesting.erase_person(
                ADMIN, [EVE, ADA], [EVE, ADA], requesting.KeepsOut.ALL_MAIL, ports=ports
            )

    def work(self) -> None:
        """Carry out what is queued; what is not acknowledged is delivered again."""
        while self.queues.erasures:
            request, delay = self.queues.erasures[0]
            self.clock.advance(delay)
            ports = ErasePorts(
                erasures=self.stores.erasures,
                eraser=self.stores.eraser,
                secrets=self.secrets,
                queues=self.queues,
                clock=self.clock,
                remaining_seconds=lambda: 100.0,
            )
            erase_mail(request, ports=ports)
            self.queues.erasures.pop(0)

    def again(self, step: Callable[[], None]) -> None:
        """Do a step that was disturbed until it ends, each time when a lease is over."""
        self.clock.advance(minutes=30)
        step()


def fill(stores: Stores) -> Scene:
    record = connected(stores.mailboxes)
    other = connected(stores.mailboxes, id=OTHER_BOX, address="else@acme.example")
    stores.mailboxes.set_primary(TENANT, UserId("u1"), BOX)
    lease = lease_of(stores.mailboxes, record)
    outcome = SyncOutcome({FolderId("f1"): a_folder("f1")}, later(5), a_run("01R"), due_slot=SLOT)
    stores.mailboxes.finish_run(lease.fence, outcome)
    backfill = a_backfill(generation=record.mailbox.generation)
    stores.backfills.create_backfill(backfill)
    stores.backfills.put_chunks(backfill, some_chunks(backfill, 2))
    theirs = a_new_copy("9", mailbox_id=OTHER_BOX, mail="both")
    mine = [
        with_attachment(stores, with_eve(a_new_copy("1", body=Body(NOISE, None)))),
        with_eve(a_new_copy("2", mail="both")),
        a_new_copy("3", participants=(), addresses=()),
    ]
    for one, new in ((record, mine), (other, [theirs])):
        box = one.mailbox
        stores.messages.save(Fence(TENANT, box.id, box.generation), new)
    stores.contacts.put_contact(a_contact("alone", EVE), expected_version=None)
    stores.contacts.put_contact(a_contact("both", EVE, BOB), expected_version=None)
    scene = Scene(stores, InMemorySecretStore(), RecordingWorkQueues(), FixedClock())
    scene.secrets.put(TENANT, BOX, Secret("not-a-real-one"))
    return scene


def with_eve(new):
    eve = Participant(ParticipantRole.CC, EVE, "Eve")
    message = replace(new.message, participants=(*new.message.participants, eve))
    return replace(new, message=message, index_addresses=(*new.index_addresses, EVE))


def with_attachment(stores, new):
    holder = copy_ref(new.copy.mailbox_id, new.copy.provider_message_id)
    digest, size = stores.attachments.put(TENANT, iter([b"abc"]), holder=holder, limit=9)
    kept = (StoredAttachment("a.txt", "text/plain", size, digest=digest),)
    return replace(new, message=replace(new.message, attachments=kept))


def picture(scene: Scene) -> str:
    """What is left, but for instants, ids, keys made at random, and messages' empty items."""
    items = []
    settled = [scene.stores.audits.settled(TENANT, box) for box in (BOX, OTHER_BOX)]
    for item in scene.stores.items():
        if item["sk"]["S"].startswith("settled#"):
            # In how many parts depends on the pages; what they hold together does not.
            continue
        if item["pk"]["S"].endswith("#erasures") or item["sk"]["S"].startswith("message#"):
            if "d" in item:
                items.append([item["pk"], item["sk"], sorted(item["c"]["SS"])])
            continue
        if item["pk"]["S"] == added_pk(TENANT):
            items.append(item.get("addresses"))
            continue
        items.append({name: item[name] for name in sorted(item) if name != "updated_at"})
    contents = scene.stores.clients.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    receipts = scene.stores.erasures.list_erasures(TENANT, before=None, limit=9)
    assert all(one.done_at is not None and one.addresses == () for one in receipts)
    # Who asks for a person again has a second receipt, of what the first had left: nothing.
    sums = sum((one.erased for one in receipts), start=Erased())
    told = [*map(sorted, settled)]
    return json.dumps([sorted(map(str, items)), [one["Key"] for one in contents], str(sums), told])


def undisturbed(whose: str) -> tuple[str, int, int]:
    """Return the picture at the end, and how many writes asking and erasing take."""
    with on_aws() as stores:
        scene = fill(stores)
        with failing(stores, killed, at=10**6, only=ALL) as asking:
            scene.request(whose)
        with failing(stores, killed, at=10**6, only=ALL) as erasing:
            scene.work()
        left = [item for item in stores.items() if not item["pk"]["S"].endswith("#erasures")]
        assert (BOX if whose == "mailbox" else EVE) not in str(left)
        return picture(scene), len(asking), len(erasing)


DISTURBANCES = [(killed, False), (killed, True), (throttled, False), (lost, True)]


@pytest.mark.parametrize("whose", ["mailbox", "person"])
@pytest.mark.parametrize(("error", "after"), DISTURBANCES)
def test_an_erasure_disturbed_at_any_write_ends_as_if_it_had_not_been(whose, error, after):
    whole, asking, erasing = undisturbed(whose)
    assert asking >= (4 if whose == "mailbox" else 2)
    assert erasing >= 8
    for at in range(erasing):
        with on_aws() as stores:
            scene = fill(stores)
            scene.request(whose)
            disturbed(scene, scene.work, error, at=at, after=after)
            assert picture(scene) == whole, f"{error.__name__} at {at} of {erasing}"
    print(f"\n{whose}: {erasing} interruptions by {error.__name__}, no difference")


@pytest.mark.parametrize("whose", ["mailbox", "person"])
@pytest.mark.parametrize("after", [False, True])
def test_asking_that_is_killed_at_any_write_is_completed_by_asking_again(whose, after):
    whole, asking, _ = undisturbed(whose)
    for at in range(asking):
        with on_aws() as stores:
            scene = fill(stores)
            disturbed(scene, lambda scene=scene: scene.request(whose), killed, at=at, after=after)
            scene.work()
            assert picture(scene) == whole, f"at {at} of {asking}"


def test_what_was_asked_for_is_carried_out_though_who_asked_never_heard_of_it():
    """Killed after its last write, and nobody asks again."""
    whole, asking, _ = undisturbed("person")
    with on_aws() as stores:
        scene = fill(stores)
        with (
            pytest.raises(KilledError),
            failing(stores, killed, at=asking - 1, only=ALL, after=True),
        ):
            scene.request("person")
        scene.work()
        assert picture(scene) == whole


def disturbed(scene: Scene, step, error, *, at: int, after: bool) -> None:
    try:
        with failing(scene.stores, error, at=at, only=ALL, after=after):
            step()
    except (KilledError, MailroomError):
        pass
    scene.again(step)


def test_nothing_is_said_to_be_done_before_it_is(monkeypatch):
    """At every write of an erasure, its receipt says `running` unless nothing is left."""
    with on_aws() as stores:
        scene = fill(stores)
        scene.request("person")
        told: list[bool] = []

        def heard(*_args, **_kwargs):
            items = [one for one in stores.items() if one["pk"]["S"].endswith("#erasures")]
            told.append(any(item.get("state", {}).get("S") == "done" for item in items))

        real = type(stores.eraser).erase
        monkeypatch.setattr(
            type(stores.eraser), "erase", lambda *a, **k: (heard(), real(*a, **k), heard())
        )
        scene.work()
        assert told
        assert not any(told)
        assert stores.erasures.list_erasures(TENANT, before=None, limit=1)[0].done_at is not None
