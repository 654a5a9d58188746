"""Whether a mail whose outcome nobody knows is stored as somebody's who got it.

A recipient's mailbox may be connected to the same tenant: what sync took in there is proof that
the mail was sent, whatever the sender's provider shows.
"""

from shared.domain.identity import root_of, thread_named
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, Flags, place_of
from shared.domain.sending import Send
from shared.ports.parser import MessageParser
from shared.ports.reading import READ_AT_ONCE, MailReader, Wanted
from shared.ports.stores import MessageStore


def has_arrived_here(
    send: Send, content: bytes, *, messages: MessageStore, reader: MailReader, parser: MessageParser
) -> bool:
    """Return whether another mailbox of the tenant holds the mail; `content` is as it was sent.

    By Message-ID in the thread it belongs to, which lags a moment behind what is stored. The
    sender's own copies prove nothing: one may be a draft. Raises what the stores raise, and
    `UnreadableMessageError` for content nobody can read.
    """
    fetched = FetchedMessage(ProviderMessageId(""), send.due_at, len(content), Flags(), raw=content)
    parsed = parser.parse(fetched)
    own = parsed.internet_message_id or ""
    thread_id = thread_named(send.tenant_id, root_of(parsed.references, parsed.in_reply_to, own))
    newest = messages.thread(send.tenant_id, thread_id)[-READ_AT_ONCE:]
    wanted = Wanted(messages=frozenset(entry.message_id for entry in newest))
    found = reader.read(send.tenant_id, wanted).messages.values() if newest else ()
    return any(
        place_of(ref)[0] != send.mailbox_id
        for message in found
        if own and message.internet_message_id == own
        for ref in message.copies
    )
