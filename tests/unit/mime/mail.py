"""How these tests hand a message over: whole, or cut into parts as an IMAP server describes it."""

import email
import email.policy
from datetime import UTC, datetime
from pathlib import Path

from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, FetchedPart, Flags, ParsedMessage, RemotePart
from shared.mime.caps import header_end
from shared.mime.parse import MimeParser

PAYLOADS = Path(__file__).parents[2] / "payloads" / "mail"
RECEIVED = datetime(2026, 11, 21, 12, tzinfo=UTC)
ID = ProviderMessageId("1")


def payload(name: str) -> bytes:
    return (PAYLOADS / f"{name}.eml").read_bytes()


def whole(raw: bytes) -> FetchedMessage:
    return FetchedMessage(ID, RECEIVED, len(raw), Flags(), raw=raw)


def parse(raw: bytes) -> ParsedMessage:
    return MimeParser().parse(whole(raw))


def in_parts(raw: bytes, *, fetched_attachments: bool = False) -> FetchedMessage:
    end, _ = header_end(raw)
    parts: list[FetchedPart] = []
    remote: list[RemotePart] = []

    def take(part, section: str) -> None:
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            for number, child in enumerate(part.get_payload(), 1):
                take(child, f"{section}.{number}" if section else str(number))
            return
        disposition = str(part.get("content-disposition", "")).partition(";")[0].lower() or None
        encoding = str(part.get("content-transfer-encoding", "7bit"))
        if part.is_multipart():
            content = part.get_payload(0).as_bytes()
        else:
            del part["content-transfer-encoding"]
            content = part.get_payload(decode=True)
        kind = part.get_content_type()
        content_id = part.get("content-id")
        if kind in ("text/plain", "text/html") or fetched_attachments:
            charset = part.get_param("charset")
            parts.append(
                FetchedPart(
                    section or "1",
                    kind,
                    charset and str(charset),
                    encoding,
                    content,
                    disposition,
                    part.get_filename(),
                    content_id,
                )
            )
        else:
            remote.append(
                RemotePart(
                    section or "1",
                    kind,
                    encoding,
                    len(content),
                    part.get_filename(),
                    disposition,
                    content_id,
                )
            )

    take(email.message_from_bytes(raw, policy=email.policy.compat32), "")
    return FetchedMessage(
        ID, RECEIVED, len(raw), Flags(), header=raw[:end] + b"\r\n\r\n", parts=tuple(parts),
        remote=tuple(remote),
    )  # fmt: skip
