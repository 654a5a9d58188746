"""Mail that answers mail, with whatever its headers still say of it; and which of it is one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from shared.domain.identity import thread_and_message_id
from shared.domain.ids import MailboxId, MessageId, TenantId
from shared.domain.message import ParsedMessage
from shared.ports.stores import NewCopy
from tests.fakes.values import ADA, BOX, TENANT, a_new_copy, later


@dataclass(frozen=True)
class Mail:
    """One mail as it arrives. `text` tells apart what shares an id."""

    own: str | None
    references: tuple[str, ...] = ()
    in_reply_to: str | None = None
    provider_thread: str | None = None
    text: str = ""
    mailbox_id: MailboxId = BOX
    seconds: int = 0

    @property
    def evidence(self) -> frozenset[str]:
        """All that a test expects to hold it together with others."""
        ids = {one for one in (self.own, self.in_reply_to) if one}
        ids |= {*self.references[:1], *self.references[-1:]}
        if self.provider_thread:
            ids.add(f"{self.mailbox_id}/{self.provider_thread}")
        return frozenset(ids or {f"alone:{self.text}"})


def arriving(mail: Mail, *, tenant_id: TenantId = TENANT) -> NewCopy:
    """Return what is stored of a mail."""
    text = f"{mail.own}-{mail.text}"
    new = a_new_copy(
        text,
        tenant_id=tenant_id,
        mailbox_id=mail.mailbox_id,
        received_at=later(mail.seconds),
        addresses=(ADA,),
    )
    parsed = ParsedMessage(
        internet_message_id=mail.own,
        references=mail.references,
        in_reply_to=mail.in_reply_to,
        subject="s",
        sent_at=None,
        participants=(),
        text=text,
        html=None,
        snippet="",
        attachments=(),
        headers={},
        fingerprint_source=text.encode(),
    )
    thread_id, message_id = thread_and_message_id(tenant_id, parsed, ())
    message = replace(
        new.message,
        id=message_id,
        thread_id=thread_id,
        internet_message_id=mail.own,
        references=mail.references,
        in_reply_to=mail.in_reply_to,
    )
    return replace(
        new,
        message=message,
        copy=replace(new.copy, message_id=message_id),
        provider_thread=mail.provider_thread,
    )


Parts = frozenset[frozenset[MessageId]]


def expected(mails: Iterable[Mail], *, tenant_id: TenantId = TENANT) -> Parts:
    """Return which messages are one thread, by nothing but what each of them says."""
    parts: list[tuple[set[str], set[MessageId]]] = []
    for mail in mails:
        names, ids = set(mail.evidence), {arriving(mail, tenant_id=tenant_id).message.id}
        apart = []
        for other in parts:
            if names.isdisjoint(other[0]):
                apart.append(other)
            else:
                names |= other[0]
                ids |= other[1]
        parts = [*apart, (names, ids)]
    return frozenset(frozenset(ids) for _, ids in parts)


def found(stores, new: Sequence[NewCopy], *, tenant_id: TenantId = TENANT) -> Parts:
    """Return which messages the store says are one thread, having asked for each of them."""
    parts = set()
    roots: Mapping = stores.threads.get_threads(tenant_id, {one.message.thread_id for one in new})
    for one in new:
        thread_id = one.message.thread_id
        whole = [e.message_id for e in stores.messages.thread(tenant_id, thread_id)]
        assert whole == [
            e.message_id for e in stores.messages.thread(tenant_id, roots[thread_id].root)
        ]
        assert one.message.id in whole
        assert len(whole) == len(set(whole))
        parts.add(frozenset(whole))
    by_root = groupby(
        sorted({(roots[one.message.thread_id].root, one.message.id) for one in new}),
        key=lambda pair: pair[0],
    )
    # What lists say, a root for each message, and what a thread shows are the same.
    assert {frozenset(name for _, name in pairs) for _, pairs in by_root} == parts
    return frozenset(parts)
