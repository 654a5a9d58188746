"""The stories of logins that are sealed, and taken back out of the table, while a token is renewed."""

from dataclasses import dataclass
from typing import Any

from shared import wiring
from shared.aws.tables_of_logins import LoginItem
from shared.config import Settings
from shared.domain.ids import MailboxId, TenantId
from tests.faults.accounts import AN_ACCESS_TOKEN_LASTS, AtMicrosoft
from tests.faults.flows import flow, sync
from tests.faults.flows_of_accounts import connected as signed_in
from tests.functions.moto_stack import client

SEALED, SECRETS = "sealed", "secrets"


@dataclass
class Sealing(AtMicrosoft):
    """A deployment with a key for logins, and a setting that is among its facts.

    At Microsoft, where a renewal gives another refresh token.
    """

    def start(self, monkeypatch: Any) -> "Sealing":
        super().start(monkeypatch)
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        monkeypatch.setenv("MAILROOM_LOGIN_KEY", key)
        setting = property(lambda _settings: self.facts.get("store", SEALED))
        monkeypatch.setattr(Settings, "credential_store", setting)
        return self

    def set_store(self, store: str) -> None:
        """Deploy with another setting."""
        self.facts["store"] = store
        self.new_process()

    def secret_texts(self) -> dict[str, str]:
        found = super().secret_texts()
        for raw in self.items():
            if raw["sk"]["S"] == "login":
                item = LoginItem.from_raw_data(raw)
                tenant, _, mailbox = item.pk.split("#")
                keys = wiring.secrets().sealed.keys  # type: ignore[attr-defined]
                opened = keys.open(TenantId(tenant), MailboxId(mailbox), item.sealed)
                found[f"sealed {mailbox}"] = opened.reveal()
        return found

    def wrongs(self) -> list[str]:
        """A login that is not at home, or is in both places."""
        sealed = [name for name in self.secret_texts() if name.startswith("sealed ")]
        kept = [name for name in self.secret_texts() if "/mailbox/" in name]
        home, away = (kept, sealed) if self.facts["store"] == SECRETS else (sealed, kept)
        return [] if (len(home), away) == (1, []) else [f"{home} at home, {away} away"]

    def read_secret(self, text: str) -> Any:
        return "moved away" if text == "moved" else super().read_secret(text)


def in_secrets_manager(world: Sealing) -> None:
    """An account in sync, its login a secret of its own; the operator has just changed the setting."""
    world.set_store(SECRETS)
    signed_in(world)
    world.set_store(SEALED)


def in_the_table(world: Sealing) -> None:
    """The other way round."""
    signed_in(world)
    world.set_store(SECRETS)


@flow(in_secrets_manager, kinds=(Sealing,))
def seal_a_login_that_is_renewed(world: Sealing) -> None:
    world.clock.advance(AN_ACCESS_TOKEN_LASTS.total_seconds())
    sync(world)


@flow(in_the_table, kinds=(Sealing,))
def unseal_a_login_that_is_renewed(world: Sealing) -> None:
    world.clock.advance(AN_ACCESS_TOKEN_LASTS.total_seconds())
    sync(world)
