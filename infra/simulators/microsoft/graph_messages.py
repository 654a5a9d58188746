"""Decides how Graph answers about one message: reading, changing, moving, its attachments."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.answers import content, refuse
from infra.simulators.microsoft.folders import FolderError
from infra.simulators.microsoft.graph_lists import drawn, expands, select_of
from infra.simulators.microsoft.message_bodies import attachment_body, message_body
from infra.simulators.microsoft.mime_read import Attachment
from infra.simulators.microsoft.transport import written

if TYPE_CHECKING:
    import sqlite3

    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.graph_call import GraphCall

_FLAG_STATES = ("notFlagged", "complete", "flagged")
_DIRECT = {"isRead": "is_read", "importance": "importance", "inferenceClassification": "focus"}
_DRAFT_ONLY = (
    "subject",
    "body",
    "toRecipients",
    "ccRecipients",
    "bccRecipients",
    "replyTo",
    "from",
    "sender",
)


def get_message(graph: GraphCall) -> Response:
    """Return one message."""
    select = select_of(graph)
    row = graph.message()
    body = drawn(graph, row, select, expand=expands(graph))
    named = f"({','.join(sorted(select))})" if select else ""
    return graph.answer({"@odata.context": graph.context(f"messages{named}/$entity"), **body})


def get_mime(graph: GraphCall) -> Response:
    """Return a message's MIME, written anew."""
    return content(graph.call, mime_of(graph, graph.message()), "text/plain")


def mime_of(graph: GraphCall, row: sqlite3.Row) -> bytes:
    """Return a message as Exchange writes it."""
    return written(graph.messages, graph.user, row)


def told(graph: GraphCall, row: sqlite3.Row, status: int = 200) -> Response:
    """Answer with a message as it is now."""
    body = graph.painter.message(graph.again(row))
    return graph.answer({"@odata.context": graph.context("messages/$entity"), **body}, status)


# ---- changes ----------------------------------------------------------------------------------


def patch_message(graph: GraphCall) -> Response:
    """Change what of a message may be changed; of a draft nearly everything."""
    row = graph.message()
    changes = values_of(graph, row, message_body(graph.call, graph.body()))
    if changes:
        graph.messages.update(row["pk"], **changes)
    return told(graph, row)


def values_of(graph: GraphCall, row: sqlite3.Row, body: dict[str, Any]) -> dict[str, Any]:
    """Return what a body changes, by column; refuse what may not be."""
    changes: dict[str, Any] = {_DIRECT[k]: v for k, v in body.items() if k in _DIRECT}
    if "flag" in body:
        changes["flag"] = json.dumps(_flag(graph, body["flag"]))
    if "categories" in body:
        changes["categories"] = json.dumps(body["categories"])
    late = [name for name in _DRAFT_ONLY if name in body]
    if late and not row["is_draft"]:
        refuse(
            graph.call,
            400,
            "ErrorInvalidPropertySet",
            f"Set action is invalid for property. ({late[0]})",
        )
    facts = json.loads(row["facts"])
    for name in late:
        if name == "subject":
            changes["subject"] = str(body["subject"])
        elif name == "body":
            changes |= body_columns(body["body"])
        else:
            facts[name] = body[name]
    if set(late) - {"subject", "body"}:
        changes["facts"] = json.dumps(facts)
    return changes


