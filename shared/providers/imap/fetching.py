"""Decides how messages are read: small ones whole, of large ones the text, the rest left there.

Of one that is only to be judged, the fields that tell enough, many messages to a command.
Commands go ahead of their need: while the messages of one batch are handed over, the next batch is
already on its way. What comes back is matched by UID and by nothing else, because servers reorder,
leave out and add. No more than a batch of bodies is held at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, FetchedPart, MissingMessage
from shared.providers.header_fields import FIELDS
from shared.providers.imap import errors, grammar, structure
from shared.providers.imap.listing import read_flags
from shared.providers.imap.session import OpenFolders, read_fetch, uid_of
from shared.providers.imap.wire import LARGEST_ANSWER, Pending

UIDS_PER_FETCH = 200
"""Some servers hang up on longer sets."""
WHOLE_BYTES = 64 << 10
"""Messages up to this size are fetched whole: their attachments cost less than another command."""
BATCH_BYTES = 4 << 20
"""Bytes of bodies asked for at once; as many again may be on their way."""
SALVAGE_BYTES = 1 << 20
"""A message whose structure cannot be read is fetched whole up to this size."""
HEADER_BYTES = 256 << 10
HEADERS_PER_FETCH = 60
FIRST_HEADER_BYTES = 64 << 10
"""Of a header's fields; those of a message with more are asked for again, alone and in full."""
_OBJECT_BYTES = 20
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ITEMS = b"UID FLAGS INTERNALDATE RFC822.SIZE%s"
HEADER_FIELDS = b"BODY[HEADER.FIELDS]"
"""What we call the answer to a choice of fields, which servers spell as they like."""


@dataclass(slots=True)
class _Wanted:
    """A message on its way: what is known of it so far."""

    name: ProviderMessageId
    uid: int
    items: dict[bytes, grammar.Value] = field(default_factory=dict)
    plan: structure.Plan | None = None
    is_told: bool = False
    """The server told something of it, be it nothing that can be read."""
    is_expunged: bool = False
    """The server refused because something it was asked for with is no longer there."""
    is_refused: bool = False
    """The server refused it, alone or with others."""
    is_last_try: bool = False
    """The server was just seen reading other messages, so a refusal now is this one's own."""
    held_bytes: int = 0
    """What the server sent of it and we still hold."""

    @property
    def size(self) -> int:
        """Bytes of the whole message, as the server says."""
        return grammar.number(self.items.get(b"RFC822.SIZE")) or 0

    @property
    def bytes_to_come(self) -> int:
        """About how many bytes its bodies will bring."""
        if self.plan is None:
            return self.size
        texts = sum(min(leaf.size, structure.LARGEST_TEXT) for leaf in self.plan.texts)
        return texts + HEADER_BYTES // 32

    def make_plan(self) -> None:
        """Decide from the structure what to fetch; without one it is salvaged whole or left."""
        try:
            self.plan = structure.plan(self.items.pop(b"BODYSTRUCTURE", None))
        except ValueError:
            self.plan = None


def fields_item(fields: Sequence[str], limit: int) -> bytes:
    """Return the FETCH item for some fields of a header, up to `limit` bytes of them."""
    return f"BODY.PEEK[HEADER.FIELDS ({' '.join(fields)})]<0.{limit}>".encode()


def fetch(
    open_folders: OpenFolders,
    folder: Folder,
    ids: Sequence[ProviderMessageId],
    *,
    headers_only: bool = False,
) -> Iterator[FetchedMessage | MissingMessage]:
    """Yield each of `ids` once; see `MailSession.fetch` and `MailSession.fetch_headers`."""
    try:
        fetching = _Fetching(open_folders, folder, headers_only=headers_only)
        uidvalidity = open_folders.select(fetching.raw)
    except RetryLaterError as error:
        # A refusal may pass by itself and proves nothing; what the server no longer lists is gone.
        if error.code is not ErrorCode.FOLDER_UNAVAILABLE or open_folders.lists(folder):
            raise
        yield from (MissingMessage(name, "gone") for name in dict.fromkeys(ids))
        return
    wanted: dict[int, _Wanted] = {}
    for name in dict.fromkeys(ids):
        uid = uid_of(name, uidvalidity)
        if uid is None:
            yield MissingMessage(name, "gone")
        else:
            wanted[uid] = _Wanted(name, uid)
    yield from fetching.all_of(list(wanted.values()))


