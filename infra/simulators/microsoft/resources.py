"""Decides what a folder, a message and an attachment look like in Graph's JSON."""

from __future__ import annotations

import base64
import datetime as dt
import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infra.simulators.microsoft.folders import ROOT, SEARCH, Folder
from infra.simulators.microsoft.mime_read import Mail, read_mail

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from infra.simulators.kit.store import Store
    from infra.simulators.microsoft.ids import Namer
    from infra.simulators.microsoft.messages import Messages

_PREVIEW = 255
_SCRIPT = re.compile(r"<(script|iframe|object)\b.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_HANDLER = re.compile(r"\son\w+\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_UNSEEN = re.compile(r"<(style|script|head)\b.*?(</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAK = re.compile(r"<(br|/p|/div|/tr|/li|/h\d)\b[^>]*>", re.IGNORECASE)
_METHOD = re.compile(r"^METHOD:(\w+)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a request's Prefer header asks for.

    Attributes:
        immutable: ids that survive a move.
        text: bodies as text; None is as Graph likes, which is HTML.
        unsafe: HTML as it came.
        page_size: odata.maxpagesize; 0 when not said.
    """

    immutable: bool = False
    text: bool | None = None
    unsafe: bool = False
    page_size: int = 0


class Painter:
    """Draws the resources of one mailbox as JSON."""

    def __init__(self, store: Store, messages: Messages, namer: Namer, wishes: Wishes) -> None:
        self._store = store
        self._messages = messages
        self._namer = namer
        self.wishes = wishes

    # ---- messages -----------------------------------------------------------------------------

    def message_id(self, row: sqlite3.Row) -> str:
        """Return a message's id in the form that the request wishes for."""
        if self.wishes.immutable:
            return self._namer.immutable(row["pk"])
        return self._namer.message(row["folder"], row["item"])

    def message(self, row: sqlite3.Row, select: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return a message, or what of it was selected (lower-case names; empty is the usual)."""
        key = self._namer.change_key(row["changed_seq"])
        drawn: dict[str, Any] = {"@odata.etag": f'W/"{key}"', "id": self.message_id(row)}
        if row["calendar"] is not None:
            drawn = {**_meeting(row["calendar"]), **drawn}
        makers = self._message_makers(row, key)
        for name, make in makers.items():
            if name.lower() in select or (not select and name not in _ONLY_SELECTED):
                value = make()
                if value is not None or name not in _LEFT_OUT:
                    drawn[name] = value
        return drawn

    def _message_makers(self, row: sqlite3.Row, key: str) -> dict[str, Callable[[], Any]]:
        facts = json.loads(row["facts"])
        return {
            "createdDateTime": lambda: stamp(row["created"]),
            "lastModifiedDateTime": lambda: stamp(row["modified"]),
            "changeKey": lambda: key,
            "categories": lambda: json.loads(row["categories"]),
            "receivedDateTime": lambda: stamp(row["received"]),
            "sentDateTime": lambda: stamp(row["sent"]),
            "hasAttachments": lambda: bool(row["has_attachments"]),
            "internetMessageId": lambda: row["internet_id"],
            "subject": lambda: row["subject"],
            "bodyPreview": lambda: _preview(row),
            "importance": lambda: row["importance"],
            "parentFolderId": lambda: self._namer.folder(row["folder"]),
            "conversationId": lambda: self._namer.conversation(row["conversation"]),
            "conversationIndex": lambda: base64.b64encode(row["thread_index"]).decode(),
            "isDeliveryReceiptRequested": lambda: False,
            "isReadReceiptRequested": lambda: bool(facts.get("isReadReceiptRequested")),
            "isRead": lambda: bool(row["is_read"]),
            "isDraft": lambda: bool(row["is_draft"]),
            "webLink": lambda: self._web_link(row),
            "inferenceClassification": lambda: row["focus"],
            "internetMessageHeaders": lambda: _headers(facts),
            "body": lambda: self._body(row),
            "uniqueBody": lambda: self._body(row),
            "sender": lambda: facts.get("sender"),
            "from": lambda: facts.get("from"),
            "toRecipients": lambda: facts.get("toRecipients", []),
            "ccRecipients": lambda: facts.get("ccRecipients", []),
            "bccRecipients": lambda: facts.get("bccRecipients", []),
            "replyTo": lambda: facts.get("replyTo", []),
            "flag": lambda: json.loads(row["flag"]),
        }

    def _web_link(self, row: sqlite3.Row) -> str:
        item = quote(self._namer.message(row["folder"], row["item"]), safe="")
        return (
            f"https://outlook.office365.com/owa/?ItemID={item}&exvsurl=1&viewmodel=ReadMessageItem"
        )

    def _body(self, row: sqlite3.Row) -> dict[str, str]:
        if self.wishes.text:
            return {"contentType": "text", "content": plain_of(row)}
        content = row["html"]
        if content is None:
            content = _as_html(row["plain"] or "")
        elif not self.wishes.unsafe:
            content = _HANDLER.sub("", _SCRIPT.sub("", content))
        return {"contentType": "html", "content": content}

    # ---- attachments --------------------------------------------------------------------------

    def attachment(
        self, message: sqlite3.Row, row: sqlite3.Row, *, content: bool = True
    ) -> dict[str, Any]:
        """Return an attachment, with its content unless it is a message."""
        drawn: dict[str, Any] = {
            "@odata.type": f"#microsoft.graph.{row['kind']}Attachment",
            "@odata.mediaContentType": row["content_type"],
            "id": self._namer.attachment(self.message_id(message), row["guid"]),
            "lastModifiedDateTime": stamp(row["modified"]),
            "name": row["name"],
            # Graph tells the type of a message by @odata.type and leaves this empty.
            "contentType": None if row["kind"] == "item" else row["content_type"],
            "size": row["size"],
            "isInline": bool(row["is_inline"]),
        }
        if row["kind"] == "file":
            drawn |= {"contentId": row["content_id"] or None, "contentLocation": None}
            if content:
                drawn["contentBytes"] = base64.b64encode(row["content"]).decode()
        return drawn

    def item(self, row: sqlite3.Row) -> dict[str, Any]:
        """Return the message that is attached, for $expand=item."""
        mail = read_mail(row["content"])
        return {
            "@odata.type": "#microsoft.graph.message",
            "id": "",
            "subject": mail.subject,
            "internetMessageId": mail.internet_id,
            "sentDateTime": stamp(mail.sent or 0),
            "hasAttachments": bool(mail.attachments),
            "body": _item_body(mail),
            **{k: v for k, v in mail.facts.items() if k != "isReadReceiptRequested"},
        }

    # ---- folders ------------------------------------------------------------------------------

    def folder(self, folder: Folder, select: frozenset[str] = frozenset()) -> dict[str, Any]:
        """Return a folder, or what of it was selected."""
        counts = "select count(*), sum(is_read = 0), sum(size) from messages where folder = ?"
        if folder.kind == SEARCH:
            # The one search there is: unread mail anywhere.
            counts = (
                "select count(*), sum(is_read = 0), sum(size) from messages where is_read = 0"
                " and user = (select user from folders where pk = ?)"
            )
        total, unread, size = self._store.rows(counts, folder.pk)[0]
        drawn: dict[str, Any] = {}
        if folder.kind == SEARCH:
            drawn["@odata.type"] = "#microsoft.graph.mailSearchFolder"
        drawn["id"] = self._namer.folder(folder.pk)
        values: dict[str, Any] = {
            "displayName": folder.name,
            "parentFolderId": self._namer.folder(folder.parent or folder.pk),
            "childFolderCount": self._store.value(
                "select count(*) from folders where parent = ? and not hidden", folder.pk
            ),
            "unreadItemCount": unread or 0,
            "totalItemCount": total,
            "sizeInBytes": size or 0,
            "isHidden": folder.hidden,
        }
        if folder.kind == SEARCH:
            values |= {
                "isSupported": True,
                "includeNestedFolders": True,
                "sourceFolderIds": [self._namer.folder(self._root(folder))],
                "filterQuery": folder.query,
            }
        drawn |= {k: v for k, v in values.items() if not select or k.lower() in select}
        return drawn

    def _root(self, folder: Folder) -> int:
        return int(
            self._store.value(
                "select pk from folders where known = ? and user ="
                " (select user from folders where pk = ?)",
                ROOT,
                folder.pk,
            )
        )


_ONLY_SELECTED = frozenset(("internetMessageHeaders", "uniqueBody", "conversationIndex"))
_LEFT_OUT = frozenset(("from", "sender", "internetMessageHeaders"))
MESSAGE_FIELDS = frozenset(
    (
        "id createdDateTime lastModifiedDateTime changeKey categories receivedDateTime sentDateTime"
        " hasAttachments internetMessageId subject bodyPreview importance parentFolderId"
        " conversationId conversationIndex isDeliveryReceiptRequested isReadReceiptRequested isRead"
        " isDraft webLink inferenceClassification internetMessageHeaders body uniqueBody sender"
        " from toRecipients ccRecipients bccRecipients replyTo flag attachments"
    )
    .lower()
    .split()
)
FOLDER_FIELDS = frozenset(
    (
        "id displayName parentFolderId childFolderCount unreadItemCount totalItemCount sizeInBytes"
        " isHidden isSupported includeNestedFolders sourceFolderIds filterQuery"
    )
    .lower()
    .split()
)


def stamp(seconds: float) -> str:
    """Return an instant as Graph writes it."""
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def plain_of(row: sqlite3.Row) -> str:
    """Return a message's text: its own, or what its HTML says."""
    if row["html"] is None:
        return str(row["plain"] or "")
    text = _TAG.sub("", _BREAK.sub("\r\n", _UNSEEN.sub("", " ".join(row["html"].split()))))
    return html.unescape(text).strip()


def _meeting(calendar: str) -> dict[str, Any]:
    """Return what makes a message an invitation, or an answer to one."""
    found = _METHOD.search(calendar)
    method = found[1].upper() if found else "REQUEST"
    kind, meeting = {
        "CANCEL": ("eventMessage", "meetingCancelled"),
        "REPLY": ("eventMessageResponse", "meetingAccepted"),
    }.get(method, ("eventMessageRequest", "meetingRequest"))
    return {"@odata.type": f"#microsoft.graph.{kind}", "meetingMessageType": meeting}


def _preview(row: sqlite3.Row) -> str:
    return plain_of(row)[:_PREVIEW].strip()


def _as_html(text: str) -> str:
    body = html.escape(text, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return (
        '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        "</head><body>\r\n"
        f'<div class="PlainText">{body}</div>\r\n</body></html>'
    )


def _headers(facts: dict[str, Any]) -> list[dict[str, str]] | None:
    found = [{"name": name, "value": value} for name, value in facts.get("headers", [])]
    return found or None


def _item_body(mail: Mail) -> dict[str, str]:
    if mail.html is not None:
        return {"contentType": "html", "content": mail.html}
    return {"contentType": "text", "content": mail.plain or ""}
