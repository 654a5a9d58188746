"""Decides how flags are set and messages moved so that no mail is lost that nobody moved.

By UID and numbering alone, in a folder that was selected for it. A message is moved by MOVE, which
is one step (RFC 6851); else copied first, and only then taken out, by UID EXPUNGE of it alone
(RFC 4315). A plain EXPUNGE takes along whatever somebody else has marked, so a server that has
neither moves nothing. Where a session dies between copying and taking out, a second copy is left;
where the server refuses to take out what it copied, that is not tried again.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.change import Change, ChangeFate, ChangeOutcome
from shared.domain.errors import ErrorCode, RetryLaterError
from shared.domain.folders import Folder
from shared.domain.ids import FolderId, ProviderMessageId
from shared.providers.imap import errors, grammar
from shared.providers.imap.folders import ListedFolder
from shared.providers.imap.position import LARGEST_UID
from shared.providers.imap.searching import among_commands, found_uids
from shared.providers.imap.session import OpenFolders, message_id, uid_of
from shared.providers.imap.wire import Answer

GONE = ChangeOutcome(ChangeFate.GONE)
_SEEN, _FLAGGED, _DELETED = b"\\Seen", b"\\Flagged", b"\\Deleted"
_MOVES_PER_WRITE = 500
"""Messages: few enough that what became of them is told in one line."""
_NO_FOLDER = frozenset({"TRYCREATE", "NONEXISTENT"})
_NO_RIGHT = frozenset({"NOPERM", "CANNOT", "READ-ONLY", "HASCHILDREN", "CLIENTBUG"})

Outcomes = Iterator[tuple[ProviderMessageId, ChangeOutcome]]
Places = Mapping[int, tuple[int, int]]
"""Numbering and UID by the UID a message had before."""


def apply(open_folders: OpenFolders, changes: Sequence[Change]) -> Outcomes:
    """Make changes, folder by folder; see `ChangeSession.apply`."""
    listed = {one.folder.id: one for one in open_folders.list_folders()}
    by_folder: dict[FolderId, list[Change]] = defaultdict(list)
    for change in changes:
        folder_id = FolderId(change.provider_message_id.rsplit(".", 2)[0])
        by_folder[folder_id].append(change)
    for folder_id, wanted in by_folder.items():
        source = listed.get(folder_id)
        if source is None or not source.folder.selectable:
            yield from ((one.provider_message_id, GONE) for one in wanted)
            continue
        yield from _in_folder(open_folders, source, listed, wanted)


def _in_folder(
    open_folders: OpenFolders,
    source: ListedFolder,
    listed: Mapping[FolderId, ListedFolder],
    changes: Sequence[Change],
) -> Outcomes:
    select = open_folders.select_commands(source.raw, to_change=True)
    uids = [int(one.provider_message_id.rsplit(".", 2)[2]) for one in changes]
    answers = open_folders.wire.exchange([*select, *among_commands(open_folders, uids)])
    try:
        uidvalidity = open_folders.take_selection(source.raw, answers, select)
    except RetryLaterError as error:
        later = ChangeOutcome(ChangeFate.LATER, error.code)
        yield from ((one.provider_message_id, later) for one in changes)
        return
    for answer in answers[len(select) :]:
        answer.require_ok()
    there = set(found_uids(answers, 1, LARGEST_UID))
    left: dict[int, Change] = {}
    for change in changes:
        uid = uid_of(change.provider_message_id, uidvalidity)
        if uid is None or uid not in there:
            # Of another numbering, or taken away: whoever looks next is told where it is.
            yield change.provider_message_id, GONE
        else:
            left[uid] = change
    selected = _Selected(open_folders, source.folder, uidvalidity, answers[len(select) - 1])
    refused = selected.set_flags(left)
    yield from ((left.pop(uid).provider_message_id, one) for uid, one in refused.items())
    by_target: dict[FolderId, list[int]] = defaultdict(list)
    for uid, change in left.items():
        name, target = change.provider_message_id, change.wanted.move_to
        if target is None:
            yield name, ChangeOutcome(ChangeFate.DONE, provider_message_id=name)
        elif target == source.folder.id:
            yield name, _is_now(name, target)
        else:
            by_target[target].append(uid)
    for target, moving in by_target.items():
        for start in range(0, len(moving), _MOVES_PER_WRITE):
            part = moving[start : start + _MOVES_PER_WRITE]
            outcomes = selected.move(part, listed.get(target))
            yield from ((left[uid].provider_message_id, one) for uid, one in outcomes.items())


def _is_now(name: ProviderMessageId | None, folder_id: FolderId) -> ChangeOutcome:
    return ChangeOutcome(
        ChangeFate.DONE, provider_message_id=name, folder_ids=frozenset({folder_id})
    )


@dataclass(slots=True)
class _Selected:
    """A folder that was selected to be changed."""

    open_folders: OpenFolders
    folder: Folder
    uidvalidity: int
    selection: Answer
    """What selecting it brought."""
    _refused: dict[int, ChangeOutcome] = field(default_factory=dict)

    def set_flags(self, changes: Mapping[int, Change]) -> dict[int, ChangeOutcome]:
        """Set and take away what is wanted; return what was not done, by UID."""
        by_command: dict[bytes, list[int]] = defaultdict(list)
        for uid, change in changes.items():
            for flag, value in ((_SEEN, change.wanted.seen), (_FLAGGED, change.wanted.flagged)):
                if value is not None and not self._keeps(flag):
                    self._refused[uid] = _refusal(ErrorCode.CHANGE_REFUSED)
                elif value is not None:
                    by_command[b"%cFLAGS.SILENT (%s)" % (b"-+"[value], flag)].append(uid)
        asked = [
            (b"UID STORE %s %s" % (part, command), grammar.read_set(part, 1, LARGEST_UID))
            for command, uids in by_command.items()
            for part in grammar.sequence_sets(uids)
        ]
        answers = self.open_folders.wire.exchange([command for command, _spans in asked])
        for answer, (_command, spans) in zip(answers, asked, strict=True):
            if not answer.ok:
                outcome = _why_not(answer)
                for uid in changes:
                    if any(first <= uid <= last for first, last in spans):
                        self._refused[uid] = outcome
        return self._refused

    def move(self, uids: Sequence[int], target: ListedFolder | None) -> dict[int, ChangeOutcome]:
        """Move messages to another folder; return what became of each, by UID."""
        if target is None or not target.folder.selectable:
            return dict.fromkeys(uids, _refusal(ErrorCode.FOLDER_NOT_FOUND))
        if self._is_read_only():
            return dict.fromkeys(uids, _refusal(ErrorCode.CHANGE_REFUSED))
        can = self.open_folders.session.can
        if can(b"MOVE"):
            answers = self._exchange(uids, b"UID MOVE", grammar.quoted(target.raw))
            return self._outcomes(uids, target.folder, answers)
        if not can(b"UIDPLUS") or not self._keeps(_DELETED):
            return dict.fromkeys(uids, _refusal(ErrorCode.CHANGE_REFUSED))
        outcomes: dict[int, ChangeOutcome] = {}
        for part in grammar.sequence_sets(uids):
            spans = grammar.read_set(part, 1, LARGEST_UID)
            named = [uid for uid in uids if any(low <= uid <= high for low, high in spans)]
            outcomes |= self._copy_and_take_out(named, target)
        return outcomes

    def _copy_and_take_out(
        self, uids: Sequence[int], target: ListedFolder
    ) -> dict[int, ChangeOutcome]:
        copied = self._exchange(uids, b"UID COPY", grammar.quoted(target.raw))
        if not all(answer.ok for answer in copied):
            return self._outcomes(uids, target.folder, copied)
        for verb, rest in ((b"UID STORE", b"+FLAGS.SILENT (\\Deleted)"), (b"UID EXPUNGE", b"")):
            if not all(answer.ok for answer in self._exchange(uids, verb, rest)):
                # Asked again, it would be copied again, and so for a day.
                return dict.fromkeys(uids, _refusal(ErrorCode.CHANGE_REFUSED))
        return self._outcomes(uids, target.folder, copied)

    def _outcomes(
        self, uids: Sequence[int], target: Folder, answers: Sequence[Answer]
    ) -> dict[int, ChangeOutcome]:
        refused = next((answer for answer in answers if not answer.ok), None)
        places = _places_told(answers, uids)
        return {uid: self._moved(uid, places, target, refused) for uid in uids}

    def _moved(
        self, uid: int, places: Places, target: Folder, refused: Answer | None
    ) -> ChangeOutcome:
        if uid in places:
            return _is_now(message_id(target, *places[uid]), target.id)
        if refused is not None:
            return _why_not(refused)
        # Named among those that moved, or nobody is named.
        return GONE if places else _is_now(None, target.id)

    def _exchange(self, uids: Sequence[int], verb: bytes, rest: bytes = b"") -> list[Answer]:
        parts = grammar.sequence_sets(uids)
        return self.open_folders.wire.exchange(
            [b" ".join(filter(None, (verb, part, rest))) for part in parts]
        )

    def _keeps(self, flag: bytes) -> bool:
        """Whether a flag that is set here stays, as far as the server says."""
        if self._is_read_only():
            return False
        for response in self.selection.untagged:
            status = grammar.status_text(response[0])
            if status is not None and status.code == "PERMANENTFLAGS":
                return flag.lower() in status.arguments.lower().strip(b"()").split()
        return True

    def _is_read_only(self) -> bool:
        return self.selection.status is not None and self.selection.status.code == "READ-ONLY"


def _places_told(answers: Sequence[Answer], uids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return what COPYUID says, whichever response it came with; nothing where it is unreadable."""
    found: dict[int, tuple[int, int]] = {}
    for answer in answers:
        lines = (grammar.status_text(response[0]) for response in answer.untagged)
        for status in (*lines, answer.status):
            if status is None or status.code != "COPYUID":
                continue
            try:
                found |= _read_copyuid(status.arguments, len(uids))
            except grammar.GrammarError:
                continue
    return {uid: found[uid] for uid in uids if uid in found}


