"""Which of a mailbox's two possible places holds the login that counts, and how it moves.

What counts never depends on the setting, so that functions with the old one and with the new one
agree while a deployment rolls out:

    a sealed login counts; but one marked as a copy only where Secrets Manager has none;
    else the one in Secrets Manager counts

The setting says where a new login is put and to where one is moved, by whoever reads it elsewhere:

    to the table    mark the turn and write a copy, together → read it back → retire the one in
                    Secrets Manager, if it is still the one copied → the copy counts: settle it →
                    delete the retired one → end the turn
    from the table  look at what stands in Secrets Manager → mark the turn → write there, if that
                    still stands → read it back → delete the sealed one, if it is still the one
                    written: from then on the other counts

Each arrow may be the last thing a process does: the login that counts is whole at every one, and
the next to read it goes on, at once or when the turn of who died is over. Whoever renews a token
while it moves finds it again by its text. Who was stopped in a move and goes on when its turn is
long over (a thread of a worker that was frozen) writes over nothing, as every write of a move has a
condition; a deletion has none, and comes right after the last look.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.aws.login_keys import LoginKeys
from shared.aws.sealed_secrets import SealedLogin, SealedSecretStore
from shared.aws.secret_store import SecretsManagerStore
from shared.aws.table import Table
from shared.domain.errors import MailroomError
from shared.domain.ids import MailboxId, TenantId
from shared.domain.secret import Secret
from shared.ports.secrets import KeptSecret

_LOOKS = 2
"""A move that ends between the looks at the two places hides a login from the first pair alone."""


class Place(StrEnum):
    """Where a login may be; also the words of the setting."""

    SECRETS = "secrets"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class _Found:
    """The login that counts, and the sealed one with its marks, if there is one."""

    place: Place
    secret: Secret
    version: str
    sealed: SealedLogin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingSecretStore:
    """The port `SecretStore`."""

    secrets: SecretsManagerStore
    sealed: SealedSecretStore
    home: Place | None
    """None: every login is left where it is, and none can be put."""
    moved: Callable[[Place], None]
    """Told of each move that is complete, and to where."""
    failed: Callable[[TenantId, MailboxId, MailroomError], None]
    """Told of each move that could not be made, and why."""

    def put(self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret) -> None:
        """Put it to where it counts at once; the next to read it takes it home from there."""
        place = tenant_id, mailbox_id
        if self.home is None:
            raise ValueError("this function has no store to put a login into")
        if self.home is Place.SEALED:
            self.sealed.put(*place, secret)
            return
        if self.sealed.exists(*place) and self.sealed.put_over(*place, secret):
            return
        self.secrets.put(*place, secret)
        if self.sealed.exists(*place):
            # Somebody began to move the one before.
            self.sealed.put_over(*place, secret)

    def get(self, tenant_id: TenantId, mailbox_id: MailboxId) -> KeptSecret | None:
        """Return the one that counts, moved home first where nobody else is at it.

        A move that cannot be made takes nothing away: the login is used where it is.
        """
        found = self._find(tenant_id, mailbox_id)
        if found is not None and self.home is not None and not _is_busy(found):
            try:
                found = self._take_home(tenant_id, mailbox_id, found)
            except MailroomError as error:
                self.failed(tenant_id, mailbox_id, error)
                found = self._find(tenant_id, mailbox_id)
        return KeptSecret(found.secret, _written(found)) if found else None

    def replace(
        self, tenant_id: TenantId, mailbox_id: MailboxId, secret: Secret, *, version: str
    ) -> bool:
        """Replace it where it was read, or to where it was moved since then."""
        place, name, digest = version.split("/", 2)
        written = self._at(Place(place)).replace(tenant_id, mailbox_id, secret, version=name)
        if written and place == Place.SEALED:
            return True
        # One in Secrets Manager may count no longer since it was read.
        found = self._find(tenant_id, mailbox_id)
        if found is None or found.secret == secret:
            return found is not None
        if _digest(found.secret) != digest:
            return False
        store = self._at(found.place)
        return store.replace(tenant_id, mailbox_id, secret, version=found.version)

    def delete(self, tenant_id: TenantId, mailbox_id: MailboxId) -> None:
        """Delete both: in this order, so that who moves one from the table puts none back."""
        self.sealed.delete(tenant_id, mailbox_id)
        self.secrets.delete(tenant_id, mailbox_id)

    def _at(self, place: Place) -> SecretsManagerStore | SealedSecretStore:
        return self.sealed if place is Place.SEALED else self.secrets

    def _find(self, tenant_id: TenantId, mailbox_id: MailboxId) -> _Found | None:
        for _ in range(_LOOKS):
            login = self.sealed.look(tenant_id, mailbox_id)
            if login is None or login.is_copy:
                kept = self.secrets.get(tenant_id, mailbox_id)
                if kept is not None:
                    return _Found(Place.SECRETS, kept.secret, kept.version, login)
            if login is not None:
                # A copy that counts not need not open: its key may be what hinders the move.
                secret = self.sealed.open(tenant_id, mailbox_id, login)
                return _Found(Place.SEALED, secret, login.version, login)
        return None

    def _take_home(
        self, tenant_id: TenantId, mailbox_id: MailboxId, found: _Found
    ) -> _Found | None:
        if found.place is self.home:
            self._clear_up(tenant_id, mailbox_id, found)
            return found
        move = self._seal if self.home is Place.SEALED else self._unseal
        move(tenant_id, mailbox_id, found)
        return self._find(tenant_id, mailbox_id)

    def _seal(self, tenant_id: TenantId, mailbox_id: MailboxId, found: _Found) -> None:
        place = tenant_id, mailbox_id
        over = found.sealed.version if found.sealed else None
        version = self.sealed.add_copy(*place, found.secret, over=over)
        if version is None:
            return
        read = self.sealed.look(*place)
        if read is None or read.version != version:
            return
        if self.sealed.open(*place, read) != found.secret:
            return
        if not self.secrets.retire(*place, found.version):
            # Renewed, replaced or deleted meanwhile: what was copied is out of date.
            self.sealed.give_up(*place, version)
            return
        if self.sealed.settle_copy(*place):
            self.secrets.delete(*place)
            self.sealed.end_turn(*place)
            self.moved(Place.SEALED)

    def _unseal(self, tenant_id: TenantId, mailbox_id: MailboxId, found: _Found) -> None:
        place = tenant_id, mailbox_id
        standing = self.secrets.standing(*place)
        if not self.sealed.take_turn(*place, found.version):
            return
        # An abandoned copy would count no longer as soon as the other is written.
        self.sealed.settle_copy(*place)
        self.secrets.put_over(*place, found.secret, standing=standing)
        read = self.secrets.get(*place)
        if read is None or read.secret != found.secret:
            return
        if self.sealed.give_up(*place, found.version):
            self.moved(Place.SECRETS)
        elif not self.sealed.exists(*place) and self.sealed.is_disconnected(*place):
            # The disconnecting has deleted both already, and nobody else would delete ours.
            self.secrets.retire(*place, read.version)
            self.secrets.delete(*place)

    def _clear_up(self, tenant_id: TenantId, mailbox_id: MailboxId, found: _Found) -> None:
        """Delete what a move or a putting left in the place that does not count."""
        place, login = (tenant_id, mailbox_id), found.sealed
        if login is None or not (login.has_other or login.is_copy):
            return
        if not self.sealed.take_turn(*place, login.version):
            return
        if found.place is Place.SECRETS:
            self.sealed.give_up(*place, login.version)
            return
        if self.sealed.settle_copy(*place):
            # Else disconnected meanwhile, and perhaps connected again: to a secret.
            self.secrets.delete(*place)
            self.sealed.end_turn(*place)


def login_store(
    table: Table,
    *,
    prefix: str,
    key_id: str,
    home: str,
    now: Callable[[], float],
    moved: Callable[[Place], None],
    failed: Callable[[TenantId, MailboxId, MailroomError], None],
) -> MovingSecretStore:
    """Return a function's store. `home`: a `Place`, or empty for a function that puts none."""
    return MovingSecretStore(
        secrets=SecretsManagerStore(prefix),
        sealed=SealedSecretStore(table, LoginKeys(table, key_id), now),
        home=Place(home) if home else None,
        moved=moved,
        failed=failed,
    )


def _is_busy(found: _Found) -> bool:
    return found.sealed is not None and found.sealed.is_busy


def _written(found: _Found) -> str:
    return f"{found.place}/{found.version}/{_digest(found.secret)}"


def _digest(secret: Secret) -> str:
    """Name a login's text, for a version that never leaves the process."""
    return hashlib.blake2b(secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()
