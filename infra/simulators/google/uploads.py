"""Decides how a body is read: JSON, or a message as it is (`/upload/…`, simple or multipart)."""

from __future__ import annotations

import email
import json
from typing import TYPE_CHECKING, Any

from infra.simulators.google import answers

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

MOST_BYTES = 36_700_160
"""`maxSize` of the discovery document's uploads."""


def read_upload(request: Request) -> tuple[bytes | None, dict[str, Any]]:
    """Return the uploaded message (None without one) and the JSON body. Raises AnswerError."""
    data = request.get_data(cache=True)
    if not request.path.startswith("/upload/"):
        return None, _object(data)
    kind = request.args.get("uploadType", "media")
    if kind == "media":
        return _fitting(data), {}
    if kind != "multipart":
        raise answers.invalid(f"Unsupported uploadType here: {kind}")
    boundary = request.mimetype_params.get("boundary", "")
    pieces = data.split(b"--" + boundary.encode()) if boundary else []
    parts = [_split(piece) for piece in pieces[1:-1]]
    if len(parts) != 2:  # noqa: PLR2004 - the metadata and the message
        raise answers.invalid("Malformed multipart body.")
    return _fitting(parts[1]), _object(parts[0])


def _fitting(media: bytes) -> bytes:
    if len(media) > MOST_BYTES:
        raise answers.too_large(MOST_BYTES)
    return media


def _split(piece: bytes) -> bytes:
    """Return a part's content, its transfer encoding undone."""
    piece = piece.removeprefix(b"\r\n").removeprefix(b"\n")
    # Google's own client ends the part's lines with a bare newline, around a message with CRLF.
    separator = min((b"\r\n\r\n", b"\n\n"), key=lambda s: piece.find(s) % (len(piece) + 1))
    head, _, body = piece.partition(separator)
    body = body.removesuffix(b"\n").removesuffix(b"\r")
    headers = email.message_from_bytes(head)
    if str(headers.get("Content-Transfer-Encoding", "")).lower() == "base64":
        headers.set_payload(body.decode("ascii", "replace"))
        decoded = headers.get_payload(decode=True)
        return decoded if isinstance(decoded, bytes) else b""
    return body


def _object(data: bytes) -> dict[str, Any]:
    if not data.strip():
        return {}
    try:
        found = json.loads(data)
        json.dumps(found, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except ValueError:
        raise answers.invalid("Invalid JSON payload received. Parse Error") from None
    if not isinstance(found, dict):
        raise answers.invalid("Invalid JSON payload received. Root element must be a message.")
    return found
