"""Decides who may ask what of Graph: token, limits, mailbox, scope, in that order.

Every route of Graph runs behind `Gate`, which turns a bearer token into a `GraphCall`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from infra.simulators.kit.call import AnswerError
from infra.simulators.microsoft.answers import NOT_FOUND, answer, refuse, throttled
from infra.simulators.microsoft.folders import Folder, FolderError, Folders
from infra.simulators.microsoft.ids import MalformedIdError
from infra.simulators.microsoft.messages import Messages
from infra.simulators.microsoft.odata import QueryError
from infra.simulators.microsoft.resources import Painter, Wishes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from werkzeug.wrappers import Request, Response

    from infra.simulators.kit.call import Call
    from infra.simulators.microsoft.accounts import User
    from infra.simulators.microsoft.grants import Bearer
    from infra.simulators.microsoft.world import World

READ = ("Mail.Read", "Mail.ReadWrite")
WRITE = ("Mail.ReadWrite",)
SEND = ("Mail.Send",)
USER = ("User.Read", "User.ReadBasic.All", "User.ReadWrite")
ANY: tuple[str, ...] = ()
_SHARED = ".Shared"
_FOLDER_ERRORS = {"ErrorFolderExists": 409, "ErrorDeleteDistinguishedFolder": 403}


@dataclass(slots=True)
class GraphCall:
    """A request that was let in.

    Attributes:
        user: whose mailbox it is about.
        root: address of the service with its version.
        me: ``me``, or ``users('…')``, as links in the answer begin.
    """

    call: Call
    world: World
    bearer: Bearer
    user: User
    folders: Folders
    messages: Messages
    painter: Painter
    root: str
    me: str

    @property
    def request(self) -> Request:
        """The HTTP request."""
        return self.call.request

    @property
    def query(self) -> dict[str, str]:
        """The query's options; of one given twice the first."""
        return dict(self.call.request.args.items())

    def context(self, path: str) -> str:
        """Return an `@odata.context`."""
        return f"{self.root}/$metadata#users('{quote(self.user.graph_id)}')/{path}"

    def answer(self, body: Any = None, status: int = 200, **headers: str) -> Response:
        """Return an answer that says which wishes were fulfilled."""
        wishes = self.painter.wishes
        applied = []
        if wishes.immutable:
            applied.append('IdType="ImmutableId"')
        if wishes.text is not None:
            applied.append(f'outlook.body-content-type="{"text" if wishes.text else "html"}"')
        if wishes.page_size:
            applied.append(f"odata.maxpagesize={wishes.page_size}")
        extra = {"Preference-Applied": ", ".join(applied)} if applied else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(self.call, body, status, {**extra, **named})

    def body(self) -> dict[str, Any]:
        """Return the request's JSON object."""
        found = self.request.get_json(force=True, silent=True)
        if not isinstance(found, dict):
            refuse(
                self.call,
                400,
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and"
                " payload is of valid JSON format.",
            )
        return found

    # ---- what the path names ------------------------------------------------------------------

    def folder(self, name: str | None = None) -> Folder:
        """Return the folder that the path, or `name`, names; refuse when there is none."""
        wanted = self.call.arguments.get("folder", "") if name is None else name
        found = self.folders.find(wanted)
        if found is None:
            refuse(self.call, 404, "ErrorItemNotFound", NOT_FOUND)
        return found

    def message(self) -> sqlite3.Row:
        """Return the message that the path names; refuse when it is not there."""
        row = self.messages.find(self.call.arguments["message"])
        inside = self.call.arguments.get("folder")
        if row is None or (inside is not None and row["folder"] != self.folder(inside).pk):
            refuse(self.call, 404, "ErrorItemNotFound", NOT_FOUND)
        return row

    def again(self, row: sqlite3.Row) -> sqlite3.Row:
        """Return a message as it is now."""
        found = self.messages.of(row["pk"])
        if found is None:
            refuse(self.call, 404, "ErrorItemNotFound", NOT_FOUND)
        return found

    def attachment(self, message: sqlite3.Row) -> sqlite3.Row:
        """Return the attachment that the path names; refuse when it is not there."""
        place = self.folders.namer.read(self.call.arguments["attachment"])
        attached = {one["guid"]: one for one in self.messages.attachments(message["pk"])}
        if place.attachment not in attached:
            refuse(self.call, 404, "ErrorItemNotFound", NOT_FOUND)
        return attached[place.attachment]


Handle = Callable[[GraphCall], "Response"]


