"""Decides who may sign in and through which application: tenants, people and registered clients."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from infra.simulators.kit.mailbox import NoSuchThingError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.store import Store

CONSUMERS_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of every personal account, at Microsoft too."""
AUDIENCES = ("common", "organizations", "consumers")
MAILBOX_STATES = ("ok", "missing", "locked")
_CONSUMER_DOMAINS = ("outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.example")
_SPACE = uuid.UUID("6d1c5f5e-7a0e-4c53-9a5a-0c5d3a4d8f10")


@dataclass(frozen=True, slots=True)
class UserOptions:
    """What can be the matter with an account.

    Attributes:
        name: shown as its owner's.
        personal: a consumer account (Outlook.com), in Microsoft's tenant of all of them.
        mailbox: ``ok``, ``missing`` (no licence, or on the company's own server) or ``locked``.
        enabled: may sign in at all.
        admin_consent: its tenant lets only an administrator consent.
        assigned: was given the application, where its tenant asks for that.
        delegates: addresses that may read and write this mailbox (a shared mailbox).
        aliases: further addresses of this mailbox, which it may send from.
        folder_names: display names by well-known name, as in a mailbox in another language.
    """

    name: str = ""
    personal: bool = False
    mailbox: str = "ok"
    enabled: bool = True
    admin_consent: bool = False
    assigned: bool = True
    delegates: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    folder_names: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class User:
    """An account and its mailbox."""

    pk: int
    address: str
    oid: str
    tid: str
    options: UserOptions

    @property
    def name(self) -> str:
        """The display name."""
        return self.options.name or self.address.partition("@")[0].replace(".", " ").title()

    @property
    def aliases(self) -> tuple[str, ...]:
        """The further addresses, lower case."""
        return tuple(one.lower() for one in self.options.aliases)

    @property
    def uid(self) -> str:
        """First half of what msal calls the home account id."""
        return self.oid

    @property
    def graph_id(self) -> str:
        """What Graph calls the user: 16 hex digits for a personal account."""
        return self.oid.replace("-", "")[16:] if self.options.personal else self.oid

    @property
    def mailbox_guid(self) -> str:
        """What the ids of its mail begin with."""
        return str(uuid.uuid5(_SPACE, f"mailbox {self.oid}"))

    def subject_for(self, client: str) -> str:
        """Return `sub`: another one for every client, so that no two can compare notes."""
        return uuid.uuid5(_SPACE, f"{client} {self.oid}").hex + self.oid[-11:]


@dataclass(frozen=True, slots=True)
class Client:
    """A registered application.

    Attributes:
        audience: ``common``, ``organizations``, ``consumers``, or the one tenant it is for.
        secret_expires: epoch seconds; None is never.
    """

    id: str
    secret: str
    redirect_uris: tuple[str, ...]
    name: str = "Mailroom"
    audience: str = "common"
    secret_expires: float | None = None
    disabled: bool = False


