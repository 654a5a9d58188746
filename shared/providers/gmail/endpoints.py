"""Decides where Google is: its real hosts, or a server that stands for all of them."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class GoogleEndpoints:
    """Addresses as of accounts.google.com/.well-known/openid-configuration and gmail.v1.json."""

    authorize: str = "https://accounts.google.com/o/oauth2/v2/auth"
    token: str = "https://oauth2.googleapis.com/token"  # noqa: S105
    revoke: str = "https://oauth2.googleapis.com/revoke"
    certificates: str = "https://www.googleapis.com/oauth2/v1/certs"
    """The signing keys as X.509 certificates by key id, the form google-auth reads by itself."""
    api: str = "https://gmail.googleapis.com"

    @classmethod
    def at(cls, url: str, sign_in_url: str) -> Self:
        """Return one server's: `url` for what we ask, `sign_in_url` for a person's browser."""
        return cls(
            authorize=f"{sign_in_url}/o/oauth2/v2/auth",
            token=f"{url}/token",
            revoke=f"{url}/revoke",
            certificates=f"{url}/oauth2/v1/certs",
            api=url,
        )

    @property
    def origins(self) -> frozenset[str]:
        """The origins our own requests go to; the sign-in page is the person's to open."""
        urls = (self.token, self.revoke, self.certificates, self.api)
        return frozenset("{0.scheme}://{0.netloc}".format(urlsplit(url)) for url in urls)
