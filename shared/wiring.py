"""Which adapter stands behind each port, but for what has a `wiring_of_…`.

Everything is built on first use and once per process, and is imported only then: a function loads
what it needs, so that reading a timeline never imports a mail provider and a poll never imports the
parser's fallback.
"""

import functools
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from shared.config import settings
from shared.domain.mailbox import Provider
from shared.domain.schedule import SlotRange
from shared.observability import Metric, count, log_trouble
from shared.ports.activity import ActivityStore
from shared.ports.audits import AuditStore
from shared.ports.backfills import BackfillStore, ChunkSlots
from shared.ports.changing import ChangeStore
from shared.ports.clock import Clock
from shared.ports.composer import Composer
from shared.ports.contacts import ContactStore
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.erasures import ErasureStore, MailEraser
from shared.ports.openings import OpeningStore
from shared.ports.parser import MessageParser
from shared.ports.policies import PolicyStore
from shared.ports.provider import MailProvider, ServerTester
from shared.ports.queues import EraseRequest, TickRelay, WorkQueues, WorkRequest
from shared.ports.reading import MailReader
from shared.ports.runs import RunStore
from shared.ports.secrets import SecretStore
from shared.ports.sending import OutgoingStore, SendStore
from shared.ports.signatures import SignatureStore
from shared.ports.stores import AttachmentStore, MailboxStore, MessageStore
from shared.ports.threads import ThreadStore

if TYPE_CHECKING:
    from shared.aws.table import Table
    from shared.operations.connect_mailbox import ConnectPolicy
    from shared.operations.read_mail import Sanitise
    from shared.providers.network import Network
    from shared.providers.presets import Preset

RequestT = TypeVar("RequestT", bound=WorkRequest)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)


@functools.cache
def clock() -> Clock:
    """Return the clock."""
    return SystemClock()


@functools.cache
def rng() -> random.Random:
    """Return the source of jitter."""
    return random.SystemRandom()


# ---- stores ----


@functools.cache
def table() -> "Table":
    """Return the table, with the connections of this process."""
    from shared.aws.clients import clients_of_process
    from shared.aws.table import Table

    return Table(settings().table, clients=clients_of_process())


@functools.cache
def mailboxes() -> MailboxStore:
    """Return the store of mailboxes."""
    from shared.aws.mailbox_store import DynamoMailboxStore

    return DynamoMailboxStore(table(), settings().quotas)


@functools.cache
def runs() -> RunStore:
    """Return the store of runs."""
    from shared.aws.run_store import DynamoRunStore

    return DynamoRunStore(table())


@functools.cache
def backfills() -> BackfillStore:
    """Return the store of backfills."""
    from shared.aws.backfill_store import DynamoBackfillStore

    return DynamoBackfillStore(table(), settings().quotas)


@functools.cache
def chunk_slots() -> ChunkSlots:
    """Return the slots that a tenant's chunks at work hold."""
    from shared.aws.chunk_slots import DynamoChunkSlots

    return DynamoChunkSlots(table())


@functools.cache
def audits() -> AuditStore:
    """Return the store of audits."""
    from shared.aws.audit_store import DynamoAuditStore

    return DynamoAuditStore(table())


@functools.cache
def messages() -> MessageStore:
    """Return the store of messages."""
    from shared.aws.message_store import DynamoMessageStore

    return DynamoMessageStore(table(), settings().bucket)


@functools.cache
def attachments() -> AttachmentStore:
    """Return the store of attachments."""
    from shared.aws.attachment_store import S3AttachmentStore

    return S3AttachmentStore(settings().bucket)


@functools.cache
def letters() -> DeadLetterStore:
    """Return the store of dead letters."""
    from shared.aws.dead_letter_store import DynamoDeadLetterStore

    return DynamoDeadLetterStore(table(), settings().bucket)


@functools.cache
def activity() -> ActivityStore:
    """Return what reads of many mailboxes at once."""
    from shared.aws.activity_store import DynamoActivityStore

    return DynamoActivityStore(table(), letters())


@functools.cache
def contacts() -> ContactStore:
    """Return the store of contacts."""
    from shared.aws.contact_store import DynamoContactStore

    return DynamoContactStore(table())


@functools.cache
def mail_reader() -> MailReader:
    """Return what reads all that decides over what is shown."""
    from shared.aws.mail_reader import DynamoMailReader

    return DynamoMailReader(table())


@functools.cache
def policies() -> PolicyStore:
    """Return the store of tenants' policies."""
    from shared.aws.policy_store import DynamoPolicyStore

    return DynamoPolicyStore(table())


@functools.cache
def threads() -> ThreadStore:
    """Return the store of what is known of threads."""
    from shared.aws.thread_store import DynamoThreadStore

    return DynamoThreadStore(table())


@functools.cache
def signatures() -> SignatureStore:
    """Return the store of users' signatures."""
    from shared.aws.signature_store import DynamoSignatureStore

    return DynamoSignatureStore(table())


@functools.cache
def composer() -> Composer:
    """Return what writes mail."""
    from shared.mime.compose import MimeComposer

    return MimeComposer()


@functools.cache
def openings() -> OpeningStore:
    """Return the record of administrators let in to mailboxes."""
    from shared.aws.opening_store import DynamoOpeningStore

    return DynamoOpeningStore(table())


