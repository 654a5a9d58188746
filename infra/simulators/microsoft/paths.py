"""Decides that all spellings of a path that Graph takes come to one: the one the routes know."""

from __future__ import annotations

import re

_NESTED = re.compile(r"/(?:mailFolders|childFolders)/[^/]+(?=/childFolders/(?!delta)[^/]+)")
_KEYED = re.compile(r"\b([A-Za-z]+)\('([^'/]*)'\)")
_USUAL = {
    name.lower(): name
    for name in (
        "me",
        "users",
        "mailFolders",
        "childFolders",
        "messages",
        "attachments",
        "delta",
        "move",
        "copy",
        "send",
        "sendMail",
        "reply",
        "replyAll",
        "forward",
        "createReply",
        "createReplyAll",
        "createForward",
        "permanentDelete",
        "subscriptions",
        "reauthorize",
        "translateExchangeIds",
        "$value",
        "$batch",
        "$count",
    )
}


def usual_path(path: str) -> str:
    """Return a path with `name('key')` as `name/key`, no `()`, the usual capitals, no parents.

    Ids and addresses stay as they are: an id with a folded letter must not be found.
    """
    if not path.startswith("/v1.0/"):
        return path
    path = _KEYED.sub(r"\1/\2", path)
    path = "/".join(_usual(segment) for segment in path.split("/"))
    # A folder is the same however its place is written.
    nested = _NESTED.sub("", path)
    return path if nested == path else nested.replace("/childFolders/", "/mailFolders/", 1)


def _usual(segment: str) -> str:
    bare = segment.removesuffix("()").removeprefix("microsoft.graph.")
    return _USUAL.get(bare.lower(), segment)
