"""Decides how what Outlook costs is counted: by the simulator's log, while the adapter imports.

Counts and bytes, no times: requests as HTTP sees them, parts as Graph counts them against its limit
of 10,000 in ten minutes, bytes inside TLS as they came, compressed where the simulator does so.
Beside the import as MIME the same messages are asked for as JSON with their attachments, and both
are read by our parser: what one costs, and what it loses.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.local.certificates import ensure_certificates
from infra.simulators.kit.mailbox import Delivery
from shared.domain.backfill import CHUNK_SIZE
from shared.domain.cursor import Cursor
from shared.domain.folders import Folder, FolderRole
from shared.domain.ids import FolderId
from shared.domain.message import FetchedMessage, ParsedMessage
from shared.mime.parse import MimeParser
from shared.providers.outlook import apart
from shared.providers.outlook.adapter import OutlookSession
from shared.providers.outlook.entries import read_entry
from shared.providers.outlook.graph import Part
from shared.providers.outlook.paths import message_path
from tests.contract.outlook_world import OutlookWorld, at_microsoft
from tests.fakes.known import Known
from tests.performance.synthetic_mail import DAYS, LAST_DAY, generate

Figures = dict[str, Any]
_PLACES = {"INBOX": "inbox", "Sent": "sentitems", "Archive": "archive", "Projects": "Projects"}
_POLLED = frozenset({FolderRole.INBOX, FolderRole.SENT, FolderRole.ARCHIVE, FolderRole.OTHER})
_QUIET_MINUTE = datetime(2026, 11, 21, 10, 7, tzinfo=UTC)
_JUST_BEFORE = _QUIET_MINUTE - timedelta(minutes=5)
"""A look then and one in the quiet minute: the second does not list the folders."""
_JSON = (
    "receivedDateTime,isRead,isDraft,flag,parentFolderId,hasAttachments,lastModifiedDateTime,"
    "internetMessageHeaders,internetMessageId,subject,sentDateTime,from,toRecipients,ccRecipients,"
    "replyTo,body"
)
_SEVERAL = 5
"""Bodies in a batch of JSON: attachments come inside, and 20 of them were more than is held."""


class MeasurementError(Exception):
    """A figure would be wrong: something other than the whole mailbox was taken in."""


def measure(messages: int) -> Figures:
    """Return what an import and an idle poll of `messages` messages ask for and receive."""
    with TemporaryDirectory() as directory, _filled(messages, Path(directory)) as world:
        folders = [
            one
            for one in world.folders().values()
            if one.role in _POLLED and one.name in {"Inbox", "Sent Items", "Archive", "Projects"}
        ]
        positions, baseline = _baseline(world, folders)
        backfilled, by_mime = _backfill(world, folders, positions)
        if len(by_mime) != messages:
            raise MeasurementError(f"{len(by_mime)} of {messages}")
        listed = _listed(world, folders)
        as_json, by_json = _as_json(world, list(by_mime))
        idle = _idle(world, folders, positions, last_look_at=_JUST_BEFORE)
        listing = _idle(world, folders, positions, last_look_at=None)
        original = _original(messages)
    return {
        "messages": messages,
        "folders": len(folders),
        "baseline": baseline,
        "backfill": backfilled,
        "sync": listed,
        "json": as_json,
        "idle": idle,
        "idle_with_listing": listing,
        "mime_against_original": _differences(original, by_mime),
        "json_against_original": _differences(original, by_json),
    }


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    thousand = figures["messages"] / 1000

    def each(part: str, aim: str = "") -> list[tuple[str, str, str]]:
        found = figures[part]
        return [
            (
                f"{part}, a thousand messages: HTTP requests / parts",
                f"{found['requests'] / thousand:.0f} / {found['parts'] / thousand:.0f}",
                aim,
            ),
            (
                f"{part}, a thousand messages: bytes received",
                f"{found['bytes'] / thousand / 1e6:.2f} MB",
                "",
            ),
        ]

    idle, listing = figures["idle"], figures["idle_with_listing"]
    lost = [
        (
            f"{name} against the original: " + ", ".join(figures[f"{name}_against_original"]),
            " / ".join(str(one) for one in figures[f"{name}_against_original"].values()),
            "",
        )
        for name in ("mime", "json")
    ]
    return [
        *each("backfill"),
        *each("sync"),
        *each("json"),
        *each("baseline"),
        (
            f"idle poll of {figures['folders']} folders: HTTP requests / parts",
            f"{idle['requests']} / {idle['parts']}",
            f"≤ 1 / {figures['folders']}",
        ),
        ("idle poll: bytes received + sent", f"{idle['bytes']} + {idle['bytes_sent']}", ""),
        (
            "the first in a quarter of an hour, which lists folders: HTTP requests / parts",
            f"{listing['requests']} / {listing['parts']}",
            "",
        ),
        ("the same: bytes received", f"{listing['bytes']}", ""),
        *lost,
    ]


@contextmanager
def _filled(messages: int, directory: Path) -> Iterator[OutlookWorld]:
    with at_microsoft(ensure_certificates(directory)) as world:
        mailbox = world.theirs.mailbox
        mailbox.create_folder("Projects")
        mailbox.deliver_all(
            Delivery(made.raw, (_PLACES[made.folder],), made.received_at, "\\Seen" in made.flags)
            for made in generate(messages)
        )
        yield world


def _counts(session: OutlookSession) -> dict[str, int]:
    return {
        "requests": session.requests,
        "parts": session.parts,
        "bytes": session.bytes_received,
        "bytes_sent": session.bytes_sent,
    }


def _sum(*counted: Mapping[str, int]) -> dict[str, int]:
    return {name: sum(one[name] for one in counted) for name in counted[0]}


def _baseline(
    world: OutlookWorld, folders: list[Folder]
) -> tuple[dict[FolderId, Cursor | None], dict[str, int]]:
    with world.session() as session:
        positions: dict[FolderId, Cursor | None] = {
            one.id: session.baseline(one, now=_QUIET_MINUTE) for one in folders
        }
        return positions, _counts(session)


def _backfill(
    world: OutlookWorld, folders: list[Folder], positions: Mapping[FolderId, Cursor | None]
) -> tuple[dict[str, int], dict[str, ParsedMessage]]:
    """Import as a backfill does: a plan, then a session for each chunk."""
    since = LAST_DAY - timedelta(days=DAYS + 1)
    chunks = []
    with world.session() as session:
        for one in folders:
            names = session.list_window(one, since=since, upto=positions[one.id])
            chunks += [
                (one, names[start : start + CHUNK_SIZE])
                for start in range(0, len(names), CHUNK_SIZE)
            ]
        counted = [_counts(session)]
    parsed: dict[str, ParsedMessage] = {}
    for folder, names in chunks:
        with world.session() as session:
            for fetched in session.fetch(folder, names):
                if isinstance(fetched, FetchedMessage):
                    parsed[fetched.provider_message_id] = MimeParser().parse(fetched)
            counted.append(_counts(session))
    return _sum(*counted), parsed


def _listed(world: OutlookWorld, folders: list[Folder]) -> dict[str, int]:
    """Import as sync takes in a folder that is new to it."""
    with world.session() as session:
        for folder in folders:
            cursor: Cursor | None = None
            more = True
            while more:
                page = session.changes(
                    folder, cursor, Known(), since=None, limit=CHUNK_SIZE, now=_QUIET_MINUTE
                )
                for _ in session.fetch(folder, page.added):
                    pass
                cursor, more = page.next_cursor, page.more
        return _counts(session)


def _as_json(
    world: OutlookWorld, names: list[str]
) -> tuple[dict[str, int], dict[str, ParsedMessage]]:
    """Ask for the same messages as JSON with what is attached to them."""
    parsed: dict[str, ParsedMessage] = {}
    with world.session() as session:
        graph = session._session.graph
        for start in range(0, len(names), _SEVERAL):
            group = names[start : start + _SEVERAL]
            parts = [
                Part(f"{message_path(one)}?$select={_JSON}&$expand=attachments") for one in group
            ]
            for reply in graph.batch(parts, limit=64 << 20):
                stored = reply.object()
                fetched = apart.message(read_entry(stored), stored, stored["attachments"])
                parsed[fetched.provider_message_id] = MimeParser().parse(fetched)
        return _counts(session), parsed


def _idle(
    world: OutlookWorld,
    folders: list[Folder],
    positions: Mapping[FolderId, Cursor | None],
    *,
    last_look_at: datetime | None,
) -> dict[str, int]:
    followed = {one.id for one in folders}
    with world.session() as session:
        seen = session.look(
            positions,
            lambda one: one.id in followed,
            folders=folders,
            last_look_at=last_look_at,
            now=_QUIET_MINUTE,
        )
        if seen.changed or seen.unavailable or seen.followed != followed:
            raise MeasurementError("the poll was not idle")
        return _counts(session)


def _original(messages: int) -> dict[str | None, ParsedMessage]:
    parser = MimeParser()
    found = {}
    for made in generate(messages):
        whole = FetchedMessage("x", made.received_at, len(made.raw), read_entry({}).flags, made.raw)
        parsed = parser.parse(whole)
        found[parsed.internet_message_id] = parsed
    return found


def _differences(
    original: Mapping[str | None, ParsedMessage], found: Mapping[str, ParsedMessage]
) -> dict[str, int]:
    """Return in how many messages something is not as it was sent."""
    aspects = {
        "subject": lambda one: one.subject,
        "people": lambda one: sorted((p.role, p.address) for p in one.participants),
        "thread": lambda one: (one.in_reply_to, one.references),
        "text": lambda one: one.text.split(),
        "html": lambda one: bool(one.html),
        "files": lambda one: sorted(file.filename for file in one.attachments),
        "fingerprint": lambda one: one.fingerprint_source,
    }
    return {
        name: sum(look(original[one.internet_message_id]) != look(one) for one in found.values())
        for name, look in aspects.items()
    }
