"""How one side's settings are shown."""

from shared.api.schemas.fields import Shown
from shared.domain.mail_server import Security, ServerSettings


class ServerShown(Shown):
    """One side's settings; a password is never shown."""

    host: str
    port: int
    security: Security
    username: str

    @classmethod
    def of(cls, server: ServerSettings) -> "ServerShown":
        """Show settings."""
        return cls(
            host=server.host, port=server.port, security=server.security, username=server.username
        )
