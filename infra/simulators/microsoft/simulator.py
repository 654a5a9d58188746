"""Decides how the simulator is started, and what a test may do to it."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Self

from infra.simulators.kit.service import Handler, Service
from infra.simulators.kit.store import Store
from infra.simulators.microsoft.fault_kinds import fault_kinds
from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.graph_notifications import FORGERIES
from infra.simulators.microsoft.graph_subscriptions import MADE
from infra.simulators.microsoft.mailbox_control import OutlookMailbox
from infra.simulators.microsoft.paths import usual_path
from infra.simulators.microsoft.routes import no_route, routes_of
from infra.simulators.microsoft.schema import SCHEMA
from infra.simulators.microsoft.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIEnvironment

    from werkzeug.wrappers import Request, Response

    from infra.simulators.kit.call import Call
    from infra.simulators.kit.clock import Clock
    from infra.simulators.kit.courier import Pushed
    from infra.simulators.kit.faults import Faults
    from infra.simulators.kit.request_log import RequestLog
    from infra.simulators.microsoft.grants import Bearer
    from infra.simulators.microsoft.throttle import Limits
    from infra.simulators.microsoft.transport import Delivered


class MicrosoftSimulator:
    """Entra and Graph mail, on an https port (with a certificate) and an http port.

    Use it as a context manager, or `start()` and `stop()`.

    Args:
        state: the file it keeps everything in; in memory when None.
        certificate: PEM file for the https port; none without.
        key: PEM file.
        port: of https; 0 takes a free one.
        browser_port: of http.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        port: int = 0,
        browser_port: int = 0,
    ) -> None:
        self._store = Store(SCHEMA, state)
        self._world = World(self._store, secrets.token_hex(32))
        self._service = _Service(self._world, self)
        self._world.service = self._service
        self._files = (certificate, key)
        self._ports = (port, browser_port)

    def start(self) -> Self:
        """Listen."""
        certificate, key = self._files
        secure, browser = self._service.start(
            certificate=certificate, key=key, port=self._ports[0], browser_port=self._ports[1]
        )
        self._world.listens_at(secure, browser)
        return self

    def stop(self) -> None:
        """Close the ports and the state."""
        self._service.stop()
        self._store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- where and how ------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where servers find it: https when there is a certificate."""
        return self._world.addresses()[0]

    @property
    def browser_url(self) -> str:
        """Where browsers and tests find it, without TLS; control too."""
        return self._world.addresses()[1]

    @property
    def service(self) -> Service:
        """What answers its requests."""
        return self._service

    @property
    def clock(self) -> Clock:
        """Its time."""
        return self._world.clock

    @property
    def faults(self) -> Faults:
        """The fault switches."""
        return self._service.faults

    @property
    def log(self) -> RequestLog:
        """What was asked of it."""
        return self._service.log

    @property
    def limits(self) -> Limits:
        """What an application may ask of a mailbox; to be changed in place."""
        return self._world.throttle.limits

    @property
    def delivered(self) -> Sequence[Delivered]:
        """What left, each recipient's copy on its own; also to those who have no account here."""
        with self._store.transaction():
            self._world.transport.settle()
        return tuple(self._world.transport.delivered)

    @property
    def failures(self) -> list[str]:
        """Bugs of the simulator that requests ran into; a test ends with none."""
        return self._service.failures

    def delta_tokens_last(self, days: float) -> None:
        """Set how long a delta token is good."""
        self._world.tokens.days = days

    # ---- who and what -------------------------------------------------------------------------

    def add_user(self, address: str, **options: Any) -> None:
        """Make an account with an empty mailbox, or change its options: see `UserOptions`.

        `tenant` is the id of its tenant; by default each domain is one.
        """
        with self._store.transaction():
            user = self._world.accounts.put_user(address, **options)
            Folders(self._store, user).make_first()

    def users(self) -> list[str]:
        """Return the addresses of all users."""
        return [user.address for user in self._world.accounts.users()]

    def mail(self, address: str) -> OutlookMailbox:
        """Return a user's mailbox."""
        return OutlookMailbox(self._world, self._world.accounts.user(address))

    def tenant(self, address: str) -> str:
        """Return the id of a user's tenant."""
        return self._world.accounts.user(address).tid

    def add_client(
        self, client_id: str, client_secret: str, redirect_uris: Sequence[str], **options: Any
    ) -> None:
        """Register an application: `name`, `audience`, `secret_expires_at`."""
        self._world.accounts.put_client(client_id, client_secret, redirect_uris, **options)

    def change_client(self, client_id: str, **changes: Any) -> None:
        """Change an application: see `Accounts.change_client`."""
        self._world.accounts.change_client(client_id, **changes)

    def revoke_grants(self, address: str, reason: str = "user") -> int:
        """End a user's refresh tokens: see `REVOKE_REASONS`. Returns how many ended."""
        user = self._world.accounts.user(address)
        return self._world.grants.revoke(user, reason)

    def subscriptions(self, address: str) -> int:
        """Return how many live subscriptions a user has."""
        return self._world.notifier.count(self._world.accounts.user(address))

    def lifecycle(self, address: str, event: str) -> int:
        """Tell a user's subscriptions `reauthorizationRequired`, `subscriptionRemoved` or `missed`.

        Returns how many hear it.
        """
        return self._world.notifier.lifecycle(self._world.accounts.user(address), event)

    def pushed(self) -> list[Pushed]:
        """Return the notifications that went out, each try as one."""
        return self._service.courier.pushed()

    def state(self) -> Mapping[str, Any]:
        """Return who and what there is."""
        return {
            "url": self.url,
            "browser_url": self.browser_url,
            "users": {
                user.address: {
                    "tenant": user.tid,
                    "oid": user.oid,
                    "personal": user.options.personal,
                }
                for user in self._world.accounts.users()
            },
            "clients": self._world.accounts.clients(),
            "subscriptions": {address: self.subscriptions(address) for address in self.users()},
        }


class _Service(Service):
    """The kit's service, with Graph's spellings of paths and the places in a mailbox."""

    def __init__(self, world: World, provider: MicrosoftSimulator) -> None:
        self._world = world
        super().__init__(
            world.store,
            routes_of(world),
            provider,
            identify=self._who,
            no_route=no_route,
            faults=fault_kinds(world),
            forgeries=FORGERIES,
            controls=[
                (
                    "POST",
                    "/users/<address>/lifecycle",
                    lambda body, address: {"told": provider.lifecycle(address, str(body["event"]))},
                )
            ],
            clock=world.clock,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = usual_path(environ["PATH_INFO"])
        return super().__call__(environ, start_response)

    def answer(self, call: Call) -> Response:
        bearer = self._bearer(call.request)
        path = call.request.path
        if (
            bearer is None
            or call.batch
            or not path.startswith("/v1.0/")
            or path.endswith("/$batch")
        ):
            places = nullcontext(1)
        else:
            key = (bearer.client, bearer.user.address)
            places = self._world.throttle.places(key)  # type: ignore[assignment]
        with places as got:
            call.notes.setdefault("crowded", got < 1)
            return super().answer(call)

    def run(self, handler: Handler, call: Call) -> Response:
        response = super().run(handler, call)
        # The state is unlocked by now, unless it is a part of a batch.
        return self._world.notifier.proved(call, response) if MADE in call.notes else response

    def _who(self, request: Request) -> str:
        bearer = self._bearer(request)
        return bearer.user.address if bearer else ""

    def _bearer(self, request: Request) -> Bearer | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        return self._world.grants.bearer(token.strip())
