"""Decides how what people do with mail here is done through Graph: looked at, marked, then moved.

Twenty messages go together, in three requests at most: how they are, what has to be marked, what
has to be moved. What is so already is left alone: a second move would make it a new item for every
other program, and taking a mark away would take a flag that says `complete`. A message keeps its
immutable id when it moves (learn.microsoft.com/graph/outlook-immutable-id).
"""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from shared.domain.change import Change, ChangeFate, ChangeOutcome
from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import FolderId, ProviderMessageId
from shared.providers.outlook import errors
from shared.providers.outlook.failing import may_be_its_own, reads_others
from shared.providers.outlook.graph import PARTS, AnswerTooLargeError, Graph, Part, Reply
from shared.providers.outlook.paths import message_path
from shared.providers.outlook.session import Item, Session, is_gone

_LOOKED_AT = "id,parentFolderId,isRead,flag"
_CONFLICTS = frozenset({"errorirresolvableconflict", "errorstaleobject", "errormovecopyfailed"})
_CONFLICT_STATUSES = frozenset({409, 412})

_Outcomes = Iterator[tuple[ProviderMessageId, ChangeOutcome]]


def apply(session: Session, changes: Sequence[Change]) -> _Outcomes:
    """Make changes; see `ChangeSession.apply`."""
    missing = _folders_missing(session.graph, changes)
    left: list[Change] = []
    for one in changes:
        if one.wanted.move_to in missing:
            refused = ChangeOutcome(ChangeFate.REFUSED, ErrorCode.FOLDER_NOT_FOUND)
            yield one.provider_message_id, refused
        else:
            left.append(one)
    for start in range(0, len(left), PARTS):
        yield from _Group(session, left[start : start + PARTS]).made()


def _folders_missing(graph: Graph, changes: Sequence[Change]) -> frozenset[FolderId]:
    """Return where nothing can be moved: of a move Graph says 404 for message and folder alike."""
    targets = list(dict.fromkeys(one.wanted.move_to for one in changes if one.wanted.move_to))
    urls = [f"/me/mailFolders/{quote(one, safe='')}?$select=id" for one in targets]
    missing = set()
    for target, reply in zip(targets, graph.batch([Part(url) for url in urls]), strict=True):
        if is_gone(reply):
            missing.add(target)
        elif not reply.ok:
            raise reply.failure()
    return frozenset(missing)


class _Group:
    """As many changes as go together."""

    def __init__(self, session: Session, changes: Sequence[Change]) -> None:
        self._session = session
        self._graph = session.graph
        self._changes = {one.provider_message_id: one for one in changes}
        self._outcomes: dict[ProviderMessageId, ChangeOutcome] = {}
        self._failed: dict[ProviderMessageId, MailroomError] = {}
        self._wrote = False

    def made(self) -> _Outcomes:
        """Make them; raises for what stands in the way of all, after what is known was told."""
        told = self._looked_at()
        self._write({name: part for name in told if (part := self._marks(name, told[name]))})
        moved = {name: part for name in told if (part := self._move(name, told[name]))}
        self._write(moved)
        for name in told.keys() - self._outcomes.keys() - self._failed.keys():
            target = self._changes[name].wanted.move_to
            yield (
                name,
                ChangeOutcome(
                    ChangeFate.DONE,
                    provider_message_id=name,
                    folder_ids=frozenset({target}) if target else None,
                ),
            )
        yield from self._outcomes.items()
        yield from self._judged()

    def _looked_at(self) -> Mapping[ProviderMessageId, Item]:
        told: dict[ProviderMessageId, Item] = {}
        for name, found in self._session.properties(list(self._changes), _LOOKED_AT).items():
            if isinstance(found, MailroomError):
                self._failed[name] = found
            elif found is None:
                self._outcomes[name] = ChangeOutcome(ChangeFate.GONE)
            else:
                told[name] = found
        return told

    def _marks(self, name: ProviderMessageId, found: Item) -> Part | None:
        wanted = self._changes[name].wanted
        flag = found.get("flag")
        flagged = isinstance(flag, dict) and flag.get("flagStatus") == "flagged"
        body: dict[str, object] = {}
        if wanted.seen is not None and wanted.seen is not found.get("isRead"):
            body["isRead"] = wanted.seen
        if wanted.flagged is not None and wanted.flagged is not flagged:
            body["flag"] = {"flagStatus": "flagged" if wanted.flagged else "notFlagged"}
        return Part(message_path(name), method="PATCH", body=body) if body else None

    def _move(self, name: ProviderMessageId, found: Item) -> Part | None:
        target = self._changes[name].wanted.move_to
        if target is None or found.get("parentFolderId") == target or self._is_settled(name):
            return None
        return Part(f"{message_path(name)}/move", method="POST", body={"destinationId": target})

    def _is_settled(self, name: ProviderMessageId) -> bool:
        return name in self._outcomes or name in self._failed

    def _write(self, parts: Mapping[ProviderMessageId, Part]) -> None:
        for name, reply in zip(parts, self._answers(list(parts.values())), strict=True):
            if reply.done:
                self._wrote = True
                continue
            outcome = _own_outcome(reply, moving=parts[name].method == "POST")
            if outcome is not None:
                self._outcomes[name] = outcome
            else:
                self._failed[name] = reply.failure()

    def _answers(self, parts: list[Part]) -> list[Reply]:
        try:
            return self._graph.batch(parts)
        except AnswerTooLargeError:
            # Whole messages came back; to repeat a change is harmless.
            return [reply for part in parts for reply in self._graph.batch([part])]

    def _judged(self) -> _Outcomes:
        """Yield what is one message's own trouble where others can be worked on; else raise it."""
        for name, error in self._failed.items():
            passes = isinstance(error, RetryLaterError)
            others_work = self._wrote or (passes and reads_others(self._graph, self._changes))
            if not others_work or not may_be_its_own(error, self._graph):
                raise error
            if passes:
                yield name, ChangeOutcome(ChangeFate.LATER, error.code)
            else:
                yield name, ChangeOutcome(ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)


def _own_outcome(reply: Reply, *, moving: bool) -> ChangeOutcome | None:
    """Return what an answer says of one message, or None where it may speak of all."""
    if is_gone(reply):
        if moving:
            # Or its folder is, since both were seen a moment ago: the next look tells.
            return ChangeOutcome(ChangeFate.LATER, ErrorCode.MESSAGE_UNAVAILABLE)
        return ChangeOutcome(ChangeFate.GONE)
    if reply.status in _CONFLICT_STATUSES or _CONFLICTS & {*errors.codes_of(reply.body)}:
        # Somebody else changes it at this moment.
        return ChangeOutcome(ChangeFate.LATER, ErrorCode.MESSAGE_UNAVAILABLE)
    if reply.failure().code is ErrorCode.ANSWER_NOT_UNDERSTOOD:
        return ChangeOutcome(ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)
    return None
