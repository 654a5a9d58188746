"""Which requests are counted, and as what: those that cost a mail server, a provider or a queue.

What only reads the table is not: API Gateway's own limit bounds it, and reading stays free of
writes.
"""

from collections.abc import Mapping

from shared.domain.rate_limits import Act

LIMITED: Mapping[tuple[str, str], Act] = {
    ("POST", "/v1/mailboxes/test"): Act.CONNECT,
    ("POST", "/v1/mailboxes"): Act.CONNECT,
    ("POST", "/v1/mailboxes/<mailbox_id>/reconnect"): Act.CONNECT,
    ("POST", "/v1/mailboxes/authorize"): Act.SIGN_IN,
    ("GET", "/v1/mailboxes/<mailbox_id>/backfill-preview"): Act.PREVIEW,
    ("POST", "/v1/mailboxes/<mailbox_id>/sync"): Act.SYNC,
    ("POST", "/v1/uploads"): Act.UPLOAD,
    ("POST", "/v1/sends"): Act.SEND,
    ("POST", "/v1/mailboxes/<mailbox_id>/test-messages"): Act.TEST_MESSAGE,
}
"""By method and route."""
