"""Decides what Google calls the scopes, and which of them are only about signing in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_API = "https://www.googleapis.com/auth/"
_ALIASES = {"email": f"{_API}userinfo.email", "profile": f"{_API}userinfo.profile"}
SIGN_IN = ("openid", *_ALIASES.values())
EMAIL, PROFILE = _ALIASES["email"], _ALIASES["profile"]
_GMAIL = (
    "readonly", "modify", "compose", "send", "labels", "metadata", "insert",
    "settings.basic", "settings.sharing",
)  # fmt: skip
WORDS = {
    "openid": "Associate you with your personal info on Google",
    EMAIL: "See your primary Google Account email address",
    PROFILE: "See your personal info, including any you have made public",
    "https://mail.google.com/": (
        "Read, compose, send, and permanently delete all your email from Gmail"
    ),
    f"{_API}gmail.modify": "Read, compose, and send emails from your Gmail account",
    f"{_API}gmail.readonly": "View your email messages and settings",
    f"{_API}gmail.send": "Send email on your behalf",
    f"{_API}gmail.compose": "Manage drafts and send emails",
    f"{_API}gmail.labels": "See and edit your email labels",
    f"{_API}gmail.metadata": (
        "View your email message metadata such as labels and headers, but not the email body"
    ),
    f"{_API}gmail.insert": "Add emails into your Gmail mailbox",
    f"{_API}gmail.settings.basic": "See, edit, create, or change your email settings and filters",
    f"{_API}gmail.settings.sharing": "Manage your sensitive mail settings",
}
KNOWN = frozenset([*SIGN_IN, "https://mail.google.com/", *(f"{_API}gmail.{n}" for n in _GMAIL)])


def full_names(text: str) -> list[str]:
    """Return the scopes of a request, aliases as the answers name them, each once."""
    return list(dict.fromkeys(_ALIASES.get(name, name) for name in text.split()))


def beyond_sign_in(scopes: Iterable[str]) -> list[str]:
    """Return the scopes that a user may be asked about one by one."""
    return [scope for scope in scopes if scope not in SIGN_IN]
