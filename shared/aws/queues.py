"""How requests are spelled in queue messages, sent in batches, and read back.

A body holds ids alone: no address, no content, no secret. It bears a version; a reader that meets
another one raises, so that the queue keeps the message until a newer reader runs.
"""

import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.aws.clients import Clients, clients_of_process
from shared.aws.errors import our_errors
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.ids import BackfillId, ErasureId, MailboxId, RunId, SendId, TenantId
from shared.domain.run import RunReason
from shared.ports.queues import (
    AuditRequest,
    ChangesRequest,
    ChunkRequest,
    EraseRequest,
    PlanRequest,
    SendRequest,
    SyncRequest,
    WorkRequest,
)

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

VERSION = 1
LONGEST_DELAY_SECONDS = 900
_MOST_IN_BATCH = 10
_TRIES = 5
_FIRST_DELAY_SECONDS = 0.1


class UnknownMessageError(ValueError):
    """A body that is not one of ours, or of a version this code does not know."""


@dataclass(frozen=True, slots=True)
class SqsWorkQueues:
    """The port `WorkQueues`.

    `urls` names the queues this function may send to: `sync`, `plan`, `chunk`, `erase`,
    `outbound`.
    """

    urls: Mapping[str, str]
    clients: Clients = field(default_factory=clients_of_process)
    sleep: Callable[[float], None] = time.sleep

    def send_syncs(self, requests: Sequence[SyncRequest], *, delay_seconds: int = 0) -> None:
        """Send in batches of ten, to be handed out later."""
        messages = [(request.tenant_id, encode_sync(request)) for request in requests]
        self._send("sync", messages, delay_seconds)

    def send_plan(self, request: PlanRequest) -> None:
        """Send one."""
        self._send("plan", [(request.tenant_id, encode_plan(request))])

    def send_audits(self, requests: Sequence[AuditRequest]) -> None:
        """Send in batches of ten, to the queue of plans."""
        self._send("plan", [(request.tenant_id, encode_audit(request)) for request in requests])

    def send_chunks(self, requests: Sequence[ChunkRequest], *, delay_seconds: int = 0) -> None:
        """Send in batches of ten, to be handed out later."""
        messages = [(request.tenant_id, encode_chunk(request)) for request in requests]
        self._send("chunk", messages, delay_seconds)

    def send_erasure(self, request: EraseRequest, *, delay_seconds: int = 0) -> None:
        """Send one, to be handed out later."""
        self._send("erase", [(request.tenant_id, encode_erasure(request))], delay_seconds)

    def send_sends(self, requests: Sequence[SendRequest], *, delay_seconds: int = 0) -> None:
        """Send in batches of ten, to be handed out later."""
        messages = [(request.tenant_id, encode_send(request)) for request in requests]
        self._send("outbound", messages, delay_seconds)

    def send_changes(self, requests: Sequence[ChangesRequest], *, delay_seconds: int = 0) -> None:
        """Send in batches of ten, to be handed out later."""
        messages = [(request.tenant_id, encode_changes(request)) for request in requests]
        self._send("outbound", messages, delay_seconds)

    def _send(
        self, queue: str, messages: Sequence[tuple[TenantId, str]], delay_seconds: int = 0
    ) -> None:
        if not 0 <= delay_seconds <= LONGEST_DELAY_SECONDS:
            raise ValueError(f"a delay is at most {LONGEST_DELAY_SECONDS} seconds")
        for start in range(0, len(messages), _MOST_IN_BATCH):
            batch = messages[start : start + _MOST_IN_BATCH]
            entries = [
                _entry(number, tenant_id, body, delay_seconds)
                for number, (tenant_id, body) in enumerate(batch)
            ]
            self._send_batch(self.urls[queue], entries)

    def _send_batch(self, url: str, left: "list[SendMessageBatchRequestEntryTypeDef]") -> None:
        for tried in range(_TRIES):
            with our_errors():
                answer = self.clients.sqs.send_message_batch(QueueUrl=url, Entries=left)
            refused = {failed["Id"]: failed for failed in answer.get("Failed", [])}
            if not refused:
                return
            left = [entry for entry in left if entry["Id"] in refused]
            ours = [failed["Code"] for failed in refused.values() if failed["SenderFault"]]
            if ours:
                raise ValueError(f"the queue does not take this: {ours[0]}")
            self.sleep(random.uniform(0.0, _FIRST_DELAY_SECONDS * 2**tried))  # noqa: S311 - jitter
        raise RetryLaterError(ErrorCode.STORE_THROTTLED, cause="queue refused messages")


def _entry(
    number: int, tenant_id: TenantId, body: str, delay_seconds: int
) -> "SendMessageBatchRequestEntryTypeDef":
    entry: SendMessageBatchRequestEntryTypeDef = {
        "Id": str(number),
        "MessageBody": body,
        # One tenant's flood must not hold up the others' messages.
        "MessageGroupId": _group(tenant_id),
    }
    if delay_seconds:
        entry["DelaySeconds"] = delay_seconds
    return entry


def encode_sync(request: SyncRequest) -> str:
    """Return the body of a sync request."""
    return _encode(
        "sync",
        tenant_id=request.tenant_id,
        mailbox_id=request.mailbox_id,
        reason=request.reason,
        run_id=request.run_id,
        **({"watch_ends": True} if request.watch_ends else {}),
    )


def encode_plan(request: PlanRequest) -> str:
    """Return the body of a plan request."""
    return _encode(
        "plan_backfill",
        tenant_id=request.tenant_id,
        mailbox_id=request.mailbox_id,
        backfill_id=request.backfill_id,
    )


