"""Decides what the parts of the simulator share: the state, and who keeps which part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.simulators.kit.clock import Clock
from infra.simulators.microsoft.accounts import Accounts
from infra.simulators.microsoft.delta_tokens import DeltaTokens
from infra.simulators.microsoft.entra_tokens import Signer
from infra.simulators.microsoft.grants import Grants
from infra.simulators.microsoft.graph_notifications import Notifier
from infra.simulators.microsoft.sealing import Sealer
from infra.simulators.microsoft.throttle import Throttle
from infra.simulators.microsoft.transport import Transport

if TYPE_CHECKING:
    from infra.simulators.kit.service import Service
    from infra.simulators.kit.store import Store

_SECRET = "sealing_secret"  # noqa: S105 - the name it is kept under


class World:
    """One simulator's state and the rules about it."""

    service: Service

    def __init__(self, store: Store, make_secret: str) -> None:
        secret = store.meta(_SECRET)
        if secret is None:
            secret = make_secret
            store.set_meta(_SECRET, secret)
        self.store = store
        self.clock = Clock(store)
        self.accounts = Accounts(store, self.clock)
        self.grants = Grants(store, self.clock, self.accounts)
        self.throttle = Throttle(self.clock)
        self.transport = Transport(store, self.clock, self.accounts)
        self.sealer = Sealer(bytes.fromhex(secret))
        self.tokens = DeltaTokens(self.sealer, self.clock)
        self.signer = Signer(store)
        self.notifier = Notifier(self)
        store.on_news = self.notifier.heard
        self._addresses = ("", "")

    def addresses(self) -> tuple[str, str]:
        """Return where servers find it (https where there is a certificate), and browsers."""
        secure, browser = self._addresses
        return secure or browser, browser

    def listens_at(self, secure: str, browser: str) -> None:
        """Note where it listens."""
        self._addresses = (secure, browser)
