"""A parser for the plain messages operations' tests write, behind the port `MessageParser`."""

import email
from email.utils import getaddresses, parsedate_to_datetime

from shared.domain.addresses import canonical_address
from shared.domain.contents import Picture, SeenContent
from shared.domain.errors import ErrorCode, UnreadableMessageError
from shared.domain.message import (
    FetchedMessage,
    ParsedAttachment,
    ParsedMessage,
    Participant,
    ParticipantRole,
)
from shared.mime.fields import kept_headers


class PlainParser:
    """Reads ASCII messages; one with `X-Test: unreadable` is refused until the parser is mended."""

    mended = False

    def recognise(self, content_type: str, content: bytes) -> SeenContent | None:
        return Picture("image/png") if content.startswith(b"picture") else None

    def parse(self, message: FetchedMessage) -> ParsedMessage:
        mail = email.message_from_bytes(message.header if message.raw is None else message.raw)
        if mail["X-Test"] == "unreadable" and not self.mended:
            raise UnreadableMessageError(ErrorCode.MESSAGE_MALFORMED)
        participants = tuple(
            Participant(role, address, name)
            for role in (ParticipantRole.FROM, ParticipantRole.TO, ParticipantRole.CC)
            for name, text in getaddresses([str(mail.get(role.value, ""))])
            if (address := canonical_address(text)) is not None
        )
        attachments = ()
        if mail["X-Attachment"]:
            content = str(mail["X-Attachment"]).encode()
            attachments = (
                ParsedAttachment("file.txt", "text/plain", len(content), content=content),
            )
        text = str(mail.get_payload())
        return ParsedMessage(
            internet_message_id=str(mail["Message-ID"]).strip("<>") if mail["Message-ID"] else None,
            references=tuple(
                str(mail.get("References", "")).replace("<", "").replace(">", "").split()
            ),
            in_reply_to=None,
            subject=str(mail.get("Subject", "")),
            sent_at=parsedate_to_datetime(str(mail["Date"])) if mail["Date"] else None,
            participants=participants,
            text=text,
            html=None,
            snippet=text[:50],
            attachments=attachments,
            headers=kept_headers({name.lower(): [value] for name, value in mail.items()}),
            fingerprint_source=repr((mail["From"], mail["Date"], mail["Subject"], text)).encode(),
        )
