"""What a dead letter is: a message or a piece of work that was given up, and how it is known again.

The same message given up again is the same letter, whoever meets it: its id is derived from the
message's id. So are those of work from what the work was.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import ErrorCode
from shared.domain.ids import (
    BackfillId,
    FolderId,
    LetterId,
    MailboxId,
    ProviderMessageId,
    RunId,
    TenantId,
)

MOST_RAW_BYTES = 64 * 1024 * 1024
"""Of a raw message that is kept; providers take up to 50 MB, Exchange 150 MB where it is told so.
"""


class LetterKind(StrEnum):
    """What was given up."""

    MESSAGE = "message"
    SYNC = "sync"
    PLAN = "plan_backfill"
    CHUNK = "backfill_chunk"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be read, or work that no retry could finish."""

    tenant_id: TenantId
    mailbox_id: MailboxId
    id: LetterId
    kind: LetterKind
    code: ErrorCode
    """Why it was given up the last time."""
    generation: int
    """The mailbox's, when it was given up last."""
    first_seen_at: datetime
    last_seen_at: datetime
    attempts: int = 1
    """How often it was given up."""
    run_id: RunId | None = None
    """The last run that gave it up, where there is a record of it."""
    folder_id: FolderId | None = None
    provider_message_id: ProviderMessageId | None = None
    received_at: datetime | None = None
    size: int | None = None
    """The message's, as far as it is known."""
    raw_size: int | None = None
    """Bytes of the raw message that is kept; None: none is."""
    raw_missing: ErrorCode | None = None
    """Why none is kept."""
    backfill_id: BackfillId | None = None
    chunk: int | None = None
    replay_id: BackfillId | None = None
    """The replay that was to read it again last."""
    replayed_at: datetime | None = None


def message_letter_id(provider_message_id: ProviderMessageId) -> LetterId:
    """Return the id of the letter of a message; unique within its mailbox."""
    return _letter_id(LetterKind.MESSAGE, provider_message_id)


def work_letter_id(
    kind: LetterKind, backfill_id: BackfillId | None = None, chunk: int | None = None
) -> LetterId:
    """Return the id of the letter of a piece of work; unique within its mailbox."""
    return _letter_id(kind, f"{backfill_id or ''}#{'' if chunk is None else chunk}")


def _letter_id(kind: LetterKind, of_what: str) -> LetterId:
    named = f"{kind}#{of_what}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(named, digest_size=15).digest()
    return LetterId("l" + base64.b32encode(digest).decode("ascii").lower())
