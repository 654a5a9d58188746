"""Decides how the parts of the Google simulator are put together, and what a test calls.

with GoogleSimulator(certificate=…, key=…) as google:
google.add_client("id", "secret", ["https://localhost/callback"])
google.add_user("ada@gmail.example")
google.mail("ada@gmail.example").deliver(raw)
google.faults.arm("rate_limit_429", times=3)
…  # https://… is google.url, http://… is google.browser_url
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

from infra.simulators.google import (
    answers,
    history_api,
    labels_api,
    messages_api,
    threads_api,
)
from infra.simulators.google.accounts import Accounts
from infra.simulators.google.batch import Batch
from infra.simulators.google.consent import Consent
from infra.simulators.google.drafts_api import Drafts
from infra.simulators.google.faults import google_faults
from infra.simulators.google.gate import Gate, Handler, bearer
from infra.simulators.google.grants import Grants
from infra.simulators.google.mailbox import Mailbox
from infra.simulators.google.owner import OwnerMail
from infra.simulators.google.pubsub import FORGERIES, PubSub
from infra.simulators.google.quota import Quota
from infra.simulators.google.schema import SCHEMA
from infra.simulators.google.sending import Sending
from infra.simulators.google.settings_api import SendAs
from infra.simulators.google.signing import Signer
from infra.simulators.google.token_api import TokenApi
from infra.simulators.google.world import Limits, World
from infra.simulators.kit.clock import Clock
from infra.simulators.kit.mailbox import NoSuchThingError
from infra.simulators.kit.service import Service
from infra.simulators.kit.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from werkzeug.wrappers import Request, Response

    from infra.simulators.google.faults import Change
    from infra.simulators.kit.call import Call
    from infra.simulators.kit.courier import Pushed
    from infra.simulators.kit.faults import Faults
    from infra.simulators.kit.request_log import RequestLog

_NOT_FOUND = 404


class GoogleSimulator:
    """Gmail and Google's OAuth on loopback.

    Args:
        state: the database file; in memory when None.
        certificate: PEM; without it only http is spoken.
        key: PEM.
        port: of https; 0 takes a free one.
        browser_port: of http, where control is too; 0 takes a free one.
        limits: what Google allows.
    """

    def __init__(
        self,
        state: Path | None = None,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        port: int = 0,
        browser_port: int = 0,
        limits: Limits | None = None,
    ) -> None:
        self._listening: dict[str, Any] = {
            "certificate": certificate,
            "key": key,
            "port": port,
            "browser_port": browser_port,
        }
        self.url = ""
        self.browser_url = ""
        store = Store(SCHEMA, state)
        self.world = World(store, Clock(store), limits or Limits())
        self.accounts = Accounts(self.world)
        self.grants = Grants(self.world, self.accounts)
        self.quota = Quota(self.world)
        self.signer = Signer(self.world)
        self.pubsub = PubSub(self.world, self.accounts, self.signer)
        send_as = SendAs(self.accounts)
        self._sending = Sending(self.accounts, send_as)
        handlers: dict[str, Handler] = {
            **messages_api.handlers(),
            **labels_api.handlers(),
            **history_api.handlers(),
            **threads_api.handlers(),
            **self.pubsub.handlers(),
            **send_as.handlers(),
            **self._sending.handlers(),
            **Drafts(self._sending).handlers(),
        }
        self.methods = sorted(handlers)
        self.service: Service = Service(
            store,
            [
                *Consent(self.world, self.accounts).routes(),
                *TokenApi(self.world, self.accounts, self.grants, self.signer).routes(),
                *Batch(self.world, self._answer_part).routes(),
                *Gate(self.world, self.grants, self.quota).routes(handlers),
            ],
            self,
            identify=self._identify,
            no_route=_no_route,
            faults=google_faults(self.world, self._changes()),
            forgeries=FORGERIES,
            controls=[
                ("POST", "/topics", lambda body: self.add_topic(**body)),
                ("DELETE", "/topics/<path:name>", lambda _body, name: self.delete_topic(name)),
            ],
            clock=self.world.clock,
        )
        self.pubsub.courier = self.service.courier
        store.on_news = self.pubsub.heard

    # ---- life ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen."""
        self.url, self.browser_url = self.service.start(**self._listening)
        return self

    def stop(self) -> None:
        """Stop listening and close the state."""
        self.service.stop()
        self.world.store.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # ---- what tests look at -------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """Its time; `advance(seconds)` moves it."""
        return self.world.clock

    @property
    def faults(self) -> Faults:
        """Its faults; `arm(name, …)` and `clear()`."""
        return self.service.faults

    @property
    def log(self) -> RequestLog:
        """What was asked of it."""
        return self.service.log

    @property
    def limits(self) -> Limits:
        """What Google allows; to be changed at will."""
        return self.world.limits

    # ---- control (kit.mailbox.Provider) -------------------------------------------------------

    def add_user(self, address: str, **options: Any) -> None:
        """Make an account or change its options (see `accounts.UserOptions`)."""
        self.accounts.add_user(address, **options)

    def users(self) -> list[str]:
        """Return the addresses of all accounts."""
        return self.accounts.users()

    def mail(self, address: str) -> OwnerMail:
        """Return an account's mailbox, as its owner changes it. Raises NoSuchThingError."""
        user = self.accounts.user(address)
        if user is None:
            raise NoSuchThingError(f"no user {address}")
        return OwnerMail(Mailbox(self.world, user.address), self._sending)

    def add_client(
        self, client_id: str, client_secret: str, redirect_uris: Sequence[str], **options: Any
    ) -> None:
        """Register an OAuth client (see `accounts.ClientOptions`)."""
        self.accounts.add_client(client_id, client_secret, redirect_uris, **options)

    def change_client(self, client_id: str, **changes: Any) -> None:
        """Change some of a client. Raises NoSuchThingError."""
        self.accounts.change_client(client_id, **changes)

    def revoke_grants(self, address: str, reason: str = "user") -> int:
        """End a user's grants; see `grants.REASONS`. Returns how many refresh tokens died."""
        user = self.accounts.user(address)
        if user is None:
            raise NoSuchThingError(f"no user {address}")
        return self.grants.end_all(user.address, reason)

    def state(self) -> Mapping[str, Any]:
        """Return accounts, methods, topics and watches."""
        return {
            "users": self.users(),
            "methods": self.methods,
            "topics": self.pubsub.topics(),
            "watches": self.pubsub.watches(),
        }

    def add_topic(self, name: str, **options: Any) -> None:
        """Make a topic of Pub/Sub or replace it: see `pubsub.Topic`."""
        self.pubsub.add_topic(name, **options)

    def delete_topic(self, name: str) -> None:
        """Delete a topic. Raises NoSuchThingError."""
        self.pubsub.delete_topic(name)

    def pushed(self) -> list[Pushed]:
        """Return the pushes that went out, each try as one."""
        return self.service.courier.pushed()

    # ---- inside -------------------------------------------------------------------------------

    def _answer_part(self, call: Call) -> Response:
        return self.service.answer(call)

    def _identify(self, request: Request) -> str:
        token = self.grants.access_token(bearer(request))
        return token.address if token else ""

    def _changes(self) -> dict[str, Change]:
        def change(do: str) -> Change:
            def around(address: str, message_id: str) -> None:
                with contextlib.suppress(NoSuchThingError):
                    mail = self.mail(address)
                    if do == "move":
                        mail.move(message_id, "")
                    else:
                        getattr(mail, do)(message_id)

            return around

        return {name: change(name) for name in ("delete", "trash", "move")}


def _no_route(call: Call, status: int) -> Response:
    if call.request.path.startswith(("/gmail/", "/upload/", "/batch")) and status == _NOT_FOUND:
        return answers.error_response(404, "Not Found", "notFound")
    return answers.error_response(_NOT_FOUND, "Not Found", "notFound")