def body_columns(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body by column: it is the one or the other."""
    text = str(body.get("content") or "")
    is_html = str(body.get("contentType", "text")).lower() == "html"
    return {"html": text if is_html else None, "plain": None if is_html else text}


def _flag(graph: GraphCall, flag: dict[str, Any]) -> dict[str, Any]:
    if flag.get("flagStatus") not in _FLAG_STATES:
        refuse(
            graph.call, 400, "BadRequest", "Cannot convert a value to type 'followupFlagStatus'."
        )
    return flag


def move_message(graph: GraphCall) -> Response:
    """Move a message; by its default id it is another one afterwards."""
    row = graph.message()
    graph.messages.move(row["pk"], graph.folder(_destination(graph)))
    return told(graph, row, 201)


def copy_message(graph: GraphCall) -> Response:
    """Copy a message."""
    row = graph.message()
    made = graph.messages.copy(row["pk"], graph.folder(_destination(graph)))
    found = graph.messages.of(made or 0)
    if found is None:
        raise FolderError("ErrorMoveCopyFailed", "The move or copy operation failed.")
    return told(graph, found, 201)


def _destination(graph: GraphCall) -> str:
    body = {name.lower(): value for name, value in graph.body().items()}
    return str(body.get("destinationid", ""))


def delete_message(graph: GraphCall) -> Response:
    """Delete a message as its owner's DEL key does."""
    graph.messages.delete_gently(graph.message()["pk"])
    return graph.answer(status=204)


def delete_for_good(graph: GraphCall) -> Response:
    """Delete a message past Deleted Items."""
    graph.messages.delete(graph.message()["pk"])
    return graph.answer(status=204)


# ---- attachments ------------------------------------------------------------------------------


def list_attachments(graph: GraphCall) -> Response:
    """List a message's attachments, with what is in them unless $select leaves it out."""
    row = graph.message()
    select = {one.strip() for one in graph.query.get("$select", "").split(",") if one.strip()}
    value = []
    for one in graph.messages.attachments(row["pk"]):
        whole = graph.painter.attachment(row, one)
        value.append(
            {
                k: v
                for k, v in whole.items()
                if not select or k in select or k[0] == "@" or k == "id"
            }
        )
    path = f"messages('{graph.painter.message_id(row)}')/attachments"
    return graph.answer({"@odata.context": graph.context(path), "value": value})


def get_attachment(graph: GraphCall) -> Response:
    """Return one attachment; the message in it with $expand."""
    row = graph.message()
    one = graph.attachment(row)
    body = graph.painter.attachment(row, one)
    expand = graph.query.get("$expand", "").lower()
    if one["kind"] == "item" and expand in ("item", "microsoft.graph.itemattachment/item"):
        body["item"] = graph.painter.item(one)
    path = f"messages('{graph.painter.message_id(row)}')/attachments/$entity"
    return graph.answer({"@odata.context": graph.context(path), **body})


def get_attachment_bytes(graph: GraphCall) -> Response:
    """Return what is in an attachment; of a message its MIME."""
    one = graph.attachment(graph.message())
    kind = "text/plain" if one["kind"] == "item" else one["content_type"]
    return content(graph.call, bytes(one["content"]), kind)


def add_attachment(graph: GraphCall) -> Response:
    """Attach a file to a draft."""
    row = graph.message()
    if not row["is_draft"]:
        refuse(graph.call, 400, "ErrorInvalidOperation", "Attachments can be added to drafts only.")
    made = graph.messages.attach(row["pk"], attachment_of(graph, graph.body()))
    one = next(a for a in graph.messages.attachments(row["pk"]) if a["pk"] == made)
    body = graph.painter.attachment(graph.again(row), one)
    path = f"messages('{graph.painter.message_id(row)}')/attachments/$entity"
    return graph.answer({"@odata.context": graph.context(path), **body}, 201)


def attachment_of(graph: GraphCall, body: dict[str, Any]) -> Attachment:
    """Return the file that a JSON attachment is."""
    body = attachment_body(graph.call, body)
    if body.get("@odata.type", "").lstrip("#") != "microsoft.graph.fileAttachment":
        refuse(
            graph.call,
            400,
            "ErrorInvalidRequest",
            "Only attachments of the type microsoft.graph.fileAttachment are taken here.",
        )
    try:
        data = base64.b64decode(str(body.get("contentBytes", "")), validate=True)
    except binascii.Error:
        refuse(graph.call, 400, "BadRequest", "Cannot convert a value to type 'Edm.Binary'.")
    return Attachment(
        name=str(body.get("name", "")),
        content_type=str(body.get("contentType") or "application/octet-stream"),
        content=data,
        is_inline=bool(body.get("isInline")),
        content_id=str(body.get("contentId") or ""),
    )


def delete_attachment(graph: GraphCall) -> Response:
    """Take an attachment off a message."""
    graph.messages.detach(graph.attachment(graph.message()))
    return graph.answer(status=204)
