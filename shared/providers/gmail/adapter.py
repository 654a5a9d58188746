"""Decides how the port `MailProvider` is met by Gmail: whom it opens for, and for how long."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.ports.provider import Grant, OAuthGrant
from shared.providers.gmail.api import GmailApi
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.session import GmailSession
from shared.providers.http import Http

SESSION_SECONDS = 870.0
"""Just under the longest life of a function."""
ADDRESS_SECONDS = 8.0
"""A person waits for it, in a request that API Gateway gives up after half a minute."""


class GmailProvider:
    """The `MailProvider`, `MailChanger` and `AccountReader` of Gmail. Thread-safe."""

    def __init__(self, http: Http, endpoints: GoogleEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or GoogleEndpoints()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[GmailSession]:
        """See `MailProvider.open`. Nothing is sent yet: a token is tried by its first use."""
        with api_of(self._http, self._endpoints, grant, seconds) as api:
            yield GmailSession(api)

    def address(self, grant: OAuthGrant) -> str:
        """See `AccountReader.address`."""
        with self.open(grant, seconds=ADDRESS_SECONDS) as session:
            return session.address()


@contextmanager
def api_of(
    http: Http, endpoints: GoogleEndpoints, grant: Grant, seconds: float | None
) -> Iterator[GmailApi]:
    """Open the API for a grant, for `seconds` at most."""
    if not isinstance(grant, OAuthGrant):
        raise TypeError("Gmail is opened with a grant of Google's sign-in")
    longest = SESSION_SECONDS if seconds is None else min(SESSION_SECONDS, seconds)
    api = GmailApi(http.until(longest), grant.tokens, endpoints)
    # Whoever ends amid a large message leaves its turn to others.
    with api.room:
        yield api
