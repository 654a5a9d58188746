"""Decides which settings to propose for an address: by its domain, from a table of known providers.

Before the table, the operator's own are asked. Other domains could be told by their MX record, but
that would need a DNS client of its own beside the one guarded way to the network; people with such
domains fill in the form themselves.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from shared.domain.addresses import canonical_address, domain_of
from shared.domain.mail_server import Security, ServerSettings

_TABLE = Path(__file__).with_name("presets.json")


class UsernameForm(StrEnum):
    """How the username follows from the address."""

    ADDRESS = "address"
    LOCAL_PART = "local_part"


class AppPassword(StrEnum):
    """When a provider wants an app password in place of the account's own."""

    ALWAYS = "always"
    WITH_TWO_FACTOR = "with_two_factor"
    NO = "no"
    IMPOSSIBLE = "impossible"
    """No password of any kind is accepted."""


@dataclass(frozen=True, slots=True)
class ServerPreset:
    """Where one side (IMAP or SMTP) of a provider is."""

    host: str
    port: int
    security: Security
    username: UsernameForm

    def settings_for(self, address: str) -> ServerSettings:
        """Return the settings with the username that goes with `address`."""
        is_local = self.username is UsernameForm.LOCAL_PART
        username = address.rpartition("@")[0] if is_local else address
        return ServerSettings(self.host, self.port, self.security, username)


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of a provider; `notes` are for the person who connects."""

    id: str
    name: str
    domains: frozenset[str]
    imap: ServerPreset
    smtp: ServerPreset
    oauth_only: bool
    saves_sent: bool
    """Its submission server puts what it sends among the sent mail itself, always."""
    app_password: AppPassword
    app_password_page: str | None
    notes: tuple[str, ...]
    source: str


def preset_for(address: str, own: Sequence[Preset] = ()) -> Preset | None:
    """Return the preset for the domain of `address`, or None for an unknown one.

    `own` are asked before the table.
    """
    canonical = canonical_address(address)
    if not canonical:
        return None
    domain = domain_of(canonical)
    found = (one for one in own if domain in one.domains)
    return next(found, None) or _by_domain().get(domain)


def own_presets(text: str) -> tuple[Preset, ...]:
    """Return the operator's own presets from the template's OwnMailServers.

    `example.org imap.example.org:993/tls smtp.example.org:587/starttls`, with semicolons between.
    Raises ValueError for anything else.
    """
    return tuple(_own(row) for row in text.split(";") if row.strip())


def _own(row: str) -> Preset:
    domain, imap, smtp = row.split()
    return Preset(
        id="own",
        name=domain,
        domains=frozenset({domain.lower()}),
        imap=_own_server(imap),
        smtp=_own_server(smtp),
        oauth_only=False,
        saves_sent=False,
        app_password=AppPassword.NO,
        app_password_page=None,
        notes=(),
        source="OwnMailServers",
    )


def _own_server(text: str) -> ServerPreset:
    place, _, security = text.partition("/")
    host, _, port = place.rpartition(":")
    return ServerPreset(host, int(port), Security(security), UsernameForm.ADDRESS)


def saves_sent(imap_host: str, smtp_host: str) -> bool:
    """Whether what leaves by `smtp_host` is certain to appear among the sent mail at `imap_host`.

    Asked by host: a domain of one's own is served by the same servers.
    """
    hosts = (imap_host.lower().rstrip("."), smtp_host.lower().rstrip("."))
    return any(one.saves_sent and (one.imap.host, one.smtp.host) == hosts for one in _presets())


def presets() -> tuple[Preset, ...]:
    """Return all presets."""
    return _presets()


@functools.cache
def _presets() -> tuple[Preset, ...]:
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    return tuple(_preset(row) for row in table["presets"])


@functools.cache
def _by_domain() -> dict[str, Preset]:
    return {domain: preset for preset in _presets() for domain in preset.domains}


def _preset(row: dict[str, Any]) -> Preset:
    return Preset(
        id=row["id"],
        name=row["name"],
        domains=frozenset(row["domains"]),
        imap=_server(row["imap"]),
        smtp=_server(row["smtp"]),
        oauth_only=row["oauth_only"],
        saves_sent=row["saves_sent"],
        app_password=AppPassword(row["app_password"]),
        app_password_page=row["app_password_page"],
        notes=tuple(row["notes"]),
        source=row["source"],
    )


def _server(row: dict[str, Any]) -> ServerPreset:
    return ServerPreset(
        row["host"], row["port"], Security(row["security"]), UsernameForm(row["username"])
    )
