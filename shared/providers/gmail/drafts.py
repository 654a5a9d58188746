"""Decides how a mail lies ready as a draft, and how that one is found, kept in mind and removed.

A draft's own name does not lead to what was sent of it, so its message and thread are kept with it.
Source: developers.google.com/workspace/gmail/api/guides/drafts and …/guides/uploads.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any, Self
from urllib.parse import quote

from shared.domain.errors import ErrorCode, RetryLaterError, SendRefusedError
from shared.ports.sending import Outgoing
from shared.providers.gmail import errors, units
from shared.providers.gmail.api import Content, GmailApi, json_content, object_of, objects

MOST_BYTES = 36_700_160
"""`maxSize` of an upload in Google's discovery document: 35 MB."""
_SEARCHED = re.compile(r"<([A-Za-z0-9!#$%&'*+/=?^_`|~.@-]+)>")
"""A Message-ID that is nothing else in a search: strangers choose theirs."""
_OK, _NO_CONTENT, _NOT_FOUND = 200, 204, 404


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it was made. Its message gets another id whenever somebody edits it."""

    id: str
    message_id: str
    thread_id: str

    @property
    def written(self) -> str:
        """What is stored of it."""
        return f"{self.id} {self.message_id} {self.thread_id}"

    @classmethod
    def read(cls, written: str) -> Self:
        """Read what was stored; raises ValueError for anything else."""
        draft_id, message_id, thread_id = written.split(" ")
        return cls(draft_id, message_id, thread_id)


def left_behind(api: GmailApi, mail: Outgoing) -> Draft | None:
    """Return the draft of an earlier try that did not come to note it."""
    parameters = {
        "q": by_message_id(mail),
        "maxResults": "1",
        "fields": "drafts(id,message(id,threadId))",
    }
    found = api.get("drafts", parameters, cost=units.DRAFTS_LIST)
    return next((_draft(one) for one in objects(found, "drafts")), None)


def create(api: GmailApi, mail: Outgoing) -> Draft:
    """Make a draft, in the thread asked for, or else in that of what it answers."""
    if len(mail.blind_copy) > MOST_BYTES:
        raise SendRefusedError(ErrorCode.MAIL_TOO_LARGE, cause=f"more than {MOST_BYTES} bytes")
    thread = mail.provider_thread_id or _answered_in(api, mail)
    for thread_id in dict.fromkeys((thread, None)):
        answer = api.ask(
            "POST",
            "drafts",
            {"uploadType": "multipart", "fields": "id,message(id,threadId)"},
            cost=units.DRAFTS_CREATE,
            content=_upload(mail, thread_id),
            to_upload=True,
            once=True,
        )
        # The thread it answers may be gone; then it begins one.
        if answer.status != _NOT_FOUND:
            break
    if answer.status != _OK:
        raise errors.from_sending(answer.status, answer.headers, answer.body)
    return _draft(object_of(answer))


def is_there(api: GmailApi, draft: Draft) -> bool:
    """Return whether it still lies there: then it was not sent."""
    parameters = {"format": "minimal", "fields": "id"}
    answer = api.ask("GET", _path(draft), parameters, cost=units.DRAFTS_GET)
    if answer.status not in {_OK, _NOT_FOUND}:
        raise errors.from_api(answer.status, answer.headers, answer.body)
    return answer.status == _OK


def remove(api: GmailApi, draft: Draft) -> None:
    """Remove it, if it is there."""
    answer = api.ask("DELETE", _path(draft), cost=units.DRAFTS_DELETE)
    if answer.status not in {_OK, _NO_CONTENT, _NOT_FOUND}:
        raise errors.from_api(answer.status, answer.headers, answer.body)


def by_message_id(mail: Outgoing) -> str:
    """Return the search for a mail that kept its Message-ID."""
    return f"rfc822msgid:{mail.internet_message_id.strip('<>')}"


def _answered_in(api: GmailApi, mail: Outgoing) -> str | None:
    """Return the thread of the message a mail answers, where the mailbox has that."""
    head = BytesHeaderParser().parsebytes(mail.content.partition(b"\r\n\r\n")[0])
    answered = _SEARCHED.fullmatch(str(head.get("In-Reply-To", "")).strip())
    if answered is None:
        return None
    parameters = {
        "q": f"rfc822msgid:{answered[1]}",
        "maxResults": "1",
        "fields": "messages(threadId)",
    }
    found = api.get("messages", parameters, cost=units.MESSAGES_LIST)
    return next((_name(one.get("threadId")) for one in objects(found, "messages")), None)


def _upload(mail: Outgoing, thread_id: str | None) -> Content:
    boundary = secrets.token_hex(16)
    metadata = json_content({"message": {"threadId": thread_id} if thread_id else {}})
    parts = (metadata, Content("message/rfc822", mail.blind_copy))
    pieces = [
        piece
        for part in parts
        for piece in (
            f"--{boundary}\r\nContent-Type: {part.content_type}\r\n\r\n".encode(),
            part.data,
            b"\r\n",
        )
    ]
    data = b"".join([*pieces, f"--{boundary}--\r\n".encode()])
    return Content(f"multipart/related; boundary={boundary}", data)


def _draft(found: Mapping[str, Any]) -> Draft:
    message = found.get("message")
    if isinstance(message, dict):
        names = (found.get("id"), message.get("id"), message.get("threadId"))
        draft_id, message_id, thread_id = (_name(one) for one in names)
        if draft_id and message_id and thread_id:
            return Draft(draft_id, message_id, thread_id)
    raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a draft without its names")


def _name(value: object) -> str:
    return value if isinstance(value, str) and " " not in value else ""


def _path(draft: Draft) -> str:
    return f"drafts/{quote(draft.id, safe='')}"
