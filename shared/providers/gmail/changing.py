"""Decides which labels a change sets and takes away, and what Gmail's answer says became of it.

Each message by `messages.modify`, fifty to an HTTP batch: five units, and an answer that says where
it is by now, or that it is gone. `batchModify` takes a thousand for fifty units and says neither,
so each would be asked about for twenty more. A move leaves the inbox, the trash and spam, as
`messages.trash` does for twenty units; labels that people gave stay. Source:
developers.google.com/workspace/gmail/api/guides/labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from shared.domain.change import Change, ChangeFate, ChangeOutcome, Wanted
from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import FolderId, ProviderMessageId
from shared.providers.gmail import batch, errors, labels, units
from shared.providers.gmail.api import GmailApi, objects, texts

_OK, _BAD_REQUEST, _UNAUTHORIZED, _NOT_FOUND = 200, 400, 401, 404
_LEFT_BY_A_MOVE = (labels.INBOX, labels.TRASH, labels.SPAM)
_NEVER_SET = frozenset({labels.ALL.id, labels.SENT, labels.DRAFT, labels.CHAT})
"""Labels that only Gmail gives, and what is none."""
_OF_ONE = frozenset({ErrorCode.PROVIDER_UNAVAILABLE, ErrorCode.ANSWER_NOT_UNDERSTOOD})
"""What may be the trouble of one message."""

Outcomes = Iterator[tuple[ProviderMessageId, ChangeOutcome]]


def apply(api: GmailApi, changes: Sequence[Change]) -> Outcomes:
    """Make changes; see `ChangeSession.apply`."""
    there = _labels_there(api) if any(one.wanted.move_to for one in changes) else frozenset[str]()
    left: dict[str, Change] = {}
    for change in changes:
        if code := _never(change.wanted.move_to, there):
            yield change.provider_message_id, ChangeOutcome(ChangeFate.REFUSED, code)
        else:
            left[change.provider_message_id] = change
    names = list(left)
    for at in range(0, len(names), batch.MOST_PARTS):
        yield from _made(api, {name: left[name] for name in names[at : at + batch.MOST_PARTS]})


def _made(api: GmailApi, left: dict[str, Change]) -> Outcomes:
    """Make as many as go into a batch, and those that it did not answer alone."""
    in_the_way: MailroomError | None = None
    if len(left) > 1:
        wanted = {name: _label_changes(one.wanted) for name, one in left.items()}
        # What it breaks off of is asked for alone; to repeat a change is harmless.
        with suppress(RetryLaterError), api.modify_together(wanted) as parts:
            for part in parts:
                change = left.get(part.asked)
                if change is None or part.status == _UNAUTHORIZED:
                    continue
                try:
                    outcome = _outcome(part, change)
                except MailroomError as error:
                    in_the_way = error
                    continue
                del left[part.asked]
                yield change.provider_message_id, outcome
    if in_the_way is not None:
        raise in_the_way
    for change in left.values():
        part = api.modify(change.provider_message_id, _label_changes(change.wanted))
        yield change.provider_message_id, _outcome(part, change)


def _outcome(part: batch.Part, change: Change) -> ChangeOutcome:
    """Return what an answer says of a change; raises what stands in the way of others too."""
    if part.status == _NOT_FOUND:
        return ChangeOutcome(ChangeFate.GONE)
    body = bytes(part.body)
    if part.status == _OK:
        found = errors.decoded_object(body)
        name = change.provider_message_id
        if found is None or found.get("id") != name:
            return ChangeOutcome(ChangeFate.LATER, ErrorCode.ANSWER_NOT_UNDERSTOOD)
        places = labels.folder_ids(texts(found, "labelIds")) if change.wanted.move_to else None
        return ChangeOutcome(ChangeFate.DONE, provider_message_id=name, folder_ids=places)
    refusal = errors.from_api(part.status, part.headers, body)
    if part.status == _BAD_REQUEST and refusal.code in _OF_ONE:
        return ChangeOutcome(ChangeFate.REFUSED, ErrorCode.CHANGE_REFUSED)
    if isinstance(refusal, RetryLaterError) and refusal.code in _OF_ONE:
        return ChangeOutcome(ChangeFate.LATER, refusal.code)
    raise refusal


def _label_changes(wanted: Wanted) -> Mapping[str, Any]:
    marks = (
        (labels.UNREAD, None if wanted.seen is None else not wanted.seen),
        (labels.STARRED, wanted.flagged),
    )
    added = [label for label, is_set in marks if is_set is True]
    removed = [label for label, is_set in marks if is_set is False]
    if target := wanted.move_to:
        added += [target] if target != labels.ARCHIVE.id else []
        removed += [label for label in _LEFT_BY_A_MOVE if label != target]
    return {"addLabelIds": added, "removeLabelIds": removed}


def _never(target: FolderId | None, there: frozenset[str]) -> ErrorCode | None:
    if target is None or target == labels.ARCHIVE.id:
        return None
    if target in _NEVER_SET:
        return ErrorCode.CHANGE_REFUSED
    return None if target in there else ErrorCode.FOLDER_NOT_FOUND


def _labels_there(api: GmailApi) -> frozenset[str]:
    found = api.get("labels", {"fields": "labels(id,name)"}, cost=units.LABELS_LIST)
    return frozenset(str(one.id) for one in labels.folders_of(objects(found, "labels")))
