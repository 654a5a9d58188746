"""Decides the faults of Microsoft's services, by name, beside those any service can have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.simulators.microsoft.fault_delta import delta_faults
from infra.simulators.microsoft.fault_entra import entra_faults
from infra.simulators.microsoft.fault_graph import graph_faults

if TYPE_CHECKING:
    from infra.simulators.kit.faults import FaultKind
    from infra.simulators.microsoft.world import World


def fault_kinds(world: World) -> dict[str, FaultKind]:
    """Return the kinds by name."""
    return {**graph_faults(world), **delta_faults(world), **entra_faults(world)}
