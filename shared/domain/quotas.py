"""How much a tenant may have and begin; what it may ask for in a while is in `rate_limits`.

Defaults of the template's parameters, which an operator sets.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one tenant may have at most."""

    mailboxes: int = 1_000
    """Connected at the same time."""
    imports_a_day: int = 1_000
    """Begun in a UTC day, those of connecting included: each lists a mailbox from its provider."""


USUAL = Quotas()
