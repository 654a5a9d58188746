"""Decides how mail is written and sent: drafts, replies, send, and sending in one step."""

from __future__ import annotations

import base64
import binascii
import html
import json
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.answers import refuse
from infra.simulators.microsoft.graph_messages import (
    attachment_of,
    body_columns,
    mime_of,
    told,
    values_of,
)
from infra.simulators.microsoft.message_bodies import RECIPIENT_LISTS, message_body
from infra.simulators.microsoft.messages import reply_thread
from infra.simulators.microsoft.mime_read import Attachment, Mail, read_mail, topic
from infra.simulators.microsoft.resources import plain_of, stamp
from infra.simulators.microsoft.transport import address_of

if TYPE_CHECKING:
    import sqlite3

    from werkzeug.wrappers import Response

    from infra.simulators.microsoft.graph_call import GraphCall

_MOST_RECIPIENTS = 500


# ---- drafts -----------------------------------------------------------------------------------


def create_draft(graph: GraphCall) -> Response:
    """Make a draft, from JSON or from MIME."""
    named = graph.call.arguments.get("folder", "drafts")
    folder = graph.folder(named)
    mail = _mime(graph) if _is_mime(graph) else _mail(graph, message_body(graph.call, graph.body()))
    made = graph.messages.add(mail, folder, is_read=True, is_draft=True)
    if _is_mime(graph):
        graph.world.transport.keep_mime(made, _given(graph))
    row = graph.messages.of(made)
    assert row is not None  # noqa: S101 - it was made a line above
    if not _is_mime(graph):
        graph.messages.update(made, **_state_of(graph, row))
    return told(graph, row, 201)


def _state_of(graph: GraphCall, row: sqlite3.Row) -> dict[str, Any]:
    names = ("isRead", "importance", "flag", "categories", "inferenceClassification")
    whole = message_body(graph.call, graph.body())
    return values_of(graph, row, {name: whole[name] for name in names if name in whole})


def create_reply(graph: GraphCall) -> Response:
    """Make a draft that answers the writer."""
    return told(graph, _reply(graph, graph.message(), everybody=False), 201)


def create_reply_all(graph: GraphCall) -> Response:
    """Make a draft that answers everybody."""
    return told(graph, _reply(graph, graph.message(), everybody=True), 201)


def create_forward(graph: GraphCall) -> Response:
    """Make a draft that passes a message on."""
    return told(graph, _forward(graph, graph.message()), 201)


def _reply(graph: GraphCall, row: sqlite3.Row, *, everybody: bool) -> sqlite3.Row:
    facts = json.loads(row["facts"])
    writers = facts.get("replyTo") or ([facts["from"]] if "from" in facts else [])
    people: dict[str, Any] = {"toRecipients": writers}
    if everybody:
        others = [
            one for one in facts.get("toRecipients", []) if address_of(one) != graph.user.address
        ]
        people["toRecipients"] = _unique([*writers, *others])
        people["ccRecipients"] = facts.get("ccRecipients", [])
    return _answer(graph, row, "RE", people, [])


def _forward(graph: GraphCall, row: sqlite3.Row) -> sqlite3.Row:
    return _answer(graph, row, "FW", {}, graph.messages.mail(row).attachments)


def _answer(
    graph: GraphCall,
    row: sqlite3.Row,
    mark: str,
    people: dict[str, Any],
    attachments: list[Attachment],
) -> sqlite3.Row:
    if _is_mime(graph) and graph.request.get_data():
        mail = _mime(graph)
    else:
        body = graph.body() if graph.request.get_data() else {}
        mail = Mail(subject=f"{mark}: {topic(row['subject'])}", attachments=attachments)
        mail.facts = {**_writer(graph), **people}
        _write_below(mail, row, str(body.get("comment", "")))
        _overwrite(mail, message_body(graph.call, body.get("message") or {}), graph)
        also = message_body(graph.call, {"toRecipients": body.get("toRecipients")})
        mail.facts |= also
    references = [row["internet_id"]]
    for name, value in graph.messages.mail(row).headers:
        if name.lower() == "references":
            references = [*value.split(), row["internet_id"]]
    mail.headers = [
        (name, value)
        for name, value in mail.headers
        if name.lower() not in ("references", "in-reply-to")
    ]
    mail.headers += [("In-Reply-To", row["internet_id"]), ("References", " ".join(references))]
    mail.internet_id = graph.messages.new_internet_id()
    made = graph.messages.add(
        mail,
        graph.folders.known("drafts"),
        is_read=True,
        is_draft=True,
        thread=reply_thread(row),
    )
    found = graph.messages.of(made)
    assert found is not None  # noqa: S101 - it was made a line above
    return found


def _write_below(mail: Mail, row: sqlite3.Row, comment: str) -> None:
    facts = json.loads(row["facts"])
    writer = address_of(facts["from"]) if "from" in facts else ""
    head = f"From: {writer}\nSent: {stamp(row['sent'])}\nSubject: {row['subject']}"
    if row["html"] is None:
        mail.plain = f"{comment}\n\n________________________________\n{head}\n\n{plain_of(row)}"
        return
    shown = html.escape(head, quote=False).replace("\n", "<br>")
    said = html.escape(comment, quote=False).replace("\n", "<br>")
    mail.html = f"<html><body><p>{said}</p><hr><div>{shown}</div>{row['html']}</body></html>"


