"""What the API says of dead letters."""

from datetime import datetime

from shared.api.schemas.fields import Shown
from shared.domain.dead_letter import LetterKind
from shared.domain.errors import Acts, ErrorCode
from shared.domain.explanations import explain
from shared.operations.read_dead_letters import LetterState, LetterView, RawLink
from shared.operations.replay_dead_letters import Replay


class DeadLetterShown(Shown):
    """A message or a piece of work that was given up, why, and what to do about it.

    Nothing of what a message says. `raw_size` is set where its raw bytes can be downloaded;
    `raw_missing` says why they cannot.
    """

    id: str
    mailbox_id: str
    kind: LetterKind
    state: LetterState
    code: ErrorCode
    message: str
    acts: Acts
    fix: str
    first_seen_at: datetime
    last_seen_at: datetime
    attempts: int
    run_id: str | None
    folder_id: str | None
    provider_message_id: str | None
    received_at: datetime | None
    size: int | None
    raw_size: int | None
    raw_missing: ErrorCode | None
    raw_missing_message: str | None
    backfill_id: str | None
    chunk: int | None
    replay_backfill_id: str | None
    replayed_at: datetime | None

    @classmethod
    def of(cls, view: LetterView) -> "DeadLetterShown":
        """Show a letter."""
        letter = view.letter
        words = explain(letter.code)
        missing = letter.raw_missing
        return cls(
            id=letter.id,
            mailbox_id=letter.mailbox_id,
            kind=letter.kind,
            state=view.state,
            code=letter.code,
            message=words.message,
            acts=words.acts,
            fix=words.fix,
            first_seen_at=letter.first_seen_at,
            last_seen_at=letter.last_seen_at,
            attempts=letter.attempts,
            run_id=letter.run_id,
            folder_id=letter.folder_id,
            provider_message_id=letter.provider_message_id,
            received_at=letter.received_at,
            size=letter.size,
            raw_size=letter.raw_size,
            raw_missing=missing,
            raw_missing_message=explain(missing).message if missing else None,
            backfill_id=letter.backfill_id,
            chunk=letter.chunk,
            replay_backfill_id=letter.replay_id,
            replayed_at=letter.replayed_at,
        )


class DeadLetterList(Shown):
    """Dead letters, the one first seen last first."""

    items: list[DeadLetterShown]
    next: str | None


class RawMessageLinkShown(Shown):
    """Where a raw message can be downloaded until `expires_at`."""

    url: str
    expires_at: datetime
    size: int | None

    @classmethod
    def of(cls, link: RawLink) -> "RawMessageLinkShown":
        """Show a link."""
        return cls(url=link.url, expires_at=link.expires_at, size=link.letter.raw_size)


class ReplayShown(Shown):
    """Which letters are read or done again.

    `backfill_id` is the backfill that reads messages, which tells how far it is. `blocked` are
    failed imports that another one is in the way of: replay them once that is over. The same
    request with `next` goes on with the letters behind these; it is null at the end.
    """

    queued: list[str]
    blocked: list[str]
    backfill_id: str | None
    next: str | None

    @classmethod
    def of(cls, replay: Replay, *, going_on: str | None = None) -> "ReplayShown":
        """Show what was queued; `going_on` is the token for what was not."""
        return cls(
            queued=list(replay.queued),
            blocked=list(replay.blocked),
            backfill_id=replay.backfill_id,
            next=going_on,
        )