@functools.cache
def changes() -> ChangeStore:
    """Return the store of changes that are pending."""
    from shared.aws.change_store import DynamoChangeStore

    return DynamoChangeStore(table())


@functools.cache
def sends() -> SendStore:
    """Return the store of mails on their way out."""
    from shared.aws.send_store import DynamoSendStore

    return DynamoSendStore(table())


@functools.cache
def outgoing() -> OutgoingStore:
    """Return the store of their content."""
    from shared.aws.outgoing_store import S3OutgoingStore

    return S3OutgoingStore(settings().bucket)


def are_openings_allowed() -> bool:
    """Return whether an administrator may open somebody else's mailbox."""
    return settings().allow_admin_openings


@functools.cache
def erasures() -> ErasureStore:
    """Return the store of erasures."""
    from shared.aws.erasure_store import DynamoErasureStore

    return DynamoErasureStore(table())


@functools.cache
def mail_eraser() -> MailEraser:
    """Return what finds and deletes mail."""
    from shared.aws.mail_eraser import DynamoMailEraser

    return DynamoMailEraser(table(), settings().bucket)


@functools.cache
def secrets() -> SecretStore:
    """Return the store of secrets."""
    from shared.aws.moving_secrets import login_store

    return login_store(
        table(),
        prefix=settings().secret_prefix,
        key_id=settings().login_key,
        home=settings().credential_store,
        now=lambda: clock().now().timestamp(),
        moved=lambda place: count({Metric.LOGIN_MOVED: 1}, kind=place),
        failed=lambda tenant_id, mailbox_id, error: log_trouble(
            "login_not_moved", error, tenant_id=tenant_id, mailbox_id=mailbox_id
        ),
    )


@functools.cache
def queues() -> WorkQueues:
    """Return the work queues this function may send to."""
    from shared.aws.queues import SqsWorkQueues

    return SqsWorkQueues(settings().queue_urls)


def tick_relay(function_name: str) -> TickRelay:
    """Return what has further invocations of the scheduler take over a part of a tick."""
    from shared.aws.relay import LambdaTickRelay

    return LambdaTickRelay(function_name)


def ranges_in(event: dict[str, Any]) -> list[SlotRange] | None:
    """Return the part of a tick an event asks for, or None: all of it."""
    from shared.aws.relay import ranges_in as read

    return read(event)


def read_request(body: str, kind: type[RequestT]) -> RequestT:
    """Return the request of one kind that a message holds; raises ValueError for anything else."""
    request = read_any_request(body)
    if not isinstance(request, kind):
        # A ValueError, like every other text that is not what this queue holds.
        raise ValueError(f"not expected here: {type(request).__name__}")  # noqa: TRY004
    return request


def read_any_request(body: str) -> WorkRequest:
    """Return the request a queue's message holds; raises ValueError for what is none."""
    from shared.aws.queues import decode_request

    return decode_request(body)


def read_erase_request(body: str) -> EraseRequest:
    """Return the request to erase a message holds; raises ValueError for anything else."""
    from shared.aws.queues import decode_erasure

    return decode_erasure(body)


def ids_in(body: str) -> dict[str, Any]:
    """Return what a queue's message asks for, as facts for the log; nothing for what is none."""
    from shared.aws.queues import ids_in as read

    return read(body)


# ---- mail ----


@functools.cache
def provider_of(provider: Provider) -> MailProvider:
    """Return the adapter of a provider."""
    from shared.providers import registry

    match provider:
        case Provider.IMAP:
            return registry.imap(network())
        case Provider.GMAIL:
            return registry.gmail(settings())
        case Provider.OUTLOOK:
            return registry.outlook(settings())


@functools.cache
def server_tester() -> ServerTester:
    """Return what tries logins."""
    from shared.providers import registry

    return registry.server_tester(network())


@functools.cache
def parser() -> MessageParser:
    """Return the parser of messages."""
    from shared.mime.parse import MimeParser

    return MimeParser()


def sanitiser(*, remote_images: bool) -> "Sanitise":
    """Return what makes HTML safe to show."""
    from shared.mime.sanitise import sanitise

    return functools.partial(sanitise, remote_images=remote_images)


def preset_for(address: str) -> "Preset | None":
    """Return the preset of the provider of an address; the operator's own ones come first."""
    from shared.providers.presets import own_presets
    from shared.providers.presets import preset_for as find

    return find(address, own_presets(settings().own_mail_servers))


@functools.cache
def connect_policy() -> "ConnectPolicy":
    """Return what the operator permits those who connect mailboxes."""
    from shared.operations.connect_mailbox import ConnectPolicy

    return ConnectPolicy(
        allow_untrusted_certificates=settings().allow_untrusted_certificates,
        allow_plaintext=settings().allow_plaintext,
        sync_minutes=settings().sync_minutes,
    )


@functools.cache
def network() -> "Network":
    """Return how mail servers are reached."""
    from shared.providers.network import Network, NetworkPolicy

    return Network(
        NetworkPolicy(
            allow_private_hosts=settings().allow_private_hosts,
            extra_ports=settings().extra_mail_ports,
            extra_ca_file=settings().extra_ca_file,
            allow_untrusted_certificates=settings().allow_untrusted_certificates,
            allow_plaintext=settings().allow_plaintext,
            refused_networks=settings().refused_networks,
        )
    )
