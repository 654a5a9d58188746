"""Decides what can happen to a push on its way: lost, doubled, late, overtaken, forged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from infra.simulators.kit.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.faults import Around, Proceed

Parameters = Mapping[str, Any]
DELAY, OVERTAKEN, FORGED = "push_delay", "push_overtaken", "push_forged"
"""Notes of a call."""
_SENT = 202


def push_faults(forgeries: Sequence[str]) -> dict[str, FaultKind]:
    """Return the kinds by name; `forgeries`: what can be wrong with a push here."""

    def forged(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
        if parameters["what"] not in forgeries:
            raise ValueError(f"what is one of {', '.join(forgeries)}")
        call.notes[FORGED] = parameters["what"]
        return proceed()

    kinds = {
        "push_lost": _kind(_lost),
        # Delivered so often in all.
        "push_doubled": _kind(_doubled, copies=2),
        "push_delayed": _kind(_delayed, seconds=5.0),
        # Comes right after the next one, or after so long where none comes.
        "push_overtaken": _kind(_overtaken, seconds=5.0),
    }
    # From somebody else: everything is right with it but one thing.
    return {**kinds, "push_forged": _kind(forged, what=forgeries[0])} if forgeries else kinds


def _kind(around: Around, **parameters: Any) -> FaultKind:
    return FaultKind(around, parameters=parameters, is_push=True)


def _lost(_parameters: Parameters, _call: Call, _proceed: Proceed) -> Response:
    return Response(status=_SENT)


def _doubled(parameters: Parameters, _call: Call, proceed: Proceed) -> Response:
    for _ in range(int(parameters["copies"]) - 1):
        proceed()
    return proceed()


def _delayed(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    call.notes[DELAY] = float(parameters["seconds"])
    return proceed()


def _overtaken(parameters: Parameters, call: Call, proceed: Proceed) -> Response:
    call.notes[DELAY] = float(parameters["seconds"])
    call.notes[OVERTAKEN] = True
    return proceed()