class Accounts:
    """The users and clients of a simulator."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    # ---- users --------------------------------------------------------------------------------

    def put_user(self, address: str, *, tenant: str | None = None, **options: Any) -> User:
        """Make an account, or change the options of one. Returns it.

        Raises:
            TypeError: an option that there is not.
            ValueError: a value that there is not.
        """
        known = self.find_user(address)
        domain = address.rpartition("@")[2].lower()
        defaults = known.options if known else UserOptions(personal=domain in _CONSUMER_DOMAINS)
        for name in {"delegates", "aliases"} & options.keys():
            options[name] = tuple(options[name])
        wanted = replace(defaults, **options)
        if wanted.mailbox not in MAILBOX_STATES:
            raise ValueError(f"mailbox is one of {', '.join(MAILBOX_STATES)}")
        tid = CONSUMERS_TENANT if wanted.personal else tenant or (known.tid if known else "")
        tid = tid or tenant_of(domain)
        data = json.dumps(asdict(wanted))
        if known:
            self._store.execute(
                "update users set tid = ?, data = ? where pk = ?", tid, data, known.pk
            )
        else:
            self._store.insert(
                "insert into users (address, oid, tid, data) values (?, ?, ?, ?)",
                address,
                _oid(address, personal=wanted.personal),
                tid,
                data,
            )
        return self.user(address)

    def user(self, address: str) -> User:
        """Return a user by address. Raises NoSuchThingError."""
        found = self.find_user(address)
        if found is None:
            raise NoSuchThingError(f"no user {address}")
        return found

    def find_user(self, name: str) -> User | None:
        """Return a user by address or object id, or None."""
        row = self._store.row("select * from users where address = ? or oid = ?", name, name)
        return _user(row) if row else None

    def user_of(self, pk: int) -> User:
        """Return the user of this number."""
        row = self._store.row("select * from users where pk = ?", pk)
        if row is None:
            raise NoSuchThingError(f"no user number {pk}")
        return _user(row)

    def users(self) -> list[User]:
        """Return everybody."""
        return [_user(row) for row in self._store.rows("select * from users order by pk")]

    def tenants(self) -> set[str]:
        """Return the ids of all tenants that have users."""
        return {user.tid for user in self.users()}

    # ---- clients ------------------------------------------------------------------------------

    def put_client(
        self,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        *,
        name: str = "Mailroom",
        audience: str = "common",
        secret_expires_at: str | None = None,
    ) -> None:
        """Register a client, or replace one."""
        expires = dt.datetime.fromisoformat(secret_expires_at) if secret_expires_at else None
        self._save(
            Client(
                client_id,
                client_secret,
                tuple(redirect_uris),
                name,
                audience,
                expires.timestamp() if expires else None,
            )
        )

    def change_client(
        self,
        client_id: str,
        *,
        client_secret: str | None = None,
        secret_expired: bool | None = None,
        disabled: bool | None = None,
        audience: str | None = None,
        redirect_uris: Sequence[str] | None = None,
    ) -> None:
        """Change some of a client. A new secret has not expired."""
        changed = self.client(client_id)
        if client_secret is not None:
            changed = replace(changed, secret=client_secret, secret_expires=None)
        if secret_expired is not None:
            # A second ago, so that it has expired by any comparison.
            expires = self._clock.epoch() - 1 if secret_expired else None
            changed = replace(changed, secret_expires=expires)
        if disabled is not None:
            changed = replace(changed, disabled=disabled)
        if audience is not None:
            changed = replace(changed, audience=audience)
        if redirect_uris is not None:
            changed = replace(changed, redirect_uris=tuple(redirect_uris))
        self._save(changed)

    def client(self, client_id: str) -> Client:
        """Return a client. Raises NoSuchThingError."""
        found = self.find_client(client_id)
        if found is None:
            raise NoSuchThingError(f"no client {client_id}")
        return found

    def find_client(self, client_id: str) -> Client | None:
        """Return a client, or None."""
        row = self._store.row("select data from clients where id = ?", client_id)
        if row is None:
            return None
        data = json.loads(row["data"])
        return Client(**{**data, "redirect_uris": tuple(data["redirect_uris"])})

    def clients(self) -> list[str]:
        """Return the ids of all clients."""
        return [row["id"] for row in self._store.rows("select id from clients order by id")]

    def _save(self, client: Client) -> None:
        self._store.execute(
            "insert or replace into clients values (?, ?)", client.id, json.dumps(asdict(client))
        )


def tenant_of(domain: str) -> str:
    """Return the id of the tenant that a domain's accounts belong to when nothing else is said."""
    return str(uuid.uuid5(_SPACE, f"tenant {domain.lower()}"))


def _oid(address: str, *, personal: bool) -> str:
    text = str(uuid.uuid5(_SPACE, f"user {address.lower()}"))
    # A personal account's is its 16-digit number, made a GUID by zeros.
    return f"00000000-0000-0000-{text[19:]}" if personal else text


def _user(row: sqlite3.Row) -> User:
    data = json.loads(row["data"])
    data["delegates"] = tuple(data["delegates"])
    return User(row["pk"], row["address"], row["oid"], row["tid"], UserOptions(**data))
