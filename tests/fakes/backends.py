"""Every store port over the fakes, and over AWS as moto plays it, with the table of our own template."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from moto import mock_aws

from infra.local.expand import load
from shared.aws.activity_store import DynamoActivityStore
from shared.aws.attachment_store import S3AttachmentStore
from shared.aws.audit_store import DynamoAuditStore
from shared.aws.backfill_store import DynamoBackfillStore
from shared.aws.change_store import DynamoChangeStore
from shared.aws.chunk_slots import DynamoChunkSlots
from shared.aws.clients import Clients
from shared.aws.contact_store import DynamoContactStore
from shared.aws.dead_letter_store import DynamoDeadLetterStore
from shared.aws.erasure_store import DynamoErasureStore
from shared.aws.mail_eraser import DynamoMailEraser
from shared.aws.mail_reader import DynamoMailReader
from shared.aws.mailbox_store import DynamoMailboxStore
from shared.aws.message_store import DynamoMessageStore
from shared.aws.opening_store import DynamoOpeningStore
from shared.aws.outgoing_store import S3OutgoingStore
from shared.aws.policy_store import DynamoPolicyStore
from shared.aws.push_store import DynamoPushStore
from shared.aws.rate_limits import DynamoRateLimits
from shared.aws.run_store import DynamoRunStore
from shared.aws.send_store import DynamoSendStore
from shared.aws.signature_store import DynamoSignatureStore
from shared.aws.table import Raw, Table
from shared.aws.thread_store import DynamoThreadStore
from shared.domain.ids import Address, MailboxId, MessageId, TenantId
from shared.domain.message import Copy, Message
from shared.ports.activity import ActivityStore
from shared.ports.audits import AuditStore
from shared.ports.backfills import BackfillStore, ChunkSlots
from shared.ports.changing import ChangeStore
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.erasures import ErasureStore, MailEraser
from shared.ports.openings import OpeningStore
from shared.ports.policies import PolicyStore
from shared.ports.push import PushStore
from shared.ports.rate_limits import RateLimits
from shared.ports.reading import MailReader, Wanted
from shared.ports.runs import RunStore
from shared.ports.sending import OutgoingStore, SendStore
from shared.ports.signatures import SignatureStore
from shared.ports.stores import (
    AttachmentStore,
    MailboxStore,
    MessageStore,
    TimelineEntry,
)
from shared.ports.threads import ThreadStore
from tests.fakes.activity import InMemoryActivityStore
from tests.fakes.audits import InMemoryAuditStore
from tests.fakes.changes import InMemoryChangeStore
from tests.fakes.erasures import InMemoryErasureStore, InMemoryMailEraser
from tests.fakes.letters import InMemoryDeadLetterStore
from tests.fakes.moto_dynamodb import make_atomic
from tests.fakes.moto_secrets import keep_one_current
from tests.fakes.openings import InMemoryOpeningStore
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.push import InMemoryPushStore
from tests.fakes.quick_moto import make_quick
from tests.fakes.rate_limits import InMemoryRateLimits
from tests.fakes.reading import InMemoryMailReader
from tests.fakes.sends import InMemoryOutgoingStore, InMemorySendStore
from tests.fakes.signatures import InMemorySignatureStore
from tests.fakes.slots import InMemoryChunkSlots
from tests.fakes.stores import (
    InMemoryAttachmentStore,
    InMemoryBackfillStore,
    InMemoryContactStore,
    InMemoryMailboxStore,
    InMemoryMessageStore,
    InMemoryRunStore,
    World,
)
from tests.fakes.threads import InMemoryThreadStore

make_atomic()
make_quick()
keep_one_current()

TABLE, BUCKET = "mailroom-test", "mailroom-test-bucket"
REGION = "eu-central-1"


@dataclass
class Stores:
    """One backend's stores; `table` and `clients` are set for AWS alone."""

    mailboxes: MailboxStore
    runs: RunStore
    backfills: BackfillStore
    messages: MessageStore
    attachments: AttachmentStore
    contacts: ContactStore
    slots: ChunkSlots
    letters: DeadLetterStore
    audits: AuditStore
    erasures: ErasureStore
    eraser: MailEraser
    policies: PolicyStore
    signatures: SignatureStore
    reader: MailReader
    openings: OpeningStore
    threads: ThreadStore
    sends: SendStore
    outgoing: OutgoingStore
    rates: RateLimits
    changes: ChangeStore
    push: PushStore
    activity: ActivityStore
    table: Table | None = None
    clients: Clients | None = None

    def get_messages(
        self, tenant_id: TenantId, ids: Iterable[MessageId]
    ) -> dict[MessageId, Message]:
        """Those messages that are stored."""
        found = self.reader.read(tenant_id, Wanted(messages=frozenset(ids)))
        return dict(found.messages)

    def copies_of(
        self, tenant_id: TenantId, messages: Iterable[Message]
    ) -> dict[MessageId, list[Copy]]:
        """Each message's copies, live and removed, in order of their names."""
        messages = list(messages)
        refs = frozenset(ref for one in messages for ref in one.copies)
        found = self.reader.read(tenant_id, Wanted(copies=refs)).copies
        return {
            one.id: [found[ref] for ref in sorted(one.copies) if ref in found] for one in messages
        }

    def by_address(
        self, tenant_id: TenantId, address: Address, **bounds: Any
    ) -> Sequence[TimelineEntry]:
        """The first entries of one address."""
        bounds = {"before": None, "limit": 99, **bounds}
        (page,) = self.messages.by_address(tenant_id, [address], **bounds)
        return page.entries

    def by_mailbox(
        self, tenant_id: TenantId, mailbox_id: MailboxId, **bounds: Any
    ) -> Sequence[TimelineEntry]:
        """The first entries of one mailbox."""
        bounds = {"before": None, "limit": 99, **bounds}
        (page,) = self.messages.by_mailbox(tenant_id, [mailbox_id], **bounds)
        return page.entries

    def items(self) -> list[Raw]:
        """Every item of the table."""
        if self.table is None:
            return []
        pages = self.table.client.get_paginator("scan").paginate(TableName=self.table.name)
        return [item for page in pages for item in page["Items"]]


