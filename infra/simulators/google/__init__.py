"""A Gmail and Google OAuth that keeps state and enforces what Google enforces."""

from infra.simulators.google.simulator import GoogleSimulator
from infra.simulators.google.world import Limits

__all__ = ["GoogleSimulator", "Limits"]
