"""Decides what a delta or skip token is good for, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from infra.simulators.microsoft.answers import refuse
from infra.simulators.microsoft.changes import Round
from infra.simulators.microsoft.sealing import BadTokenError, Sealer

if TYPE_CHECKING:
    from infra.simulators.kit.clock import Clock
    from infra.simulators.microsoft.graph_call import GraphCall

_DAY = 86_400.0


class DeltaTokens:
    """Makes and reads the links of delta.

    Attributes:
        days: how long a token is good. Microsoft names no time: it depends on a cache.
    """

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self.days = 30.0
        self._sealer = sealer
        self._clock = clock

    def link(self, graph: GraphCall, following: Round, *, is_last: bool) -> str:
        """Return the address that goes on where a page ends."""
        token = self._sealer.seal(replace(following, made=self._clock.epoch()).sealed())
        name = "$deltatoken" if is_last else "$skiptoken"
        return f"{self.address(graph, following.folder)}?{name}={token}"

    def address(self, graph: GraphCall, folder: int) -> str:
        """Return where a folder, or the list of folders, is followed."""
        if not folder:
            return f"{graph.root}/{graph.me}/mailFolders/delta"
        named = quote(graph.folders.namer.folder(folder), safe="")
        return f"{graph.root}/{graph.me}/mailFolders('{named}')/messages/delta"

    def open(self, graph: GraphCall, token: str, *, folder: int) -> Round:
        """Return where a client stands; refuse a token that is not for this or too old."""
        try:
            place = Round.opened(self._sealer.open(token))
        except BadTokenError:
            refuse(graph.call, 400, "BadRequest", "Badly formed token.")
        if (place.user, place.folder) != (graph.user.pk, folder):
            refuse(graph.call, 400, "BadRequest", "Badly formed token: it is of another folder.")
        select = graph.query.get("$select")
        if select is not None and tuple(sorted(select.lower().split(","))) != place.select:
            refuse(graph.call, 400, "BadRequest", "The token was made with another $select.")
        if place.made < self._clock.epoch() - self.days * _DAY:
            self.refuse_expired(graph, folder)
        return place

    def refuse_expired(self, graph: GraphCall, folder: int) -> None:
        """Answer that the state behind a token is no more, and where to begin again."""
        refuse(
            graph.call,
            410,
            "SyncStateNotFound",
            "The sync state generation is not found; generation=149;[highest=157][157][155][156].",
            headers={"Location": f"{self.address(graph, folder)}?$deltatoken="},
        )
