"""Decides how a mail leaves by Gmail at most once, and how one whose outcome nobody knows is found.

Gmail gives what it sends a Message-ID of its own, and that cannot be searched for before it is
known. So a mail lies ready as a draft, and the draft is sent: that consumes it, whoever asks how
often. One that is still there was not sent; what was sent of one that is gone is in its thread.
See infra/decisions/0036-gmail-sends-drafts.md.
"""

from collections.abc import Mapping
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parsedate_to_datetime
from typing import Any

from shared.domain.addresses import WrittenAddresses, canonical_address
from shared.domain.errors import (
    ConfigurationError,
    ErrorCode,
    MailroomError,
    OutcomeUnknownError,
    RetryLaterError,
)
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.message import FetchedMessage
from shared.ports.sending import Accepted, Outgoing, Sighting
from shared.providers.gmail import drafts, errors, labels, units
from shared.providers.gmail.api import GmailApi, json_content, objects, texts
from shared.providers.gmail.drafts import Draft
from shared.providers.gmail.fetching import Fetching
from shared.providers.gmail.listing import number_of
from shared.providers.gmail.send_as import sender_addresses

_OK, _NOT_FOUND = 200, 404
_IN_DOUBT = frozenset({_NOT_FOUND, 408, *range(500, 600)})
"""Answers that leave open whether it was sent; without its draft somebody else may have sent it."""
_MESSAGE_ID, _DATE, _RECIPIENTS = "message-id", "date", ("to", "cc", "bcc")
_Fields = Mapping[str, str]


