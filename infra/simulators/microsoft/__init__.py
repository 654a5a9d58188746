"""A stateful simulator of Microsoft's mail: Entra's sign-in and Graph's mailboxes, over HTTP."""

from infra.simulators.microsoft.simulator import MicrosoftSimulator

__all__ = ["MicrosoftSimulator"]
