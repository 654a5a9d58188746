"""Decides how what Gmail costs is counted: by the simulator's log, while the adapter imports.

Counts and bytes, no times: HTTP requests, units of quota as the simulator charges them, bytes inside
TLS as they came, compressed where the simulator does so. Beside the import as `raw` the same
messages are asked for as `full` with their attachments; reading both is compared in processor time,
for mail with and without attachments.
"""

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infra.local.certificates import ensure_certificates
from infra.simulators.kit.mailbox import Delivery
from shared.domain.backfill import CHUNK_SIZE
from shared.domain.folders import is_active
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage
from shared.mime.parse import MimeParser
from shared.providers.gmail import batch, labels, message, units
from shared.providers.gmail.api import PART_LIMIT_BYTES, RAW
from shared.providers.gmail.session import GmailSession
from tests.contract.gmail_world import GmailWorld, at_google
from tests.fakes.known import Known
from tests.performance.synthetic_mail import DAYS, FOLDERS, LAST_DAY, Made, generate

Figures = dict[str, Any]
_LABELS = {"INBOX": "INBOX", "Sent": "SENT", "Archive": "Archive", "Projects": "Projects"}
_NOW = datetime(2026, 11, 21, tzinfo=UTC)
_SINCE = LAST_DAY - timedelta(days=DAYS + 1)
_NEWS = 200
"""Messages that arrive between two polls, as a share of what one run takes in."""
_MORE = 1.01
"""What an import may cost beyond one `messages.get` a message and the listing."""


class MeasurementError(Exception):
    """A figure would be wrong: something other than the whole mailbox was taken in."""


def measure(messages: int) -> Figures:
    """Return what an import and an idle poll of `messages` messages ask for and receive."""
    with TemporaryDirectory() as directory, _filled(messages, Path(directory)) as world:
        names, listed = _planned(world)
        if len(names) != messages:
            raise MeasurementError(f"{len(names)} of {messages}")
        backfill = _backfilled(world, names)
        synced = _synced(world, messages)
        with_files = _names_with_files(world, messages)
        figures = {
            "messages": messages,
            "with_files": len(with_files),
            "listing": listed,
            "backfill": _sum(listed, backfill),
            "sync": synced,
            "news": _news(world),
            "idle": _idle(world),
        }
        texts = [name for name in names if name not in with_files]
        for kind, some in (("texts", texts), ("files", sorted(with_files))):
            figures[f"raw_{kind}"] = _as_raw(world, some)
            figures[f"full_{kind}"] = _as_full(world, some)
    return figures


def rows(figures: Figures) -> list[tuple[str, str, str]]:
    """Return lines of the table: what, figure, aim."""
    messages = figures["messages"]
    most = messages * units.MESSAGES_GET * _MORE + figures["listing"]["units"]
    aims = {"backfill": f"≤ {most / messages * 1000:,.0f} units"}
    idle = figures["idle"]
    described = [
        _row(f"{part}, a thousand messages", figures[part], messages, aims.get(part, ""))
        for part in ("listing", "backfill", "sync")
    ]
    described.append(_row(f"{_NEWS} new messages between two polls", figures["news"], 1000, ""))
    described.append(
        (
            "idle poll: HTTP requests / units / bytes received + sent",
            f"{idle['requests']} / {idle['units']} / {idle['bytes']} + {idle['bytes_sent']}",
            "1 / 2",
        )
    )
    for kind, count in (
        ("texts", messages - figures["with_files"]),
        ("files", figures["with_files"]),
    ):
        for form in ("raw", "full"):
            one = figures[f"{form}_{kind}"]
            described.append(_row(f"{form}, a thousand messages of {kind}", one, count, ""))
        raw, full = figures[f"raw_{kind}"], figures[f"full_{kind}"]
        described.append(
            (
                f"{kind}: processor time to read raw and parse it, against reading full",
                f"{raw['processor'] / full['processor']:.2f} ×",
                "",
            )
        )
    return described


def _row(what: str, counted: Mapping[str, float], messages: int, aim: str) -> tuple[str, str, str]:
    each = {name: value / messages * 1000 for name, value in counted.items()}
    return (
        f"{what}: HTTP requests / units / received",
        f"{each['requests']:.0f} / {each['units']:,.0f} / {each['bytes'] / 1e6:.2f} MB",
        aim,
    )


