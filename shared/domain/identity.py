"""Which message and which thread something is, derived from the message itself.

No look-up is needed: the same mail in two mailboxes, or fetched twice, gets the same ids, and two
different mails that share a Message-ID get different ones. A message's id depends on everything it
opens: text, HTML and what is attached. So nobody who does not have the content already can make a
mail that counts as another copy of it, neither to replace it nor to be let in to it.

A thread is named by its root: the first of References (RFC 5322, 3.6.4), else In-Reply-To, else the
message's own id. A message id starts with its thread's, so a message is found in its thread's
partition. Never by subject. Which other threads its header shows it to be one with (`also_named`)
follows from the message as well, whatever else has arrived.
"""

import base64
import hashlib
from collections.abc import Sequence

from shared.domain.ids import MessageId, TenantId, ThreadId
from shared.domain.message import Message, ParsedMessage, StoredAttachment

_THREAD_BYTES = 15
_MESSAGE_BYTES = 15
_FINGERPRINT_BYTES = 30


def thread_and_message_id(
    tenant_id: TenantId, message: ParsedMessage, attachments: Sequence[StoredAttachment]
) -> tuple[ThreadId, MessageId]:
    """Return the ids of `message` with its `attachments` as stored, inside `tenant_id`."""
    own = message.internet_message_id or ""
    fingerprint = _digest(
        _FINGERPRINT_BYTES,
        hashlib.sha256(message.fingerprint_source).hexdigest(),
        *(name for kept in attachments for name in (kept.filename, _content_of(kept))),
    )
    root = root_of(message.references, message.in_reply_to, own) or f"fingerprint:{fingerprint}"
    thread_id = thread_named(tenant_id, root)
    name = _digest(_MESSAGE_BYTES, tenant_id, own, fingerprint)
    return thread_id, MessageId(f"m{thread_id[1:]}{name}")


def root_of(references: Sequence[str], in_reply_to: str | None, own: str) -> str:
    """Return the Message-ID that names a message's thread; empty where nothing does."""
    return next((root for root in (*references[:1], in_reply_to, own) if root), "")


def thread_named(tenant_id: TenantId, root: str) -> ThreadId:
    """Return the thread that `root` names inside `tenant_id`; nobody need have it."""
    return ThreadId("t" + _digest(_THREAD_BYTES, tenant_id, root))


def also_named(tenant_id: TenantId, message: Message) -> frozenset[ThreadId]:
    """Return the threads that replies to `message`, or to what it answers, may be under.

    A reply whose References begin late, or that has In-Reply-To alone, is named by one of these.
    """
    named = {name for name in (*message.references[-1:], message.in_reply_to) if name}
    found = {thread_named(tenant_id, name) for name in named}
    return frozenset(found | own_thread(tenant_id, message)) - {message.thread_id}


def own_thread(tenant_id: TenantId, message: Message) -> frozenset[ThreadId]:
    """Return the thread that begins with `message`, as far as it has an id to be named by."""
    own = message.internet_message_id
    return frozenset({thread_named(tenant_id, own)} if own else ())


def further_id(message_id: MessageId) -> MessageId:
    """Return the id of the message that holds the copies which `message_id` has no room for."""
    start = 1 + _encoded_length(_THREAD_BYTES)
    return MessageId(message_id[:start] + _digest(_MESSAGE_BYTES, "further", message_id))


def thread_of(message_id: MessageId) -> ThreadId | None:
    """Return the thread a message id belongs to, or None for a text that is no message id."""
    length = _encoded_length(_THREAD_BYTES)
    if len(message_id) != 1 + length + _encoded_length(_MESSAGE_BYTES):
        return None
    if message_id[0] != "m" or not message_id.isascii() or not message_id.isalnum():
        return None
    return ThreadId("t" + message_id[1 : 1 + length])


def _content_of(kept: StoredAttachment) -> str:
    # By content, because a size or a name could be guessed.
    return kept.digest or f"missing:{kept.missing}"


def _encoded_length(size: int) -> int:
    return size * 8 // 5


def _digest(size: int, *parts: str) -> str:
    hasher = hashlib.blake2b(digest_size=size)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        hasher.update(len(data).to_bytes(8, "big") + data)
    return base64.b32encode(hasher.digest()).decode("ascii").lower()
