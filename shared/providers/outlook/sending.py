"""Decides how mail leaves through Graph: a draft, then its sending, and what is to be seen of it.

A draft keeps its immutable id when it becomes the mail in Sent Items (learn.microsoft.com/graph/
outlook-immutable-id), so from the draft on it is known under which id sync finds it. Graph says 202
before Exchange's transport has taken the mail, and nobody says how long that may last (learn.
microsoft.com/graph/outlook-things-to-know-about-send-mail); until then it lies there as a draft.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from shared.domain.errors import ErrorCode, MailroomError, OutcomeUnknownError, RetryLaterError
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import FetchedMessage
from shared.ports.sending import Accepted, Outgoing, Sighting
from shared.providers.http import Requests
from shared.providers.outlook import drafts, errors, sending_errors
from shared.providers.outlook.entries import FIELDS, Entry, read_entry
from shared.providers.outlook.graph import NOT_FOUND, AnswerLostError, Graph, Reply
from shared.providers.outlook.paths import message_path
from shared.providers.outlook.session import Item, Session, is_gone

LEAVES_WITHIN = timedelta(minutes=5)
"""What is still a draft so long after it was to be sent never was; see decision 0037."""
_WAITS_SECONDS = (1.0, 2.0, 4.0)
"""Between looks for what was just accepted; it mostly takes one."""
_NO_DRAFT = frozenset({400, NOT_FOUND})
"""How Graph refuses to send what is no draft, or not there."""
_SENT_ITEMS = "/me/mailFolders/sentitems?$select=id"
_DRAFTS = "/me/mailFolders/drafts?$select=id"
_PROPERTIES = f"$select={FIELDS},internetMessageId"


@dataclass(frozen=True, slots=True)
class _Copy:
    """The mail as the mailbox holds it, sent or a draft."""

    entry: Entry
    named: str
    """Its Message-ID."""


class OutlookSendSession:
    """A `SendSession` over Graph."""

    def __init__(self, graph: Graph, requests: Requests) -> None:
        self._graph = graph
        self._requests = requests
        self._session = Session(graph)
        self._sent_items: FolderId | None = None
        self._clock: datetime | None = None

    @errors.where_there_is_no_cursor()
    def prepare(self, mail: Outgoing, draft: str | None) -> str | None:
        """See `SendSession.prepare`; the id of a draft is the one the sent mail will have."""
        if draft is not None and self._copy(ProviderMessageId(draft)) is not None:
            return draft
        for left in self._named_drafts(mail):
            # Of one that is put together some files may be missing.
            if drafts.is_whole(mail):
                return left.entry.id
            self.discard(left.entry.id)
        return drafts.create(self._graph, mail)

    def _named_drafts(self, mail: Outgoing) -> list[_Copy]:
        return [one for one in self._copies_named(mail) if one.entry.flags.draft]

    @errors.where_there_is_no_cursor()
    def send(self, mail: Outgoing, draft: str | None) -> Accepted:
        """See `SendSession.send`. All recipients or none: who is wrong gets a report later."""
        if draft is None:
            raise ValueError("nothing was prepared")
        name = ProviderMessageId(draft)
        try:
            reply = self._graph.write("POST", f"{message_path(name)}/send")
        except AnswerLostError as error:
            raise OutcomeUnknownError(cause=error.cause) from error
        if reply.done:
            return Accepted(provider_message_id=name)
        if not sending_errors.is_settled(reply):
            raise OutcomeUnknownError(cause=sending_errors.failure(reply).cause)
        return self._not_taken(mail, name, reply)

    def _not_taken(self, mail: Outgoing, name: ProviderMessageId, reply: Reply) -> Accepted:
        """Return what is sent already, by its owner from among the drafts, or raise the refusal."""
        refusal = _refusal(reply)
        if reply.status not in _NO_DRAFT:
            raise refusal
        try:
            seen = self._copies(mail, name)
        except MailroomError:
            raise refusal from None
        sent = self._best_of(seen)
        if sent is None:
            raise refusal
        return _accepted(mail, sent)

    @errors.where_there_is_no_cursor()
    def look_up(self, mail: Outgoing, draft: str | None) -> tuple[Sighting, Accepted | None]:
        """See `SendSession.look_up`."""
        seen = self._copies(mail, None if draft is None else ProviderMessageId(draft))
        sent = self._best_of(seen)
        if sent is not None:
            return Sighting.SENT, _accepted(mail, sent)
        # One that was not put together in the end was never to be sent.
        left = [one for one in seen if draft in (None, one.entry.id)]
        if left and self._had_time(mail) and self._lie_in_drafts(left):
            return Sighting.NOT_SENT, None
        return Sighting.UNSEEN, None

    def _had_time(self, mail: Outgoing) -> bool:
        if mail.handed_over_at is None or self._clock is None:
            return False
        return self._clock - mail.handed_over_at >= LEAVES_WITHIN

    def _lie_in_drafts(self, left: list[_Copy]) -> bool:
        """Whether they wait for nobody; in the outbox they would for the transport."""
        here = self._folder(_DRAFTS)
        return all(one.entry.folder_id == here for one in left)

    @errors.where_there_is_no_cursor()
    def file(self, mail: Outgoing, accepted: Accepted) -> FetchedMessage | None:
        """See `SendSession.file`: as it was composed, under the id and in the place Graph tells.

        Those who got it got those bytes, more or less; what Exchange writes of its own copy has
        another date at least, and would be another message beside theirs. None where it has not
        left within seconds, or its owner has moved it.
        """
        waits = iter(_WAITS_SECONDS)
        while True:
            sent = self._best_of(self._copies(mail, accepted.provider_message_id))
            if sent is not None:
                return self._filed(mail, sent)
            seconds = next(waits, None)
            if seconds is None or seconds >= self._requests.seconds_left:
                return None
            self._requests.wait(seconds)

    def _filed(self, mail: Outgoing, sent: _Copy) -> FetchedMessage | None:
        entry, here = sent.entry, self.sent_folder()
        if here is None or entry.folder_id != here:
            return None
        ours = mail.internet_message_id
        raw = mail.blind_copy.replace(ours.encode(), (sent.named or ours).encode(), 1)
        return FetchedMessage(
            provider_message_id=entry.id,
            received_at=entry.received_at,
            size=len(raw),
            flags=entry.flags,
            raw=raw,
            provider_thread_id=entry.thread,
            folder_ids=frozenset({here}),
        )

    @errors.where_there_is_no_cursor()
    def sent_folder(self) -> FolderId | None:
        """See `SendSession.sent_folder`."""
        if self._sent_items is None:
            self._sent_items = self._folder(_SENT_ITEMS)
        return self._sent_items

    def _folder(self, url: str) -> FolderId:
        found = self._graph.get(url).object().get("id")
        if not isinstance(found, str) or not found:
            raise errors.unusable("a folder without an id")
        return FolderId(found)

    @errors.where_there_is_no_cursor()
    def discard(self, draft: str) -> None:
        """See `SendSession.discard`; it goes to Deleted Items, where it is no mail either."""
        there = self._copy(ProviderMessageId(draft))
        if there is None or not there.entry.flags.draft:
            return
        reply = self._graph.write("DELETE", message_path(there.entry.id))
        if not reply.done and not is_gone(reply):
            raise reply.failure()

    # ---- what the mailbox holds of it ----

    def _copies(self, mail: Outgoing, name: ProviderMessageId | None) -> list[_Copy]:
        """Return the one of this id, and unless that one is sent all of this Message-ID."""
        known = self._copy(name) if name is not None else None
        if known is not None and not known.entry.flags.draft:
            return [known]
        others = self._copies_named(mail)
        if known is None or any(one.entry.id == known.entry.id for one in others):
            return others
        return [known, *others]

    def _best_of(self, seen: list[_Copy]) -> _Copy | None:
        """Return the one that is sent; of a mail to oneself the one in Sent Items."""
        sent = [one for one in seen if not one.entry.flags.draft]
        if len(sent) < 2:  # noqa: PLR2004
            return next(iter(sent), None)
        here = self.sent_folder()
        return next((one for one in sent if one.entry.folder_id == here), sent[0])

    def _copy(self, name: ProviderMessageId) -> _Copy | None:
        reply = self._graph.get(f"{message_path(name)}?{_PROPERTIES}")
        self._clock = reply.answered_at
        return None if is_gone(reply) else _read(reply.object())

    def _copies_named(self, mail: Outgoing) -> list[_Copy]:
        text = mail.internet_message_id.replace("'", "''")
        wanted = quote(f"internetMessageId eq '{text}'", safe="")
        reply = self._graph.get(f"/me/messages?$filter={wanted}&{_PROPERTIES}")
        self._clock = reply.answered_at
        return [_read(one) for one in self._session.listed(first=reply)]


def _read(stored: Item) -> _Copy:
    return _Copy(read_entry(stored), str(stored.get("internetMessageId") or ""))


def _accepted(mail: Outgoing, sent: _Copy) -> Accepted:
    other = sent.named if sent.named and sent.named != mail.internet_message_id else None
    return Accepted(
        provider_message_id=sent.entry.id,
        internet_message_id=other,
        provider_thread_id=sent.entry.thread,
    )


def _refusal(reply: Reply) -> MailroomError:
    failure = sending_errors.failure(reply)
    if is_gone(reply):
        # The next try makes another draft.
        return RetryLaterError(ErrorCode.PROVIDER_UNAVAILABLE, cause=failure.cause)
    return failure
