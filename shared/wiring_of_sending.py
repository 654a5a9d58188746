"""What asking for a mail needs."""

import functools

from shared import wiring
from shared.config import settings
from shared.operations.request_send import SendPorts
from shared.operations.write_mail import WritePorts
from shared.ports.uploads import AttachmentReader, UploadStore
from shared.wiring_of_limits import recipients_of_a_mail, send_caps


@functools.cache
def uploads() -> UploadStore:
    """Return the store of files that will be attached."""
    from shared.aws.upload_store import S3UploadStore

    return S3UploadStore(settings().bucket)


@functools.cache
def attachment_reader() -> AttachmentReader:
    """Return what reads attachments of mail that is passed on."""
    from shared.aws.attachment_store import S3AttachmentStore

    return S3AttachmentStore(settings().bucket)


def send_ports() -> SendPorts:
    """Return them together."""
    return SendPorts(
        mailboxes=wiring.mailboxes(),
        messages=wiring.messages(),
        reader=wiring.mail_reader(),
        write=WritePorts(uploads(), attachment_reader(), wiring.signatures(), wiring.composer()),
        sends=wiring.sends(),
        outgoing=wiring.outgoing(),
        queues=wiring.queues(),
        clock=wiring.clock(),
        caps=send_caps(),
        most_recipients=recipients_of_a_mail(),
    )