def encode_audit(request: AuditRequest) -> str:
    """Return the body of an audit request."""
    return _encode(
        "audit",
        tenant_id=request.tenant_id,
        mailbox_id=request.mailbox_id,
        asked_at=request.asked_at.isoformat(),
    )


def encode_chunk(request: ChunkRequest) -> str:
    """Return the body of a chunk request."""
    return _encode(
        "backfill_chunk",
        tenant_id=request.tenant_id,
        mailbox_id=request.mailbox_id,
        backfill_id=request.backfill_id,
        chunk=request.chunk,
    )


def encode_erasure(request: EraseRequest) -> str:
    """Return the body of a request to erase."""
    return _encode("erase", tenant_id=request.tenant_id, erasure_id=request.erasure_id)


def encode_send(request: SendRequest) -> str:
    """Return the body of a request to send."""
    return _encode(
        "send",
        tenant_id=request.tenant_id,
        mailbox_id=request.mailbox_id,
        send_id=request.send_id,
    )


def encode_changes(request: ChangesRequest) -> str:
    """Return the body of a request to make changes."""
    return _encode("changes", tenant_id=request.tenant_id, mailbox_id=request.mailbox_id)


def decode_sync(body: str) -> SyncRequest:
    """Read the body of a sync request; raises `UnknownMessageError`."""
    fields = _decode(body, "sync")
    try:
        reason = RunReason(_text(fields, "reason"))
    except ValueError as error:
        raise UnknownMessageError("reason") from error
    run_id = fields.get("run_id")
    if not isinstance(run_id, str | None):
        raise UnknownMessageError("run_id")
    return SyncRequest(
        TenantId(_text(fields, "tenant_id")),
        MailboxId(_text(fields, "mailbox_id")),
        reason,
        RunId(run_id) if run_id else None,
        watch_ends=fields.get("watch_ends") is True,
    )


def decode_plan(body: str) -> PlanRequest:
    """Read the body of a plan request; raises `UnknownMessageError`."""
    fields = _decode(body, "plan_backfill")
    return PlanRequest(
        TenantId(_text(fields, "tenant_id")),
        MailboxId(_text(fields, "mailbox_id")),
        BackfillId(_text(fields, "backfill_id")),
    )


def decode_audit(body: str) -> AuditRequest:
    """Read the body of an audit request; raises `UnknownMessageError`."""
    fields = _decode(body, "audit")
    try:
        asked_at = datetime.fromisoformat(_text(fields, "asked_at"))
    except ValueError as error:
        raise UnknownMessageError("asked_at") from error
    if asked_at.tzinfo is None:
        raise UnknownMessageError("asked_at")
    return AuditRequest(
        TenantId(_text(fields, "tenant_id")), MailboxId(_text(fields, "mailbox_id")), asked_at
    )


def decode_chunk(body: str) -> ChunkRequest:
    """Read the body of a chunk request; raises `UnknownMessageError`."""
    fields = _decode(body, "backfill_chunk")
    chunk = fields.get("chunk")
    if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 0:
        raise UnknownMessageError("chunk")
    return ChunkRequest(
        TenantId(_text(fields, "tenant_id")),
        MailboxId(_text(fields, "mailbox_id")),
        BackfillId(_text(fields, "backfill_id")),
        chunk,
    )


def decode_erasure(body: str) -> EraseRequest:
    """Read the body of a request to erase; raises `UnknownMessageError`."""
    fields = _decode(body, "erase")
    return EraseRequest(
        TenantId(_text(fields, "tenant_id")), ErasureId(_text(fields, "erasure_id"))
    )


def decode_outbound(body: str) -> SendRequest | ChangesRequest:
    """Read the body of a request of the queue `outbound`; raises `UnknownMessageError`."""
    kind = "send" if _parsed(body).get("kind") == "send" else "changes"
    fields = _decode(body, kind)
    tenant_id = TenantId(_text(fields, "tenant_id"))
    mailbox_id = MailboxId(_text(fields, "mailbox_id"))
    if kind == "send":
        return SendRequest(tenant_id, mailbox_id, SendId(_text(fields, "send_id")))
    return ChangesRequest(tenant_id, mailbox_id)


def decode_request(body: str) -> WorkRequest:
    """Read a body of any of the queues, as dead letters are; raises `UnknownMessageError`."""
    match _parsed(body).get("kind"):
        case "sync":
            return decode_sync(body)
        case "plan_backfill":
            return decode_plan(body)
        case "audit":
            return decode_audit(body)
        case "backfill_chunk":
            return decode_chunk(body)
        case "send" | "changes":
            return decode_outbound(body)
        case _:
            raise UnknownMessageError("kind")


def ids_in(body: str) -> dict[str, Any]:
    """Return what a body asks for, as facts for the log; nothing for what is none."""
    try:
        return asdict(decode_request(body))
    except UnknownMessageError:
        return {}


def _encode(kind: str, **fields: object) -> str:
    return json.dumps({"v": VERSION, "kind": kind, **fields}, separators=(",", ":"))


def _decode(body: str, kind: str) -> Mapping[str, Any]:
    fields = _parsed(body)
    # The body is not quoted: a foreign one may hold anything, and the text goes to the log.
    if fields.get("v") != VERSION:
        raise UnknownMessageError("version")
    if fields.get("kind") != kind:
        raise UnknownMessageError("kind")
    return fields


def _parsed(body: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnknownMessageError("not JSON") from error
    if not isinstance(fields, dict):
        raise UnknownMessageError("not an object")
    return fields


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise UnknownMessageError(name)
    return value


def _group(tenant_id: TenantId) -> str:
    return hashlib.blake2b(tenant_id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