@dataclass(frozen=True, slots=True)
class _Batch:
    """Messages whose bodies are asked for together: sets of UIDs, each with its items."""

    group: Sequence[_Wanted]
    fetches: Sequence[tuple[bytes, bytes]]


class _Fetching:
    """Reads messages of one folder in batches."""

    def __init__(self, open_folders: OpenFolders, folder: Folder, *, headers_only: bool) -> None:
        self._once = self._headers_once if headers_only else self._whole_once
        self._open_folders = open_folders
        self._wire = open_folders.wire
        self.raw = open_folders.name_of(folder)
        extra = b" MODSEQ" if open_folders.has_modseq else b""
        extra += b" X-GM-THRID" if open_folders.session.can(b"X-GM-EXT-1") else b""
        self._items = _ITEMS % extra
        self._by_uid: dict[int, _Wanted] = {}
        self._held_bytes = 0

    def all_of(self, wanted: Sequence[_Wanted]) -> Iterator[FetchedMessage | MissingMessage]:
        """Yield all of `wanted`; those not delivered are asked for once more, each alone."""
        missed: list[_Wanted] = []
        for one in self._once(wanted):
            if isinstance(one, _Wanted):
                missed.append(one)
            else:
                yield one
        for again in missed:
            yield self._alone(again)

    def _alone(self, one: _Wanted) -> FetchedMessage | MissingMessage:
        """Ask for one message again, so that one the server cannot read takes no others with it."""
        if one.is_refused:
            self._open_folders.require_readable(self.raw)
            one.is_last_try = True
        one.is_refused = one.is_told = one.is_expunged = False
        (outcome,) = self._once([one])
        if isinstance(outcome, FetchedMessage):
            return outcome
        if one.is_refused and not one.is_last_try:
            return self._alone(one)
        is_there = (one.is_told or one.is_refused) and not one.is_expunged
        return MissingMessage(one.name, "unreadable" if is_there else "gone")

    def _whole_once(self, wanted: Sequence[_Wanted]) -> Iterator[FetchedMessage | _Wanted]:
        """Yield each of `wanted` as fetched, or as itself where it was not delivered."""
        self._wire.drain()
        self._by_uid = {one.uid: one for one in wanted}
        starts = range(0, len(wanted), UIDS_PER_FETCH)
        groups = [wanted[start : start + UIDS_PER_FETCH] for start in starts]
        asked = self._send_metadata(groups[0]) if groups else None
        for position, group in enumerate(groups, start=1):
            if asked is not None:
                self._collect(asked, group)
            batches, pending = self._begin_bodies(group)
            asked = self._send_metadata(groups[position]) if position < len(groups) else None
            for one in group:
                if b"RFC822.SIZE" not in one.items:
                    self._forget(one)
                    yield one
            for batch, following in zip(batches, [*batches, None][1:], strict=True):
                if pending is not None:
                    self._collect(pending, batch.group)
                pending = self._send(following.fetches) if following else None
                for one in batch.group:
                    finished = self._finished(one)
                    self._forget(one)
                    yield finished

    def _headers_once(self, wanted: Sequence[_Wanted]) -> Iterator[FetchedMessage | _Wanted]:
        """Yield each of `wanted` by its header, or as itself where it was not delivered."""
        self._wire.drain()
        self._by_uid = {one.uid: one for one in wanted}
        starts = range(0, len(wanted), HEADERS_PER_FETCH)
        groups = [wanted[start : start + HEADERS_PER_FETCH] for start in starts]
        asked = self._send_headers(groups[0], FIRST_HEADER_BYTES) if groups else None
        for group, following in zip(groups, [*groups, None][1:], strict=True):
            if asked is not None:
                self._collect(asked, group)
            asked = self._send_headers(following, FIRST_HEADER_BYTES) if following else None
            for one in group:
                header = one.items.get(HEADER_FIELDS)
                if isinstance(header, bytes) and len(header) >= FIRST_HEADER_BYTES:
                    self._collect(self._send_headers([one], HEADER_BYTES), [one])
                    header = one.items.get(HEADER_FIELDS)
                came = self._message(one, header=header) if isinstance(header, bytes) else one
                self._forget(one)
                yield came

    def _begin_bodies(self, group: Sequence[_Wanted]) -> tuple[list[_Batch], Pending | None]:
        """Divide what is known to be there by size, whole or in parts, and ask for the first."""
        found = [one for one in group if b"RFC822.SIZE" in one.items]
        small = [one for one in found if one.size <= WHOLE_BYTES]
        large = [one for one in found if one.size > WHOLE_BYTES]
        whole = [_Batch(some, [(_uids(some), b"(UID BODY.PEEK[])")]) for some in _by_bytes(small)]
        structures = self._send([(_uids(large), b"(UID BODYSTRUCTURE)")]) if large else None
        # Small bodies are on their way while the structures of large messages are read.
        first = self._send(whole[0].fetches) if whole else None
        if structures is not None:
            self._collect(structures, large)
        for one in large:
            one.make_plan()
        batches = whole + [_Batch(some, _part_fetches(some)) for some in _by_bytes(large)]
        if first is None and batches:
            first = self._send(batches[0].fetches)
        return batches, first

    def _finished(self, one: _Wanted) -> FetchedMessage | _Wanted:
        whole, header = one.items.get(b"BODY[]"), one.items.get(b"BODY[HEADER]")
        if isinstance(whole, bytes):
            return self._message(one, raw=whole)
        plan = one.plan
        if plan is None or not isinstance(header, bytes):
            return one
        parts = tuple(_parts(one, plan))
        if one.is_refused and not one.is_last_try and len(parts) < len(plan.texts):
            return one
        remote = tuple(leaf.as_remote() for leaf in plan.remote)
        return replace(self._message(one, header=header), parts=parts, remote=remote)

    def _message(
        self, one: _Wanted, *, raw: bytes | None = None, header: bytes | None = None
    ) -> FetchedMessage:
        """Return what is known of a message beside its content."""
        thread = one.items.get(b"X-GM-THRID")
        return FetchedMessage(
            provider_message_id=one.name,
            received_at=grammar.internal_date(one.items.get(b"INTERNALDATE")) or _LONG_AGO,
            size=one.size,
            flags=read_flags(one.items),
            raw=raw,
            header=header,
            provider_thread_id=thread.decode("ascii", "replace")
            if isinstance(thread, bytes)
            else None,
        )

    def _send_metadata(self, group: Sequence[_Wanted]) -> Pending:
        return self._send([(_uids(group), b"(" + self._items + b")")])

    def _send_headers(self, group: Sequence[_Wanted], limit: int) -> Pending:
        items = b"(%b %b)" % (self._items, fields_item(FIELDS, limit))
        return self._send([(_uids(group), items)])

    def _send(self, fetches: Sequence[tuple[bytes, bytes]]) -> Pending:
        # The caller may have read from another folder between two batches.
        self._open_folders.select(self.raw)
        commands = [b"UID FETCH " + uids + b" " + items for uids, items in fetches]
        return self._wire.send(commands, on_untagged=self._take)

    def _collect(self, pending: Pending, group: Sequence[_Wanted]) -> None:
        """Wait for the answers to `pending`, which asked for `group`."""
        for answer in self._wire.collect(pending):
            refusal = answer.refusal
            if answer.ok:
                continue
            if refusal.kind != "NO" or errors.is_about_now(refusal):
                raise errors.from_imap_command(refusal)
            for one in group:
                one.is_expunged |= refusal.code == errors.EXPUNGED
                one.is_refused |= refusal.code != errors.EXPUNGED

    def _take(self, response: list[bytes]) -> None:
        """Note what one response says of one message, whichever command it came with."""
        try:
            items = read_fetch(response) or {}
        except grammar.GrammarError:
            # One message's answer cannot be read: it counts as not delivered. Which one's nobody
            # knows, unless it is asked for alone.
            for asked in self._by_uid.values():
                asked.is_told = True
            return
        one = self._by_uid.get(grammar.number(items.get(b"UID")) or 0)
        if one is None:
            return
        one.is_told = True
        one.items.update({item_name(key): items[key] for key in items})
        # Outside literals every byte may become an object of its own.
        size = sum(map(len, response[1::2])) + _OBJECT_BYTES * sum(map(len, response[::2]))
        one.held_bytes += size
        self._held_bytes += size
        if self._held_bytes > LARGEST_ANSWER:
            # Two batches are far less: it sends what nobody asked for.
            raise RetryLaterError(ErrorCode.PROTOCOL_VIOLATION, cause="bodies without end")

    def _forget(self, one: _Wanted) -> None:
        """Let go of what came of a message; what is still to come of it is dropped."""
        self._by_uid.pop(one.uid, None)
        self._held_bytes -= one.held_bytes
        one.held_bytes = 0
        one.items.clear()


