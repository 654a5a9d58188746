"""Decides how a finished mail becomes a draft: as MIME, and what a request cannot hold beside it.

MIME keeps what JSON has no place for: our Message-ID, In-Reply-To and References, by which Exchange
finds the conversation (`createReply` would choose a Message-ID and quote by itself), and it leaves
more or less as it is (learn.microsoft.com/graph/outlook-things-to-know-about-send-mail). One
request holds 4 MB, and such a draft by what people measured 2.2 MB of MIME
(github.com/microsoftgraph/microsoft-graph-docs/issues/13979). So of a larger mail the text alone
goes so, and each file after it: up to 3 MB in one request, else in a session of its own
(learn.microsoft.com/graph/outlook-large-attachments).
"""

import base64
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP

import orjson

from shared.domain.errors import ErrorCode, SendRefusedError
from shared.domain.ids import ProviderMessageId
from shared.ports.sending import Outgoing
from shared.providers.outlook import errors, sending_errors
from shared.providers.outlook.graph import Graph, Reply
from shared.providers.outlook.paths import message_path

WHOLE_BYTES = 2 << 20
"""Up to this size a mail is one request."""
_SESSION_BYTES = 3 << 20
"""From this size on a file needs a session; a smaller one is refused one."""
_PIECE_BYTES = 12 * (320 << 10)
"""Of a file in a session; Graph takes up to 4 MB."""
_CREATED = 201
_AS_WRITTEN = SMTP.clone(refold_source="none")


def is_whole(mail: Outgoing) -> bool:
    """Whether its draft is there at once, or not at all."""
    return len(mail.blind_copy) <= WHOLE_BYTES


def create(graph: Graph, mail: Outgoing) -> ProviderMessageId:
    """Make a draft of the mail; raises what Graph refuses it with."""
    if is_whole(mail):
        return _created(graph, mail.blind_copy)
    text = message_from_bytes(mail.blind_copy, policy=_AS_WRITTEN)
    files = list(_taken_out(text))
    rest = text.as_bytes()
    if len(rest) > WHOLE_BYTES:
        raise SendRefusedError(ErrorCode.MAIL_TOO_LARGE, cause="a text of more than a request")
    made = _created(graph, rest)
    for file in files:
        _attach(graph, made, file)
    return made


def _created(graph: Graph, content: bytes) -> ProviderMessageId:
    reply = graph.write(
        "POST", "/me/messages", body=base64.b64encode(content), content_type="text/plain"
    )
    # 200 was seen for what had not become a draft.
    name = reply.body.get("id") if isinstance(reply.body, dict) else None
    if reply.status != _CREATED:
        raise errors.unusable("no draft") if reply.done else sending_errors.failure(reply)
    if not isinstance(name, str) or not name:
        raise errors.unusable("a draft without an id")
    return ProviderMessageId(name)


# ---- files ----


def _taken_out(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield every file of a message, each out of its place; what is left are its texts."""
    if not message.is_multipart():
        return
    kept: list[Message | str] = []
    for part in message.iter_parts():
        if not isinstance(part, EmailMessage):
            continue
        if part.get_content_maintype() == "multipart":
            yield from _taken_out(part)
            kept.append(part)
        elif part.is_attachment() or part.get_content_maintype() != "text":
            yield part
        else:
            kept.append(part)
    message.set_payload(kept)


def _attach(graph: Graph, draft: ProviderMessageId, file: EmailMessage) -> None:
    content = file.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise TypeError("a file that is no single part")
    about = _about(file)
    where = f"{message_path(draft)}/attachments"
    if len(content) >= _SESSION_BYTES:
        _attach_in_pieces(graph, where, about, content)
        return
    whole = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        **about,
        "contentBytes": base64.b64encode(content).decode(),
    }
    _done(graph.write("POST", where, body=orjson.dumps(whole)))


def _attach_in_pieces(graph: Graph, where: str, about: dict[str, object], content: bytes) -> None:
    item = {"attachmentType": "file", "size": len(content), **about}
    body = orjson.dumps({"AttachmentItem": item})
    opened = _done(graph.write("POST", f"{where}/createUploadSession", body=body))
    url = opened.body.get("uploadUrl") if isinstance(opened.body, dict) else None
    if not isinstance(url, str):
        raise errors.unusable("a session without an address")
    for start in range(0, len(content), _PIECE_BYTES):
        piece = content[start : start + _PIECE_BYTES]
        _done(graph.upload(url, piece, start=start, size=len(content)))


def _done(reply: Reply) -> Reply:
    if not reply.done:
        raise sending_errors.failure(reply)
    return reply


def _about(file: EmailMessage) -> dict[str, object]:
    about: dict[str, object] = {
        "name": file.get_filename("attachment"),
        "contentType": file.get_content_type(),
        "isInline": file.get_content_disposition() == "inline",
    }
    identifier = str(file.get("Content-ID", "")).strip().strip("<>")
    return {**about, "contentId": identifier} if identifier else about
