"""Decides what a JSON message from a client may hold: Graph refuses a value of another type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.simulators.microsoft.answers import refuse

if TYPE_CHECKING:
    from infra.simulators.kit.call import Call

RECIPIENT_LISTS = ("toRecipients", "ccRecipients", "bccRecipients", "replyTo")
_RECIPIENT = {"emailAddress": {"name": str, "address": str}}
_ATTACHMENT = {
    "@odata.type": str,
    "name": str,
    "contentType": str,
    "contentBytes": str,
    "isInline": bool,
    "contentId": str,
}
# A type, a list with the shape of its items, or an object with the shapes of its properties.
_SHAPES: dict[str, Any] = {
    **{name: [_RECIPIENT] for name in RECIPIENT_LISTS},
    "from": _RECIPIENT,
    "sender": _RECIPIENT,
    "subject": str,
    "body": {"contentType": str, "content": str},
    "importance": str,
    "inferenceClassification": str,
    "isRead": bool,
    "internetMessageId": str,
    "internetMessageHeaders": [{"name": str, "value": str}],
    "attachments": [_ATTACHMENT],
    "categories": [str],
    "flag": {"flagStatus": str},
}
_VALUES = {
    "importance": ("low", "normal", "high"),
    "inferenceClassification": ("focused", "other"),
}


def message_body(call: Call, value: object) -> dict[str, Any]:
    """Return what of a message a client sent, without what is null; refuse what has no sense."""
    if not isinstance(value, dict):
        refuse(call, 400, "BadRequest", "Cannot convert a value to type 'microsoft.graph.message'.")
    body = {name: one for name, one in value.items() if one is not None}
    for name, shape in _SHAPES.items():
        if name in body and not _fits(body[name], shape):
            refuse(call, 400, "BadRequest", f"Cannot convert a value of property '{name}'.")
    for name, allowed in _VALUES.items():
        if name in body and body[name].lower() not in allowed:
            refuse(call, 400, "BadRequest", f"Requested value '{body[name]}' was not found.")
    for name in RECIPIENT_LISTS:
        if name in body:
            body[name] = [_recipient(one) for one in body[name]]
    for name in ("from", "sender"):
        if name in body:
            body[name] = _recipient(body[name])
    return body


def attachment_body(call: Call, value: object) -> dict[str, Any]:
    """Return an attachment that a client sent; refuse what is none."""
    if not _fits(value, _ATTACHMENT) or not isinstance(value, dict):
        refuse(call, 400, "BadRequest", "Cannot convert a value to type 'attachment'.")
    return {name: one for name, one in value.items() if one is not None}


def _fits(value: object, shape: Any) -> bool:
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            _fits(value[name], inner)
            for name, inner in shape.items()
            if value.get(name) is not None
        )
    return isinstance(value, shape)


def _recipient(value: dict[str, Any]) -> dict[str, Any]:
    mail = value.get("emailAddress") or {}
    address = mail.get("address") or ""
    return {"emailAddress": {"name": mail.get("name") or address, "address": address}}