def item_name(key: bytes) -> bytes:
    """Return what we call an item of a FETCH response."""
    if key.startswith(b"BODY[HEADER.FIELDS "):
        return HEADER_FIELDS
    return key.partition(b"<")[0]


def _uids(group: Sequence[_Wanted]) -> bytes:
    # A group is small enough for one set.
    return b",".join(grammar.sequence_sets(one.uid for one in group))


def _by_bytes(group: Sequence[_Wanted]) -> Iterator[list[_Wanted]]:
    """Cut `group` so that no piece brings more than a batch's bytes, unless it is one message."""
    piece: list[_Wanted] = []
    held = 0
    for one in group:
        if piece and held + one.bytes_to_come > BATCH_BYTES:
            yield piece
            piece, held = [], 0
        piece.append(one)
        held += one.bytes_to_come
    if piece:
        yield piece


def _part_fetches(group: Sequence[_Wanted]) -> list[tuple[bytes, bytes]]:
    """Return one FETCH for all messages that are built alike."""
    alike: dict[bytes, list[_Wanted]] = {}
    for one in group:
        if one.plan is not None:
            sections = ["HEADER", *(leaf.section for leaf in one.plan.texts)]
            limits = [HEADER_BYTES, *([structure.LARGEST_TEXT] * len(one.plan.texts))]
            pieces = (f"BODY.PEEK[{s}]<0.{n}>" for s, n in zip(sections, limits, strict=True))
            alike.setdefault(f"(UID {' '.join(pieces)})".encode(), []).append(one)
        elif one.size <= SALVAGE_BYTES:
            alike.setdefault(b"(UID BODY.PEEK[])", []).append(one)
    return [(_uids(some), items) for items, some in alike.items()]


def _parts(one: _Wanted, plan: structure.Plan) -> Iterator[FetchedPart]:
    for leaf in plan.texts:
        content = one.items.get(f"BODY[{leaf.section}]".encode().upper())
        is_cut = leaf.size > structure.LARGEST_TEXT
        if isinstance(content, bytes):
            if is_cut:
                # At a line's end base64 and quoted-printable can be decoded.
                content = content[: content.rfind(b"\n") + 1] or content
            yield FetchedPart(
                section=leaf.section,
                content_type=leaf.content_type,
                charset=leaf.charset,
                encoding=leaf.encoding,
                content=content,
                disposition=leaf.disposition,
                filename=leaf.filename,
                content_id=leaf.content_id,
                truncated=is_cut,
            )