# ---- sending ----------------------------------------------------------------------------------


def send_draft(graph: GraphCall) -> Response:
    """Accept a draft: once it has left, it is the one in Sent Items by its immutable id."""
    row = graph.message()
    if not row["is_draft"] or graph.world.transport.is_accepted(row["pk"]):
        refuse(graph.call, 400, "ErrorInvalidOperation", "Only drafts can be sent.")
    _send(graph, row)
    return graph.answer(status=202)


def send_mail(graph: GraphCall) -> Response:
    """Send a message in one step; nothing says which message it became."""
    if _is_mime(graph):
        mail, keep = _mime(graph), True
    else:
        body = graph.body()
        mail = _mail(graph, message_body(graph.call, body.get("message") or body.get("Message")))
        keep = body.get("saveToSentItems", body.get("SaveToSentItems", True)) is not False
    drafts = graph.folders.known("drafts")
    made = graph.messages.add(mail, drafts, is_read=True, is_draft=True)
    row = graph.messages.of(made)
    assert row is not None  # noqa: S101 - it was made a line above
    _send(graph, row, keep=keep)
    return graph.answer(status=202)


def reply(graph: GraphCall) -> Response:
    """Answer the writer in one step."""
    _send(graph, _reply(graph, graph.message(), everybody=False))
    return graph.answer(status=202)


def reply_all(graph: GraphCall) -> Response:
    """Answer everybody in one step."""
    _send(graph, _reply(graph, graph.message(), everybody=True))
    return graph.answer(status=202)


def forward(graph: GraphCall) -> Response:
    """Pass a message on in one step."""
    _send(graph, _forward(graph, graph.message()))
    return graph.answer(status=202)


def _send(graph: GraphCall, row: sqlite3.Row, *, keep: bool = True) -> None:
    facts = json.loads(row["facts"])
    people = [one for name in RECIPIENT_LISTS[:3] for one in facts.get(name, [])]
    if not people:
        refuse(
            graph.call,
            400,
            "ErrorInvalidRecipients",
            "At least one recipient is not valid., A message can't be sent because it contains no"
            " recipients.",
        )
    if len(people) > _MOST_RECIPIENTS or any("@" not in address_of(one) for one in people):
        refuse(graph.call, 400, "ErrorInvalidRecipients", "At least one recipient is not valid.")
    writer = facts.get("from") or _writer(graph)["from"]
    if address_of(writer).lower() not in (graph.user.address.lower(), *graph.user.aliases):
        refuse(
            graph.call,
            403,
            "ErrorSendAsDenied",
            "The user account which was used to submit this request does not have the right to"
            " send mail on behalf of the specified sending account.",
        )
    if len(mime_of(graph, row)) > graph.world.throttle.limits.message_bytes:
        refuse(graph.call, 413, "ErrorMessageSizeExceeded", "The message exceeds the size limit.")
    notes = graph.call.notes
    graph.world.transport.accept(
        graph.user,
        row["pk"],
        keep=keep,
        seconds=float(notes.get("late", 0)),
        renamed=bool(notes.get("renamed")),
    )


# ---- what a body says -------------------------------------------------------------------------


def _is_mime(graph: GraphCall) -> bool:
    return graph.request.mimetype == "text/plain"


def _mime(graph: GraphCall) -> Mail:
    raw = _given(graph)
    if b":" not in raw.split(b"\n", 1)[0]:
        refuse(graph.call, 400, "ErrorMimeContentInvalid", "Invalid MIME content.")
    mail = read_mail(raw)
    mail.facts = {**_writer(graph), **mail.facts}
    return mail


def _given(graph: GraphCall) -> bytes:
    data = b"".join(graph.request.get_data().split())
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error:
        refuse(
            graph.call,
            400,
            "ErrorMimeContentInvalidBase64String",
            "Invalid base64 string for MIME content.",
        )


def _mail(graph: GraphCall, body: dict[str, Any]) -> Mail:
    mail = Mail(facts=_writer(graph))
    _overwrite(mail, body, graph)
    if mail.html is None and mail.plain is None:
        mail.plain = ""
    return mail


def _overwrite(mail: Mail, body: dict[str, Any], graph: GraphCall) -> None:
    mail.subject = str(body.get("subject", mail.subject))
    mail.importance = str(body.get("importance", mail.importance)).lower()
    mail.internet_id = str(body.get("internetMessageId", mail.internet_id))
    if "body" in body:
        texts = body_columns(body["body"])
        mail.html, mail.plain = texts["html"], texts["plain"]
    mail.facts |= {
        name: body[name] for name in (*RECIPIENT_LISTS, "from", "sender") if name in body
    }
    for header in body.get("internetMessageHeaders", []):
        if not str(header.get("name", "")).lower().startswith("x-"):
            refuse(
                graph.call,
                400,
                "InvalidInternetMessageHeader",
                f"The internet message header name '{header.get('name')}' should start with 'x-' or"
                " 'X-'.",
            )
        mail.headers.append((str(header["name"]), str(header.get("value", ""))))
    mail.attachments += [attachment_of(graph, one) for one in body.get("attachments", [])]


def _writer(graph: GraphCall) -> dict[str, Any]:
    own = {"emailAddress": {"name": graph.user.name, "address": graph.user.address}}
    return {"from": own, "sender": own}


def _unique(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({address_of(one).lower(): one for one in people}.values())
