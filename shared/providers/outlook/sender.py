"""Decides how the port `MailSender` is met by Microsoft Graph, and from which addresses one sends.

A mailbox's addresses are its `proxyAddresses`: `SMTP:` in capitals is the one that mail is from,
`smtp:` any other; other kinds are none of mail (learn.microsoft.com/graph/api/resources/user). A
personal account shows its own alone. From an alias Exchange sends only where the organisation has
it so, and else in the name of the mailbox (learn.microsoft.com/exchange/recipients-in-exchange-
online/manage-user-mailboxes/add-or-remove-email-addresses).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.domain.errors import ErrorCode, ReconnectRequiredError
from shared.ports.provider import Grant
from shared.ports.sending import SenderAddress
from shared.providers.http import Http
from shared.providers.outlook import errors
from shared.providers.outlook.adapter import ADDRESS_SECONDS, address_of
from shared.providers.outlook.endpoints import MicrosoftEndpoints
from shared.providers.outlook.opening import opened
from shared.providers.outlook.sending import OutlookSendSession

_ACCOUNT = "/me?$select=mail,userPrincipalName,displayName,proxyAddresses"
_MAIL = "smtp:"


class OutlookSender:
    """The `MailSender` and `SenderAddresses` of Microsoft 365 and Outlook.com. Thread-safe."""

    def __init__(self, http: Http, endpoints: MicrosoftEndpoints | None = None) -> None:
        self._http = http
        self._endpoints = endpoints or MicrosoftEndpoints()

    @contextmanager
    def open(self, grant: Grant, *, seconds: float | None = None) -> Iterator[OutlookSendSession]:
        """See `MailSender.open`; raises TypeError for a grant that is not OAuth's."""
        with opened(self._http, self._endpoints, grant, seconds) as (graph, requests):
            yield OutlookSendSession(graph, requests)

    @errors.where_there_is_no_cursor()
    def sender_addresses(self, grant: Grant) -> tuple[SenderAddress, ...]:
        """See `SenderAddresses.sender_addresses`; all of them are verified, for Exchange gave them.

        Raises TypeError for a grant that is not OAuth's.
        """
        with opened(self._http, self._endpoints, grant, ADDRESS_SECONDS) as (graph, _requests):
            account = graph.get(_ACCOUNT).object()
        own, name = address_of(account), account.get("displayName")
        if own is None:
            cause = "an account without an address"
            raise ReconnectRequiredError(ErrorCode.SCOPE_MISSING, cause=cause, definitive=False)
        listed = account.get("proxyAddresses")
        proxies = (
            [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
        )
        others = [one[len(_MAIL) :] for one in proxies if one.lower().startswith(_MAIL)]
        found = {one.lower(): one for one in (*reversed(others), own) if "@" in one}
        del found[own.lower()]
        shown = name if isinstance(name, str) else ""
        return (
            SenderAddress(own, shown, is_default=True),
            *(SenderAddress(one, shown) for one in reversed(found.values())),
        )
