"""How listed messages become stored ones, and what is noted of those that do not.

Content first, the copy last: a copy that exists has everything it points to. Each id ends in the
ledger with its fate. A message that kills its reader is not tried for ever: after a run that died,
ids are noted one by one before they are parsed, and one that killed its reader again is given up as
unreadable. What is given up has its dead letter before the ledger knows of it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.contents import MOST_LOOKED_AT
from shared.domain.direction import direction_of
from shared.domain.errors import (
    ErrorCode,
    MailroomError,
    RetryLaterError,
    StoreThrottledError,
    UnreadableMessageError,
)
from shared.domain.folders import Folder, is_wanted
from shared.domain.identity import thread_and_message_id
from shared.domain.ids import Address, FolderId, ProviderMessageId
from shared.domain.lease import Fence
from shared.domain.ledger import BEFORE_HISTORY, FOLDER_NOT_ACTIVE, NO_CONTACT, Fate, Ledger
from shared.domain.mailbox import Direction, Mailbox, StoredMail, own_addresses
from shared.domain.message import (
    Body,
    Copy,
    FetchedMessage,
    Message,
    MissingMessage,
    News,
    ParsedAttachment,
    ParsedMessage,
    StoredAttachment,
    copy_ref,
)
from shared.domain.sent_at import sent_or_received_at
from shared.domain.taking_part import others_in
from shared.domain.threads import provider_thread_of
from shared.operations.gate import Gate
from shared.operations.headers_first import HeadersFirst
from shared.operations.keep_attachments import keep_attachment, slices_of
from shared.operations.meet_senders import Incoming, Senders
from shared.operations.note_dead_letters import DeadLetters
from shared.operations.own_tests import OwnTests
from shared.operations.time_left import MARGIN_SECONDS, our_time_is_up
from shared.ports.contacts import ContactStore
from shared.ports.parser import MessageParser
from shared.ports.provider import MessageSource
from shared.ports.stores import AttachmentStore, MessageStore, NewCopy

BATCH_MESSAGES = 50
BATCH_BYTES = 4 * 1024 * 1024
"""Of bodies held before they are stored, counted as one a character."""
STRIKES = 2
"""So often a message may kill its careful reader before it is given up."""
FAILING_ALONE = frozenset(
    {
        ErrorCode.PROVIDER_UNAVAILABLE,
        ErrorCode.ANSWER_NOT_UNDERSTOOD,
        ErrorCode.CONNECTION_DROPPED,
    }
)
"""How a provider's failure on a few messages looks where nothing else is left to ask for."""
FEW = 3
"""More that fail alike are the provider's trouble."""

