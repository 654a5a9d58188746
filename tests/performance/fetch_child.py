"""Decides what counts as our import: one process that takes a whole mailbox in and stores nothing.

    python -m tests.performance.fetch_child PORT AUTHORITY [--stage fetch|parse|pack] [--profile]

It is the import as the functions run it, chunk by chunk: session, parser, identity, packing. Only
the stores are replaced, by ones that pack and drop; attachments are left at the server. Prints one
line of JSON.
"""

import argparse
import cProfile
import json
import pstats
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from shared.aws.message_items import pack_message
from shared.domain.backfill import CHUNK_SIZE
from shared.domain.cursor import Cursor
from shared.domain.erasure import KeptOut
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, MailboxId, ProviderMessageId, RunId, TenantId, UserId
from shared.domain.lease import Fence
from shared.domain.ledger import Ledger
from shared.domain.mailbox import Mailbox, MailboxKind, MailboxStatus, Provider, Purpose
from shared.domain.message import Copy, FetchedMessage
from shared.mime.parse import MimeParser
from shared.operations.gate import Gate
from shared.operations.ingest import Ingest
from shared.operations.note_dead_letters import DeadLetters
from shared.ports.dead_letters import DeadLetterStore
from shared.ports.stores import AttachmentStore, MessageStore, NewCopy
from shared.providers.imap.adapter import ImapSession
from tests.fakes.policies import InMemoryPolicyStore
from tests.fakes.stores import InMemoryContactStore
from tests.performance.memory import peak_megabytes
from tests.performance.server import MeasuredMailbox
from tests.performance.synthetic_mail import OWNER

STAGES = ("fetch", "parse", "pack")
_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
MAILBOX = Mailbox(
    tenant_id=TenantId("tenant"),
    id=MailboxId("mailbox"),
    provider=Provider.IMAP,
    address=OWNER,
    status=MailboxStatus.ACTIVE,
    kind=MailboxKind.PERSONAL,
    purpose=next(iter(Purpose)),
    owner_user_id=UserId("user"),
    connected_at=_SINCE,
)


class PackAndDrop:
    """A `MessageStore` that does what costs the processor, and sends nothing."""

    def __init__(self) -> None:
        self.bytes = 0

    def copies_by_id(
        self, tenant_id: TenantId, mailbox_id: MailboxId, ids: Sequence[ProviderMessageId]
    ) -> dict[ProviderMessageId, Copy]:
        """Say that nothing is stored."""
        return {}

    def kept_out(self, tenant_id: TenantId) -> KeptOut:
        """Say that nobody is."""
        return KeptOut()

    def save(self, fence: Fence, new: Sequence[NewCopy]) -> frozenset[ProviderMessageId]:
        """Pack each message and forget it."""
        for item in new:
            packed = pack_message(item.message, item.body)
            self.bytes += len(packed.content) + len(packed.body or b"")
        return frozenset(item.copy.provider_message_id for item in new)


class LeftThere:
    """An `AttachmentStore` that reads no attachment, so that none is fetched."""

    def put(
        self, tenant_id: TenantId, slices: Iterable[bytes], *, holder: str, limit: int
    ) -> tuple[str, int]:
        """Name it by nothing."""
        return "digest", 0


def take_in(session: ImapSession, stage: str) -> dict[str, int]:
    """Import all folders up to a stage; return what was taken in."""
    store, ledger, parser = PackAndDrop(), Ledger(), MimeParser()
    fence = Fence(MAILBOX.tenant_id, MAILBOX.id, 1)
    folders = _folders(session)
    letters = DeadLetters(
        fence=fence,
        run_id=RunId("measured"),
        session=session,
        letters=cast("DeadLetterStore", None),  # nothing here is given up
        now=lambda: datetime.now(UTC),
        remaining_seconds=lambda: 900.0,
        kept_out=KeptOut,
    )
    ingest = Ingest(
        mailbox=MAILBOX,
        fence=fence,
        session=session,
        parser=parser,
        messages=cast("MessageStore", store),
        attachments=cast("AttachmentStore", LeftThere()),
        ledger=ledger,
        remaining_seconds=lambda: 900.0,
        folders={folder.id: folder for folder in folders},
        since=_SINCE,
        dead_letters=letters,
        gate=Gate(MAILBOX.tenant_id, cast("MessageStore", store), InMemoryPolicyStore()),
        contacts=InMemoryContactStore(),
    )
    messages = 0
    for folder, ids in _chunks(session, folders):
        if stage == "pack":
            ingest.take_in(folder, ids)
            continue
        for fetched in session.fetch(folder, ids):
            if isinstance(fetched, FetchedMessage):
                messages += 1
                if stage == "parse":
                    parser.parse(fetched)
    messages += ledger.counts().stored
    return {"messages": messages, "packed_bytes": store.bytes}


def _folders(session: ImapSession) -> Sequence[Folder]:
    nothing: dict[FolderId, Cursor | None] = {}
    return session.look(nothing, lambda folder: folder.selectable, now=datetime.now(UTC)).folders


def _chunks(
    session: ImapSession, folders: Iterable[Folder]
) -> Iterator[tuple[Folder, Sequence[ProviderMessageId]]]:
    now = datetime.now(UTC)
    for folder in folders:
        ids = session.list_window(folder, since=_SINCE, upto=session.baseline(folder, now=now))
        for start in range(0, len(ids), CHUNK_SIZE):
            yield folder, ids[start : start + CHUNK_SIZE]


def main() -> None:
    """Take the mailbox in and print what it took."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("port", type=int)
    arguments.add_argument("authority", type=Path)
    arguments.add_argument("--stage", choices=STAGES, default="pack")
    arguments.add_argument("--profile", action="store_true")
    options = arguments.parse_args()
    mailbox = MeasuredMailbox(options.port, options.authority, 0, 0)
    profile = cProfile.Profile() if options.profile else None
    provider = mailbox.provider()
    wall, cpu = time.perf_counter(), time.process_time()
    with provider.open(mailbox.grant()) as session:
        if profile:
            profile.enable()
        taken = take_in(session, options.stage)
        if profile:
            profile.disable()
    figures = {
        **taken,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "peak_megabytes": peak_megabytes(),
        "round_trips": session.round_trips,
        "bytes_received": session.bytes_received,
        "bytes_sent": session.bytes_sent,
    }
    print(json.dumps(figures))
    if profile:
        pstats.Stats(profile, stream=sys.stderr).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