@contextmanager
def _filled(messages: int, directory: Path) -> Iterator[GmailWorld]:
    with at_google(ensure_certificates(directory)) as world:
        # What is counted is not how long a quota of 300 messages a minute makes it.
        world.simulator.limits.user_units = 10**9
        mailbox = world.theirs.mailbox
        for name in set(FOLDERS) - {"INBOX", "Sent"}:
            mailbox.create_folder(name)
        mailbox.deliver_all(map(_delivery, generate(messages)))
        world.simulator.log.clear()
        yield world


def _delivery(made: Made) -> Delivery:
    return Delivery(made.raw, (_LABELS[made.folder],), made.received_at, "\\Seen" in made.flags)


class _Counted:
    """What one or more sessions cost, by the simulator's log and by the session's own count."""

    def __init__(self, world: GmailWorld) -> None:
        self._world = world
        self._totals: list[dict[str, int]] = []

    @contextmanager
    def session(self) -> Iterator[GmailSession]:
        self._world.simulator.log.clear()
        with self._world.session() as session:
            yield session
            said = self._world.simulator.log.as_json()["totals"]
            if (said["requests"], said["cost"]) != (session.requests, session.units):
                raise MeasurementError(f"{said} against {session.requests}, {session.units}")
            meter = session._api._requests
            self._totals.append(
                {
                    "requests": session.requests,
                    "units": session.units,
                    "bytes": session.bytes_received,
                    "bytes_sent": meter.bytes_out,
                }
            )

    def sum(self) -> dict[str, int]:
        return _sum(*self._totals)


def _sum(*counted: Mapping[str, int]) -> dict[str, int]:
    return {name: sum(one[name] for one in counted) for name in counted[0]}


def _planned(world: GmailWorld) -> tuple[tuple[ProviderMessageId, ...], dict[str, int]]:
    """List as the planner of a backfill does."""
    counted = _Counted(world)
    with counted.session() as session:
        session.look({}, lambda one: is_active(one, None), now=_NOW)
        position = session.baseline(labels.ALL, now=_NOW)
        names = session.list_window(labels.ALL, since=_SINCE, upto=position)
    return names, counted.sum()


def _backfilled(world: GmailWorld, names: Sequence[ProviderMessageId]) -> dict[str, int]:
    """Fetch as the chunks of a backfill do, a session for each."""
    counted = _Counted(world)
    for at in range(0, len(names), CHUNK_SIZE):
        chunk = names[at : at + CHUNK_SIZE]
        with counted.session() as session:
            came = {
                one.provider_message_id
                for one in session.fetch(labels.ALL, chunk)
                if isinstance(one, FetchedMessage)
            }
        if came != set(chunk):
            raise MeasurementError(f"{len(came)} of {len(chunk)}")
    return counted.sum()


def _synced(world: GmailWorld, messages: int) -> dict[str, int]:
    """Import as sync takes in a mailbox that is new to it, or whose history is gone."""
    counted, came = _Counted(world), 0
    with counted.session() as session:
        session.look({}, lambda one: is_active(one, None), now=_NOW)
        cursor, more = None, True
        while more:
            page = session.changes(
                labels.ALL, cursor, Known(), since=_SINCE, limit=CHUNK_SIZE, now=_NOW
            )
            came += sum(1 for _ in session.fetch(labels.ALL, page.added))
            cursor, more = page.next_cursor, page.more
    if came != messages:
        raise MeasurementError(f"{came} of {messages}")
    return counted.sum()


def _news(world: GmailWorld) -> dict[str, int]:
    """Take in what arrived since the last poll."""
    position, folders = _at_rest(world)
    made = [one for one, _ in zip(generate(_NEWS), range(_NEWS), strict=True)]
    world.theirs.mailbox.deliver_all(map(_delivery, made))
    counted, came = _Counted(world), 0
    with counted.session() as session:
        session.look(
            {labels.ALL.id: position},
            lambda one: is_active(one, None),
            folders=folders,
            last_look_at=_NOW,
            now=_NOW,
        )
        page = session.changes(
            labels.ALL, position, Known(), since=_SINCE, limit=CHUNK_SIZE, now=_NOW
        )
        came = sum(1 for _ in session.fetch(labels.ALL, page.added))
    if came != _NEWS:
        raise MeasurementError(f"{came} of {_NEWS}")
    return counted.sum()


