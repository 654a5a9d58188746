"""Which of the messages a run reads stay at the provider, and are in the ledger with the reason.

What a tenant's policy keeps out, then what is kept out because somebody was erased. Both lists are
read once a run, and only by one that has a message to judge: all of a run is judged alike, and a
poll that finds nothing pays for none.
"""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.erasure import KeptOut
from shared.domain.ids import TenantId
from shared.domain.ledger import ERASED
from shared.domain.mailbox import Direction
from shared.domain.matching import why_kept_out
from shared.domain.message import ParsedMessage
from shared.domain.policy import TenantPolicy
from shared.ports.policies import PolicyStore
from shared.ports.stores import MessageStore


@dataclass(slots=True)
class Gate:
    """What a run of a tenant's mailbox lets in."""

    tenant_id: TenantId
    messages: MessageStore
    policies: PolicyStore
    _policy: TenantPolicy | None = field(default=None, init=False)
    _kept_out: KeptOut | None = field(default=None, init=False)

    def policy(self) -> TenantPolicy:
        """Return the tenant's policy as it was when this run first asked for it."""
        if self._policy is None:
            self._policy = self.policies.get_policy(self.tenant_id)
        return self._policy

    def why_kept_out(
        self, parsed: ParsedMessage, direction: Direction, received_at: datetime
    ) -> str | None:
        """Return why a message is not to be stored, or None. Raises what the stores raise."""
        if reason := why_kept_out(self.policy(), parsed, direction):
            return reason
        if self._kept_out is None:
            self._kept_out = self.messages.kept_out(self.tenant_id)
        return ERASED if self._kept_out.covers(parsed.taking_part(), received_at) else None
