"""Decides how the port `MailSender` is met by Gmail."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.ports.provider import Grant
from shared.providers.gmail.adapter import api_of
from shared.providers.gmail.endpoints import GoogleEndpoints
from shared.providers.gmail.sending import GmailSendSession
from shared.providers.http import Http


class GmailSender:
    """The `MailSender` of Gmail. Thread-safe."""

    def __init__(self, http: Http, endpoints: GoogleEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or GoogleEndpoints()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[GmailSendSession]:
        """See `MailSender.open`."""
        with api_of(self._http, self._endpoints, grant, seconds) as api:
            yield GmailSendSession(api)
