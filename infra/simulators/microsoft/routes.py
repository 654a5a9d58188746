"""Decides which addresses there are, and which scopes open each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from infra.simulators.kit.service import Route
from infra.simulators.microsoft import (
    graph_batch,
    graph_drafts,
    graph_folders,
    graph_lists,
    graph_messages,
    graph_people,
    graph_subscriptions,
    graph_uploads,
)
from infra.simulators.microsoft.answers import refusal
from infra.simulators.microsoft.entra_pages import error_page, page
from infra.simulators.microsoft.entra_sign_in import SignIn
from infra.simulators.microsoft.entra_tokens import Tokens
from infra.simulators.microsoft.graph_call import ANY, READ, SEND, USER, WRITE, Gate, Handle

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from infra.simulators.kit.call import Call
    from infra.simulators.microsoft.world import World

_FOLDER = "/mailFolders/<folder>"
_MESSAGE = "/messages/<message>"
_BOTH = (_MESSAGE, _FOLDER + _MESSAGE)
_Line = tuple[str, str, str, Handle, Sequence[str]]

_MAIL: list[_Line] = [
    ("GET", "", "user.get", graph_people.get_user, USER),
    ("GET", "/mailFolders", "folders.list", graph_folders.list_folders, READ),
    ("POST", "/mailFolders", "folders.create", graph_folders.create_folder, WRITE),
    ("GET", "/mailFolders/delta", "folders.delta", graph_folders.folders_delta, READ),
    ("GET", _FOLDER, "folders.get", graph_folders.get_folder, READ),
    ("PATCH", _FOLDER, "folders.update", graph_folders.rename_folder, WRITE),
    ("DELETE", _FOLDER, "folders.delete", graph_folders.delete_folder, WRITE),
    ("POST", f"{_FOLDER}/move", "folders.move", graph_folders.move_folder, WRITE),
    ("GET", f"{_FOLDER}/childFolders", "folders.list", graph_folders.list_folders, READ),
    ("POST", f"{_FOLDER}/childFolders", "folders.create", graph_folders.create_folder, WRITE),
    ("GET", "/messages", "messages.list", graph_lists.list_messages, READ),
    ("GET", f"{_FOLDER}/messages", "messages.list", graph_lists.list_messages, READ),
    ("GET", "/messages/$count", "messages.count", graph_lists.count_messages, READ),
    ("GET", f"{_FOLDER}/messages/$count", "messages.count", graph_lists.count_messages, READ),
    ("GET", "/messages/delta", "messages.delta", graph_folders.no_delta_of_all, READ),
    ("GET", f"{_FOLDER}/messages/delta", "messages.delta", graph_lists.messages_delta, READ),
    ("POST", "/messages", "messages.create", graph_drafts.create_draft, WRITE),
    ("POST", f"{_FOLDER}/messages", "messages.create", graph_drafts.create_draft, WRITE),
    ("POST", "/sendMail", "sendMail", graph_drafts.send_mail, SEND),
    ("POST", "/translateExchangeIds", "translateIds", graph_people.translate_ids, USER),
]
_ONE_MESSAGE: list[_Line] = [
    ("GET", "", "messages.get", graph_messages.get_message, READ),
    ("PATCH", "", "messages.update", graph_messages.patch_message, WRITE),
    ("DELETE", "", "messages.delete", graph_messages.delete_message, WRITE),
    ("GET", "/$value", "messages.mime", graph_messages.get_mime, READ),
    ("POST", "/move", "messages.move", graph_messages.move_message, WRITE),
    ("POST", "/copy", "messages.copy", graph_messages.copy_message, WRITE),
    ("POST", "/permanentDelete", "messages.purge", graph_messages.delete_for_good, WRITE),
    ("POST", "/createReply", "messages.createReply", graph_drafts.create_reply, WRITE),
    ("POST", "/createReplyAll", "messages.createReply", graph_drafts.create_reply_all, WRITE),
    ("POST", "/createForward", "messages.createForward", graph_drafts.create_forward, WRITE),
    ("POST", "/reply", "messages.reply", graph_drafts.reply, SEND),
    ("POST", "/replyAll", "messages.reply", graph_drafts.reply_all, SEND),
    ("POST", "/forward", "messages.forward", graph_drafts.forward, SEND),
    ("POST", "/send", "messages.send", graph_drafts.send_draft, SEND),
    ("GET", "/attachments", "attachments.list", graph_messages.list_attachments, READ),
    ("POST", "/attachments", "attachments.create", graph_messages.add_attachment, WRITE),
    (
        "POST",
        "/attachments/createUploadSession",
        "attachments.session",
        graph_uploads.create_session,
        WRITE,
    ),
    ("GET", "/attachments/<attachment>", "attachments.get", graph_messages.get_attachment, READ),
    (
        "GET",
        "/attachments/<attachment>/$value",
        "attachments.bytes",
        graph_messages.get_attachment_bytes,
        READ,
    ),
    (
        "DELETE",
        "/attachments/<attachment>",
        "attachments.delete",
        graph_messages.delete_attachment,
        WRITE,
    ),
]
_AT_ROOT: list[_Line] = [
    ("POST", "/$batch", "batch", graph_batch.batch, ANY),
    ("GET", "/subscriptions", "subscriptions.list", graph_subscriptions.list_all, READ),
    ("POST", "/subscriptions", "subscriptions.create", graph_subscriptions.create, READ),
    ("GET", "/subscriptions/<id>", "subscriptions.get", graph_subscriptions.get, READ),
    ("PATCH", "/subscriptions/<id>", "subscriptions.update", graph_subscriptions.renew, READ),
    ("DELETE", "/subscriptions/<id>", "subscriptions.delete", graph_subscriptions.delete, READ),
    (
        "POST",
        "/subscriptions/<id>/reauthorize",
        "subscriptions.reauthorize",
        graph_subscriptions.reauthorize,
        READ,
    ),
]


def routes_of(world: World) -> list[Route]:
    """Return every route of the simulator."""
    gate = Gate(world)
    found = [
        Route(method, f"/v1.0{path}", name, gate.guard(handle, scopes))
        for method, path, name, handle, scopes in _AT_ROOT
    ]
    for start in ("/v1.0/me", "/v1.0/users/<user>"):
        found += [
            Route(method, start + path, name, gate.guard(handle, scopes))
            for method, path, name, handle, scopes in _MAIL
        ]
        found += [
            Route(method, start + where + path, name, gate.guard(handle, scopes))
            for where in _BOTH
            for method, path, name, handle, scopes in _ONE_MESSAGE
        ]
    upload = Route("PUT", graph_uploads.PATH, "attachments.upload", graph_uploads.upload(world))
    return [*found, upload, *_entra(world)]


def _entra(world: World) -> list[Route]:
    sign_in, tokens = SignIn(world), Tokens(world)
    base = "/<tenant>/oauth2/v2.0"
    lines: list[tuple[str, str, str, Callable[[Call], Response]]] = [
        ("GET", "/common/discovery/instance", "entra.instance", tokens.instance),
        (
            "GET",
            "/<tenant>/v2.0/.well-known/openid-configuration",
            "entra.discovery",
            tokens.discovery,
        ),
        ("GET", "/<tenant>/discovery/v2.0/keys", "entra.keys", tokens.keys),
        ("GET POST", f"{base}/authorize", "entra.authorize", sign_in.authorize),
        ("POST", f"{base}/consent", "entra.consent", sign_in.consent),
        ("POST", f"{base}/token", "entra.token", tokens.token),
        ("GET POST", f"{base}/logout", "entra.logout", _logout),
        ("GET POST", "/<tenant>/v2.0/adminconsent", "entra.adminconsent", sign_in.admin_consent),
    ]
    return [Route(*line) for line in lines]


def _logout(_call: Call) -> Response:
    return page("Signed out", "<h1>You signed out of your account</h1>")


def no_route(call: Call, status: int) -> Response:
    """Answer a path that is not there, or a method that it does not have."""
    path: Any = call.request.path
    if not path.startswith("/v1.0"):
        return error_page("AADSTS900144: there is nothing at this address.", status)
    if status == 405:  # noqa: PLR2004 - HTTP
        return refusal(
            call,
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        )
    segment = path.rstrip("/").rpartition("/")[2]
    return refusal(call, 400, "BadRequest", f"Resource not found for the segment '{segment}'.")
