"""Decides the answers of `users.settings`: the addresses an account may send from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.simulators.google.accounts import Accounts, User
    from infra.simulators.google.gate import ApiCall, Handler

_USABLE = "accepted"


class SendAs:
    """`users.settings.sendAs`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def handlers(self) -> dict[str, Handler]:
        """Return the functions by method."""
        return {"settings.sendAs.list": self._list}

    def usable_by(self, address: str) -> dict[str, bool]:
        """Return which addresses an account may send from, and which of them is its default."""
        user = self._accounts.user(address)
        every = all_of(user) if user else []
        return {
            str(one["sendAsEmail"]).lower(): one["isDefault"]
            for one in every
            if one.get("verificationStatus", _USABLE) == _USABLE
        }

    def _list(self, call: ApiCall) -> dict[str, Any]:
        user = self._accounts.user(call.mailbox.address)
        return {"sendAs": all_of(user) if user else []}


def all_of(user: User) -> list[dict[str, Any]]:
    """Return an account's own address and its aliases; only these are ever verified."""
    others = [
        {"isDefault": False, "verificationStatus": _USABLE, **one} for one in user.options.send_as
    ]
    own = {
        "sendAsEmail": user.address,
        "displayName": user.options.name,
        "isPrimary": True,
        "isDefault": not any(one["isDefault"] for one in others),
    }
    return [own, *others]
