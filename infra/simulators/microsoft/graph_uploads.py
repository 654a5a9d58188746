"""Decides how a large file comes to a draft: a session, then its bytes in order, 4 MB at a time.

The session's address is good without a token, and is asked without one
(learn.microsoft.com/graph/outlook-large-attachments).
"""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.answers import answer, refuse
from infra.simulators.microsoft.folders import Folders
from infra.simulators.microsoft.messages import Messages
from infra.simulators.microsoft.mime_read import Attachment
from infra.simulators.microsoft.resources import stamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.microsoft.graph_call import GraphCall
    from infra.simulators.microsoft.world import World

SMALLEST, LARGEST = 3 << 20, 150 << 20
RANGE_BYTES = 4 << 20
PATH = "/api/gv1.0/AttachmentSessions/<session>"
_SECONDS = 3 * 3600
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def create_session(graph: GraphCall) -> Response:
    """Begin to attach a large file to a draft."""
    row = graph.message()
    if not row["is_draft"]:
        refuse(graph.call, 400, "ErrorInvalidOperation", "Attachments can be added to drafts only.")
    named = {name.lower(): value for name, value in graph.body().items()}
    item = named.get("attachmentitem")
    if not isinstance(item, dict) or item.get("attachmentType") != "file":
        refuse(graph.call, 400, "ErrorInvalidRequest", "An AttachmentItem of type file is needed.")
    size = item.get("size")
    if not isinstance(size, int) or not isinstance(item.get("name"), str):
        refuse(graph.call, 400, "ErrorInvalidRequest", "A name and a size are needed.")
    if size < SMALLEST:
        refuse(
            graph.call,
            400,
            "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize",
            f"Attachment size should be greater than the minimum allowed size {SMALLEST}.",
        )
    if size > LARGEST:
        refuse(
            graph.call,
            400,
            "ErrorAttachmentSizeLimitExceeded",
            "Attachment size exceeds the limit.",
        )
    session = secrets.token_urlsafe(24)
    graph.world.store.execute(
        "insert into uploads values (?, ?, ?, ?, ?, ?)",
        *(session, graph.user.pk, row["pk"], json.dumps(item), b""),
        graph.world.clock.epoch() + _SECONDS,
    )
    host = graph.request.host_url.rstrip("/")
    body = _told(graph.world.clock.epoch() + _SECONDS, 0)
    where = f"{host}{PATH.replace('<session>', session)}?authtoken={secrets.token_urlsafe(200)}"
    context = f"{graph.root}/$metadata#microsoft.graph.uploadSession"
    return graph.answer({"@odata.context": context, "uploadUrl": where, **body}, 201)


def _told(expires: float, held: int) -> dict[str, Any]:
    return {"expirationDateTime": stamp(expires), "nextExpectedRanges": [f"{held}-"]}


def upload(world: World) -> Callable[[Call], Response]:
    """Return what takes the next bytes of a file, and attaches it with the last of them."""

    def put(call: Call) -> Response:
        if "Authorization" in call.request.headers:
            refuse(call, 401, "InvalidAuthenticationToken", "A session is asked without a token.")
        session = call.arguments["session"]
        found = world.store.row("select * from uploads where session = ?", session)
        if found is None or found["expires"] < world.clock.epoch():
            refuse(call, 404, "ErrorItemNotFound", "The upload session was not found.")
        item, held = json.loads(found["item"]), bytes(found["held"])
        data = call.request.get_data()
        said = _RANGE.fullmatch(call.request.headers.get("Content-Range", ""))
        if (
            said is None
            or [int(one) for one in said.groups()]
            != [len(held), len(held) + len(data) - 1, item["size"]]
            or len(data) > RANGE_BYTES
        ):
            refuse(call, 400, "ErrorInvalidRequest", "The range is not the one that is expected.")
        held += data
        if len(held) < item["size"]:
            world.store.execute("update uploads set held = ? where session = ?", held, session)
            return answer(call, _told(found["expires"], len(held)))
        world.store.execute("delete from uploads where session = ?", session)
        _attach(world, found["user"], found["message"], item, held)
        # There is no body, but where the attachment is.
        return answer(call, status=201, headers={"Location": f"{call.request.base_url}/done"})

    return put


def _attach(world: World, owner: int, message: int, item: dict[str, Any], content: bytes) -> None:
    user = world.accounts.user_of(owner)
    messages = Messages(world.store, world.clock, user, Folders(world.store, user))
    messages.attach(
        message,
        Attachment(
            name=item["name"],
            content_type=str(item.get("contentType") or "application/octet-stream"),
            content=content,
            is_inline=bool(item.get("isInline")),
            content_id=str(item.get("contentId") or ""),
        ),
    )
