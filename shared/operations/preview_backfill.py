"""What an import of each length would bring, how long it would take, and what it would cost.

Asked of the provider at that moment, in a few requests; nothing is stored. What is held already is
what arrived since the mailbox was connected, or since the floor of an import that was done. How
many match contacts is told by the headers of a few.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import ceil

from shared.domain.backfill import BackfillKind, BackfillState, window_start
from shared.domain.capabilities import CAPABILITIES
from shared.domain.errors import (
    ErrorCode,
    PreviewFailedError,
    RetryLaterError,
    StoreThrottledError,
)
from shared.domain.folders import Folder, is_active
from shared.domain.ids import FolderId, MailboxId
from shared.domain.mailbox import Mailbox, Provider, StoredMail
from shared.domain.pace import import_seconds
from shared.domain.sampling import Estimate, estimated
from shared.domain.visibility import Viewer
from shared.operations.access import Grants
from shared.operations.match_sample import Looked, MatchSample
from shared.operations.start_backfill import mailbox_to_import
from shared.ports.backfills import BackfillStore
from shared.ports.clock import Clock
from shared.ports.contacts import ContactStore
from shared.ports.parser import MessageParser
from shared.ports.policies import PolicyStore
from shared.ports.provider import MailProvider, Tally
from shared.ports.stores import MailboxStore

WINDOWS_DAYS = (7, 30, 90, 365)
SESSION_SECONDS = 20.0
"""What counting may take of the 29 seconds that a caller waits."""


@dataclass(frozen=True, slots=True)
class WindowPreview:
    """What an import of the last `days` would be."""

    days: int
    messages: int
    """How many the provider has in the active folders; about, where it counts whole days."""
    missing: int | None
    """How many of them would be fetched, as the others are held; None: too many are held to count.

    So are `seconds` and `quota` then.
    """
    more: bool
    """There are more than `messages`, and so than `missing`; they were not counted further."""
    seconds: int | None
    quota: int | None
    """What fetching costs of what a provider counts: Gmail's units, Graph's requests; else None."""
    matching: int | None
    """In how many of `messages` a contact takes part, and no policy keeps them out.

    None where the provider did not let itself be asked.
    """
    looked_at: int
    """How many messages tell of that; as many as there are: it is exact."""


def preview_backfill(
    viewer: Viewer,
    mailbox_id: MailboxId,
    *,
    mailboxes: MailboxStore,
    backfills: BackfillStore,
    contacts: ContactStore,
    policies: PolicyStore,
    grants: Grants,
    provider_of: Callable[[Provider], MailProvider],
    parser: MessageParser,
    clock: Clock,
    gmail_units_per_minute: int,
) -> list[WindowPreview]:
    """Return a preview for each of `WINDOWS_DAYS`, the shortest first.

    Raises as `start_backfill` does for who may not import, and what `MailSession` raises, but
    `PreviewFailedError` for what passes.
    """
    mailbox = mailbox_to_import(viewer, mailbox_id, mailboxes=mailboxes)
    # A repair or a replay reads messages one by one: it brings no window, and has no import's pace.
    earlier = [
        one
        for one in backfills.list_backfills(mailbox.tenant_id, mailbox.id)
        if one.kind is BackfillKind.IMPORT
    ]
    done = [one.since for one in earlier if one.state is BackfillState.DONE]
    held_since = min([mailbox.connected_at, *done])
    now = clock.now()
    floors = [window_start(now, days) for days in WINDOWS_DAYS]
    states = mailboxes.folders(mailbox.tenant_id, mailbox.id)
    sample = MatchSample(
        mailbox=mailbox,
        states={state.folder.id: state for state in states},
        parser=parser,
        units_per_minute=gmail_units_per_minute,
    )
    try:
        answer = _ask(sample, floors, held_since, grants=grants, provider_of=provider_of, now=now)
    except StoreThrottledError:
        raise
    except RetryLaterError as error:
        raise PreviewFailedError(error.code, cause=error.cause) from error
    *windows, held = (
        _sum([of_folder[number] for of_folder in answer.tallies.values()])
        for number in range(len(floors) + 1)
    )
    matching: list[Estimate | None] = [None] * len(windows)
    if answer.looked is not None:
        sampled = sample.judge(
            answer.looked,
            answer.folders,
            policy=policies.get_policy(mailbox.tenant_id),
            contacts=contacts,
        )
        sums = [0, *(tally.messages for tally in windows)]
        matching = estimated([more - less for less, more in pairwise(sums)], sampled)
    paces = (one.seconds_a_message for one in earlier if one.seconds_a_message is not None)
    pace = next(paces, None)
    missing = [
        _missing(tally, None if floor >= held_since else held)
        for floor, tally in zip(floors, windows, strict=True)
    ]
    return [
        _preview(
            mailbox,
            days,
            tally,
            missing=fetched,
            estimate=estimate,
            pace=pace,
            units_per_minute=gmail_units_per_minute,
        )
        for days, tally, fetched, estimate in zip(
            WINDOWS_DAYS, windows, missing, matching, strict=True
        )
    ]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the provider told."""

    folders: Mapping[FolderId, Folder]
    tallies: Mapping[FolderId, Sequence[Tally]]
    looked: list[Looked] | None


def _ask(
    sample: MatchSample,
    floors: Sequence[datetime],
    held_since: datetime,
    *,
    grants: Grants,
    provider_of: Callable[[Provider], MailProvider],
    now: datetime,
) -> _Answer:
    """Return what each active folder that can be opened received since each floor, and since then.

    And some of its messages, if they can be had.
    """
    mailbox = sample.mailbox
    with provider_of(mailbox.provider).open(grants.of(mailbox), seconds=SESSION_SECONDS) as session:
        look = session.look({}, lambda folder: is_active(folder, mailbox.active_folders), now=now)
        followed = [folder for folder in look.folders if folder.id in look.followed]
        tallies = session.tallies(followed, [*floors, held_since])
        if followed and not tallies:
            raise RetryLaterError(ErrorCode.FOLDER_UNAVAILABLE, cause="no folder can be counted")
        looked = sample.look(session, followed, tallies, [now, *floors])
    return _Answer({folder.id: folder for folder in look.folders}, tallies, looked)


def _sum(tallies: Sequence[Tally]) -> Tally:
    messages = sum(one.messages for one in tallies)
    return Tally(messages, more=any(one.more for one in tallies))


def _missing(tally: Tally, held: Tally | None) -> int | None:
    """Return how many of `tally` are not `held`, which is None where all of them are."""
    if held is None:
        return 0
    return None if held.more else max(0, tally.messages - held.messages)


def _preview(
    mailbox: Mailbox,
    days: int,
    tally: Tally,
    *,
    missing: int | None,
    estimate: Estimate | None,
    pace: float | None,
    units_per_minute: int,
) -> WindowPreview:
    traits = CAPABILITIES[mailbox.provider]
    each = traits.units_a_message or traits.requests_a_message
    asked = missing or 0
    if mailbox.store is StoredMail.CONTACTS_ONLY:
        # Each for its header, and again where a contact takes part: all may, where nobody knows.
        asked += min(asked, estimate.matching) if estimate else asked
    seconds = import_seconds(
        mailbox.provider,
        pace,
        messages=missing or 0,
        asked=asked,
        units_per_minute=units_per_minute,
    )
    return WindowPreview(
        days=days,
        messages=tally.messages,
        missing=missing,
        more=tally.more,
        seconds=None if missing is None else ceil(seconds),
        quota=asked * each if each and missing is not None else None,
        matching=estimate.matching if estimate else None,
        looked_at=estimate.looked_at if estimate else 0,
    )
