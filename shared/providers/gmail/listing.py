"""Decides how messages are listed: which search, how many pages, how long a quota is waited for.

Gmail lists newest first and its page tokens expire (T49), so nobody keeps one: a listing that
breaks off is begun again.
Source: developers.google.com/workspace/gmail/api/guides/filtering (dates in seconds are exact).
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.domain.errors import ErrorCode, MailroomError, RetryLaterError
from shared.domain.ids import ProviderMessageId
from shared.providers.gmail import errors, labels, units
from shared.providers.gmail.api import GmailApi, objects
from shared.providers.gmail.patience import pause
from shared.providers.gmail.scope import Scope

PAGE_IDS = 500
"""The most there are in one page."""
_OVERLAP_SECONDS = 10
"""Windows overlap, so that nothing falls between them however a border is rounded or meant."""
_LISTINGS = 2
"""So often a listing is begun when its page token is refused."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, in seconds since 1970. `begin` 0 is the floor's, `end` 0 is open."""

    begin: int = 0
    end: int = 0

    def with_overlap(self) -> "Window":
        """Return what is listed of it."""
        begin = max(0, self.begin - _OVERLAP_SECONDS)
        return Window(begin, self.end + _OVERLAP_SECONDS if self.end else 0)


@dataclass
class Listing:
    """The ids of one window since a floor, each search made once. Not thread-safe."""

    api: GmailApi
    scope: Scope
    window: Window
    since: datetime | None
    terms: str = ""
    """Of the search, beside those of the time."""
    _labelled: dict[str, frozenset[ProviderMessageId]] = field(default_factory=dict)

    def wanted(self, *, most: int | None = None) -> list[ProviderMessageId] | None:
        """Return the ids that are in an active folder, newest first; None for more than `most`.

        Where only some folders are active, by listing labels: fetching what is not ours to find
        that out would cost twenty units a message, and audits would miss it every time. The rules
        are those of `labels.folder_ids`.
        """
        found, scope = self._list(most=most), self.scope
        if found is None or (scope.archive and not scope.off):
            return found
        on = scope.on
        alone: dict[ProviderMessageId, bool] = {}
        for label in scope.alone:
            for name in self.with_label(label):
                alone.setdefault(name, label in on)
        elsewhere = self._with_any(filter(labels.is_place, scope.off))
        # Where all that is in no other place is ours, only what is elsewhere need be looked for.
        needed = elsewhere or not scope.archive
        active = self._with_any(on) if needed else frozenset[ProviderMessageId]()

        def is_ours(name: ProviderMessageId) -> bool:
            if name in alone:
                return alone[name]
            return name in active or (scope.archive and name not in elsewhere)

        return [name for name in found if is_ours(name)]

    def with_label(self, label: str) -> frozenset[ProviderMessageId]:
        """Return the ids that have a label."""
        if label not in self._labelled:
            self._labelled[label] = frozenset(self._list(label) or ())
        return self._labelled[label]

    def _with_any(self, names: Iterable[str]) -> frozenset[ProviderMessageId]:
        return frozenset(name for label in sorted(names) for name in self.with_label(label))

    def _list(self, label: str = "", *, most: int | None = None) -> list[ProviderMessageId] | None:
        """Return every id that the search finds, each once, as Gmail orders them."""
        parameters = {"maxResults": str(PAGE_IDS), "fields": "messages/id,nextPageToken"}
        parameters["q"] = " ".join(self._words(label))
        if label:
            parameters["labelIds"] = label
        if self.scope.spam_and_trash:
            parameters["includeSpamTrash"] = "true"
        for _ in range(_LISTINGS):
            try:
                return self._pages(parameters, most)
            except _StaleTokenError:
                continue
        raise RetryLaterError(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="page tokens are refused")

    def _words(self, label: str) -> Iterable[str]:
        """Return the search. `after:` takes the second it names, `before:` does not."""
        listed = self.window.with_overlap()
        if listed.begin:
            yield f"after:{listed.begin}"
        elif self.since:
            yield f"after:{int(self.since.timestamp())}"
        if listed.end:
            yield f"before:{listed.end}"
        if self.terms:
            yield self.terms
        if not label:
            yield "-in:chats"
            if not self.scope.drafts:
                yield "-in:drafts"

    def _pages(
        self, parameters: Mapping[str, str], most: int | None
    ) -> list[ProviderMessageId] | None:
        """Return what all pages show; raises `_StaleTokenError` where one's token is refused."""
        ids: dict[ProviderMessageId, None] = {}
        token = ""
        while True:
            page = {**parameters, "pageToken": token} if token else parameters
            unless = {400: _StaleTokenError()} if token else {}
            found = get_patiently(
                self.api, "messages", page, cost=units.MESSAGES_LIST, unless=unless
            )
            for one in objects(found, "messages"):
                ids[ProviderMessageId(str(one.get("id", "")))] = None
            previous, token = token, str(found.get("nextPageToken") or "")
            if most is not None and len(ids) > most:
                return None
            if not token:
                return list(ids)
            if token == previous:
                raise RetryLaterError(
                    ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a page without an end"
                )


class _StaleTokenError(RetryLaterError):
    """A page token that Gmail no longer takes, or never took."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="a page token was refused")


def get_patiently(
    api: GmailApi,
    path: str,
    parameters: Mapping[str, str],
    *,
    cost: int,
    unless: Mapping[int, MailroomError] | None = None,
) -> dict[str, Any]:
    """Ask as `GmailApi.get` does, and again after a pause where Gmail is busy.

    A listing spends a minute's quota faster than fetching does, and one that breaks off for it
    begins its window again. Raises the refusal where the session ends before the pause.
    """
    for tries in itertools.count():
        try:
            return api.get(path, parameters, cost=cost, unless=unless)
        except RetryLaterError as refusal:
            if not errors.is_passing(refusal):
                raise
            pause(api, refusal, tries)
    raise AssertionError("counting has no end")


def number_of(name: ProviderMessageId) -> int:
    """Return a message's id as the number it writes, which grows with arrival."""
    try:
        return int(name, 16)
    except ValueError:
        raise RetryLaterError(
            ErrorCode.ANSWER_NOT_UNDERSTOOD, cause="an id that is no number"
        ) from None
