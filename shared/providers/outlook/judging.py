"""Decides how headers are read where messages are judged: twenty in a batch, as properties.

Graph gives no header without the message; a message's properties with `internetMessageHeaders`,
which come only where they are asked for and not of what was never sent
(learn.microsoft.com/graph/api/resources/message), hold all that judges one. Each costs one of the
mailbox's requests, and the fetching of what is kept then needs no further one to learn of it.
"""

from collections.abc import Iterator, Sequence

from shared.domain.errors import MailroomError
from shared.domain.ids import ProviderMessageId
from shared.domain.message import FetchedMessage, MissingMessage
from shared.providers.outlook.apart import HEADER_PROPERTIES, judged_header
from shared.providers.outlook.entries import FIELDS, read_entry
from shared.providers.outlook.failing import Doubts, Failure, Outcome
from shared.providers.outlook.graph import PARTS
from shared.providers.outlook.session import Item, Session

_PROPERTIES = f"{FIELDS},{HEADER_PROPERTIES}"


def fetch_headers(
    session: Session, ids: Sequence[ProviderMessageId]
) -> Iterator[FetchedMessage | MissingMessage]:
    """Yield each of `ids` once; see `MailSession.fetch_headers`.

    What was read before a refusal has been yielded when the refusal is raised.
    """
    names = list(dict.fromkeys(ids))
    doubts = Doubts(session.graph, names)
    for start in range(0, len(names), PARTS):
        told = session.properties(names[start : start + PARTS], _PROPERTIES)
        for name, stored in told.items():
            yield from doubts.judged(_outcome(session, name, stored))
    yield from doubts.settled()


def _outcome(
    session: Session, name: ProviderMessageId, stored: Item | MailroomError | None
) -> Outcome:
    if isinstance(stored, MailroomError):
        return Failure(name, stored)
    entry = read_entry(stored) if stored is not None else None
    # A draft is no message yet, as in `fetching`.
    if stored is None or entry is None or entry.flags.draft:
        return MissingMessage(name, "gone")
    session.meet([entry])
    header = judged_header(stored)
    return FetchedMessage(
        provider_message_id=name,
        received_at=entry.received_at,
        size=len(header),
        flags=entry.flags,
        header=header,
        provider_thread_id=entry.thread,
        folder_ids=frozenset({entry.folder_id}) if entry.folder_id else None,
    )