class Gate:
    """Lets requests to Graph in."""

    def __init__(self, world: World) -> None:
        self._world = world

    def guard(self, handle: Handle, scopes: Sequence[str]) -> Callable[[Call], Response]:
        """Return a route's function: `handle`, for those who have one of the scopes."""

        def run(call: Call) -> Response:
            call.notes["now"] = self._world.clock.now()
            self._world.transport.settle()
            graph = self._let_in(call, scopes)
            try:
                return handle(graph)
            except MalformedIdError:
                refuse(call, 400, "ErrorInvalidIdMalformed", "Id is malformed.")
            except QueryError as error:
                refuse(call, 400, error.code, str(error))
            except FolderError as error:
                refuse(call, _FOLDER_ERRORS.get(error.code, 400), error.code, str(error))

        return run

    def _let_in(self, call: Call, scopes: Sequence[str]) -> GraphCall:
        bearer = self._bearer(call)
        self._limit(call, bearer)
        owner = self._owner(call, bearer)
        allowed = bearer.scopes
        if owner.pk != bearer.user.pk:
            allowed = frozenset(s.removesuffix(_SHARED) for s in allowed if s.endswith(_SHARED))
        if scopes and not allowed & set(scopes):
            refuse(
                call,
                403,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            )
        if scopes != USER:
            self._check_mailbox(call, owner)
        folders = Folders(self._world.store, owner)
        messages = Messages(self._world.store, self._world.clock, owner, folders)
        is_self = "user" not in call.arguments
        return GraphCall(
            call,
            self._world,
            bearer,
            owner,
            folders,
            messages,
            Painter(self._world.store, messages, folders.namer, wishes_of(call.request)),
            f"{call.request.host_url}v1.0",
            "me" if is_self else f"users('{quote(call.arguments['user'])}')",
        )

    def _bearer(self, call: Call) -> Bearer:
        kind, _, token = call.request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            refuse(call, 401, "InvalidAuthenticationToken", "Access token is empty.")
        bearer = self._world.grants.bearer(token.strip())
        if bearer is None:
            refuse(
                call,
                401,
                "InvalidAuthenticationToken",
                "IDX14100: JWT is not well formed, there are no dots (.).",
            )
        if bearer.expired:
            refuse(
                call,
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired.",
            )
        return bearer

    def _limit(self, call: Call, bearer: Bearer) -> None:
        if call.route == "batch":
            return  # only its parts reach a mailbox
        key = (bearer.client, bearer.user.address)
        throttle = self._world.throttle
        if call.notes.get("crowded"):
            over = throttle.crowded()
        else:
            upload = 0 if call.request.method == "GET" else len(call.request.get_data())
            if upload > throttle.limits.request_bytes:
                text = "The maximum request length supported is 4MB."
                refuse(call, 413, "BadRequest", text)
            found = throttle.count(key, upload)
            call.cost = 1
            if found is None:
                return
            over = found
        raise AnswerError(throttled(call, over.limit, over.retry_after))

    def _owner(self, call: Call, bearer: Bearer) -> User:
        wanted = call.arguments.get("user")
        if wanted is None:
            return bearer.user
        found = self._world.accounts.find_user(wanted)
        if found is None or found.tid != bearer.user.tid:
            refuse(call, 404, "ErrorInvalidUser", f"The requested user '{wanted}' is invalid.")
        if found.pk != bearer.user.pk and bearer.user.address not in found.options.delegates:
            refuse(
                call,
                403,
                "ErrorAccessDenied",
                "Access is denied. Check credentials and try again.",
            )
        return found

    def _check_mailbox(self, call: Call, owner: User) -> None:
        if owner.options.mailbox == "missing":
            refuse(
                call,
                404,
                "MailboxNotEnabledForRESTAPI",
                "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
            )
        if owner.options.mailbox == "locked":
            refuse(call, 423, "ErrorMailboxMoveInProgress", "Mailbox move in progress.")


def wishes_of(request: Request) -> Wishes:
    """Return what the Prefer headers of a request ask for."""
    said = ",".join(request.headers.getlist("Prefer")).lower().replace(" ", "")
    size = re.search(r"odata\.maxpagesize=(\d+)", said)
    text = re.search(r"outlook\.body-content-type=\"?(text|html)", said)
    return Wishes(
        immutable='idtype="immutableid"' in said or "idtype=immutableid" in said,
        text=None if text is None else text[1] == "text",
        unsafe="outlook.allow-unsafe-html" in said,
        page_size=int(size[1]) if size else 0,
    )