class GmailSendSession:
    """A `SendSession` over the Gmail API. Not thread-safe.

    One mail costs 156 units of quota: 1 to know that its sender may send, 5 to look for a draft
    left behind, 10 for a draft, 100 to send it, 20 to know its Message-ID, 20 to have it back.
    An answer costs 5 more, to know its thread. A look after an unknown outcome costs 20 where the
    draft is there, else up to 65.
    """

    def __init__(self, api: GmailApi) -> None:
        self._api = api

    @property
    def units(self) -> int:
        """Units of Gmail's quota this session used."""
        return self._api.units

    def prepare(self, mail: Outgoing, draft: str | None) -> str | None:
        """See `SendSession.prepare`. A draft that was made is not touched again.

        Whether it is still there is told by sending it, which is also when it counts.
        """
        self._require(mail.sender)
        if draft is not None:
            return draft
        ready = drafts.left_behind(self._api, mail) or drafts.create(self._api, mail)
        return ready.written

    def send(self, mail: Outgoing, draft: str | None) -> Accepted:
        """See `SendSession.send`."""
        ready = Draft.read(draft or "")
        answer = self._api.ask(
            "POST",
            "drafts/send",
            {"fields": "id,threadId"},
            cost=units.DRAFTS_SEND,
            content=json_content({"id": ready.id}),
            once=True,
            lost=_unknown,
        )
        if answer.status in _IN_DOUBT:
            raise OutcomeUnknownError(cause=str(answer.status))
        if answer.status != _OK:
            raise errors.from_sending(answer.status, answer.headers, answer.body)
        found = errors.decoded_object(answer.body) or {}
        name = _text(found.get("id"))
        return _accepted(mail, name, _text(found.get("threadId")), self._message_id_of(name))

    def look_up(self, mail: Outgoing, draft: str | None) -> tuple[Sighting, Accepted | None]:
        """See `SendSession.look_up`."""
        ready = Draft.read(draft) if draft is not None else None
        if ready is not None and drafts.is_there(self._api, ready):
            return Sighting.NOT_SENT, None
        found = self._with_our_message_id(mail)
        if found is None and ready is not None:
            found = self._sent_of(mail, ready)
        return (Sighting.SENT, found) if found else (Sighting.UNSEEN, None)

    def file(self, mail: Outgoing, accepted: Accepted) -> FetchedMessage | None:
        """See `SendSession.file`. Gmail has put it there; it is fetched as sync fetches it."""
        del mail
        if accepted.provider_message_id is None:
            return None
        found = Fetching(self._api).fetch([accepted.provider_message_id])
        return next((one for one in found if isinstance(one, FetchedMessage)), None)

    def sent_folder(self) -> FolderId:
        """See `SendSession.sent_folder`."""
        return FolderId(labels.SENT)

    def discard(self, draft: str) -> None:
        """See `SendSession.discard`."""
        drafts.remove(self._api, Draft.read(draft))

    def _require(self, sender: str) -> None:
        if sender.lower() not in sender_addresses(self._api):
            # Gmail would send it, in the account's own name.
            cause = "not among the addresses the account sends from"
            raise ConfigurationError(ErrorCode.SENDER_NOT_ALLOWED, cause=cause)

    def _message_id_of(self, name: str) -> str:
        """Return the Message-ID it left with, empty where that cannot be told now: it has left."""
        parameters = {
            "format": "metadata",
            "metadataHeaders": "Message-ID",
            "fields": "payload/headers",
        }
        try:
            found = self._api.get(f"messages/{name}", parameters, cost=units.MESSAGES_GET)
            return _fields(found).get(_MESSAGE_ID, "")
        except MailroomError:
            return ""

    def _with_our_message_id(self, mail: Outgoing) -> Accepted | None:
        parameters = {
            "q": drafts.by_message_id(mail),
            "labelIds": labels.SENT,
            "includeSpamTrash": "true",
            "maxResults": "1",
            "fields": "messages(id,threadId)",
        }
        found = self._api.get("messages", parameters, cost=units.MESSAGES_LIST)
        for one in objects(found, "messages"):
            return _accepted(mail, _text(one.get("id")), _text(one.get("threadId")), "")
        return None

    def _sent_of(self, mail: Outgoing, draft: Draft) -> Accepted | None:
        """Return what was sent in the draft's thread since it was made, to all the same people."""
        parameters = {
            "format": "metadata",
            "metadataHeaders": (_MESSAGE_ID, _DATE, *_RECIPIENTS),
            "fields": "messages(id,labelIds,payload/headers)",
        }
        gone = RetryLaterError(ErrorCode.MESSAGE_UNAVAILABLE)
        path = f"threads/{draft.thread_id}"
        try:
            found = self._api.get(
                path, parameters, cost=units.THREADS_GET, unless={_NOT_FOUND: gone}
            )
        except RetryLaterError as error:
            if error is gone:
                return None
            raise
        begin = number_of(ProviderMessageId(draft.message_id))
        sent = [
            (number_of(ProviderMessageId(name)), name, _fields(one))
            for one in objects(found, "messages")
            if (name := _text(one.get("id"))) and labels.SENT in texts(one, "labelIds")
        ]
        # By its date where Gmail kept that, else the first.
        written = _date(_head(mail).get(_DATE, ""))
        alike = [one for one in sorted(sent) if one[0] >= begin and _reaches(one[2], mail)]
        alike.sort(key=lambda one: _date(one[2].get(_DATE, "")) != written)
        for _number, name, fields in alike:
            return _accepted(mail, name, draft.thread_id, fields.get(_MESSAGE_ID, ""))
        return None


def _unknown(error: RetryLaterError) -> MailroomError:
    return OutcomeUnknownError(cause=str(error.code))


def _accepted(mail: Outgoing, name: str, thread_id: str, message_id: str) -> Accepted:
    return Accepted(
        provider_message_id=ProviderMessageId(name) if name else None,
        internet_message_id=message_id
        if message_id not in {"", mail.internet_message_id}
        else None,
        provider_thread_id=thread_id or None,
    )


def _reaches(fields: _Fields, mail: Outgoing) -> bool:
    """Whether a header names all whom a mail is for, and those are known."""
    search = WrittenAddresses()
    named = ", ".join(fields.get(name, "") for name in _RECIPIENTS).encode("utf-8", "replace")
    found = search.feed(named) | search.end()
    return bool(mail.recipients) and found.issuperset(
        canonical_address(one) or one for one in mail.recipients
    )


def _fields(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a message's header by their names in lower case."""
    payload = found.get("payload")
    several = objects(payload, "headers") if isinstance(payload, dict) else []
    return {_text(one.get("name")).lower(): _text(one.get("value")).strip() for one in several}


def _head(mail: Outgoing) -> Message:
    return BytesHeaderParser().parsebytes(mail.content)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
