"""Decides what a test may change over HTTP: the routes under `/_control/`, on the http port only.

They have no log entry, no fault and no quota. The same functions are the Python interface.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule

from infra.simulators.kit.call import json_response
from infra.simulators.kit.mailbox import Delivery, NoSuchThingError, Provider

if TYPE_CHECKING:
    from werkzeug.wrappers import Request, Response

    from infra.simulators.kit.service import Service

CONTROL = "/_control"
_MESSAGE = "/users/<address>/messages/<message_id>"
Body = Mapping[str, Any]
ControlRoute = tuple[str, str, Callable[..., Any]]
"""Method, path, and what is called with the body and the arguments of the path."""


class Control:
    """Answers `/_control/…`."""

    def __init__(
        self, service: Service, provider: Provider, more: Iterable[ControlRoute] = ()
    ) -> None:
        self._service = service
        self._provider = provider
        routes: list[ControlRoute] = [
            ("GET", "/", self._state),
            ("GET", "/requests", lambda _body: service.log.as_json()),
            ("DELETE", "/requests", lambda _body: service.log.clear()),
            ("GET", "/pushes", lambda _body: service.courier.as_json()),
            ("DELETE", "/pushes", lambda _body: service.courier.clear()),
            ("GET", "/faults", self._faults),
            ("POST", "/faults", self._arm),
            ("DELETE", "/faults", lambda _body: service.faults.clear()),
            ("DELETE", "/faults/<int:fault_id>", self._disarm),
            ("POST", "/clock", self._advance),
            ("GET", "/users", lambda _body: {"users": provider.users()}),
            ("POST", "/users", lambda body: provider.add_user(**body)),
            ("GET", "/users/<address>/messages", self._messages),
            ("POST", "/users/<address>/messages", self._deliver),
            ("POST", f"{_MESSAGE}/<any(flags,move,trash,delete):change>", self._change),
            ("GET", "/users/<address>/folders", self._folders),
            ("POST", "/users/<address>/folders", self._create_folder),
            ("PATCH", "/users/<address>/folders/<path:folder>", self._rename_folder),
            ("DELETE", "/users/<address>/folders/<path:folder>", self._delete_folder),
            ("POST", "/users/<address>/grants/revoke", self._revoke),
            ("POST", "/clients", lambda body: provider.add_client(**body)),
            ("PATCH", "/clients/<path:client_id>", self._change_client),
            *more,
        ]
        self._map = Map(
            [Rule(CONTROL + path, methods=[method], endpoint=f) for method, path, f in routes],
            strict_slashes=False,
        )

    def answer(self, request: Request) -> Response:
        """Answer a control request; a bad one is told what is known."""
        if request.scheme != "http":
            return json_response({"error": "control is on the http port"}, 404)
        try:
            function, arguments = self._map.bind_to_environ(request.environ).match()
            body = request.get_json(force=True) if request.get_data() else {}
            if not isinstance(body, dict):
                raise BadRequest("the body must be a JSON object")
            found = function(body, **arguments)
        except RequestRedirect as redirect:
            return json_response({"error": redirect.new_url}, 404)
        except HTTPException as error:
            return json_response({"error": error.description}, error.code or 400)
        except NoSuchThingError as error:
            return json_response({"error": str(error)}, 404)
        except (KeyError, TypeError, ValueError) as error:
            return json_response({"error": _words(error)}, 400)
        return json_response({} if found is None else found)

    # ---- the simulator ------------------------------------------------------------------------

    def _state(self, _body: Body) -> dict[str, Any]:
        service = self._service
        return {
            "now": service.clock.now().isoformat(),
            "clock_offset_seconds": service.clock.offset_seconds,
            "failures": service.failures,
            **self._provider.state(),
        }

    def _faults(self, _body: Body) -> dict[str, Any]:
        faults = self._service.faults
        return {
            "armed": [asdict(armed) for armed in faults.armed()],
            "known": {name: dict(kind.parameters) for name, kind in sorted(faults.kinds.items())},
        }

    def _arm(self, body: Body) -> dict[str, Any]:
        return asdict(self._service.faults.arm(**{"fault": "", **body}))

    def _disarm(self, _body: Body, fault_id: int) -> None:
        self._service.faults.clear(fault_id)

    def _advance(self, body: Body) -> dict[str, Any]:
        self._service.clock.advance(float(body["advance_seconds"]))
        return {"now": self._service.clock.now().isoformat()}

    def _change_client(self, body: Body, client_id: str) -> None:
        self._provider.change_client(client_id, **body)

    def _revoke(self, body: Body, address: str) -> dict[str, Any]:
        return {"revoked": self._provider.revoke_grants(address, **body)}

    # ---- mailboxes ----------------------------------------------------------------------------

    def _messages(self, _body: Body, address: str) -> dict[str, Any]:
        held = self._provider.mail(address).messages()
        return {"messages": [{**asdict(m), "received_at": m.received_at.isoformat()} for m in held]}

    def _deliver(self, body: Body, address: str) -> dict[str, Any]:
        many = body.get("messages", [body])
        deliveries = [_delivery(**item) for item in many]
        return {"ids": self._provider.mail(address).deliver_all(deliveries)}

    def _change(self, body: Body, address: str, message_id: str, change: str) -> None:
        mail = self._provider.mail(address)
        if change == "flags":
            mail.set_flags(message_id, **body)
        elif change == "move":
            mail.move(message_id, str(body["folder"]))
        elif change == "trash":
            mail.trash(message_id)
        else:
            mail.delete(message_id)

    def _folders(self, _body: Body, address: str) -> dict[str, Any]:
        return {"folders": self._provider.mail(address).folders()}

    def _create_folder(self, body: Body, address: str) -> dict[str, Any]:
        mail = self._provider.mail(address)
        return {"id": mail.create_folder(str(body["name"]), str(body.get("parent", "")))}

    def _rename_folder(self, body: Body, address: str, folder: str) -> None:
        self._provider.mail(address).rename_folder(folder, str(body["name"]))

    def _delete_folder(self, _body: Body, address: str, folder: str) -> None:
        self._provider.mail(address).delete_folder(folder)


def _delivery(
    raw: str, folders: list[str] | None = None, received_at: str = "", *, seen: bool = False
) -> Delivery:
    """Return what JSON says; `raw` is base64 (either alphabet), or the message itself as text."""
    received = dt.datetime.fromisoformat(received_at) if received_at else None
    if received is not None and received.tzinfo is None:
        raise ValueError("received_at needs an offset from UTC")
    return Delivery(_bytes(raw), tuple(folders or ()), received, seen)


def _bytes(raw: str) -> bytes:
    if re.fullmatch(r"[A-Za-z0-9+/_=\s-]+", raw) is None:
        return raw.encode()
    try:
        return base64.b64decode("".join(raw.split()).replace("-", "+").replace("_", "/") + "==")
    except binascii.Error as error:
        raise ValueError(f"raw is no base64: {error}") from None


def _words(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"missing: {error.args[0]}"
    # A TypeError names our function: keep what is wrong with the arguments.
    return re.sub(r"^[\w.]+\(\) ", "", str(error))
