"""Decides whether an API call is let through: token, scope, user, quota, parameters, in turn.

Each method's path, parameters, body and scopes are those of Google's discovery document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from infra.simulators.google import answers, discovery, fields
from infra.simulators.google.mailbox import Mailbox
from infra.simulators.google.quota import UNITS, Quota
from infra.simulators.google.uploads import read_upload
from infra.simulators.kit.call import AnswerError, Call, json_response
from infra.simulators.kit.service import Route

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

    from infra.simulators.google.grants import AccessToken, Grants
    from infra.simulators.google.world import World

PREFIX = "gmail.users."
_METADATA = "https://www.googleapis.com/auth/gmail.metadata"
_MAX_ID = 2**64


@dataclass(slots=True)
class ApiCall:
    """A call that was let through.

    Attributes:
        mailbox: whose mail.
        path: arguments of the path.
        query: parameters, checked.
        body: the JSON body, checked; empty without one.
        media: the message uploaded instead of `raw`, or None.
        token: what authorised it.
    """

    mailbox: Mailbox
    path: Mapping[str, str]
    query: MultiDict[str, str]
    body: dict[str, Any]
    media: bytes | None
    token: AccessToken

    def number(self, name: str = "id") -> int:
        """Return a message's or thread's id of the path. Raises AnswerError."""
        return number_of(self.path[name])

    @property
    def only_metadata(self) -> bool:
        """Say whether the token sees headers but no content."""
        readers = ("mail.google.com", "gmail.modify", "gmail.readonly")
        return _METADATA in self.token.scopes and not any(
            reader in scope for scope in self.token.scopes for reader in readers
        )

    def max_results(self, default: int = 100, most: int = 500) -> int:
        """Return how many results are asked for. Raises AnswerError."""
        text = self.query.get("maxResults")
        if text is None:
            return default
        if int(text) < 1:
            raise answers.invalid("Invalid maxResults value")
        return min(int(text), most)


Handler = Callable[[ApiCall], "dict[str, Any] | None"]


def number_of(text: str) -> int:
    """Return the number behind an id as shown. Raises AnswerError for what can be no id."""
    try:
        found = int(text, 16)
    except ValueError:
        raise answers.invalid("Invalid id value") from None
    if not 0 < found < _MAX_ID:
        raise answers.invalid("Invalid id value")
    return min(found, 2**63 - 1)  # SQLite's largest; no message has it


def bearer(request: Request) -> str:
    """Return the access token of a request, or ""."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.args.get("access_token", "")


class Gate:
    """Lets calls through to the functions that answer them."""

    def __init__(self, world: World, grants: Grants, quota: Quota) -> None:
        self._world = world
        self._grants = grants
        self._quota = quota

    def routes(self, handlers: Mapping[str, Handler]) -> list[Route]:
        """Return a route for each method, and one for its upload variant."""
        made = []
        for name, handler in handlers.items():
            method = discovery.methods()[PREFIX + name]
            for path in filter(None, (f"/{method.path}", method.upload)):
                rule = path.replace("{", "<").replace("}", ">")
                made.append(Route(method.http, rule, name, self._around(method, name, handler)))
        return made

    def _around(
        self, method: discovery.Method, name: str, handler: Handler
    ) -> Callable[[Call], Response]:
        def answer(call: Call) -> Response:
            token = self._token(call.request)
            if not set(token.scopes) & set(method.scopes):
                raise AnswerError(answers.insufficient_scopes(method.id, method.scopes))
            self._check_user(call.arguments["userId"], token)
            self._charge(call, token, UNITS[name])
            mask = self._check_query(call.request, method)
            media, body = read_upload(call.request)
            if method.request:
                wrong = discovery.problems(method.request, body)
                if wrong:
                    raise answers.invalid(f"Invalid JSON payload received. {wrong[0]}")
            mailbox = Mailbox(self._world, token.address)
            found = handler(ApiCall(mailbox, call.arguments, call.request.args, body, media, token))
            if found is None:
                return Response(status=204)
            return json_response(found if mask is None else fields.select(mask, found))

        return answer

    def _token(self, request: Request) -> AccessToken:
        text = bearer(request)
        if not text:
            raise AnswerError(answers.missing_credentials())
        token = self._grants.access_token(text)
        if token is None:
            raise AnswerError(answers.invalid_credentials())
        return token

    def _check_user(self, user_id: str, token: AccessToken) -> None:
        if user_id not in ("me", token.address) and user_id.lower() != token.address:
            raise answers.forbidden(f"Delegation denied for {token.address}")

    def _charge(self, call: Call, token: AccessToken, units: int) -> None:
        call.cost = units
        project = self._grants.project_of(token.client_id)
        passed = self._quota.charge(token.address, project, units)
        if passed:
            call.cost = 0
            limits = self._world.limits
            raise AnswerError(
                answers.quota_exceeded(
                    project,
                    "defaultPerMinutePerUser" if passed == "user" else "defaultPerMinutePerProject",
                    limits.user_units if passed == "user" else limits.project_units,
                    per_user=passed == "user",
                )
            )

    def _check_query(self, request: Request, method: discovery.Method) -> fields.Mask | None:
        known = {**discovery.common_query(), **method.query}
        for name, value in request.args.items(multi=True):
            if name not in known:
                raise answers.invalid(
                    f'Invalid JSON payload received. Unknown name "{name}":'
                    " Cannot bind query parameter. Field could not be found in request message."
                )
            _check_value(name, value, known[name])
        text = request.args.get("fields")
        if text is None:
            return None
        try:
            return fields.parse(text)
        except ValueError:
            raise answers.invalid(f"Invalid field selection {text}") from None


def _check_value(name: str, value: str, known: Mapping[str, Any]) -> None:
    kind = known["type"]
    wrong = (
        (kind == "integer" and not value.isascii())
        or (kind == "integer" and not value.lstrip("-").isdigit())
        or (kind == "boolean" and value not in ("true", "false"))
        or ("enum" in known and value.lower() not in [e.lower() for e in known["enum"]])
    )
    if wrong:
        raise answers.invalid(
            f"Invalid value at '{name}' ({known.get('format', kind)}), {json.dumps(value)}"
        )