def in_memory() -> Stores:
    world = World()
    return Stores(
        InMemoryMailboxStore(world),
        InMemoryRunStore(world),
        InMemoryBackfillStore(world),
        InMemoryMessageStore(world),
        InMemoryAttachmentStore(world),
        InMemoryContactStore(world),
        InMemoryChunkSlots(),
        InMemoryDeadLetterStore(world),
        InMemoryAuditStore(world),
        InMemoryErasureStore(world),
        InMemoryMailEraser(world),
        InMemoryPolicyStore(world),
        InMemorySignatureStore(world),
        InMemoryMailReader(world),
        InMemoryOpeningStore(world),
        InMemoryThreadStore(world),
        InMemorySendStore(world),
        InMemoryOutgoingStore(world),
        InMemoryRateLimits(),
        InMemoryChangeStore(world),
        InMemoryPushStore(world),
        InMemoryActivityStore(world),
    )


@contextmanager
def on_aws() -> Iterator[Stores]:
    with mock_aws():
        table, clients = _table(), _clients()
        table.client.create_table(TableName=TABLE, **table_definition())
        clients.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield Stores(
            DynamoMailboxStore(table),
            DynamoRunStore(table),
            DynamoBackfillStore(table),
            DynamoMessageStore(table, BUCKET, clients),
            S3AttachmentStore(BUCKET, clients),
            DynamoContactStore(table),
            DynamoChunkSlots(table),
            DynamoDeadLetterStore(table, BUCKET, clients),
            DynamoAuditStore(table),
            DynamoErasureStore(table),
            DynamoMailEraser(table, BUCKET, clients),
            DynamoPolicyStore(table),
            DynamoSignatureStore(table),
            DynamoMailReader(table),
            DynamoOpeningStore(table),
            DynamoThreadStore(table),
            DynamoSendStore(table),
            S3OutgoingStore(BUCKET, clients),
            DynamoRateLimits(table),
            DynamoChangeStore(table),
            DynamoPushStore(table),
            DynamoActivityStore(table, DynamoDeadLetterStore(table, BUCKET, clients)),
            table,
            clients,
        )


@cache
def _table() -> Table:
    # Made once: moto answers whatever client there is, and making one takes a second.
    return Table(TABLE, attempts=1, sleep=lambda _: None)


@cache
def _clients() -> Clients:
    return Clients(attempts=1)


@cache
def table_definition() -> dict:
    """What `template.yaml` says of the table, as CreateTable takes it."""
    template = load(Path(__file__).resolve().parents[2] / "template.yaml")
    table = template["Resources"]["Table"]["Properties"]
    wanted = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
    return {name: table[name] for name in wanted}
