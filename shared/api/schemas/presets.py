"""How the settings for an address are shown."""

from shared.api.schemas.fields import Shown
from shared.api.schemas.servers import ServerShown


class PresetShown(Shown):
    """What to fill in for an address. For a provider we know nothing of, `found` is false."""

    address: str
    found: bool
    id: str | None = None
    name: str | None = None
    imap: ServerShown | None = None
    """As for the login form, with the username that goes with the address."""
    smtp: ServerShown | None = None
    oauth_only: bool = False
    """Passwords are refused: connect through the provider's own sign-in."""
    app_password: str | None = None
    """Whether the account's own password will do: always, with_two_factor, no, impossible."""
    app_password_page: str | None = None
    notes: list[str]
