"""How an alias is added, and shown with its mailbox."""

from datetime import datetime

from shared.api.schemas.fields import AddressText, Given, Line, Shown
from shared.domain.mailbox import Alias


class AddAlias(Given):
    """A further address the mailbox's mail may be sent from."""

    address: AddressText
    display_name: Line = ""


class AliasShown(Shown):
    """An alias of a mailbox."""

    address: str
    display_name: str
    verified_at: datetime | None
    """Null: nothing is sent from it yet but a test message, which verifies it by coming back."""

    @classmethod
    def of(cls, alias: Alias) -> "AliasShown":
        """Show an alias."""
        return cls(
            address=alias.address,
            display_name=alias.display_name,
            verified_at=alias.verified_at,
        )