def _idle(world: GmailWorld) -> dict[str, int]:
    position, folders = _at_rest(world)
    counted = _Counted(world)
    with counted.session() as session:
        look = session.look(
            {labels.ALL.id: position},
            lambda one: is_active(one, None),
            folders=folders,
            last_look_at=_NOW,
            now=_NOW,
        )
    if look.changed:
        raise MeasurementError("the poll was not idle")
    return counted.sum()


def _at_rest(world: GmailWorld) -> tuple[Any, Any]:
    with world.session() as session:
        look = session.look({}, lambda one: is_active(one, None), now=_NOW)
        return session.baseline(labels.ALL, now=_NOW), look.folders


def _names_with_files(world: GmailWorld, messages: int) -> set[ProviderMessageId]:
    """Return the ids of the mail with attachments, found by its Message-ID."""
    parser, found = MimeParser(), set()
    for made in generate(messages):
        whole = FetchedMessage("x", made.received_at, 0, labels.flags_of([], 0), made.raw)
        parsed = parser.parse(whole)
        if parsed.attachments:
            found.add((parsed.internet_message_id or "").strip("<>"))
    held = world.theirs.mailbox.messages()
    return {
        ProviderMessageId(one.id) for one in held if one.internet_message_id.strip("<>") in found
    }


# ---- raw against full ----


def _as_raw(world: GmailWorld, names: Sequence[ProviderMessageId]) -> dict[str, float]:
    counted, processor = _Counted(world), 0.0
    with counted.session() as session:
        for group in _fifties(names):
            with session._api.get_together(group, RAW) as parts:
                bodies = [bytes(part.body) for part in parts]
            began = time.thread_time()
            for body in bodies:
                MimeParser().parse(message.read(body))
            processor += time.thread_time() - began
    return {**counted.sum(), "processor": processor}


def _as_full(world: GmailWorld, names: Sequence[ProviderMessageId]) -> dict[str, float]:
    """Ask for the same messages as Gmail parsed them, and then for each of their attachments.

    Only JSON and base64 are read; making a message of ours out of the tree would come on top.
    """
    counted, processor = _Counted(world), 0.0
    with counted.session() as session:
        for group in _fifties(names):
            bodies = _get_together(session, [f"messages/{name}" for name in group])
            began = time.thread_time()
            trees = [json.loads(body) for body in bodies]
            wanted = [
                f"messages/{tree['id']}/attachments/{part['body']['attachmentId']}"
                for tree in trees
                for part in _leaves(tree["payload"])
                if _decoded(part["body"]) is None
            ]
            processor += time.thread_time() - began
            for some in _fifties(wanted):
                files = _get_together(session, some)
                began = time.thread_time()
                for file in files:
                    _decoded(json.loads(file))
                processor += time.thread_time() - began
    return {**counted.sum(), "processor": processor}


def _get_together(session: GmailSession, paths: Sequence[str]) -> list[bytes]:
    api = session._api
    api.units += units.MESSAGES_GET * len(paths)
    content_type, body = batch.request(
        [batch.Call("GET", f"/gmail/v1/users/me/{path}") for path in paths]
    )
    url = f"{api._base}/batch/gmail/v1"
    limit = PART_LIMIT_BYTES * batch.MOST_PARTS
    with api._stream("POST", url, {"content-type": content_type}, body, limit=limit) as streamed:
        found = list(batch.parts(streamed, paths, limit=PART_LIMIT_BYTES, room=api.room))
    if [one.status for one in found] != [200] * len(paths):
        raise MeasurementError("a part failed")
    return [bytes(one.body) for one in found]


def _leaves(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    inner = part.get("parts", [])
    if not inner:
        yield part
    for one in inner:
        yield from _leaves(one)


def _decoded(body: Mapping[str, Any]) -> bytes | None:
    if "attachmentId" in body:
        return None
    return base64.urlsafe_b64decode(body.get("data", ""))


def _fifties(several: Iterable[str]) -> Iterator[list[Any]]:
    listed = list(several)
    for at in range(0, len(listed), batch.MOST_PARTS):
        yield listed[at : at + batch.MOST_PARTS]
