"""What each kind of id is called, so that the type checker stops a swap."""

from typing import NewType

TenantId = NewType("TenantId", str)
UserId = NewType("UserId", str)
MailboxId = NewType("MailboxId", str)
FolderId = NewType("FolderId", str)
ProviderMessageId = NewType("ProviderMessageId", str)
"""The provider's name for one copy of a message; opaque outside its adapter."""
MessageId = NewType("MessageId", str)
ThreadId = NewType("ThreadId", str)
ContactId = NewType("ContactId", str)
RunId = NewType("RunId", str)
BackfillId = NewType("BackfillId", str)
Address = NewType("Address", str)
"""A canonical e-mail address, as `addresses.canonical_address` returns it."""