def _read_copyuid(arguments: bytes, most: int) -> dict[int, tuple[int, int]]:
    numbering, before, after = (*arguments.split(b" "), None, None)[:3]
    uidvalidity = grammar.number(numbering)
    if not uidvalidity or uidvalidity > LARGEST_UID:
        raise grammar.GrammarError("no numbering")
    spans = [grammar.read_set(one, 1, LARGEST_UID) for one in (before, after)]
    if any(grammar.count(one) > most for one in spans):
        raise grammar.GrammarError("more than were asked for")
    old, new = ([uid for low, high in one for uid in range(low, high + 1)] for one in spans)
    if len(old) != len(new):
        raise grammar.GrammarError("not one for each")
    return {uid: (uidvalidity, place) for uid, place in zip(old, new, strict=True)}


def _refusal(code: ErrorCode) -> ChangeOutcome:
    return ChangeOutcome(ChangeFate.REFUSED, code)


def _why_not(answer: Answer) -> ChangeOutcome:
    """Return what a refused command means for the messages it named."""
    status = answer.refusal
    if status.code in _NO_FOLDER:
        return _refusal(ErrorCode.FOLDER_NOT_FOUND)
    if status.code in _NO_RIGHT:
        return _refusal(ErrorCode.CHANGE_REFUSED)
    return ChangeOutcome(ChangeFate.LATER, errors.from_imap_command(status).code)
