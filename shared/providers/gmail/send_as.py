"""Decides from which addresses a mailbox may send: its own, and aliases that Gmail has verified.

Gmail refuses no other: it puts the account's own address in its place and sends. Source:
developers.google.com/workspace/gmail/api/reference/rest/v1/users.settings.sendAs.
"""

from collections.abc import Mapping
from typing import Any

from shared.providers.gmail import units
from shared.providers.gmail.api import GmailApi, objects

_FIELDS = "sendAs(sendAsEmail,verificationStatus)"
_VERIFIED = "accepted"


def sender_addresses(api: GmailApi) -> frozenset[str]:
    """Return the addresses, in lower case; one request, for a unit."""
    found = api.get("settings/sendAs", {"fields": _FIELDS}, cost=units.SEND_AS_LIST)
    usable = (one for one in objects(found, "sendAs") if _is_usable(one))
    return frozenset(one["sendAsEmail"].lower() for one in usable)


def _is_usable(one: Mapping[str, Any]) -> bool:
    # Only what is asked to be verified has a status: the account's own address has none.
    address = one.get("sendAsEmail")
    verified = one.get("verificationStatus", _VERIFIED) == _VERIFIED
    return verified and isinstance(address, str) and bool(address)
