"""Decides where Microsoft's sign-in and Graph are: the public cloud unless said otherwise.

National clouds have hosts of their own (learn.microsoft.com/graph/deployments), and so has the
simulator.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MicrosoftEndpoints:
    """Two origins, `https://host` or `https://host:port`, without a slash at the end."""

    login: str = "https://login.microsoftonline.com"
    graph: str = "https://graph.microsoft.com"
    resource: str = "https://graph.microsoft.com"
    """What permissions begin with where they are written out: a name, asked nothing."""

    @property
    def origins(self) -> tuple[str, str]:
        """What an `Http` for Microsoft is made for."""
        return self.login, self.graph

    @property
    def api(self) -> str:
        """The version of Graph that is spoken here, without a slash at the end."""
        return f"{self.graph}/v1.0"
