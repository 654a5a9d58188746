"""Decides how the port `MailSender` is met by Microsoft Graph."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.ports.provider import Grant
from shared.providers.http import Http
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.opening import opened
from shared.providers.outlook.sending import OutlookSendSession


class OutlookSender:
    """The `MailSender` of Microsoft 365 and Outlook.com. Thread-safe."""

    def __init__(self, http: Http, endpoints: MicrosoftEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or MicrosoftEndpoints()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[OutlookSendSession]:
        """See `MailSender.open`; raises TypeError for a grant that is not OAuth's."""
        with opened(self._http, self._endpoints, grant, seconds) as (graph, requests):
            yield OutlookSendSession(graph, requests)