MarkSuspect = Callable[[ProviderMessageId | None], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """Stores messages of one mailbox during one run."""

    mailbox: Mailbox
    fence: Fence
    session: MessageSource
    parser: MessageParser
    messages: MessageStore
    attachments: AttachmentStore
    ledger: Ledger
    remaining_seconds: Callable[[], float]
    folders: Mapping[FolderId, Folder]
    """All of the mailbox's, as last listed."""
    since: datetime | None
    """The date floor; None for none."""
    dead_letters: DeadLetters
    gate: Gate
    contacts: ContactStore
    tests: OwnTests | None = None
    """Set where a test message may come back."""
    senders: Senders | None = None
    """Set where those nobody knows are to become contacts."""
    kept: Callable[[ProviderMessageId], FetchedMessage | None] | None = None
    """Set where what is gone from the provider may still be had from us: it is in no folder."""
    removed_at: datetime | None = None
    """Set where what was in an active folder once is stored: as removed, if it no longer is."""
    gives_up: bool = False
    """What fails alone has been tried often enough: it is settled as unreadable."""
    news_from: datetime | None = None
    """Of what is stored, that which was received after it is told as new; None: nothing is."""
    mark_suspect: MarkSuspect | None = None
    """Set after a run that died: note every id before it is parsed."""
    _pending: list[NewCopy] = field(default_factory=list)
    _removed: set[ProviderMessageId] = field(default_factory=set)
    """Stored, and removed there: our copies of messages that nobody has to read again."""
    _failing: list[ProviderMessageId] = field(default_factory=list)
    _matched: dict[ProviderMessageId, frozenset[Address]] = field(default_factory=dict)
    """Whose header named a contact, where only such mail is stored."""

    def take_in(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> bool:
        """Fetch and store `ids`, settling each in the ledger.

        Return whether all were reached in time. Those that were not leave the ledger: no cursor
        passes them, so a later run lists them again.

        Raises what the session and the stores raise, `RetryLaterError(MESSAGE_UNAVAILABLE)` for
        what the provider fails on alone, and `RetryLaterError(INTERNAL)` when the session left an
        id out; what was stored before stays and is recognised next time.
        """
        self.ledger.add(ids)
        self._failing.clear()
        try:
            finished = self._take_all(folder, ids)
            if self._failing:
                cause = f"{len(self._failing)} of {len(ids)}"
                raise RetryLaterError(ErrorCode.MESSAGE_UNAVAILABLE, cause=cause)
            if finished and not self.ledger.counts().balances:
                cause = f"nothing was heard of {len(self.ledger.unsettled)} of {len(ids)} ids"
                raise RetryLaterError(ErrorCode.INTERNAL, cause=cause)
            return finished
        finally:
            for left in self.ledger.unsettled:
                self.ledger.forget(left)

    def _take_all(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> bool:
        copies = self.messages.copies_by_id(self.mailbox.tenant_id, self.mailbox.id, ids)
        stored = {name for name, copy in copies.items() if copy.removed_at is None}
        self._removed.update(copies.keys() - stored)
        for known in stored:
            self.ledger.settle(known, Fate.ALREADY_STORED)
        wanted = [wanted for wanted in ids if wanted not in stored]
        if self.mark_suspect is None:
            return self._take(folder, wanted)
        return all(self._take_carefully(folder, one, self.mark_suspect) for one in wanted)

    def _take_carefully(
        self, folder: Folder, one: ProviderMessageId, mark_suspect: MarkSuspect
    ) -> bool:
        if mark_suspect(one) >= STRIKES:
            self._give_up(folder, one, ErrorCode.KILLED_ITS_READER)
            return True
        try:
            return self._take(folder, [one])
        except MailroomError as error:
            if not our_time_is_up(error, self.remaining_seconds()):
                # Its reader lives, and what our store or the provider refuses is no fault of its.
                with suppress(MailroomError):
                    mark_suspect(None)
            raise

    def _take(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> bool:
        try:
            return self._take_each(folder, ids)
        except RetryLaterError as error:
            # What came before it is not asked for again.
            self._flush()
            left = [one for one in ids if one in self.ledger.unsettled and one not in self._failing]
            if len(left) > FEW or error.code not in FAILING_ALONE:
                raise
            # Their folder was just listed: the provider is well, and fails on these.
            for name in left:
                self._settle_missing(folder, MissingMessage(name, "failing"))
            return True

    def _take_each(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> bool:
        groups = self._headers_first(folder).wanted(folder, ids)
        return all(group is not None and self._fetch(folder, group) for group in groups)

    def _fetch(self, folder: Folder, ids: Sequence[ProviderMessageId]) -> bool:
        held = 0
        for fetched in self.session.fetch(folder, ids) if ids else ():
            self.ledger.asked += 1
            if isinstance(fetched, MissingMessage):
                self._settle_missing(folder, fetched)
            elif reason := self._unwanted(folder, fetched):
                self.ledger.settle(fetched.provider_message_id, Fate.SKIPPED, reason)
            else:
                held += self._read_unless_failing(folder, fetched)
            if len(self._pending) >= BATCH_MESSAGES or held >= BATCH_BYTES:
                self._flush()
                held = 0
            if self.remaining_seconds() < MARGIN_SECONDS:
                self._flush()
                return False
        self._flush()
        return True

    def _headers_first(self, folder: Folder) -> HeadersFirst:
        return HeadersFirst(
            mailbox=self.mailbox,
            session=self.session,
            parser=self.parser,
            contacts=self.contacts,
            policy=self.gate.policy,
            ledger=self.ledger,
            matched=self._matched,
            why_unread=lambda fetched: self._unwanted(folder, fetched),
            why_not=lambda fetched, parsed: self.gate.why_kept_out(
                parsed, self._direction(folder, fetched, parsed), fetched.received_at
            ),
            meet=lambda judged: self._meet(
                [self._incoming(folder, fetched, parsed) for fetched, parsed in judged]
            ),
            settle_missing=self._settle_missing,
            has_time=lambda: self.remaining_seconds() >= MARGIN_SECONDS,
        )

    def _read_unless_failing(self, folder: Folder, fetched: FetchedMessage) -> int:
        """Read a message; one whose attachment the provider fails on holds up no other."""
        try:
            return self._read(folder, fetched)
        except RetryLaterError as error:
            if error.code not in FAILING_ALONE or isinstance(error, StoreThrottledError):
                raise
            self._settle_missing(folder, MissingMessage(fetched.provider_message_id, "failing"))
            return 0

    def _unwanted(self, folder: Folder, fetched: FetchedMessage) -> str | None:
        """Return why a message is not ours to keep, or None."""
        if self.tests and (reason := self.tests.why_not(folder, self.folders, fetched)):
            return reason
        if self.since is not None and fetched.received_at < self.since:
            return BEFORE_HISTORY
        if self.removed_at is not None or self._is_in_active_folder(fetched):
            return None
        return FOLDER_NOT_ACTIVE

    def _is_in_active_folder(self, fetched: FetchedMessage) -> bool:
        places = fetched.folder_ids
        # Where the provider does not say, it is in the folder it was asked from.
        return places is None or is_wanted(places, self.folders, self.mailbox.active_folders)

    def _settle_missing(self, folder: Folder, missing: MissingMessage) -> None:
        name = missing.provider_message_id
        if missing.reason == "failing" and not self.gives_up:
            self._failing.append(name)
        elif missing.reason in {"unreadable", "failing"}:
            self._give_up(folder, name, ErrorCode.NOT_HANDED_OVER)
        elif self.kept is not None and (kept := self.kept(name)) is not None:
            self._read(folder, kept)
        elif self.kept is not None and name in self._removed:
            # Read by somebody who died after that: what was kept of it went first.
            self.ledger.settle(name, Fate.ALREADY_STORED)
        else:
            self.ledger.settle(name, Fate.GONE)

    def _give_up(
        self,
        folder: Folder,
        name: ProviderMessageId,
        code: ErrorCode,
        fetched: FetchedMessage | None = None,
    ) -> None:
        keeps_raw = self.mailbox.store is StoredMail.ALL or name in self._matched
        self.dead_letters.give_up(folder, name, code, fetched, keeps_raw=keeps_raw)
        self.ledger.settle(name, Fate.UNREADABLE, code)

    def _read(self, folder: Folder, fetched: FetchedMessage) -> int:
        """Add what is to be stored of a message; return how many characters of it are held."""
        try:
            parsed = self.parser.parse(fetched)
        except UnreadableMessageError as error:
            self._give_up(folder, fetched.provider_message_id, error.code, fetched)
            return 0
        direction = self._direction(folder, fetched, parsed)
        # Before anything of it is kept, its attachments included.
        reason = self.gate.why_kept_out(parsed, direction, fetched.received_at)
        if reason is None and self._headers_first(folder).is_of_nobody(fetched, parsed):
            reason = NO_CONTACT
        if reason is not None:
            self.ledger.settle(fetched.provider_message_id, Fate.SKIPPED, reason)
            return 0
        kept = tuple(
            self._keep_attachment(
                folder, fetched.provider_message_id, attachment, look=number < MOST_LOOKED_AT
            )
            for number, attachment in enumerate(parsed.attachments)
        )
        self._pending.append(self._new_copy(folder, fetched, parsed, kept, direction))
        # However it was fetched: attachments are stored already and the bytes are let go.
        return len(parsed.text) + len(parsed.html or "")

    def _flush(self) -> None:
        if not self._pending:
            return
        self._require_time()
        # First: what is stored is not listed again, and its sender would stay unknown.
        self._meet([Incoming.of(one) for one in self._pending])
        new = self.messages.save(self.fence, self._pending)
        for saved in self._pending:
            name = saved.copy.provider_message_id
            fate = Fate.STORED if name in new else Fate.ALREADY_STORED
            self.ledger.settle(name, fate, received_at=saved.copy.received_at)
        self._pending.clear()

    def _meet(self, new: Sequence[Incoming]) -> None:
        if self.senders is not None:
            self.senders.meet(new, self.folders, self.gate.policy(), self.ledger)

    def _incoming(self, folder: Folder, fetched: FetchedMessage, parsed: ParsedMessage) -> Incoming:
        return Incoming(
            parsed,
            self._direction(folder, fetched, parsed),
            fetched.flags,
            _places(folder, fetched),
            is_removed=not self._is_in_active_folder(fetched),
        )

    def _keep_attachment(
        self,
        folder: Folder,
        name: ProviderMessageId,
        attachment: ParsedAttachment,
        *,
        look: bool,
    ) -> StoredAttachment:
        self._require_time()
        return keep_attachment(
            self.mailbox.tenant_id,
            attachment,
            slices_of(attachment, self.session, folder, name),
            holder=copy_ref(self.mailbox.id, name),
            store=self.attachments,
            parser=self.parser if look else None,
        )

    def _require_time(self) -> None:
        """Write nothing past the function's own end: who erases counts on it."""
        if self.remaining_seconds() <= 0:
            # Frozen past it: the chunk may be another's, what was fetched be old.
            raise RetryLaterError(ErrorCode.CONNECTION_TIMED_OUT, cause="woken after its time")

    def _new_copy(
        self,
        folder: Folder,
        fetched: FetchedMessage,
        parsed: ParsedMessage,
        attachments: tuple[StoredAttachment, ...],
        direction: Direction,
    ) -> NewCopy:
        mailbox = self.mailbox
        thread_id, message_id = thread_and_message_id(mailbox.tenant_id, parsed, attachments)
        message = Message(
            id=message_id,
            thread_id=thread_id,
            internet_message_id=parsed.internet_message_id,
            in_reply_to=parsed.in_reply_to,
            references=parsed.references,
            subject=parsed.subject,
            direction=direction,
            sent_at=sent_or_received_at(parsed.sent_at, fetched.received_at),
            received_at=fetched.received_at,
            participants=parsed.participants,
            snippet=parsed.snippet,
            attachments=attachments,
            headers=parsed.headers,
            defects=parsed.defects,
            truncated=parsed.truncated,
            copies=frozenset({copy_ref(mailbox.id, fetched.provider_message_id)}),
        )
        copy = Copy(
            mailbox_id=mailbox.id,
            folder_ids=_places(folder, fetched),
            provider_message_id=fetched.provider_message_id,
            message_id=message_id,
            received_at=fetched.received_at,
            flags=fetched.flags,
            blind=parsed.blind(),
            direction=direction,
            removed_at=None if self._is_in_active_folder(fetched) else self.removed_at,
            news=News.NEW if self.news_from and fetched.received_at > self.news_from else None,
        )
        index_addresses = others_in(parsed.participants, mailbox)
        theirs = provider_thread_of(mailbox.provider, fetched, parsed)
        return NewCopy(message, Body(parsed.text, parsed.html), copy, index_addresses, theirs)

    def _direction(
        self, folder: Folder, fetched: FetchedMessage, parsed: ParsedMessage
    ) -> Direction:
        roles = {self.folders[one].role for one in _places(folder, fetched) if one in self.folders}
        return direction_of(parsed.participants, own_addresses(self.mailbox), roles)


def _places(folder: Folder, fetched: FetchedMessage) -> frozenset[FolderId]:
    return fetched.folder_ids or frozenset({folder.id})
