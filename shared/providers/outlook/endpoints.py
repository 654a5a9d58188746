"""Decides where Microsoft's sign-in and Graph are: the public cloud unless said otherwise.

National clouds have hosts of their own (learn.microsoft.com/graph/deployments), and so has the
simulator. A large file goes to where its upload session says, at Outlook's own hosts, without a
token (learn.microsoft.com/graph/outlook-large-attachments); nowhere else, whatever an answer says.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

_WORLDWIDE = "https://graph.microsoft.com"
_NATIONAL = frozenset(
    {"graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}
)
_UPLOADS = (
    "https://outlook.office.com",
    "https://outlook.office365.com",
    "https://outlook.live.com",
    "https://outlook.office365.us",
    "https://partner.outlook.cn",
)


@dataclass(frozen=True, slots=True)
class MicrosoftEndpoints:
    """Two origins, `https://host` or `https://host:port`, without a slash at the end."""

    login: str = "https://login.microsoftonline.com"
    graph: str = _WORLDWIDE

    @property
    def origins(self) -> tuple[str, ...]:
        """What an `Http` for Microsoft is made for."""
        return self.login, self.graph, *_UPLOADS

    @property
    def resource(self) -> str:
        """What permissions begin with where they are written out: a name, asked nothing."""
        return self.graph if urlsplit(self.graph).hostname in _NATIONAL else _WORLDWIDE

    @property
    def api(self) -> str:
        """The version of Graph that is spoken here, without a slash at the end."""
        return f"{self.graph}/v1.0"
