"""How many messages of a mailbox match contacts, judged by the headers of a few of them.

They are looked at while the session lasts, and judged when it is over. A provider that does not let
itself be asked takes nothing else away from a preview.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.domain.direction import direction_of
from shared.domain.errors import CursorExpiredError, RetryLaterError, UnreadableMessageError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.domain.mailbox import FolderState, Mailbox, own_addresses
from shared.domain.matching import why_kept_out
from shared.domain.message import FetchedMessage, MissingMessage, ParsedMessage
from shared.domain.pace import most_at_once
from shared.domain.policy import TenantPolicy
from shared.domain.sampling import Place, Sampled, picked, spread
from shared.domain.taking_part import others_in
from shared.operations.folder_positions import cursor_of
from shared.ports.contacts import ContactStore
from shared.ports.parser import MessageParser
from shared.ports.provider import MailSession, Tally

MOST_LOOKED_AT = 200
"""Messages: a preview has seconds."""
SAMPLE_SHARE = 0.2
"""Of a minute's quota at a provider that counts units: the rest is sync's and an import's."""
MOST_ADDRESSES = 50
"""Of one message are asked about: who wrote it, and the first of those it went to."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A message that was looked at; `stretch` numbers the time between two windows' beginnings."""

    stretch: int
    folder_ids: frozenset[FolderId]
    parsed: ParsedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSample:
    """The messages of one mailbox that are looked at."""

    mailbox: Mailbox
    states: Mapping[FolderId, FolderState]
    """Of its folders: up to their positions messages are listed."""
    parser: MessageParser
    units_per_minute: int

    def look(
        self,
        session: MailSession,
        folders: Sequence[Folder],
        tallies: Mapping[FolderId, Sequence[Tally]],
        borders: Sequence[datetime],
    ) -> list[Looked] | None:
        """Return messages that stand for all that was counted, or None: none could be had.

        `borders` begin with the present; `tallies` have a number for each of the others.
        """
        share = most_at_once(self.mailbox.provider, self.units_per_minute, SAMPLE_SHARE)
        places = spread(
            [_between(tallies, number) for number in range(len(borders) - 1)],
            borders,
            most=int(min(MOST_LOOKED_AT, share)),
        )
        of_folder: dict[FolderId, dict[ProviderMessageId, int]] = {}
        looked: list[Looked] = []
        try:
            for place in places:
                folder = next(one for one in folders if one.id == place.folder_id)
                names = of_folder.setdefault(folder.id, {})
                for name in self._names_at(session, folder, place, borders[0]):
                    names.setdefault(name, place.stretch)
            for folder in folders:
                names = of_folder.get(folder.id, {})
                for fetched in session.fetch_headers(folder, list(names)) if names else ():
                    looked += self._read(folder, fetched, names)
        except (RetryLaterError, CursorExpiredError):
            return None
        return looked

    def _names_at(
        self, session: MailSession, folder: Folder, place: Place, now: datetime
    ) -> Sequence[ProviderMessageId]:
        state = self.states.get(folder.id)
        upto = cursor_of(self.mailbox, state) if state else None
        if upto is None:
            upto = session.baseline(folder, now=now)
        found = session.list_window(folder, since=place.since, before=place.before, upto=upto)
        return picked(found, place.most)

    def _read(
        self,
        folder: Folder,
        fetched: FetchedMessage | MissingMessage,
        stretches: Mapping[ProviderMessageId, int],
    ) -> list[Looked]:
        if isinstance(fetched, MissingMessage):
            return []
        try:
            parsed = self.parser.parse(fetched)
        except UnreadableMessageError:
            # It would be a dead letter, and on nobody's timeline.
            return []
        places = fetched.folder_ids or frozenset({folder.id})
        return [Looked(stretches[fetched.provider_message_id], places, parsed)]

    def judge(
        self,
        looked: Sequence[Looked],
        folders: Mapping[FolderId, Folder],
        *,
        policy: TenantPolicy,
        contacts: ContactStore,
    ) -> list[Sampled]:
        """Return which of the messages a contact takes part in and the policy lets in.

        `folders`: all of the mailbox's. All addresses are looked up together.
        """
        own = own_addresses(self.mailbox)
        people = {
            one: others_in(looked[one].parsed.participants, self.mailbox)
            for one in range(len(looked))
        }
        asked = [address for some in people.values() for address in some[:MOST_ADDRESSES]]
        known = contacts.contacts_by_address(self.mailbox.tenant_id, asked, policy=policy)
        sampled = []
        for number, one in enumerate(looked):
            roles = {folders[name].role for name in one.folder_ids if name in folders}
            direction = direction_of(one.parsed.participants, own, roles)
            is_let_in = why_kept_out(policy, one.parsed, direction) is None
            matches = is_let_in and any(address in known for address in people[number])
            sampled.append(Sampled(one.stretch, matches))
        return sampled


def _between(tallies: Mapping[FolderId, Sequence[Tally]], number: int) -> dict[FolderId, int]:
    """Return how many messages each folder received in a stretch."""
    found = {}
    for folder_id, of_folder in tallies.items():
        later = of_folder[number - 1].messages if number else 0
        found[folder_id] = max(0, of_folder[number].messages - later)
    return found
